"""Business hours as people write them, to minutes of the local week.

    business_hours:
      mon-thu: 07:00-19:00
      fri: 07:00-12:00, 13:00-17:00
      sat,sun: 22:00-06:00            # ends the next morning

Monday 00:00 is 0. The result is sorted, without overlaps, each [from, to).
"""

from __future__ import annotations

import re

from correlator.intake.document import Fields
from correlator.problem import Path

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MIN = 1440
WEEK_MIN = 7 * DAY_MIN

_SPAN = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\Z")


def parse_hours(fields: Fields | None) -> tuple[tuple[int, int], ...]:
    """The week that *fields* describe; () where they are absent. Errors go to the report of the file."""
    if fields is None:
        return ()
    taken: list[tuple[int, int, Path]] = []
    for key in fields.keys():  # noqa: SIM118 - no mapping
        days = _days(key)
        if not days:
            fields.problem(key, f"{key!r} is no day of the week: write mon, mon-fri or sat,sun")
            continue
        for path, text in fields.texts(key):
            for part in text.split(","):
                span = _span(part.strip())
                if span is None:
                    fields.report.problem(path, f"{part.strip()!r} is no span of time: write 07:00-19:00")
                    continue
                taken.extend((day * DAY_MIN + span[0], day * DAY_MIN + span[1], path) for day in days)
    return _week(fields, taken)


def _days(key: str) -> list[int]:
    """Days that *key* names, [] if it names none. `fri-mon` goes over the weekend."""
    found: list[int] = []
    for part in key.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            return []
        start, end = DAYS.index(first), DAYS.index(last if dash else first)
        found += [day % 7 for day in range(start, (end if end >= start else end + 7) + 1)]
    return found


def _span(text: str) -> tuple[int, int] | None:
    """(from, to) in minutes of the day; *to* beyond 1,440 when it ends the next morning."""
    match = _SPAN.match(text)
    if match is None:
        return None
    from_hour, from_minute, to_hour, to_minute = map(int, match.groups())
    start, end = from_hour * 60 + from_minute, to_hour * 60 + to_minute
    if max(from_minute, to_minute) > 59 or start >= DAY_MIN or end > DAY_MIN or start == end:
        return None
    return start, end if end > start else end + DAY_MIN


def _week(fields: Fields, taken: list[tuple[int, int, Path]]) -> tuple[tuple[int, int], ...]:
    """Spans within the week, those that touch joined."""
    pieces: list[tuple[int, int, Path]] = []
    for start, end, path in taken:
        if end > WEEK_MIN:
            pieces += [(start, WEEK_MIN, path), (0, end - WEEK_MIN, path)]
        else:
            pieces.append((start, end, path))
    pieces.sort(key=lambda piece: piece[:2])
    week: list[tuple[int, int]] = []
    for start, end, path in pieces:
        if week and start < week[-1][1]:
            day = DAYS[start // DAY_MIN]
            fields.report.problem(path, f"these hours overlap others on {day}")
        if week and start <= week[-1][1]:
            week[-1] = (week[-1][0], max(week[-1][1], end))
        else:
            week.append((start, end))
    return tuple(week)
