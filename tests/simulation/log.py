"""The embedded log as the simulation needs it: interruptible around each effect, and nothing is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Literal

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.memory.log import MemoryLog, Producer, _Transaction
from correlator.engine.checkpoint import MANIFEST_KEY, Manifest, decode_manifest
from correlator.engine.ports import Committed, TopicPartition
from correlator.intake.arrival import decode_arrival
from correlator.record import Record
from tests.simulation.faults import Rates, Violation

WAITS_MS = (20, 20, 100, 1_000)


class Forward(dict[TopicPartition, Committed]):
    """Committed offsets of a group, which never go back, nor do the arrivals stated beside them."""

    def update(self, other: object = (), /, **kwargs: Committed) -> None:
        assert isinstance(other, dict)
        for tp, new in other.items():
            old = self.get(tp)
            if old is None:
                continue
            if new.offset < old.offset:
                raise Violation(f"the committed offset of {tp} went back from {old} to {new}")
            if decode_arrival(new.metadata) < decode_arrival(old.metadata):
                raise Violation(f"the arrival stated for {tp} went back from {old} to {new}")
        super().update(other)


class SimulatedLog(MemoryLog):
    """*at* is called before and after each effect, and while somebody waits."""

    def __init__(
        self, clock: SimulatedClock, random: Random, rates: Rates, at: Callable[[str], None]
    ) -> None:
        super().__init__(clock, has_delayed_markers=True)
        self._random, self._rates, self._at = random, rates, at
        self.on_effect, self.choose = at, random.randrange
        self.written: dict[TopicPartition, list[tuple[Record, int]]] = {}  # with its transaction
        self.slow = ""  # topic or group whose markers are late
        self.outcomes: dict[int, str] = {}  # of the transactions that have ended

    def init_producer(self, transactional_id: str) -> Producer:
        producer = super().init_producer(transactional_id)
        self._at("after init_producer")
        return producer

    def produce(
        self,
        producer: Producer,
        partition: TopicPartition,
        record: tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]], int | None],
    ) -> None:
        super().produce(producer, partition, record)
        log = self.partition(partition)
        written = log._records[-1]
        assert written is not None, "a marker is not produced"
        self.written.setdefault(partition, []).append((written, log._transactions[-1]))
        self._at("after produce")

    def send_offsets(self, *args: object) -> None:
        super().send_offsets(*args)  # type: ignore[arg-type]  # as they came
        self._at("after send_offsets")

    def wait(self) -> None:
        self.clock.sleep_ms(self._random.choice(WAITS_MS))
        self.expire_transactions()
        self.write_marker()
        self._at("wait")

    @property
    def has_transactions(self) -> bool:
        """Is any open, or not marked everywhere?"""
        return any(transaction.state != "done" for transaction in self._transactions.values())

    def committed(self, topic: str) -> Iterator[Record]:
        """Everything that was ever committed to *topic*, also what retention or compaction has removed."""
        for number in range(self.partitions(topic)):
            for record, transaction in self.written.get(TopicPartition(topic, number), ()):
                if self.outcomes.get(transaction) == "commit":
                    yield record

    def newest_manifest(self, where: TopicPartition) -> Manifest | None:
        """Of the last checkpoint that was committed, its marker written or not."""
        for record, transaction in reversed(self.written.get(where, [])):
            if record.key == MANIFEST_KEY and self.outcomes.get(transaction) == "commit":
                return decode_manifest(record.value or b"", where)
        return None

    def _mark(self, transaction: _Transaction, where: TopicPartition | str) -> None:
        """One topic, or one group, belongs to a broker that is slow to write markers."""
        name = where.topic if isinstance(where, TopicPartition) else where
        if name != self.slow or self._random.random() >= self._rates.late:
            super()._mark(transaction, where)

    def _end(self, transaction: _Transaction, outcome: Literal["commit", "abort"]) -> None:
        self.outcomes[transaction.number] = outcome
        super()._end(transaction, outcome)
