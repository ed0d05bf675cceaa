"""Inputs are merged by arrival: one that runs ahead of the others waits (decision 5)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from correlator.engine.inputs import Input, Inputs
from correlator.engine.ports import TopicPartition
from correlator.event import FOREVER, MINUTE_MS, SECOND_MS
from correlator.record import Record, Reject

NOW = 1_767_571_200_000


def inputs(arrivals: dict[int, list[int]], unread: frozenset[int] = frozenset()) -> Inputs:
    """Partitions of one topic with what was polled of each; those of *unread* have more in the log."""
    made = Inputs()
    for q, times in arrivals.items():
        where = TopicPartition("raw", q)
        end = len(times) + (1 if q in unread else 0)
        made.by_key["raw", q] = Input(where, None, len(times), end)
        made.receive(Record("raw", q, n, at_ms, None, b"") for n, at_ms in enumerate(times))
    return made


def taken(made: Inputs, now_ms: int = 0, span_ms: int = FOREVER) -> list[tuple[int, int]]:
    records = made.take(1_000, span_ms, NOW + 24 * 60 * MINUTE_MS, now_ms)
    return [(record.partition, record.timestamp_ms - NOW) for record in records]


@given(st.dictionaries(st.integers(0, 3), st.lists(st.integers(0, 10**6)).map(sorted)))
def test_everything_is_taken_in_order_of_arrival(times: dict[int, list[int]]) -> None:
    got = taken(inputs({q: [NOW + at for at in row] for q, row in times.items()}))
    assert [at for _, at in got] == sorted(at for row in times.values() for at in row)


def test_more_than_a_second_ahead_of_an_input_whose_next_record_is_unknown_waits_for_a_poll_or_two() -> None:
    made = inputs({0: [NOW], 1: [NOW + SECOND_MS, NOW + SECOND_MS + 1]}, unread=frozenset({0}))
    assert taken(made) == [(0, 0), (1, SECOND_MS)]
    assert made.by_key["raw", 1].next_offset == 1, "what waits is not committed"
    assert taken(made, 1) == []
    assert taken(made, 500) == []
    assert taken(made, 501) == [(1, SECOND_MS + 1)]


def test_more_than_five_minutes_ahead_of_it_waits_longer() -> None:
    made = inputs({0: [NOW], 1: [NOW + 5 * MINUTE_MS, NOW + 5 * MINUTE_MS + 1]}, unread=frozenset({0}))
    assert taken(made) == [(0, 0)]
    assert taken(made, 1) == []
    assert taken(made, 501) == [(1, 5 * MINUTE_MS)]


def test_an_input_at_its_end_holds_back_nobody() -> None:
    assert taken(inputs({0: [NOW], 1: [NOW + 60 * MINUTE_MS]})) == [(0, 0), (1, 60 * MINUTE_MS)]


def test_an_input_silent_for_half_a_minute_holds_back_nobody() -> None:
    made = inputs({0: [NOW], 1: [NOW + 60 * MINUTE_MS]}, unread=frozenset({0}))
    assert taken(made) == [(0, 0)]
    assert taken(made, 1) == []
    assert taken(made, 30 * SECOND_MS) == []
    assert taken(made, 30 * SECOND_MS + 1) == [(1, 60 * MINUTE_MS)]


def test_a_stopped_input_is_not_taken_and_holds_back_nobody() -> None:
    made = inputs({0: [NOW], 1: [NOW + 60 * MINUTE_MS]}, unread=frozenset({0}))
    made.by_key["raw", 0].is_stopped = True
    assert taken(made) == [(1, 60 * MINUTE_MS)]


def test_one_step_takes_no_more_than_its_span_of_arrival() -> None:
    made = inputs({0: [NOW, NOW + MINUTE_MS, NOW + 2 * MINUTE_MS]})
    assert taken(made, span_ms=MINUTE_MS) == [(0, 0), (0, MINUTE_MS)]


def test_dead_letters_of_one_input_are_counted_in_a_row_whatever_the_others_give() -> None:
    """One record of the bad input comes in a thousand of the good one: most steps have none of it."""
    made = inputs({0: [], 1: []})
    reject = Reject("decode", "unknown_schema", "")
    stopped: list[Input] = []
    for n in range(6):
        bad, good = Record("raw", 0, n, NOW, None, b""), Record("raw", 1, n, NOW, None, b"")
        stopped += made.judge([good, bad], [(bad, reject)], 4)
        stopped += made.judge([good], [], 4)
    assert [found.where.partition for found in stopped] == [0]
    assert made.by_key["raw", 0].bad_in_a_row == 6
    made.judge([Record("raw", 0, 7, NOW, None, b"")], [], 4)
    assert made.by_key["raw", 0].bad_in_a_row == 0, "one that can be used ends the row"
