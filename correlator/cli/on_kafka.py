"""The production worker, wired to Kafka."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial

from correlator.adapters.clock import SteadyClock, SystemClock
from correlator.adapters.files import bundle_of
from correlator.adapters.kafka.admin import kafka_topics, own_topics
from correlator.adapters.kafka.group_reader import KafkaGroupReader
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.adapters.kafka.transactions import KafkaTransactionalWriter
from correlator.cli.connection import Connection
from correlator.engine.bundles import Bundles
from correlator.engine.correlate_stage import CorrelateStage
from correlator.engine.health import Health
from correlator.engine.intake_stage import IntakeStage
from correlator.engine.options import Options, Ports
from correlator.engine.ports import Committed, LogReader, LogUnavailable, Meter, TopicPartition
from correlator.engine.sole_owner import SoleOwner
from correlator.engine.topics import EngineRefusal
from correlator.engine.worker import Worker, freeze_heap
from correlator.pipeline import Bundle


def default_instance() -> str:
    """Unique per machine, the same after a restart."""
    return socket.gethostname()


def bundles_on(connection: Connection, log: LogReader, *, is_looked_up: bool = False) -> Bundles:
    """*is_looked_up*: by who looks addresses up, and needs the databases that a bundle names."""
    compiled = partial(
        bundle_of, prefix=connection.prefix, beside=connection.directory, is_looked_up=is_looked_up
    )
    return Bundles(log, connection.topics.bundles, compiled)


def check_topics(connection: Connection, bundle: Bundle) -> None:
    """Raises `EngineRefusal` for topics that are not there or not as they must be, `LogUnavailable`."""
    topics, reader = connection.topics, KafkaLogReader(connection.kafka)
    try:
        ours = (topics.identities, topics.bundles, topics.keyed, topics.checkpoints)
        told = (topics.alerts, topics.shadow, topics.notices, topics.dead_letters)
        names = [*bundle.intake.feeds, *ours, *told]
        missing = [name for name in names if reader.partitions(name) == 0]
        if missing:
            raise EngineRefusal(
                f"these topics do not exist: {', '.join(missing)}. `correlator topics create` makes ours; "
                "topics of feeds are made by who writes to them, or name fewer in `feeds:` of correlator.yml."
                " Kafka says so also of topics that `kafka:` has no right to read."
            )
        for name in (topics.keyed, topics.checkpoints):
            found = reader.partitions(name)
            if found != bundle.intake.partitions:
                raise EngineRefusal(
                    f"{name} has {found} partitions, the configuration says {bundle.intake.partitions}. "
                    "Their number is fixed for life: set `partitions` in correlator.yml to the topic's. If "
                    f"somebody added partitions to it, create it anew with {bundle.intake.partitions}: "
                    "what was learnt survives that (`correlator state export`)."
                )
    finally:
        reader.close()


def wrong_policies(connection: Connection) -> list[str]:
    """Our topics that Kafka does not clean up as it must: it deletes what is needed, or keeps all for ever.

    Nothing where it does not say so: a name may have no right to ask.
    """
    with suppress(LogUnavailable), kafka_topics(connection.kafka) as topics:
        found = topics.check(own_topics(connection.prefix, connection.partitions))
        return [str(difference) for difference in found if difference.what == "cleanup.policy"]
    return []


def kafka_worker(
    connection: Connection,
    stage: str | None,
    options: Options,
    *,
    instance: str,
    meter: Meter,
    health: Health | None = None,
) -> Worker:
    """Both stages, or the one named *stage*. *instance*: unique per process, the same after a restart."""
    topics, clock, steady = connection.topics, SystemClock(), SteadyClock()
    with ExitStack() as made:  # closed, should the next one fail: whoever waits for a broker comes again

        def reader() -> KafkaLogReader:
            return made.enter_context(closing(KafkaLogReader(connection.kafka)))

        def ports(name: str, inputs: list[str]) -> Ports:
            identity = topics.group(name)
            return Ports(
                made.enter_context(closing(KafkaGroupReader(connection.kafka, identity, inputs, instance))),
                KafkaTransactionalWriter(connection.kafka, f"{identity}.{instance}"),
                reader(),
                clock,
                steady,
                meter,
                freeze_heap,
            )

        intake = correlate = None
        if stage in (None, "intake"):
            known = bundles_on(connection, reader(), is_looked_up=True)
            known.look()
            active = known.active
            feeds = known.get(active.bundle).intake.feeds if active is not None else ()
            intake = IntakeStage(known, topics, ports("intake", [*feeds, topics.identities]), options)
        if stage in (None, "correlate"):
            known = bundles_on(connection, reader())
            correlate = CorrelateStage(known, topics, ports("correlate", [topics.keyed]), options)
        made.pop_all()
        return Worker(intake, correlate, steady, meter, options, health=health)


@contextmanager
def sole_owner(
    connection: Connection, stage: str, partitions: Sequence[TopicPartition]
) -> Iterator[SoleOwner]:
    """Who can take the group of *stage* for himself."""
    group = connection.topics.group(stage)
    with kafka_topics(connection.kafka) as topics:
        reader = KafkaGroupReader(connection.kafka, group, sorted({tp.topic for tp in partitions}))
        writer = KafkaTransactionalWriter(connection.kafka, f"{group}.state")
        members = partial(topics.members, group)
        with closing(SoleOwner(group, partitions, reader, writer, SteadyClock(), members=members)) as owner:
            yield owner


def committed_of(connection: Connection, stage: str, partition: TopicPartition) -> Committed | None:
    """What the group of *stage* has committed; asked without joining it."""
    reader = KafkaGroupReader(connection.kafka, connection.topics.group(stage), [partition.topic])
    try:
        return reader.committed(partition)
    finally:
        reader.close()
