"""Marks: nobody is told "complete" while an event is still to come; quiet is not behind; nothing returns."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, NEVER, SECOND_MS
from correlator.frame import Arrival, SourceMark
from correlator.timeline.marks import Marks
from correlator.timeline.settings import FeedTiming, Settings, SiteTiming
from correlator.timeline.standing import standings
from correlator.timeline.week import business_ms, offset_min

PARTITIONS, SOURCES = 3, ("c1", "c2")
MONDAY_MS = 1_767_571_200_000  # 2026-01-05 00:00 UTC
OFFICE = tuple((day * 1440 + 7 * 60, day * 1440 + 19 * 60) for day in range(5))


def marks_of(feed: FeedTiming, site: SiteTiming | None = None) -> Marks:
    return Marks(Settings(feeds=(feed,), sites=(site,) if site else ()))


@given(st.randoms(use_true_random=False), st.integers(1, 60))
def test_complete_means_complete(random: Random, size: int) -> None:
    """Two intakes pass partitions to and fro; each source delivers in order, at most 50 ms late.

    What was complete before a source joined stays complete, whatever it brings.
    """
    feed = FeedTiming(
        "badge", "access", "raw", bound_ms=0, quiet_ms=50, silence_max_ms=400, site_silence_max_ms=800
    )
    clock, last = 1000, dict.fromkeys(SOURCES, 0)
    raw: dict[int, list[tuple[int, str, int, int]]] = {q: [] for q in range(PARTITIONS)}
    for number in range(size):
        clock += random.choice([0, 1, 10, 200])
        source = random.choice(SOURCES)
        last[source] = max(last[source], clock - random.randrange(51))
        raw[random.randrange(PARTITIONS)].append((clock, source, last[source], number))
    everything = [row for rows in raw.values() for row in rows]
    marks, delivered, told = marks_of(feed), set[int](), NEVER
    position, stated = dict.fromkeys(raw, 0), dict.fromkeys(raw, 0)  # both live in the committed offset
    joined = dict[str, int]()  # source -> what was complete then
    for _ in range(4 * size + 20):
        q = random.randrange(PARTITIONS)
        rows = raw[q][position[q] : position[q] + random.randrange(4)]
        position[q] += len(rows)
        if rows:
            stated[q] = max(stated[q], rows[-1][0])
        elif all(position[k] == len(raw[k]) for k in raw):
            stated[q] = max(stated[q], clock)
            clock += random.choice([0, 30])
        newest: dict[str, SourceMark] = {}
        for arrival_ms, source, event_ms, number in rows:
            delivered.add(number)
            joined.setdefault(source, told)
            known = newest[source].event_max_ms if source in newest else 0
            top_ms = max(known, event_ms)
            newest[source] = SourceMark(source, "badge", "lis", "raw", q, top_ms, 0, 1, arrival_ms)
        marks.fold([Arrival("raw", q, PARTITIONS, stated[q])], newest.values())
        complete_ms = marks.complete_ms("access", "lis")
        assert complete_ms >= told, "completeness went back"
        told = complete_ms
        for _, source, event_ms, number in everything:
            is_promised = source in joined and joined[source] <= event_ms < complete_ms
            assert number in delivered or not is_promised, (source, complete_ms)
    assert marks.load(marks.settings, marks.dump()).dump() == marks.dump()


def heard(source: str, event_ms: int, site: str = "lis") -> SourceMark:
    return SourceMark(source, "badge", site, "raw", 0, event_ms, 0, 1, event_ms)


def office_feed() -> FeedTiming:
    return FeedTiming("badge", "access", "raw", bound_ms=2 * MINUTE_MS, quiet_ms=MINUTE_MS)


def test_a_site_that_is_quiet_at_night_is_complete_and_says_what_was_assumed() -> None:
    marks = marks_of(office_feed(), SiteTiming("lis", "UTC", OFFICE))
    evening, night = MONDAY_MS + 19 * HOUR_MS + 2 * MINUTE_MS, MONDAY_MS + 27 * HOUR_MS
    marks.fold([Arrival("raw", 0, 1, evening + 1)], [heard("c7", evening)])
    marks.fold([Arrival("raw", 0, 1, night)], [])
    assert marks.complete_ms("access", "lis") == night - MINUTE_MS
    assert marks.assumed("access", "lis", night - HOUR_MS) == (
        "c7 quiet since 2026-01-05 19:02 UTC, taken as complete",
    )


def test_what_is_heard_after_the_verdict_breaks_no_silence_of_before() -> None:
    """It stands on one partition, and another one has not arrived to it: it is not counted yet."""
    marks = marks_of(office_feed(), SiteTiming("lis", "UTC", OFFICE))
    evening, verdict, next_read = (MONDAY_MS + hour * HOUR_MS for hour in (19, 26, 27))
    marks.fold([Arrival("raw", 0, 1, evening + 1)], [heard("c7", evening)])
    marks.fold([Arrival("raw", 0, 1, next_read)], [heard("c7", next_read)])
    assert marks.complete_ms("access", "lis") >= verdict
    assert marks.assumed("access", "lis", verdict) == (
        "c7 heard again at 2026-01-06 03:00 UTC, taken as complete",
    )


def test_what_was_assumed_says_the_day_of_a_silence_and_nothing_of_what_was_taken_out() -> None:
    days = SiteTiming("lis", "UTC", OFFICE, sources=(("badge", "c7"), ("badge", "c9")))
    marks = marks_of(office_feed(), days)
    friday, monday = MONDAY_MS + 4 * DAY_MS + 18 * HOUR_MS, MONDAY_MS + 7 * DAY_MS + 6 * HOUR_MS
    old = MONDAY_MS - 7 * DAY_MS
    marks.fold([Arrival("raw", 0, 1, old + 1)], [heard("taken-out", old)])
    marks.fold([Arrival("raw", 0, 1, friday + 1)], [heard("c7", friday)])
    marks.fold([], [SourceMark("c9", "badge", "", "raw", 0, NEVER, 0, 0, monday - MINUTE_MS)])
    marks.fold([Arrival("raw", 0, 1, monday)], [])
    assert marks.complete_ms("access", "lis") == monday - MINUTE_MS
    assert marks.assumed("access", "lis", monday - HOUR_MS) == (
        "c7 quiet since 2026-01-09 18:00 UTC, taken as complete",
        "c9 never reported anything, taken as complete",
    )


@pytest.mark.parametrize("heard_at", ["lis", "bos"])
def test_nobody_looks_for_a_source_that_was_taken_out_nor_for_those_of_a_closed_site(heard_at: str) -> None:
    """While it is heard it is there all the same."""
    sites = [SiteTiming("lis", "UTC", OFFICE, sources=(("badge", "old"),)), SiteTiming("bos", "UTC", OFFICE)]
    marks = Marks(Settings(feeds=(office_feed(),), sites=tuple(sites)))
    marks.fold([Arrival("raw", 0, 1, MONDAY_MS + 1)], [heard("old", MONDAY_MS, heard_at)])
    named = SiteTiming("lis", "UTC", OFFICE, sources=(("badge", "new"),))
    marks.use(Settings(feeds=(office_feed(),), sites=(named,)))
    assert ("old", False) in [(s.source, s.is_gone) for s in standings(marks)]
    marks.fold([Arrival("raw", 0, 1, MONDAY_MS + 7 * DAY_MS)], [])
    known = [(s.source, s.is_gone) for s in standings(marks)]
    assert known == [("new", False), *([("old", True)] if heard_at == "lis" else [])]
    assert marks.missing("access", heard_at, MONDAY_MS + 6 * DAY_MS) == []


def test_a_weekend_is_quiet_too() -> None:
    marks = marks_of(office_feed(), SiteTiming("lis", "UTC", OFFICE))
    friday, monday = MONDAY_MS + 4 * DAY_MS + 18 * HOUR_MS, MONDAY_MS + 7 * DAY_MS + 6 * HOUR_MS
    marks.fold([Arrival("raw", 0, 1, friday + 59 * MINUTE_MS)], [heard("c7", friday + 58 * MINUTE_MS)])
    marks.fold([Arrival("raw", 0, 1, monday)], [])
    assert marks.complete_ms("access", "lis") == monday - MINUTE_MS


@pytest.mark.parametrize(("sunday", "utc_offset"), [((2026, 3, 29), 2), ((2026, 10, 25), 1)])
def test_business_hours_are_kept_by_the_clock_on_the_wall(
    sunday: tuple[int, int, int], utc_offset: int
) -> None:
    """The clocks change on the Sunday: from Friday 18:00 to Monday 08:00 are one hour and one hour."""
    midnight_ms = int(datetime(*sunday, tzinfo=UTC).timestamp() * 1000)
    friday_ms = midnight_ms - 2 * DAY_MS + (18 - (3 - utc_offset)) * HOUR_MS
    monday_ms = midnight_ms + DAY_MS + (8 - utc_offset) * HOUR_MS
    assert business_ms(OFFICE, "Europe/Berlin", friday_ms, monday_ms) == 2 * HOUR_MS


def test_a_connector_that_died_at_nine_does_not_make_everybody_absent_at_ten() -> None:
    marks = marks_of(office_feed(), SiteTiming("lis", "UTC", OFFICE))
    nine, ten = MONDAY_MS + 9 * HOUR_MS, MONDAY_MS + 10 * HOUR_MS
    marks.fold([Arrival("raw", 0, 1, nine + 1)], [heard("c1", nine), heard("c2", nine - MINUTE_MS)])
    marks.fold([Arrival("raw", 0, 1, ten)], [])
    assert marks.complete_ms("access", "lis") < nine + MINUTE_MS
    assert marks.missing("access", "lis", ten - HOUR_MS) == [("c1", nine), ("c2", nine - MINUTE_MS)]


def test_a_connector_that_comes_back_is_not_believed_before_it_has_delivered() -> None:
    """It was down from nine to twelve and sends what it kept, one controller after the other."""
    marks = marks_of(office_feed(), SiteTiming("lis", "UTC", OFFICE))
    nine, noon = MONDAY_MS + 9 * HOUR_MS, MONDAY_MS + 12 * HOUR_MS
    marks.fold([Arrival("raw", 0, 1, nine + 1)], [heard("c1", nine), heard("c2", nine)])

    def after_noon(seconds: int, source: str, event_ms: int) -> int:
        now_ms = noon + seconds * SECOND_MS
        told = SourceMark(source, "badge", "lis", "raw", 0, event_ms, 0, 1, now_ms)
        marks.fold([Arrival("raw", 0, 1, now_ms + 1)], [told])
        return marks.complete_ms("access", "lis")

    assert after_noon(0, "c1", nine + MINUTE_MS) < nine + SECOND_MS, "its first record of three hours"
    assert after_noon(9, "c1", noon) < nine + SECOND_MS, "c2 has said nothing yet"
    assert after_noon(10, "c2", nine + HOUR_MS) < nine + HOUR_MS
    assert after_noon(19, "c2", noon) < noon
    marks.fold([Arrival("raw", 0, 1, noon + 16 * MINUTE_MS)], [heard("c1", noon + 15 * MINUTE_MS)])
    assert marks.complete_ms("access", "lis") >= noon, "c2 is quiet"


def test_a_source_that_sends_what_it_kept_is_not_quiet() -> None:
    """One controller of a busy site was down since Friday, longer than a source may be silent."""
    marks = marks_of(office_feed(), SiteTiming("lis", "UTC", OFFICE))
    friday, monday = MONDAY_MS - 3 * DAY_MS + 12 * HOUR_MS, MONDAY_MS + 12 * HOUR_MS
    marks.fold([Arrival("raw", 0, 1, friday + 1)], [heard("c1", friday), heard("c2", friday)])
    marks.fold([Arrival("raw", 0, 1, monday)], [heard("c1", monday - 20 * MINUTE_MS)])
    marks.fold([Arrival("raw", 0, 1, monday)], [heard("c1", monday - MINUTE_MS)])
    kept = SourceMark("c2", "badge", "lis", "raw", 0, friday + HOUR_MS, 0, 1, monday + 1)
    marks.fold([Arrival("raw", 0, 1, monday + 2)], [kept])
    assert marks.complete_ms("access", "lis") <= friday + HOUR_MS


def test_one_quiet_controller_does_not_hold_back_a_busy_site() -> None:
    marks = marks_of(office_feed(), SiteTiming("lis", "UTC", OFFICE))
    nine, ten = MONDAY_MS + 9 * HOUR_MS, MONDAY_MS + 10 * HOUR_MS
    marks.fold([Arrival("raw", 0, 1, nine + 1)], [heard("c1", nine), heard("c2", nine)])
    marks.fold([Arrival("raw", 0, 1, ten)], [heard("c2", ten - MINUTE_MS)])
    assert marks.complete_ms("access", "lis") == ten - 15 * MINUTE_MS


def test_now_is_the_least_arrival_and_a_paused_partition_does_not_hold_it_back() -> None:
    marks = marks_of(office_feed())
    marks.fold([Arrival("raw", 0, 2, 500)], [])
    assert marks.now_ms == NEVER, "partition 1 was never heard of"
    marks.fold([Arrival("raw", 1, 2, 300)], [])
    assert marks.now_ms == 300
    marks.fold([Arrival("raw", 1, 2, 300, is_paused=True)], [])
    assert marks.now_ms == 500
    assert marks.arrived_to("raw") == 300, "completeness waits for it"


def test_an_arrival_that_goes_back_is_ignored_and_counted() -> None:
    marks = marks_of(office_feed())
    marks.fold([Arrival("raw", 0, 1, 500)], [])
    marks.fold([Arrival("raw", 0, 1, 400)], [])
    assert (marks.arrived_to("raw"), marks.now_ms, marks.went_back) == (500, 500, 1)


def test_nobody_is_complete_past_what_has_arrived_whatever_clock_stamped_it() -> None:
    marks = marks_of(office_feed())
    marks.fold([Arrival("raw", 0, 1, 1000)], [SourceMark("c1", "badge", "lis", "raw", 0, 10**9, 0, 1, 900)])
    assert marks.complete_ms("access", "lis") <= 1000


def test_a_site_that_was_never_heard_is_not_complete() -> None:
    assert marks_of(office_feed()).complete_ms("access", "ber") == NEVER


@pytest.mark.parametrize(
    "zone",
    ["Europe/Lisbon", "Australia/Adelaide", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Chatham"],
)
def test_local_time_is_that_of_clocks_on_the_wall_also_where_they_change_on_the_half_hour(zone: str) -> None:
    for time_ms in range(MONDAY_MS, MONDAY_MS + 365 * DAY_MS, 10 * MINUTE_MS):
        there = datetime.fromtimestamp(time_ms / SECOND_MS, ZoneInfo(zone)).utcoffset()
        assert there is not None
        assert offset_min(zone, time_ms) * MINUTE_MS == there.total_seconds() * SECOND_MS, time_ms


@pytest.mark.parametrize("step_ms", [MINUTE_MS, 20 * MINUTE_MS, 15 * HOUR_MS])
def test_a_night_is_complete_in_however_large_steps_it_is_read(step_ms: int) -> None:
    """The last read is at 18:55; nothing comes any more. From 07:22 on that is no quiet site any more."""
    marks = marks_of(office_feed(), SiteTiming("lis", "UTC", OFFICE))
    evening, end = MONDAY_MS + 19 * HOUR_MS - 5 * MINUTE_MS, MONDAY_MS + 34 * HOUR_MS - 5 * MINUTE_MS
    marks.fold([Arrival("raw", 0, 1, evening + 1)], [heard("c7", evening)])
    for at_ms in range(evening + step_ms, end + 1, step_ms):
        marks.fold([Arrival("raw", 0, 1, at_ms)], [])
    dead_ms = MONDAY_MS + DAY_MS + 7 * HOUR_MS + 22 * MINUTE_MS + 30 * SECOND_MS
    assert dead_ms - 20 * MINUTE_MS <= marks.complete_ms("access", "lis") <= dead_ms
    assert [source for source, _ in marks.missing("access", "lis", end)] == ["c7"]


@given(st.randoms(use_true_random=False), st.integers(1, 12))
def test_nothing_is_complete_where_arrival_leapt_that_a_tick_a_minute_would_not_have_said(
    random: Random, size: int
) -> None:
    """A live run has ticks; a replay has the records alone, and one mark at their end."""
    site, feed = SiteTiming("lis", "UTC", OFFICE), office_feed()
    live, replayed = marks_of(feed, site), marks_of(feed, site)
    at_ms = MONDAY_MS + random.randrange(24) * HOUR_MS
    for number in range(size + 1):
        is_end = number == size
        next_ms = at_ms + (720 if is_end else random.choice([1, 5, 20, 90, 300, 1200])) * MINUTE_MS
        for tick_ms in range(at_ms, next_ms, MINUTE_MS):
            live.fold([Arrival("raw", 0, 1, tick_ms)], [])
        at_ms = next_ms
        late_ms = random.choice([0, 0, 0, 40 * MINUTE_MS])
        mark = SourceMark(random.choice(SOURCES), "badge", "lis", "raw", 0, at_ms - late_ms, 0, 1, at_ms)
        for marks in (live, replayed):
            marks.fold([Arrival("raw", 0, 1, at_ms)], [] if is_end else [mark])
        assert replayed.complete_ms("access", "lis") <= live.complete_ms("access", "lis")
