"""The production worker, wired to Kafka."""

from __future__ import annotations

import os
import socket

from correlator.adapters.clock import SteadyClock, SystemClock
from correlator.adapters.kafka.config import KafkaConfig
from correlator.adapters.kafka.group_reader import KafkaGroupReader
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.adapters.kafka.transactions import KafkaTransactionalWriter
from correlator.cli.connection import Connection
from correlator.engine.correlate_stage import CorrelateStage
from correlator.engine.intake_stage import IntakeStage
from correlator.engine.options import Options, Ports
from correlator.engine.ports import Meter
from correlator.engine.topics import EngineRefusal, Faults, NoFaults, Topics
from correlator.engine.worker import Worker, freeze_heap
from correlator.pipeline import Bundle

CRASH = "CORRELATOR_CRASH_AT"  # tests only: <point>[:n] ends the process, as kill -9 would, the nth time
KILLED = 137
STAGES = ("intake", "correlate")


class CrashAt:
    """Faults for tests on a real broker: dies at the nth time that a point is reached."""

    def __init__(self, spec: str) -> None:
        self._point, _, count = spec.partition(":")
        self._left = int(count or 1)

    def reached(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                os._exit(KILLED)


class _FaultyWriter(KafkaTransactionalWriter):
    """Names the points inside a commit at which a process may die."""

    def watch(self, stage: str, faults: Faults) -> None:
        self._stage, self._faults = stage, faults

    def _flush(self) -> None:
        super()._flush()
        self._faults.reached(f"{self._stage}-after-flush")

    def _call(self, method: str, *args: object, deadline_ms: int | None = None) -> None:
        super()._call(method, *args, deadline_ms=deadline_ms)
        points = {"send_offsets_to_transaction": "after-offsets-sent", "begin_commit": "after-commit-sent"}
        if method in points:
            self._faults.reached(f"{self._stage}-{points[method]}")


def default_instance() -> str:
    """Unique per machine, the same after a restart."""
    return socket.gethostname()


def check_topics(connection: Connection, bundle: Bundle) -> None:
    """Raises `EngineRefusal` for topics that are not there or not as they must be, `LogUnavailable`."""
    topics, reader = Topics(connection.prefix), KafkaLogReader(connection.kafka)
    try:
        own = (topics.identities, topics.keyed, topics.checkpoints, topics.alerts, topics.notices)
        names = [*bundle.intake.feeds, *own, topics.dead_letters]
        missing = [name for name in names if reader.partitions(name) == 0]
        if missing:
            raise EngineRefusal(
                f"these topics do not exist: {', '.join(missing)}. `correlator topics create` makes ours; "
                "topics of feeds are made by who writes to them, or name fewer in `feeds:` of correlator.yml."
            )
        for name in (topics.keyed, topics.checkpoints):
            found = reader.partitions(name)
            if found != bundle.intake.partitions:
                raise EngineRefusal(
                    f"{name} has {found} partitions, the configuration says {bundle.intake.partitions}. "
                    "Their number is fixed for life: set `partitions` in correlator.yml to the topic's."
                )
    finally:
        reader.close()


def kafka_worker(
    connection: Connection,
    bundle: Bundle,
    stage: str | None,
    options: Options,
    *,
    instance: str,
    meter: Meter,
) -> Worker:
    """Both stages, or the one named *stage*. *instance*: unique per process, the same after a restart."""
    topics, clock, steady = Topics(connection.prefix), SystemClock(), SteadyClock()
    spec = os.environ.get(CRASH, "")
    faults: Faults = CrashAt(spec) if spec else NoFaults()

    def ports(name: str, inputs: list[str]) -> Ports:
        identity = f"{connection.prefix}{name}"
        return Ports(
            KafkaGroupReader(connection.kafka, identity, inputs, instance),
            _writer(connection.kafka, f"{identity}.{instance}", name, faults),
            KafkaLogReader(connection.kafka),
            clock,
            steady,
            meter,
            faults,
            freeze_heap,
        )

    intake = correlate = None
    if stage in (None, "intake"):
        inputs = [*bundle.intake.feeds, topics.identities]
        intake = IntakeStage(bundle, topics, ports("intake", inputs), options)
    if stage in (None, "correlate"):
        correlate = CorrelateStage(bundle, topics, ports("correlate", [topics.keyed]), options)
    return Worker(intake, correlate, steady, meter, options)


def _writer(config: KafkaConfig, identity: str, stage: str, faults: Faults) -> KafkaTransactionalWriter:
    if isinstance(faults, NoFaults):
        return KafkaTransactionalWriter(config, identity)
    writer = _FaultyWriter(config, identity)
    writer.watch(stage, faults)
    return writer
