from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlator.event import FOREVER, MINUTE_MS, NEVER, SECOND_MS
from correlator.intake.arrival import Input, Merge, arrival, decode_arrival, encode_arrival

A, B, C = ("badge", 0), ("badge", 1), ("login", 0)
NOW = 1_767_947_400_000


def test_arrival_is_never_ahead_of_the_clock_nor_before_what_was_stated() -> None:
    assert arrival(NOW - 5, NOW, NEVER) == NOW - 5
    assert arrival(NOW + 5, NOW, NEVER) == NOW
    assert arrival(NOW - 5, NOW, NOW - 3) == NOW - 3
    assert arrival(NOW - 5, NOW - 9, NOW) == NOW  # a clock that was set back
    assert arrival(NOW + 5, FOREVER, NEVER) == NOW + 5  # files are held against no clock


@given(st.integers(-(10**17), 10**17))
def test_metadata_reads_back(stated_ms: int) -> None:
    assert decode_arrival(encode_arrival(stated_ms)) == stated_ms


@pytest.mark.parametrize(
    "metadata", ["", "a1:", "a1:x", "a2:5", "a1:5;6", "crc=1", "a1:99999999999999999999"]
)
def test_metadata_that_is_not_ours_says_nothing(metadata: str) -> None:
    assert decode_arrival(metadata) == NEVER


def test_never_is_stated_as_nothing() -> None:
    assert encode_arrival(NEVER) == ""


def test_more_than_five_minutes_ahead_of_the_smallest_head_waits() -> None:
    heads = {A: NOW, B: NOW + 5 * MINUTE_MS, C: NOW + 5 * MINUTE_MS + 1}
    assert Merge().held_back(heads, NOW) == {C}


def test_an_input_with_nothing_unread_holds_back_nobody() -> None:
    assert Merge().held_back({A: None, B: NOW + 60 * MINUTE_MS}, NOW) == set()
    assert Merge().held_back({}, NOW) == set()


def test_a_paused_input_holds_back_nobody() -> None:
    heads: dict[Input, int | None] = {A: NOW, B: NOW + 60 * MINUTE_MS}
    assert Merge().held_back(heads, NOW, {A}) == set()


def test_an_input_without_progress_for_thirty_seconds_holds_back_nobody() -> None:
    merge = Merge()
    heads: dict[Input, int | None] = {A: NOW, B: NOW + 60 * MINUTE_MS}
    assert merge.held_back(heads, 0) == {B}
    assert merge.held_back(heads, 30 * SECOND_MS - 1) == {B}
    assert merge.held_back(heads, 30 * SECOND_MS) == set()
    assert merge.held_back({**heads, A: NOW + 1}, 31 * SECOND_MS) == {B}  # it moves again


def test_time_spent_waiting_is_not_lack_of_progress() -> None:
    merge = Merge()
    for clock_ms in range(0, 120 * SECOND_MS, 10 * SECOND_MS):  # A moves, B waits
        assert merge.held_back({A: NOW + clock_ms, B: NOW + 60 * MINUTE_MS}, clock_ms) == {B}
    heads: dict[Input, int | None] = {A: NOW + 180 * MINUTE_MS, B: NOW + 60 * MINUTE_MS}
    assert merge.held_back(heads, 120 * SECOND_MS) == {A}  # B is the smallest now, and fresh


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from([A, B, C]), st.none() | st.integers(0, 10**7), min_size=1))
def test_the_smallest_head_is_never_held_back(heads: dict[Input, int | None]) -> None:
    held = Merge().held_back(heads, 0)
    unread = {q: head for q, head in heads.items() if head is not None}
    assert held <= unread.keys()
    if unread:
        smallest = min(unread.values())
        assert held == {q for q, head in unread.items() if head > smallest + 5 * MINUTE_MS}
