"""One partition of the embedded log: records and transaction markers by offset, as a Kafka broker keeps them.

Invariants: offsets grow and are never given twice; a record of a transaction is readable once this partition
has its marker, and never if the marker says aborted; nothing at or above the last stable offset is readable.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from correlator.record import Record

NO_TRANSACTION = 0


class PartitionLog:
    def __init__(self, topic: str, number: int) -> None:
        self.topic = topic
        self.number = number
        self.begin_offset = 0
        self.next_offset = 0  # high watermark: end of the log, open transactions included
        self._offsets: list[int] = []
        self._records: list[Record | None] = []  # None: a marker
        self._transactions: list[int] = []
        self._open: dict[int, int] = {}  # transaction -> its first offset here, until its marker is here
        self._aborted: set[int] = set()

    @property
    def stable_offset(self) -> int:
        """Last stable offset: below it every transaction has ended."""
        return min(self._open.values(), default=self.next_offset)

    def append(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        timestamp_ms: int,
        transaction: int = NO_TRANSACTION,
    ) -> int:
        offset = self.next_offset
        if transaction:
            self._open.setdefault(transaction, offset)
        record = Record(self.topic, self.number, offset, timestamp_ms, key, value, tuple(headers))
        self._add(record, transaction)
        return offset

    def mark(self, transaction: int, *, is_commit: bool) -> None:
        """Write the marker that ends *transaction* in this partition."""
        self._add(None, transaction)
        self._open.pop(transaction, None)
        if not is_commit:
            self._aborted.add(transaction)

    def fetch(self, start: int, end: int, records_max: int) -> tuple[list[Record], int]:
        """Committed records from *start*, below *end* and the stable offset, and the position behind them.

        The position stands behind markers and aborted records that follow, so that lag reaches 0.
        """
        end = min(end, self.stable_offset)
        records: list[Record] = []
        index = bisect_left(self._offsets, start)
        while index < len(self._offsets) and self._offsets[index] < end:
            record = self._records[index]
            if record is not None and self._transactions[index] not in self._aborted:
                if len(records) >= records_max:
                    return records, record.offset
                records.append(record)
            index += 1
        return records, max(start, end)

    def truncate(self, before: int) -> None:
        """Retention: forget everything below offset *before*."""
        self.begin_offset = max(self.begin_offset, min(before, self.next_offset))
        index = bisect_left(self._offsets, self.begin_offset)
        del self._offsets[:index], self._records[:index], self._transactions[:index]

    def compact(self, tombstones_before_ms: int) -> None:
        """Keep the newest committed record of each key. Markers, aborted records and old tombstones go."""
        end = self.stable_offset
        newest: dict[bytes | None, int] = {}
        for index, record in enumerate(self._records):
            if record is not None and record.offset < end and self._transactions[index] not in self._aborted:
                newest[record.key] = index
        kept = []
        for index, record in enumerate(self._records):
            is_newest = record is not None and newest.get(record.key) == index
            if is_newest and record is not None and record.value is None:
                is_newest = record.timestamp_ms >= tombstones_before_ms
            if self._offsets[index] >= end or is_newest:
                kept.append(index)
        self._offsets = [self._offsets[i] for i in kept]
        self._transactions = [self._transactions[i] for i in kept]
        self._records = [self._records[i] for i in kept]

    def _add(self, record: Record | None, transaction: int) -> None:
        self._offsets.append(self.next_offset)
        self._records.append(record)
        self._transactions.append(transaction)
        self.next_offset += 1
