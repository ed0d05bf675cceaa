"""The embedded log passes the list that every log passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

import pytest

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.memory.clients import (
    MemoryGroupReader,
    MemoryLogReader,
    MemoryTransactionalWriter,
)
from correlator.adapters.memory.log import MemoryLog
from correlator.engine.ports import TopicPartition
from correlator.record import Record
from tests.log_conformance import BEHAVIOURS, Log


class Embedded:
    def __init__(self) -> None:
        self._log = MemoryLog(SimulatedClock(1_000))
        self._numbers = count()

    def name(self, purpose: str) -> str:
        return f"{purpose}-{next(self._numbers)}"

    def topic(self, partitions: int = 1) -> str:
        name = self.name("topic")
        self._log.create_topic(name, partitions)
        return name

    def reader(self, group: str, topics: Sequence[str], instance: str | None = None) -> MemoryGroupReader:
        return MemoryGroupReader(self._log, group, topics, instance)

    def writer(self, transactional_id: str) -> MemoryTransactionalWriter:
        return MemoryTransactionalWriter(self._log, transactional_id)

    def log_reader(self) -> MemoryLogReader:
        return MemoryLogReader(self._log)

    def append(self, record: Record) -> None:
        partition = TopicPartition(record.topic, record.partition)
        self._log.append(partition, record.key, record.value, record.headers, record.timestamp_ms)

    def truncate(self, partition: TopicPartition, before: int) -> None:
        self._log.truncate(partition, before)

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_memory(behaviour: Callable[[Log], None]) -> None:
    behaviour(Embedded())
