"""What a keyed partition knows about time: folded from the marks in its own frames, and from nothing else.

Arrival is the only clock (decision 5). `arrival(q) = a` says: every record of input partition q that
arrived *before* a is in this log. A quiet source is not a source that is behind (decision 6): a source is
complete to its newest event less its bound, or, while it and its site's whole feed are believed alive, to
what the feed has arrived to less its quiet time; never past what the feed has arrived to. One that comes
back and sends what it kept is not quiet before it has been silent for its quiet time. Completeness is a
running maximum.

*feed* is a kind (access, login, door): what rules settle on. Several feed files may be of one kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from correlator.event import NEVER
from correlator.frame import Arrival, SourceMark
from correlator.timeline import week
from correlator.timeline.settings import FeedTiming, Settings, SiteTiming

ASSUMED_MAX = 5  # sources that an alert names as taken to be quiet
SourceKey = tuple[str, str, str]  # feed file, source, site: a source that serves two sites counts at each


class SourceState(msgspec.Struct, array_like=True):
    """*counted_ms*: newest event that the feed has arrived past. *pending*: newer ones with their arrival,
    which wait for that: the source's older events may lie on another partition.
    """

    counted_ms: int = NEVER
    heard_ms: int = NEVER
    pending: list[tuple[int, int]] = []
    lag_min_ms: int | None = None
    count: int = 0


class _Belief(NamedTuple):
    """What is believed of a feed at a site: how long its sources may be quiet, and whether it is alive."""

    where: SiteTiming | None
    arrived_ms: int
    quiet_ms: int
    is_alive: bool


class Marks:
    """State: see `dump` and `load`. Fold frames' marks in log order with `fold`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.now_ms = NEVER
        self.arrivals: dict[str, dict[int, int]] = {}
        self.partitions: dict[str, int] = {}
        self.paused: set[tuple[str, int]] = set()
        self.sources: dict[SourceKey, SourceState] = {}
        self.complete: dict[tuple[str, str], int] = {}
        self.returned: dict[tuple[str, str], int] = {}  # feed and site -> arrival of its newest old record
        self.went_back = 0
        self._heard: dict[tuple[str, str], int] = {}  # newest arrival by feed and site
        self._groups: dict[tuple[str, str], list[SourceState]] = {}  # sources by feed and site
        self._timing: dict[str, FeedTiming] = {}
        self._sites: dict[str, SiteTiming] = {}
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """From the next frame on."""
        self.settings = settings
        self._timing = {feed.feed: feed for feed in settings.feeds}
        self._sites = {site.site: site for site in settings.sites}

    # ------------------------------------------------------------------- folding

    def fold(self, arrivals: Iterable[Arrival], sources: Iterable[SourceMark]) -> None:
        is_news = False
        for arrival in arrivals:
            is_news |= self._arrive(arrival)
        for mark in sources:
            self._hear(mark)
            is_news = True
        if is_news:
            self._advance()

    def _arrive(self, arrival: Arrival) -> bool:
        """Whether it says anything that was not known."""
        known = self.arrivals.setdefault(arrival.topic, {})
        before_ms = known.get(arrival.q)
        if before_ms is not None and arrival.arrival_ms < before_ms:
            self.went_back += 1  # an intake that lost its partition wrote on: what was said stays said
            return False
        where, partitions = (arrival.topic, arrival.q), self.partitions.get(arrival.topic, 0)
        if (
            arrival.arrival_ms == before_ms
            and arrival.partitions <= partitions
            and arrival.is_paused == (where in self.paused)
        ):
            return False
        known[arrival.q] = arrival.arrival_ms
        self.partitions[arrival.topic] = max(arrival.partitions, partitions)
        (self.paused.add if arrival.is_paused else self.paused.discard)(where)
        return True

    def _hear(self, mark: SourceMark) -> None:
        key, group = (mark.feed, mark.source, mark.site), (mark.feed, mark.site)
        state = self.sources.get(key)
        if state is None:
            state = self.sources[key] = SourceState()
            self._groups.setdefault(group, []).append(state)
        self._return(group, mark)
        self._heard[group] = max(mark.heard_ms, self._heard.get(group, NEVER))
        state.heard_ms = max(state.heard_ms, mark.heard_ms)
        state.count += mark.count
        state.lag_min_ms = (
            mark.lag_min_ms if state.lag_min_ms is None else min(state.lag_min_ms, mark.lag_min_ms)
        )
        newest_ms = max([state.counted_ms, *(event_ms for event_ms, _ in state.pending)])
        if mark.event_max_ms > newest_ms:
            if len(state.pending) >= 2:  # the last one waits for the newer: late by a mark, never wrong
                state.pending[-1] = (mark.event_max_ms, max(mark.heard_ms, state.pending[-1][1]))
            else:
                state.pending.append((mark.event_max_ms, mark.heard_ms))

    def _return(self, group: tuple[str, str], mark: SourceMark) -> None:
        """Note when a site that was silent for too long comes back with old records: more are to come."""
        timing, where = self._timing.get(mark.feed), self._sites.get(mark.site)
        heard_ms, at_ms = self._heard.get(group, mark.heard_ms), mark.heard_ms
        if timing is None or at_ms - mark.event_max_ms <= (quiet_ms := _quiet_ms(timing, where, at_ms)):
            return
        is_under_way = at_ms - self.returned.get(group, NEVER) < quiet_ms
        if is_under_way or not _is_site_quiet(timing, where, heard_ms, at_ms):
            self.returned[group] = max(at_ms, self.returned.get(group, NEVER))

    def _advance(self) -> None:
        arrivals = [a for topic in self._topics() for a in self._stated(topic)]
        if arrivals:
            self.now_ms = max(self.now_ms, min(arrivals))
        lowest: dict[tuple[str, str], int] = {}
        for (feed, site), group in self._groups.items():
            timing = self._timing.get(feed)
            if timing is None:
                continue
            belief = self._belief(timing, site)
            key = (str(timing.kind), site)
            for state in group:
                _count_pending(state, belief.arrived_ms)
                complete_ms = _complete_ms(timing, belief, state)
                lowest[key] = min(complete_ms, lowest.get(key, complete_ms))
        for key, complete_ms in lowest.items():
            if complete_ms > self.complete.get(key, NEVER):
                self.complete[key] = complete_ms

    def _topics(self) -> Iterable[str]:
        return {feed.topic: None for feed in self.settings.feeds} or self.arrivals

    def _stated(self, topic: str) -> Iterable[int]:
        """Arrivals of the topic's partitions, paused ones left out; NEVER for one that nobody has heard
        of.
        """
        known = self.arrivals.get(topic, {})
        count = self.partitions.get(topic, 1)
        return (known.get(q, NEVER) for q in range(count) if (topic, q) not in self.paused)

    # ------------------------------------------------------------------- asking

    def arrived_to(self, topic: str) -> int:
        known = self.arrivals.get(topic, {})
        return min(known.values()) if known and len(known) == self.partitions.get(topic) else NEVER

    def complete_ms(self, feed: str, site: str) -> int:
        return self.complete.get((feed, site), NEVER)

    def assumed(self, feed: str, site: str, to_ms: int) -> tuple[str, ...]:
        """Sources of *feed* at *site* that are taken as complete to *to_ms* only because they are quiet."""
        quiet = [
            (source, state)
            for (name, source, where), state in sorted(self.sources.items())
            if where == site and name in self._timing and self._timing[name].kind == feed
            if state.counted_ms - self._timing[name].bound_ms < to_ms
        ]
        told = [
            f"{source} quiet since {_clock(state.heard_ms)}, taken as complete"
            for source, state in quiet[:ASSUMED_MAX]
        ]
        return (*told, f"and {len(quiet) - ASSUMED_MAX} more") if len(quiet) > ASSUMED_MAX else tuple(told)

    def newest(self) -> dict[str, int]:
        """Newest event time of each feed that was heard."""
        found: dict[str, int] = {}
        for (feed, _, _), state in self.sources.items():
            event_ms = max([state.counted_ms, *(pending_ms for pending_ms, _ in state.pending)])
            found[feed] = max(event_ms, found.get(feed, NEVER))
        return found

    def missing(self, feed: str, site: str, to_ms: int) -> list[tuple[str, int]]:
        """(source, heard last) of the sources that keep *site* from being complete to *to_ms*."""
        return [
            (source, state.heard_ms)
            for (name, source, where), state in sorted(self.sources.items())
            if where == site and name in self._timing and self._timing[name].kind == feed
            if _complete_ms(self._timing[name], self._belief(self._timing[name], site), state) < to_ms
        ]

    def _belief(self, timing: FeedTiming, site: str) -> _Belief:
        arrived_ms = self.arrived_to(timing.topic)
        where, group = self._sites.get(site), (timing.feed, site)
        if arrived_ms == NEVER:
            return _Belief(where, arrived_ms, timing.quiet_ms, is_alive=False)
        quiet_ms = _quiet_ms(timing, where, arrived_ms)
        is_returning = arrived_ms - self.returned.get(group, NEVER) < quiet_ms
        is_alive = not is_returning and _is_site_quiet(timing, where, self._heard[group], arrived_ms)
        return _Belief(where, arrived_ms, quiet_ms, is_alive)

    # -------------------------------------------------------------------- state

    def dump(self) -> bytes:
        return _encode(
            _State(
                self.now_ms,
                sorted((topic, sorted(known.items())) for topic, known in self.arrivals.items()),
                sorted(self.partitions.items()),
                sorted(self.paused),
                sorted(self.sources.items(), key=lambda item: item[0]),
                sorted(self.complete.items()),
                self.went_back,
                sorted(self.returned.items()),
            )
        )

    @classmethod
    def load(cls, settings: Settings, raw: bytes) -> Marks:
        state = _state(raw)
        marks = cls(settings)
        marks.now_ms, marks.went_back = state.now_ms, state.went_back
        marks.arrivals = {topic: dict(known) for topic, known in state.arrivals}
        marks.partitions = dict(state.partitions)
        marks.paused = set(state.paused)
        marks.sources = dict(state.sources)
        for (feed, _, site), source in state.sources:
            marks._groups.setdefault((feed, site), []).append(source)
            marks._heard[feed, site] = max(source.heard_ms, marks._heard.get((feed, site), NEVER))
        marks.complete, marks.returned = dict(state.complete), dict(state.returned)
        return marks


