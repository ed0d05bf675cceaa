"""What reads teach of the doors of a site: the least time between two of them, and how many come in unread.

A *trip* leads from one read that let somebody in to their next one, at another door of the site and within
an hour. An *arrival* is the first read inside of somebody who has just come: after one at the perimeter, or
without.

What is learned must not hang on the order of arrival. So only events older than the horizon are counted, each
once, with the read before it: nothing can come between any more. For each day a table is made, of all days
that were counted whole by then, and never changed. An event is judged by the table of the day before its own,
which is there when it comes; it carries what concerns its door (`Shape.ways`, `Shape.unread`), so that folds
stay pure.

Learned times are told in steps, and so are shares: what an event carries is part of its shape, and shapes are
kept. Only whole numbers. May not know: frames, rules. State: `dump` and `load`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable

import msgspec
from msgspec.structs import replace

from correlator.codec import Codes
from correlator.event import DAY_MS, HOUR_MS, NEVER, SECOND_MS, Event, Shape
from correlator.timeline.presence import is_entry
from correlator.timeline.settings import Settings

# Seconds: a time counts, and is told, as the step at or below it.
STEPS_S = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 75, 90, 120, 150, 180, 240, 300, 360,
           480, 600, 900, 1_200, 1_800, 3_600)  # fmt: skip
SHARES = (0, 1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 40, 50)  # of 100, told likewise
FEW = 100  # one trip in so many may be faster than the least time
STAY_MS = 8 * HOUR_MS  # without a read, after which the next one is an arrival
TRIPS_MAX = 5_000  # of a pair, and arrivals at a door; with more all its counts are halved
PAIRS_MAX = 1_000  # of a partition: those with most trips
ROW_MAX = 12  # doors from which a way to one door is told
SITE = "@"  # before the name of a site, where else that of a door stands
_DAYS_MAX = 10  # tables made at once, after an outage

Row = tuple[tuple[str, int], ...]  # (door, least seconds from there), by door
Key = tuple[str, str, int]  # from door, to door, step; or "", door or site, 1 if unread


class Trail(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How far an identity is counted: all before *counted_ms*. *last_ms*, *shape*: of the last read."""

    counted_ms: int = NEVER
    last_ms: int = NEVER
    shape: int = -1  # its code


NO_TRAIL = Trail()


class Table(msgspec.Struct, array_like=True):
    """In force from *day* on (since the epoch, UTC). *unread*: of 100, by door, and by `SITE` and name."""

    day: int
    rows: dict[str, Row] = {}
    unread: dict[str, int] = {}

    def says(self) -> tuple[dict[str, Row], dict[str, int]]:
        return self.rows, self.unread


class _State(msgspec.Struct, array_like=True):
    day: int | None
    totals: list[tuple[str, str, list[tuple[int, int]]]]
    fresh: list[tuple[int, list[tuple[str, str, int, int]]]]
    tables: list[Table]


_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode = msgspec.msgpack.Decoder(_State).decode


