"""What a person usually does: learned inside the fold, day by day, in some 300 bytes.

At which local hours and weekdays, at which sites, zones and doors, on which devices and networks, how long a
stay lasts, and whether the person badges at all or uses the VPN from a desk. `Day` is the newest local day so
far, `Habits` all days before it: what was done earlier on the same day is no habit yet. Everything is counted
once a day, so a turnstile that reads twice makes nobody a regular. What a rule held against the person is
remembered as seen and counts for nothing: twice is not the first time, but no habit either.

Days and hours are local to the place of each event. An event of an earlier local day than the newest counts
for the newest: it is not late (those are folded where they belong), the traveller's clock went back. Only
integers, so the bytes are the same on every machine. Ageing is by halving: after `DAYS_MAX` days every count
is halved, which halves the weight of what is older.

May not know: clocks, models, what is unusual (`models.features`), what rules make of it (`fields`).
Invariants: values, never changed in place; bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from struct import Struct
from zlib import crc32

import msgspec
from msgspec.structs import replace

from correlator.event import MINUTE_MS, SHAPES_MAX, Event, Shape

WARM_DAYS = 10  # active days before anything is said of a person
DAYS_MAX = 64  # days counted before counts are halved
_DAY_MIN = 24 * 60
_DAY_LAST = (1 << 16) - 1  # that an entry can hold: in the year 2149

Thing = int  # a category in the highest four bits, below it a hash of the name

# Categories, and how many things of each are remembered: those seen last. MISSED: sites, see `missed`.
SITE, ZONE, DOOR, DEVICE, NETWORK, COUNTRY, DONE, MISSED = range(1, 9)
_KEPT = {SITE: 6, ZONE: 12, DOOR: 24, DEVICE: 8, NETWORK: 8, COUNTRY: 6, DONE: 6, MISSED: 4}
STAY_HOURS = 16  # longest stay that is told apart from longer ones
_USUAL_STAY = 0.95  # share of stays that are not longer than the usual one

_ENTRY = Struct(">IBHH")  # thing, days (aged), first day, last day: days since the epoch
_THING = Struct(">I")


class Day(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One local day, as far as it is folded. Hours are a bit each.

    *alerted*: things of events that a rule held against the person.
    """

    day: int  # since the epoch
    access_hours: int = 0
    login_hours: int = 0
    things: frozenset[Thing] = frozenset()
    alerted: frozenset[Thing] = frozenset()
    site_hours: int = 0  # with evidence of being at a site

    @property
    def is_active(self) -> bool:
        return bool(self.access_hours or self.login_hours)


