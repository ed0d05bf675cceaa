"""Budgets and risk are functions of what happened: the same alerts, whatever the order of arrival."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, Event, make_event
from correlator.frame import Arrival, Frame
from correlator.rules.program import RuleProgram
from correlator.timeline.alert import Alert
from correlator.timeline.partition import Partition
from correlator.timeline.risk import RISK
from correlator.timeline.settings import FeedTiming, Settings
from tests.promise.examples import promised
from tests.rules.writing import ID, load, rule
from tests.timeline.toy import NoScorer, hear, saved

START_MS = 20_000 * DAY_MS + 20 * HOUR_MS  # over midnight
WHO = "identity:e1"
FEEDS = (FeedTiming("badge", "access", "badge-events"),)
SUPPRESS_MS, BUDGET, PER_MS = 10 * MINUTE_MS, 2, 2 * HOUR_MS
POINTS = {"granted": 30, "denied": 50, "duress": 60}
THRESHOLD = 100


@cache
def program() -> RuleProgram:
    texts = [
        rule(
            f"s: {{event.kind: access, access.reason: {reason}}}\ncondition: s",
            f"correlator: {{suppress: {{for: 10m}}, budget: {{alerts: 2, per: 2h}}, risk: {points}}}\n",
            number,
        )
        for number, (reason, points) in enumerate(POINTS.items())
    ]
    rules, problems = load("---\n".join(texts))
    assert problems == []
    return RuleProgram(rules, Settings(feeds=FEEDS, block_size=3, risk_threshold=THRESHOLD))


@dataclass
class Told:
    rule: str
    first: Event
    newest_ms: int
    is_summary: bool = False
    repeats: int = 0


def expected(events: Sequence[Event]) -> set[tuple[str, str, int]]:
    """(rule, id of the event that it begins with, repeats) of every alert: looks at the sorted whole."""
    alerts = [told for number, reason in enumerate(POINTS) for told in of_rule(number, reason, events)]
    return {(a.rule, a.first.id, a.repeats) for a in [*alerts, *risks(alerts)]}


def of_rule(number: int, reason: str, events: Sequence[Event]) -> list[Told]:
    found: list[Told] = []
    for event in (e for e in events if e.reason == reason):
        at_ms = event.time_ms
        if found:
            last = found[-1]
            is_day = at_ms // DAY_MS == last.first.time_ms // DAY_MS
            is_turn = turn(at_ms) == turn(last.first.time_ms)
            if is_day and (at_ms - last.newest_ms < SUPPRESS_MS or (last.is_summary and is_turn)):
                last.newest_ms, last.repeats = at_ms, last.repeats + 1
                continue
        so_far = sum(turn(a.first.time_ms) == turn(at_ms) for a in found)
        found.append(Told(ID.format(number), event, at_ms, so_far >= BUDGET))
    return found


def turn(at_ms: int) -> tuple[int, int]:
    return (at_ms // DAY_MS, at_ms % DAY_MS // PER_MS)


def risks(alerts: Sequence[Told]) -> list[Told]:
    points = dict(zip((ID.format(n) for n in range(len(POINTS))), POINTS.values(), strict=True))
    found: list[Told] = []
    for day in {a.first.time_ms // DAY_MS for a in alerts}:
        counted: dict[str, Event] = {}
        for alert in sorted(alerts, key=lambda a: a.first.time_ms):
            if alert.first.time_ms // DAY_MS == day:
                counted.setdefault(alert.rule, alert.first)
        score, made = 0, None
        for rule_id, event in counted.items():
            score += points[rule_id]
            if made is not None:
                made.repeats += 1
            elif score >= THRESHOLD:
                made = Told(RISK, event, 0)
                found.append(made)
    return found


@promised
@given(st.randoms(use_true_random=False), st.integers(0, 60), st.integers(1, 6))
def test_open_alerts_are_those_of_the_definitions(random: Random, count: int, frames: int) -> None:
    minutes = sorted(random.sample(range(8 * 60), count))  # one event a minute, so that times are not equal
    reasons = random.sample(sorted(POINTS), random.randint(1, len(POINTS)))
    mail = [
        make_event(
            START_MS + at * MINUTE_MS, f"{at:016x}", "access", identity_id="e1", reason=random.choice(reasons)
        )
        for at in minutes
    ]
    sent = random.sample(mail, len(mail))
    end_ms = START_MS + 9 * HOUR_MS
    partition, held = Partition(program(), NoScorer(), 0), dict[str, Alert]()
    for number in range(frames):
        rows = tuple((WHO, event) for event in sent[number::frames])
        hear(held, partition.step(Frame("", rows, (Arrival("badge-events", 0, 1, end_ms),))))
        if random.random() < 0.3:
            partition = saved(partition, program())
    assert {(a.rule, a.event_id, a.repeat_count) for a in held.values()} == expected(mail)


def test_what_is_beyond_a_budget_is_summed_up() -> None:
    mail = [
        make_event(START_MS + at * 15 * MINUTE_MS, f"{at:016x}", "access", identity_id="e1", reason="granted")
        for at in range(7)
    ]
    frame = Frame("", tuple((WHO, e) for e in mail), (Arrival("badge-events", 0, 1, mail[-1].time_ms),))
    alerts = [change.alert for change in Partition(program(), NoScorer(), 0).step(frame)]
    assert sorted((a.event_id[-1], a.repeat_count, a.is_summary) for a in alerts) == [
        ("0", 0, False),
        ("1", 0, False),
        ("2", 4, True),
    ]


def test_risk_outlives_the_base_that_moves_past_it() -> None:
    """What was decided before the horizon still counts on its day, and is not told again."""
    partition = Partition(program(), NoScorer(), 0)
    day_ms = 20_001 * DAY_MS

    def told(at_ms: int, reason: str, now_ms: int) -> list[tuple[str, str]]:
        event = make_event(at_ms, f"{at_ms:016x}", "access", identity_id="e1", reason=reason)
        frame = Frame("", ((WHO, event),), (Arrival("badge-events", 0, 1, now_ms),))
        return [(c.activity, c.alert.rule) for c in partition.step(frame)]

    assert told(day_ms, "denied", day_ms) == [("create", ID.format(1))]
    late_ms = day_ms + 23 * HOUR_MS
    assert told(late_ms, "granted", day_ms + 30 * HOUR_MS) == [("create", ID.format(0))]
    late_ms += MINUTE_MS
    found = told(late_ms, "duress", day_ms + 40 * HOUR_MS)
    assert sorted(found) == sorted([("create", ID.format(2)), ("create", RISK)])
