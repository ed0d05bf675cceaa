"""The intake of one process: raw records of its input partitions to frames of *keyed*, with marks.

Decision 5 as code. `intake_step` turns a batch into frames and states how far each input has arrived;
`tick` states the clock for inputs that are caught up; `advance_drained` and `close_mark` take the place
of ticks in a bounded read. Frames of one call are to be written in one transaction together with the
offsets and the *metadata* of it: then everything that this class knows of a partition is recovered from
the metadata, by whoever owns it next.

- A statement about an input stands in the last frame of a keyed partition, behind the events it speaks of.
- What intake says of a source goes to all keyed partitions, for each decides alone; at most once a second of
  arrival and input, at once for a source that this intake has not heard before.
- What has been said never goes back. When a transaction is dropped and its records are read again, `assign`
  the inputs again with their committed metadata.

May not know: consumers, transactions, files. Reads no clock: *clock_ms* is the caller's, ms since the
epoch, UTC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from operator import itemgetter
from typing import Protocol

import msgspec

from correlator.event import DAY_MS, FOREVER, MINUTE_MS, NEVER, SECOND_MS, Event, Kind, Routes, partition_of
from correlator.frame import EVENTS_MAX, Arrival, Binding, Frame, SourceMark
from correlator.intake.arrival import (
    NO_TIMESTAMP,
    Input,
    Timeliness,
    arrival,
    decode_arrival,
    encode_arrival,
)
from correlator.intake.familiar import Familiar
from correlator.intake.feeds import Feed
from correlator.intake.mapped import Heartbeat, Mapped
from correlator.intake.networks import Networks
from correlator.intake.normalise import normalise, settled
from correlator.intake.people import Contest, People
from correlator.intake.places import Sites
from correlator.intake.route import route
from correlator.intake.turns import Turns
from correlator.record import Record, Reject
from correlator.timeline.raw import with_record
from correlator.timeline.settings import FeedTiming

SOURCES_EVERY_MS = SECOND_MS  # of arrival, between two statements about the sources of one input

Counters = dict[tuple[str, ...], int]  # (metric, label values in the order of the catalogue)
Way = Callable[[Record, int], Event | Heartbeat | Reject | None]
_Row = tuple[int, str, Event]  # arrival, entity, event
_SourceKey = tuple[str, str, str]  # source, feed, site


class FeedMap(Protocol):
    """What intake needs of a feed (`feeds.Feed`): total, and pure."""

    @property
    def timing(self) -> FeedTiming: ...

    def map(self, record: Record) -> Mapped | Heartbeat | Reject | None: ...


class IntakeConfig(msgspec.Struct, frozen=True):
    """What intake must know of a bundle. *partitions*: of *keyed*, fixed for life."""

    feeds: Mapping[str, FeedMap]  # by topic
    sites: Sites
    networks: Networks
    partitions: int
    bundle: str = ""  # hash
    horizon_ms: int = DAY_MS
    ahead_ms: int = 5 * MINUTE_MS
    identities: str = "correlator.identities"  # topic
    routes: Routes = {}


class Taken(msgspec.Struct):
    """What one call made: to be written in one transaction. *frames* of a keyed partition are in order."""

    frames: list[tuple[int, Frame]] = []
    dead_letters: list[tuple[Record, Reject]] = []
    contests: list[Contest] = []  # to be told to operators
    metadata: dict[Input, str] = {}  # to be stored with the inputs' committed offsets
    counters: Counters = {}

    def count(self, *labels: str) -> None:
        self.counters[labels] = self.counters.get(labels, 0) + 1


class _Source(msgspec.Struct):
    """What was heard of a source through one input since it was last told."""

    event_max_ms: int
    lag_min_ms: int
    count: int
    heard_ms: int


class _State(msgspec.Struct):
    """An input that this intake owns. Only *stated_ms* outlives it; to lose the rest makes no lie."""

    partitions: int  # of the topic
    stated_ms: int = NEVER
    told_ms: int = NEVER  # arrival at which sources were last told
    waiting: dict[_SourceKey, _Source] = {}
    known: set[_SourceKey] = set()

    def is_due(self) -> bool:
        if not self.waiting:
            return False
        return self.stated_ms - self.told_ms >= SOURCES_EVERY_MS or not self.known.issuperset(self.waiting)


class Intake:
    """One per process. *people* is read and, by `learn`, written. *is_replay*: of a bounded read."""

    def __init__(self, config: IntakeConfig, people: People, *, is_replay: bool = False) -> None:
        self.config = config
        self.people = people
        self._is_replay = is_replay
        self._turns = Turns()
        self._inputs: dict[Input, _State] = {}
        self._ways = {topic: self._way(feed) for topic, feed in config.feeds.items()}

    # ------------------------------------------------------------------ ownership

    def assign(self, topic: str, q: int, partitions: int, metadata: str = "") -> None:
        """Own partition *q* of *topic*, which has *partitions*; *metadata* of its committed offset, or ""."""
        self._inputs[topic, q] = _State(partitions, decode_arrival(metadata))

    # ---------------------------------------------------------------------- steps

    def intake_step(self, records: Sequence[Record], clock_ms: int) -> Taken:
        """Take records of owned inputs, in offset order within each: each becomes events or a dead letter.

        From files no clock may be held against a record: pass `FOREVER`. A record without a timestamp
        (`NO_TIMESTAMP`) arrived when its event happened.
        """
        taken, rows = Taken(), _Rows(self.config.partitions)
        touched: dict[Input, None] = {}
        for record in records:
            touched[record.topic, record.partition] = None
            self._take(record, clock_ms, rows, taken)
        for kind, count in Counter(rows.kinds).items():
            taken.counters["correlator_events_total", kind] = count
        states = [(q, self._inputs[q]) for q in sorted(touched)]
        due = [(q, state) for q, state in states if state.is_due()]
        self._write(rows, [q for q, _ in states], _tell(due), taken)
        return taken

    def learn(self, records: Iterable[Record], clock_ms: int) -> Taken:
        """Take records of the identities topic: who owns it tells the timelines concerned."""
        taken, rows = Taken(), _Rows(self.config.partitions)
        for record in records:
            time_ms = clock_ms if record.timestamp_ms == NO_TIMESTAMP else min(record.timestamp_ms, clock_ms)
            key = (record.key or b"").decode(errors="replace")
            told = self.people.apply(
                record.offset, key, record.value, time_ms, horizon_ms=self.config.horizon_ms
            )
            if isinstance(told, Reject):
                _refuse(record, told, taken)
                continue
            for entity, event in told.events:
                rows.add(time_ms, entity, event)
                taken.count("correlator_events_total", event.kind)
            rows.bind(told.bindings)
            taken.contests += told.contests
        self._write(rows, [], (), taken)
        return taken

    def tick(
        self, clock_ms: int, caught_up: AbstractSet[Input], paused: AbstractSet[Input] = frozenset()
    ) -> Taken:
        """Once a second: inputs that are caught up have arrived to the clock. Marks for all keyed partitions.

        The offsets are to be committed again with the new metadata. An input that has not caught up is stated
        as far as it has arrived. *paused* ones hold back nobody's `now`.
        """
        for q in caught_up & self._inputs.keys():
            state = self._inputs[q]
            state.stated_ms = max(state.stated_ms, clock_ms)
        return self._mark_all(paused)

    def advance_drained(self, drained: AbstractSet[Input]) -> Taken:
        """In a bounded read, instead of a tick: what is read to its end has arrived as far as the others.

        Without it one empty partition would keep `now` from moving until the closing mark.
        """
        reading = [state.stated_ms for q, state in self._inputs.items() if q not in drained]
        lowest_ms = min(reading, default=NEVER)
        for q in drained & self._inputs.keys():
            state = self._inputs[q]
            state.stated_ms = max(state.stated_ms, lowest_ms)
        return self._mark_all(frozenset())

    def close_mark(self) -> Taken:
        """At the end of a bounded read: every input has arrived to the last arrival and half a horizon."""
        last_ms = max((state.stated_ms for state in self._inputs.values()), default=NEVER)
        if last_ms > NEVER:
            for state in self._inputs.values():
                state.stated_ms = last_ms + self.config.horizon_ms // 2
        return self._mark_all(frozenset())

    # -------------------------------------------------------------------- records

    def _take(self, record: Record, clock_ms: int, rows: _Rows, taken: Taken) -> None:
        state = self._inputs[record.topic, record.partition]
        way = self._ways.get(record.topic)
        found: Event | Heartbeat | Reject | None
        if way is None:
            found = Reject("map", "unknown_topic", f"no feed reads {record.topic!r}")
        elif record.timestamp_ms == NO_TIMESTAMP:
            found = self._of_file(record, clock_ms, state)
        else:
            state.stated_ms = arrival(record.timestamp_ms, clock_ms, state.stated_ms)
            found = way(record, state.stated_ms)
        if isinstance(found, Event):
            self._accept(found, state, rows, taken)
        elif isinstance(found, Heartbeat):
            _beat(state, found)
        elif found is not None:
            _refuse(record, found, taken)

    def _of_file(self, record: Record, clock_ms: int, state: _State) -> Event | Heartbeat | Reject | None:
        """A record that does not say when it arrived did so when its event happened."""
        feed = self.config.feeds[record.topic]
        mapped = self._settled(feed.map(record), FOREVER)
        if isinstance(mapped, Mapped):
            state.stated_ms = arrival(mapped.time_ms, clock_ms, state.stated_ms)
        event = self._normalised(mapped, state.stated_ms, self._timeliness(feed))
        if isinstance(event, Event) and isinstance(feed, Feed) and feed.raw:
            decoded = feed.decode(record)
            return event if isinstance(decoded, Reject) else with_record(event, decoded, feed.raw)
        return event

    def _way(self, feed: FeedMap) -> Way:
        """From a record and its arrival to its event: the short way where there is one."""
        config, timeliness = self.config, self._timeliness(feed)
        if isinstance(feed, Feed):
            return Familiar(feed, config.sites, config.networks, self.people, timeliness).event
        return lambda record, arrival_ms: self._normalised(
            self._settled(feed.map(record), arrival_ms), arrival_ms, timeliness
        )

    def _timeliness(self, feed: FeedMap) -> Timeliness:
        return Timeliness(self.config.ahead_ms, feed.timing.late_ms, self._is_replay)

    def _settled(
        self, mapped: Mapped | Heartbeat | Reject | None, arrival_ms: int
    ) -> Mapped | Heartbeat | Reject | None:
        if not isinstance(mapped, Mapped):
            return mapped
        return settled(mapped, arrival_ms, self.config.sites, self.config.networks, self._turns)

    def _normalised(
        self, mapped: Mapped | Heartbeat | Reject | None, arrival_ms: int, timeliness: Timeliness
    ) -> Event | Heartbeat | Reject | None:
        config = self.config
        if not isinstance(mapped, Mapped):
            return mapped
        return normalise(
            mapped, arrival_ms, config.sites, config.networks, self.people, timeliness=timeliness
        )

    def _accept(self, event: Event, state: _State, rows: _Rows, taken: Taken) -> None:
        entities = route(event, self.config.routes)
        for entity in entities:
            rows.add(state.stated_ms, entity, event)
        rows.kinds.append(event.shape.kind)
        if not event.identity_id and entities[0].startswith("unresolved:"):
            taken.count("correlator_identities_unresolved_total", event.feed)
        if event.time_claimed_ms is not None:
            taken.count("correlator_events_clamped_total", event.feed)
        _hear(state, event)

    # --------------------------------------------------------------------- frames

    def _mark_all(self, paused: AbstractSet[Input]) -> Taken:
        """Marks of every owned input, and what is known of their sources, for every keyed partition."""
        taken = Taken()
        states = sorted(self._inputs.items())
        stated = [q for q, state in states if state.stated_ms > NEVER]
        sources = _tell(states)
        if stated:
            self._write(_Rows(self.config.partitions), stated, sources, taken, to_all=True, paused=paused)
        return taken

    def _write(
        self,
        rows: _Rows,
        inputs: Sequence[Input],
        sources: tuple[SourceMark, ...],
        taken: Taken,
        *,
        to_all: bool = False,
        paused: AbstractSet[Input] = frozenset(),
    ) -> None:
        stated = [(q, self._inputs[q]) for q in inputs if self._inputs[q].stated_ms > NEVER]
        arrivals = tuple(
            Arrival(topic, q, state.partitions, state.stated_ms, (topic, q) in paused)
            for (topic, q), state in stated
        )
        taken.metadata = {q: encode_arrival(state.stated_ms) for q, state in stated}
        for partition, chunks in rows.frames(to_all=to_all or bool(sources)):
            for chunk in chunks[:-1]:
                taken.frames.append((partition, Frame(self.config.bundle, chunk)))
            bindings = tuple(rows.bindings.get(partition, ()))
            taken.frames.append(
                (partition, Frame(self.config.bundle, chunks[-1], arrivals, sources, bindings=bindings))
            )


class _Rows:
    """Events and bindings by keyed partition."""

    def __init__(self, partitions: int) -> None:
        self.kinds: list[Kind] = []  # of every event, once
        self.bindings: dict[int, list[Binding]] = {}
        self._partitions = partitions
        self._rows: dict[int, list[_Row]] = {}

    def add(self, arrival_ms: int, entity: str, event: Event) -> None:
        partition = partition_of(entity, self._partitions)
        rows = self._rows.get(partition)
        if rows is None:
            self._rows[partition] = [(arrival_ms, entity, event)]
        else:
            rows.append((arrival_ms, entity, event))

    def bind(self, bindings: Iterable[Binding]) -> None:
        for binding in bindings:
            self.bindings.setdefault(partition_of(binding.entity, self._partitions), []).append(binding)

    def frames(self, *, to_all: bool) -> Iterable[tuple[int, list[tuple[tuple[str, Event], ...]]]]:
        """(partition, rows of each of its frames) in order of arrival; of every partition with *to_all*."""
        for partition in range(self._partitions) if to_all else sorted(self._rows.keys() | self.bindings):
            rows = self._rows.get(partition, [])
            rows.sort(key=itemgetter(0))
            pairs = [(entity, event) for _, entity, event in rows]
            starts = range(0, max(len(pairs), 1), EVENTS_MAX)
            yield partition, [tuple(pairs[start : start + EVENTS_MAX]) for start in starts]


def _hear(state: _State, event: Event) -> None:
    shape = event.shape
    key = (shape.source, shape.feed, shape.place.site if shape.place is not None else "")
    said_ms = event.time_ms if event.time_claimed_ms is None else event.time_claimed_ms
    lag_ms = state.stated_ms - said_ms
    source = state.waiting.get(key)
    if source is None or not source.count:
        state.waiting[key] = _Source(event.time_ms, lag_ms, 1, state.stated_ms)
        return
    source.event_max_ms = max(source.event_max_ms, event.time_ms)
    source.lag_min_ms = min(source.lag_min_ms, lag_ms)
    source.count += 1
    source.heard_ms = state.stated_ms


def _beat(state: _State, found: Heartbeat) -> None:
    """A source is alive, wherever it serves."""
    key = (found.source, found.feed, "")
    source = state.waiting.setdefault(key, _Source(NEVER, 0, 0, state.stated_ms))
    source.heard_ms = state.stated_ms


def _tell(states: Sequence[tuple[Input, _State]]) -> tuple[SourceMark, ...]:
    """What waits to be told of the sources of these inputs. Afterwards nothing waits."""
    marks: list[SourceMark] = []
    for (topic, q), state in states:
        for (source, feed, site), s in sorted(state.waiting.items()):
            marks.append(
                SourceMark(source, feed, site, topic, q, s.event_max_ms, s.lag_min_ms, s.count, s.heard_ms)
            )
        if state.waiting:
            state.known.update(state.waiting)
            state.told_ms = state.stated_ms
            state.waiting = {}
    return tuple(marks)


def _refuse(record: Record, reject: Reject, taken: Taken) -> None:
    taken.dead_letters.append((record, reject))
    taken.count("correlator_dead_letters_total", "intake", reject.reason)
