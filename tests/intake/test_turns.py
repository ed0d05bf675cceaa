"""Local times around a change of the clocks: what the text says, and what only a source's order tells."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.event import FOREVER, HOUR_MS, MINUTE_MS
from correlator.intake.instants import SITE, Repeated, Twice, Unfit, Wall, of_iso
from correlator.intake.turns import AHEAD_MS, Turns
from tests.intake.company import ms

LISBON = ZoneInfo("Europe/Lisbon")  # 2026-10-25: 02:00 becomes 01:00, at 01:00 UTC
NIGHT = ms("2026-10-25T00:00Z")
PANEL = ("badge", "lis-1")


def shown(instant_ms: int, zone: ZoneInfo = LISBON) -> str:
    """What a clock on the wall shows."""
    return datetime.fromtimestamp(instant_ms / 1000, UTC).astimezone(zone).replace(tzinfo=None).isoformat()


def said(instant_ms: int, repeated: Repeated = "order") -> int:
    """A source's local time, as the feed converts it."""
    return of_iso(shown(instant_ms), LISBON, repeated)


def settle(turns: Turns, time_ms: int, sequence: int | None, arrival_ms: int) -> int:
    return turns.settle(time_ms, "", PANEL, sequence, arrival_ms)


def test_a_clock_that_had_not_gone_forward_yet() -> None:
    """2026-03-29: 01:00 becomes 02:00. 01:30 was shown by a controller that does it later, or never."""
    assert of_iso("2026-03-29T01:30:00", LISBON) == ms("2026-03-29T01:30Z")
    assert of_iso("2026-03-29T00:59:59", LISBON) == ms("2026-03-29T00:59:59Z")
    assert of_iso("2026-03-29T02:00:00", LISBON) == ms("2026-03-29T01:00Z")


def test_what_arrives_at_once_is_of_the_hour_in_which_it_arrives() -> None:
    for minutes in (5, 25, 55, 65, 85, 115):
        instant_ms = NIGHT + minutes * MINUTE_MS
        assert settle(Turns(), said(instant_ms), None, instant_ms + 4_000) == instant_ms


def test_what_arrives_later_is_of_the_first_hour_unless_its_source_counts() -> None:
    """A controller that was offline sends its night in the morning."""
    night = [NIGHT + minutes * MINUTE_MS for minutes in (10, 50, 70, 110)]  # 01:10, 01:50, 01:10, 01:50
    morning_ms = NIGHT + 6 * HOUR_MS
    assert [settle(Turns(), said(at_ms), None, morning_ms) for at_ms in night] == [*night[:2], *night[:2]]
    turns = Turns()
    assert [settle(turns, said(at_ms), i, morning_ms) for i, at_ms in enumerate(night)] == night


def test_the_order_of_arrival_does_not_matter_once_the_turn_is_known() -> None:
    night = [NIGHT + minutes * MINUTE_MS for minutes in (10, 50, 70, 100, 110)]
    turns, morning_ms = Turns(), NIGHT + 6 * HOUR_MS
    for number in (1, 2):
        settle(turns, said(night[number]), number, morning_ms)
    for number in (4, 0, 3):
        assert settle(turns, said(night[number]), number, morning_ms) == night[number]


def test_one_source_says_nothing_of_another() -> None:
    turns, morning_ms = Turns(), NIGHT + 6 * HOUR_MS
    for number, minutes in enumerate((50, 70)):
        settle(turns, said(NIGHT + minutes * MINUTE_MS), number, morning_ms)
    first_ms = NIGHT + 20 * MINUTE_MS
    assert turns.settle(said(first_ms), "", ("badge", "lis-2"), 9, morning_ms) == first_ms


def test_the_next_year_begins_anew() -> None:
    turns = Turns()
    for number, minutes in enumerate((50, 70)):
        settle(turns, said(NIGHT + minutes * MINUTE_MS), number, NIGHT + 6 * HOUR_MS)
    next_ms = ms("2027-10-31T00:30Z")
    assert settle(turns, said(next_ms), 99, next_ms + 6 * HOUR_MS) == next_ms


def test_from_files_only_the_counter_tells() -> None:
    night, turns = [NIGHT + minutes * MINUTE_MS for minutes in (50, 70)], Turns()
    assert [settle(turns, said(at_ms), i, FOREVER) for i, at_ms in enumerate(night)] == night


