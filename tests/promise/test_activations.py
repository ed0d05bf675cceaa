"""The promise about order, while the rules change: whenever an activation reaches a partition, and however
many of its events are there already, the open alerts are those of one fold over the sorted whole, each event
evaluated by the rules that were in force at its time.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from correlator.adapters.memory.clients import MemoryLogReader
from correlator.engine.bundles import Bundles
from correlator.event import HOUR_MS, MINUTE_MS, NEVER, Event, Person, make_event
from correlator.frame import Activation, Frame
from correlator.pipeline import only
from correlator.rules.program import RuleProgram
from correlator.rules.versions import Version, Versions, reaching_back
from correlator.timeline.alert import Alert, Change
from correlator.timeline.decide import decide
from correlator.timeline.fold import fold, verdicts
from correlator.timeline.live import Live
from correlator.timeline.partition import Partition
from correlator.timeline.program import Program
from correlator.timeline.settings import Settings
from tests.engine.company import system
from tests.promise.examples import promised
from tests.rules.writing import counting, load
from tests.timeline.streams import (
    START_MS,
    arrivals,
    entity_of,
    hired,
    last_frame,
    some_marks,
    some_toys,
    streams,
)
from tests.timeline.toy import NoScorer, SomeRules, Toy, saved

RULES = ("burst", "leaver", "travel", "unbadged")
END_MS = START_MS + 4 * HOUR_MS


some_rules = st.sets(st.sampled_from(RULES), min_size=1).map(frozenset)
versions = st.lists(
    st.tuples(st.integers(-30, 5 * 60), some_rules, some_rules, st.integers(2, 4)), min_size=1, max_size=3
)


def in_force(drawn: list[tuple[int, frozenset[str], frozenset[str], int]], toy: Toy) -> list[Version]:
    found: list[Version] = []
    for at, (minute, told, shadow, burst_min) in enumerate(drawn):
        since_ms = START_MS + minute * MINUTE_MS if at else NEVER
        toy = msgspec.structs.replace(toy, burst_min=burst_min)
        found.append(Version(since_ms, SomeRules(toy, told, shadow)))
    return found


def wanted(events: list[Event], program: Program, partition: Partition, entity: str) -> dict[str, Alert]:
    live, matches = fold(entity, Live(), events, program)
    everything = [*matches, *verdicts(entity, live, live.waiting, program)]
    told = [match for match in everything if match.rule in program.rules]
    tally = partition.timelines[entity].tally
    assert tally.edge_ms < START_MS, "nothing was absorbed"
    return decide(entity, tally, told, partition.marks, program)[1]


class Reader:
    """Holds what was told, of shadow and live apart."""

    def __init__(self) -> None:
        self.held: dict[tuple[bool, str], Alert] = {}

    def take(self, changes: list[Change], rules: set[str]) -> None:
        for change in changes:
            uid = (change.alert.is_shadow, change.alert.uid)
            assert (uid in self.held) == (change.activity != "create"), change
            if change.activity == "close":
                del self.held[uid]
                assert (change.reason == "rule_removed") == (change.alert.rule not in rules)
            else:
                self.held[uid] = change.alert


@promised
@given(streams(3), some_toys, versions, st.randoms(use_true_random=False), st.integers(1, 9))
def test_open_alerts_are_those_of_one_fold_under_the_rules_of_each_time(
    events: list[Event],
    toy: Toy,
    drawn: list[tuple[int, frozenset[str], frozenset[str], int]],
    random: Random,
    count: int,
) -> None:
    toy = msgspec.structs.replace(toy, horizon_ms=12 * HOUR_MS)
    force = in_force(drawn, toy)
    mail = [(entity_of(e), e) for e in events + random.sample(events, len(events) // 3)]
    random.shuffle(mail)
    steps: list[Frame | int] = [
        Frame("", tuple(mail[i::count]), arrivals(END_MS), some_marks(random, START_MS, END_MS))
        for i in range(count)
    ]
    for at in sorted((random.randint(0, len(steps)) for _ in force[1:]), reverse=True):
        steps.insert(at, 0)  # an activation
    partition, reader, active = Partition(force[0].program, NoScorer(), 0), Reader(), force[:1]
    coming = iter(force[1:])
    program: Program = force[0].program
    for step in [hired(START_MS - HOUR_MS), *steps, last_frame(END_MS + HOUR_MS)]:
        if isinstance(step, Frame):
            reader.take(partition.step(step), set(program.rules))
        else:
            active = [Version(*one) for one in reaching_back(active, *next(coming))]
            program = Versions(active)
            reader.take(partition.activate(program, active[-1].since_ms), set(program.rules))
        if random.random() < 0.3:
            partition = saved(partition, program)
    expected: dict[str, Alert] = {}
    for entity in partition.timelines:
        own = [e for e in events if entity_of(e) == entity]
        people = [e for who, e in hired(START_MS - HOUR_MS).rows if who == entity]
        whole = sorted({e.id: e for e in [*people, *own]}.values(), key=lambda e: e.order)
        expected |= wanted(whole, program, partition, entity)
    assert essence(reader.held.values()) == essence(expected.values())


def essence(alerts: Iterable[Alert]) -> set[tuple[object, ...]]:
    return {(a.uid, a.rule, a.entity, a.severity, a.evidence, a.is_shadow) for a in alerts}


def test_an_activation_reaches_back_beyond_the_one_before() -> None:
    """And what it takes the place of stays, for the words in which its alerts are closed."""
    bundles = [msgspec.structs.replace(system().bundle, hash=name) for name in "abc"]
    force = only(bundles[0])
    for since_ms, bundle in ((START_MS + HOUR_MS, bundles[1]), (START_MS, bundles[2])):
        force = force.after(Activation(bundle.hash, since_ms), bundle, START_MS)
    assert [(since_ms, b.hash) for since_ms, b in force.versions] == [
        (NEVER, "a"),
        (START_MS, "b"),
        (START_MS, "c"),
    ]
    assert isinstance(force.program, Versions)
    assert force.program.at(START_MS - 1) is bundles[0].program
    assert force.program.at(START_MS) is force.program.at(START_MS + 2 * HOUR_MS) is bundles[2].program


def test_what_is_active_may_reach_back_further_but_not_begin_later() -> None:
    embedded = system()
    old, new = (msgspec.structs.replace(embedded.bundle, hash=name) for name in "ab")
    bundles = Bundles(MemoryLogReader(embedded.log), embedded.topics.bundles, known=[old, new])
    force = bundles.after(only(old), Activation("b", START_MS + 2 * HOUR_MS), START_MS)
    for hours in (2, 3):
        assert bundles.after(force, Activation("b", START_MS + hours * HOUR_MS), START_MS) is force
    further = bundles.after(force, Activation("b", START_MS + HOUR_MS), START_MS)
    assert isinstance(further.program, Versions)
    assert further.program.at(START_MS + HOUR_MS - 1) is old.program
    assert further.program.at(START_MS + HOUR_MS) is new.program
    assert further.versions[-1] == (START_MS + HOUR_MS, new)


def test_a_rule_that_reaches_back_beyond_the_horizon_is_warm_by_what_it_saw() -> None:
    """Reads every hour, and a rule on fewer than five in ten hours, deployed `--since` two days ago. What it
    is asked of begins a horizon ago: of the first of these it must not say that none came before.
    """
    few = counting(
        "type: event_count\nrules: [base]\ngroup-by: [identity.id]\ntimespan: 10h\ncondition: {lt: 5}",
        "correlator: {suppress: {for: 0s}}\n",
    )
    settings = Settings(horizon_ms=12 * HOUR_MS, block_size=1)
    before, rules = RuleProgram((), settings), RuleProgram(load(few)[0], settings)
    bundle = msgspec.structs.replace(system().bundle, settings=settings)
    bundles = [msgspec.structs.replace(bundle, hash=str(p), program=p) for p in (before, rules)]
    force, partition = only(bundles[0]), Partition(before, NoScorer(), 0)
    for hour in range(48):
        at_ms = START_MS + hour * HOUR_MS
        event = make_event(at_ms, f"{hour:016x}", "access", credential="c1", identity_id="u")
        person = make_event(START_MS, "f" * 16, "person", person=Person("u", 1))
        partition.step(
            Frame("", (("identity:u", person), ("identity:u", event))[hour > 0 :], arrivals(at_ms))
        )
    force = force.after(Activation(bundles[1].hash, START_MS), bundles[1], partition.now_ms)
    assert partition.activate(force.program, force.versions[-1][0]) == []
