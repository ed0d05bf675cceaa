"""Kafka as the `Log` of tests/log_conformance.py, and short deadlines for tests that wait for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

from kafka import KafkaAdminClient
from kafka.structs import TopicPartition as KafkaPartition

from correlator.adapters.kafka.admin import KafkaTopics, Topic
from correlator.adapters.kafka.config import KafkaConfig
from correlator.adapters.kafka.group_reader import KafkaGroupReader
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.adapters.kafka.publisher import KafkaPublisher
from correlator.adapters.kafka.transactions import Deadlines, KafkaTransactionalWriter
from correlator.engine.ports import TopicPartition
from correlator.record import Record

SESSION_MS, TRANSACTION_MS = 6_000, 4_000  # for tests that wait until it is over
SHORT = Deadlines.within(TRANSACTION_MS)


class KafkaLog:
    def __init__(self, bootstrap: str, prefix: str) -> None:
        timeouts = {"session_timeout_ms": SESSION_MS, "transaction_timeout_ms": TRANSACTION_MS}
        self.config = KafkaConfig.model_validate({"bootstrap_servers": bootstrap, **timeouts})
        self._prefix = prefix
        self._numbers = count()
        self._topics = KafkaTopics(self.config)
        self._admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        self._publisher = KafkaPublisher(self.config)
        self._log_reader = KafkaLogReader(self.config)
        self._ends: list[Callable[[], None]] = [
            self._topics.close,
            self._admin.close,
            self._publisher.close,
            self._log_reader.close,
        ]

    def name(self, purpose: str) -> str:
        return f"{self._prefix}-{purpose}-{next(self._numbers)}"

    def topic(self, partitions: int = 1) -> str:
        name = self.name("topic")
        self._topics.create(
            [Topic(name, partitions, {"max.message.bytes": str(4 << 20), "retention.ms": "-1"})]
        )
        return name

    def reader(self, group: str, topics: Sequence[str], instance: str | None = None) -> KafkaGroupReader:
        reader = KafkaGroupReader(self.config, group, topics, instance)
        self._ends.append(reader.close)
        return reader

    def writer(self, transactional_id: str) -> KafkaTransactionalWriter:
        writer = KafkaTransactionalWriter(self.config, transactional_id)
        self._ends.append(writer.close)
        return writer

    def log_reader(self) -> KafkaLogReader:
        return self._log_reader

    def append(self, record: Record) -> None:
        self._publisher.send(
            record.topic, record.partition, record.key, record.value, record.headers, record.timestamp_ms
        )
        self._publisher.flush()

    def truncate(self, partition: TopicPartition, before: int) -> None:
        self._admin.delete_records({KafkaPartition(partition.topic, partition.partition): before})

    def close(self) -> None:
        for end in reversed(self._ends):
            end()
