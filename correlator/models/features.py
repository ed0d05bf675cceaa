"""How unusual an event is for its own identity: numbers in [0, 1] that compare between people.

0 is usual or unknown (nothing can be held against the event), 1 was never seen of this person. Everything
is relative to the person's own profile, never an hour or a count as such, so one model can learn a whole
class of people, night guards and office workers alike. *Features* say what is unusual, in words that alerts
use:

    hour       rarity of the local hour among the person's days with the same kind of activity (access or
               login), with half the weight of the two neighbouring hours
    off_hours  distance to the nearest hour that is usual, around the clock; 1 from 6 hours on
    weekday    rarity of the weekday among the person's active days
    zone       rarity of the zone entered; access only
    door       rarity of the door; access only
    device     rarity of the device; login only
    network    rarity of the network; login only

What was done earlier on the same day is no habit yet and does not count for hour, off_hours and weekday.

*Axes* are what the trees cut. Cuts are drawn at random, so every axis that rarely matters takes cuts from the
others: the four rarities of things share one axis, and time has three.

    hour, off_hours, weekday  as above
    outside                   hour x off_hours: rare and far from usual hours
    unfamiliar                the largest of zone, door, device, network

May not know: models, what is alerted. Pure: a function of the event and its profile.
"""

from __future__ import annotations

from correlator.event import Event
from correlator.timeline import profile as profiles
from correlator.timeline.profile import Count, Habit, Profile

FEATURES = ("hour", "off_hours", "weekday", "zone", "door", "device", "network")
AXES = ("hour", "off_hours", "weekday", "outside", "unfamiliar")

_RARE = 0.02  # share of days at which a rarity is about one half
_USUAL = 0.15  # share of days from which an hour is usual
_FAR_HOURS = 6


def features(event: Event, profile: Profile) -> dict[str, float]:
    """FEATURES of an event that shows habit, against the profile *before* it."""
    day, hour = profiles.local_day_hour(event)
    is_access = event.kind == "access"
    habit = _settled(profile, profile.access if is_access else profile.login, day)
    return {
        "hour": _hour(habit, hour),
        "off_hours": _off_hours(habit, hour),
        "weekday": _weekday(profile, day),
        "zone": _unfamiliar(profile.zones, profiles.zone_key(event)) if is_access else 0.0,
        "door": _unfamiliar(profile.doors, profiles.door_key(event)) if is_access else 0.0,
        "device": 0.0 if is_access else _unfamiliar(profile.devices, profiles.device_key(event)),
        "network": 0.0 if is_access else _unfamiliar(profile.networks, profiles.network_key(event)),
    }


def axes(x: dict[str, float]) -> dict[str, float]:
    """AXES of the features *x*."""
    return {
        "hour": x["hour"],
        "off_hours": x["off_hours"],
        "weekday": x["weekday"],
        "outside": x["hour"] * x["off_hours"],
        "unfamiliar": max(x["zone"], x["door"], x["device"], x["network"]),
    }


def _settled(profile: Profile, habit: Habit, day: int) -> Habit:
    """*habit* without what was done on *day* itself.

    Who walks through the entrance at night and on to the vault must not make the hour a habit on the way.
    """
    today = habit.today
    if not today or day > profile.last_day:
        return habit
    hours = bytes([count - (today >> hour & 1) for hour, count in enumerate(habit.hours)])
    return Habit(habit.days - 1, 0, hours)


def _hour(habit: Habit, hour: int) -> float:
    if not habit.days:
        return 0.0
    hours = habit.hours
    near = hours[hour] + 0.5 * (hours[hour - 1] + hours[(hour + 1) % 24])
    return _rarity(near / habit.days)


def _off_hours(habit: Habit, hour: int) -> float:
    if not habit.days:
        return 0.0
    hours, usual = habit.hours, habit.days * _USUAL
    for away in range(_FAR_HOURS):
        if hours[hour - away] >= usual or hours[(hour + away) % 24] >= usual:
            return away / _FAR_HOURS
    return 1.0


def _weekday(profile: Profile, day: int) -> float:
    is_counted = day <= profile.last_day and profile.active_days > 0
    days = sum(profile.weekdays) - is_counted
    weekday = profiles.weekday_of(day)
    is_newest = is_counted and weekday == profiles.weekday_of(profile.last_day)
    return _rarity(7 * (profile.weekdays[weekday] - is_newest) / days) if days else 0.0


def _unfamiliar(counts: tuple[Count, ...], key: int) -> float:
    return 1.0 / (1 + profiles.times_seen(counts, key)) if key and counts else 0.0


def _rarity(share: float) -> float:
    """1 for a share of 0, falling steeply, 0 from a share of 1 on."""
    return (1.0 / (share + _RARE) - 1.0) * _RARE / (1.0 - _RARE) if share + _RARE < 1.0 else 0.0