class Hours(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Of *days* with one kind of activity (aged), how many had some in each local hour (aged)."""

    days: int = 0
    hours: bytes = bytes(24)


class Habits(msgspec.Struct, frozen=True, array_like=True, gc=False):
    days: int = 0  # active days, aged; at most DAYS_MAX
    active_days: int = 0  # the same, never aged: how old the habits are
    first_day: int = 0  # since the epoch
    last_day: int = 0
    access: Hours = Hours()
    login: Hours = Hours()
    weekdays: bytes = bytes(7)  # active days by weekday, aged; Monday first
    things: bytes = b""  # entries of 9 bytes, see `_ENTRY`; sorted by thing
    stays: bytes = bytes(STAY_HOURS)  # days by the hours between first and last evidence at a site, aged
    forgotten: int = 0  # a bit for each category of which things had to be forgotten lately

    @property
    def is_warm(self) -> bool:
        return self.active_days >= WARM_DAYS


class Known(msgspec.Struct, frozen=True):
    """What is known of a thing. *days* are aged, at most those of the habits; 0: only ever alerted on."""

    days: int
    first_day: int
    last_day: int


NO_HABITS = Habits()


# ------------------------------------------------------------------------ asking


@lru_cache(SHAPES_MAX)
def shows_habit(shape: Shape) -> bool:
    """Whether an event of *shape* is something that a person did and was let do.

    A granted access that was not left untaken, or an interactive login that succeeded.
    """
    if shape.kind == "access":
        return shape.outcome == "granted" and shape.taken != "not_taken"
    return shape.kind == "login" and shape.outcome == "success" and shape.is_interactive


def local_day_hour(event: Event) -> tuple[int, int]:
    """Local (day since the epoch, hour 0..23) of *event*, by its own offset from UTC."""
    day, minute = divmod(event.time_ms // MINUTE_MS + event.shape.offset_min, _DAY_MIN)
    return _day(day), minute // 60


def weekday_of(day: int) -> int:
    """Weekday of a day since the epoch, Monday = 0."""
    return (day + 3) % 7


def thing(category: int, name: str) -> Thing:
    """0 for no name. Total: what an event holds need not be of the type that it should have."""
    return category << 28 | crc32(str(name).encode(errors="surrogatepass")) & 0xFFFFFFF if name else 0


BADGED, LOGGED_IN = thing(DONE, "badged"), thing(DONE, "logged in")
VPN_ON_SITE = thing(DONE, "vpn on site")
AT_DESK, UNBADGED = thing(DONE, "at a desk"), thing(DONE, "at a desk unbadged")


def known(habits: Habits, what: Thing) -> Known | None:
    """What is known of the thing from the days before; None if it was not seen, or too long ago."""
    raw, wanted = habits.things, _THING.pack(what)
    at = raw.find(wanted)
    while at >= 0:
        if at % _ENTRY.size == 0:
            return Known(*_ENTRY.unpack_from(raw, at)[1:])
        at = raw.find(wanted, at + 1)
    return None


@lru_cache(SHAPES_MAX)
def zone_of(shape: Shape) -> Thing:
    """The zone entered, or the site where no zone is known; 0 if neither."""
    place = shape.place
    return thing(ZONE, f"{place.site}/{place.zone}") if place is not None and place.site + place.zone else 0


@lru_cache(SHAPES_MAX)
def door_of(shape: Shape) -> Thing:
    """The door, or the reader where no door is known; 0 if neither."""
    return 0 if shape.place is None else thing(DOOR, shape.place.door or shape.place.reader)


@lru_cache(SHAPES_MAX)
def network_of(shape: Shape) -> Thing:
    """The network by its name or number; 0 where the networks file has none."""
    network = shape.network
    return 0 if network is None else thing(NETWORK, network.name or (str(network.asn) if network.asn else ""))


def device_of(event: Event) -> Thing:
    """The device that was logged in to; 0 if unknown."""
    return thing(DEVICE, event.device)


@lru_cache(SHAPES_MAX)
def site_of(shape: Shape) -> Thing:
    return 0 if shape.place is None else thing(SITE, shape.place.site)


@lru_cache(SHAPES_MAX)
def country_of(shape: Shape) -> Thing:
    return 0 if shape.place is None else thing(COUNTRY, shape.place.country)


@lru_cache(SHAPES_MAX)
def missed(site: str) -> Thing:
    """The person was read inside *site* without having been read at its perimeter."""
    return thing(MISSED, site)


@lru_cache(SHAPES_MAX)
def is_at_desk(shape: Shape) -> bool:
    """A login at a machine of a known site, which only somebody who stands there can do."""
    place = shape.place
    return place is not None and place.site != "" and shape.logon_type in {"console", "unlock", "cached"}


@lru_cache(SHAPES_MAX)
def is_vpn(shape: Shape) -> bool:
    return shape.logon_type == "vpn" or (shape.network is not None and shape.network.network_class == "vpn")


def has_forgotten(habits: Habits, what: Thing) -> bool:
    """Is the category of *what* so full that an unknown thing of it may have been known?"""
    return bool(habits.forgotten >> (what >> 28) & 1)


@lru_cache(SHAPES_MAX)
def usual_stay_hours(stays: bytes) -> int:
    """Hours that 95 of 100 stays do not exceed; 0 where fewer than `WARM_DAYS` are known."""
    total = sum(stays)
    if total < WARM_DAYS:
        return 0
    short = 0
    for hours, count in enumerate(stays, 1):
        short += count
        if short >= _USUAL_STAY * total:
            return hours
    return len(stays)


# ---------------------------------------------------------------------- learning


def learn(
    habits: Habits,
    today: Day | None,
    event: Event,
    *,
    circumstances: tuple[Thing, ...] = (),
    is_on_site: bool = False,
    is_alerted: bool = False,
) -> tuple[Habits, Day]:
    """Both after *event*, which shows habit (`shows_habit`).

    *circumstances*: what else was seen of it. *is_on_site*: it is evidence of being at a site. *is_alerted*:
    a rule holds it against the person. The same objects where nothing is new, as of most events of a day.
    """
    shape = event.shape
    minute = event.time_ms // MINUTE_MS + shape.offset_min
    day, bit = minute // _DAY_MIN, 1 << minute % _DAY_MIN // 60
    if today is None:
        today = Day(_day(day))
    elif day > today.day and _day(day) > today.day:
        habits, today = merged(habits, today), Day(_day(day))
    seen, is_access = _seen(shape), shape.kind == "access"
    if not is_access and event.device:
        seen = (*seen, device_of(event))
    if is_alerted:
        if today.alerted.issuperset(seen):
            return habits, today
        return habits, replace(today, alerted=today.alerted.union(seen))
    seen += circumstances
    hours = today.access_hours if is_access else today.login_hours
    site_bit = bit if is_on_site else 0
    if hours & bit and site_bit & ~today.site_hours == 0 and today.things.issuperset(seen):
        return habits, today
    return habits, Day(
        today.day,
        today.access_hours | bit if is_access else today.access_hours,
        today.login_hours if is_access else today.login_hours | bit,
        today.things.union(seen),
        today.alerted,
        today.site_hours | site_bit,
    )


def _day(day: int) -> int:
    return min(max(day, 0), _DAY_LAST)


@lru_cache(SHAPES_MAX)
def _seen(shape: Shape) -> tuple[Thing, ...]:
    """Things that every event of *shape* shows."""
    found = [site_of(shape), country_of(shape)]
    if shape.kind == "access":
        found += [zone_of(shape), door_of(shape), BADGED]
    else:
        found += [network_of(shape), LOGGED_IN, AT_DESK if is_at_desk(shape) else 0]
    return tuple([what for what in found if what])


def as_of(habits: Habits, today: Day | None, event: Event) -> Habits:
    """The habits that *event* is held against: of all days before its own."""
    if today is None or local_day_hour(event)[0] <= today.day:
        return habits
    return merged(habits, today)


def merged(habits: Habits, day: Day) -> Habits:
    """*habits* with one more day."""
    if not day.is_active:
        return _noticed(habits, day)
    if habits.days >= DAYS_MAX:
        habits = _halved(habits)
    weekdays = bytearray(habits.weekdays)
    weekdays[weekday_of(day.day)] += 1
    things, forgotten = _with_things(habits, day)
    return Habits(
        habits.days + 1,
        habits.active_days + 1,
        habits.first_day or day.day,
        max(habits.last_day, day.day),
        _one_more(habits.access, day.access_hours),
        _one_more(habits.login, day.login_hours),
        bytes(weekdays),
        things,
        _one_more_stay(habits.stays, day.site_hours),
        forgotten,
    )


def _noticed(habits: Habits, day: Day) -> Habits:
    """*habits* after a day of which nothing counts: alerts alone make no active day."""
    things, forgotten = _with_things(habits, day)
    return replace(habits, things=things, forgotten=forgotten)


def _one_more(hours: Hours, today: int) -> Hours:
    if not today:
        return hours
    counts = bytes([count + (today >> hour & 1) for hour, count in enumerate(hours.hours)])
    return Hours(hours.days + 1, counts)


def _one_more_stay(stays: bytes, site_hours: int) -> bytes:
    """Only a day with evidence in two hours at least says how long a stay lasts."""
    if not site_hours & (site_hours - 1):
        return stays
    hours = site_hours.bit_length() - (site_hours & -site_hours).bit_length() + 1
    counts = bytearray(stays)
    counts[min(hours, STAY_HOURS) - 1] += 1
    return bytes(counts)


def _with_things(habits: Habits, day: Day) -> tuple[bytes, int]:
    """Entries with those of *day*, and the categories of which some had to be forgotten."""
    entries = {what: (days, first, last) for what, days, first, last in _entries(habits.things)}
    for what in sorted(day.things | day.alerted):
        days, first, _ = entries.get(what, (0, day.day, 0))
        counted = min(days + 1, DAYS_MAX) if what in day.things else days
        entries[what] = (counted, first, day.day)
    kept = _kept(entries)
    forgotten = habits.forgotten
    if len(kept) < len(entries):
        for what in entries.keys() - {what for what, _ in kept}:
            forgotten |= 1 << (what >> 28)
    return _packed((what, *found) for what, found in kept), forgotten


def _kept(entries: dict[Thing, tuple[int, int, int]]) -> list[tuple[Thing, tuple[int, int, int]]]:
    """Of each category those seen last; of equals those seen on more days, then the lowest."""
    left = dict(_KEPT)
    kept = []
    for what, found in sorted(entries.items(), key=lambda item: (-item[1][2], -item[1][0], item[0])):
        if left[what >> 28] > 0:
            left[what >> 28] -= 1
            kept.append((what, found))
    return sorted(kept)


def _halved(habits: Habits) -> Habits:
    return replace(
        habits,
        days=habits.days >> 1,
        access=Hours(habits.access.days >> 1, _halves(habits.access.hours)),
        login=Hours(habits.login.days >> 1, _halves(habits.login.hours)),
        weekdays=_halves(habits.weekdays),
        things=_packed((w, days >> 1, first, last) for w, days, first, last in _entries(habits.things)),
        stays=_halves(habits.stays),
        forgotten=0,  # what is forgotten from now on was not seen for long
    )


def _halves(counts: bytes) -> bytes:
    return bytes([count >> 1 for count in counts])


def _entries(raw: bytes) -> Iterator[tuple[Thing, int, int, int]]:
    return _ENTRY.iter_unpack(raw)


def _packed(entries: Iterable[tuple[Thing, int, int, int]]) -> bytes:
    return b"".join([_ENTRY.pack(*entry) for entry in entries])
