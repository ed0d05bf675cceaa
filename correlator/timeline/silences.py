"""How much a feed usually says at a site in each hour of the local week, learned from its own marks.

A silence in which many records would have been usual is not quiet, whatever the configured limits allow: a
busy site is missed after minutes, also at night if it works at night. What is learned only shortens these
limits. An hour counts for no more than its neighbours, since people come late in the first hour of a day.
Nothing is learned from an outage, nor from what was kept and sent afterwards. Hours count from their second
week on.

May not know: settings, sources. Whole numbers only, so that every machine learns the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import msgspec

from correlator.event import FOREVER, HOUR_MS, MINUTE_MS
from correlator.timeline import week

HOURS = 168
WEEKS_MIN = 2  # that an hour of the week was seen, before it counts
WEEKS_MAX = 4  # newer weeks count a quarter from then on
EXPECTED_MAX = 20  # records missing in a silence by which it is no longer quiet
_UNIT = 6_000  # of a record: hundredths, times the minutes of an hour


class Usual(msgspec.Struct, array_like=True):
    """*hour* is counted now: hours of local time since the epoch. *rates*: hundredths of records an hour."""

    hour: int = -1
    count: int = 0
    is_odd: bool = False
    weeks: list[int] = msgspec.field(default_factory=lambda: [0] * HOURS)
    rates: list[int] = msgspec.field(default_factory=lambda: [0] * HOURS)

    def hear(self, time_zone: str, heard_ms: int, count: int, *, is_odd: bool) -> bool:
        """*count* records came. *is_odd*: after an outage, or late. Whether an hour was learned."""
        hour = _hour(time_zone, heard_ms)
        is_learned = 0 <= self.hour < hour
        if is_learned:
            self._learn(hour, is_odd=is_odd)
        if hour > self.hour:
            self.hour, self.count, self.is_odd = hour, 0, False
        self.count += count
        self.is_odd |= is_odd
        return is_learned

    def _learn(self, until: int, *, is_odd: bool) -> None:
        """The hour that was counted, and those up to *until* in which nothing came."""
        if not self.is_odd:
            self._learn_one(self.hour % HOURS, self.count)
        if not is_odd:
            for hour in range(self.hour + 1, min(until, self.hour + HOURS)):
                self._learn_one(hour % HOURS, 0)

    def _learn_one(self, slot: int, count: int) -> None:
        seen = self.weeks[slot] = min(self.weeks[slot] + 1, WEEKS_MAX)
        self.rates[slot] += (100 * count - self.rates[slot]) // seen

    def sums(self) -> list[int]:
        """What is usual from the beginning of the week to that of each hour, in `_UNIT`s of a record."""
        known = [r if w >= WEEKS_MIN else 0 for r, w in zip(self.rates, self.weeks, strict=True)]
        total, found = 0, [0]
        for slot, rate in enumerate(known):
            total += 60 * min(known[slot - 1], rate, known[(slot + 1) % HOURS])
            found.append(total)
        return found


class Sums:
    """The `sums` of *usual* as long as it learns nothing more; counted when they are asked for.

    In a silence of *sure_ms* or less nothing is missed, whenever it is.
    """

    __slots__ = ("_found", "_usual", "sure_ms")

    def __init__(self, usual: Usual) -> None:
        most = max(usual.rates)
        self.sure_ms = 100 * EXPECTED_MAX * HOUR_MS // most if most else FOREVER
        self._usual, self._found = usual, list[int]()

    def __call__(self) -> list[int]:
        if not self._found:
            self._found = self._usual.sums()
        return self._found


NOTHING = Sums(Usual())  # is known to be usual


def expected(sums: Sequence[int], time_zone: str, start_ms: int, end_ms: int) -> int:
    """Hundredths of records that are usual between two times, ms, UTC.

    Where clocks change in between, by local time before and after that: no hour is missed that there was not.
    """
    if end_ms <= start_ms or not sums[HOURS]:
        return 0
    if week.offset_min(time_zone, start_ms) == week.offset_min(time_zone, end_ms):
        return _expected(sums, time_zone, start_ms, end_ms)
    changed_ms = week.change_ms(time_zone, start_ms, end_ms)
    before = _expected(sums, time_zone, start_ms, changed_ms)
    return before + _expected(sums, time_zone, changed_ms, end_ms)


def _expected(sums: Sequence[int], time_zone: str, start_ms: int, end_ms: int) -> int:
    weeks, rest_min = divmod((end_ms - start_ms) // MINUTE_MS, week.WEEK_MIN)
    first = week.minute_of_week(time_zone, start_ms)
    last = first + rest_min
    found = _at(sums, min(last, week.WEEK_MIN)) - _at(sums, first)
    if last > week.WEEK_MIN:
        found += _at(sums, last - week.WEEK_MIN)
    return (weeks * sums[HOURS] + found) * 100 // _UNIT


def is_missed(
    sums: Sums, time_zone: str, start_ms: int, end_ms: int, share: tuple[int, int] = (1, 1)
) -> bool:
    """Is too much missing between two times? *share*: of all that is usual, as a fraction; at most 1."""
    if end_ms - start_ms <= sums.sure_ms:
        return False
    part, whole = share
    return expected(sums(), time_zone, start_ms, end_ms) * part > 100 * EXPECTED_MAX * whole


def longest_ms(sums: Sums, time_zone: str, at_ms: int, most_ms: int) -> int:
    """How long a silence that ends at *at_ms* may be to be quiet; whole minutes, at most *most_ms*."""
    if not is_missed(sums, time_zone, at_ms - most_ms, at_ms):
        return most_ms
    starts = range(at_ms, at_ms - most_ms, -MINUTE_MS)
    return MINUTE_MS * bisect_left(starts, True, key=lambda start: is_missed(sums, time_zone, start, at_ms))


def _at(sums: Sequence[int], minute: int) -> int:
    slot, minutes = divmod(minute, 60)
    return sums[slot] + (sums[slot + 1] - sums[slot]) * minutes // 60 if slot < HOURS else sums[HOURS]


def _hour(time_zone: str, time_ms: int) -> int:
    return (time_ms + week.offset_min(time_zone, time_ms) * MINUTE_MS) // HOUR_MS + 72  # of a Thursday
