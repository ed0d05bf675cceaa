"""One seed: production workers on the embedded log, in simulated time, with faults drawn from the seed.

Each process is a greenlet. At every effect on the log (before and after it), around every call, and between
poll and commit it may be preempted, stopped for some turns, or killed; so any interleaving of the processes
can happen. What a dead one leaves behind (its membership, its open transaction) stays until the log times it
out. A turn is: some input, fate, and one process that runs until it rests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.memory.clients import MemoryLogReader, MemoryTransactionalWriter
from correlator.cli.embedded import CORRELATE_GROUP, INTAKE_GROUP
from correlator.engine.bundles import Activated, Bundles
from correlator.engine.deploy import Edges, deploy
from correlator.engine.ports import LogUnavailable, TopicPartition
from correlator.engine.topics import EngineRefusal
from correlator.event import HOUR_MS, MINUTE_MS, NEVER, SECOND_MS
from correlator.pipeline import ALERT_PARTITIONS
from tests.simulation.clients import Counts, Net, SimulatedLogReader, SimulatedWriter
from tests.simulation.company import START_MS, Company
from tests.simulation.faults import FOCUS, Crash, Rates, Violation, draw_focus, draw_options, draw_rates
from tests.simulation.log import Forward, SimulatedLog
from tests.simulation.process import TOPICS, Process
from tests.simulation.small import HASH, HORIZON_MS, KEYED, RAW, bundles

TURNS = 150  # with faults
TURNS_MS = (1, 5, 50, 300, 1_500)
CALM_MS = 500
PROCESSES_MAX = 3
DEPLOY = 20  # times as often as others, who deploys is killed
GROUPS = (INTAKE_GROUP, CORRELATE_GROUP)
SLOW = (
    "",
    TOPICS.checkpoints,
    TOPICS.checkpoints,
    TOPICS.keyed,
    TOPICS.alerts,
    *GROUPS,
)  # where markers may come late


class World:
    """*is_traced*: what happens is printed, a line each."""

    def __init__(self, seed: int, *, is_traced: bool = False) -> None:
        self.random = Random(seed)
        self.rates = draw_rates(self.random)
        self.focus = draw_focus(self.random)
        self.options = draw_options(self.random)
        self.clock = SimulatedClock(START_MS)
        self.happened: Counter[str] = Counter()
        self.processes: list[Process] = []
        self.log = SimulatedLog(self.clock, self.random, self.rates, self.at)
        self.log.slow = self.random.choice(SLOW)
        self.net = Net(self.random, self.rates, self.at, self.note, self.trace)
        self.meter = Counts()
        self.may_refuse, self.refusal = False, ""
        self._is_traced = is_traced
        self._running: Process | None = None
        self._is_deploying = False
        self._turn = self._names = self._stalls_until = 0
        self._dead_names: list[tuple[str, bool]] = []
        self._evictions: list[tuple[int, str, str]] = []  # turn, group, member: sessions that time out
        self._ghosts: list[tuple[str, str]] = []  # memberships of the dead
        _create_topics(self.log)
        self.company = Company(self.random, self.log)
        self._is_static = self.random.random() < 0.5
        for _ in range(self.random.choice((1, 2, 2, 3))):
            self.start()

    # -------------------------------------------------------------- what happens

    def at(self, point: str) -> None:
        """A point within a process: time passes, markers land; it may be preempted, stopped or killed."""
        process = self._running
        if process is None:
            if self._is_deploying and self.net.fails(self.rates.crash * DEPLOY):
                raise Crash(point)
            return
        self.clock.sleep_ms(1)
        if self._is_traced:
            self._print(f"    {point}")
        random, rates = self.random.random, self.rates
        if self._turn >= self._stalls_until and random() < rates.marker:
            self.log.write_marker()
        chance = random()
        if point == self.focus:
            chance /= FOCUS
        if chance < rates.crash:
            self.note(f"killed at: {point}", f"killed at: {point}")
            raise Crash(point)
        if chance < rates.crash + rates.stop:
            self._stop(process, point)
        elif chance < rates.crash + rates.stop + rates.preempt or point == "wait":
            process.rest()

    def note(self, text: str, kind: str = "") -> None:
        """For who reads a trace; *kind* is counted."""
        self.happened[kind or text.split(":", maxsplit=1)[-1].strip()] += 1
        if self._is_traced:
            self._print(text)

    def trace(self, text: Callable[[], str]) -> None:
        if self._is_traced:
            self._print(text())

    def _print(self, text: str) -> None:
        seconds = (self.clock.now_ms() - START_MS) / SECOND_MS
        who = self._running.name if self._running else "-"
        print(f"{seconds:9.3f} s  turn {self._turn:<3} {who:4} {text}")  # noqa: T201 - the trace

    def _stop(self, process: Process, point: str) -> None:
        """SIGSTOP, and SIGCONT some turns later: a zombie, if its sessions time out meanwhile."""
        random = self.random
        process.resumes_at = self._turn + random.randint(2, 30)
        self.note(f"stopped until turn {process.resumes_at} at: {point}", f"stopped at: {point}")
        if self.net.fails(self.rates.evict):
            readers = random.choice((process.readers, process.readers, [random.choice(process.readers)]))
            for reader in readers:
                self._evictions.append((self._turn + random.randint(0, 3), *reader.member))
        process.rest()

    # --------------------------------------------------------------------- turns

    def turn(self) -> None:
        random = self.random
        self._turn += 1
        self.company.feed()
        self.clock.sleep_ms(random.choice(TURNS_MS))
        self._time_out()
        self._fate()
        for process in random.sample(self.processes, len(self.processes)):
            if process.resumes_at <= self._turn and not process.end:
                self.run(process)

    def run(self, process: Process) -> None:
        """Let *process* run until it rests, or ends."""
        self._running = process
        try:
            process.run()
        finally:
            self._running = None
        if process.end:
            self._bury(process)

    def start(self, name: str = "", *, is_static: bool | None = None) -> None:
        if not name:
            self._names += 1
            name = f"p{self._names}"
        is_static = self._is_static if is_static is None else is_static
        self.note(f"{name} starts{', static' if is_static else ''}", "start")
        self.processes.append(
            Process(name, self.log, self.net, self.options, self.meter, is_static=is_static)
        )

    def kill(self, process: Process) -> None:
        """SIGKILL, be it stopped in the middle of something."""
        process.kill()
        self._bury(process)

    def _bury(self, process: Process) -> None:
        self.note(f"{process.name} has ended: {process.end}", "end")
        if process.is_wronged:
            self.refusal = process.end
        if process.is_wronged and not self.may_refuse:
            raise Violation(f"{process.name} {process.end}")
        self.processes.remove(process)
        self._ghosts += [reader.member for reader in process.readers if reader.is_member]
        if not process.is_superseded:
            self._dead_names.append((process.name, process.is_static))

    def _time_out(self) -> None:
        for event in [e for e in self._evictions if e[0] <= self._turn]:
            self._evictions.remove(event)
            self._evict(event[1], event[2])

    def _evict(self, group: str, member: str) -> None:
        self.note(f"{member} is evicted from {group}", "evicted")
        self.log.evict(group, member)

    # ---------------------------------------------------------------------- fate

    def _fate(self) -> None:
        random, rates, fails = self.random, self.rates, self.net.fails
        if not self.processes or (len(self.processes) < PROCESSES_MAX and fails(rates.join)):
            self._join()
        if self.processes and fails(rates.kill):
            self.kill(random.choice(self.processes))
        if self.processes and fails(rates.leave):
            process = random.choice(self.processes)
            self.note(f"{process.name} is told to leave", "SIGTERM")
            process.is_leaving = True
        if self.processes and fails(rates.drop):
            self._evict(*random.choice(random.choice(self.processes).readers).member)
        if self._ghosts and fails(rates.bury):
            self._evict(*self._ghosts.pop(0))
        if self.processes and fails(rates.skew):
            random.choice(self.processes).clock.skew_ms = random.randint(-HOUR_MS, HOUR_MS)
            self.note("a clock jumps")
        if fails(rates.stall):
            self._stalls_until = self._turn + random.randint(2, 10)
            self.note("markers are not written for a while")
        if fails(rates.slow):
            self.note("more time passes than a transaction may take")
            self.clock.sleep_ms(11 * SECOND_MS)
            self.log.expire_transactions()
        if fails(rates.deploy):
            self._deploy()
        if fails(rates.compact):
            self._compact()
        if fails(rates.truncate):
            self._truncate()

    def _join(self) -> None:
        """A new process, one of those that died, or a second one of a static name that lives."""
        random = self.random
        living = [p for p in self.processes if p.is_static and not p.is_superseded]
        if self._dead_names and random.random() < 0.6:
            name, is_static = self._dead_names.pop(random.randrange(len(self._dead_names)))
            self.start(name, is_static=is_static)
        elif living and random.random() < 0.3:
            old = random.choice(living)
            old.is_superseded = True
            self.note("a second process of a name that lives")
            self.start(old.name, is_static=True)
        else:
            self.start()

    def _deploy(self) -> None:
        """Somebody activates a bundle, for what happened of late or will soon. It may fail, or be killed."""
        since_ms = self.clock.now_ms() + self.random.randint(-HORIZON_MS, MINUTE_MS)
        bundle = self.random.choice(bundles())
        reader = SimulatedLogReader(self.log, self.net)
        edges = Edges(
            Bundles(reader, TOPICS.bundles, known=bundles()),
            SimulatedWriter(self.log, self.net, "deploy"),
            reader,
            TOPICS,
        )
        self._is_deploying = True
        try:
            is_new = deploy(edges, Activated(bundle.hash, since_ms, self.clock.now_ms()), {})
            self.note(f"{bundle.hash} is active", "deployed" if is_new else "is active already")
        except Crash:
            self.note("who deploys is killed")
        except (EngineRefusal, LogUnavailable) as error:
            self.note(f"not deployed: {error}", "not deployed")
        self._is_deploying = False

    def _compact(self) -> None:
        self.note("compaction")
        self.log.compact(TOPICS.checkpoints)
        people = TopicPartition(TOPICS.identities, 0)
        taken = self.log.group(INTAKE_GROUP).committed.get(people)
        if taken and taken.offset >= self.log.partition(people).next_offset:
            self.log.compact(TOPICS.identities)

    def _truncate(self) -> None:
        """As harshly as is allowed: *keyed* behind the newest checkpoint, raw topics behind the commits."""
        self.note("retention")
        for tp, committed in self.log.group(INTAKE_GROUP).committed.items():
            if tp.topic in RAW:
                self.log.truncate(tp, committed.offset)
        for number in range(KEYED):
            manifest = self.log.newest_manifest(TopicPartition(TOPICS.checkpoints, number))
            if manifest is not None:
                self.log.truncate(TopicPartition(TOPICS.keyed, number), manifest.offset)

    # ---------------------------------------------------------------------- calm

    def calm(self) -> None:
        """No more faults: zombies finish what they were at, clocks are right, the dead are found dead."""
        self.note("calm")
        for name in Rates.__struct_fields__:
            setattr(self.rates, name, 0)
        self.rates.marker, self.log.slow, self._stalls_until = 0.5, "", 0
        for process in list(self.processes):
            process.clock.skew_ms = process.resumes_at = 0
            self.run(process)
        for process in [p for p in self.processes if p.is_superseded]:
            self.kill(process)
        if all(process.is_leaving for process in self.processes):
            self.start()

    def _strangers(self) -> list[tuple[str, str]]:
        living = {reader.member for process in self.processes for reader in process.readers}
        members = [(group, member) for group in GROUPS for member in self.log.group(group).members]
        return [found for found in members if found not in living]

    def calm_turn(self) -> None:
        """Everybody once."""
        self._turn += 1
        for group, member in self._strangers():
            self._evict(group, member)
        self.clock.sleep_ms(CALM_MS)
        self.log.write_marker()
        self.log.expire_transactions()
        for process in list(self.processes):
            self.run(process)

    def close(self) -> None:
        """Nothing is left suspended: it would go on when it is collected."""
        for process in self.processes:
            process.kill()


def _create_topics(log: SimulatedLog) -> None:
    for topic, partitions in RAW.items():
        log.create_topic(topic, partitions)
    log.create_topic(TOPICS.identities, 1)
    ours = {TOPICS.keyed: KEYED, TOPICS.checkpoints: KEYED, TOPICS.alerts: ALERT_PARTITIONS}
    for topic, partitions in (ours | {TOPICS.notices: 1, TOPICS.dead_letters: 3}).items():
        log.create_topic(topic, partitions, is_append_time=True)
    log.create_topic(TOPICS.bundles, 1, is_append_time=True)
    log.create_topic(TOPICS.shadow, ALERT_PARTITIONS, is_append_time=True)
    reader = MemoryLogReader(log)
    known = Bundles(reader, TOPICS.bundles, known=bundles())
    edges = Edges(known, MemoryTransactionalWriter(log, "deploy"), reader, TOPICS)
    deploy(edges, Activated(HASH, NEVER, 0), {})
    for group in GROUPS:
        log.group(group).committed = Forward()
