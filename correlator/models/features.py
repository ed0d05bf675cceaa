"""How unusual an event is for its own identity: numbers in [0, 1] that compare between people.

0 is usual or unknown (nothing can be held against the event), 1 was never seen of this person. Everything
is relative to the person's own habits, never an hour or a count as such, so one model can learn a whole
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

What was done earlier on the same day is no habit yet: habits are those of the days before.

*Axes* are what the trees cut. Cuts are drawn at random, so every axis that rarely matters takes cuts from the
others: the four rarities of things share one axis, and time has three.

    hour, off_hours, weekday  as above
    outside                   hour x off_hours: rare and far from usual hours
    unfamiliar                the largest of zone, door, device, network

May not know: models, what is alerted. Pure: a function of the event and the habits before it.
"""

from __future__ import annotations

from correlator.event import Event
from correlator.timeline.habits import (
    Habits,
    Hours,
    Thing,
    device_of,
    door_of,
    known,
    local_day_hour,
    network_of,
    weekday_of,
    zone_of,
)

FEATURES = ("hour", "off_hours", "weekday", "zone", "door", "device", "network")
AXES = ("hour", "off_hours", "weekday", "outside", "unfamiliar")

_RARE = 0.02  # share of days at which a rarity is about one half
_USUAL = 0.15  # share of days from which an hour is usual
_FAR_HOURS = 6


def features(event: Event, habits: Habits) -> dict[str, float]:
    """FEATURES of an event that shows habit, against the habits *before* it (`habits.as_of`)."""
    day, hour = local_day_hour(event)
    shape = event.shape
    is_access = shape.kind == "access"
    hours = habits.access if is_access else habits.login
    return {
        "hour": _hour(hours, hour),
        "off_hours": _off_hours(hours, hour),
        "weekday": _weekday(habits, day),
        "zone": _unfamiliar(habits, zone_of(shape)) if is_access else 0.0,
        "door": _unfamiliar(habits, door_of(shape)) if is_access else 0.0,
        "device": 0.0 if is_access else _unfamiliar(habits, device_of(event)),
        "network": 0.0 if is_access else _unfamiliar(habits, network_of(shape)),
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


def _hour(seen: Hours, hour: int) -> float:
    if not seen.days:
        return 0.0
    hours = seen.hours
    near = hours[hour] + 0.5 * (hours[hour - 1] + hours[(hour + 1) % 24])
    return _rarity(near / seen.days)


def _off_hours(seen: Hours, hour: int) -> float:
    if not seen.days:
        return 0.0
    hours, usual = seen.hours, seen.days * _USUAL
    for away in range(_FAR_HOURS):
        if hours[hour - away] >= usual or hours[(hour + away) % 24] >= usual:
            return away / _FAR_HOURS
    return 1.0


def _weekday(habits: Habits, day: int) -> float:
    days = sum(habits.weekdays)
    return _rarity(7 * habits.weekdays[weekday_of(day)] / days) if days else 0.0


def _unfamiliar(habits: Habits, what: Thing) -> float:
    if not what or not habits.things:
        return 0.0
    found = known(habits, what)
    return 1.0 / (1 + found.days) if found is not None else 1.0


def _rarity(share: float) -> float:
    """1 for a share of 0, falling steeply, 0 from a share of 1 on."""
    return (1.0 / (share + _RARE) - 1.0) * _RARE / (1.0 - _RARE) if share + _RARE < 1.0 else 0.0
