"""Simulated records as bytes: Avro with Confluent framing, by the shipped schemas, keyed as customers key
them.

Badge and door topics are keyed by card and door, the login topic by account, so that one person's events
lie on several input partitions. `encode` also sets the record's event id, computed as intake will.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from zlib import crc32

import fastavro
import yaml

from correlator.event import event_id
from correlator.record import Record
from correlator.simulate.emit import BadgeRecord, DoorRecord, LoginRecord, SimulatedRecord

PARTITIONS = 3
TOPICS = ("badge-events", "door-events", "login-events")
SCHEMA_FILES = {
    "badge-events": "badge-event.avsc",
    "door-events": "door-event.avsc",
    "login-events": "login-event.avsc",
}
REASON_CODES = {
    "": 1, "unknown_credential": 129, "incorrect_factor": 132, "point_no_access_rights": 134,
    "no_access_rights": 135,
    "out_of_time_range": 136, "lost": 143, "stolen": 144, "expired": 152,
    "disabled": 158, "verification_failed": 162,
}  # fmt: skip
_CREDENTIAL_CLASSES = {"7": "MOBILE", "9": "TEMP"}  # by the first digit of the number

Schemas = Mapping[str, tuple[int, object]]  # schema file -> (id, Avro schema)


class Encoder:
    """Encodes with *schemas*: file name to (schema id, the Avro schema as JSON values)."""

    def __init__(self, schemas: Schemas) -> None:
        self._framed: dict[str, tuple[bytes, Any]] = {}
        for topic, file in SCHEMA_FILES.items():
            number, schema = schemas[file]
            parsed = fastavro.parse_schema(schema)  # type: ignore[arg-type]
            self._framed[topic] = (b"\0" + number.to_bytes(4, "big"), parsed)

    def encode(self, records: Iterable[SimulatedRecord]) -> list[Record]:
        """Records in the order given, offsets 0 (the caller numbers them). Sets each record's `id`."""
        return [self._one(record) for record in records]

    def _one(self, record: SimulatedRecord) -> Record:
        if isinstance(record, BadgeRecord):
            topic, key, fields = "badge-events", record.badge, _badge(record)
        elif isinstance(record, LoginRecord):
            topic, key, fields = "login-events", record.account, _login(record)
        else:
            topic, key, fields = "door-events", record.door, _door(record)
        record.id = stated_id(record)
        prefix, schema = self._framed[topic]
        out = BytesIO()
        out.write(prefix)
        fastavro.schemaless_writer(out, schema, fields)
        raw = key.encode()
        return Record(topic, crc32(raw) % PARTITIONS, 0, record.arrival_ms, raw, out.getvalue())


def stated_id(record: SimulatedRecord) -> str:
    """The id that intake will give to the event of *record*."""
    if isinstance(record, LoginRecord):
        return event_id(record.source, record.number)
    return event_id(record.controller, str(record.sequence))


def _badge(record: BadgeRecord) -> dict[str, object]:
    return {
        "event_id": str(record.sequence),
        "controller_id": record.controller,
        "sequence": record.sequence,
        "occurred_at": record.time_ms,
        "reader_id": record.reader,
        "badge_id": record.badge,
        "credential_class": _CREDENTIAL_CLASSES.get(record.badge[0], "CARD"),
        "outcome": record.outcome.upper(),
        "reason_code": REASON_CODES[record.reason],
        "reason_text": record.reason.replace("_", " ") or "access granted",
        "taken": record.taken.upper(),
        "direction": record.direction.upper(),
        "duress": False,
    }


def _door(record: DoorRecord) -> dict[str, object]:
    return {
        "event_id": str(record.sequence),
        "controller_id": record.controller,
        "sequence": record.sequence,
        "occurred_at": record.time_ms,
        "door_id": record.door,
        "activity": record.activity.upper(),
        "reason_text": None,
    }


def _login(record: LoginRecord) -> dict[str, object]:
    return {
        "event_id": record.number,
        "source_id": record.source,
        "occurred_at": record.time_ms,
        "account": record.account,
        "outcome": record.outcome.upper(),
        "reason": record.reason.upper() or "UNKNOWN",
        "logon_type": record.logon_type.upper(),
        "interactive": record.is_interactive,
        "mfa": record.mfa.upper(),
        "ip": record.ip or None,
        "device_id": record.device or None,
        "session_id": record.session or None,
        "application": record.application,
    }


def read_schemas(directory: Path) -> Schemas:
    """Schemas of a schema store's directory: `*.avsc` and `ids.yml`. Raises OSError or ValueError."""
    ids = yaml.safe_load((directory / "ids.yml").read_text(encoding="utf-8"))
    return {
        file: (int(number), json.loads((directory / file).read_text(encoding="utf-8")))
        for number, file in ids.items()
    }
