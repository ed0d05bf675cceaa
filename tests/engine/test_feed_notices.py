"""One notice a feed and site while verdicts wait for it too long; closed when it is back."""

from __future__ import annotations

import json

from correlator.engine.commit import Send
from correlator.engine.feed_notices import FeedNotices
from correlator.event import HOUR_MS, MINUTE_MS, Event, Place, make_event
from correlator.frame import Arrival, Frame, SourceMark
from correlator.timeline.partition import Partition
from tests.timeline.streams import START_MS, arrivals
from tests.timeline.toy import NoScorer, Toy, ToyProgram


def frame(minute: int, *sources: SourceMark, rows: tuple[tuple[str, Event], ...] = ()) -> Frame:
    return Frame("", rows, arrivals(START_MS + minute * MINUTE_MS), sources)


def heard(minute: int) -> SourceMark:
    at_ms = START_MS + minute * MINUTE_MS
    return SourceMark("c1", "badge", "a", "badge-events", 0, at_ms, 0, 1, at_ms - 1)


def login(minute: int) -> tuple[tuple[str, Event], ...]:
    event = make_event(START_MS + minute * MINUTE_MS, "1" * 16, "login", outcome="success", place=Place("a"))
    return (("identity:u", event),)


def told(sends: list[Send]) -> list[tuple[str, object]]:
    documents = [json.loads(send.value or b"{}") for send in sends]
    return [(document["state"], document.get("waiting")) for document in documents]


def test_a_dead_feed_is_told_once_a_minute_and_closed_when_it_is_back() -> None:
    partition, notices = Partition(ToyProgram(Toy()), NoScorer(), 0), FeedNotices("notices")
    dead = frame(0, heard(-5 * 24 * 60))
    partition.step(dead)
    partition.step(frame(1, rows=login(0)))
    assert notices.due([partition]) == [], "it may still come"
    partition.step(frame(30))
    sends = notices.due([partition])
    assert told(sends) == [("open", 1)]
    assert sends[0].key == b"feed_incomplete:access:a"
    document = json.loads(sends[0].value or b"")
    assert [s["source"] for s in document["missing"]] == ["c1"]
    assert notices.due([partition]) == [], "told already"
    partition.step(frame(31))
    assert told(notices.due([partition])) == [("open", 1)]
    partition.step(Frame("", (), (Arrival("badge-events", 0, 1, START_MS + HOUR_MS),), (heard(59),)))
    assert told(notices.due([partition])) == [("closed", None)]
