"""The embedded log's clients behind a network: calls fail, replies get lost, others run meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from random import Random

import msgspec

from correlator.adapters.memory.clients import MemoryGroupReader, MemoryLogReader, MemoryTransactionalWriter
from correlator.adapters.memory.log import ConcurrentTransactions, MemoryLog
from correlator.engine.ports import (
    CommitAborted,
    CommitFenced,
    Committed,
    CommitUnknown,
    LogUnavailable,
    Membership,
    TopicPartition,
)
from correlator.record import Record
from tests.simulation.faults import Rates


class Net(msgspec.Struct):
    """What stands between a process and the log. *at* lets others run and time pass, or ends the process."""

    random: Random
    rates: Rates
    at: Callable[[str], None]
    note: Callable[[str], None]
    trace: Callable[[Callable[[], str]], None]  # made only for who reads it

    def fails(self, rate: float) -> bool:
        return rate > 0 and self.random.random() < rate

    def ask(self, what: str) -> None:
        self.at(what)
        if self.fails(self.rates.unavailable):
            self.note(f"{what}: no answer")
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

    @property
    def is_member(self) -> bool:
        return self._member in self._log.group(self._group).members

    def poll(self, timeout_ms: int, records_max: int) -> list[Record]:
        self._net.ask("poll")
        records = super().poll(timeout_ms, records_max)
        self._net.trace(
            lambda: f"polled {_spans((TopicPartition(r.topic, r.partition), r.offset) for r in records)}"
        )
        self._net.at("after poll")
        return records

    def membership(self) -> Membership:
        """The client's thread hears of an eviction between two polls, and forgets who we were (H3)."""
        if not self.is_member:
            return Membership(self._group, -1, "", self._instance)
        return super().membership()

    def committed(self, partition: TopicPartition) -> Committed | None:
        self._net.ask("committed")
        while self._log.has_pending_offset(self._group, partition):
            self._log.wait()
            if self._net.fails(self._net.rates.impatient):
                raise LogUnavailable("a pending offset")
        found = super().committed(partition)
        self._net.at("after committed")
        return found

    def position(self, partition: TopicPartition) -> int:
        self._net.ask("position")
        return super().position(partition)

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        asked = list(partitions)
        if asked:
            self._net.ask("end_offsets")
        return super().end_offsets(asked)

    def begin_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        self._net.ask("begin_offsets")
        return super().begin_offsets(partitions)


class NoReply(Exception):
    """To a call of a writer: done or not."""


class SimulatedWriter(MemoryTransactionalWriter):
    """What the Kafka one makes of it when a call is not answered."""

    def __init__(self, log: MemoryLog, net: Net, transactional_id: str) -> None:
        super().__init__(log, transactional_id)
        self._net = net
        self.has_expired = False  # a batch of this transaction

    def begin(self) -> None:
        self.has_expired = False
        try:
            super().begin()
        except NoReply as error:
            self._discard()
            raise CommitAborted("begin") from error

    def send(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
    ) -> None:
        self._net.trace(lambda: f"sends to {topic}/{partition} {_name(key)}")
        try:
            super().send(topic, partition, key, value, headers, timestamp_ms)
        except NoReply:
            self.has_expired = True

    def commit(self, offsets: Mapping[TopicPartition, Committed], membership: Membership | None) -> None:
        generation = membership.generation if membership is not None else ""
        spans = _spans((tp, c.offset) for tp, c in offsets.items())
        self._net.trace(lambda: f"commits {spans} as {generation}")
        self.flush()
        try:
            super().commit(offsets, membership)
        except CommitFenced:
            self._net.note("a commit is fenced")
            raise
        except NoReply as error:
            if str(error) == "commit":
                self._discard()
                raise CommitUnknown("no reply to the commit") from error
            self.abort()
            raise CommitAborted("no reply to the offsets") from error

    def flush(self) -> None:
        """A batch that expired must not be taken for sent (H1)."""
        if self.has_expired:
            self.abort()
            raise CommitAborted("a batch has expired")

    def abort(self) -> None:
        """Nobody insists: an abort that is lost is made up for by the next `init_producer`, or by time."""
        with suppress(NoReply):
            super().abort()

    def settle(self) -> None:
        try:
            super().settle()
        except NoReply as error:
            self._discard()
            raise CommitUnknown("still no reply") from error

    def _call(self, name: str, call: Callable[[], None]) -> None:
        net = self._net
        is_lost = net.fails(getattr(net.rates, _LOST[name]))
        if is_lost and net.random.random() < 0.5:
            net.note(f"{name}: the request is lost")
            raise NoReply(name)
        while True:
            try:
                call()
                break
            except ConcurrentTransactions:
                if net.fails(net.rates.impatient):
                    net.note(f"{name}: the transaction before has not ended in time")
                    raise NoReply(name) from None
                self._log.wait()
        if is_lost:
            net.note(f"{name}: the reply is lost")
            raise NoReply(name)


def _spans(offsets: Iterable[tuple[TopicPartition, int]]) -> str:
    """`keyed/0 12-15, keyed/1 7`"""
    spans: dict[TopicPartition, list[int]] = {}
    for tp, offset in offsets:
        spans.setdefault(tp, []).append(offset)
    told = (
        f"{tp.topic}/{tp.partition} {'-'.join(str(o) for o in sorted({min(all_), max(all_)}))}"
        for tp, all_ in spans.items()
    )
    return ", ".join(told) or "nothing"


def _name(key: bytes | None) -> str:
    return "" if key is None else key.decode(errors="replace")


_LOST = {
    "init_producer": "aborted",
    "produce": "expired",
    "send_offsets": "aborted",
    "commit": "unknown",
    "abort": "aborted",
}


class SimulatedLogReader(MemoryLogReader):
    """Fetches a few records at a time, so that compaction and retention come between."""

    def __init__(self, log: MemoryLog, net: Net) -> None:
        super().__init__(log)
        self._net = net
        self.records_max = net.random.choice((1, 3, 500))

    def partitions(self, topic: str) -> int:
        self._net.ask("partitions")
        return super().partitions(topic)

    def begin_offset(self, partition: TopicPartition) -> int:
        self._net.ask("begin_offset")
        return super().begin_offset(partition)

    def high_watermark(self, partition: TopicPartition) -> int:
        self._net.ask("high_watermark")
        return super().high_watermark(partition)

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[Record]:
        for record in super().read(partition, start, end):
            yield record
            self._net.ask("read")


class Counts:
    """Of all processes together: what was counted, by name and labels. The rest of a meter goes nowhere."""

    def __init__(self) -> None:
        self.counted: Counter[tuple[str, ...]] = Counter()

    def add(self, name: str, value: float, **labels: str) -> None:
        self.counted[name, *labels.values()] += round(value)

    def set(self, name: str, value: float, **labels: str) -> None:
        return

    def remove(self, name: str, **labels: str) -> None:
        return

    def observe(self, name: str, values: Sequence[float], **labels: str) -> None:
        return
