"""Fields of habits: what the person usually does, did never before, and has not done for how long.

As of the days before the event's own, but for what was done earlier on the same day: that is no habit yet, but
seen. Absent until the person has `WARM_DAYS` active days, and where the event does not concern them. Nothing
here needs to settle, see docs/adr/0035.
"""

from __future__ import annotations

from collections.abc import Callable

from correlator.timeline.field import IDENTITY, Field, Get
from correlator.timeline.habits import (
    AT_DESK,
    BADGED,
    LOGGED_IN,
    UNBADGED,
    VPN_ON_SITE,
    Habits,
    Thing,
    as_of,
    country_of,
    device_of,
    door_of,
    has_forgotten,
    known,
    local_day_hour,
    missed,
    network_of,
    shows_habit,
    site_of,
    weekday_of,
    zone_of,
)
from correlator.timeline.live import Scalar
from correlator.timeline.observation import Observation

Find = Callable[[Observation], Thing]

_ACTIVE, _AGE = "habit.active_days", "habit.age_days"
_WORKDAYS = 5  # a week: Monday to Friday


def _habits(o: Observation) -> Habits:
    """Of the days before the event's."""
    if "habits" not in o.cache:
        o.cache["habits"] = as_of(o.live.habits, o.live.today, o.event)
    found = o.cache["habits"]
    assert isinstance(found, Habits)
    return found


def _warm(o: Observation) -> Habits | None:
    habits = _habits(o)
    return habits if habits.is_warm and o.event.identity_id else None


def _share(read: Callable[[Observation, Habits], tuple[int, int] | None]) -> Get:
    """The share that *read* gives as two numbers of days; None for no share, or one of no days."""

    def get(o: Observation) -> Scalar:
        habits = _warm(o)
        found = read(o, habits) if habits is not None else None
        return None if found is None or not found[1] else min(1.0, found[0] / found[1])

    return get


def _days(habits: Habits, what: Thing) -> int:
    found = known(habits, what)
    return found.days if found is not None else 0


def _hour(o: Observation, habits: Habits) -> tuple[int, int] | None:
    """With the hours before and after, so that five to nine is nine."""
    if not shows_habit(o.event.shape):
        return None
    seen = habits.access if o.event.kind == "access" else habits.login
    hour = local_day_hour(o.event)[1]
    return max(seen.hours[hour - 1], seen.hours[hour], seen.hours[(hour + 1) % 24]), seen.days


def _weekday(o: Observation, habits: Habits) -> tuple[int, int]:
    weekday = weekday_of(local_day_hour(o.event)[0])
    return _WORKDAYS * habits.weekdays[weekday], sum(habits.weekdays)


def _missed_reads(o: Observation, habits: Habits) -> tuple[int, int] | None:
    place = o.event.place
    return (_days(habits, missed(place.site)), _days(habits, site_of(o.event.shape))) if place else None


# ------------------------------------------------------------------------ things


def _of_login(find: Find) -> Find:
    return lambda o: find(o) if o.event.kind == "login" else 0


def _of_access(find: Find) -> Find:
    return lambda o: find(o) if o.event.kind == "access" else 0


_THINGS: tuple[tuple[str, str, Find], ...] = (
    ("site", "at the event's site", lambda o: site_of(o.event.shape)),
    ("zone", "in the zone that was entered", _of_access(lambda o: zone_of(o.event.shape))),
    ("door", "at the door", _of_access(lambda o: door_of(o.event.shape))),
    ("device", "on the device", _of_login(lambda o: device_of(o.event))),
    ("network", "from the network", _of_login(lambda o: network_of(o.event.shape))),
    ("country", "in the country", lambda o: country_of(o.event.shape)),
)


def _thing_days(find: Find) -> Get:
    def get(o: Observation) -> Scalar:
        habits, what = _warm(o), find(o)
        return None if habits is None or not what else _days(habits, what)

    return get


