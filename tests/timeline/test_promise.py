"""The promise about order (decision 4), against an oracle that shares no rule code.

For one set of accepted events, once every mark has passed its verdicts within the horizon: the same open
alerts, whatever the order of arrival, the split into frames, the duplicates, the marks on the way, when
the base was moved, and where state was saved and loaded again.
"""

from __future__ import annotations

from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from correlator.event import HOUR_MS, MINUTE_MS, NEVER, Event, make_event
from correlator.frame import Frame
from correlator.timeline import fold
from correlator.timeline.alert import Alert, Change
from correlator.timeline.decide import decide
from correlator.timeline.live import Live
from correlator.timeline.partition import Partition
from tests.promise.examples import promised
from tests.timeline import oracle
from tests.timeline.streams import (
    ENTITIES,
    START_MS,
    arrivals,
    entity_of,
    everybody,
    hired,
    last_frame,
    live_frames,
    some_marks,
    some_toys,
    streams,
    without,
)
from tests.timeline.toy import NoScorer, Toy, ToyProgram, saved

Accepted = dict[str, list[Event]]


class Reader:
    """Whoever reads the alert topic from its start: what they hold must make sense at every record."""

    def __init__(self) -> None:
        self.held: dict[str, Alert] = {}
        self.told = 0

    def take(self, changes: list[Change]) -> None:
        self.told += len(changes)
        for change in changes:
            alert = change.alert
            assert (alert.uid in self.held) == (change.activity != "create"), change
            if change.activity == "close":
                assert self.held.pop(alert.uid) == alert
                heirs = self.held.keys() | {c.alert.uid for c in changes}
                assert change.reason == "retracted" or change.superseded_by in heirs
            else:
                assert self.held.get(alert.uid) != alert, "published, though nothing changed"
                self.held[alert.uid] = alert


def new_partition(toy: Toy) -> Partition:
    return Partition(ToyProgram(toy), NoScorer(), 0)


def essence(alerts: dict[str, Alert]) -> set[oracle.Essence]:
    return {(a.uid, a.rule, a.entity, a.severity, a.evidence, a.confidence) for a in alerts.values()}


def expected(accepted: Accepted, toy: Toy) -> set[oracle.Essence]:
    return {a for entity, events in accepted.items() for a in oracle.alerts(events, entity, toy).values()}


def run(frames: list[Frame], toy: Toy, random: Random) -> tuple[Partition, Reader, Accepted]:
    """Feed *frames*; save and load the state now and then; hold the increment against one fold."""
    partition, reader, accepted, final_ms = new_partition(toy), Reader(), Accepted(), NEVER
    for frame in frames:
        for entity, event in frame.rows:
            known = accepted.setdefault(entity, [])
            if event.time_ms >= partition.now_ms - toy.horizon_ms and all(event.id != e.id for e in known):
                known.append(event)
        changes = partition.step(frame)
        reader.take(changes)
        for change in changes:
            alert = change.alert
            assert alert.decided_ms >= final_ms, "said something about a final alert"
            at_hand = {event.id for event in partition.events(alert.entity, alert.evidence)}
            assert at_hand == set(alert.evidence), "an alert is told without what it speaks of"
            if change.activity == "create" and alert.rule == "unbadged":
                site = next(
                    e.place.site for e in accepted[alert.entity] if e.id == alert.event_id and e.place
                )
                is_complete = partition.marks.complete_ms("access", site) >= alert.decided_ms
                assert is_complete or alert.confidence == "low" or alert.repeats
        final_ms = partition.now_ms - toy.horizon_ms
        for entity in partition.timelines:
            check(partition, entity, sorted(accepted[entity], key=lambda e: e.order), toy)
        if random.random() < 0.2:
            partition = saved(partition, ToyProgram(toy))
    return partition, reader, accepted


def check(partition: Partition, entity: str, accepted: list[Event], toy: Toy) -> None:
    """Increment == one fold over everything that was ever accepted, and nobody was forgotten by a mark."""
    timeline, program = partition.timelines[entity], ToyProgram(toy)
    live, matches = fold.fold(entity, Live(), accepted, program)
    kept = timeline.events(partition.codes)
    assert kept == accepted[len(accepted) - len(kept) :]
    edge_ms = timeline.tally.edge_ms
    assert all(e.time_ms < edge_ms for e in accepted[: len(accepted) - len(kept)])
    at_ms = max(accepted[-1].time_ms, edge_ms)
    assert fold.prune(timeline.touch(partition.codes), at_ms, program) == fold.prune(live, at_ms, program)
    everything = [*matches, *fold.verdicts(entity, live, live.waiting, program)]
    wanted = [m for m in everything if m.decided_ms >= edge_ms]
    assert timeline.matches(partition.codes, program) == wanted
    _, alerts = decide(entity, timeline.tally, wanted, partition.marks, program)
    final_ms = partition.now_ms - toy.horizon_ms
    still_open = {uid: a for uid, a in timeline.open.items() if a.decided_ms >= final_ms}
    assert essence(still_open) == essence({u: a for u, a in alerts.items() if a.decided_ms >= final_ms})
    timeline.rest(partition.codes)


