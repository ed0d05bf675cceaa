"""Bytes become values or a bounded reason, whatever the bytes."""

from __future__ import annotations

import json
from io import BytesIO

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlator.intake.decode import REASONS, Decoded, Schemas, Wire, make_decoder
from correlator.record import Reject
from tests.intake.feed_files import SCHEMAS, record

GUID = bytes(range(16))
POINT = {
    "type": "record",
    "name": "Point",
    "fields": [{"name": "x", "type": "long"}, {"name": "name", "type": "string"}],
}
READER = {
    "type": "record",
    "name": "Point",
    "fields": [
        {"name": "x", "type": "long"},
        {
            "name": "colour",
            "default": "UNKNOWN",
            "type": {"type": "enum", "name": "C", "symbols": ["UNKNOWN"]},
        },
    ],
}
OTHER = {"type": "record", "name": "Point", "fields": [{"name": "x", "type": "string"}]}
COLOURED = {
    "type": "record",
    "name": "Point",
    "fields": [
        {"name": "x", "type": "long"},
        {"name": "colour", "type": {"type": "enum", "name": "C", "symbols": ["BLUE"]}},
    ],
}


def parsed(schema: object) -> dict[str, object]:
    found = fastavro.parse_schema(schema)  # type: ignore[arg-type]
    assert isinstance(found, dict)
    return found


FINGERPRINT = bytes.fromhex("0102030405060708")
STORE = Schemas(
    by_id={7: parsed(POINT), 8: parsed(OTHER), 9: parsed(COLOURED)},
    by_guid={GUID: parsed(POINT)},
    by_fingerprint={FINGERPRINT: parsed(POINT)},
    by_name={"point": parsed(POINT), "reader": parsed(READER)},
)
BODY = b"\x06\x04hi"  # x = 3, name = "hi", by Avro's specification
VALUE: Decoded = {"x": 3, "name": "hi"}


def decode(value: bytes | None, wire: Wire, headers: tuple[tuple[str, bytes], ...] = ()) -> Decoded | Reject:
    return make_decoder(wire, STORE)(record(value, headers))


CONFLUENT = Wire("avro", "confluent")


@pytest.mark.parametrize(
    ("wire", "value", "headers"),
    [
        (CONFLUENT, b"\0\0\0\0\x07" + BODY, ()),
        (CONFLUENT, b"\1" + GUID + BODY, ()),
        (CONFLUENT, BODY, (("__value_schema_id", b"\1" + GUID),)),
        (CONFLUENT, BODY, (("trace", b"x"), ("__value_schema_id", b"\0\0\0\0\x07"))),
        (Wire("avro", "single-object"), b"\xc3\x01" + FINGERPRINT + BODY, ()),
        (Wire("avro", "none", "point"), BODY, ()),
        (Wire("json"), b'{"x": 3, "name": "hi"}', ()),
        (Wire("json", "confluent"), b'\0\0\0\0\x07{"x": 3, "name": "hi"}', ()),
        (Wire("json", "confluent"), b"\1" + GUID + b'{"x": 3, "name": "hi"}', ()),
    ],
)
def test_every_framing_gives_the_same_values(
    wire: Wire, value: bytes, headers: tuple[tuple[str, bytes], ...]
) -> None:
    assert decode(value, wire, headers) == VALUE


