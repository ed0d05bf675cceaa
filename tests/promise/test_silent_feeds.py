"""What silence does to verdicts that rest on absence, with the shipped rule on logins without a badge read.

One site with two badge controllers, open from seven to seven. What is told, when, and on which assumptions;
and what operators hear of it.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from correlator.cli.rule_files import read_rules
from correlator.engine.feed_notices import FeedNotices
from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, Event, Place, make_event
from correlator.frame import Arrival, Frame, SourceMark
from correlator.rules.program import RuleProgram
from correlator.timeline.alert import Alert
from correlator.timeline.partition import Partition
from correlator.timeline.settings import FeedTiming, Settings, SiteTiming
from tests.timeline.toy import NoScorer

MONDAY_MS = 20_458 * DAY_MS
OFFICE = tuple((day * 1440 + 7 * 60, day * 1440 + 19 * 60) for day in range(5))
BADGE = FeedTiming("badge", "access", "badge-events", bound_ms=2 * MINUTE_MS, quiet_ms=MINUTE_MS)
LOGIN = FeedTiming("login", "login", "login-events")
PEOPLE = 12


@cache
def program(*controllers: str) -> RuleProgram:
    """*controllers*: those of sites.yml."""
    rules, problems = read_rules([Path(__file__).parents[2] / "rules" / "d01_onsite_login_without_badge.yml"])
    assert not problems
    sources = tuple(("badge", name) for name in controllers or ("c1", "c2", "c9"))  # nobody ever hears of c9
    return RuleProgram(
        rules, Settings(feeds=(BADGE, LOGIN), sites=(SiteTiming("lis", "UTC", OFFICE, sources),))
    )


class Office:
    """Log time goes minute by minute; badge reads and logins are handed over when they arrive."""

    def __init__(self, start_ms: int) -> None:
        self.partition, self.notices = Partition(program(), NoScorer(), 0), FeedNotices("notices")
        self.now_ms = start_ms
        self.told: dict[str, Alert] = {}
        self.first: dict[str, int] = {}  # person -> when an alert was told first
        self.ever: set[str] = set()
        self.heard: list[tuple[str, str]] = []  # kind and state of notices
        self._number = 0

    def until(self, at_ms: int) -> None:
        while self.now_ms < at_ms:
            self.now_ms += MINUTE_MS
            self._step(())

    def read(self, person: int, at_ms: int, source: str = "c1") -> None:
        """A badge read of *at_ms* arrives now."""
        place = Place("lis", door="lis-1", is_perimeter=True)
        event = make_event(
            at_ms, self._id(), "access", source, "badge", identity_id=f"e{person}", credential=str(person),
            outcome="granted", reason="granted", taken="taken", direction="in", place=place,
        )  # fmt: skip
        lag_ms = self.now_ms - at_ms
        mark = SourceMark(source, "badge", "lis", "badge-events", 0, at_ms, lag_ms, 1, self.now_ms)
        self._step(((f"identity:e{person}", event),), (mark,))

    def reads(self, until_ms: int) -> None:
        """Of everybody but e0, one every five minutes, at the two controllers in turn."""
        person = 1
        while self.now_ms < until_ms:
            self.read(person, self.now_ms, "c1" if person % 2 else "c2")
            self.until(self.now_ms + 5 * MINUTE_MS)
            person = person % (PEOPLE - 1) + 1

    def login(self, person: int) -> None:
        event = make_event(
            self.now_ms, self._id(), "login", "dc", "login", identity_id=f"e{person}",
            credential=f"u{person}", outcome="success", logon_type="console", is_interactive=True,
            place=Place("lis"),
        )  # fmt: skip
        self._step(((f"identity:e{person}", event),))

    def alerted(self) -> set[str]:
        """People of whom an alert is open."""
        return {alert.entity.removeprefix("identity:") for alert in self.told.values()}

    def inconclusive(self) -> int:
        counters = self.partition.counters.items()
        return sum(count for key, count in counters if key[0] == "correlator_rule_inconclusive_total")

    def _step(self, rows: tuple[tuple[str, Event], ...], marks: tuple[SourceMark, ...] = ()) -> None:
        arrivals = tuple(Arrival(feed.topic, 0, 1, self.now_ms) for feed in (BADGE, LOGIN))
        for change in self.partition.step(Frame("", rows, arrivals, marks)):
            person = change.alert.entity.removeprefix("identity:")
            self.ever.add(person)
            if change.activity == "close":
                del self.told[change.alert.uid]
            else:
                self.told[change.alert.uid] = change.alert
                self.first.setdefault(person, self.now_ms)
        for send in self.notices.due([self.partition]):
            document = json.loads(send.value or b"{}")
            self.heard.append((document["kind"], document["state"]))

    def _id(self) -> str:
        self._number += 1
        return f"{self._number:016x}"


def office_until(hour: int) -> Office:
    """Badge reads of Monday from eight to *hour*."""
    office = Office(MONDAY_MS + 8 * HOUR_MS)
    office.reads(MONDAY_MS + hour * HOUR_MS)
    return office


def incomplete(office: Office) -> list[str]:
    """States of notices, without repeats of one that stays open."""
    states = [state for kind, state in office.heard if kind == "feed_incomplete"]
    return [state for at, state in enumerate(states) if at == 0 or state != states[at - 1]]


def test_the_first_login_of_the_day_is_decided_though_the_site_was_quiet_all_night() -> None:
    office = office_until(19)
    office.until(MONDAY_MS + DAY_MS + 7 * HOUR_MS)
    office.login(0)
    office.until(office.now_ms + 20 * MINUTE_MS)
    assert office.alerted() == {"e0"}
    (alert,) = office.told.values()
    assert alert.confidence == "high"
    assert alert.assumed == (
        "c1 quiet since 2026-01-05 18:55 UTC, taken as complete",
        "c2 quiet since 2026-01-05 18:50 UTC, taken as complete",
    )


@pytest.mark.parametrize("last", [18, 19])
def test_at_night_it_is_decided_within_minutes_though_all_left_before_closing_time(last: int) -> None:
    office = office_until(last)
    office.until(MONDAY_MS + 19 * HOUR_MS)
    office.until(MONDAY_MS + 23 * HOUR_MS)
    office.login(0)
    office.until(office.now_ms + 4 * MINUTE_MS)
    assert office.alerted() == {"e0"}


def test_a_feed_that_dies_in_the_day_is_not_believed_at_night_nor_the_next_morning() -> None:
    office = office_until(10)
    for hour in (23, 31):
        office.until(MONDAY_MS + hour * HOUR_MS)
        office.login(hour)
    office.until(office.now_ms + HOUR_MS)
    assert office.ever == set()


def test_a_feed_that_died_at_night_accuses_nobody_who_logs_in_half_an_hour_after_opening() -> None:
    office = office_until(19)
    office.until(MONDAY_MS + DAY_MS + 7 * HOUR_MS + 20 * MINUTE_MS)
    for person in range(PEOPLE):
        office.login(person)
        office.until(office.now_ms + 5 * MINUTE_MS)
    office.until(office.now_ms + HOUR_MS)
    assert office.ever == set()


def test_a_source_that_never_had_an_event_is_not_waited_for_and_is_told_once_a_day_or_so() -> None:
    office = office_until(10)
    office.login(0)
    office.reads(office.now_ms + 30 * MINUTE_MS)
    assert office.alerted() == {"e0"}
    assert ("source_never_heard", "open") in office.heard
    assert office.heard.count(("source_never_heard", "open")) <= 2


def test_a_feed_that_dies_is_one_notice_and_no_storm_and_all_is_decided_when_it_is_back() -> None:
    """The connector dies at 09:00. From 09:30 on all log in; half of them had badged in meanwhile."""
    office = Office(MONDAY_MS + 8 * HOUR_MS)
    office.read(99, office.now_ms, "c1")
    office.read(98, office.now_ms, "c2")
    office.until(MONDAY_MS + 9 * HOUR_MS + 30 * MINUTE_MS)
    kept = []
    for person in range(PEOPLE):
        if person % 2:
            kept.append((person, office.now_ms - MINUTE_MS, "c1" if person % 4 == 1 else "c2"))
        office.login(person)
        office.until(office.now_ms + 10 * MINUTE_MS)
    office.until(MONDAY_MS + 15 * HOUR_MS)
    assert office.ever == set(), "no storm"
    assert incomplete(office) == ["open"]
    assert office.inconclusive() == PEOPLE
    for person, at_ms, source in kept:  # six hours of backlog, in a few seconds
        office.read(person, at_ms, source)
    office.until(office.now_ms + HOUR_MS)
    office.read(99, office.now_ms, "c1")
    office.read(98, office.now_ms, "c2")
    office.until(office.now_ms + HOUR_MS)
    assert office.alerted() == {f"e{person}" for person in range(0, PEOPLE, 2)}
    assert office.ever == office.alerted(), "nobody was accused who had badged in"
    assert incomplete(office)[:2] == ["open", "closed"]


def test_a_feed_that_is_silent_for_days_leaves_verdicts_inconclusive_for_good() -> None:
    office = office_until(9)
    office.until(MONDAY_MS + 10 * HOUR_MS)
    office.login(0)
    office.until(MONDAY_MS + 3 * DAY_MS)
    assert office.ever == set()
    assert incomplete(office) == ["open"]
    assert office.inconclusive() == 1
    office.read(1, office.now_ms, "c1")
    office.read(2, office.now_ms, "c2")
    office.until(office.now_ms + 2 * HOUR_MS)
    assert office.ever == set(), "the badge read that would explain it would be refused as too old"
    assert ("feed_incomplete", "closed") in office.heard


def test_one_silent_controller_of_a_site_holds_back_nobody_and_its_upload_retracts() -> None:
    """c2 is offline from nine to eleven. e0 came in by it, and is accused until its upload."""
    office = office_until(9)
    came_ms = office.now_ms
    for minute in range(0, 120, 5):
        office.read(50 + minute, office.now_ms, "c1")
        if minute == 5:
            office.login(0)
        office.until(office.now_ms + 5 * MINUTE_MS)
    assert office.alerted() == {"e0"}
    (alert,) = office.told.values()
    assert alert.assumed == ("c2 quiet since 2026-01-05 08:45 UTC, taken as complete",)
    office.read(0, came_ms, "c2")
    office.until(office.now_ms + MINUTE_MS)
    assert office.alerted() == set()
    assert office.ever == {"e0"}


def test_a_controller_that_is_taken_out_of_sites_yml_is_waited_for_no_longer() -> None:
    """c2 reads nobody any more from ten o'clock on Monday: it may be down, or gone. Only operators know."""
    office = office_until(10)
    for day, controllers in ((1, ()), (2, ("c1", "c9"))):
        office.partition.activate(program(*controllers), office.now_ms)
        office.until(MONDAY_MS + day * DAY_MS + 9 * HOUR_MS)
        for minute in range(0, 240, 5):
            office.read(50 + minute, office.now_ms, "c1")
            if minute == 180:
                office.login(day)
            office.until(office.now_ms + 5 * MINUTE_MS)
        assert office.alerted() == ({"e1", "e2"} if day == 2 else set()), "e1: it is not a horizon ago"
    assert ("feed_incomplete", "closed") in office.heard
