"""Recovery: the newest checkpoint and the frames after it give the partition that was never stopped.

Checkpoints are incremental, as the engine's: only what changed since the last one is written, in slices
between later frames, to a store that keeps the newest record of each key. With credentials that nobody
holds (their timelines come and go), doors, changes of people, events beyond the horizon, caps, and a
scorer that learns.
"""

from __future__ import annotations

from random import Random
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.event import HOUR_MS, MINUTE_MS, Event, Person, Place, Score, make_event
from correlator.frame import Arrival, Frame, SourceMark
from correlator.timeline.alert import Change
from correlator.timeline.habits import Habits
from correlator.timeline.live import Live
from correlator.timeline.partition import Partition
from tests.events import changed
from tests.timeline.streams import START_MS, everybody, some_event, some_marks, some_toys
from tests.timeline.toy import Toy, ToyProgram

STRAYS = ("unresolved:badge:1", "unresolved:badge:2", "unresolved:account:x")
WHO = ("identity:u", "identity:v", "identity:w", *STRAYS, "door:a-1")


SHORT = Toy(
    horizon_ms=10 * MINUTE_MS,
    block_size=1,
    burst_min=2,
    burst_span_ms=MINUTE_MS,
    grace_ms=0,
    max_wait_ms=0,
    suppress_ms=MINUTE_MS,
    minutes_between=2,
    presence_full_ms=0,
    presence_half_life_ms=MINUTE_MS,
)


class Learner:
    """Scores what it has learnt so far: state that depends on the order and on everything alerted."""

    def __init__(self, learnt: int = 0) -> None:
        self.learnt = learnt

    def wants(self, event: Event, live: Live) -> bool:
        return event.kind == "access" and event.outcome == "granted"

    def score(self, event: Event, identity_type: str, habits: Habits) -> tuple[Score, dict[str, float]]:
        return Score(self.learnt % 97 / 97, is_warm=True), {"hour": float(habits.active_days)}

    def learn(self, identity_type: str, features: dict[str, float]) -> None:
        self.learnt = self.learnt * 31 + int(features["hour"]) + len(identity_type) + 1 & 0xFFFF

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self.learnt)


def learner(raw: bytes) -> Learner:
    return Learner(msgspec.msgpack.decode(raw, type=int))


