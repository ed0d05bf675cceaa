"""Sample records of a feed file and what they must become: the tests of the feed.

    samples:
      - name: granted, walked in
        value: {event_id: "1", ...}        # JSON values, written with the feed's own format and framing
        expect: {time: 2026-01-09T08:31:02Z, credential.id: "4711", access.outcome: granted, ...}
      - name: not ours
        base64: AAAAAAE=                   # or the bytes as they are; "" for an empty value
        expect: {reject: unknown_schema}   # or {ignored: true}, or {heartbeat: SOURCE}

An expected event is compared whole: every canonical field that is not at its default must be listed. `kind`,
`source` and `id` are compared where they are listed; `id` has its parts separated by a space. A local time of
which only the site knows the zone is expected without an offset.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import cast

import fastavro
import msgspec

from correlator.intake.canonical import CANONICAL
from correlator.intake.decode import Schemas, Wire
from correlator.intake.document import Fields, described, nearest
from correlator.intake.instants import SITE, Unfit, Wall, of_iso
from correlator.intake.mapped import Heartbeat, Mapped
from correlator.intake.mapping import REASONS, SEPARATOR, canonical_fields
from correlator.record import Record, Reject
from correlator.spelling import EPOCH

_KEYS = ("name", "value", "base64", "key", "expect")
_EVENT_KEYS = ("time", "kind", "source", "id")


class Sample(msgspec.Struct, frozen=True):
    """One test of a feed. *expect*: canonical names, or `reject`, `ignored` or `heartbeat`."""

    name: str
    line: int
    record: Record
    expect: dict[str, object]


class SampleResult(msgspec.Struct, frozen=True):
    """*differences*: one line per field that is not as expected; none where the sample passed."""

    sample: Sample
    differences: tuple[str, ...]


def run_samples(
    samples: tuple[Sample, ...], map_record: Callable[[Record], Mapped | Heartbeat | Reject | None]
) -> list[SampleResult]:
    """Every sample through the feed's own mapping."""
    return [SampleResult(sample, _differences(sample, map_record(sample.record))) for sample in samples]


def shown(mapped: Mapped) -> dict[str, object]:
    """*mapped* under canonical names, as samples expect it and `feeds try` prints it."""
    time = (EPOCH + timedelta(milliseconds=mapped.time_ms)).isoformat(timespec="milliseconds")
    return {
        "time": time.replace("+00:00", "" if isinstance(mapped.time_ms, Wall) else "Z"),
        "kind": mapped.kind,
        "source": mapped.source,
        "id": mapped.native_id.replace(SEPARATOR, " "),
        **canonical_fields(mapped),
    }


def _differences(sample: Sample, found: Mapped | Heartbeat | Reject | None) -> tuple[str, ...]:
    if isinstance(found, Reject):
        outcome = f"rejected: {found.reason}: {found.message}"
        return () if sample.expect.get("reject") == found.reason else (outcome,)
    if found is None:
        return () if sample.expect.get("ignored") is True else ("the record was ignored",)
    if isinstance(found, Heartbeat):
        told = (f"a heartbeat of {found.source}",)
        return () if sample.expect.get("heartbeat") == found.source else told
    if sample.expect.keys() & {"reject", "ignored", "heartbeat"}:
        return (f"became an event: {shown(found)}",)
    return tuple(_field_differences(sample.expect, found))


def _field_differences(expect: dict[str, object], mapped: Mapped) -> list[str]:
    found = shown(mapped)
    wanted = {name: value for name, value in expect.items() if name != "time"}
    differences = [
        f"{name}: expected {_said(wanted.get(name))}, found {_said(found.get(name))}"
        for name in sorted({*wanted, *canonical_fields(mapped)})
        if wanted.get(name) != found.get(name)
    ]
    expected = of_iso(expect["time"], SITE)
    if (expected, type(expected) is Wall) != (mapped.time_ms, type(mapped.time_ms) is Wall):
        differences.insert(0, f"time: expected {expect['time']}, found {found['time']}")
    return differences


def _said(value: object) -> str:
    return described(value) if value is None or isinstance(value, bool) else repr(value)


# ---------------------------------------------------------------------- reading


def read_samples(feed: Fields, wire: Wire, topic: str, schemas: Schemas) -> tuple[Sample, ...]:
    """The samples of a feed file. Problems go to its report."""
    is_said = feed.has("schema") and not wire.reader  # that the schema is unknown
    samples: list[Sample] = []
    for number, fields in enumerate(feed.rows("samples", _KEYS)):
        value = _value(fields, wire, schemas, is_said=is_said)
        expect = _expected(fields)
        if expect is not None:
            key = fields.text("key").encode() or None
            record = Record(topic, 0, number, 0, key, value)
            name = fields.text("name") or f"sample {number + 1}"
            samples.append(Sample(name, fields.report.line(fields.path), record, expect))
    return tuple(samples)


def _value(fields: Fields, wire: Wire, schemas: Schemas, *, is_said: bool) -> bytes:
    if fields.has("value") == (fields.value("base64") is not None):
        fields.problem("", "a sample has either `value`, as JSON values, or `base64`, the bytes")
        return b""
    if fields.has("value"):
        return _written(fields, wire, schemas, is_said=is_said)
    try:
        return b64decode(fields.text("base64"), validate=True)
    except (Base64Error, ValueError):
        fields.problem("base64", "not base64")
        return b""


def _written(fields: Fields, wire: Wire, schemas: Schemas, *, is_said: bool) -> bytes:
    """The sample's value, written as the source would."""
    value = fields.value("value")
    schema = schemas.by_name.get(wire.reader)
    if wire.format == "json":
        return (
            msgspec.json.encode(value)
            if wire.framing == "none"
            else b"\0\0\0\0\0" + msgspec.json.encode(value)
        )
    if schema is None:
        if not is_said:
            fields.problem("value", "only a feed with a `schema` can write its samples: give them as base64")
        return b""
    body = BytesIO()
    try:
        fastavro.schemaless_writer(body, schema, cast("dict[str, object]", value), strict_allow_default=True)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        fields.problem("value", f"does not fit the schema {wire.reader}: {error}")
    prefix = b""
    if wire.framing == "confluent":
        number = next((number for number, known in schemas.by_id.items() if known is schema), 0)
        if not number:
            message = f"ids.yml beside the schema gives {wire.reader} no id, such as `7: {wire.reader}.avsc`"
            fields.problem("value", message)
        prefix = b"\0" + number.to_bytes(4, "big")
    elif wire.framing == "single-object":
        prefix = b"\xc3\x01" + next(mark for mark, known in schemas.by_fingerprint.items() if known is schema)
    return prefix + body.getvalue()


def _expected(fields: Fields) -> dict[str, object] | None:
    part = fields.part("expect")
    if part is None:
        fields.problem(
            "", "a sample needs `expect`: the event, {reject: reason}, {ignored: true} or {heartbeat: source}"
        )
        return None
    expect = {name: part.value(name) for name in part.keys()}  # noqa: SIM118 - no mapping
    if "reject" in expect:
        part.choice("reject", sorted(REASONS))
    elif "ignored" in expect:
        part.flag("ignored")
    elif "heartbeat" in expect:
        part.text("heartbeat", required=True)
    else:
        for name in expect:
            if name not in _EVENT_KEYS and name not in CANONICAL:
                part.problem(name, f"unknown field {name!r}{nearest(name, [*_EVENT_KEYS, *CANONICAL])}")
        try:
            of_iso(expect.get("time"), SITE)
        except Unfit as unfit:
            part.problem("time", f"the event's time: {unfit}")
    return expect
