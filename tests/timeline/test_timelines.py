"""Whether a timeline lies open or packed is nobody's business."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.event import HOUR_MS, MINUTE_MS, Event, make_event
from correlator.timeline import timelines
from tests.timeline.streams import START_MS, live_frames, some_toys, streams
from tests.timeline.test_cases import frame, partition
from tests.timeline.test_promise import new_partition, state_of
from tests.timeline.toy import SomeRules, Toy


@pytest.fixture(autouse=True)
def _everything_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timelines, "OPEN_MAX", 0)


@given(streams(3, 40), some_toys, st.randoms(use_true_random=False))
def test_packed_after_every_frame_tells_the_same(events: list[Event], toy: Toy, random: Random) -> None:
    """The same changes and the same bytes as with every timeline open for ever."""
    packed, opened = new_partition(toy), new_partition(toy)
    for each in live_frames(events, toy, random):
        changes = packed.step(each)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(timelines, "OPEN_MAX", 1_000)
            assert opened.step(each) == changes
        assert not packed.timelines._open
        assert state_of(packed) == state_of(opened)


def test_one_that_comes_back_after_it_was_dropped_is_dropped_again() -> None:
    """Its first life asked to be looked at; that must not stand in the way of its second life's asking."""
    p, stray = partition(Toy(horizon_ms=HOUR_MS)), "unresolved:badge:4711"
    for start in (0, 90):
        failure = make_event(START_MS + start * MINUTE_MS, "1" * 16, "login", outcome="failure")
        p.step(frame(start, failure, entity=stray))
        assert stray in p.timelines
        p.step(frame(start + 62))
        assert stray not in p.timelines
    assert not p.idle.when


def test_an_activation_leaves_packed_what_it_does_not_fold() -> None:
    p = partition(Toy())
    p.step(frame(0, make_event(START_MS, "1" * 16, "login", outcome="failure"), entity="identity:u"))
    p.activate(SomeRules(Toy(), frozenset({"burst"}), frozenset()), START_MS + MINUTE_MS)
    assert [p.timelines.peek(entity).live for entity in p.timelines] == [None]
