"""A process: the production worker in a greenlet, which is stopped at any point and goes on there later."""

from __future__ import annotations

from collections.abc import Sequence

from greenlet import getcurrent, greenlet

from correlator.adapters.clock import SimulatedClock
from correlator.cli.embedded import CORRELATE_GROUP, INTAKE_GROUP
from correlator.engine.bundles import Bundles
from correlator.engine.correlate_stage import CorrelateStage
from correlator.engine.intake_stage import IntakeStage
from correlator.engine.options import Options, Ports
from correlator.engine.topics import EngineRefusal, Topics
from correlator.engine.worker import Worker
from tests.simulation.clients import Counts, Net, SimulatedGroupReader, SimulatedLogReader, SimulatedWriter
from tests.simulation.faults import Crash
from tests.simulation.log import SimulatedLog
from tests.simulation.small import RAW, bundles

TOPICS = Topics()


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
    """*name* is that of the pod: its transactional ids, and with *is_static* its instance in the groups."""

    def __init__(
        self, name: str, log: SimulatedLog, net: Net, options: Options, meter: Counts, *, is_static: bool
    ) -> None:
        self.name, self.is_static = name, is_static
        self.is_leaving = False
        self.only_folds = False  # at the end: no more ticks
        self.is_superseded = False  # another process runs under its name
        self.resumes_at = 0  # the turn at which SIGCONT comes
        self.end = ""  # how it ended
        self.is_wronged = False  # it was refused something, though the log counted it in
        steady = log.clock
        assert isinstance(steady, SimulatedClock), "simulated time"
        self.clock = Skewed(steady)
        self.readers: list[SimulatedGroupReader] = []

        def ports(stage: str, group: str, topics: Sequence[str]) -> Ports:
            reader = SimulatedGroupReader(log, net, group, topics, name if is_static else None)
            self.readers.append(reader)
            writer, log_reader = SimulatedWriter(log, net, f"{stage}-{name}"), SimulatedLogReader(log, net)
            return Ports(reader, writer, log_reader, self.clock, steady, meter)

        inputs = ports("intake", INTAKE_GROUP, [*RAW, TOPICS.identities])
        keyed = ports("correlate", CORRELATE_GROUP, [TOPICS.keyed])
        self.intake = IntakeStage(self._bundles(log, net), TOPICS, inputs, options)
        self.correlate = CorrelateStage(self._bundles(log, net), TOPICS, keyed, options)
        self.worker = Worker(self.intake, self.correlate, steady, meter, options)
        self._greenlet = greenlet(self._run)

    def _bundles(self, log: SimulatedLog, net: Net) -> Bundles:
        return Bundles(SimulatedLogReader(log, net), TOPICS.bundles, known=bundles())

    def run(self) -> None:
        """Until it rests: after a step, or where it is stopped. Raises what no process may end with."""
        self._greenlet.parent = getcurrent()
        self._greenlet.switch()

    def rest(self) -> None:
        """Called from within: let the others run."""
        parent = self._greenlet.parent
        assert parent is not None, "it was started by somebody"
        parent.switch()

    def kill(self) -> None:
        """SIGKILL, wherever it is."""
        if self._greenlet:
            self._greenlet.throw(Crash("SIGKILL"))
        self.end = self.end or "killed"

    @property
    def is_member(self) -> bool:
        """Does the log still count it in, in both of its groups?"""
        return all(reader.is_member for reader in self.readers)

    def _run(self) -> None:
        try:
            self._live()
        except Crash as crash:
            self.end = f"killed at {crash}"

    def _live(self) -> None:
        """As `Worker.run` does it."""
        end = "left"
        try:
            while not self.is_leaving:
                (self.correlate if self.only_folds else self.worker).step()
                self.rest()
            self.worker.finish()
        except EngineRefusal as refusal:
            end = f"refused: {refusal}"
            self.is_wronged = self.is_member and not self.is_superseded
        self.worker.close()
        self.end = end