def _is_first(find: Find) -> Get:
    def get(o: Observation) -> Scalar:
        habits, what = _warm(o), find(o)
        if habits is None or not what:
            return None
        if _is_of_today(o, what) or known(habits, what) is not None:
            return False
        return None if has_forgotten(habits, what) else True

    return get


def _days_since(find: Find) -> Get:
    def get(o: Observation) -> Scalar:
        habits, what = _warm(o), find(o)
        if habits is None or not what:
            return None
        if _is_of_today(o, what):
            return 0
        found = known(habits, what)
        return None if found is None else max(0, local_day_hour(o.event)[0] - found.last_day)

    return get


def _is_of_today(o: Observation, what: Thing) -> bool:
    """Was it seen on the event's own day already?"""
    today = o.live.today
    if today is None or local_day_hour(o.event)[0] > today.day:
        return False
    return what in today.things or what in today.alerted


def _age_days(o: Observation) -> Scalar:
    habits = _habits(o)
    return max(0, local_day_hour(o.event)[0] - habits.first_day) if habits.active_days else None


HABIT: list[Field] = [
    Field("habit.active_days", "int", IDENTITY, "", "Days before this one on which the person was let do something: how "
          "much the habits rest on.", lambda o: _habits(o).active_days),
    Field(_AGE, "int", IDENTITY, "", "Days since the first of them.", _age_days),
    Field("habit.counted_days", "int", IDENTITY, "", "Of them as many as counts are taken of, at most 64; older ones count "
          "half.", lambda o: habits.days if (habits := _warm(o)) else None),
    Field("habit.badges_on_workdays", "float", IDENTITY, "", "Days with a badge read, for each active day from Monday to "
          "Friday; at most 1.", _share(lambda o, h: (_days(h, BADGED), sum(h.weekdays[:_WORKDAYS]))), (_ACTIVE,)),
    Field("habit.unbadged", "float", IDENTITY, "", "Of the days with a login at a desk, the share on which no badge read had "
          "let the person in.", _share(lambda o, h: (_days(h, UNBADGED), _days(h, AT_DESK))), (_ACTIVE,)),
    Field("habit.missed_reads", "float", IDENTITY, "", "Of the days at the event's site, the share on which the person was "
          "read inside only.", _share(_missed_reads), (_ACTIVE,)),
    Field("habit.vpn_on_site", "float", IDENTITY, "", "Of the days with a badge read, the share on which a VPN was used "
          "while on site.", _share(lambda o, h: (_days(h, VPN_ON_SITE), _days(h, BADGED))), (_ACTIVE,)),
    Field("habit.hour", "float", IDENTITY, "", "Of the days with activity of this kind, the share with some in this local "
          "hour or next to it.", _share(_hour), (_ACTIVE,)),
    Field("habit.weekday", "float", IDENTITY, "", "How many of five active days are on this weekday; at most 1.",
          _share(_weekday), (_ACTIVE,)),
    *[Field(f"habit.{name}_days", "int", IDENTITY, "", f"Of habit.counted_days those {where}.", _thing_days(find),
            ("habit.counted_days",)) for name, where, find in _THINGS],
    *[Field(f"first_seen.{name}", "bool", IDENTITY, "", f"The person was never {where} before. Absent where they know more "
            "of the kind than are remembered.", _is_first(find), (_ACTIVE, _AGE)) for name, where, find in _THINGS],
    *[Field(f"days_since.{name}", "int", IDENTITY, "", f"Days since the person was last {where}; absent if never.",
            _days_since(find), (_ACTIVE,)) for name, where, find in _THINGS],
    Field("days_since.badge", "int", IDENTITY, "", "Days since a badge last let the person in.",
          _days_since(lambda o: BADGED), (_ACTIVE,)),
    Field("days_since.login", "int", IDENTITY, "", "Days since the person last logged in interactively.",
          _days_since(lambda o: LOGGED_IN), (_ACTIVE,)),
]  # fmt: skip
