"""Batches read in C hold what the client reads of them, and leave it where the client is."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer import IsolationLevel
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.legacy_records import LegacyRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords
from kafka.record.util import calc_crc32c
from kafka.structs import TopicPartition

from correlator.adapters.kafka import batches
from correlator.adapters.kafka.batches import PartitionRecords
from correlator.record import Record

Header = tuple[str, bytes | None]
Row = tuple[int, int, bytes | None, bytes | None, list[Header]]  # gap before it, ms, key, value, headers

TP = TopicPartition("raw", 3)
NONE, GZIP, LZ4, ZSTD = 0, 1, 3, 4
APPEND_TIME, TRANSACTIONAL, CONTROL = 0x08, 0x10, 0x20
ABORT, COMMIT = 0, 1


class Batch(NamedTuple):
    rows: Sequence[Row]
    codec: int = NONE
    bits: int = 0  # of its attributes, besides
    producer: int = -1
    tail: int = 0  # records that were compacted away behind the last


class Aborted(NamedTuple):
    producer_id: int
    first_offset: int


plain: st.SearchStrategy[Row] = st.tuples(
    st.just(0), st.integers(0, 2**40), st.binary(max_size=200), st.binary(max_size=300), st.just([])
)
some = st.one_of(st.none(), st.binary(max_size=9))
any_row: st.SearchStrategy[Row] = st.tuples(
    st.integers(0, 3),
    st.integers(0, 2**40),
    some,
    some,
    st.lists(st.tuples(st.text(max_size=3), some), max_size=2),
)
data = st.builds(
    Batch,
    st.one_of(st.lists(plain, min_size=1, max_size=40), st.lists(any_row, min_size=1, max_size=6)),
    st.sampled_from([NONE, GZIP, LZ4, ZSTD]),
    st.sampled_from([0, APPEND_TIME]),
    st.sampled_from([-1, -1, 5, 6]),
    st.integers(0, 2),
)


def marker(producer: int, type: int) -> Batch:
    return Batch([(0, 0, struct.pack(">hh", 0, type), b"", [])], bits=CONTROL, producer=producer)


markers = st.builds(marker, st.sampled_from([5, 6]), st.sampled_from([ABORT, COMMIT]))


def log_of(made: Sequence[Batch]) -> tuple[bytes, list[Aborted], int]:
    """Bytes of a fetch, what it says is aborted, and where it ends."""
    raw, base, open_at, aborted = b"", 0, dict[int, int](), list[Aborted]()
    for batch in made:
        if batch.bits & CONTROL:
            first = open_at.pop(batch.producer, None)
            if first is not None and batch.rows[0][2] == struct.pack(">hh", 0, ABORT):
                aborted.append(Aborted(batch.producer, first))
        elif batch.producer >= 0:
            open_at.setdefault(batch.producer, base)
        encoded, count = _encoded(batch, base)
        raw, base = raw + encoded, base + count
    return raw, aborted, base


def _encoded(batch: Batch, base: int) -> tuple[bytes, int]:
    is_open = batch.producer >= 0
    state = (batch.producer, 0, 0) if is_open else (-1, -1, -1)
    builder = DefaultRecordBatchBuilder(2, batch.codec, is_open, *state, 1 << 20)
    offset = -1
    for gap, time_ms, key, value, headers in batch.rows:
        offset += 1 + gap
        builder.append(offset, time_ms, key, value, headers)
    made = bytearray(builder.build())
    found = DefaultRecordBatch(made)
    struct.pack_into(">q", made, 0, base)
    at = DefaultRecordBatch.ATTRIBUTES_OFFSET
    struct.pack_into(">hi", made, at, found.attributes | batch.bits, offset + batch.tail)
    struct.pack_into(">I", made, DefaultRecordBatch.CRC_OFFSET, calc_crc32c(memoryview(made)[at:]))
    return bytes(made), offset + batch.tail + 1


def read(
    reader: type[Any], raw: bytes, aborted: Sequence[Aborted], start: int, step: int
) -> Iterator[tuple[list[Record], int]]:
    """What each `take` of *step* records gives, and where the next fetch would begin."""
    found = reader(
        start,
        TP,
        MemoryRecords(raw),
        isolation_level=IsolationLevel.READ_COMMITTED,
        aborted_transactions=aborted,
    )
    while found:
        yield [_record(row) for row in found.take(step)], found.next_fetch_offset


def _record(row: Any) -> Record:
    if isinstance(row, Record):
        return row
    return Record(row.topic, row.partition, row.offset, row.timestamp, row.key, row.value, tuple(row.headers))


@given(
    st.lists(st.one_of(data, data, markers), min_size=1, max_size=6), st.integers(0, 5), st.integers(1, 50)
)
@example([Batch([(0, 7, b"k", b"v", [])] * 3, bits=APPEND_TIME)], 0, 2)
@example(
    [Batch([(0, 7, b"k", b"v", [])], producer=5), marker(5, ABORT), Batch([(1, 7, None, b"v", [])])], 0, 9
)
def test_what_is_read_is_what_the_client_reads(made: Sequence[Batch], start: int, step: int) -> None:
    raw, aborted, _ = log_of(made)
    ours = list(read(PartitionRecords, raw, aborted, start, step))
    assert ours == list(read(Fetcher.PartitionRecords, raw, aborted, start, step))


@given(st.lists(plain, min_size=1, max_size=40), st.sampled_from([NONE, ZSTD]))
def test_plain_records_are_read_in_c(rows: list[Row], codec: int) -> None:
    raw, _, _ = log_of([Batch(rows, codec)])
    read_rows = batches._rows(MemoryRecords(raw).next_batch())
    assert read_rows is not None
    assert [(row["key"], row["value"]) for row in read_rows] == [(key, value) for _, _, key, value, _ in rows]


@pytest.mark.parametrize(
    "row", [(0, 0, None, b"v", []), (0, 0, b"k", None, []), (0, 0, b"k", b"v", [("h", b"x")])]
)
def test_others_are_left_to_the_client(row: Row) -> None:
    raw, _, _ = log_of([Batch([(0, 0, b"k", b"v", []), row, (0, 0, b"k", b"v", [])])])
    assert batches._rows(MemoryRecords(raw).next_batch()) is None


def test_a_wrong_checksum_is_an_error_that_says_where() -> None:
    raw, _, _ = log_of([Batch([(0, 7, b"k", b"v", [])] * 2), Batch([(0, 7, b"k", b"v", [])] * 2)])
    spoilt = bytearray(raw)
    spoilt[-2] ^= 1
    reading = read(PartitionRecords, bytes(spoilt), [], 0, 5)
    records, end = next(reading)
    assert ([record.offset for record in records], end) == ([0, 1], 2)
    with pytest.raises(CorruptRecordError, match=r"partition=3\) at offset 2: wrong checksum"):
        next(reading)


def test_batches_of_before_kafka_0_11_are_read() -> None:
    builder = LegacyRecordBatchBuilder(1, NONE, 1 << 20)
    for offset in range(3):
        builder.append(offset, 1_000 + offset, b"k", b"v%d" % offset)
    raw = bytes(builder.build())
    ours = list(read(PartitionRecords, raw, [], 1, 5))
    assert ours == list(read(Fetcher.PartitionRecords, raw, [], 1, 5))
    assert ours == [([Record("raw", 3, n, 1_000 + n, b"k", b"v%d" % n) for n in (1, 2)], 3)]
