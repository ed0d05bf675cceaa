"""Counting windows against the definition written once more: the last timespan, counted afresh."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlator.event import MINUTE_MS, Event, Place
from correlator.rules.program import RuleProgram
from correlator.rules.rule import Operator
from correlator.timeline.live import Match, Window
from tests.rules.writing import SETTINGS, access, counting, found_by, load, observe

SPAN_MS = 10 * MINUTE_MS


@cache
def program(kind: str, condition: str, group: str = "identity.id") -> RuleProgram:
    text = f"type: {kind}\nrules: [base]\ngroup-by: [{group}]\ntimespan: 10m\ncondition: {{{condition}}}"
    rules, problems = load(counting(text))
    assert not problems, problems
    return RuleProgram(rules, SETTINGS)


def fold(using: RuleProgram, events: list[Event], *, is_pruned: bool = False) -> list[Match]:
    windows: tuple[Window, ...] = ()
    found: list[Match] = []
    for event in events:
        if is_pruned:
            windows = using.prune(windows, event.time_ms)
        result = found_by(using, observe(event), windows)
        windows = result.windows
        found += result.matches
    return found


def reads(*minutes: float, door: str = "d") -> list[Event]:
    return [access(round(m * MINUTE_MS), f"{at:03}", place=Place(door=door)) for at, m in enumerate(minutes)]


def test_events_exactly_one_timespan_apart_count_together() -> None:
    using = program("event_count", "gte: 2")
    assert [m.event_id for m in fold(using, reads(0, 10))] == ["001"]
    assert fold(using, reads(0, 10.0001)) == []


def test_the_window_slides() -> None:
    using = program("event_count", "gte: 3")
    assert [m.event_id for m in fold(using, reads(0, 9, 11, 12))] == ["003"]


def test_every_event_over_the_threshold_matches_and_names_the_newest_that_decide() -> None:
    found = fold(program("event_count", "gte: 3"), reads(0, 1, 2, 3))
    assert [m.evidence for m in found] == [("000", "001", "002"), ("001", "002", "003")]
    assert [m.count for m in found] == [3, 3]


def test_an_event_without_a_group_field_does_not_enter() -> None:
    using = program.__wrapped__("event_count", "gte: 2", "identity.id, place.zone")
    assert fold(using, reads(0, 1, 2)) == []
    assert using.groupless == {next(iter(using.rules)): 3}


def test_groups_do_not_mix() -> None:
    using = program("event_count", "gte: 2", "identity.id, place.door")
    mixed = sorted([*reads(0, 5, door="a"), *reads(1, 2, door="b")], key=lambda e: e.order)
    assert len(fold(using, mixed)) == 2
    assert fold(using, [*reads(0, door="a"), *reads(1, door="b")]) == []


def test_an_event_without_the_counted_field_is_skipped() -> None:
    using = program("value_count", "field: place.door, gte: 2")
    events = [*reads(0, door="a"), access(MINUTE_MS, "x"), *reads(2, door="b")]
    assert len(fold(using, events)) == 1


def test_several_counted_fields_are_distinct_tuples() -> None:
    using = program("value_count", "field: [place.door, credential.id], gte: 3")
    events = [
        access(at, f"{at}", place=Place(door=door), credential=card)
        for at, (door, card) in enumerate([("a", "1"), ("a", "2"), ("a", "1"), ("b", "1")])
    ]
    assert [m.event_id for m in fold(using, events)] == ["3"]


def test_a_range_is_two_thresholds() -> None:
    found = fold(program("event_count", "gte: 2, lte: 3"), reads(0, 1, 2, 3, 4))
    assert [m.event_id for m in found] == ["001", "002"]


@pytest.mark.parametrize("operator", ["lt", "lte", "gt", "gte", "eq", "neq"])
@given(data=st.data())
@settings(max_examples=40)
def test_windows_equal_the_definition(operator: Operator, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["event_count", "value_count"]))
    number = data.draw(st.integers(0, 4))
    gaps = data.draw(
        st.lists(st.sampled_from([0, 1, MINUTE_MS, 4 * MINUTE_MS, SPAN_MS, SPAN_MS + 1]), max_size=14)
    )
    doors = data.draw(st.lists(st.sampled_from("abcd"), min_size=len(gaps), max_size=len(gaps)))
    events, time_ms = [], 0
    for at, (gap_ms, door) in enumerate(zip(gaps, doors, strict=True)):
        time_ms += gap_ms
        events.append(access(time_ms, f"{at:03}", place=Place(door=door)))
    field = "field: place.door, " if kind == "value_count" else ""
    using = program(kind, f"{field}{operator}: {number}")
    expected = [e.id for e in events if _expected(kind, operator, number, events, e)]
    assert [m.event_id for m in fold(using, events)] == expected
    assert fold(using, events, is_pruned=True) == fold(using, events)


def _expected(kind: str, operator: str, number: int, events: list[Event], last: Event) -> bool:
    seen = [e for e in events if last.time_ms - SPAN_MS <= e.time_ms and e.order <= last.order]
    doors: set[Any] = {e.place.door for e in seen if e.place}
    count = len(seen) if kind == "event_count" else len(doors)
    return {
        "lt": count < number,
        "lte": count <= number,
        "gt": count > number,
        "gte": count >= number,
        "eq": count == number,
        "neq": count != number,
    }[operator]


def test_windows_are_bounded_by_what_decides() -> None:
    using = program("event_count", "gt: 3")
    windows: tuple[Window, ...] = ()
    for event in reads(*[m / 100 for m in range(500)]):
        windows = found_by(using, observe(event), windows).windows
    assert [len(w.entries) for w in windows] == [4]


def test_pruned_windows_are_gone() -> None:
    using = program("event_count", "gte: 2")
    windows = found_by(using, observe(reads(0)[0]), ()).windows
    assert using.prune(windows, SPAN_MS) == windows
    assert using.prune(windows, SPAN_MS + 1) == ()
