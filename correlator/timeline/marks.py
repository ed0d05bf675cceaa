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

from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from operator import itemgetter

import msgspec

from correlator.event import FOREVER, MINUTE_MS, NEVER
from correlator.frame import Arrival, FactMark, SourceMark
from correlator.timeline import quiet
from correlator.timeline.clocks import Clock, Clocks, SourceName
from correlator.timeline.quiet import Belief, SourceState
from correlator.timeline.settings import FeedTiming, Settings, SiteTiming
from correlator.timeline.silences import NOTHING, Sums, Usual, is_missed, longest_ms
from correlator.timeline.telling import Arrived, Telling, feed_of, is_of_facts

ASSUMED_MAX = 5  # sources that an alert names as taken to be quiet
SiteFeed = tuple[str, str]  # feed file, site
SourceKey = tuple[str, str, str]  # feed file, source, site: a source that serves two sites counts at each


class Marks:
    """State: see `dump` and `load`. Fold frames' marks in log order with `fold`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.now_ms = NEVER
        self.arrivals: dict[str, dict[int, int]] = {}
        self.partitions: dict[str, int] = {}
        self.paused: set[tuple[str, int]] = set()
        self.sources: dict[SourceKey, SourceState] = {}
        self.complete: dict[tuple[str, str], int] = {}  # by kind and site
        self.returned: dict[SiteFeed, int] = {}  # arrival of the newest old record
        self.went_back = 0
        self.clocks = Clocks(settings)
        self.is_telling = False  # somebody rests on facts
        self.telling = Telling()
        self.heard: dict[SiteFeed, int] = {}  # newest arrival
        self.timing: dict[str, FeedTiming] = {}  # by feed file
        self._groups: dict[SiteFeed, dict[str, SourceState]] = {}  # by source
        self._counts: dict[SiteFeed, int] = {}  # records of all of them
        self._usual: dict[SiteFeed, Usual] = {}
        self._sums: dict[SiteFeed, Sums] = {}
        self._sites: dict[str, SiteTiming] = {}
        self._listed: dict[SiteFeed, set[str]] = {}  # sources, by the sites file
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """From the next frame on."""
        self.settings = settings
        self.clocks.use(settings)
        self.timing = {feed.feed: feed for feed in settings.feeds}
        self._sites = {site.site: site for site in settings.sites}
        self._listed = {}
        for where in settings.sites:
            for feed, source in where.sources:
                self._listed.setdefault((feed, where.site), set()).add(source)

    # ------------------------------------------------------------------- folding

    def fold(
        self, arrivals: Iterable[Arrival], sources: Collection[SourceMark], told: Iterable[FactMark] = ()
    ) -> int:
        """How many statements went back, and were ignored."""
        is_news, went_back = False, self.went_back
        before = {feed.topic: self.arrived_to(feed.topic) for feed in self.settings.feeds}
        for arrival in arrivals:
            is_news |= self._arrive(arrival)
        leaps = {topic: ms for topic, ms in before.items() if self.arrived_to(topic) - ms > MINUTE_MS}
        leapt = self._leapt(leaps, sources) if leaps else {}
        for mark in sources:
            self._hear(mark)
            is_news = True
        if is_news:
            self._advance(leapt)
        self.telling.fold(told)
        return self.went_back - went_back

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
        if not mark.count:
            self._beat(mark)
            return
        key, group = (mark.feed, mark.source, mark.site), (mark.feed, mark.site)
        state = self._source(key)
        self._learn(group, mark)
        self.clocks.hear((mark.feed, mark.source), mark.site, mark.heard_ms, mark.lag_min_ms)
        self.heard[group] = max(mark.heard_ms, self.heard.get(group, NEVER))
        self._counts[group] = self._counts.get(group, 0) + mark.count
        state.heard_ms = max(state.heard_ms, mark.heard_ms)
        state.count += mark.count
        if mark.event_max_ms > state.newest_ms:
            if len(state.pending) >= 2:  # the last one waits for the newer: late by a mark, never wrong
                state.pending[-1] = (mark.event_max_ms, max(mark.heard_ms, state.pending[-1][1]))
            else:
                state.pending.append((mark.event_max_ms, mark.heard_ms))

    def _source(self, key: SourceKey) -> SourceState:
        state = self.sources.get(key)
        if state is None:
            state = self.sources[key] = SourceState()
            self._groups.setdefault((key[0], key[2]), {})[key[1]] = state
        return state

    def _beat(self, mark: SourceMark) -> None:
        """A heartbeat names no site: it is one of each that the source serves, or is configured at."""
        timing = self.timing.get(mark.feed)
        if timing is None:
            return
        name = (mark.feed, mark.source)
        known = {site for feed, source, site in self.sources if (feed, source) == name}
        known |= {site.site for site in self.settings.sites if name in site.sources}
        for site in sorted(known):
            quiet_ms = quiet.quiet_ms(timing, self._sites.get(site), mark.heard_ms)
            self._source((*name, site)).beat(mark.heard_ms, quiet_ms)
            group = (mark.feed, site)
            self.heard[group] = max(mark.heard_ms, self.heard.get(group, NEVER))

    def _learn(self, group: SiteFeed, mark: SourceMark) -> None:
        """Note what is usual; and when a site that was silent for too long comes back with old records: more
        are to come.
        """
        timing, where, at_ms = self.timing.get(mark.feed), self._sites.get(mark.site), mark.heard_ms
        if timing is None:
            return
        age_ms, quiet_ms = at_ms - mark.event_max_ms, timing.quiet_ms
        if age_ms > quiet_ms:  # what else is asked can only make it longer
            quiet_ms = quiet.quiet_ms(timing, where, at_ms)
        is_old, is_odd = age_ms > quiet_ms, not self.is_alive(group, self.heard.get(group, at_ms), at_ms)
        if is_old and (is_odd or at_ms - self.returned.get(group, NEVER) < quiet_ms):
            self.returned[group] = max(at_ms, self.returned.get(group, NEVER))
        usual = self._usual.get(group)
        if usual is None:
            usual = self._usual[group] = Usual()
        if usual.hear(quiet.zone(where), at_ms, 0 if is_old else mark.count, is_odd=is_odd or is_old):
            self._sums[group] = Sums(usual)

    def is_alive(self, group: SiteFeed, heard_ms: int, arrived_ms: int) -> bool:
        """Was a feed heard of at a site recently enough to believe that there was nothing to say?"""
        timing, sums = self.timing[group[0]], self._sums.get(group, NOTHING)
        if arrived_ms - heard_ms <= min(timing.site_sure_ms, sums.sure_ms):
            return True  # as of nearly every mark
        where = self._sites.get(group[1])
        if not quiet.is_site_quiet(where, heard_ms, arrived_ms, timing):
            return False
        return not is_missed(sums, quiet.zone(where), heard_ms, arrived_ms)

    def _advance(self, leapt: Mapping[SiteFeed, int]) -> None:
        arrivals = [a for topic in self._topics() for a in self._stated(topic)]
        if arrivals:
            self.now_ms = max(self.now_ms, min(arrivals))
        lowest: dict[tuple[str, str], int] = {}
        for (feed, site), group in self._groups.items():
            timing = self.timing.get(feed)
            if timing is None:
                continue
            belief = self.belief(timing, site)
            key = (str(timing.kind), site)
            least_ms = FOREVER
            for source, state in group.items():
                state.count_to(belief.arrived_ms)
                if quiet.is_gone(timing, belief, source, state):
                    continue
                least_ms = min(quiet.complete_ms(timing, belief, state), least_ms)
            if least_ms < FOREVER:
                least_ms = max(least_ms, leapt.get((feed, site), NEVER))
                lowest[key] = min(least_ms, lowest.get(key, least_ms))
        for key, complete_ms in lowest.items():
            if complete_ms > self.complete.get(key, NEVER):
                self.complete[key] = complete_ms
                if self.is_telling:
                    self.telling.wait(key, complete_ms)
        if self.is_telling:
            self.telling.cut(self.arrived())

    def _leapt(self, leaps: Mapping[str, int], marks: Iterable[SourceMark]) -> dict[SiteFeed, int]:
        """To what feeds were complete at sites where arrival leapt over it, before *marks* are heard."""
        first: dict[SiteFeed, int] = {}
        for m in marks:
            first[m.feed, m.site] = min(m.heard_ms, first.get((m.feed, m.site), FOREVER))
        found: dict[SiteFeed, int] = {}
        for (feed, site), sources in self._groups.items():
            timing = self.timing.get(feed)
            if timing is None or (since_ms := leaps.get(timing.topic, NEVER)) == NEVER:
                continue
            until_ms = min(self.arrived_to(timing.topic), first.get((feed, site), FOREVER))
            way, then = range(since_ms, until_ms, MINUTE_MS), partial(self.belief, timing, site)
            found[feed, site] = quiet.leapt_ms(timing, sources, then, way)
        return found

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

    def arrived(self) -> Arrived:
        """Of every topic that has arrived to anything."""
        found = ((topic, self.arrived_to(topic)) for topic in sorted(self.arrivals))
        return tuple((topic, at_ms) for topic, at_ms in found if at_ms > NEVER)

    def complete_ms(self, feed: str, site: str) -> int:
        """Of *feed* as `telling.of_facts` names it: to what all that follows from it has been told, too."""
        known = self.telling.complete if is_of_facts(feed) else self.complete
        return known.get((feed, site), NEVER)

    def assumed(self, feed: str, site: str, to_ms: int) -> tuple[str, ...]:
        """Sources of *feed* at *site* that are taken as complete to *to_ms* only because they are quiet."""
        silent = [
            (source, state)
            for timing, source, state in self._sources_of(feed, site)
            if state.counted_ms - timing.bound_ms < to_ms
            and not quiet.is_gone(timing, self.belief(timing, site), source, state)
        ]
        told = [
            f"{source} {quiet.since(state.heard_ms, to_ms)}, taken as complete"
            for source, state in silent[:ASSUMED_MAX]
        ]
        return (*told, f"and {len(silent) - ASSUMED_MAX} more") if len(silent) > ASSUMED_MAX else tuple(told)

    def newest(self) -> dict[str, int]:
        """Newest event time of each feed that was heard."""
        found: dict[str, int] = {}
        for (feed, _, _), state in self.sources.items():
            found[feed] = max(state.newest_ms, found.get(feed, NEVER))
        return found

    def missing(self, feed: str, site: str, to_ms: int) -> list[tuple[str, int]]:
        """(source, heard last) of the sources that keep *site* from being complete to *to_ms*."""
        return [
            (source, state.heard_ms)
            for timing, source, state in self._sources_of(feed, site)
            for belief in (self.belief(timing, site),)
            if not quiet.is_gone(timing, belief, source, state)
            and quiet.complete_ms(timing, belief, state) < to_ms
        ]

    def _sources_of(self, feed: str, site: str) -> Iterator[tuple[FeedTiming, str, SourceState]]:
        """In order of feed file and name."""
        for (name, source, where), state in sorted(self.sources.items()):
            timing = self.timing.get(name)
            if where == site and timing is not None and timing.kind == feed_of(feed):
                yield timing, source, state

    def belief(self, timing: FeedTiming, site: str, at_ms: int | None = None) -> Belief:
        """As of now, or as if no more were known when the feed had arrived to *at_ms*."""
        where, group = self._sites.get(site), (timing.feed, site)
        arrived_ms = self.arrived_to(timing.topic) if at_ms is None else at_ms
        sums, count = self._sums.get(group, NOTHING), self._counts.get(group, 0)
        sure_ms = min(timing.silence_max_ms, timing.silence_max_business_hours_ms, sums.sure_ms)
        if arrived_ms == NEVER:
            return Belief(where, arrived_ms, timing.quiet_ms, False, sums, count, sure_ms)
        is_closed = bool(site and self._sites) and where is None
        quiet_ms = quiet.quiet_ms(timing, where, arrived_ms)
        is_returning = arrived_ms - self.returned.get(group, NEVER) < quiet_ms
        is_alive = not is_returning and self.is_alive(group, self.heard.get(group, NEVER), arrived_ms)
        if quiet_ms > timing.quiet_ms:  # as long as it takes to notice that a feed is dead
            quiet_ms = max(timing.quiet_ms, longest_ms(sums, quiet.zone(where), arrived_ms, quiet_ms))
        listed: AbstractSet[str] = self._listed.get(group, frozenset())
        return Belief(where, arrived_ms, quiet_ms, is_alive, sums, count, sure_ms, listed, is_closed)

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
                self.clocks.dump(),
                sorted(self._usual.items(), key=itemgetter(0)),
                self.telling.dump(),
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
        for (feed, name, site), source in state.sources:
            marks._groups.setdefault((feed, site), {})[name] = source
            marks.heard[feed, site] = max(source.alive_ms, marks.heard.get((feed, site), NEVER))
            marks._counts[feed, site] = marks._counts.get((feed, site), 0) + source.count
        marks.complete, marks.returned = dict(state.complete), dict(state.returned)
        marks.clocks.load(state.clocks)
        marks.telling = Telling.load(state.telling)
        marks._usual = dict(state.usual)
        marks._sums = {group: Sums(usual) for group, usual in state.usual}
        return marks


class _State(msgspec.Struct, array_like=True):
    now_ms: int
    arrivals: list[tuple[str, list[tuple[int, int]]]]
    partitions: list[tuple[str, int]]
    paused: list[tuple[str, int]]
    sources: list[tuple[SourceKey, SourceState]]
    complete: list[tuple[tuple[str, str], int]]
    went_back: int
    returned: list[tuple[SiteFeed, int]] = []
    clocks: list[tuple[SourceName, Clock]] = []
    usual: list[tuple[SiteFeed, Usual]] = []
    telling: bytes = b""


_encode = msgspec.msgpack.Encoder().encode
_state = msgspec.msgpack.Decoder(_State).decode
