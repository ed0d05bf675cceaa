"""One notice a feed and site while verdicts wait for it too long; closed when it is back."""

from __future__ import annotations

import json

import msgspec
import pytest

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.memory.clients import MemoryLogReader
from correlator.adapters.memory.log import MemoryLog
from correlator.engine.commit import Send
from correlator.engine.feed_notices import FeedNotices
from correlator.engine.ports import LogUnavailable, TopicPartition
from correlator.event import MINUTE_MS, NEVER, Event, Place, make_event
from correlator.frame import Arrival, Frame, SourceMark
from correlator.timeline.partition import Partition
from correlator.timeline.settings import FeedTiming, SiteTiming
from tests.timeline.streams import START_MS, arrivals
from tests.timeline.toy import NoScorer, Toy, ToyProgram, saved


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
    assert told(notices.due([partition])) == [("open", 0)], "nothing waits for long"
    partition.step(frame(30))
    sends = notices.due([partition])
    assert told(sends) == [("open", 1)]
    assert sends[0].key == b"feed_incomplete:access:a"
    document = json.loads(sends[0].value or b"")
    assert [s["source"] for s in document["missing"]] == ["c1"]
    assert notices.due([partition]) == [], "told already"
    partition.step(frame(31))
    assert told(notices.due([partition])) == [("open", 1)]
    partition.step(frame(60, heard(59)))
    assert told(notices.due([partition])) == [("closed", None)]


def test_of_records_without_a_site_the_notice_says_so() -> None:
    """Of logins from anywhere: there was a gap where the site is named."""
    partition, notices = Partition(ToyProgram(Toy()), NoScorer(), 0), FeedNotices("notices")
    nowhere = msgspec.structs.replace(heard(-5 * 24 * 60), site="")
    partition.step(frame(0, nowhere))
    opened = documents(notices.due([partition]))["feed_incomplete:access:"]["message"]
    assert "No access records of no site came since" in str(opened)
    partition.step(frame(30, msgspec.structs.replace(heard(30), site="")))
    closed = documents(notices.due([partition]))["feed_incomplete:access:"]["message"]
    assert "Records of access at no site come" in str(closed)


def test_a_notice_that_another_process_wrote_is_closed_by_who_takes_over() -> None:
    """The feed is back in the first frames that the successor folds: it never told of anything itself."""
    partition, notices = Partition(ToyProgram(Toy()), NoScorer(), 0), FeedNotices("notices")
    for each in (frame(0, heard(-5 * 24 * 60)), frame(1, rows=login(0)), frame(30)):
        partition.step(each)
    assert told(notices.due([partition])) == [("open", 1)]
    for is_back in (False, True):
        heir, restored = FeedNotices("notices"), saved(partition, ToyProgram(Toy()))
        heir.take_over([restored])
        restored.step(frame(31, heard(30)) if is_back else frame(31))
        assert told(heir.due([restored])) == [("closed", None) if is_back else ("open", 1)]


def documents(sends: list[Send]) -> dict[str, dict[str, object]]:
    return {(send.key or b"").decode(): json.loads(send.value or b"{}") for send in sends}


def test_a_clock_that_is_off_is_told_and_closed_when_it_is_right() -> None:
    partition, notices = Partition(ToyProgram(Toy()), NoScorer(), 0), FeedNotices("notices")

    def minutes(start: int, end: int, lag_ms: int) -> dict[str, dict[str, object]]:
        found: dict[str, dict[str, object]] = {}
        for minute in range(start, end):
            at_ms = START_MS + minute * MINUTE_MS
            mark = SourceMark(
                "c1", "badge", "a", "badge-events", 0, at_ms - max(0, lag_ms), lag_ms, 1, at_ms - 1
            )
            partition.step(frame(minute, mark))
            found |= documents(notices.due([partition]))
        return found

    assert minutes(0, 9, -90_000) == {}
    opened = minutes(9, 20, -90_000)
    assert list(opened) == ["clock_off:badge:c1"]
    assert opened["clock_off:badge:c1"]["skew_s"] == 90
    assert opened["clock_off:badge:c1"]["state"] == "open"
    assert "about 90 s ahead" in str(opened["clock_off:badge:c1"]["message"])
    assert minutes(20, 60, -90_000) == {}, "told already"
    assert minutes(60, 75, -90_000).keys() == {"clock_off:badge:c1"}, "told again after an hour"
    assert minutes(75, 210, 500)["clock_off:badge:c1"]["state"] == "closed"


