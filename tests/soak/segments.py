"""What a broker has on its disk, as its own tools would print it: batches and markers of transactions by
producer, and what its transaction coordinator wrote down. For who must tell our faults from Kafka's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec
from kafka.record import MemoryRecords

STATES = ("Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead")
BATCH_HEAD = 12  # offset and length, which the length does not count


class Batch(msgspec.Struct, frozen=True):
    """*marker* is `commit` or `abort` where it is one, else ""; *values* are its records by offset."""

    offset: int
    producer: int
    epoch: int
    is_transactional: bool
    marker: str
    at_ms: int
    values: tuple[tuple[int, bytes | None, bytes | None], ...]


class Written(msgspec.Struct, frozen=True):
    """One state of a transaction, as its coordinator wrote it."""

    offset: int
    transactional_id: str
    producer: int
    epoch: int
    state: str
    partitions: frozenset[tuple[str, int]]
    at_ms: int


def batches(data: Path, topic: str, partition: int) -> Iterator[Batch]:
    """In order of their offsets. A batch that is cut off at the end is left out."""
    for path in sorted((data / f"{topic}-{partition}").glob("*.log")):
        raw = path.read_bytes()
        at = 0
        while at + BATCH_HEAD <= len(raw):
            (length,) = struct.unpack_from(">i", raw, at + 8)
            end = at + BATCH_HEAD + length
            if length <= 0 or end > len(raw):
                break
            yield _batch(raw[at:end])
            at = end


def _batch(raw: bytes) -> Batch:
    found = MemoryRecords(raw).next_batch()
    assert found is not None, "a whole batch"
    records = [(record.offset, record.key, record.value) for record in found]
    marker = ""
    if found.is_control_batch:
        _, kind = struct.unpack(">hh", records[0][1])
        marker = {0: "abort", 1: "commit"}.get(kind, "")
    return Batch(
        found.base_offset,
        found.producer_id,
        found.producer_epoch,
        found.is_transactional,
        marker,
        found.max_timestamp,
        tuple(records) if not found.is_control_batch else (),
    )


def written(data: Path) -> list[Written]:
    """What the coordinator knew, in order. Its topic has one partition here."""
    found = []
    for batch in batches(data, "__transaction_state", 0):
        for offset, key, value in batch.values:
            if key is not None and value is not None:
                found.append(_written(offset, key, value))
    return found


class _Buffer:
    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    def take(self, code: str) -> int:
        (found,) = struct.unpack_from(f">{code}", self.raw, self.at)
        self.at += struct.calcsize(f">{code}")
        return int(found)

    def varint(self) -> int:
        found = shift = 0
        while True:
            byte = self.raw[self.at]
            self.at += 1
            found |= (byte & 0x7F) << shift
            if byte < 0x80:
                return found
            shift += 7

    def text(self, length: int) -> str:
        self.at += length
        return self.raw[self.at - length : self.at].decode()

    def skip_tags(self) -> None:
        for _ in range(self.varint()):
            self.varint()
            self.at += self.varint()


def _written(offset: int, key: bytes, value: bytes) -> Written:
    """Versions 0 and 1 (flexible) of Kafka's TransactionLogValue."""
    head = _Buffer(key)
    head.take("h")
    name = head.text(head.take("h"))
    body = _Buffer(value)
    is_flexible = body.take("h") > 0
    producer, epoch, _timeout_ms, state = body.take("q"), body.take("h"), body.take("i"), body.take("b")
    partitions: set[tuple[str, int]] = set()
    for _ in range(body.varint() - 1 if is_flexible else body.take("i")):
        topic = body.text(body.varint() - 1 if is_flexible else body.take("h"))
        count = body.varint() - 1 if is_flexible else body.take("i")
        partitions |= {(topic, body.take("i")) for _ in range(count)}
        if is_flexible:
            body.skip_tags()
    at_ms = body.take("q")
    return Written(offset, name, producer, epoch, STATES[state], frozenset(partitions), at_ms)
