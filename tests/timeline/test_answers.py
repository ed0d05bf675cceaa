"""What a look at a partition says of any time is what a fold of the events until then says."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from correlator.event import HOUR_MS, Event
from correlator.frame import Frame
from correlator.timeline.answers import live_at, moments, present
from correlator.timeline.fold import fold
from correlator.timeline.live import Live
from correlator.timeline.partition import Partition
from correlator.timeline.presence import belief, believed, likeliest
from tests.timeline.streams import START_MS, arrivals, entity_of, hired, last_frame, some_toys, streams
from tests.timeline.toy import NoScorer, Toy, ToyProgram

END_MS = START_MS + 4 * HOUR_MS


@given(
    streams(3), some_toys, st.randoms(use_true_random=False), st.integers(1, 6), st.integers(-10, 4 * 60 + 10)
)
def test_as_of_any_time(events: list[Event], toy: Toy, random: Random, count: int, minute: int) -> None:
    at_ms, program = START_MS + minute * 60_000, ToyProgram(replace(toy, horizon_ms=12 * HOUR_MS))
    mail = [(entity_of(event), event) for event in events]
    random.shuffle(mail)
    partition = Partition(program, NoScorer(), 0)
    people = hired(START_MS - HOUR_MS)
    for frame in [
        people,
        *(Frame("", tuple(mail[i::count]), arrivals(END_MS)) for i in range(count)),
        last_frame(END_MS + HOUR_MS),
    ]:
        partition.step(frame)
    if random.random() < 0.5:
        for timeline in partition.timelines.values():
            timeline.rest(partition.codes)
    for entity in partition.timelines:
        own = [e for who, e in (*people.rows, *((entity_of(e), e) for e in events)) if who == entity]
        whole = sorted({e.id: e for e in own}.values(), key=lambda e: e.order)
        until = [e for e in whole if e.time_ms <= at_ms]
        known, _ = fold(entity, Live(), until, program)
        found = live_at(partition, partition.timelines[entity], at_ms)
        assert (found.person, found.last_badge) == (known.person, known.last_badge)
        found_stays, known_stays = (believed(live.stays, at_ms, program.settings) for live in (found, known))
        assert found_stays == known_stays
        assert [moment.event.id for moment in moments(partition, entity)] == [e.id for e in whole]
        stay = likeliest(known.stays, at_ms, program.settings)
        for site in ("a", "b"):
            there = {one.entity: one.confidence for one in present(partition, at_ms, site=site)}
            is_there = stay is not None and stay.site == site and belief(stay, at_ms, program.settings) > 0
            assert (entity in there) == (is_there and entity.startswith("identity:"))
            if stay is not None and entity in there:
                assert there[entity] == belief(stay, at_ms, program.settings)
