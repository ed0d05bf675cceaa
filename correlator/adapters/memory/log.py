"""A small, honest Kafka in memory: topics, groups with generations, transactions with markers, fencing.

Every effect is one method call, announced to `on_effect` before it happens: a test crashes there, a
simulation schedules there. Single-threaded; who has to wait calls `wait`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from correlator.adapters.memory.groups import Fenced, Group
from correlator.adapters.memory.partition import PartitionLog
from correlator.engine.ports import Clock, Committed, Membership, TopicPartition

WAIT_MS = 20
TRANSACTION_TIMEOUT_MS = 10_000
TOMBSTONES_MS = 24 * 3_600_000  # kept that long by compaction: a reader under way must meet them

__all__ = ["ConcurrentTransactions", "Fenced", "MemoryLog", "Producer", "UnknownTopic"]


class UnknownTopic(Exception):
    """Neither topic nor partition of that name exists: nothing is created by accident."""


class ConcurrentTransactions(Exception):
    """Markers of the producer's previous transaction are still being written: try again."""


class Producer(msgspec.Struct, frozen=True):
    """A transactional id and the epoch that `init_producer` gave it; a later epoch fences it."""

    transactional_id: str
    epoch: int


class _Transaction(msgspec.Struct):
    number: int
    producer: Producer
    state: Literal["open", "commit", "abort", "done"]
    started_ms: int
    partitions: list[TopicPartition] = []  # markers still to be written
    offsets: dict[str, dict[TopicPartition, Committed]] = {}  # by group; marked like a partition


