"""Storms: of a rule that speaks of too many at once only so many are told by the hour; nothing is lost."""

from __future__ import annotations

from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.alerts.ocsf import Source, render
from correlator.alerts.text import RuleText
from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Event, Network, Place, make_event
from correlator.frame import Arrival, Frame
from correlator.rules.program import RuleProgram
from correlator.timeline.alert import Alert, Change, stamp
from correlator.timeline.partition import Partition
from correlator.timeline.settings import FeedTiming, Settings
from tests.rules.writing import ID, counting, load, rule
from tests.timeline.toy import NoScorer, saved

START_MS = 20_000 * DAY_MS + 8 * HOUR_MS
FEEDS = (FeedTiming("badge", "access", "badge-events"),)
BUDGET = 3
LONELY = "type: event_count\nrules: [base]\ngroup-by: [identity.id]\ntimespan: 10m\ncondition: {eq: 1}"
BLOCK = "correlator: {suppress: {for: 0s}, budget: {entities: 3}}\n"


@cache
def program() -> RuleProgram:
    """Each read that no other one precedes within ten minutes: late ones take alerts away."""
    rules, problems = load(counting(LONELY, BLOCK))
    assert problems == []
    return RuleProgram(rules, Settings(feeds=FEEDS, block_size=3))


def read(who: int, at_ms: int, door: str = "d1", **more: object) -> tuple[str, Event]:
    place = Place("lis", door=door)
    key = f"{who:06x}{at_ms - START_MS:010x}"
    event = make_event(at_ms, key, "access", "c1", identity_id=f"e{who}", place=place, **more)  # type: ignore[arg-type] # names are checked by the call
    return f"identity:e{who}", event


def frame(rows: list[tuple[str, Event]], now_ms: int) -> Frame:
    return Frame("", tuple(rows), (Arrival("badge-events", 0, 1, now_ms),))


def new() -> Partition:
    return Partition(program(), NoScorer(), 5)


def split(changes: list[Change]) -> tuple[list[Change], list[Change]]:
    """Of people, and of storms."""
    storms = [change for change in changes if change.alert.entity == "storm:5"]
    return [change for change in changes if change not in storms], storms


def value(alert: Alert, name: str) -> object:
    return dict(alert.values).get(name)


def test_what_is_beyond_the_budget_joins_one_alert() -> None:
    partition = new()
    told, storms = split(partition.step(frame([read(who, START_MS) for who in range(10)], START_MS)))
    assert [change.alert.entity for change in told] == ["identity:e0", "identity:e1", "identity:e2"]
    (storm,) = storms
    assert (storm.activity, storm.alert.rule, storm.alert.severity) == ("create", ID.format(9), "low")
    assert storm.alert.count == 7
    assert value(storm.alert, "storm.common") == "door d1"
    assert len(partition.events(storm.alert.entity, storm.alert.evidence)) == 7
    more = partition.step(frame([read(20, START_MS + MINUTE_MS, "d2")], START_MS + MINUTE_MS))
    assert [(c.activity, c.alert.uid, c.alert.count) for c in more] == [("update", storm.alert.uid, 8)]


def test_one_of_those_told_of_is_told_of_again_and_after_an_hour_others_are() -> None:
    partition = new()
    partition.step(frame([read(who, START_MS) for who in range(5)], START_MS))
    later_ms = START_MS + 59 * MINUTE_MS
    assert [c.alert.entity for c in partition.step(frame([read(1, later_ms)], later_ms))] == ["identity:e1"]
    later_ms = START_MS + HOUR_MS
    assert [c.alert.entity for c in partition.step(frame([read(4, later_ms)], later_ms))] == ["identity:e4"]


def test_a_storm_is_over_when_nothing_joined_it_for_an_hour() -> None:
    def joins(partition: Partition, first: int, at_ms: int) -> str:
        rows = [read(who, at_ms) for who in range(first, first + 9)]
        return split(partition.step(frame(rows, at_ms)))[1][0].alert.uid

    partition = new()
    first = joins(partition, 0, START_MS)
    assert joins(partition, 10, START_MS + 59 * MINUTE_MS) == first
    assert joins(partition, 20, START_MS + 3 * HOUR_MS) != first