def test_a_configured_source_that_was_never_heard_is_told_after_an_hour() -> None:
    sites = (SiteTiming("a", "UTC", sources=(("badge", "c1"), ("badge", "c9"), ("gone", "c1"))),)
    partition, notices = Partition(ToyProgram(Toy()), NoScorer(), 0), FeedNotices("notices")
    partition.marks.use(msgspec.structs.replace(partition.marks.settings, sites=sites))
    told_by_minute = {}
    for minute in range(0, 90, 5):
        partition.step(frame(minute, heard(minute)))
        if sends := notices.due([partition]):
            told_by_minute[minute] = documents(sends)
    assert list(told_by_minute) == [60]
    assert list(told_by_minute[60]) == ["source_never_heard:badge:c9"]
    beat = SourceMark("c9", "badge", "", "badge-events", 0, NEVER, 0, 0, START_MS + 90 * MINUTE_MS)
    partition.step(frame(91, beat))
    assert told(notices.due([partition])) == [("closed", None)]


def with_sources(partition: Partition) -> Partition:
    """Nobody has heard c9 yet."""
    sites = (SiteTiming("a", "UTC", sources=(("badge", "c1"), ("badge", "c9"))),)
    partition.marks.use(msgspec.structs.replace(partition.marks.settings, sites=sites))
    return partition


@pytest.mark.parametrize("heard_at", [61, 70, 200])
def test_that_a_source_was_never_heard_is_closed_after_a_restart_too(heard_at: int) -> None:
    """At 61 it is heard before the restart, which comes before the process has looked."""
    log = MemoryLog(SimulatedClock(1))
    log.create_topic("notices", 1)
    partition, notices = with_sources(Partition(ToyProgram(Toy()), NoScorer(), 0)), FeedNotices("notices")
    at_ms = START_MS + heard_at * MINUTE_MS
    beat = SourceMark("c9", "badge", "", "badge-events", 0, NEVER, 0, 0, at_ms)

    def told_by(of: FeedNotices, by: Partition) -> list[tuple[str, object]]:
        sends = of.due([by])
        for send in sends:
            log.append(TopicPartition(send.topic, 0), send.key, send.value)
        return told(sends)

    log.append(TopicPartition("notices", 0), None, b"of somebody else")
    sent = []
    for minute in range(61):
        partition.step(frame(minute, heard(minute)))
        sent += told_by(notices, partition)
    assert sent == [("open", None)]
    if heard_at == 61:
        partition.step(Frame("", (), arrivals(START_MS + 60 * MINUTE_MS + 1), (beat,)))
        assert told_by(notices, partition) == []
    heir, restored = FeedNotices("notices"), with_sources(saved(partition, ToyProgram(Toy())))
    heir.take_over([restored])
    heir.adopt(MemoryLogReader(log))
    for minute in range(61, heard_at):
        restored.step(frame(minute, heard(minute)))
        assert told_by(heir, restored) == [], "the notice stands"
    restored.step(frame(heard_at + 1, beat))
    assert told_by(heir, restored) == [("closed", None)]
    last = FeedNotices("notices")
    last.take_over([restored])
    last.adopt(MemoryLogReader(log))
    restored.step(frame(heard_at + 2))
    assert told_by(last, restored) == [], "it was closed"


def test_where_the_topic_cannot_be_read_the_next_take_over_tries_again() -> None:
    log = MemoryLog(SimulatedClock(1))
    log.create_topic("notices", 1)
    open_notice = {"kind": "clock_off", "feed": "badge", "source": "c1", "state": "open"}
    log.append(TopicPartition("notices", 0), b"key", json.dumps(open_notice).encode())
    partition, notices = Partition(ToyProgram(Toy()), NoScorer(), 0), FeedNotices("notices")
    reader, asked = MemoryLogReader(log), list[int]()

    class Away(MemoryLogReader):
        def high_watermark(self, partition: TopicPartition) -> int:
            asked.append(partition.partition)
            raise LogUnavailable("a transaction hangs")

    partition.step(frame(0, heard(0)))
    notices.take_over([partition])
    for _ in range(2):
        notices.adopt(Away(log))
    assert asked == [0], "once, for it may take a minute"
    assert notices.due([partition]) == []
    notices.forget()
    notices.take_over([partition])
    notices.adopt(reader)
    assert told(notices.due([partition])) == [("closed", None)]


