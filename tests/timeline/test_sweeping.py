"""The table of shapes is bounded by what is held, and forgets nothing that is."""

from __future__ import annotations

from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from correlator.codec import Codes
from correlator.event import MINUTE_MS, Shape
from correlator.timeline.pack import load_live
from correlator.timeline.partition import Partition
from correlator.timeline.sweeping import used
from tests.timeline.test_recovery import Learner, some_frames
from tests.timeline.toy import Toy, ToyProgram


@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_nobody_can_tell_when_the_table_was_swept(random: Random, count: int) -> None:
    """What is told, and what is held, is that of a partition that never forgets a shape."""
    toy = Toy(horizon_ms=10 * MINUTE_MS, block_size=2, burst_min=2)
    swept = Partition(ToyProgram(toy), Learner(), 5)
    whole = Partition(ToyProgram(msgspec.structs.replace(toy, shapes_min=1_000_000)), Learner(), 5)
    for frame in some_frames(random, toy, count):
        assert swept.step(frame) == whole.step(frame)
        assert len(swept.codes) <= max(2, 2 * swept.codes.kept) or not swept.codes.free
    for entity in whole.timelines:
        assert held(swept, entity) == held(whole, entity)
    assert len(swept.codes) <= len(whole.codes)


def held(partition: Partition, entity: str) -> tuple[object, ...]:
    """All that a timeline has with a number of a shape in it, as what the number stands for."""
    timeline, codes = partition.timelines[entity], partition.codes
    entries = [load_live(block.entry, codes, timeline.owner) for block in timeline.blocks if block.entry]
    last = codes.shapes[timeline.trail.shape] if timeline.trail.shape >= 0 else None
    return timeline.events(codes), timeline.touch(codes), entries, last, timeline.moved


@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_every_number_that_is_held_has_a_shape(random: Random, count: int) -> None:
    toy = Toy(horizon_ms=10 * MINUTE_MS, block_size=2, burst_min=2)
    partition = Partition(ToyProgram(toy), Learner(), 5)
    for frame in some_frames(random, toy, count):
        partition.step(frame)
        numbers = used(partition.timelines, partition.codes)
        assert numbers <= set(partition.codes.shape_codes.values())
        assert numbers.isdisjoint(partition.codes.free)


def test_numbers_that_nothing_has_are_given_away_lowest_first() -> None:
    codes = Codes()
    shapes = [Shape("login", application=str(n)) for n in range(6)]
    assert [codes.shape_codes[shape] for shape in shapes[:5]] == [0, 1, 2, 3, 4]
    codes.keep({1, 4})
    assert (len(codes), codes.kept, codes.free) == (2, 2, [3, 2, 0])
    assert [codes.shape_codes[shapes[n]] for n in (5, 1, 0)] == [0, 1, 2]
    assert [codes.shapes[n] for n in (0, 1, 2, 4)] == [shapes[5], shapes[1], shapes[0], shapes[4]]
    assert codes.known(shapes[2]) == shapes[2]
    assert codes.shape_codes[shapes[2]] == 3
