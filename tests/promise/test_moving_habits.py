"""Habits follow who held the badge, as alerts do: whoever an event turns out to belong to has learned from
it, and nobody else, over days that were counted already.
"""

from __future__ import annotations

from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from correlator.event import DAY_MS, HOUR_MS, Event, Person, make_event
from correlator.timeline.entity import NO_LIVE
from correlator.timeline.fold import fold
from correlator.timeline.habits import Day, Habits
from tests.promise.examples import promised
from tests.promise.test_moving import BADGE, PEOPLE, Holders, Network, owner
from tests.timeline.streams import START_MS, some_toys, streams
from tests.timeline.toy import Toy, ToyProgram

SLOWER = 24  # four hours become four days

Taught = dict[str, tuple[Habits, Day | None]]


@promised
@given(
    streams(3),
    some_toys,
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_habits_are_those_of_who_held_the_badge(
    events: list[Event], toy: Toy, corrections: int, random: Random
) -> None:
    toy = msgspec.structs.replace(toy, horizon_ms=5 * DAY_MS)
    network = Network(toy, random)
    people = [
        make_event(START_MS - HOUR_MS, f"{n:x}" * 16, "person", person=Person(who, n))
        for n, who in enumerate(PEOPLE, 10)
    ]
    network.send_rows(*((f"identity:{e.person.identity_id}", e) for e in people if e.person is not None))
    events = [
        msgspec.structs.replace(
            event,
            time_ms=START_MS + (event.time_ms - START_MS) * SLOWER,
            credential=BADGE if event.kind == "access" else "",
        )
        for event in events
    ]
    versions = [some_holders(random) for _ in range(corrections)]
    known: list[Holders] = [(), *versions]
    mail = sorted(events, key=lambda event: event.time_ms + random.choice([0, 0, 30]) * HOUR_MS)
    for version, holders in enumerate(known):
        if version:
            network.bind(version, known[version - 1], holders)
        share = len(mail) // (len(known) - version)
        for event in mail[:share]:
            by = known[max(version - random.choice([0, 0, 1]), 0)]
            network.send_rows(routed(event, by))
        mail = mail[share:]
        network.fold_some(random.choice([0.02, 0.2, 1.0]))
    network.fold_some(0.0)
    assert taught(network) == expected(events, known[-1], people, toy)


def some_holders(random: Random) -> Holders:
    cut_ms = START_MS + random.randrange(4 * 24) * HOUR_MS
    first, second = random.sample(PEOPLE, 2)
    return ((-(1 << 62), cut_ms, first), (cut_ms, 1 << 62, second))


def routed(event: Event, holders: Holders) -> tuple[str, Event]:
    entity = owner(event, holders)
    who = entity.partition(":")[2] if entity.startswith("identity:") else ""
    return entity, msgspec.structs.replace(event, identity_id=who)


def taught(network: Network) -> Taught:
    lives = {e: p.timelines[e].touch(p.codes) for p in network.parts for e in p.timelines}
    return {e: (live.habits, live.today) for e, live in lives.items() if e.startswith("identity:")}


def expected(events: list[Event], holders: Holders, people: list[Event], toy: Toy) -> Taught:
    """One fold over what is each person's own."""
    rows = [routed(event, holders) for event in events]
    found: Taught = {}
    for person in people:
        assert person.person is not None
        entity = f"identity:{person.person.identity_id}"
        own = sorted([person, *(event for to, event in rows if to == entity)], key=lambda event: event.order)
        live, _ = fold(entity, NO_LIVE, own, ToyProgram(toy))
        found[entity] = (live.habits, live.today)
    return found
