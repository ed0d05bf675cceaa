"""Clocks that are off: what marks show of them, and what becomes of the events that they dated."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.cli.rule_files import read_rules
from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Event, Place, Shape, make_event
from correlator.frame import Arrival, Frame, SourceMark
from correlator.rules.program import RuleProgram
from correlator.timeline.alert import Alert
from correlator.timeline.clocks import MINUTES_MIN, SPAN_MS, Clocks, is_quarantined
from correlator.timeline.marks import Marks
from correlator.timeline.partition import Partition
from correlator.timeline.settings import FeedTiming, Settings
from correlator.timeline.standing import standings
from tests.timeline.toy import NoScorer, hear

START_MS = 20_000 * DAY_MS + 8 * HOUR_MS
BADGE = FeedTiming("badge", "access", "badge-events", bound_ms=0)
LOGIN = FeedTiming("login", "login", "login-events", bound_ms=0)
SETTINGS = Settings(feeds=(BADGE, LOGIN))
WHO = "identity:e1"
LISBON, PORTO = Place("lis", lat=38.72, lon=-9.14), Place("opo", lat=41.15, lon=-8.61)


def clocks_of(*lags_s: float, delay_ms: int | None = None, every_ms: int = MINUTE_MS) -> Clocks:
    feed = FeedTiming("badge", "access", "badge-events", delay_ms=delay_ms)
    clocks = Clocks(Settings(feeds=(feed,)))
    for number, lag_s in enumerate(lags_s):
        clocks.hear(("badge", "c1"), "lis", START_MS + number * every_ms, round(lag_s * SECOND_MS))
    return clocks


def test_what_arrives_before_it_happened_comes_from_a_clock_that_is_ahead() -> None:
    assert clocks_of(*[-30] * MINUTES_MIN).skew_ms == {}, "too little was heard"
    assert clocks_of(*[-30] * (MINUTES_MIN + 1)).skew_ms == {("badge", "c1"): 30 * SECOND_MS}
    assert clocks_of(*[0.5, 3] * MINUTES_MIN).skew_ms == {}, "the way takes something"


def test_one_odd_record_or_two_move_no_clock() -> None:
    assert clocks_of(-3_600, *[1] * MINUTES_MIN, -600).skew_ms == {}


def test_what_is_always_late_comes_from_a_clock_that_is_behind_where_the_way_is_known() -> None:
    assert clocks_of(*[90] * (MINUTES_MIN + 1)).skew_ms == {}, "it may be the way"
    assert clocks_of(*[90] * (MINUTES_MIN + 1), delay_ms=10_000).skew_ms == {("badge", "c1"): -80 * SECOND_MS}
    assert clocks_of(*[90, 20, 1] * MINUTES_MIN, delay_ms=10_000).skew_ms == {}, "it was late, not wrong"


def test_other_sources_of_the_feed_tell_what_the_way_takes() -> None:
    clocks = Clocks(SETTINGS)
    for number in range(3 * MINUTES_MIN):
        for source, lag_s in (("c1", 2), ("c2", 3), ("c3", 2), ("c4", 122)):
            at_ms = START_MS + number * SPAN_MS // MINUTES_MIN
            clocks.hear(("badge", source), "lis", at_ms, lag_s * SECOND_MS)
    assert clocks.skew_ms == {("badge", "c4"): -2 * MINUTE_MS}
    assert clocks.site_skew_ms == {"lis": 2 * MINUTE_MS}


def test_a_clock_that_is_gone_widens_nothing_at_its_site_any_more() -> None:
    """Until it is heard again. A controller that was replaced is off for ever."""
    clocks = clocks_of(*[-45] * 120)
    assert clocks.site_skew_ms == {"lis": 45 * SECOND_MS}
    for minute in range(9 * 24 * 60):
        at_ms = START_MS + (120 + minute) * MINUTE_MS
        clocks.hear(("badge", "c2"), "lis", at_ms, SECOND_MS)
        is_gone = at_ms > START_MS + 7 * DAY_MS + 5 * HOUR_MS
        if is_gone or at_ms < START_MS + 7 * DAY_MS:
            assert clocks.site_skew_ms == ({} if is_gone else {"lis": 45 * SECOND_MS})
    loaded = Clocks(SETTINGS)
    loaded.load(clocks.dump())
    assert loaded.site_skew_ms == {}
    clocks.hear(("badge", "c1"), "lis", START_MS + 10 * DAY_MS, -45 * SECOND_MS)
    assert clocks.site_skew_ms == {"lis": 45 * SECOND_MS}


@pytest.mark.parametrize("every_ms", [SECOND_MS, 20 * SECOND_MS])
def test_an_upload_of_what_was_kept_is_no_wrong_clock(every_ms: int) -> None:
    """Six hours in two minutes, or in forty, after an hour of ordinary traffic."""
    clocks = clocks_of(*[1.0] * 61, delay_ms=5_000)
    for number in range(120):
        at_ms = START_MS + 7 * HOUR_MS + number * every_ms
        clocks.hear(("badge", "c1"), "lis", at_ms, 6 * HOUR_MS - number * 3 * MINUTE_MS)
        assert clocks.skew_ms == {}


def test_a_clock_that_was_set_right_is_believed_after_two_spans() -> None:
    wrong, right = [-120.0] * 120, [1.0] * 125
    assert clocks_of(*wrong, *right[:50]).skew_ms[("badge", "c1")] > SETTINGS.skew_max_ms
    assert clocks_of(*wrong, *right).skew_ms == {}


lags = st.sampled_from([-3_600_000, -70_000, -8_000, -400, 0, 900, 4_000, 130_000, 9_000_000])
sources = st.sampled_from(["c1", "c2", "c3", "c4", "c5"])
heard = st.tuples(sources, st.sampled_from(["lis", "opo"]), st.integers(0, 4), lags)


@given(st.lists(heard, max_size=150), st.sampled_from([None, 0, 5_000]), st.integers(0, 150))
def test_what_is_known_of_clocks_survives_a_checkpoint_anywhere(
    drawn: list[tuple[str, str, int, int]], delay_ms: int | None, cut: int
) -> None:
    settings = Settings(feeds=(FeedTiming("badge", "access", "badge-events", delay_ms=delay_ms),))
    marks, at_ms = Marks(settings), START_MS
    others = Marks(settings)
    for number, (source, site, quarters, lag_ms) in enumerate(drawn):
        at_ms += quarters * HOUR_MS // 4
        mark = SourceMark(source, "badge", site, "badge-events", 0, at_ms - lag_ms, lag_ms, 1, at_ms)
        marks.fold((), [mark])
        others.fold((), [mark])
        if number == cut:
            others = Marks.load(settings, others.dump())
    assert others.dump() == marks.dump()
    assert others.clocks.skew_ms == marks.clocks.skew_ms
    assert others.clocks.site_skew_ms == marks.clocks.site_skew_ms


# --------------------------------------------------------------- events of such sources


@cache
def program() -> RuleProgram:
    directory = Path(__file__).parents[2] / "rules"
    entrances = directory / "more" / "d13_two_entrances_at_once.yml"
    rules, problems = read_rules([*sorted(directory.glob("*.yml")), entrances])
    assert not problems
    return RuleProgram(rules, SETTINGS)


class Company:
    """One partition. The badge controllers of the two sites are `lis-c` and `opo-c`."""

    def __init__(self, **skew_s: int) -> None:
        self.partition = Partition(program(), NoScorer(), 0)
        self.told: dict[str, Alert] = {}
        for number in range(MINUTES_MIN + 1):
            at_ms = START_MS + number * MINUTE_MS
            lags = {"lis": 0, "opo": 0} | {site: -off_s * SECOND_MS for site, off_s in skew_s.items()}
            self.frame(at_ms, marks=tuple(_mark(site, at_ms, lag_ms) for site, lag_ms in lags.items()))

    def frame(self, now_ms: int, *events: Event, marks: tuple[SourceMark, ...] = ()) -> None:
        arrivals = tuple(Arrival(feed.topic, 0, 1, now_ms) for feed in (BADGE, LOGIN))
        rows = tuple((WHO, event) for event in events)
        hear(self.told, self.partition.step(Frame("", rows, arrivals, marks)))

    def settle(self, now_ms: int) -> None:
        """Everything up to *now_ms* has arrived, and both sites said something since."""
        self.frame(now_ms, marks=tuple(_mark(site, now_ms, 0) for site in ("lis", "opo")))
        self.frame(now_ms + 1)

    def quarantined(self) -> list[str]:
        return [source.source for source in standings(self.partition.marks) if source.is_quarantined]

    def rules(self) -> set[str]:
        """`d01` of c0a80001-0001-…"""
        return {f"d{int(alert.rule[9:13]):02}" for alert in self.told.values()}


def _mark(site: str, at_ms: int, lag_ms: int) -> SourceMark:
    return SourceMark(f"{site}-c", "badge", site, "badge-events", 0, at_ms - lag_ms, lag_ms, 1, at_ms)


def read(number: int, time_ms: int, place: Place, direction: str = "in") -> Event:
    where = Place(place.site, door=f"{place.site}-1", lat=place.lat, lon=place.lon, is_perimeter=True)
    return make_event(
        time_ms, f"{number:016x}", "access", f"{place.site}-c", "badge", identity_id="e1", credential="c1",
        outcome="granted", reason="granted", taken="taken", direction=direction, place=where,
    )  # fmt: skip


def console(number: int, time_ms: int, place: Place = LISBON) -> Event:
    return make_event(
        time_ms, f"{number:016x}", "login", "dc-1", "login", identity_id="e1", credential="anna",
        outcome="success", logon_type="console", is_interactive=True, place=Place(place.site),
    )  # fmt: skip


# From Lisbon to Porto it is 274 km: 20 min 33 s by plane, of which 2 min are granted in any case.
@pytest.mark.parametrize(
    ("skew_s", "is_told"), [({}, True), ({"opo": 60}, False), ({"lis": -60}, True), ({"opo": 300}, False)]
)
def test_skew_widens_what_is_granted_to_travellers(skew_s: dict[str, int], is_told: bool) -> None:
    """*lis* behind is not known: nobody said what the way takes."""
    company, noon = Company(**skew_s), START_MS + 4 * HOUR_MS
    company.frame(noon, read(1, noon, LISBON), read(2, noon + 18 * MINUTE_MS, PORTO))
    assert ("d12" in company.rules()) == is_told


def test_a_source_in_quarantine_contradicts_nobody_and_says_so() -> None:
    company, noon = Company(opo=90), START_MS + 4 * HOUR_MS
    company.frame(
        noon, read(1, noon, LISBON), read(2, noon + MINUTE_MS, PORTO), read(3, noon + 9 * MINUTE_MS, LISBON)
    )
    assert company.rules() == set()
    (_, porto, _) = company.partition.timelines[WHO].events(company.partition.codes)
    assert (porto.skew_s, is_quarantined(porto.shape, SETTINGS)) == (90, True)
    assert company.quarantined() == ["opo-c"]


def test_a_read_in_quarantine_explains_a_login() -> None:
    for skew in ({}, {"lis": 90}):
        company, noon = Company(**skew), START_MS + 4 * HOUR_MS
        company.frame(noon, read(1, noon, LISBON), console(2, noon + MINUTE_MS))
        company.settle(noon + HOUR_MS)
        assert company.rules() == set()
    company, noon = Company(lis=90), START_MS + 4 * HOUR_MS
    company.frame(noon, console(2, noon + MINUTE_MS))
    company.settle(noon + HOUR_MS)
    assert company.rules() == {"d01"}, "nobody was let in"


def test_a_read_on_the_way_out_in_quarantine_makes_nobody_absent() -> None:
    for skew, told in (({}, {"d01"}), ({"lis": 90}, set[str]())):
        company, noon = Company(**skew), START_MS + 4 * HOUR_MS
        company.frame(
            noon,
            read(1, noon, LISBON),
            read(2, noon + HOUR_MS, LISBON, "out"),
            console(3, noon + 2 * HOUR_MS),
        )
        company.settle(noon + 4 * HOUR_MS)
        assert company.rules() == told


@pytest.mark.parametrize(("skew", "told"), [({}, {"d01"}), ({"lis": 240}, set[str]())])
def test_a_read_that_a_fast_clock_dates_after_the_login_still_explains_it(
    skew: dict[str, int], told: set[str]
) -> None:
    """Let in at noon, logged in a minute later; the controller says four minutes past."""
    company, noon = Company(**skew), START_MS + 4 * HOUR_MS
    company.frame(noon, console(2, noon + MINUTE_MS), read(1, noon + 4 * MINUTE_MS, LISBON))
    company.settle(noon + HOUR_MS)
    assert company.rules() == told


def test_an_event_keeps_the_skew_that_was_known_when_it_came() -> None:
    company, noon = Company(), START_MS + 4 * HOUR_MS
    company.frame(noon, read(1, noon, LISBON), read(2, noon + 9 * MINUTE_MS, PORTO))
    assert company.rules() == {"d12"}
    for number in range(2 * MINUTES_MIN):
        at_ms = noon + HOUR_MS + number * 10 * MINUTE_MS
        company.frame(at_ms, marks=(_mark("opo", at_ms, -5 * MINUTE_MS),))
    assert company.quarantined() == ["opo-c"]
    assert company.rules() == {"d12"}
    company.frame(noon + 6 * HOUR_MS, read(3, noon + 6 * HOUR_MS, PORTO))
    *early, late = company.partition.timelines[WHO].events(company.partition.codes)
    assert [event.skew_s for event in early] == [0, 0]
    assert late.skew_s == 300


def test_quarantine_begins_where_the_settings_say() -> None:
    for off_s, is_beyond in ((60, False), (65, True), (-65, True)):
        assert is_quarantined(Shape("access", skew_s=off_s), SETTINGS) == is_beyond
    assert not is_quarantined(Shape("access", skew_s=65), Settings(skew_max_ms=2 * MINUTE_MS))


@pytest.mark.parametrize(("off_s", "is_told"), [(0, True), (20, False)])
def test_two_entrances_at_once_are_so_only_where_both_clocks_are_right(off_s: int, is_told: bool) -> None:
    company, noon = Company(opo=off_s), START_MS + 4 * HOUR_MS
    company.frame(noon, read(1, noon, LISBON), read(2, noon + 3 * SECOND_MS, PORTO))
    assert ("d13" in company.rules()) == is_told