@promised
@given(streams(3), some_toys, st.randoms(use_true_random=False), st.integers(1, 9))
def test_any_arrival_within_the_horizon(events: list[Event], toy: Toy, random: Random, count: int) -> None:
    """Everything arrives within one horizon, in any order: open alerts equal the oracle's."""
    now_ms = START_MS + 4 * HOUR_MS
    toy = msgspec.structs.replace(toy, horizon_ms=6 * HOUR_MS)
    mail = [(ENTITIES[0], e) for e in events + random.sample(events, len(events) // 3)]
    random.shuffle(mail)
    frames = [
        Frame("", tuple(mail[i::count]), arrivals(now_ms), some_marks(random, START_MS, now_ms))
        for i in range(count)
    ]
    partition, reader, accepted = run([hired(START_MS), *frames, last_frame(now_ms + HOUR_MS)], toy, random)
    assert len(accepted[ENTITIES[0]]) == len(events) + 1
    assert essence(reader.held) == expected(accepted, toy)
    still_open = {u: a for t in partition.timelines.values() for u, a in t.open.items()}
    assert still_open == reader.held


@promised
@given(streams(4), some_toys, st.randoms(use_true_random=False))
def test_the_base_moves_and_nobody_notices(events: list[Event], toy: Toy, random: Random) -> None:
    """Many horizons: everything ever published and not closed is what the oracle finds in all accepted
    events.
    """
    _, reader, accepted = run(live_frames(events, toy, random), toy, random)
    assert essence(reader.held) == expected(accepted, toy)


@promised
@given(streams(4), some_toys, st.randoms(use_true_random=False), st.booleans())
def test_when_the_base_moves_is_nobodys_business(
    events: list[Event], toy: Toy, random: Random, is_dead: bool
) -> None:
    """The same log with every base moved at every frame, feed dead or not: the same changes, word for
    word.
    """
    frames = live_frames(events, toy, random)
    if is_dead:
        frames = without(frames, "b")
    told: list[list[Change]] = []
    for is_eager in (False, True):
        partition = new_partition(toy)
        told.append([])
        for frame in frames:
            told[-1] += partition.step(frame)
            for timeline in partition.timelines.values() if is_eager else ():
                edge_ms = partition.now_ms - toy.horizon_ms
                timeline.forget(edge_ms, partition.marks, partition.codes, partition.program)
                timeline.rest(partition.codes)
    assert told[0] == told[1]


@promised
@given(streams(4), some_toys, st.randoms(use_true_random=False), st.booleans())
def test_a_restore_at_any_frame_publishes_the_same(
    events: list[Event], toy: Toy, random: Random, is_dead: bool
) -> None:
    """The same changes and, at the end, the same bytes of state as a partition that was never restored."""
    frames = live_frames(events, toy, random)
    if is_dead:
        frames = without(frames, "b")
    one, other = new_partition(toy), new_partition(toy)
    for frame in frames:
        assert one.step(frame) == other.step(frame)
        if random.random() < 0.3:
            other = saved(other, ToyProgram(toy))
        assert state_of(one) == state_of(other)


def state_of(partition: Partition) -> dict[str, bytes | None]:
    return {key: partition.timelines.record(key) for key in partition.timelines}


@promised
@given(streams(4, 40), some_toys, st.randoms(use_true_random=False))
def test_a_cut_is_of_one_frame_however_long_its_encoding_takes(
    events: list[Event], toy: Toy, random: Random
) -> None:
    """A cut taken slice by slice between later frames holds exactly the state as of the frame it was made
    at.
    """
    partition = new_partition(toy)
    frames = live_frames(events, toy, random)
    at = random.randrange(len(frames) + 1)
    for frame in frames[:at]:
        partition.step(frame)
    frozen = state_of(partition)
    partition.freeze()
    taken: dict[str, bytes | None] = {}
    for frame in frames[at:]:
        partition.step(frame)
        if random.random() < 0.3:
            taken |= dict(partition.changed.slice(1))
    while piece := partition.changed.slice(1):
        taken |= dict(piece)
    assert {key: raw for key, raw in taken.items() if raw is not None} == frozen


@promised
@given(streams(4, 40), some_toys, st.randoms(use_true_random=False))
def test_a_feed_that_is_dead_for_longer_than_the_horizon(
    events: list[Event], toy: Toy, random: Random
) -> None:
    """What it left undecided is never told with high confidence, nothing else suffers, memory is bounded."""
    toy = msgspec.structs.replace(toy, suppress_ms=0)
    partition, reader, accepted = run(without(live_frames(events, toy, random), "b"), toy, random)
    wanted = expected(accepted, toy)
    sites = {e.id: e.place.site for events in accepted.values() for e in events if e.place}
    lost = {a for a in wanted if a[1] == "unbadged" and sites[a[4][0]] == "b"}
    held = essence(reader.held)
    assert {a for a in held if a[5] == "high"} <= wanted
    assert wanted - held <= lost
    for entity, timeline in partition.timelines.items():
        edge_ms = partition.now_ms - toy.horizon_ms
        timeline.forget(edge_ms, partition.marks, partition.codes, partition.program)
        old = sum(e.time_ms < edge_ms for e in timeline.events(partition.codes))
        assert old <= 2 * toy.block_size, entity


@promised
@given(streams(1), some_toys, st.randoms(use_true_random=False))
def test_a_refold_that_changes_nothing_says_nothing(events: list[Event], toy: Toy, random: Random) -> None:
    now_ms = START_MS + HOUR_MS
    toy = msgspec.structs.replace(toy, horizon_ms=4 * HOUR_MS)
    rows = tuple((entity_of(e), e) for e in events)
    end_ms = now_ms + HOUR_MS
    first = Frame("", rows, arrivals(now_ms), everybody(now_ms, now_ms))
    frames = [hired(START_MS), first, last_frame(end_ms)]
    partition, reader, _ = run(frames, toy, random)
    told = reader.told
    when_ms = START_MS + random.randrange(60) * MINUTE_MS
    bystander = make_event(when_ms, "f" * 16, "login", outcome="failure")
    reader.take(partition.step(Frame("", ((ENTITIES[0], bystander),), arrivals(end_ms))))
    reader.take(partition.step(Frame("", rows, arrivals(end_ms))))
    assert reader.told == told
