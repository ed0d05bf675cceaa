"""Bytes of a record to plain values: framing, Avro or JSON, as the feed says.

A decoder is made once per feed and is total: whatever the bytes, it returns a mapping or a `Reject` whose
reason is one of `REASONS`. Schemas are given, never fetched. Avro logical types are not applied: a timestamp
stays the number that was written, and the feed's converters say what it means.

May not know: files, registries, what the fields mean.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Literal

import fastavro
import msgspec
from fastavro.read import SchemaResolutionError

from correlator.record import Record, Reject

Format = Literal["avro", "json"]
Framing = Literal["none", "confluent", "single-object"]
FORMATS: tuple[Format, ...] = ("avro", "json")
FRAMINGS: tuple[Framing, ...] = ("none", "confluent", "single-object")

SIZE_MAX = 1 << 20  # bytes of a value, unless the feed says otherwise

REASONS = frozenset(
    {
        "empty_value",
        "too_large",
        "bad_magic",
        "unknown_schema",
        "truncated",
        "trailing_bytes",
        "schema_mismatch",
        "bad_text",
        "bad_avro",
        "bad_json",
        "not_an_object",
    }
)

GUID_HEADER = "__value_schema_id"
_MAGIC_ID, _MAGIC_GUID, _SINGLE_OBJECT = 0x00, 0x01, b"\xc3\x01"

AvroSchema = dict[str, object]  # as `fastavro.parse_schema` returns it, without logical types
Decoded = dict[str, object]
Decode = Callable[[Record], Decoded | Reject]

# Everything that reading bytes against a schema can raise.
_BROKEN = (ArithmeticError, LookupError, MemoryError, RecursionError, TypeError, ValueError, struct.error)


class Schemas(msgspec.Struct, frozen=True):
    """The schemas that records may be written with, by each name a framing can give; ours by file."""

    by_id: Mapping[int, AvroSchema] = {}
    by_guid: Mapping[bytes, AvroSchema] = {}  # 16 bytes
    by_fingerprint: Mapping[bytes, AvroSchema] = {}  # CRC-64-AVRO, 8 bytes, little-endian
    by_name: Mapping[str, AvroSchema] = {}  # file name without .avsc: reader schemas
    documents: Mapping[str, object] = {}  # as written, by file: what a hash of the configuration covers

    def __getitem__(self, schema_id: int) -> AvroSchema:
        return self.by_id[schema_id]


class Wire(msgspec.Struct, frozen=True):
    """How a feed's records are written. *reader*: name of our schema; "" reads with the writer's."""

    format: Format = "json"
    framing: Framing = "none"
    reader: str = ""
    size_max: int = SIZE_MAX


class _Bad(Exception):
    """Raised inside, returned as a `Reject`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def make_decoder(wire: Wire, schemas: Schemas) -> Decode:
    """The decoder of one feed. Raises `KeyError` when *wire* names a reader schema that is not there."""
    read = _make_json_reader(wire) if wire.format == "json" else _make_avro_reader(wire, schemas)
    size_max = wire.size_max

    def decode(record: Record) -> Decoded | Reject:
        value = record.value
        if not value:
            return Reject("decode", "empty_value", "the record has no value")
        if len(value) > size_max:
            return Reject("decode", "too_large", f"{len(value)} bytes, at most {size_max} are read")
        try:
            found = read(value, record)
        except _Bad as bad:
            return Reject("decode", bad.reason, str(bad))
        if type(found) is not dict:
            name = type(found).__name__
            return Reject("decode", "not_an_object", f"the value is a {name}, expected an object with fields")
        return found

    return decode


_Read = Callable[[bytes, Record], object]


def _make_json_reader(wire: Wire) -> _Read:
    is_framed = wire.framing == "confluent"

    def read_json(value: bytes, record: Record) -> object:
        try:
            return msgspec.json.decode(value[_json_start(value, record) :] if is_framed else value)
        except RecursionError:
            raise _Bad("bad_json", "nested too deeply") from None
        except UnicodeDecodeError as error:
            raise _Bad("bad_text", f"not UTF-8: {error.reason}") from None
        except ValueError as error:
            raise _Bad("bad_json", f"not JSON: {error}") from None

    return read_json