def test_a_feed_that_says_which_it_is_is_believed() -> None:
    second_ms = NIGHT + 70 * MINUTE_MS
    assert settle(Turns(), said(second_ms, "second"), None, second_ms) == second_ms
    assert settle(Turns(), said(second_ms, "first"), None, second_ms) == second_ms - HOUR_MS


def test_the_zone_may_be_that_of_the_site() -> None:
    wall = of_iso("2026-07-09T10:31:02", SITE)
    assert type(wall) is Wall
    assert Turns().settle(wall, "Europe/Berlin", PANEL, None, FOREVER) == ms("2026-07-09T08:31:02Z")
    assert Turns().settle(wall, "Asia/Kathmandu", PANEL, None, FOREVER) == ms("2026-07-09T04:46:02Z")
    twice = of_iso("2026-10-25T01:30:00", SITE)
    assert (
        Turns().settle(twice, "Europe/Lisbon", PANEL, None, NIGHT + 91 * MINUTE_MS) == NIGHT + 90 * MINUTE_MS
    )
    with pytest.raises(Unfit, match="no site is known") as caught:
        Turns().settle(wall, "", PANEL, None, FOREVER)
    assert caught.value.reason == "time_without_zone"


def test_an_upload_that_seemed_fresh_turns_no_clock() -> None:
    """At 00:59:30 UTC comes what happened at 00:00 and 00:50: the first seems to be of 01:00 UTC."""
    turns, arrival_ms = Turns(), NIGHT + 59 * MINUTE_MS + 30_000
    settle(turns, said(NIGHT), 1, arrival_ms)
    for number, minutes in ((2, 50), (3, 55)):
        at_ms = NIGHT + minutes * MINUTE_MS
        assert settle(turns, said(at_ms), number, arrival_ms) == at_ms
    assert settle(turns, said(NIGHT + 58 * MINUTE_MS), 4, NIGHT + 6 * HOUR_MS) == NIGHT + 58 * MINUTE_MS


def test_what_comes_an_hour_late_to_the_minute_seems_fresh() -> None:
    """Nothing tells it from a read of the second hour, until a later number of the first hour does."""
    turns, arrival_ms = Turns(), NIGHT + 62 * MINUTE_MS
    assert settle(Turns(), said(NIGHT + MINUTE_MS), None, arrival_ms) == NIGHT + 61 * MINUTE_MS
    assert settle(turns, said(NIGHT + MINUTE_MS), 1, arrival_ms) == NIGHT + 61 * MINUTE_MS
    assert settle(turns, said(NIGHT + 30 * MINUTE_MS), 2, arrival_ms) == NIGHT + 30 * MINUTE_MS
    assert settle(turns, said(NIGHT + 2 * MINUTE_MS), 3, arrival_ms + MINUTE_MS) == NIGHT + 62 * MINUTE_MS


@given(
    st.lists(st.integers(-30 * 60, 150 * 60), min_size=1, max_size=20).map(sorted),
    st.booleans(),
    st.integers(3 * 60, 12 * 60),
)
def test_what_a_source_counts_up_stays_in_order(seconds: list[int], is_live: bool, minutes: int) -> None:
    """Delivered in its order, at once or as one upload: each shows the time that was said, none before the
    one counted before it; at once, each is when it was.
    """
    turns, settled = Turns(), list[int]()
    night = [NIGHT + second * 1_000 for second in seconds]
    for number, instant_ms in enumerate(night):
        arrival_ms = instant_ms + 2_000 if is_live else night[-1] + minutes * MINUTE_MS
        time_ms = settle(turns, said(instant_ms), number, arrival_ms)
        assert shown(time_ms) == shown(instant_ms)
        assert time_ms <= arrival_ms + AHEAD_MS
        settled.append(time_ms)
    assert settled == sorted(settled)
    if is_live:
        assert settled == night


@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001
    st.sampled_from([LISBON, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")]),
)
def test_any_local_time_is_an_instant_that_shows_it_or_one_that_was_skipped(
    local: datetime, zone: ZoneInfo
) -> None:
    text = local.replace(microsecond=0).isoformat()
    found = of_iso(text, zone)
    if shown(found, zone) != text:  # skipped: by as much as the clock went forward
        forward_ms = of_iso(shown(found, zone) + "Z", None) - of_iso(text + "Z", None)
        assert forward_ms in {HOUR_MS, HOUR_MS // 2}
    if isinstance(found, Twice):
        assert shown(found.second_ms, zone) == text
        assert found.second_ms > found