def test_who_gives_a_partition_away_closes_nothing() -> None:
    partition, notices = Partition(ToyProgram(Toy()), NoScorer(), 0), FeedNotices("notices")
    other = Partition(ToyProgram(Toy()), NoScorer(), 1)
    for each in (partition, other):
        each.step(frame(0, heard(-5 * 24 * 60)))
    assert told(notices.due([partition, other])) == [("open", 0)]
    notices.take_over([other])
    assert notices.due([other]) == [], "whoever has the first partition now tells of it"
    notices.take_over([partition, other])
    assert notices.due([partition, other]) == []
    for each in (partition, other):
        each.step(frame(1))
    assert told(notices.due([partition, other])) == [("open", 0)], "again, should nobody have told of it"


def test_a_source_that_changes_topic_is_missed_and_the_notice_says_where_it_is_heard() -> None:
    """c1 is heard in `badge` until minute 0, and in `badge2`, on another topic, from then on."""
    partition, notices = Partition(ToyProgram(Toy()), NoScorer(), 0), FeedNotices("notices")
    feeds = (*partition.marks.settings.feeds, FeedTiming("badge2", "access", "badge2-events", bound_ms=0))
    site = SiteTiming("a", "UTC", tuple((day * 1440, day * 1440 + 1440) for day in range(7)))
    partition.marks.use(msgspec.structs.replace(partition.marks.settings, feeds=feeds, sites=(site,)))
    partition.step(frame(0, heard(0)))
    found: dict[str, dict[str, object]] = {}
    for minute in range(1, 40):
        at_ms = START_MS + minute * MINUTE_MS
        moved = SourceMark("c1", "badge2", "a", "badge2-events", 0, at_ms, 0, 1, at_ms)
        everywhere = (*arrivals(at_ms + 1), Arrival("badge2-events", 0, 1, at_ms + 1))
        rows = login(5) if minute == 5 else ()
        partition.step(Frame("", rows, everywhere, (moved,)))
        found |= documents(notices.due([partition]))
    assert list(found) == ["feed_incomplete:access:a"]
    notice = found["feed_incomplete:access:a"]
    assert notice["waiting"] == 1, "nothing is decided on half of what the site says"
    assert "Heard in another feed: c1 in badge2. If it has moved, deploy without" in str(notice["message"])
    without = msgspec.structs.replace(partition.marks.settings, feeds=feeds[1:])
    partition.marks.use(without)
    at_ms = START_MS + 41 * MINUTE_MS
    moved = SourceMark("c1", "badge2", "a", "badge2-events", 0, at_ms, 0, 1, at_ms)
    for late in (0, 1):
        everywhere = (*arrivals(at_ms + late), Arrival("badge2-events", 0, 1, at_ms + late))
        partition.step(Frame("", (), everywhere, (moved,)))
    partition.step(frame(45))
    assert told(notices.due([partition])) == [("closed", None)]


def test_a_statement_of_arrival_that_goes_back_is_counted_and_changes_nothing() -> None:
    partition = Partition(ToyProgram(Toy()), NoScorer(), 0)
    partition.step(frame(10, heard(9)))
    before = partition.marks.dump()
    assert partition.take_counters() == {}
    partition.step(frame(5))
    assert partition.take_counters() == {("correlator_marks_went_back_total",): 2}
    assert partition.now_ms == START_MS + 10 * MINUTE_MS
    partition.marks.went_back = 0
    assert partition.marks.dump() == before


def test_of_a_controller_that_was_taken_out_and_of_a_closed_site_nothing_is_told() -> None:
    """Their clocks were off, and they are silent for days: nobody is to set these right, nor to look."""
    partition, notices = Partition(ToyProgram(Toy()), NoScorer(), 0), FeedNotices("notices")
    for minute in range(0, 120, 2):
        at_ms = START_MS + minute * MINUTE_MS
        old = SourceMark("c1", "badge", "a", "badge-events", 0, at_ms, -90_000, 1, at_ms - 1)
        partition.step(frame(minute, old, msgspec.structs.replace(old, source="c2", site="b")))
    assert len(told(notices.due([partition]))) == 2, "both clocks are off"
    named = SiteTiming("a", "UTC", sources=(("badge", "c9"),))
    partition.marks.use(msgspec.structs.replace(partition.marks.settings, sites=(named,)))
    partition.step(frame(120 + 6 * 24 * 60))
    found = [(send.key, state) for send in notices.due([partition]) for state, _ in told([send])]
    assert sorted(found) == [
        (b"clock_off:badge:c1", "closed"),
        (b"clock_off:badge:c2", "closed"),
        (b"source_never_heard:badge:c9", "open"),
    ]