class Ways:
    """Of one partition, as far as its people teach it."""

    def __init__(self) -> None:
        self.tables: list[Table] = []  # the newest last
        self._day: int | None = None  # of the last table
        self._totals: dict[tuple[str, str], dict[int, int]] = {}  # counts by step
        self._fresh: dict[int, dict[Key, int]] = {}  # by day, not in the totals yet
        self._stamps: dict[int, dict[Shape, Shape]] = {}  # by the day of a table; derived

    # ------------------------------------------------------------------ counting

    def count(self, trail: Trail, events: Iterable[Event], until_ms: int, codes: Codes) -> Trail:
        """*events* of one identity, in order, of which those not counted yet and before *until_ms* count."""
        last_ms, shape = trail.last_ms, trail.shape
        for event in events:
            if not trail.counted_ms <= event.time_ms < until_ms or not _counts(event):
                continue
            before = codes.shapes[shape] if shape >= 0 else None
            fresh = self._fresh.setdefault(event.time_ms // DAY_MS, {})
            for key in _teaches(before, event.shape, event.time_ms - last_ms):
                fresh[key] = fresh.get(key, 0) + 1
            last_ms, shape = event.time_ms, codes.shape_codes[event.shape]
        return Trail(until_ms, last_ms, shape)

    # -------------------------------------------------------------------- tables

    def turn(self, now_ms: int, settings: Settings) -> None:
        """At the end of each step: make the tables of the days that have begun."""
        day = now_ms // DAY_MS
        if now_ms == NEVER or day == self._day:
            return
        first = day if self._day is None else max(self._day + 1, day - _DAYS_MAX)
        for begun in range(first, day + 1):
            self._make(begun, settings)
        self._day = day

    def _make(self, day: int, settings: Settings) -> None:
        """Of the days that every identity was counted of: an event is, two horizons after its day at most."""
        whole = day - 2 + (-2 * settings.horizon_ms // DAY_MS)
        for counted in sorted(day for day in self._fresh if day <= whole):
            for (start, end, step), count in self._fresh.pop(counted).items():
                steps = self._totals.setdefault((start, end), {})
                steps[step] = steps.get(step, 0) + count
        self._bound()
        table = Table(day, self._rows(settings), self._unread(settings))
        if not self.tables or self.tables[-1].says() != table.says():
            self.tables.append(table)
        oldest = day - 2 + (-settings.horizon_ms // DAY_MS)
        while len(self.tables) > 1 and self.tables[1].day <= oldest:
            self._stamps.pop(self.tables.pop(0).day, None)

    def _bound(self) -> None:
        for pair, steps in self._totals.items():
            if sum(steps.values()) > TRIPS_MAX:
                self._totals[pair] = {step: count >> 1 for step, count in steps.items() if count > 1}
        if len(self._totals) > PAIRS_MAX:
            order = sorted(self._totals, key=lambda pair: (-sum(self._totals[pair].values()), pair))
            for pair in order[PAIRS_MAX:]:
                del self._totals[pair]

    def _rows(self, settings: Settings) -> dict[str, Row]:
        found: dict[str, list[tuple[int, str, int]]] = {}
        for (start, end), steps in self._totals.items():
            trips = sum(steps.values()) if start else 0
            if trips >= settings.travel_trips_min and (least_s := _least_s(steps, trips)):
                found.setdefault(end, []).append((-trips, start, least_s))
        return {
            end: tuple(sorted((start, least_s) for _, start, least_s in sorted(ways)[:ROW_MAX]))
            for end, ways in found.items()
        }

    def _unread(self, settings: Settings) -> dict[str, int]:
        found = {}
        for (start, name), counts in self._totals.items():
            arrivals = sum(counts.values())
            if not start and arrivals >= settings.presence_arrivals_min:
                found[name] = SHARES[bisect_right(SHARES, 100 * counts.get(1, 0) // arrivals) - 1]
        return {name: share for name, share in found.items() if share}

    # ------------------------------------------------------------------ stamping

    def known(
        self, rows: Iterable[tuple[str, Event]], known: Callable[[Shape], Shape]
    ) -> Iterable[tuple[str, Event]]:
        """*rows* of a frame, with what is known of the doors. *known*: see `codec`."""
        if not any(table.rows or table.unread for table in self.tables):
            return rows
        newest = self.tables[-1].day
        since_ms, stamps = (newest + 1) * DAY_MS, self._stamps.setdefault(newest, {})
        return [
            (entity, event)
            if event.time_ms >= since_ms and stamps.get(event.shape) is event.shape  # as of most of them
            else (entity, self._known(event, known))
            for entity, event in rows
        ]

    def _known(self, event: Event, known: Callable[[Shape], Shape]) -> Event:
        day = event.time_ms // DAY_MS - 1
        for table in reversed(self.tables):
            if table.day <= day:
                break
        else:
            return event
        stamps = self._stamps.setdefault(table.day, {})
        shape = stamps.get(event.shape)
        if shape is None:
            shape = stamps[event.shape] = known(_stamped(event.shape, table))
        return event if shape is event.shape else replace(event, shape=shape)

    def forget_stamps(self) -> None:
        """Shapes that `known` gave are known no more."""
        self._stamps.clear()

    # --------------------------------------------------------------------- state

    def dump(self) -> bytes:
        totals = [(*pair, sorted(steps.items())) for pair, steps in sorted(self._totals.items())]
        fresh = [
            (day, sorted((*key, count) for key, count in counts.items()))
            for day, counts in sorted(self._fresh.items())
        ]
        return _encode(_State(self._day, totals, fresh, self.tables))

    @classmethod
    def load(cls, raw: bytes) -> Ways:
        ways = cls()
        if not raw:
            return ways
        state = _decode(raw)
        ways._day, ways.tables = state.day, state.tables
        ways._totals = {(start, end): dict(steps) for start, end, steps in state.totals}
        ways._fresh = {
            day: {(start, end, step): count for start, end, step, count in counts}
            for day, counts in state.fresh
        }
        return ways


def _counts(event: Event) -> bool:
    """A read that let somebody through a door, dated by a clock that is right as far as is known."""
    shape = event.shape
    is_right = not shape.skew_s and not shape.site_skew_s and event.time_claimed_ms is None
    return is_right and is_entry(shape) and shape.place is not None and shape.place.door != ""


def _teaches(before: Shape | None, shape: Shape, elapsed_ms: int) -> Iterable[Key]:
    """What a read teaches that came *elapsed_ms* after the one *before*. The first says nothing of how
    somebody came, who may have been inside before anything was known.
    """
    here, there = shape.place, before.place if before is not None else None
    if before is None or here is None or there is None:
        return
    is_same_site = there.site == here.site
    if is_same_site and there.door != here.door and elapsed_ms <= HOUR_MS:
        yield there.door, here.door, bisect_right(STEPS_S, elapsed_ms // SECOND_MS) - 1
    if here.is_perimeter or not here.has_entry_readers or shape.direction == "out":
        return
    has_left = there.is_perimeter and before.direction == "out"
    has_come = not is_same_site or elapsed_ms > STAY_MS or has_left
    if has_come or there.is_perimeter:
        yield "", here.door, int(has_come)
        yield "", SITE + here.site, int(has_come)


def _least_s(steps: dict[int, int], trips: int) -> int:
    """The step within which the first of 100 parts of all trips ends."""
    faster = 0
    for step, count in sorted(steps.items()):
        faster += count
        if faster * FEW > trips:
            return STEPS_S[step]
    return 0


def _stamped(shape: Shape, table: Table) -> Shape:
    place = shape.place
    if place is None or not place.site:
        return shape
    if shape.kind == "access":
        return replace(shape, ways=table.rows.get(place.door, ()), unread=table.unread.get(place.door, 0))
    return replace(shape, unread=table.unread.get(SITE + place.site, 0)) if shape.kind == "login" else shape
