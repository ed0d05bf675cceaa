"""What an alert speaks of is at hand whenever something is said of it, though it left the history long ago.

`test_promise` asks it of every change of random streams; here of the shipped rule that reaches back furthest.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from correlator.cli.rule_files import read_rules
from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, Event, Place, make_event
from correlator.frame import Arrival, Frame, SourceMark
from correlator.rules.program import RuleProgram
from correlator.timeline.alert import Change
from correlator.timeline.partition import Partition
from correlator.timeline.settings import FeedTiming, Settings, SiteTiming
from tests.timeline.toy import NoScorer, Toy, ToyProgram, saved

BEGAN_MS = 20_458 * DAY_MS + 8 * HOUR_MS
BADGE = FeedTiming("badge", "access", "badge-events", bound_ms=2 * MINUTE_MS, quiet_ms=MINUTE_MS)
ENTITY = "identity:e1"
MAIN = Place(
    "lis", zone="lobby", door="main", passback="soft", is_perimeter=True, has_entry_readers=True,
    has_exit_readers=True,
)  # fmt: skip
OTHER = Place("lis", door="other")
D35 = Path(__file__).parents[2] / "rules" / "more" / "d35_never_left.yml"


def program(rule: Path = D35) -> RuleProgram:
    rules, problems = read_rules([rule])
    assert not problems
    return RuleProgram(rules, Settings(feeds=(BADGE,), sites=(SiteTiming("lis", "UTC"),), block_size=1))


def read(number: int, at_ms: int, direction: str, outcome: str = "granted", place: Place = MAIN) -> Event:
    return make_event(
        at_ms, f"{number:016x}", "access", "c1", "badge", identity_id="e1", credential="17", outcome=outcome,
        taken="taken", direction=direction, place=place,
    )  # fmt: skip


def login(number: int, at_ms: int) -> Event:
    return make_event(
        at_ms, f"{number:016x}", "login", "dc", "login", identity_id="e1", outcome="success", place=MAIN
    )  # fmt: skip


def step(partition: Partition, now_ms: int, *events: Event) -> list[Change]:
    rows = tuple((ENTITY, event) for event in events)
    mark = SourceMark("c1", "badge", "lis", "badge-events", 0, now_ms, 0, 1, now_ms)
    arrivals = tuple(Arrival(topic, 0, 1, now_ms) for topic in ("badge-events", "login-events"))
    return partition.step(Frame("", rows, arrivals, (mark,)))


@pytest.mark.parametrize("is_restored", [False, True])
def test_whoever_is_told_that_somebody_left_after_all_sees_when_he_came(is_restored: bool) -> None:
    partition = Partition(program(), NoScorer(), 0)
    entered, left = read(1, BEGAN_MS, "in"), read(2, BEGAN_MS + 15 * HOUR_MS, "out")
    step(partition, BEGAN_MS, entered)
    step(partition, BEGAN_MS + HOUR_MS, read(3, BEGAN_MS + HOUR_MS, "in", "denied"))
    (told,) = [c for hour in range(16, 20) for c in step(partition, BEGAN_MS + hour * HOUR_MS)]
    assert (told.activity, told.alert.evidence) == ("create", (entered.id,))
    step(partition, BEGAN_MS + 26 * HOUR_MS, read(4, BEGAN_MS + 26 * HOUR_MS, "in", "denied"))
    step(partition, BEGAN_MS + 27 * HOUR_MS, read(5, BEGAN_MS + 27 * HOUR_MS, "in", "denied"))
    if is_restored:
        partition = saved(partition, program())
    assert entered.id not in {event.id for event in partition.timelines[ENTITY].events(partition.codes)}
    (closed,) = step(partition, BEGAN_MS + 30 * HOUR_MS, left)
    assert (closed.activity, closed.because) == ("close", (left.id,))
    assert partition.events(ENTITY, (*closed.alert.evidence, *closed.because)) == [entered, left]


def test_what_nothing_more_can_be_said_of_is_not_kept() -> None:
    partition = Partition(program(), NoScorer(), 0)
    step(partition, BEGAN_MS, read(1, BEGAN_MS, "in"))
    for hour in range(4, 100, 4):
        step(partition, BEGAN_MS + hour * HOUR_MS, read(hour, BEGAN_MS + hour * HOUR_MS, "in", "denied"))
        if hour == 32:
            assert len(partition.timelines[ENTITY].kept) == 1
    assert partition.timelines[ENTITY].kept == ()


def test_what_a_verdict_is_to_be_about_is_kept_though_nothing_speaks_for_it_yet() -> None:
    """Somebody came in and left within the time of grace; the latter is heard when the login is gone."""
    toy = Toy(horizon_ms=HOUR_MS, block_size=1, grace_ms=10 * MINUTE_MS)
    partition = Partition(ToyProgram(toy), NoScorer(), 0)
    first, entered = login(1, BEGAN_MS), read(2, BEGAN_MS + MINUTE_MS, "in")
    then = (login(3, BEGAN_MS + 2 * MINUTE_MS), read(4, BEGAN_MS + 3 * MINUTE_MS, "in", "denied"))
    assert not step(partition, BEGAN_MS + 3 * MINUTE_MS, first, entered, *then)
    for minute in (64, 65):
        at_ms = BEGAN_MS + minute * MINUTE_MS
        assert not step(partition, at_ms, read(minute, at_ms, "in", "denied"))
    assert first not in partition.timelines[ENTITY].events(partition.codes)
    (told,) = step(partition, BEGAN_MS + 65 * MINUTE_MS, read(5, BEGAN_MS + 6 * MINUTE_MS, "out"))
    assert (told.activity, told.alert.evidence) == ("create", (first.id,))
    assert partition.events(ENTITY, told.alert.evidence) == [first]


AGAIN = """
title: Twice the same way
id: c0a80001-0099-4d02-8a02-000000000099
logsource: {product: correlator}
detection:
    selection: {event.kind: access, passback.is_violated: true}
    condition: selection
level: low
"""


def test_the_read_before_it_is_kept_as_long_as_it_says_where_a_card_is(tmp_path: Path) -> None:
    rule = tmp_path / "again.yml"
    rule.write_text(AGAIN)
    partition = Partition(program(rule), NoScorer(), 0)
    left = read(1, BEGAN_MS, "out")
    assert not step(partition, BEGAN_MS, left)
    for hour in (1, 2, 26, 27):
        at_ms = BEGAN_MS + hour * HOUR_MS
        assert not step(partition, at_ms, read(10 + hour, at_ms, "in", place=OTHER))
    assert left not in partition.timelines[ENTITY].events(partition.codes)
    again = read(3, BEGAN_MS + 4 * HOUR_MS, "out")
    (told,) = step(partition, BEGAN_MS + 27 * HOUR_MS, again)
    assert told.alert.evidence == (left.id, again.id)
    assert partition.events(ENTITY, told.alert.evidence) == [left, again]
