"""Recovery where entities tell each other: bindings, facts and zones, with rules and horizons that change.

As `test_recovery`: whatever a process holds that lived on, one that restored a checkpoint holds, and tells.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random
from zlib import crc32

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from correlator.event import FOREVER, HOUR_MS, MINUTE_MS, NEVER, Event, Place, Score, make_event
from correlator.frame import Binding, Fact, FactMark, Frame, decode_frame, encode_frame
from correlator.rules.versions import Version, Versions
from correlator.timeline.habits import Habits
from correlator.timeline.live import Live
from correlator.timeline.partition import Partition
from correlator.timeline.program import Program
from tests.events import changed
from tests.timeline.streams import START_MS, arrivals, some_toys
from tests.timeline.test_recovery import SHORT, image, some_frames
from tests.timeline.toy import NoScorer, SomeRules, Toy, ToyProgram

PEOPLE = ("u", "v", "w")
HOMES = (*(f"identity:{who}" for who in PEOPLE), "unresolved:badge:1", "unresolved:badge:2")
RULES = ("burst", "empty", "leaver", "travel", "unbadged")
ZONES = (Place("a", zone="z1", criticality=4), Place("b", zone="z2", criticality=4))
Activation = tuple[Program, int]


class Crc:
    """A model that has learnt in which order it was asked, and of what."""

    def __init__(self, crc: int = 0) -> None:
        self.crc = crc

    def wants(self, event: Event, live: Live) -> bool:
        return event.kind == "access" and event.outcome == "granted"

    def score(self, event: Event, identity_type: str, habits: Habits) -> tuple[Score, dict[str, float]]:
        self.crc = crc32(event.id.encode(), self.crc)
        return Score(self.crc % 97 / 97, is_warm=True), {"time": float(event.time_ms)}

    def learn(self, identity_type: str, features: dict[str, float]) -> None:
        self.crc = crc32(str(features).encode(), self.crc)

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self.crc)


def crc(raw: bytes) -> Crc:
    return Crc(msgspec.msgpack.decode(raw, type=int))


class Zoned(SomeRules):
    def __init__(self, toy: Toy, told: frozenset[str]) -> None:
        super().__init__(toy, told, frozenset())
        self.settings = replace(self.settings, zones=ZONES)


def saved(partition: Partition, program: Program) -> Partition:
    entities = [(entity, partition.timelines.record(entity) or b"") for entity in partition.timelines]
    return Partition.restore(program, crc, partition.rest(), entities)


# ------------------------------------------------------------------ what is told


def some_holders(random: Random) -> tuple[tuple[int, int, str], ...]:
    cuts = sorted(random.sample(range(600), random.choice([0, 1, 2])))
    times = [NEVER, *(START_MS + cut * MINUTE_MS for cut in cuts), FOREVER]
    found = [(start, end, random.choice([*PEOPLE, ""])) for start, end in pairwise(times)]
    return tuple(holding for holding in found if holding[2])


def some_bindings(random: Random, version: int) -> list[Binding]:
    badge, holders = f"badge:{random.choice([1, 2])}", some_holders(random)
    return [Binding(who, badge, version, holders) for who in random.sample(HOMES, random.randint(1, 5))]


def some_facts(random: Random, events: list[tuple[str, Event]], now_ms: int) -> list[Fact]:
    facts = []
    for home, event in random.sample(events, min(len(events), random.choice([0, 0, 1, 2]))):
        to = random.choice([other for other in HOMES if other != home])
        owner = to.removeprefix("identity:") if to.startswith("identity") else ""
        facts.append(Fact(to, home, replace(event, identity_id=owner), random.random() < 0.6))
    for number in random.sample(range(8), random.choice([0, 0, 1, 2])):
        zone, way = random.choice(ZONES), random.choice(["entered", "left"])
        event = make_event(
            now_ms - random.randrange(20) * MINUTE_MS, f"{number:x}" * 16, "occupancy", activity=way,
            place=zone, identity_id=random.choice(PEOPLE), session="s",
        )  # fmt: skip
        facts.append(Fact(f"zone:{zone.zone}", "identity:u", event, random.random() < 0.7))
    return facts


def with_credential(random: Random, entity: str, event: Event) -> Event:
    if event.kind != "access" or event.place is None:
        return event
    zone = random.choice(["z1", ""]) if event.place.site == "a" else "z2"
    who = entity.removeprefix("identity:") if entity.startswith("identity") else ""
    place = replace(event.place, zone=zone)
    return changed(event, credential=str(random.choice([1, 2])), identity_id=who, place=place)


def some_news(random: Random, toy: Toy, count: int) -> list[bytes]:
    """Frames of `some_frames`, with what others tell."""
    found, events = list[bytes](), list[tuple[str, Event]]()
    bindings: list[Binding] = []
    for version, frame in enumerate(some_frames(random, toy, count)):
        now_ms = frame.arrivals[0].arrival_ms if frame.arrivals else START_MS
        rows = tuple((entity, with_credential(random, entity, event)) for entity, event in frame.rows)
        events += [(entity, event) for entity, event in rows if event.kind == "access"]
        again = random.sample(bindings, min(len(bindings), random.choice([0, 0, 1])))
        fresh = some_bindings(random, version) if random.random() < 0.3 else []
        bindings += fresh
        told = [FactMark(n, 2, (("badge-events", now_ms),)) for n in (0, 1) if random.random() < 0.3]
        facts = tuple(some_facts(random, events, now_ms))
        news = replace(frame, rows=rows, bindings=(*again, *fresh), facts=facts, told=tuple(told))
        found.append(encode_frame(news))
    return found


def some_version(random: Random, toy: Toy, versions: list[Version], now_ms: int) -> list[Version]:
    horizon_ms = random.choice([10, 30, 60, 120]) * MINUTE_MS
    toy = replace(toy, horizon_ms=horizon_ms, burst_min=random.randint(2, 4))
    rules = Zoned(toy, frozenset(random.sample(RULES, random.randint(1, 5))))
    return [
        *versions,
        Version(max(versions[-1].since_ms, now_ms - random.choice([0, 30]) * MINUTE_MS), rules),
    ]


@given(st.randoms(use_true_random=False), st.just(SHORT) | some_toys, st.integers(1, 40))
def test_a_restore_at_any_frame_is_not_noticed(random: Random, toy: Toy, count: int) -> None:
    toy = replace(toy, events_max=random.choice([3, 12, 2_000]), has_zones=True)
    versions = [Version(NEVER, Zoned(toy, frozenset(RULES)))]
    program: Program = versions[0].program
    whole, restored = Partition(program, Crc(), 5), Partition(program, Crc(), 5)
    for raw in some_news(random, toy, count):
        if random.random() < 0.1 and whole.now_ms > NEVER:
            versions = some_version(random, toy, versions, whole.now_ms)
            program, since_ms = Versions(versions), versions[-1].since_ms
            assert restored.activate(program, since_ms) == whole.activate(program, since_ms)
        changes = whole.step(decode_frame(raw, whole.codes))
        assert restored.step(decode_frame(raw, restored.codes)) == changes
        assert restored.take_told() == whole.take_told()
        if random.random() < 0.4:
            restored = saved(restored, program)
        assert image(restored) == image(whole)


# ------------------------------------------------------------------------- cases


def read(time_ms: int, name: str) -> tuple[str, Event]:
    place = Place("a", is_perimeter=True)
    return "identity:u", make_event(
        time_ms, name * 16, "access", credential="1", identity_id="u", outcome="granted", place=place
    )


def bound(version: int, who: str) -> Frame:
    binding = Binding("identity:u", "badge:1", version, ((NEVER, FOREVER, who),))
    return Frame("", (), arrivals(START_MS), bindings=(binding,))


def test_events_that_come_back_are_scored_in_the_order_that_a_restore_knows() -> None:
    program = ToyProgram(Toy())
    whole = Partition(program, Crc(), 5)
    whole.step(Frame("", (read(START_MS, "b"), read(START_MS + 1, "a")), arrivals(START_MS)))
    whole.step(bound(1, "w"))
    whole.take_told()
    restored = saved(whole, program)
    assert whole.step(bound(2, "u")) == restored.step(bound(2, "u"))
    assert image(whole) == image(restored)


def test_another_horizon_holds_for_what_was_asked_before() -> None:
    """An entity with nothing left to keep is dropped at the same frame as after a restore."""
    for before_ms, after_ms in ((24 * HOUR_MS, 2 * HOUR_MS), (2 * HOUR_MS, 24 * HOUR_MS)):
        whole = Partition(ToyProgram(Toy(horizon_ms=before_ms)), Crc(), 5)
        program = ToyProgram(Toy(horizon_ms=after_ms))
        login = make_event(START_MS, "c" * 16, "login", outcome="success", place=Place("a"))
        whole.step(Frame("", (("unresolved:account:x", login),), arrivals(START_MS)))
        now_ms = START_MS + HOUR_MS
        whole.step(Frame("", (), arrivals(now_ms)))
        whole.activate(program, now_ms)
        restored = saved(whole, program)
        for hour in range(60):
            frame = Frame("", (), arrivals(now_ms + hour * HOUR_MS))
            assert whole.step(frame) == restored.step(frame)
            assert image(whole) == image(restored)
        assert not whole.timelines


def test_of_two_events_with_one_id_the_first_wins_also_where_another_home_gave_it() -> None:
    """In one frame as in two."""
    told = []
    for size in (1, 2):
        partition, (_, given) = Partition(ToyProgram(Toy()), NoScorer(), 5), read(START_MS, "b")
        partition.step(Frame("", (), arrivals(START_MS), facts=(Fact("identity:u", "identity:w", given),)))
        partition.step(bound(1, "v"))
        rows = (read(START_MS, "b"), read(START_MS + 1, "b"))
        for at in range(0, 2, size):
            partition.step(Frame("", rows[at : at + size], arrivals(START_MS)))
        told.append(partition.take_told().facts)
    assert told[0] == told[1]
    assert [(fact.entity, fact.event.time_ms) for fact in told[0]] == [("identity:v", START_MS)]
