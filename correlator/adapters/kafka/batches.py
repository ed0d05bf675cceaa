"""What a fetch brought, as records: the client's reader of batches, with the loop over their bytes done in C.

A record of Kafka (format 2, KIP-98) and a record of Avro are the same bytes, as long as nothing is null and
there are no headers: both write numbers as zigzag varints, and bytes behind their length. So one call of
fastavro reads a batch. Where one record of it has a header, or something is null, the client reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from kafka import errors as kafka_errors
from kafka.consumer.fetcher import Fetcher
from kafka.protocol.consumer import IsolationLevel

from correlator.record import Record

FIELDS = {
    "length": "long",
    "attributes": "int",
    "timestamp": "long",  # after the first of the batch, in ms
    "offset": "long",  # after that of the batch
    "key": "bytes",
    "value": "bytes",
    "headers": "long",  # how many: where there is one, what comes behind is not read rightly
}
RECORD = {"type": "record", "name": "r", "fields": [{"name": n, "type": t} for n, t in FIELDS.items()]}
RECORDS = parse_schema({"type": "array", "items": RECORD})
COUNT = parse_schema("long")
NO_MORE = b"\0"  # in an Avro array, behind its only block
MAGIC = 2  # of batches since Kafka 0.11; older ones are still kept by brokers before 4.0


class PartitionRecords(Fetcher.PartitionRecords):
    """The client's, but of `Record`s, and without deserializers."""

    def _unpack_records(self, tp: Any, records: Any, *_: object) -> Iterator[Record]:
        while (batch := records.next_batch()) is not None:
            if self.check_crcs and not batch.validate_crc():
                raise kafka_errors.CorruptRecordError(f"{tp} at offset {batch.base_offset}: wrong checksum")
            is_old = batch.magic < MAGIC
            if is_old or not self._is_passed_over(batch):
                self.bytes_read += batch.size_in_bytes
                for record in records_of(batch, tp.topic, tp.partition):
                    self.records_read += 1
                    self.next_fetch_offset = record.offset + 1
                    yield record
            if not is_old:
                self.next_fetch_offset = batch.next_offset  # its last records may have been compacted away
        self.drain()

    def _is_passed_over(self, batch: Any) -> bool:
        """The end of a transaction, or part of an aborted one. To be asked of every batch, in order."""
        self.leader_epoch = batch.leader_epoch
        if self.isolation_level == IsolationLevel.READ_COMMITTED and batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
            if self._contains_abort_marker(batch):
                self.aborted_producer_ids.discard(batch.producer_id)
            elif self._is_batch_aborted(batch):
                return True
        return bool(batch.is_control_batch)


def records_of(batch: Any, topic: str, partition: int) -> list[Record]:
    """Raises `CorruptRecordError`."""
    rows = _rows(batch) if batch.magic >= MAGIC else None
    if rows is None:
        return [
            Record(topic, partition, raw.offset, raw.timestamp, raw.key, raw.value, tuple(raw.headers or ()))
            for raw in batch
        ]
    offset, first_ms, last_ms = batch.base_offset, batch.first_timestamp, batch.max_timestamp
    is_appended = batch.timestamp_type == batch.LOG_APPEND_TIME  # then all were, at once
    return [
        Record(
            topic,
            partition,
            offset + row["offset"],
            last_ms if is_appended else first_ms + row["timestamp"],
            row["key"],
            row["value"],
        )
        for row in rows
    ]


def _rows(batch: Any) -> list[dict[str, Any]] | None:
    """None where the client must read it."""
    batch._maybe_uncompress()
    raw = BytesIO()
    schemaless_writer(raw, COUNT, batch.records_count)
    raw.write(memoryview(batch._buffer)[batch._pos :])
    raw.write(NO_MORE)
    end = raw.tell()
    raw.seek(0)
    try:
        rows: Any = schemaless_reader(raw, RECORDS, None)
    except (EOFError, ValueError, IndexError, OverflowError):  # a length of -1 is read as all that is left
        return None
    is_read = raw.tell() == end and not any(row["headers"] for row in rows)
    return rows if is_read else None
