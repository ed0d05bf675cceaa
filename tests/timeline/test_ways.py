"""What reads teach of doors: in any order of arrival what its definition says; and what it is used for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from correlator.alerts.ocsf import Source, alert_record
from correlator.alerts.text import rule_text
from correlator.cli.rule_files import read_rules
from correlator.codec import Codes
from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Event, Person, Place, make_event
from correlator.frame import Frame, SourceMark
from correlator.rules.program import RuleProgram
from correlator.timeline.alert import Change
from correlator.timeline.partition import Partition
from correlator.timeline.settings import FeedTiming, Settings
from correlator.timeline.ways import NO_TRAIL, SHARES, STEPS_S, Row, Table
from tests.events import GRANTED
from tests.timeline.streams import arrivals
from tests.timeline.toy import NoScorer, Toy, ToyProgram

START_MS = 20_003 * DAY_MS  # a Monday
PEOPLE = [f"identity:p{number}" for number in range(3)]
GATE = Place("lis", zone="lobby", door="gate", is_perimeter=True, has_entry_readers=True)
DOORS = [GATE, *(Place("lis", zone="floor", door=name, has_entry_readers=True) for name in ("a", "b"))]
FEEDS = (
    FeedTiming("badge", "access", "badge-events", bound_ms=0),
    FeedTiming("login", "login", "login-events", bound_ms=0),
)
Rows = list[tuple[str, Event]]


# ----------------------------------------------------------------- what is learned


def read(number: int, time_ms: int, place: Place, who: str = PEOPLE[0], **said: Any) -> Event:
    words = GRANTED | said
    return make_event(
        time_ms, f"{number:016x}", "access", words.pop("source", "c1"), "badge", identity_id=who[9:],
        credential="4711", place=place, **words,
    )  # fmt: skip


def some_days(random: Random, days: int) -> Rows:
    """People who come in, now and then unread, and walk about."""
    rows: Rows = []
    for day in range(days):
        for who in PEOPLE:
            at_ms = START_MS + day * DAY_MS + random.randrange(9 * HOUR_MS)
            for _ in range(random.randrange(4, 12)):
                place, outcome = random.choice(DOORS), random.choice(["granted"] * 9 + ["denied"])
                words = str(len(rows) // 9)  # shapes come and go
                rows.append((who, read(len(rows), at_ms, place, who, outcome=outcome, reason_native=words)))
                at_ms += random.choice([1, 3, 7, 20, 31, 90, 400, 3_600, 4_000, 30_000]) * SECOND_MS
    return rows


def by_definition(rows: Rows, day: int, horizon_ms: int) -> tuple[dict[str, Row], dict[str, int]]:
    """The table of *day*, from everything that happened."""
    last_day = day - 2 - -(-2 * horizon_ms // DAY_MS)
    trips: dict[tuple[str, str], list[int]] = {}
    arrivals: dict[str, list[bool]] = {}
    for who in PEOPLE:
        before: Event | None = None
        for event in sorted(
            (e for w, e in rows if w == who and e.outcome == "granted"), key=lambda e: e.order
        ):
            here = event.place
            assert here is not None
            there = before.place if before is not None else None
            elapsed_ms = event.time_ms - before.time_ms if before is not None else 0
            before = event
            if event.time_ms // DAY_MS > last_day:
                break
            if there is not None and there.door != here.door and elapsed_ms <= HOUR_MS:
                trips.setdefault((there.door, here.door), []).append(elapsed_ms // SECOND_MS)
            is_new = elapsed_ms > 8 * HOUR_MS
            if not here.is_perimeter and there is not None and (is_new or there.is_perimeter):
                for name in (here.door, "@lis"):
                    arrivals.setdefault(name, []).append(is_new)
    found: dict[str, Row] = {}
    for (start, end), seconds in sorted(trips.items()):
        if len(seconds) >= SOME.travel_trips_min:
            first = sorted(seconds)[len(seconds) // 100]
            least_s = max(step for step in STEPS_S if step <= first)
            found[end] = (*found.get(end, ()), (start, least_s))
    shares = {name: 100 * sum(new) // len(new) for name, new in arrivals.items() if len(new) >= 5}
    unread = {name: max(step for step in SHARES if step <= share) for name, share in shares.items()}
    return found, {name: share for name, share in unread.items() if share}


TOY = Toy(horizon_ms=DAY_MS)
SOME = Settings(travel_trips_min=8, presence_arrivals_min=5, shapes_min=2)


def taught() -> ToyProgram:
    program = ToyProgram(TOY)
    program.settings = SOME
    return program


def learned(rows: Rows, random: Random, days: int, *, is_saved: bool) -> list[Table]:
    """Every table that was ever made, when *rows* arrive late by anything less than the horizon."""
    known = [
        (who, make_event(START_MS, f"{n + 10:x}" * 16, "person", person=Person(who[9:], n)))
        for n, who in enumerate(PEOPLE)
    ]
    partition, tables = Partition(taught(), NoScorer(), 0), dict[int, Table]()
    late = [(e.time_ms + random.choice([0, 0, random.randrange(DAY_MS)]), who, e) for who, e in rows]
    late.sort(key=lambda row: (row[0], random.random()))
    now_ms = START_MS
    partition.step(Frame("", tuple(known), arrivals(now_ms)))
    while now_ms < START_MS + days * DAY_MS:
        now_ms += random.choice([10, 60, 600]) * MINUTE_MS
        came = tuple((who, event) for at_ms, who, event in late if at_ms < now_ms)
        late = late[len(came) :]
        partition.step(Frame("", came, arrivals(now_ms)))
        tables |= {table.day: table for table in partition.ways.tables}
        if is_saved:
            again = type(partition.ways).load(partition.ways.dump())
            assert again.dump() == partition.ways.dump()
            partition.ways = again
    return [tables[day] for day in sorted(tables)]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**9).map(Random))
def test_what_is_learned_is_what_the_definition_says_whatever_the_order(random: Random) -> None:
    rows, days = some_days(random, 9), 16
    tables = learned(rows, random, days, is_saved=random.random() < 0.5)
    assert tables, "made at least at the beginning"
    for day in range(START_MS // DAY_MS, START_MS // DAY_MS + days):
        in_force = [table for table in tables if table.day <= day]
        assert in_force[-1].says() == by_definition(rows, day, SOME.horizon_ms)
    assert tables[-1].rows, "somebody walked"


# --------------------------------------------------------------------- put to use


@cache
def program() -> RuleProgram:
    rules, problems = read_rules(sorted((Path(__file__).parents[2] / "rules").glob("*.yml")))
    assert not problems
    return RuleProgram(rules, Settings(feeds=FEEDS, travel_trips_min=50, presence_arrivals_min=20))


class Site:
    """A partition in which six people have come and gone for three weeks, *unread* of ten without a read.
    Nothing is known of what happened before it has *begun*.
    """

    def __init__(self, unread: int = 0, *, begun: timedelta = timedelta()) -> None:
        self.partition = Partition(program(), NoScorer(), 0)
        self.told: list[Change] = []
        self._number, begun_ms = 0, START_MS + begun // timedelta(milliseconds=1)
        if begun <= timedelta():
            for who in range(6):  # who was never read teaches nothing
                self.hear(START_MS, [self.read(START_MS - 12 * HOUR_MS, GATE, who)], who)
        for day in range(21):
            for who in range(6):
                rows: list[Event] = []
                come_ms = START_MS + day * DAY_MS + 8 * HOUR_MS + who * MINUTE_MS
                if (day * 6 + who) % 10 >= unread:
                    rows.append(self.read(come_ms, GATE, who))
                rows.append(self.read(come_ms + (30 + who) * SECOND_MS, DOORS[1], who))
                rows.append(self.read(come_ms + (80 + who) * SECOND_MS, DOORS[2], who))
                self.hear(come_ms + HOUR_MS, [row for row in rows if row.time_ms >= begun_ms], who)
        assert self.told == []

    def read(self, time_ms: int, place: Place, who: int = 0, **said: Any) -> Event:
        self._number += 1
        return read(self._number, time_ms, place, f"identity:w{who}", **said)

    def hear(self, now_ms: int, events: Sequence[Event], who: int = 0) -> None:
        mark = SourceMark("c1", "badge", "lis", "badge-events", 0, now_ms, 0, 1, now_ms - 1)
        rows = tuple((f"identity:w{who}", event) for event in events)
        self.told += self.partition.step(Frame("", rows, arrivals(now_ms), (mark,)))

    def rules(self) -> list[str]:
        return [program().loaded[change.alert.rule].name[:3] for change in self.told]


NOW_MS = START_MS + 21 * DAY_MS + 9 * HOUR_MS


def trip(site: Site, seconds: int, **said: Any) -> list[Event]:
    first = site.read(NOW_MS, DOORS[1])
    return [first, site.read(NOW_MS + seconds * SECOND_MS, DOORS[2], **said)]


@pytest.mark.parametrize(
    ("seconds", "said", "told"),
    [
        (15, {}, ["d12"]),  # 50 s are usual; half of it for haste and 5 s for the clock are granted
        (21, {}, []),
        (0, {}, ["d12"]),
        (5, {"source": "c2"}, []),  # two clocks: two minutes are granted
        (5, {"outcome": "denied", "reason": "unknown_credential"}, []),  # somebody else's card
        (5, {"outcome": "denied", "reason": "no_access_rights"}, ["d12"]),
    ],
)
def test_a_badge_at_two_doors_faster_than_anybody_goes(
    seconds: int, said: dict[str, str], told: list[str]
) -> None:
    site = Site()
    site.hear(NOW_MS + HOUR_MS, trip(site, seconds, **said))
    assert site.rules() == told


def test_the_alert_says_what_the_minimum_rests_on() -> None:
    site = Site()
    site.hear(NOW_MS + HOUR_MS, trip(site, 4))
    (change,) = site.told
    rule = program().loaded[change.alert.rule]
    values = dict(change.alert.values)
    legs = {name: values[f"travel.card.{name}"] for name in ("minimum_s", "way", "margin_s")}
    assert legs == {"minimum_s": 50.0, "way": "learnt", "margin_s": 30.0}
    evidence = site.partition.events(change.alert.entity, change.alert.evidence)
    source = Source("", site.partition.now_ms, 0, 60)
    said = alert_record(change, evidence, rule_text(rule), None, source).value.decode()
    assert "Of a hundred people who go this way 99 take 50 s or more, and 4 s passed" in said
    assert "30 s are granted for clocks that differ and for haste" in said


def test_an_event_is_judged_by_what_was_known_the_day_before_however_late_it_comes() -> None:
    """The table that is made of it later says something else."""
    site = Site()
    kept = site.partition.ways.tables[-1]
    late = site.read(NOW_MS - 20 * HOUR_MS, DOORS[2])
    site.hear(NOW_MS, [late])
    (event,) = [
        e for e in site.partition.timelines["identity:w0"].events(site.partition.codes) if e.id == late.id
    ]
    assert event.shape.ways == kept.rows["b"] == (("a", 50),)


def desk(site: Site, now_ms: int) -> Event:
    site._number += 1
    return make_event(
        now_ms, f"{site._number:016x}", "login", "dc", "login", identity_id="w0", outcome="success",
        logon_type="console", is_interactive=True, place=Place("lis", zone="floor", has_entry_readers=True),
    )  # fmt: skip


@pytest.mark.parametrize(("unread", "told"), [(0, ["d01"]), (1, ["d01"]), (3, [])])
def test_where_many_come_in_unread_who_was_not_read_may_be_there(unread: int, told: list[str]) -> None:
    site = Site(unread)
    table = site.partition.ways.tables[-1]
    assert table.unread.get("@lis", 0) == table.unread.get("a", 0) == unread * 10
    site.hear(NOW_MS + HOUR_MS, [desk(site, NOW_MS)])
    site.hear(NOW_MS + 2 * HOUR_MS, [])
    assert site.rules() == told


def test_the_first_read_of_somebody_says_nothing_of_how_they_came() -> None:
    """A deployment that begins at noon, or anew, finds people inside: it took all of them for unread."""
    site = Site(begun=timedelta(hours=8, minutes=5, seconds=20))
    assert [table.unread for table in site.partition.ways.tables if table.unread] == []


def test_clocks_that_are_off_teach_nothing() -> None:
    """Whatever they say of the way would be held against people."""
    rows = [read(1, START_MS, GATE), read(2, START_MS + SECOND_MS, DOORS[1])]
    ways = Site().partition.ways
    before = ways.dump()
    off = [replace(event, shape=replace(event.shape, skew_s=20)) for event in rows]
    ways.count(NO_TRAIL, off, START_MS + DAY_MS, Codes())
    assert ways.dump() == before