class _State(msgspec.Struct, array_like=True):
    now_ms: int
    arrivals: list[tuple[str, list[tuple[int, int]]]]
    partitions: list[tuple[str, int]]
    paused: list[tuple[str, int]]
    sources: list[tuple[SourceKey, SourceState]]
    complete: list[tuple[tuple[str, str], int]]
    went_back: int
    returned: list[tuple[tuple[str, str], int]] = []


_encode = msgspec.msgpack.Encoder().encode
_state = msgspec.msgpack.Decoder(_State).decode


def _count_pending(state: SourceState, arrived_ms: int) -> None:
    while state.pending and state.pending[0][1] < arrived_ms:
        state.counted_ms = max(state.counted_ms, state.pending.pop(0)[0])


def _complete_ms(timing: FeedTiming, belief: _Belief, state: SourceState) -> int:
    """Up to which event time everything that the source will say is in the log."""
    arrived_ms = belief.arrived_ms
    if arrived_ms == NEVER:
        return NEVER
    complete_ms = state.counted_ms - timing.bound_ms if state.counted_ms > NEVER else NEVER
    most_ms, most_business_ms = timing.silence_max_ms, timing.silence_max_business_hours_ms
    if (
        belief.is_alive
        and _is_quiet(belief.where, state.heard_ms, arrived_ms, most_ms, most_business_ms)
        and not _is_catching_up(state, arrived_ms, belief.quiet_ms)
    ):
        complete_ms = max(complete_ms, arrived_ms - belief.quiet_ms)
    return min(complete_ms, arrived_ms)


