"""What is usual in an hour of the week is learned, and missed; heartbeats are asked before that."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, NEVER, SECOND_MS
from correlator.frame import Arrival, SourceMark
from correlator.timeline.marks import Marks
from correlator.timeline.quiet import BEATS_MISSED
from correlator.timeline.settings import FeedTiming, Settings, SiteTiming
from correlator.timeline.silences import (
    EXPECTED_MAX,
    HOURS,
    NOTHING,
    Sums,
    Usual,
    expected,
    is_missed,
    longest_ms,
)

MONDAY_MS = 1_767_571_200_000  # 2026-01-05 00:00 UTC
WEEK_MS = 7 * DAY_MS
BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = tuple((day * 1440 + 7 * 60, day * 1440 + 19 * 60) for day in range(5))
FEED = FeedTiming("badge", "access", "raw", bound_ms=0, quiet_ms=MINUTE_MS)


class Site:
    """One site in UTC, with controllers c1 and c2, and what it says of itself."""

    def __init__(self, feed: FeedTiming = FEED, *, sources: tuple[tuple[str, str], ...] = ()) -> None:
        self.settings = Settings(feeds=(feed,), sites=(SiteTiming("lis", "UTC", OFFICE, sources),))
        self.marks = Marks(self.settings)

    def read(self, at_ms: int, source: str = "c1", count: int = 1, *, event_ms: int | None = None) -> None:
        told_ms = at_ms - SECOND_MS if event_ms is None else event_ms
        mark = SourceMark(source, "badge", "lis", "raw", 0, told_ms, at_ms - told_ms, count, at_ms)
        self.marks.fold([Arrival("raw", 0, 1, at_ms)], [mark])

    def beat(self, at_ms: int, source: str = "c1") -> None:
        mark = SourceMark(source, "badge", "", "raw", 0, NEVER, 0, 0, at_ms)
        self.marks.fold([Arrival("raw", 0, 1, at_ms)], [mark])

    def until(self, at_ms: int) -> int:
        """Nothing more until *at_ms*; what the site is complete to then."""
        self.marks.fold([Arrival("raw", 0, 1, at_ms)], [])
        return self.marks.complete_ms("access", "lis")

    def reads(self, start_ms: int, end_ms: int, by_hour: int) -> None:
        """Every five minutes, of both controllers."""
        for number, at_ms in enumerate(range(start_ms, end_ms, 5 * MINUTE_MS)):
            self.read(at_ms, "c1" if number % 3 else "c2", by_hour // 12)

    def weeks(self, count: int, *, by_day: int, by_night: int) -> int:
        """So many weeks of so many reads an hour, every five minutes; when they are over."""
        for hour in range(count * HOURS):
            start_ms = MONDAY_MS + hour * HOUR_MS
            is_day = hour % HOURS < 120 and 7 <= hour % 24 < 19
            if by_hour := by_day if is_day else by_night:
                self.reads(start_ms + MINUTE_MS, start_ms + HOUR_MS, by_hour)
        return MONDAY_MS + count * WEEK_MS


def test_a_busy_site_is_missed_at_night_once_it_is_known_that_it_works_at_night() -> None:
    """A connector that died at 02:00 on Tuesday. Configured is that a night of silence is nothing."""
    for weeks, is_noticed in ((1, False), (3, True)):
        site = Site()
        end_ms = site.weeks(weeks, by_day=240, by_night=120)
        died_ms = end_ms + DAY_MS + 2 * HOUR_MS
        site.reads(end_ms, died_ms + 1, 120)
        assert (site.until(died_ms + HOUR_MS) <= died_ms + 10 * MINUTE_MS) == is_noticed


def test_a_site_that_is_quiet_at_night_stays_quiet() -> None:
    site = Site()
    end_ms = site.weeks(4, by_day=240, by_night=0)
    monday_ms = end_ms + 7 * HOUR_MS
    assert site.until(monday_ms) == monday_ms - MINUTE_MS * 15, "the weekend too"
    (told,) = site.marks.assumed("access", "lis", monday_ms - HOUR_MS)[:1]
    assert told == "c1 quiet since 2026-01-30 18:56 UTC, taken as complete"


def test_who_comes_late_in_the_first_hour_is_no_outage() -> None:
    """Nobody before 07:10 on a day, where 240 an hour are usual from seven on."""
    site = Site()
    end_ms = site.weeks(4, by_day=240, by_night=0)
    seven_ms = end_ms + 7 * HOUR_MS
    assert site.until(seven_ms + 10 * MINUTE_MS) > end_ms + 6 * HOUR_MS


def test_in_business_hours_a_busy_site_is_complete_sooner() -> None:
    """Where 240 an hour are usual, five minutes are long enough to notice that it died."""
    site = Site()
    noon_ms = site.weeks(4, by_day=240, by_night=0) + 12 * HOUR_MS
    site.reads(noon_ms - HOUR_MS, noon_ms + 1, 240)
    complete_ms = site.until(noon_ms + 4 * MINUTE_MS)
    assert noon_ms - 7 * MINUTE_MS < complete_ms <= noon_ms
    assert site.until(noon_ms + 14 * MINUTE_MS) <= noon_ms, "it is dead, though 15 minutes are configured"


def test_one_controller_of_a_busy_site_is_missed_by_its_share() -> None:
    site = Site()
    noon_ms = site.weeks(4, by_day=240, by_night=0) + 12 * HOUR_MS
    for minute in range(0, 5 * 60, 5):
        site.read(noon_ms - HOUR_MS + minute * MINUTE_MS, "c1", 20)
        if minute <= 60:
            site.read(noon_ms - HOUR_MS + minute * MINUTE_MS, "c2", 6)
    most_ms = 15 * MINUTE_MS  # in which 20 are usual of c2
    assert site.until(noon_ms + 4 * HOUR_MS) <= noon_ms + most_ms
    missing = site.marks.missing("access", "lis", noon_ms + HOUR_MS)
    assert missing == [("c2", noon_ms)]


def test_nothing_is_learned_from_an_outage_nor_from_what_was_kept() -> None:
    site = Site()
    end_ms = site.weeks(4, by_day=240, by_night=120)
    before = site.marks._sums["badge", "lis"]()
    site.read(end_ms + 3 * DAY_MS, count=5_000, event_ms=end_ms)  # back, with what it kept
    site.read(end_ms + 3 * DAY_MS + MINUTE_MS, count=5)
    site.read(end_ms + 3 * DAY_MS + 2 * HOUR_MS, count=5)
    after = site.marks._sums["badge", "lis"]()
    changed = [
        hour for hour in range(HOURS) if after[hour + 1] - after[hour] != before[hour + 1] - before[hour]
    ]
    assert set(changed) <= {72, 73, 74, 75}, "but the hours since it is back"


# ------------------------------------------------------------------------------ heartbeats


def test_a_source_that_beats_and_never_had_an_event_is_alive() -> None:
    site = Site(sources=(("badge", "c9"),))
    noon_ms = MONDAY_MS + 12 * HOUR_MS
    assert site.until(noon_ms) == NEVER, "a source that was never heard is not waited for, nor complete"
    for minute in range(0, 40, 5):
        site.beat(noon_ms + minute * MINUTE_MS, "c9")
    assert site.until(noon_ms + 36 * MINUTE_MS) == noon_ms + 21 * MINUTE_MS


def test_a_heartbeat_of_a_source_that_nobody_knows_is_of_no_site() -> None:
    site = Site()
    site.beat(MONDAY_MS)
    assert site.marks.sources == {}


def test_a_source_that_beats_may_be_silent_for_long() -> None:
    """Four hours are the most that a source may be silent in business hours."""
    for is_beating in (True, False):
        site, nine_ms = Site(), MONDAY_MS + 9 * HOUR_MS
        site.read(nine_ms, "c1")
        site.read(nine_ms, "c2")
        for minute in range(0, 6 * 60, 5):
            site.read(nine_ms + minute * MINUTE_MS, "c2")
            if is_beating:
                site.beat(nine_ms + minute * MINUTE_MS, "c1")
        end_ms = nine_ms + 6 * HOUR_MS
        assert (site.until(end_ms) == end_ms - 15 * MINUTE_MS) == is_beating


def test_a_source_that_stops_beating_is_silent_and_is_not_believed_at_once_when_it_is_back() -> None:
    site, nine_ms = Site(), MONDAY_MS + 9 * HOUR_MS
    site.read(nine_ms, "c1")
    for minute in range(0, 6 * 60, 5):
        site.read(nine_ms + minute * MINUTE_MS, "c2")
        if not 60 < minute < 300:
            site.beat(nine_ms + minute * MINUTE_MS, "c1")
        died_ms = nine_ms + HOUR_MS
        if 60 < minute < 300:
            assert site.until(nine_ms + minute * MINUTE_MS + 1) <= died_ms + BEATS_MISSED * 5 * MINUTE_MS
        if 300 <= minute < 315:
            assert site.until(nine_ms + minute * MINUTE_MS + 1) <= died_ms + BEATS_MISSED * 5 * MINUTE_MS
    end_ms = nine_ms + 6 * HOUR_MS
    assert site.until(end_ms) == end_ms - 15 * MINUTE_MS


# --------------------------------------------------------------------------- what is kept


told = st.tuples(
    st.sampled_from(["c1", "c2"]), st.sampled_from([0, 1, 30]), st.integers(0, 600), st.booleans()
)


@given(st.lists(told, max_size=80), st.integers(0, 80))
def test_what_is_usual_survives_a_checkpoint_anywhere(
    drawn: list[tuple[str, int, int, bool]], cut: int
) -> None:
    one, other, at_ms = Site(), Site(), MONDAY_MS
    for number, (source, count, minutes, is_late) in enumerate(drawn):
        at_ms += minutes * MINUTE_MS
        for site in (one, other):
            if count:
                site.read(at_ms, source, count, event_ms=at_ms - HOUR_MS if is_late else None)
            else:
                site.beat(at_ms, source)
        if number == cut:
            other.marks = Marks.load(other.settings, other.marks.dump())
    assert one.until(at_ms + 1) == other.until(at_ms + 1)
    assert one.marks.dump() == other.marks.dump()
    for group in one.marks._usual:
        assert one.marks._sums.get(group, NOTHING)() == other.marks._sums.get(group, NOTHING)()


rates = st.lists(st.integers(0, 400), min_size=HOURS, max_size=HOURS)


@given(rates, st.integers(0, 2 * HOURS * 60), st.integers(0, 3 * HOURS * 60))
def test_expected_is_what_the_minutes_add_up_to(hours: list[int], start_min: int, minutes: int) -> None:
    usual = Usual(weeks=[2] * HOURS, rates=[100 * rate for rate in hours])
    start_ms = MONDAY_MS + start_min * MINUTE_MS
    found = expected(usual.sums(), "UTC", start_ms, start_ms + minutes * MINUTE_MS)
    slots = [(start_min + minute) // 60 % HOURS for minute in range(minutes)]
    wanted = sum(min(hours[s - 1], hours[s], hours[(s + 1) % HOURS]) for s in slots) * 100 / 60
    assert found == pytest.approx(wanted, abs=2)


@pytest.mark.parametrize("friday", ["2026-03-20", "2026-03-27", "2026-10-23"])
def test_a_weekend_in_which_clocks_change_is_no_hour_of_monday_more_or_less(friday: str) -> None:
    """Offices from eight to six, silent since Friday evening; ten hours less their edges are usual."""
    week_rates = [24_000 if hour < 120 and 8 <= hour % 24 < 18 else 0 for hour in range(HOURS)]
    sums = Usual(weeks=[2] * HOURS, rates=week_rates).sums()
    evening = datetime.fromisoformat(f"{friday}T18:00").replace(tzinfo=BERLIN)
    for hour, records in ((9, 0), (10, 240), (11, 480)):
        monday = evening + timedelta(days=3, hours=hour - 18)  # by the clock on the wall
        span = (round(evening.timestamp()) * SECOND_MS, round(monday.timestamp()) * SECOND_MS)
        assert expected(sums, "Europe/Berlin", *span) == 100 * records


def test_a_repeated_hour_is_as_long_as_it_is_and_a_skipped_one_is_missed_by_nobody() -> None:
    sums = Usual(weeks=[2] * HOURS, rates=[6_000] * HOURS).sums()
    for night in ("2026-03-29T01:00", "2026-10-25T01:00", "2026-06-07T01:00"):  # UTC
        change_ms = round(datetime.fromisoformat(f"{night}Z").timestamp()) * SECOND_MS
        span = (change_ms - 20 * MINUTE_MS, change_ms + 20 * MINUTE_MS)
        assert expected(sums, "Europe/Berlin", *span) == 4_000


@given(rates, st.integers(0, HOURS * 60 * MINUTE_MS), st.integers(-1, HOURS * 30 * MINUTE_MS))
def test_what_is_surely_quiet_is_not_missed(hours: list[int], start_ms: int, longer_ms: int) -> None:
    """Whether one looks at the sums, which takes long, or only at the most of them."""
    sums = Sums(Usual(weeks=[2] * HOURS, rates=[100 * rate for rate in hours]))
    for silence_ms in (sums.sure_ms, sums.sure_ms - longer_ms, sums.sure_ms + longer_ms):
        span = (MONDAY_MS + start_ms, MONDAY_MS + start_ms + silence_ms)
        assert is_missed(sums, "UTC", *span) == (expected(sums(), "UTC", *span) > 100 * EXPECTED_MAX)


@given(rates, st.integers(0, HOURS * 60), st.integers(1, 240))
def test_longest_is_where_too_much_is_missed(hours: list[int], at_min: int, most_min: int) -> None:
    sums = Sums(Usual(weeks=[2] * HOURS, rates=[100 * rate for rate in hours]))
    at_ms, most_ms = MONDAY_MS + at_min * MINUTE_MS, most_min * MINUTE_MS
    found_ms = longest_ms(sums, "UTC", at_ms, most_ms)
    by_hand = [m * MINUTE_MS for m in range(most_min) if is_missed(sums, "UTC", at_ms - m * MINUTE_MS, at_ms)]
    assert found_ms == (by_hand[0] if by_hand else most_ms)
    assert EXPECTED_MAX > 0