def test_an_alert_that_takes_the_place_of_one_that_joined_joins_too() -> None:
    partition = new()
    partition.step(frame([read(who, START_MS + 9 * MINUTE_MS) for who in range(5)], START_MS))
    for who, at_ms in ((3, START_MS), (4, START_MS), (3, START_MS - MINUTE_MS)):
        told, storms = split(partition.step(frame([read(who, at_ms)], START_MS + HOUR_MS // 2)))
        assert told == [], "the old one was not told either"
        assert [c.activity for c in storms] == ["update"]


def test_a_storm_closes_with_the_last_alert_in_it() -> None:
    partition = new()
    changes = partition.step(frame([read(who, START_MS) for who in range(5)], START_MS))
    storm = split(changes)[1][0].alert.uid
    other = RuleProgram(load(rule("s: {event.kind: door}\ncondition: s"))[0], Settings(feeds=FEEDS))
    closed = partition.activate(other, START_MS)
    assert {(c.activity, c.reason) for c in closed} == {("close", "rule_removed")}
    assert [c.alert.uid for c in split(closed)[1]] == [storm]
    assert len(closed) == BUDGET + 1, "those that joined were never told"


def test_budgets_hold_for_those_in_shadow_apart_and_the_settings_give_one_to_all() -> None:
    text = rule("s: {event.kind: access}\ncondition: s", "correlator: {mode: shadow}\n")
    using = RuleProgram(load(text)[0], Settings(feeds=FEEDS, storm_entities=2))
    changes = Partition(using, NoScorer(), 5).step(frame([read(w, START_MS) for w in range(4)], START_MS))
    told, storms = split(changes)
    assert (len(told), [change.alert.is_shadow for change in storms]) == (2, [True])
    free = RuleProgram(load(text)[0], Settings(feeds=FEEDS, storm_entities=0))
    assert len(Partition(free, NoScorer(), 5).step(frame([read(w, START_MS) for w in range(99)], 0))) == 99


def test_a_storm_says_what_is_behind_it() -> None:
    network = Network("x", "isp", 1)
    rows = [
        read(who, START_MS, f"d{who}", ip=f"198.51.100.{who}", network=network, outcome="denied")
        for who in range(9)
    ]
    partition = new()
    (storm,) = split(partition.step(frame(rows, START_MS)))[1]
    evidence = partition.events(storm.alert.entity, storm.alert.evidence)
    text = RuleText(storm.alert.rule, "lonely", "A lonely read", level="low")
    finding = render(storm, evidence, text, None, Source("b", START_MS))
    said = 'storm: 6 alerts of "A lonely read" at once, 100 % of address range 198.51.100.0/24'
    assert finding["message"] == said
    assert "more than 3 different identities or doors" in finding["finding_info"]["desc"]
    assert "198.51.100.0/24 in common: look there first" in finding["finding_info"]["desc"]
    assert finding["count"] == 6
    assert finding["unmapped"]["correlator"]["is_storm"] is True
    assert len(finding["evidences"]) == 6


# ------------------------------------------------------------------ the promise


class Reader:
    """Somebody who reads the alert topic."""

    def __init__(self) -> None:
        self.held: dict[str, Alert] = {}
        self.crc = 0

    def take(self, changes: list[Change]) -> None:
        self.crc = stamp(self.crc, changes)
        for change in changes:
            assert (change.alert.uid in self.held) == (change.activity != "create")
            assert not change.superseded_by or change.alert.uid in self.held
            if change.activity == "close":
                del self.held[change.alert.uid]
            else:
                self.held[change.alert.uid] = change.alert


def mail(random: Random, count: int) -> list[tuple[str, Event]]:
    return [
        read(
            random.randrange(12), START_MS + random.randrange(240) * MINUTE_MS + at, f"d{random.randrange(3)}"
        )
        for at in range(count)
    ]


@given(st.randoms(use_true_random=False), st.integers(0, 60), st.integers(1, 12))
def test_nothing_is_lost_and_nobody_is_told_too_much(random: Random, count: int, frames: int) -> None:
    rows = mail(random, count)
    free, partition, again = Partition(_unlimited(), NoScorer(), 5), new(), new()
    all_of_them, reader, other = Reader(), Reader(), Reader()
    seen: list[tuple[int, str]] = []  # (arrival, entity) of what was told anew
    for number in range(frames):
        now_ms = START_MS + number * 25 * MINUTE_MS
        step = frame([row for row in rows[number::frames] if row[1].time_ms <= now_ms + 5 * HOUR_MS], now_ms)
        all_of_them.take(free.step(step))
        changes = partition.step(step)
        reader.take(changes)
        seen += [
            (now_ms, c.alert.entity) for c in split(changes)[0] if c.activity == "create" and not c.supersedes
        ]
        other.take(again.step(step))
        if random.random() < 0.4:
            again = saved(again, program())
    assert (other.held, other.crc) == (reader.held, reader.crc), "a restore is not noticed"
    joined = {
        uid: a.storm
        for timeline in (partition.timelines.peek(e) for e in partition.timelines)
        for uid, a in timeline.open.items()
        if a.storm
    }
    storms = {uid: alert for uid, alert in reader.held.items() if alert.entity == "storm:5"}
    assert joined.keys().isdisjoint(reader.held)
    assert joined.keys() | (reader.held.keys() - storms.keys()) == all_of_them.held.keys()
    assert set(joined.values()) == storms.keys(), "a storm is open as long as one of its alerts is"
    for at_ms, _ in seen:
        hour = {entity for told_ms, entity in seen if at_ms - HOUR_MS < told_ms <= at_ms}
        assert len(hour) <= BUDGET


@cache
def _unlimited() -> RuleProgram:
    rules, _ = load(counting(LONELY, "correlator: {suppress: {for: 0s}}\n"))
    return RuleProgram(rules, Settings(feeds=FEEDS, block_size=3, storm_entities=0))


def test_a_storm_is_forgotten_when_all_in_it_is_final() -> None:
    partition = new()
    partition.step(frame([read(who, START_MS) for who in range(9)], START_MS))
    assert partition.storms.dump(START_MS + 2 * DAY_MS, DAY_MS) != []
    assert partition.storms.dump(START_MS + 2 * DAY_MS + SECOND_MS, DAY_MS) == []


@pytest.mark.parametrize("is_saved", [False, True])
def test_a_storm_closes_also_with_alerts_that_were_ahead_of_the_slowest_input(is_saved: bool) -> None:
    """They can change for more than a horizon after they joined; a checkpoint in between changes nothing."""
    partition, ahead_ms = new(), START_MS + 4 * HOUR_MS
    changes = partition.step(frame([read(who, ahead_ms) for who in range(5)], START_MS))
    (storm,) = split(changes)[1]
    now_ms = START_MS + DAY_MS + HOUR_MS
    partition.step(frame([], now_ms))
    if is_saved:
        partition = saved(partition, program())
    other = RuleProgram(load(rule("s: {event.kind: door}\ncondition: s"))[0], Settings(feeds=FEEDS))
    closed = split(partition.activate(other, START_MS))[1]
    assert [(c.activity, c.alert.uid) for c in closed] == [("close", storm.alert.uid)]


def test_an_event_in_storms_of_two_rules_is_evidence_once() -> None:
    """Of its person and of its door."""
    block = "correlator: {{entity: {}, budget: {{entities: 1}}, suppress: {{for: 0s}}}}\n"
    text = "---\n".join(
        rule("s: {event.kind: access}\ncondition: s", block.format(entity), number)
        for number, entity in ((2, "identity"), (1, "door"))
    )
    rules, problems = load(text)
    assert problems == []
    using = RuleProgram(rules, Settings(feeds=FEEDS))
    partition = Partition(using, NoScorer(), 5)
    reads = [read(who, START_MS + who, f"d{who}") for who in range(4)]
    rows = [
        row for who, (entity, event) in enumerate(reads) for row in ((entity, event), (f"door:d{who}", event))
    ]
    storms = split(partition.step(frame(rows, START_MS)))[1]
    again = saved(partition, using)
    assert len(storms) == 2
    for storm in (change.alert for change in storms):
        evidence = partition.events(storm.entity, storm.evidence)
        assert [event.id for event in evidence] == list(storm.evidence)
        assert evidence == again.events(storm.entity, storm.evidence)