def _is_catching_up(state: SourceState, arrived_ms: int, quiet_ms: int) -> bool:
    """Was its newest event old when it was heard just now? A source that sends what it kept is not quiet."""
    if arrived_ms - state.heard_ms >= quiet_ms:
        return False
    newest_ms = max([state.counted_ms, *(event_ms for event_ms, _ in state.pending)])
    return state.heard_ms - newest_ms > quiet_ms


def _quiet_ms(timing: FeedTiming, where: SiteTiming | None, at_ms: int) -> int:
    """How long after arrival a quiet source had nothing to say."""
    if where is not None and week.is_within(where.business_hours, where.time_zone, at_ms):
        return max(timing.quiet_ms, timing.site_silence_max_business_hours_ms)
    return timing.quiet_ms


def _is_site_quiet(timing: FeedTiming, where: SiteTiming | None, heard_ms: int, arrived_ms: int) -> bool:
    most_ms, most_business_ms = timing.site_silence_max_ms, timing.site_silence_max_business_hours_ms
    return _is_quiet(where, heard_ms, arrived_ms, most_ms, most_business_ms)


def _is_quiet(
    site: SiteTiming | None, heard_ms: int, arrived_ms: int, most_ms: int, most_business_ms: int
) -> bool:
    """Is the silence since *heard_ms* short enough to believe that there was nothing to say?"""
    silence_ms = max(0, arrived_ms - heard_ms)
    if silence_ms <= min(most_ms, most_business_ms):  # whichever hours it falls into
        return True
    hours = site.business_hours if site is not None else ()
    within_ms = (
        week.business_ms(hours, site.time_zone, heard_ms, arrived_ms) if site is not None and hours else 0
    )
    return within_ms <= most_business_ms and silence_ms - within_ms <= most_ms


def _clock(time_ms: int) -> str:
    minutes = time_ms // 60_000
    return f"{minutes // 60 % 24:02}:{minutes % 60:02} UTC"
