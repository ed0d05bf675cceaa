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
from tests.timeline.toy import NoScorer, saved

BEGAN_MS = 20_458 * DAY_MS + 8 * HOUR_MS
BADGE = FeedTiming("badge", "access", "badge-events", bound_ms=2 * MINUTE_MS, quiet_ms=MINUTE_MS)
ENTITY = "identity:e1"
MAIN = Place("lis", door="main", is_perimeter=True, has_entry_readers=True, has_exit_readers=True)


def program() -> RuleProgram:
    rules, problems = read_rules([Path(__file__).parents[2] / "rules" / "more" / "d35_never_left.yml"])
    assert not problems
    return RuleProgram(rules, Settings(feeds=(BADGE,), sites=(SiteTiming("lis", "UTC"),), block_size=1))


def read(number: int, at_ms: int, direction: str, outcome: str = "granted") -> Event:
    return make_event(
        at_ms, f"{number:016x}", "access", "c1", "badge", identity_id="e1", credential="17", outcome=outcome,
        taken="taken", direction=direction, place=MAIN,
    )  # fmt: skip


def step(partition: Partition, now_ms: int, *events: Event) -> list[Change]:
    rows = tuple((ENTITY, event) for event in events)
    mark = SourceMark("c1", "badge", "lis", "badge-events", 0, now_ms, 0, 1, now_ms)
    return partition.step(Frame("", rows, (Arrival("badge-events", 0, 1, now_ms),), (mark,)))


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
