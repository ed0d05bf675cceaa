"""Business hours: how much of a span of time lies within the hours in which a site is staffed.

Hours are given in minutes of the local week (Monday 00:00 = 0); spans in ms, UTC. A local day that the
clocks make shorter or longer counts by its clock, which is what people keep.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from correlator.event import HOUR_MS, MINUTE_MS

WEEK_MIN = 7 * 1440
Hours = tuple[tuple[int, int], ...]


HALF_MS = HOUR_MS // 2


@lru_cache(maxsize=65_536)
def _offset_min(time_zone: str, half: int) -> int:
    moment = datetime.fromtimestamp(half * 1800, UTC)
    offset = moment.astimezone(ZoneInfo(time_zone)).utcoffset()
    return int(offset.total_seconds() // 60) if offset is not None else 0


def offset_min(time_zone: str, time_ms: int) -> int:
    """Offset of local time from UTC in minutes. Zones change it on whole or, as Adelaide's, on half hours of
    UTC; the half hour's beginning decides.
    """
    return _offset_min(time_zone, time_ms // HALF_MS)


def change_ms(time_zone: str, start_ms: int, end_ms: int) -> int:
    """When the offset of *end_ms* began, where that of *start_ms* is another; to the half hour."""
    offset = offset_min(time_zone, end_ms)
    halves = range(start_ms // HALF_MS, end_ms // HALF_MS)
    at = bisect_left(halves, True, key=lambda half: _offset_min(time_zone, half) == offset)
    return (halves.start + at) * HALF_MS


def minute_of_week(time_zone: str, time_ms: int) -> int:
    return (
        time_ms // MINUTE_MS + offset_min(time_zone, time_ms) + 3 * 1440
    ) % WEEK_MIN  # the epoch was a Thursday


def is_within(hours: Hours, time_zone: str, time_ms: int) -> bool:
    minute = minute_of_week(time_zone, time_ms)
    return any(start <= minute < end for start, end in hours)


def rest_ms(hours: Hours, time_zone: str, time_ms: int) -> int:
    """How long the business hours that hold *time_ms* go on; 0 outside. Sunday runs on into Monday."""
    minute = minute_of_week(time_zone, time_ms)
    end = next((end for start, end in hours if start <= minute < end), minute)
    if end == WEEK_MIN and hours[0][0] == 0:
        end += hours[0][1]
    return (end - minute) * MINUTE_MS


def business_ms(hours: Hours, time_zone: str, start_ms: int, end_ms: int) -> int:
    """How much of [start, end) lies within *hours*."""
    shift_min = offset_min(time_zone, end_ms) - offset_min(time_zone, start_ms)  # clocks changed in between
    span_min = max(0, (end_ms - start_ms) // MINUTE_MS + shift_min)
    if not hours or not span_min:
        return 0
    weeks, rest = divmod(span_min, WEEK_MIN)
    first = minute_of_week(time_zone, start_ms)
    total = weeks * sum(end - start for start, end in hours)
    for shift in (0, WEEK_MIN):
        for start, end in hours:
            total += max(0, min(end + shift, first + rest) - max(start + shift, first))
    return total * MINUTE_MS
