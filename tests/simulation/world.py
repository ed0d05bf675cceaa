"""One seed: production workers on the embedded log, in simulated time, with faults drawn from the seed.

A process is stopped at any effect of the log, and at any read, simply by stepping the others from within
that call: a SIGSTOP without threads. A crash is an exception that nothing catches and objects that nobody
steps again; what it leaves behind (its membership, its open transaction) stays until the log times it out.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import msgspec

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.memory.log import MemoryLog
from correlator.cli.embedded import CORRELATE_GROUP, INTAKE_GROUP
from correlator.engine.correlate_stage import CorrelateStage
from correlator.engine.intake_stage import IntakeStage
from correlator.engine.options import Options, Ports
from correlator.engine.ports import Committed, TopicPartition
from correlator.engine.topics import Topics
from correlator.engine.worker import Worker
from correlator.event import HOUR_MS, MINUTE_MS, SECOND_MS
from correlator.intake.arrival import decode_arrival
from correlator.intake.mapped import Mapped
from correlator.pipeline import ALERT_PARTITIONS
from tests.intake.company import identity, ms
from tests.simulation.ports import (
    Net,
    NoMeter,
    Rates,
    SimulatedGroupReader,
    SimulatedLogReader,
    SimulatedWriter,
)
from tests.simulation.small import BADGES, KEYED, LOGINS, RAW, bundle

START_MS = ms("2026-01-09T08:30")
PEOPLE = ("e1", "e2", "e3", "e4", "e5")
FRESH = "fresh"  # nobody hears of this one before the end
READERS = ("lis-main-in", "lis-main-out", "bos-main-in")
TURNS = 25  # with faults
DRAIN_TURNS = 400
TOPICS = Topics()


class Crash(BaseException):
    """The process is dead: nothing may catch it."""


class Violation(AssertionError):
    """Something was promised and not kept."""


class Forward(dict[TopicPartition, Committed]):
    """Committed offsets of a group, which never go back, nor do the arrivals stated beside them."""

    def update(self, other: object = (), /, **kwargs: Committed) -> None:
        assert isinstance(other, dict)
        for tp, new in other.items():
            old = self.get(tp)
            if old is None:
                continue
            if new.offset < old.offset:
                raise Violation(f"the committed offset of {tp} went back from {old} to {new}")
            if decode_arrival(new.metadata) < decode_arrival(old.metadata):
                raise Violation(f"the arrival stated for {tp} went back from {old} to {new}")
        super().update(other)


class Skewed:
    """A process's idea of the time of day: the log's, and an error that jumps."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.skew_ms = 0
        self._clock = clock

    def now_ms(self) -> int:
        return self._clock.now_ms() + self.skew_ms

    def sleep_ms(self, duration_ms: int) -> None:
        self._clock.sleep_ms(duration_ms)


class Process:
    def __init__(self, world: World, name: str, *, is_static: bool) -> None:
        self.name, self.is_static, self.is_dead, self.is_running = name, is_static, False, False
        self.clock = Skewed(world.clock)
        self.readers: list[SimulatedGroupReader] = []
        instance = name if is_static else None
        raw = [*RAW, TOPICS.identities]
        intake = self._ports(world, "intake", INTAKE_GROUP, raw, instance)
        keyed = self._ports(world, "correlate", CORRELATE_GROUP, [TOPICS.keyed], instance)
        self.intake = IntakeStage(bundle(), TOPICS, intake, world.options)
        self.correlate = CorrelateStage(bundle(), TOPICS, keyed, world.options)
        self.worker = Worker(self.intake, self.correlate, world.clock, NoMeter(), world.options)

    def _ports(self, world: World, stage: str, group: str, topics: list[str], instance: str | None) -> Ports:
        log, net = world.log, world.net
        self.readers.append(SimulatedGroupReader(log, net, group, topics, instance))
        writer, reader = SimulatedWriter(log, net, f"{stage}-{self.name}"), SimulatedLogReader(log, net)
        return Ports(self.readers[-1], writer, reader, self.clock, world.clock, NoMeter())


