"""The embedded log's clients behind a network: calls fail, replies get lost, others run meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

import msgspec

from correlator.adapters.memory.clients import MemoryGroupReader, MemoryLogReader, MemoryTransactionalWriter
from correlator.adapters.memory.log import MemoryLog
from correlator.engine.ports import (
    CommitAborted,
    Committed,
    CommitUnknown,
    LogUnavailable,
    Membership,
    TopicPartition,
)
from correlator.record import Record


class Rates(msgspec.Struct):
    """How often what goes wrong; all 0 when the faults are over."""

    crash: float = 0  # before an effect of the log
    pause: float = 0  # before an effect or a read: the others run meanwhile
    evict: float = 0  # of those paused: the session times out
    slow: float = 0  # of those paused: longer than the transaction timeout
    unavailable: float = 0  # a call of a reader
    aborted: float = 0  # a call of a writer
    expired: float = 0  # a send that never reached the log
    unknown: float = 0  # a commit, and the settling of one
    marker: float = 0.5  # an outstanding marker lands, at each effect


class Net(msgspec.Struct):
    """What stands between a process and the log. *yield_* lets others run and time pass, or ends it."""

    random: Random
    rates: Rates
    yield_: Callable[[str], None]

    def fails(self, rate: float) -> bool:
        return rate > 0 and self.random.random() < rate

    def ask(self, what: str) -> None:
        self.yield_(what)
        if self.fails(self.rates.unavailable):
            raise LogUnavailable(what)


class SimulatedGroupReader(MemoryGroupReader):
    def __init__(
        self, log: MemoryLog, net: Net, group: str, topics: Sequence[str], instance: str | None
    ) -> None:
        self._net = net
        super().__init__(log, group, topics, instance)

    @property
    def member(self) -> tuple[str, str]:
        return self._group, self._member

    def poll(self, timeout_ms: int, records_max: int) -> list[Record]:
        self._net.ask("poll")
        return super().poll(timeout_ms, records_max)

    def membership(self) -> Membership:
        """The client's thread hears of an eviction between two polls, and forgets who we were (H3)."""
        if self._member not in self._log.group(self._group).members:
            return Membership(self._group, -1, "", self._instance)
        return super().membership()

    def committed(self, partition: TopicPartition) -> Committed | None:
        self._net.ask("committed")
        return super().committed(partition)

    def end_offset(self, partition: TopicPartition) -> int:
        self._net.ask("end_offset")
        return super().end_offset(partition)


class SimulatedWriter(MemoryTransactionalWriter):
    def __init__(self, log: MemoryLog, net: Net, transactional_id: str) -> None:
        super().__init__(log, transactional_id)
        self._net = net
        self.has_expired = False  # a batch of this transaction

    def begin(self) -> None:
        self.has_expired = False
        self._abort_sometimes("begin")
        super().begin()

    def send(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
    ) -> None:
        if self._net.fails(self._net.rates.expired):
            self.has_expired = True
        else:
            super().send(topic, partition, key, value, headers, timestamp_ms)

    def commit(self, offsets: Mapping[TopicPartition, Committed], membership: Membership) -> None:
        self.flush()
        self._abort_sometimes("commit")
        if not self._net.fails(self._net.rates.unknown):
            return super().commit(offsets, membership)
        if self._net.random.random() < 0.5 and self._producer is not None:
            self._producer = None  # the request was lost: the transaction stays open
        else:
            super().commit(offsets, membership)
            self._producer = None
        raise CommitUnknown("no reply")

    def flush(self) -> None:
        """A batch that expired must not be taken for sent (H1)."""
        if self.has_expired:
            self.abort()
            raise CommitAborted("a batch has expired")

    def settle(self) -> None:
        if self._net.fails(self._net.rates.unknown):
            raise CommitUnknown("no reply")
        super().settle()
        if self._net.fails(self._net.rates.unknown):
            self._producer = None
            raise CommitUnknown("no reply")

    def _abort_sometimes(self, what: str) -> None:
        if self._net.fails(self._net.rates.aborted):
            self.abort()
            raise CommitAborted(what)


class SimulatedLogReader(MemoryLogReader):
    def __init__(self, log: MemoryLog, net: Net) -> None:
        super().__init__(log)
        self._net = net

    def high_watermark(self, partition: TopicPartition) -> int:
        self._net.ask("high_watermark")
        return super().high_watermark(partition)

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[Record]:
        for record in super().read(partition, start, end):
            self._net.ask("read")
            yield record


class NoMeter:
    def add(self, name: str, value: float, **labels: str) -> None:
        return

    def set(self, name: str, value: float, **labels: str) -> None:
        return

    def observe(self, name: str, values: Sequence[float], **labels: str) -> None:
        return
