"""Correlations of every type hold the promise about order: sums, steps in any and in given order, steps that
do not happen, correlations of correlations. The oracle looks at the sorted whole (`counted`).
"""

from __future__ import annotations

from functools import cache
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from correlator.adapters.yaml_lines import load_yaml_all
from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, Event, Person, Place, make_event
from correlator.frame import Frame, SourceMark
from correlator.rules.load import load_rules
from correlator.rules.program import RuleProgram
from correlator.timeline.alert import Alert
from correlator.timeline.partition import Partition
from correlator.timeline.settings import Settings
from tests.promise import counted
from tests.promise.examples import promised
from tests.promise.shipped import FEEDS
from tests.timeline.streams import arrivals
from tests.timeline.toy import NoScorer, hear, saved

START_MS = 20_000 * DAY_MS + 22 * HOUR_MS  # over midnight
END_MS = START_MS + 6 * HOUR_MS
WHO = "identity:e1"
SITES = ("lis", "opo")


@cache
def program(block_size: int, horizon_ms: int = DAY_MS) -> RuleProgram:
    documents, problems = load_yaml_all(counted.written(), "rules.yml")
    rules, wrong = load_rules(documents)
    assert not problems + wrong, problems + wrong
    return RuleProgram(rules, Settings(feeds=FEEDS, block_size=block_size, horizon_ms=horizon_ms))


def some_event(random: Random, time_ms: int, name: str, spread: int) -> Event:
    door = f"d{random.randrange(2)}"
    site = random.choice([*SITES, ""]) if random.random() < 0.2 else SITES[0]
    place = Place(site, door=random.choice([door, door, ""]), criticality=random.randrange(5))
    where = None if random.random() < 0.1 else place
    if random.randrange(spread) == 0:
        return make_event(
            time_ms, name, "login", identity_id="e1", outcome="success", device=door, place=where
        )
    outcome = random.choice(["granted", "denied"])
    direction = random.choice(["in", "in", "out", "unknown"])
    return make_event(
        time_ms, name, "access", identity_id="e1", outcome=outcome, direction=direction, place=where
    )


@st.composite
def mails(draw: st.DrawFn) -> list[Event]:
    random = draw(st.randoms(use_true_random=False))
    grain_ms = draw(st.sampled_from([MINUTE_MS, 5 * MINUTE_MS, 10 * MINUTE_MS]))
    starts = [random.randrange(5 * 60) * MINUTE_MS for _ in range(draw(st.integers(1, 3)))]
    spread = draw(st.sampled_from([2, 4, 8]))
    out = []
    for number in range(draw(st.integers(0, 40))):
        time_ms = START_MS + min(random.choice(starts) + random.randrange(8) * grain_ms, 5 * HOUR_MS)
        out.append(some_event(random, time_ms, f"{random.randrange(1 << 30):08x}{number:08x}", spread))
    return out


def marks(random: Random, now_ms: int, share: float) -> tuple[SourceMark, ...]:
    return tuple(
        SourceMark(
            f"{site}-c", "badge", site, "badge-events", 0, random.randint(START_MS, now_ms), 0, 1, now_ms - 1
        )
        for site in SITES
        if random.random() < share
    )


@promised
@given(mails(), st.randoms(use_true_random=False), st.integers(1, 8), st.sampled_from([1, 3, 32]))
def test_open_alerts_are_those_of_the_definitions(
    mail: list[Event], random: Random, count: int, block_size: int
) -> None:
    using = program(block_size)
    sent = [*mail, *random.sample(mail, len(mail) // 3)]
    random.shuffle(sent)
    rows = [(WHO, event) for event in sent]
    known = make_event(START_MS - HOUR_MS, "f" * 16, "person", person=Person("e1", 1))
    frames = [Frame("", ((WHO, known),), arrivals(START_MS))]
    frames += [
        Frame("", tuple(rows[i::count]), arrivals(END_MS), marks(random, END_MS, 0.3)) for i in range(count)
    ]
    everybody = marks(random, END_MS + HOUR_MS, 1.0)
    frames.append(Frame("", (), arrivals(END_MS + 2 * HOUR_MS), everybody))
    got = {(a.uid, a.rule, a.entity, frozenset(a.evidence)) for a in told(frames, using, random).values()}
    assert got == counted.found(sorted(mail, key=lambda e: e.order), WHO)


@promised
@given(
    mails(), st.randoms(use_true_random=False), st.sampled_from([1, 3, 32]), st.sampled_from([40, 60, 180])
)
def test_windows_hold_while_the_base_moves_over_them(
    mail: list[Event], random: Random, block_size: int, horizon_min: int
) -> None:
    """Over midnight, each event late by anything less than the horizon, feeds as late as they may be."""
    using = program(block_size, horizon_min * MINUTE_MS)
    late = [(e.time_ms + random.choice([0, 0, random.randrange(horizon_min)]) * MINUTE_MS, e) for e in mail]
    late += [(at_ms + random.randrange(horizon_min) * MINUTE_MS, e) for at_ms, e in late[::5]]
    late.sort(key=lambda row: (row[0], random.random()))
    known = make_event(START_MS - HOUR_MS, "f" * 16, "person", person=Person("e1", 1))
    frames, now_ms = [Frame("", ((WHO, known),), arrivals(START_MS))], START_MS
    while late:
        batch, late = late[: (size := random.randint(1, 3))], late[size:]
        now_ms = max(now_ms, batch[-1][0])
        rows = tuple((WHO, event) for _, event in batch)
        behind = everywhere(now_ms - (horizon_min - 1) * MINUTE_MS, now_ms)
        frames.append(Frame("", rows, arrivals(now_ms), behind))
    for _ in range(2 * horizon_min // 7):
        now_ms += 7 * MINUTE_MS
        frames.append(Frame("", (), arrivals(now_ms), everywhere(now_ms - 10 * MINUTE_MS, now_ms)))
    got = {(a.uid, a.rule, a.entity, frozenset(a.evidence)) for a in told(frames, using, random).values()}
    assert got == counted.found(sorted(mail, key=lambda e: e.order), WHO)


def everywhere(event_ms: int, now_ms: int) -> tuple[SourceMark, ...]:
    return tuple(
        SourceMark(f"{site}-c", "badge", site, "badge-events", 0, event_ms, 0, 1, now_ms - 1)
        for site in SITES
    )


def told(frames: list[Frame], using: RuleProgram, random: Random) -> dict[str, Alert]:
    """Alerts that readers hold at the end, who is restored now and then."""
    partition, held = Partition(using, NoScorer(), 0), dict[str, Alert]()
    for frame in frames:
        hear(held, partition.step(frame))
        if random.random() < 0.3:
            partition = saved(partition, using)
    return held