class World:
    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.rates = _rates(self.random)
        self.options = _options(self.random)
        self.clock = SimulatedClock(START_MS)
        self.log = MemoryLog(self.clock, has_delayed_markers=True)
        self.log.choose = self.random.randrange
        self.net = Net(self.random, self.rates, self._yield)
        self.processes: list[Process] = []
        self.ghosts: list[tuple[str, str]] = []  # memberships of the dead
        self.sent: list[tuple[TopicPartition, Mapped | None]] = []  # raw records; None for one that is junk
        self._names = 0
        self._stack: list[Process] = []
        self._topics()
        for person in (*PEOPLE, FRESH):
            self.hire(person)
        is_static = self.random.random() < 0.5
        for _ in range(self.random.randint(1, 3)):
            self.start(is_static=is_static)
        self.log.on_effect = self._yield

    def _topics(self) -> None:
        for topic, partitions in RAW.items():
            self.log.create_topic(topic, partitions)
        self.log.create_topic(TOPICS.identities, 1)
        ours = {TOPICS.keyed: KEYED, TOPICS.checkpoints: KEYED, TOPICS.alerts: ALERT_PARTITIONS}
        for topic, partitions in (ours | {TOPICS.notices: 1, TOPICS.dead_letters: 3}).items():
            self.log.create_topic(topic, partitions, is_append_time=True)
        for group in (INTAKE_GROUP, CORRELATE_GROUP):
            self.log.group(group).committed = Forward()

    # ------------------------------------------------------------------- input

    def hire(self, person: str, **fields: object) -> None:
        value = identity(person, badges=[{"id": person}], accounts=[{"name": person}], **fields)
        where = TopicPartition(TOPICS.identities, 0)
        self._quietly(where, person.encode(), value)

    def send(self, topic: str, value: Mapped | None) -> None:
        where = TopicPartition(topic, self.random.randrange(RAW[topic]))
        self._quietly(where, None, b"junk" if value is None else msgspec.json.encode(value))
        self.sent.append((where, value))

    def _quietly(self, where: TopicPartition, key: bytes | None, value: bytes) -> None:
        before, self.log.on_effect = self.log.on_effect, lambda _name: None
        self.log.append(where, key, value, (), self.clock.now_ms())
        self.log.on_effect = before

    def feed(self) -> None:
        """Some more records: late ones, duplicates, junk, a person who leaves."""
        random = self.random
        for _ in range(random.choice((0, 1, 1, 2, 4))):
            if self.sent and random.random() < 0.15:
                topic, value = random.choice(self.sent)
                self.send(topic.topic, value)
            elif random.random() < 0.03:
                self.send(BADGES, None)
            else:
                self.send(*self._some())
        if random.random() < 0.02:
            left = {"status": "terminated", "from": "2026-01-09T08:00:00Z"}
            self.hire(random.choice(PEOPLE), statuses=[left])

    def _some(self) -> tuple[str, Mapped]:
        random, number = self.random, str(len(self.sent))
        late_ms = random.choice((0, 0, 0, MINUTE_MS, 10 * MINUTE_MS, HOUR_MS))
        time_ms, who = self.clock.now_ms() - random.randint(0, late_ms), random.choice(PEOPLE)
        if random.random() < 0.3:
            login = Mapped(time_ms, number, "login", "idp", "login", who, "account", outcome="success")
            return LOGINS, msgspec.structs.replace(login, host="WS-7", is_interactive=True)
        outcome = random.choice(("denied", "granted", "granted"))
        return BADGES, read(time_ms, number, who, random.choice(READERS), outcome)

    def burst(self, person: str) -> None:
        """What must alert, whatever was before."""
        for number in range(3):
            time_ms = self.clock.now_ms() - number
            self.send(BADGES, read(time_ms, f"{person}-{number}", person, "lis-main-in", "denied"))

    # --------------------------------------------------------------- processes

    def start(self, name: str | None = None, *, is_static: bool) -> Process:
        self._names += 1
        process = Process(self, name or f"p{self._names}", is_static=is_static)
        self.processes.append(process)
        return process

    def step(self, process: Process) -> None:
        """One turn of its loop, unless it dies of it."""
        if process.is_dead or process.is_running:
            return
        self._stack.append(process)
        process.is_running = True
        try:
            process.worker.step()
        except Crash:
            self.bury(process)
        finally:
            process.is_running = False
            self._stack.pop()

    def bury(self, process: Process) -> None:
        process.is_dead = True
        self.processes = [p for p in self.processes if p is not process]
        self.ghosts += [reader.member for reader in process.readers]

    def evict(self, members: Iterable[tuple[str, str]]) -> None:
        for group, member in members:
            self.log.evict(group, member)

    def _yield(self, what: str) -> None:
        """An effect, or a read: time passes, markers land, and the process may be stopped or killed here."""
        random, rates = self.random, self.rates
        self.clock.sleep_ms(1)
        if random.random() < rates.marker:
            self.log.write_marker()
        if self._stack and rates.crash and random.random() < rates.crash:
            raise Crash(what)
        if self._stack and rates.pause and random.random() < rates.pause:
            self._stop(self._stack[-1])

    def _stop(self, process: Process) -> None:
        """SIGSTOP, and SIGCONT some turns of the others later: a zombie, if it was evicted meanwhile."""
        random = self.random
        if self.net.fails(self.rates.evict):
            self.evict([random.choice(process.readers).member])
        if self.net.fails(self.rates.slow):
            self.clock.sleep_ms(11 * SECOND_MS)
            self.log.expire_transactions()
        if process in self.processes and process.is_static and random.random() < 0.1:
            self.processes.remove(process)  # the platform starts another of the same name: both live
            self.start(process.name, is_static=True)
        for _ in range(random.randint(1, 6)):
            others = [p for p in self.processes if not p.is_running]
            if others:
                self.step(random.choice(others))

    # -------------------------------------------------------------------- turns

    def turn(self) -> None:
        """Input, what happens to processes between two of their steps, and a step of one or of each."""
        random = self.random
        self.feed()
        self.clock.sleep_ms(random.choice((1, 20, 300, 1_500)))
        self._fate()
        if self.processes:
            for process in random.sample(self.processes, random.randint(1, len(self.processes))):
                self.step(process)

    def _fate(self) -> None:
        random = self.random
        chance = random.random()
        if not self.processes or (chance < 0.1 and len(self.processes) < 3):
            self.start(is_static=random.random() < 0.5)
        elif chance < 0.14:
            self.evict([random.choice(random.choice(self.processes).readers).member])
        elif chance < 0.17:
            random.choice(self.processes).clock.skew_ms = random.choice((0, 0, -1, 1)) * random.randint(
                0, HOUR_MS
            )
        elif chance < 0.20 and len(self.processes) > 1:
            self._leave(random.choice(self.processes))
        if self.ghosts and random.random() < 0.3:
            self.evict([self.ghosts.pop(0)])
        if random.random() < 0.1:
            self.log.compact(TOPICS.checkpoints)
        if random.random() < 0.05:
            self.clock.sleep_ms(11 * SECOND_MS)
            self.log.expire_transactions()

    def _leave(self, process: Process) -> None:
        """SIGTERM: finish, commit, checkpoint, leave."""
        self._stack.append(process)
        process.is_running = True
        try:
            process.worker.finish()
            process.worker.close()
        except Crash:
            pass
        finally:
            self._stack.pop()
        self.bury(process)

    def calm(self) -> None:
        """No more faults: somebody is alive, clocks are right, the dead are found to be dead."""
        for name in Rates.__struct_fields__:
            setattr(self.rates, name, 0)
        self.rates.marker = 0.5
        living = {reader.member for process in self.processes for reader in process.readers}
        for name in (INTAKE_GROUP, CORRELATE_GROUP):
            self.evict([(name, m) for m in list(self.log.group(name).members) if (name, m) not in living])
        while len(self.processes) < 1:
            self.start(is_static=False)
        for process in self.processes:
            process.clock.skew_ms = 0

    def calm_turn(self) -> None:
        self.clock.sleep_ms(500)
        self.log.write_marker()
        self.log.expire_transactions()
        for process in list(self.processes):
            self.step(process)