def _make_avro_reader(wire: Wire, schemas: Schemas) -> _Read:
    reader = schemas.by_name[wire.reader] if wire.reader else None
    find = _make_finder(wire.framing, schemas, reader)

    def read_avro(value: bytes, record: Record) -> object:
        start, schema = find(value, record)
        body = BytesIO(value)
        body.seek(start)
        try:
            found = fastavro.schemaless_reader(body, schema, None if reader is schema else reader)
        except EOFError:
            raise _Bad("truncated", f"the value of {len(value)} bytes ends within the record") from None
        except SchemaResolutionError as error:
            raise _Bad("schema_mismatch", f"the writer's schema does not fit ours: {error}") from None
        except UnicodeDecodeError as error:
            raise _Bad("bad_text", f"a text is not UTF-8: {error.reason}") from None
        except _BROKEN as error:
            raise _Bad("bad_avro", f"not a record of the schema: {error}") from None
        if body.tell() != len(value):
            raise _Bad("trailing_bytes", f"{len(value) - body.tell()} bytes follow the record")
        return found

    return read_avro


# ---------------------------------------------------------------------- framing

_Find = Callable[[bytes, Record], tuple[int, AvroSchema]]


def _make_finder(framing: Framing, schemas: Schemas, reader: AvroSchema | None) -> _Find:
    """Where the body starts, and the schema it was written with."""

    def bare(_value: bytes, _record: Record) -> tuple[int, AvroSchema]:
        assert reader is not None, "a feed of bare Avro names its schema"
        return 0, reader

    def confluent(value: bytes, record: Record) -> tuple[int, AvroSchema]:
        for name, header in record.headers:
            if name == GUID_HEADER:
                return 0, _by_guid(header, schemas)
        if value[0] == _MAGIC_GUID:
            return 17, _by_guid(value[:17], schemas)
        return 5, _by_id(value[:5], schemas)

    def single_object(value: bytes, _record: Record) -> tuple[int, AvroSchema]:
        if value[:2] != _SINGLE_OBJECT:
            raise _Bad(
                "bad_magic", f"starts with 0x{value[:2].hex()}, expected 0xc301 of an Avro single object"
            )
        if len(value) < 10:
            raise _Bad("truncated", f"{len(value)} bytes are too few for a fingerprint")
        schema = schemas.by_fingerprint.get(value[2:10])
        if schema is None:
            raise _Bad("unknown_schema", f"no schema has the fingerprint {value[2:10].hex()}")
        return 10, schema

    return {"none": bare, "confluent": confluent, "single-object": single_object}[framing]


def _json_start(value: bytes, record: Record) -> int:
    """Where JSON behind Confluent framing starts. Its schema is not needed."""
    if any(name == GUID_HEADER for name, _ in record.headers):
        return 0
    if value[0] > _MAGIC_GUID:
        raise _Bad(
            "bad_magic", f"first byte is 0x{value[0]:02x}, expected 0x00 and a schema id, or 0x01 and a GUID"
        )
    return 5 if value[0] == _MAGIC_ID else 17


def _by_id(framed: bytes, schemas: Schemas) -> AvroSchema:
    if framed[0] != _MAGIC_ID:
        raise _Bad(
            "bad_magic", f"first byte is 0x{framed[0]:02x}, expected 0x00 and a schema id, or 0x01 and a GUID"
        )
    if len(framed) < 5:
        raise _Bad("truncated", f"{len(framed)} bytes are too few for a schema id")
    schema = schemas.by_id.get(int.from_bytes(framed[1:], "big"))
    if schema is None:
        raise _Bad("unknown_schema", f"no schema has the id {int.from_bytes(framed[1:], 'big')}")
    return schema


def _by_guid(framed: bytes, schemas: Schemas) -> AvroSchema:
    if framed[:1] == b"\0":  # a header may carry a plain id too
        return _by_id(framed[:5], schemas)
    if framed[:1] != b"\1":
        raise _Bad("bad_magic", f"the schema id starts with 0x{framed[:1].hex()}, expected 0x01 and a GUID")
    if len(framed) != 17:
        raise _Bad("truncated", f"{len(framed) - 1} bytes, a GUID has 16")
    schema = schemas.by_guid.get(framed[1:])
    if schema is None:
        raise _Bad("unknown_schema", f"no schema has the GUID {framed[1:].hex()}")
    return schema
