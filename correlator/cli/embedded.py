"""The whole system in one process: the production worker, wired to the embedded log instead of Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from correlator.adapters.clock import SteadyClock
from correlator.adapters.memory.clients import MemoryGroupReader, MemoryLogReader, MemoryTransactionalWriter
from correlator.adapters.memory.log import MemoryLog
from correlator.engine.bundles import Activated, Bundles
from correlator.engine.correlate_stage import CorrelateStage
from correlator.engine.dead_letters import PARTITIONS as DEAD_LETTER_PARTITIONS
from correlator.engine.deploy import Edges, deploy
from correlator.engine.intake_stage import IntakeStage
from correlator.engine.options import Options, Ports
from correlator.engine.ports import Clock, Meter, TopicPartition
from correlator.engine.topics import Topics
from correlator.engine.worker import Worker, freeze_heap
from correlator.event import NEVER
from correlator.pipeline import ALERT_PARTITIONS, Bundle
from correlator.record import Record

FAST = Options(
    poll_ms=0, pace_ms=0, look_ms=0, spans=96
)  # a quarter of an hour of arrival a step: nearly live
INTAKE_GROUP, CORRELATE_GROUP = "correlator-intake", "correlator-correlate"


class Embedded:
    """A log with all topics, and workers on it. *raw*: partitions of each raw topic."""

    def __init__(
        self, bundle: Bundle, clock: Clock, raw: Mapping[str, int], prefix: str = "correlator."
    ) -> None:
        self.bundle, self.clock = bundle, clock
        self.topics = Topics(prefix)
        self.log = MemoryLog(clock)
        self.raw = {topic: raw.get(topic, 1) for topic in bundle.intake.feeds}
        for topic, partitions in self.raw.items():
            self.log.create_topic(topic, partitions)
        keyed = bundle.intake.partitions
        self.log.create_topic(self.topics.identities, 1)
        self.log.create_topic(self.topics.keyed, keyed, is_append_time=True)
        self.log.create_topic(self.topics.checkpoints, keyed, is_append_time=True)
        self.log.create_topic(self.topics.alerts, ALERT_PARTITIONS, is_append_time=True)
        self.log.create_topic(self.topics.notices, 1, is_append_time=True)
        self.log.create_topic(self.topics.shadow, ALERT_PARTITIONS, is_append_time=True)
        self.log.create_topic(self.topics.bundles, 1, is_append_time=True)
        self.log.create_topic(self.topics.dead_letters, DEAD_LETTER_PARTITIONS, is_append_time=True)
        self._known: dict[str, Bundle] = {}
        self._seen: dict[TopicPartition, int] = {}
        self._workers = 0
        self.deploy(bundle)

    def deploy(self, bundle: Bundle, since_ms: int = NEVER) -> None:
        """Put *bundle* into force for what happens from *since_ms* on; the first one whenever."""
        self._known[bundle.hash] = bundle
        writer, log = MemoryTransactionalWriter(self.log, "deploy"), MemoryLogReader(self.log)
        edges = Edges(self.bundles(), writer, log, self.topics)
        deploy(edges, Activated(bundle.hash, since_ms, self.clock.now_ms()), {})

    def bundles(self) -> Bundles:
        return Bundles(MemoryLogReader(self.log), self.topics.bundles, known=self._known.values())

    def load_identities(self, rows: Iterable[tuple[str, bytes]], at_ms: int) -> None:
        for key, value in rows:
            self.log.append(TopicPartition(self.topics.identities, 0), key.encode(), value, (), at_ms)

    def append(self, record: Record) -> None:
        """A raw record, with its own timestamp."""
        where = TopicPartition(record.topic, record.partition)
        self.log.append(where, record.key, record.value, record.headers, record.timestamp_ms)

    def worker(
        self,
        meter: Meter,
        options: Options = FAST,
        *,
        instance: str | None = None,
        steady: Clock | None = None,
        stage: Literal["intake", "correlate"] | None = None,
    ) -> Worker:
        """Both stages, or only *stage*, as a member of their groups. Several workers share the partitions."""
        self._workers += 1
        name, steady = instance or f"embedded-{self._workers}", steady or SteadyClock()

        def ports(stage: str, group: str, topics: list[str]) -> Ports:
            return Ports(
                MemoryGroupReader(self.log, group, topics, instance),
                MemoryTransactionalWriter(self.log, f"{stage}-{name}"),
                MemoryLogReader(self.log),
                self.clock,
                steady,
                meter,
                freeze_heap,
            )

        intake = correlate = None
        if stage != "correlate":
            inputs = ports("intake", INTAKE_GROUP, [*self.raw, self.topics.identities])
            intake = IntakeStage(self.bundles(), self.topics, inputs, options)
        if stage != "intake":
            keyed = ports("correlate", CORRELATE_GROUP, [self.topics.keyed])
            correlate = CorrelateStage(self.bundles(), self.topics, keyed, options)
        return Worker(intake, correlate, steady, meter, options)

    def news(self, topic: str) -> list[Record]:
        """Committed records of *topic* since the last call."""
        found: list[Record] = []
        for number in range(self.log.partitions(topic)):
            where = TopicPartition(topic, number)
            log = self.log.partition(where)
            start = max(self._seen.get(where, 0), log.begin_offset)
            records, self._seen[where] = log.fetch(start, log.next_offset, 1 << 30)
            found += records
        return found

    def lag(self) -> int:
        """Raw records that are not taken yet."""
        committed = self.log.group(INTAKE_GROUP).committed
        where = [TopicPartition(topic, p) for topic, count in self.raw.items() for p in range(count)]
        ends = {tp: self.log.partition(tp).next_offset for tp in where}
        return sum(end - (committed[tp].offset if tp in committed else 0) for tp, end in ends.items())

    def forget(self) -> None:
        """Retention: drop what has been read by everybody, and compact the checkpoints."""
        for group, topics in ((INTAKE_GROUP, [*self.raw]), (CORRELATE_GROUP, [self.topics.keyed])):
            for where, committed in self.log.group(group).committed.items():
                if where.topic in topics:
                    self.log.truncate(where, committed.offset)
        ours = self.topics
        for topic in (ours.alerts, ours.shadow, ours.notices, ours.dead_letters):
            for number in range(self.log.partitions(topic)):
                where = TopicPartition(topic, number)
                self.log.truncate(where, self._seen.get(where, 0))
        self.log.compact(self.topics.checkpoints)


def with_partitions(bundle: Bundle, partitions: int) -> Bundle:
    """*bundle* for another number of keyed partitions."""
    intake = msgspec.structs.replace(bundle.intake, partitions=partitions)
    return msgspec.structs.replace(bundle, intake=intake)