class MemoryLog:
    """*has_delayed_markers*: an ended transaction's markers are written one by one, by `write_marker`."""

    def __init__(self, clock: Clock, *, has_delayed_markers: bool = False) -> None:
        self.clock = clock
        self.has_delayed_markers = has_delayed_markers
        self.on_effect: Callable[[str], None] = lambda _name: None
        self.choose: Callable[[int], int] = lambda _count: 0  # which of so many outstanding markers is next
        self._topics: dict[str, list[PartitionLog]] = {}
        self._append_time: set[str] = set()
        self._groups: dict[str, Group] = {}
        self._producers: dict[str, Producer] = {}
        self._transactions: dict[str, _Transaction] = {}  # the current one of each transactional id
        self._number = 0

    # ------------------------------------------------------------------ topics

    def create_topic(self, topic: str, partitions: int, *, is_append_time: bool = False) -> None:
        """*is_append_time*: records carry the log's clock, else what the producer said."""
        self._topics[topic] = [PartitionLog(topic, number) for number in range(partitions)]
        if is_append_time:
            self._append_time.add(topic)

    def partitions(self, topic: str) -> int:
        return len(self._topics.get(topic, ()))

    def partition(self, partition: TopicPartition) -> PartitionLog:
        logs = self._topics.get(partition.topic, [])
        if not 0 <= partition.partition < len(logs):
            raise UnknownTopic(f"{partition.topic}/{partition.partition}")
        return logs[partition.partition]

    def append(
        self,
        partition: TopicPartition,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
    ) -> int:
        """A record of a producer without transactions. Its offset."""
        self.on_effect("append")
        log = self.partition(partition)
        return log.append(key, value, headers, self._timestamp_ms(partition.topic, timestamp_ms))

    def truncate(self, partition: TopicPartition, before: int) -> None:
        self.partition(partition).truncate(before)

    def compact(self, topic: str) -> None:
        for log in self._topics[topic]:
            log.compact(self.clock.now_ms() - TOMBSTONES_MS)

    # ------------------------------------------------------------ transactions

    def init_producer(self, transactional_id: str) -> Producer:
        """Fence older holders of the id and end what they had open.

        Raises `ConcurrentTransactions` while markers of that are still to be written.
        """
        self.on_effect("init_producer")
        current = self._transactions.get(transactional_id)
        if current is not None and current.state == "open":
            self._fence(transactional_id)
            self._end(current, "abort")
        if current is not None and current.state != "done":
            raise ConcurrentTransactions(transactional_id)
        return self._fence(transactional_id)

    def produce(
        self,
        producer: Producer,
        partition: TopicPartition,
        record: tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]], int | None],
    ) -> None:
        """Append (key, value, headers, timestamp) in the producer's transaction; opens one if none is."""
        self.on_effect("produce")
        log = self.partition(partition)
        transaction = self._current(producer)
        if partition not in transaction.partitions:
            transaction.partitions.append(partition)
        key, value, headers, timestamp_ms = record
        at_ms = self._timestamp_ms(partition.topic, timestamp_ms)
        log.append(key, value, headers, at_ms, transaction.number)

    def send_offsets(
        self, producer: Producer, offsets: Mapping[TopicPartition, Committed], membership: Membership
    ) -> None:
        """Offsets that become the group's with this transaction. Raises `Fenced` for a member of the past."""
        self.on_effect("send_offsets")
        transaction = self._current(producer)
        self.group(membership.group).validate(membership)
        transaction.offsets.setdefault(membership.group, {}).update(offsets)

    def end(self, producer: Producer, *, is_commit: bool) -> None:
        """Commit or abort. From here on the outcome is decided, whether the caller hears of it or not."""
        self.on_effect("end")
        current = self._transactions.get(producer.transactional_id)
        self._check(producer)
        if current is None or current.state == "done":
            return
        if current.state != "open":
            raise ConcurrentTransactions(producer.transactional_id)
        self._end(current, "commit" if is_commit else "abort")
        self.on_effect("ended")

    def write_marker(self) -> bool:
        """Write one outstanding marker, if there is any: of the oldest ended transaction, or as chosen."""
        ended = [t for t in self._transactions.values() if t.state in ("commit", "abort")]
        if not ended:
            return False
        ended.sort(key=lambda t: t.number)
        self._mark_one(ended[self.choose(len(ended))])
        return True

    def expire_transactions(self) -> None:
        """Abort what has been open for longer than the transaction timeout, and fence its producer."""
        for transaction in self._transactions.values():
            age_ms = self.clock.now_ms() - transaction.started_ms
            if transaction.state == "open" and age_ms > TRANSACTION_TIMEOUT_MS:
                self._fence(transaction.producer.transactional_id)
                self._end(transaction, "abort")

    def wait(self) -> None:
        """Somebody needs a transaction to end: time passes, markers land, dead transactions expire."""
        self.clock.sleep_ms(WAIT_MS)
        self.expire_transactions()
        self.write_marker()

    # ------------------------------------------------------------------ groups

    def group(self, name: str) -> Group:
        return self._groups.setdefault(name, Group(name))

    def rebalance(self, group: str) -> None:
        """Complete the group's rebalance if all its members have joined."""
        self.group(group).complete({topic: len(logs) for topic, logs in self._topics.items()})

    def evict(self, group: str, member: str) -> None:
        """The member's session has timed out."""
        self.group(group).leave(member)

    def has_pending_offset(self, group: str, partition: TopicPartition) -> bool:
        """Is an offset of *partition* in a transaction whose end the group does not know yet?"""
        return any(
            partition in t.offsets.get(group, {}) for t in self._transactions.values() if t.state != "done"
        )

    # ----------------------------------------------------------------- private

    def _timestamp_ms(self, topic: str, timestamp_ms: int | None) -> int:
        if timestamp_ms is None or topic in self._append_time:
            return self.clock.now_ms()
        return timestamp_ms

    def _fence(self, transactional_id: str) -> Producer:
        """The next epoch of the id: whoever has an older one is refused from now on."""
        known = self._producers.get(transactional_id)
        producer = Producer(transactional_id, known.epoch + 1 if known else 0)
        self._producers[transactional_id] = producer
        return producer

    def _check(self, producer: Producer) -> None:
        if self._producers.get(producer.transactional_id) != producer:
            raise Fenced(f"{producer.transactional_id}: epoch {producer.epoch} is over")

    def _current(self, producer: Producer) -> _Transaction:
        """The producer's open transaction, begun if there is none."""
        self._check(producer)
        current = self._transactions.get(producer.transactional_id)
        if current is not None and current.state in ("commit", "abort"):
            raise ConcurrentTransactions(producer.transactional_id)
        if current is None or current.state == "done":
            self._number += 1
            current = _Transaction(self._number, producer, "open", self.clock.now_ms())
            self._transactions[producer.transactional_id] = current
        return current

    def _end(self, transaction: _Transaction, outcome: Literal["commit", "abort"]) -> None:
        transaction.state = outcome
        if not self.has_delayed_markers:
            while self._mark_one(transaction):
                pass

    def _mark_one(self, transaction: _Transaction) -> bool:
        """Write one marker of an ended transaction, in any order; False when none was left."""
        outstanding: list[TopicPartition | str] = [*transaction.partitions, *sorted(transaction.offsets)]
        if not outstanding:
            transaction.state = "done"
            return False
        self._mark(transaction, outstanding[self.choose(len(outstanding))])
        return True

    def _mark(self, transaction: _Transaction, where: TopicPartition | str) -> None:
        """Write the marker in a partition, or into the offsets of a group."""
        is_commit = transaction.state == "commit"
        if isinstance(where, TopicPartition):
            transaction.partitions.remove(where)
            self.partition(where).mark(transaction.number, is_commit=is_commit)
        else:
            offsets = transaction.offsets.pop(where)
            if is_commit:
                self.group(where).committed.update(offsets)
