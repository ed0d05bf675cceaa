"""Per-identity statistics for the models: learned in log order, once per event, never refolded.

What a person usually does, in some 140 packed bytes: at which local hours and weekdays, through which zones
and doors, on which devices and networks. Only integers, so the bytes are the same on every machine. Ageing is
by halving: a count that reaches its limit halves its whole group, which halves the weight of what is older,
needs no float and keeps every count in one byte.

May not know: clocks, models, what is unusual (that is `models.features`). Invariants: a profile is never
changed in place; its size is bounded; an event that is late counts for the newest day, so arrival order
cannot make a day count twice.
"""

from __future__ import annotations

from zlib import crc32

import msgspec

from correlator.event import MINUTE_MS, Event

WARM_DAYS = 10  # active days before anything is said of a person
DAYS_MAX = 64  # days of a `Habit` before it is halved
COUNT_MAX = 127  # of one `Count`
ZONES_MAX, DOORS_MAX, DEVICES_MAX, NETWORKS_MAX = 6, 8, 4, 4
_DAY_MIN = 24 * 60

Count = tuple[int, int]  # (16-bit hash of the name, times seen, aged)


class Habit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Local hours of one kind of activity: on how many of *days* each hour saw some."""

    days: int = 0  # active days counted, aged; at most DAYS_MAX
    today: int = 0  # bit per hour already counted on the profile's newest day
    hours: bytes = bytes(24)  # days with activity in that local hour, aged; each at most *days*


class Profile(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one identity usually does. Days and hours are local to the place of each event."""

    first_s: int = 0  # event time of the earliest learned event, seconds since the epoch; 0: none yet
    active_days: int = 0  # distinct days learned, never aged: the profile's age
    last_day: int = 0  # newest local day, days since the epoch
    access: Habit = Habit()
    login: Habit = Habit()
    weekdays: bytes = bytes(7)  # active days by weekday, aged; Monday first
    zones: tuple[Count, ...] = ()
    doors: tuple[Count, ...] = ()
    devices: tuple[Count, ...] = ()
    networks: tuple[Count, ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Profile).decode
NOBODY = Profile()


def dump_profile(profile: Profile) -> bytes:
    """*profile* as part of a timeline's record."""
    return _encode(profile)


def load_profile(raw: bytes) -> Profile:
    """What `dump_profile` was given; an empty profile for b""."""
    return _decode(raw) if raw else NOBODY


def shows_habit(event: Event) -> bool:
    """Whether *event* is something that a person did and was let do.

    A granted access that was not left untaken, or an interactive login that succeeded.
    """
    shape = event.shape
    if shape.kind == "access":
        return shape.outcome == "granted" and shape.taken != "not_taken"
    return shape.kind == "login" and shape.outcome == "success" and shape.is_interactive


def learn_profile(profile: Profile, event: Event) -> Profile:
    """*profile* after *event*. An event that shows no habit (`shows_habit`) leaves it as it is."""
    if not shows_habit(event):
        return profile
    time_s = event.time_ms // 1000
    day, hour = local_day_hour(event)
    is_new_day = profile.active_days == 0 or day > profile.last_day
    access, login = profile.access, profile.login
    if is_new_day and access.today:
        access = Habit(access.days, 0, access.hours)
    if is_new_day and login.today:
        login = Habit(login.days, 0, login.hours)
    doors, zones, devices, networks = profile.doors, profile.zones, profile.devices, profile.networks
    if event.kind == "access":
        access = _seen_hour(access, hour)
        zones = _counted(zones, zone_key(event), ZONES_MAX)
        doors = _counted(doors, door_key(event), DOORS_MAX)
    else:
        login = _seen_hour(login, hour)
        devices = _counted(devices, device_key(event), DEVICES_MAX)
        networks = _counted(networks, network_key(event), NETWORKS_MAX)
    return Profile(
        min(profile.first_s, time_s) if profile.active_days else time_s,
        profile.active_days + is_new_day,
        day if is_new_day else profile.last_day,
        access,
        login,
        _seen_weekday(profile.weekdays, weekday_of(day)) if is_new_day else profile.weekdays,
        zones,
        doors,
        devices,
        networks,
    )


def local_day_hour(event: Event) -> tuple[int, int]:
    """Local (day since the epoch, hour 0..23) of *event*, by its own offset from UTC."""
    day, minute = divmod(event.time_ms // MINUTE_MS + event.offset_min, _DAY_MIN)
    return day, minute // 60


def weekday_of(day: int) -> int:
    """Weekday of a day since the epoch, Monday = 0."""
    return (day + 3) % 7


def zone_key(event: Event) -> int:
    """Hash of the zone entered, or of the site where no zone is known; 0 if neither."""
    place = event.place
    return _key(f"{place.site}/{place.zone}") if place is not None and place.site + place.zone else 0


def door_key(event: Event) -> int:
    """Hash of the door, or of the reader where no door is known; 0 if neither."""
    place = event.place
    return 0 if place is None else _key(place.door or place.reader)


def device_key(event: Event) -> int:
    """Hash of the device that was logged in to; 0 if unknown."""
    return _key(event.device)


def network_key(event: Event) -> int:
    """Hash of the network's name or number, else of the address's leading part; 0 if there is none."""
    network = event.network
    if network is not None and (network.name or network.asn):
        return _key(network.name or str(network.asn))
    if ":" in event.ip:
        return _key(":".join(event.ip.split(":")[:3]))
    return _key(event.ip.rpartition(".")[0].rpartition(".")[0])


def times_seen(counts: tuple[Count, ...], key: int) -> int:
    """How often *key* was counted, aged; 0 if it is not among the most used."""
    for known, count in counts:
        if known == key:
            return count
    return 0


def _key(name: str) -> int:
    return (crc32(name.encode()) & 0xFFFF or 1) if name else 0


def _seen_hour(habit: Habit, hour: int) -> Habit:
    bit = 1 << hour
    if habit.today & bit:
        return habit
    days, hours = habit.days, habit.hours
    if not habit.today:
        if days == DAYS_MAX:
            days, hours = days >> 1, _halved(hours)
        days += 1
    return Habit(days, habit.today | bit, _one_more(hours, hour))


def _seen_weekday(weekdays: bytes, weekday: int) -> bytes:
    return _one_more(_halved(weekdays) if sum(weekdays) >= DAYS_MAX else weekdays, weekday)


def _halved(counts: bytes) -> bytes:
    return bytes([count >> 1 for count in counts])


def _one_more(counts: bytes, index: int) -> bytes:
    changed = bytearray(counts)
    changed[index] += 1
    return bytes(changed)


def _counted(counts: tuple[Count, ...], key: int, size_max: int) -> tuple[Count, ...]:
    """*counts* with one more of *key*. A full table gives up its rarest, the longest there of equals."""
    if not key:
        return counts
    for i, (known, count) in enumerate(counts):
        if known == key:
            if count < COUNT_MAX:
                return (*counts[:i], (key, count + 1), *counts[i + 1 :])
            aged = [(k, (c >> 1) + (k == key)) for k, c in counts]
            return tuple([(k, c) for k, c in aged if c])
    if len(counts) == size_max:
        i = min(range(size_max), key=lambda at: counts[at][1])
        counts = counts[:i] + counts[i + 1 :]
    return (*counts, (key, 1))