def read(time_ms: int, number: str, who: str, reader: str, outcome: str) -> Mapped:
    source = "lis-1" if reader.startswith("lis") else "bos-1"
    return Mapped(time_ms, number, "access", source, "badge", who, "card", reader=reader, outcome=outcome)


def _rates(random: Random) -> Rates:
    """Each fault in about half of the seeds, so that one does not hide another."""

    def some(*rates: float) -> float:
        return random.choice(rates) if random.random() < 0.5 else 0

    return Rates(
        crash=some(0.002, 0.01),
        pause=some(0.005, 0.02, 0.05),
        evict=random.choice((0.0, 0.2, 0.6)),
        slow=random.choice((0.0, 0.1, 0.3)),
        unavailable=some(0.005, 0.03),
        aborted=some(0.02, 0.1),
        expired=some(0.005, 0.02),
        unknown=some(0.02, 0.1),
        marker=random.choice((0.05, 0.3, 0.9)),
    )


def _options(random: Random) -> Options:
    return Options(
        poll_ms=0,
        pace_ms=0,
        look_ms=random.choice((0, 500)),
        records_max=random.choice((2, 5, 20)),
        frames_max=random.choice((1, 3, 10)),
        restore_ms=random.choice((0, 2, 10)),
        restore_alone_ms=random.choice((0, 2, 50)),
        checkpoint_ms=random.choice((2_000, 60_000)),
        checkpoint_events=random.choice((2, 8, 1_000)),
        slice_entities=random.choice((1, 3, 100)),
    )