@pytest.mark.parametrize(
    ("wire", "value", "reason"),
    [
        (CONFLUENT, None, "empty_value"),
        (CONFLUENT, b"", "empty_value"),
        (CONFLUENT, b"\2\0\0\0\7" + BODY, "bad_magic"),
        (CONFLUENT, b"\0\0\0", "truncated"),
        (CONFLUENT, b"\1\2\3", "truncated"),
        (CONFLUENT, b"\0\0\0\0\x63" + BODY, "unknown_schema"),
        (CONFLUENT, b"\1" + bytes(16) + BODY, "unknown_schema"),
        (CONFLUENT, b"\0\0\0\0\x07" + BODY[:-1], "truncated"),
        (CONFLUENT, b"\0\0\0\0\x07" + BODY + b"!", "trailing_bytes"),
        (CONFLUENT, b"\0\0\0\0\x07\x06\x04\xff\xfe", "bad_text"),
        (Wire("avro", "confluent", "point"), b"\0\0\0\0\x08\x02a", "schema_mismatch"),
        (Wire("avro", "confluent", "point", size_max=8), b"\0\0\0\0\x07" + BODY, "too_large"),
        (Wire("avro", "single-object"), b"\xc3\x02" + FINGERPRINT + BODY, "bad_magic"),
        (Wire("avro", "single-object"), b"\xc3\x01\1\2", "truncated"),
        (Wire("avro", "single-object"), b"\xc3\x01" + bytes(8) + BODY, "unknown_schema"),
        (Wire("json"), b"{", "bad_json"),
        (Wire("json"), b'{"x": NaN}', "bad_json"),
        (Wire("json"), b"[" * 100_000, "bad_json"),
        (Wire("json"), b"\xef\xbb\xbf{}", "bad_json"),
        (Wire("json"), b"[]", "not_an_object"),
        (Wire("json"), b"null", "not_an_object"),
        (Wire("json"), b'{"x": "\xff"}', "bad_text"),
        (Wire("json", "confluent"), b"{}", "bad_magic"),
        (Wire("json"), b" " * ((1 << 20) + 1), "too_large"),
    ],
)
def test_what_cannot_be_read_has_a_reason(wire: Wire, value: bytes | None, reason: str) -> None:
    found = decode(value, wire)
    assert isinstance(found, Reject)
    assert (found.stage, found.reason) == ("decode", reason)
    assert found.message


def test_our_schema_fills_in_what_the_writer_lacks_and_drops_what_it_adds() -> None:
    assert decode(b"\0\0\0\0\x07" + BODY, Wire("avro", "confluent", "reader")) == {
        "x": 3,
        "colour": "UNKNOWN",
    }


def test_a_value_that_only_a_newer_writer_knows_reads_as_unknown() -> None:
    with_default = parsed(SCHEMAS.documents["badge-event.avsc"])
    newer = with_symbol("badge-event.avsc", "GRANTED", "GRANTED_BY_GUARD")
    body = BytesIO()
    fields = {
        "event_id": "1",
        "controller_id": "c",
        "sequence": None,
        "occurred_at": 0,
        "reader_id": "r",
        "badge_id": "b",
        "outcome": "GRANTED_BY_GUARD",
    }
    fastavro.schemaless_writer(body, newer, fields)
    store = Schemas(by_id={1: newer}, by_name={"badge-event": with_default})
    found = make_decoder(Wire("avro", "confluent", "badge-event"), store)(
        record(b"\0\0\0\0\1" + body.getvalue())
    )
    assert isinstance(found, dict)
    assert found["outcome"] == "UNKNOWN"


def with_symbol(file: str, symbol: str, instead: str) -> dict[str, object]:
    text = json.dumps(SCHEMAS.documents[file]).replace(f'"{symbol}"', f'"{instead}"')
    return parsed(json.loads(text))


WIRES = [
    CONFLUENT,
    Wire("avro", "confluent", "reader"),
    Wire("avro", "single-object"),
    Wire("avro", "none", "point"),
    Wire("json"),
    Wire("json", "confluent"),
]
STARTS = [
    b"",
    b"\0\0\0\0\x07",
    b"\0\0\0\0\x08",
    b"\0\0\0\0\x09",
    b"\1" + GUID,
    b"\xc3\x01" + FINGERPRINT,
    b"{",
    b'{"x":',
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(WIRES), st.sampled_from(STARTS), st.binary(max_size=60))
def test_any_bytes_give_values_or_a_known_reason(wire: Wire, start: bytes, rest: bytes) -> None:
    found = decode(start + rest, wire)
    assert isinstance(found, dict) or (found.reason in REASONS and found.stage == "decode")


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 3), st.binary(max_size=200))
def test_any_bytes_behind_our_own_schema_ids_give_values_or_a_known_reason(schema: int, body: bytes) -> None:
    name = {1: "badge-event", 2: "door-event", 3: "login-event"}[schema]
    found = make_decoder(Wire("avro", "confluent", name), SCHEMAS)(
        record(b"\0" + schema.to_bytes(4, "big") + body)
    )
    assert isinstance(found, dict) or found.reason in REASONS
