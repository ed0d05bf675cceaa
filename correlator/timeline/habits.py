"""What a person usually does: learned inside the fold, day by day, in some 200 bytes.

At which local hours and weekdays, at which sites, zones and doors, on which devices and networks, and whether
the person badges at all or uses the VPN from a desk. `Day` is the newest local day so far, `Habits` all days
before it: what was done earlier on the same day is no habit yet. Everything is counted once a day, so a
turnstile that reads twice makes nobody a regular.

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

from correlator.event import MINUTE_MS, SHAPES_MAX, Event, Shape

WARM_DAYS = 10  # active days before anything is said of a person
DAYS_MAX = 64  # days counted before counts are halved
_DAY_MIN = 24 * 60
_DAY_LAST = (1 << 16) - 1  # that an entry can hold: in the year 2149

Thing = int  # a category in the highest four bits, below it a hash of the name

# Categories, and how many things of each are remembered: those seen last.
SITE, ZONE, DOOR, DEVICE, NETWORK, COUNTRY, DONE = range(1, 8)
_KEPT = {SITE: 4, ZONE: 6, DOOR: 12, DEVICE: 6, NETWORK: 6, COUNTRY: 4, DONE: 4}

_ENTRY = Struct(">IBHH")  # thing, days (aged), first day, last day: days since the epoch
_THING = Struct(">I")


class Day(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One local day, as far as it is folded. Hours are a bit each."""

    day: int  # since the epoch
    access_hours: int = 0
    login_hours: int = 0
    things: frozenset[Thing] = frozenset()


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

    @property
    def is_warm(self) -> bool:
        return self.active_days >= WARM_DAYS


class Known(msgspec.Struct, frozen=True):
    """What is known of a thing. *days* are aged, at most those of the habits."""

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
    """0 for no name."""
    return category << 28 | crc32(name.encode()) & 0xFFFFFFF if name else 0


BADGED, VPN_ON_SITE = thing(DONE, "badged"), thing(DONE, "vpn on site")


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


# ---------------------------------------------------------------------- learning


def learn(habits: Habits, today: Day | None, event: Event, *, is_on_site: bool) -> tuple[Habits, Day]:
    """Both after *event*, which shows habit (`shows_habit`). *is_on_site*: a badge says that they are.

    The same objects where nothing is new, as of most events of a day.
    """
    shape = event.shape
    minute = event.time_ms // MINUTE_MS + shape.offset_min
    day, bit = minute // _DAY_MIN, 1 << minute % _DAY_MIN // 60
    if today is None:
        today = Day(_day(day))
    elif day > today.day and _day(day) > today.day:
        habits, today = merged(habits, today), Day(_day(day))
    seen, is_access = _seen(shape), shape.kind == "access"
    if not is_access:
        own = (device_of(event), VPN_ON_SITE if is_on_site and _is_vpn(shape) else 0)
        seen = (*seen, *[what for what in own if what])
    hours = today.access_hours if is_access else today.login_hours
    if hours & bit and today.things.issuperset(seen):
        return habits, today
    things = today.things.union(seen)
    if is_access:
        return habits, Day(today.day, hours | bit, today.login_hours, things)
    return habits, Day(today.day, today.access_hours, hours | bit, things)


def _day(day: int) -> int:
    return min(max(day, 0), _DAY_LAST)


@lru_cache(SHAPES_MAX)
def _seen(shape: Shape) -> tuple[Thing, ...]:
    """Things that every event of *shape* shows."""
    place = shape.place
    site, country = (place.site, place.country) if place is not None else ("", "")
    found = [thing(SITE, site), thing(COUNTRY, country)]
    if shape.kind == "access":
        found += [zone_of(shape), door_of(shape), BADGED]
    else:
        found.append(network_of(shape))
    return tuple([what for what in found if what])


def _is_vpn(shape: Shape) -> bool:
    return shape.logon_type == "vpn" or (shape.network is not None and shape.network.network_class == "vpn")


def as_of(habits: Habits, today: Day | None, event: Event) -> Habits:
    """The habits that *event* is held against: of all days before its own."""
    if today is None or local_day_hour(event)[0] <= today.day:
        return habits
    return merged(habits, today)


def merged(habits: Habits, day: Day) -> Habits:
    """*habits* with one more day."""
    if habits.days >= DAYS_MAX:
        habits = _halved(habits)
    weekdays = bytearray(habits.weekdays)
    weekdays[weekday_of(day.day)] += 1
    return Habits(
        habits.days + 1,
        habits.active_days + 1,
        habits.first_day or day.day,
        max(habits.last_day, day.day),
        _one_more(habits.access, day.access_hours),
        _one_more(habits.login, day.login_hours),
        bytes(weekdays),
        _with_things(habits.things, day),
    )


def _one_more(hours: Hours, today: int) -> Hours:
    if not today:
        return hours
    counts = bytes([count + (today >> hour & 1) for hour, count in enumerate(hours.hours)])
    return Hours(hours.days + 1, counts)


def _with_things(raw: bytes, day: Day) -> bytes:
    entries = {what: (days, first, last) for what, days, first, last in _entries(raw)}
    for what in sorted(day.things):
        days, first, _ = entries.get(what, (0, day.day, 0))
        entries[what] = (min(days + 1, DAYS_MAX), first, day.day)
    return _packed((what, *found) for what, found in _kept(entries))


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
    return msgspec.structs.replace(
        habits,
        days=habits.days >> 1,
        access=Hours(habits.access.days >> 1, _halves(habits.access.hours)),
        login=Hours(habits.login.days >> 1, _halves(habits.login.hours)),
        weekdays=_halves(habits.weekdays),
        things=_packed((w, days >> 1, first, last) for w, days, first, last in _entries(habits.things)),
    )


def _halves(counts: bytes) -> bytes:
    return bytes([count >> 1 for count in counts])


def _entries(raw: bytes) -> Iterator[tuple[Thing, int, int, int]]:
    return _ENTRY.iter_unpack(raw)


def _packed(entries: Iterable[tuple[Thing, int, int, int]]) -> bytes:
    return b"".join([_ENTRY.pack(*entry) for entry in entries])
