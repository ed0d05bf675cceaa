"""Events follow who held the badge: whatever comes first, the record of HR or the read, and however often HR
corrects itself, the open alerts are those of the reads of each person as known at the end.

Partitions are folded in any order; what they tell each other takes its time. The oracle knows
no partitions, no bindings and no facts.
"""

from __future__ import annotations

from collections import deque
from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from correlator.event import FOREVER, HOUR_MS, MINUTE_MS, NEVER, Event, Person, make_event, partition_of
from correlator.frame import Binding, Frame, decode_frame, encode_frame
from correlator.timeline.alert import Alert
from correlator.timeline.partition import Partition
from correlator.timeline.telling import frames
from tests.promise.examples import promised
from tests.timeline import oracle
from tests.timeline.saving import saved_and_loaded
from tests.timeline.streams import START_MS, arrivals, last_frame, some_marks, some_toys, streams
from tests.timeline.test_promise import essence
from tests.timeline.toy import NoScorer, Toy, ToyProgram

PARTITIONS = 3
PEOPLE = ("u", "v", "w")
BADGE, UNRESOLVED = "7", "unresolved:badge:7"
END_MS = START_MS + 4 * HOUR_MS
Holders = tuple[tuple[int, int, str], ...]


@st.composite
def some_holders(draw: st.DrawFn) -> Holders:
    """Who held the badge: up to three persons, one after the other, or nobody for a while."""
    cuts = sorted(draw(st.lists(st.integers(0, 200), max_size=2, unique=True)))
    times = [NEVER, *(START_MS + cut * MINUTE_MS for cut in cuts), FOREVER]
    whose = draw(st.lists(st.sampled_from([*PEOPLE, ""]), min_size=len(times) - 1, max_size=len(times) - 1))
    return tuple((a, b, who) for a, b, who in zip(times[:-1], times[1:], whose, strict=True) if who)


def owner(event: Event, holders: Holders) -> str:
    if event.kind == "login":
        return f"identity:{PEOPLE[int(event.id) % 2]}"
    found = [who for a, b, who in holders if a <= event.time_ms < b]
    return f"identity:{found[0]}" if found else UNRESOLVED


class Network:
    """Partitions of *keyed*, each with what it has still to fold, and readers of the alerts."""

    def __init__(self, toy: Toy, random: Random) -> None:
        self.toy, self.random = toy, random
        self.parts = [Partition(ToyProgram(toy), NoScorer(), n) for n in range(PARTITIONS)]
        self.queues: list[deque[bytes]] = [deque() for _ in self.parts]
        self.held: dict[str, Alert] = {}

    def send(self, frame: Frame, number: int) -> None:
        self.queues[number].append(encode_frame(frame))

    def send_rows(self, *rows: tuple[str, Event]) -> None:
        for entity, event in rows:
            marks = some_marks(self.random, START_MS, END_MS)
            where = partition_of(entity, PARTITIONS)
            self.send(Frame("", ((entity, event),), arrivals(END_MS), marks), where)

    def bind(self, version: int, old: Holders, new: Holders) -> None:
        """As intake does: to whom the record names, before and after."""
        told = {f"identity:{who}" for _, _, who in (*old, *new)} | {UNRESOLVED}
        for entity in sorted(told):
            binding = Binding(entity, f"badge:{BADGE}", version, new)
            self.send(Frame("", (), arrivals(END_MS), bindings=(binding,)), partition_of(entity, PARTITIONS))

    def fold_some(self, share: float) -> None:
        """Frames of any partitions, in order within each, until about *share* of them are left."""
        while busy := [n for n, queue in enumerate(self.queues) if queue]:
            if self.random.random() < share:
                return
            self._fold(self.random.choice(busy))

    def _fold(self, number: int) -> None:
        partition = self.parts[number]
        for change in partition.step(decode_frame(self.queues[number].popleft(), partition.codes)):
            assert (change.alert.uid in self.held) == (change.activity != "create"), change
            if change.activity == "close":
                del self.held[change.alert.uid]
            else:
                self.held[change.alert.uid] = change.alert
        for where, frame in frames([(number, partition.take_told())], PARTITIONS, ""):
            self.send(frame, where)
        if self.random.random() < 0.2:
            self.parts[number] = saved_and_loaded(partition, ToyProgram(self.toy))


@promised
@given(
    streams(3),
    some_toys,
    st.lists(some_holders(), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_open_alerts_are_those_of_who_held_the_badge(
    events: list[Event], toy: Toy, versions: list[Holders], random: Random
) -> None:
    toy = msgspec.structs.replace(toy, horizon_ms=12 * HOUR_MS)
    network = Network(toy, random)
    people = [
        make_event(START_MS - HOUR_MS, f"{n:x}" * 16, "person", person=Person(who, n))
        for n, who in enumerate(PEOPLE, 10)
    ]
    network.send_rows(*((f"identity:{e.person.identity_id}", e) for e in people if e.person is not None))
    events = [msgspec.structs.replace(e, credential=BADGE) if e.kind == "access" else e for e in events]
    known: list[Holders] = [(), *versions]
    mail = events + random.sample(events, len(events) // 3)
    random.shuffle(mail)
    for version, holders in enumerate(known):
        if version:
            network.bind(version, known[version - 1], holders)
        share = len(mail) // (len(known) - version)
        for event in mail[:share]:
            by = known[max(version - random.choice([0, 0, 1]), 0)]  # an intake may not have heard yet
            network.send_rows((owner(event, by), event))
        mail = mail[share:]
        network.fold_some(random.choice([0.02, 0.2, 1.0]))
    network.fold_some(0.0)
    for number in range(PARTITIONS):
        network.send(last_frame(END_MS + HOUR_MS), number)
    network.fold_some(0.0)
    expected: set[oracle.Essence] = set()
    for entity in (*(f"identity:{who}" for who in PEOPLE), UNRESOLVED):
        own = [event for event in events if owner(event, known[-1]) == entity]
        expected |= set(oracle.alerts(own, entity, toy).values())
    assert essence(network.held) == expected
