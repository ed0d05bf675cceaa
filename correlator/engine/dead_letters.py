"""A refused record as it goes to the dead letters: its bytes untouched, why and whence in the headers."""

from __future__ import annotations

from zlib import crc32

from correlator.engine.commit import Send
from correlator.record import Record, Reject

PARTITIONS = 3
PREFIX = "correlator.errors."


def dead_letter(topic: str, record: Record, reject: Reject) -> Send:
    """Headers as in KIP-1034, under our own prefix; the record's own headers come first."""
    headers = {
        "stage": reject.stage,
        "reason": reject.reason,
        "message": reject.message,
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "timestamp": str(record.timestamp_ms),
    }
    schema_id = _schema_id(record.value)
    if schema_id is not None:
        headers["schema_id"] = str(schema_id)
    ours = tuple((PREFIX + name, text.encode()) for name, text in headers.items())
    partition = crc32(record.key or b"") % PARTITIONS
    return Send(topic, partition, record.key, record.value, (*record.headers, *ours))


def _schema_id(value: bytes | None) -> int | None:
    """Of a record that looks framed by a schema registry."""
    if value is None or len(value) < 5 or value[0] != 0:
        return None
    return int.from_bytes(value[1:5], "big")
