"""The ports of the engine on the embedded log: a member of a group, a transactional writer, a reader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from correlator.adapters.memory.log import ConcurrentTransactions, Fenced, MemoryLog, Producer, UnknownTopic
from correlator.engine.ports import (
    AssignmentChange,
    CommitAborted,
    CommitFenced,
    Committed,
    Membership,
    TopicPartition,
    truncated,
)
from correlator.record import Record

READ_RECORDS = 500


class MemoryGroupReader:
    """Implements `engine.ports.GroupReader`. `poll` never blocks: an embedded log has data or it has not."""

    def __init__(
        self, log: MemoryLog, group: str, topics: Sequence[str], instance: str | None = None
    ) -> None:
        self._log = log
        self._group = group
        self._instance = instance
        self._topics = tuple(topics)
        self._member = log.group(group).enter(instance, self._topics)
        self._generation = -1
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._changes: list[AssignmentChange] = []
        self._turn = 0

    def poll(self, timeout_ms: int, records_max: int) -> list[Record]:
        self._heartbeat()
        records: list[Record] = []
        ready = [tp for tp in self._positions if tp not in self._paused]
        self._turn += 1
        for index in range(len(ready)):
            tp = ready[(index + self._turn) % len(ready)]
            if len(records) >= records_max:
                break
            log = self._log.partition(tp)
            start = self._positions[tp]
            if start < log.begin_offset:
                raise truncated(tp, start, log.begin_offset)
            some, self._positions[tp] = log.fetch(start, log.next_offset, records_max - len(records))
            records += some
        return records

    def membership(self) -> Membership:
        return Membership(self._group, self._generation, self._member, self._instance)

    def assignment_changes(self) -> list[AssignmentChange]:
        changes, self._changes = self._changes, []
        return changes

    def committed(self, partition: TopicPartition) -> Committed | None:
        while self._log.has_pending_offset(self._group, partition):
            self._log.wait()
        return self._log.group(self._group).committed.get(partition)

    def committed_offsets(
        self, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, Committed | None]:
        return {tp: self.committed(tp) for tp in partitions}

    def position(self, partition: TopicPartition) -> int:
        return self._positions[partition]

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: self._log.partition(tp).next_offset for tp in partitions}

    def begin_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: self._log.partition(tp).begin_offset for tp in partitions}

    def missing(self) -> list[str]:
        return [topic for topic in self._topics if not self._log.partitions(topic)]

    def subscribe(self, topics: Sequence[str]) -> None:
        if set(topics) != set(self._topics):
            self._topics = tuple(topics)
            self._log.group(self._group).subscribe(self._member, self._topics)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition in self._positions:
            self._positions[partition] = offset

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._paused.update(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._paused.difference_update(partitions)

    def close(self) -> None:
        if self._instance is None:
            self._log.group(self._group).leave(self._member)

    def _heartbeat(self) -> None:
        """Learn of a rebalance, give up the partitions, join, and take what was assigned."""
        group = self._log.group(self._group)
        member = group.members.get(self._member)
        if member is None:
            if self._instance is not None and any(
                m.instance == self._instance for m in group.members.values()
            ):
                return  # fenced by our successor: like Kafka's, nobody tells us before we commit (P5)
            self._drop(is_lost=True)
            self._member = group.enter(self._instance, self._topics)
        if group.is_preparing:
            self._drop(is_lost=False)
            group.join(self._member)
            self._log.rebalance(self._group)
        if not group.is_preparing and self._generation != group.generation:
            self._take(group.generation, group.members[self._member].assigned)

    def _drop(self, *, is_lost: bool) -> None:
        owned = tuple(sorted(self._positions))
        if owned:
            self._changes.append(AssignmentChange(lost=owned) if is_lost else AssignmentChange(revoked=owned))
        if is_lost:
            self._generation = -1
        self._positions.clear()
        self._paused.clear()

    def _take(self, generation: int, assigned: tuple[TopicPartition, ...]) -> None:
        self._generation = generation
        known = self._log.group(self._group).committed
        for tp in assigned:
            committed = known.get(tp)
            self._positions[tp] = committed.offset if committed else self._log.partition(tp).begin_offset
        self._paused.update(assigned)
        self._changes.append(AssignmentChange(assigned=tuple(sorted(assigned))))


class MemoryTransactionalWriter:
    """Implements `engine.ports.TransactionalWriter`. Starts anew after any failure, like the Kafka one."""

    def __init__(self, log: MemoryLog, transactional_id: str) -> None:
        self._log = log
        self._transactional_id = transactional_id
        self._producer: Producer | None = None
        self._is_open = False

    def begin(self) -> None:
        if self._is_open:  # the caller left one half way
            self.abort()
        if self._producer is None:
            self._start()
        self._is_open = True

    def send(  # noqa: PLR0917 - the signature of the port
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
    ) -> None:
        target, record = TopicPartition(topic, partition), (key, value, headers, timestamp_ms)
        producer = self._held()
        try:
            self._call("produce", lambda: self._log.produce(producer, target, record))
        except Fenced as error:
            self._discard()
            raise CommitFenced(str(error)) from error
        except UnknownTopic as error:
            self.abort()
            raise CommitAborted(f"no such partition: {error}") from error

    def commit(self, offsets: Mapping[TopicPartition, Committed], membership: Membership | None) -> None:
        if offsets and (membership is None or not membership.is_joined):
            self.abort()
            raise CommitFenced("not a member of the group: the log would not fence it")
        producer = self._held()
        try:
            if membership is not None and offsets:
                self._call("send_offsets", lambda: self._log.send_offsets(producer, offsets, membership))
            self._call("commit", lambda: self._log.end(producer, is_commit=True))
        except Fenced as error:
            self.abort()
            raise CommitFenced(str(error)) from error
        self._is_open = False

    def abort(self) -> None:
        producer, is_open = self._producer, self._is_open
        self._discard()
        if producer is not None and is_open:
            try:
                self._call("abort", lambda: self._log.end(producer, is_commit=False))
            except Fenced:
                return  # whoever fenced us has aborted it

    def settle(self) -> None:
        self._discard()
        self._start()

    def close(self) -> None:
        self.abort()

    def _start(self) -> None:
        def start() -> None:
            self._producer = self._log.init_producer(self._transactional_id)

        self._call("init_producer", start)

    def _discard(self) -> None:
        self._producer, self._is_open = None, False

    def _call(self, name: str, call: Callable[[], None]) -> None:
        """Do *call*, the log's part of *name*, by which the simulation picks its faults. Markers of the
        previous transaction may still be landing.
        """
        while True:
            try:
                return call()
            except ConcurrentTransactions:
                self._log.wait()

    def _held(self) -> Producer:
        if self._producer is None or not self._is_open:
            raise CommitAborted("no transaction is open")
        return self._producer


class MemoryLogReader:
    """Implements `engine.ports.LogReader`."""

    records_max = READ_RECORDS  # of one fetch

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    def partitions(self, topic: str) -> int:
        return self._log.partitions(topic)

    def begin_offset(self, partition: TopicPartition) -> int:
        return self._log.partition(partition).begin_offset

    def high_watermark(self, partition: TopicPartition) -> int:
        return self._log.partition(partition).next_offset

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[Record]:
        log = self._log.partition(partition)
        end = min(end, log.next_offset)
        while start < end:
            if start < log.begin_offset:
                raise truncated(partition, start, log.begin_offset)
            records, start = log.fetch(start, end, self.records_max)
            yield from records
            if start < end and log.stable_offset <= start:
                self._log.wait()

    def close(self) -> None:
        pass