class Stopped:
    """A partition with its checkpoints, as the engine makes them; `crash` loses all but the store."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        self.partition = Partition(ToyProgram(toy), Learner(), 5)
        self.store: dict[str, bytes] = {}
        self.rest = b""
        self.since: list[Frame] = []  # frames after the newest whole checkpoint
        self._cut: dict[str, bytes | None] | None = None
        self._after: list[Frame] = []  # frames after the cut that is being taken

    def step(self, frame: Frame) -> list[Change]:
        self.since.append(frame)
        self._after.append(frame)
        return self.partition.step(frame)

    def checkpoint(self, count: int) -> None:
        """Begin a cut, or take *count* entities of the one that is under way."""
        if self._cut is None:
            self.partition.freeze()
            self._cut, self._after = {}, []
        piece = self.partition.changed.slice(count)
        self._cut |= dict(piece)
        if not piece:
            self.rest = self.partition.changed.rest()
            for key, raw in self._cut.items():
                if raw is None:
                    self.store.pop(key, None)
                else:
                    self.store[key] = raw
            self._cut, self.since = None, self._after[:]

    def give_up(self) -> None:
        """A checkpoint that could not be written: the next one holds what it held."""
        if self._cut is not None:
            self._cut = None
            self.partition.changed.unfreeze()

    def crash(self) -> None:
        program = ToyProgram(self.toy)
        if self.rest:
            self.partition = Partition.restore(program, learner, self.rest, self.store.items())
        else:
            self.partition = Partition(program, Learner(), 5)
        for frame in self.since:
            self.partition.step(frame)
        self._cut = None


def image(partition: Partition) -> dict[str, bytes | None]:
    return {key: partition.timelines.record(key) for key in sorted(partition.timelines)} | {
        "rest": rest_of(partition)
    }


def rest_of(partition: Partition) -> bytes:
    return partition.rest()


def some_row(random: Random, now_ms: int, horizon_ms: int, number: int) -> tuple[str, Event]:
    entity = random.choice(WHO)
    late_ms = random.choice([0, 0, 0, random.randrange(horizon_ms), horizon_ms, 2 * horizon_ms])
    time_ms, name = now_ms - late_ms // MINUTE_MS * MINUTE_MS, f"{number:016}"
    if entity == "door:a-1":
        activity = random.choice(["forced", "rex", "held", "opened"])
        return entity, make_event(time_ms, name, "door", activity=activity, place=Place("a", door="a-1"))
    if entity.startswith("identity") and random.random() < 0.1:
        since_ms = START_MS + random.randrange(5 * 60) * MINUTE_MS
        statuses = ((0, "active"), (since_ms, random.choice(["terminated", "leave"])))
        who = Person(entity, random.randrange(9), random.choice(["employee", "visitor"]), statuses=statuses)
        return entity, make_event(time_ms, name, "person", person=who)
    kind: Literal["access", "login"] = "access" if random.random() < 0.6 else "login"
    event = some_event(random, time_ms, number, kind, random.random() < 0.5)
    return entity, changed(
        event, reason_native=random.choice(["", "a", "b", name]), device=f"{number % 7:016}"
    )


def some_frames(random: Random, toy: Toy, count: int) -> list[Frame]:
    """*count* frames over many horizons, a topic of two partitions, one of them paused now and then."""
    now_ms, frames, number = START_MS, list[Frame](), 0
    sent: list[tuple[str, Event]] = []
    for _ in range(count):
        now_ms += random.choice([0, 1, MINUTE_MS, random.randrange(toy.horizon_ms), 2 * toy.horizon_ms + 1])
        rows = []
        for _ in range(random.choice([0, 1, 2, 5])):
            if sent and random.random() < 0.15:
                rows.append(random.choice(sent))
            else:
                number += 1
                rows.append(some_row(random, now_ms, toy.horizon_ms, number))
        sent += rows
        marks: tuple[SourceMark, ...] = ()
        if random.random() < 0.6:
            low_ms = now_ms - toy.horizon_ms
            marks = everybody(now_ms, now_ms) if random.random() < 0.3 else some_marks(random, low_ms, now_ms)
        stated = [
            Arrival("badge-events", 0, 2, now_ms),
            Arrival("badge-events", 1, 2, now_ms - random.choice([0, HOUR_MS]), random.random() < 0.2),
            Arrival("login-events", 0, 1, now_ms),
        ]
        frames.append(Frame("", tuple(rows), tuple(a for a in stated if random.random() < 0.9), marks))
    return frames


@given(st.randoms(use_true_random=False), some_toys, st.integers(1, 40), st.sampled_from([3, 12, 2_000]))
def test_a_crash_at_any_frame_is_not_noticed(random: Random, toy: Toy, count: int, most: int) -> None:
    crash_now_and_then(random, msgspec.structs.replace(toy, events_max=most), count)


@pytest.mark.parametrize("seed", [196, 940, 1953, 2728])
def test_an_entity_is_looked_at_again_as_early_as_after_a_restore(seed: int) -> None:
    """A late event made it idle earlier than had been asked for: a restore asked anew, and moved its base."""
    random = Random(seed)
    most = random.choice([3, 12, 2_000])
    toy = msgspec.structs.replace(SHORT, events_max=most)
    crash_now_and_then(random, toy, None)


def crash_now_and_then(random: Random, toy: Toy, count: int | None) -> None:
    whole, stopped = Partition(ToyProgram(toy), Learner(), 5), Stopped(toy)
    for frame in some_frames(random, toy, random.randint(1, 40) if count is None else count):
        told = whole.step(frame)
        assert stopped.step(frame) == told
        if random.random() < 0.6:
            stopped.checkpoint(random.choice([1, 2, 100]))
        elif random.random() < 0.1:
            stopped.give_up()
        if random.random() < 0.15:
            stopped.crash()
        assert image(stopped.partition) == image(whole)
        waits = (whole.wakes.oldest_ms(key) or 0 for key in whole.wakes.count())
        assert all(when_ms >= whole.now_ms - toy.horizon_ms for when_ms in waits)
