"""Files of raw records, for trying a feed: JSON lines, compressed or not, or the bytes of one value.

A line is the value of a record, or an envelope as in `records/TOPIC.jsonl` of a configuration directory.
What a feed cannot read is left to the feed: only a file that cannot be read at all is an error here.
"""

from __future__ import annotations

import gzip
import zlib
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import msgspec

from correlator.record import Record

_LINES = {".jsonl", ".ndjson"}


class BadRecordFile(Exception):
    """The file cannot be read. Says why."""


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    value: msgspec.Raw = msgspec.Raw()
    value_b64: str | None = None
    arrival_ms: int | None = None
    partition: int = 0
    key: str | None = None
    headers: dict[str, str] = {}


_decode_envelope = msgspec.json.Decoder(_Envelope).decode


def read_record_file(path: Path, topic: str) -> Iterator[Record]:
    """The records in *path*, as if they came from *topic*. Blank lines are passed over."""
    suffixes = path.suffixes
    is_compressed = suffixes[-1:] == [".gz"]
    kind = suffixes[-2:-1] if is_compressed else suffixes[-1:]
    try:
        with gzip.open(path) if is_compressed else path.open("rb") as stream:
            if not _LINES & set(kind):
                yield Record(topic, 0, 0, 0, None, stream.read())
                return
            for number, line in enumerate(stream):
                if line.strip():
                    yield _record(line, topic, number)
    except (OSError, EOFError, zlib.error) as error:
        raise BadRecordFile(f"cannot be read: {error}") from error


def _record(line: bytes, topic: str, number: int) -> Record:
    text = line.rstrip(b"\r\n")
    try:
        found = _decode_envelope(text)
        value = bytes(found.value) if found.value_b64 is None else b64decode(found.value_b64, validate=True)
    except (ValueError, RecursionError):
        return Record(topic, 0, number, 0, None, text)
    if not value and found.value_b64 is None:
        return Record(topic, 0, number, 0, None, text)
    headers = tuple((name, content.encode()) for name, content in found.headers.items())
    key = None if found.key is None else found.key.encode()
    return Record(topic, found.partition, number, found.arrival_ms or 0, key, value, headers)
