"""A directory of schemas, read whole or with every problem."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest

from correlator.adapters.schema_store import read_schemas

SHIPPED = Path(__file__).parents[2] / "schemas"
GOLDEN = Path(__file__).parents[1] / "alerts" / "golden"
POINT = {"type": "record", "name": "Point", "fields": [{"name": "x", "type": "long"}]}


def test_the_shipped_schemas_have_no_problems_and_are_found_by_every_name() -> None:
    schemas, problems = read_schemas(SHIPPED)
    assert problems == []
    assert set(schemas.by_id) == {1, 2, 3}
    assert schemas.by_id[1] is schemas.by_name["badge-event"]
    assert len(schemas.by_fingerprint) == len(schemas.by_name)
    assert {"badge-event", "door-event", "login-event", "identity", "alert"} <= set(schemas.by_name)


def test_every_field_is_documented_and_every_enum_can_read_what_it_does_not_know() -> None:
    for path in SHIPPED.glob("*.avsc"):
        for node in nodes(json.loads(path.read_text(encoding="utf-8"))):
            if node.get("type") == "enum":
                assert node["default"] == "UNKNOWN", (path.name, node["name"])
            for field in node.get("fields", []) if node.get("type") == "record" else []:
                assert field.get("doc"), (path.name, field["name"])


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_an_alert_is_a_record_of_the_alert_schema(path: Path) -> None:
    alert = json.loads(path.read_text(encoding="utf-8"))
    schema = read_schemas(SHIPPED)[0].by_name["alert"]
    body = BytesIO()
    fastavro.schemaless_writer(body, schema, alert)
    body.seek(0)
    read = fastavro.schemaless_reader(body, schema, None)
    assert isinstance(read, dict)
    assert_said(alert, read)


def assert_said(alert: dict[str, Any], read: dict[str, Any]) -> None:
    """What the schema has, the alert says in the same words; what it does not say is null."""
    for name, value in read.items():
        if isinstance(value, dict):
            assert_said(alert[name], value)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for said, item in zip(alert[name], value, strict=True):
                assert_said(said, item)
        else:
            assert value == alert.get(name), name


def nodes(node: object) -> list[dict[str, Any]]:
    if isinstance(node, dict):
        return [node, *(found for value in node.values() for found in nodes(value))]
    return [found for item in node for found in nodes(item)] if isinstance(node, list) else []


def test_ids_and_guids_name_files(tmp_path: Path) -> None:
    (tmp_path / "point.avsc").write_text(json.dumps(POINT))
    (tmp_path / "ids.yml").write_text("12: point.avsc\n00112233-4455-6677-8899-AABBCCDDEEFF: point.avsc\n")
    schemas, problems = read_schemas(tmp_path)
    assert problems == []
    assert schemas[12] is schemas.by_guid[bytes.fromhex("00112233445566778899aabbccddeeff")]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "broken.avsc").write_text('{"type": ')
    (tmp_path / "list.avsc").write_text("[]")
    (tmp_path / "bad.avsc").write_text(json.dumps(POINT | {"fields": [{"name": "x", "type": "lang"}]}))
    nothing = {"name": "x", "type": {"type": "array", "items": "null"}}
    (tmp_path / "bomb.avsc").write_text(json.dumps(POINT | {"fields": [nothing]}))
    (tmp_path / "latin.avsc").write_bytes(b"\xff")
    (tmp_path / "half.avsc").write_text(json.dumps(POINT | {"doc": "\ud800"}))
    (tmp_path / "ids.yml").write_text("1: nowhere.avsc\nseven: bad.avsc\n")
    _, problems = read_schemas(tmp_path)
    told = "\n".join(map(str, problems))
    assert "broken.avsc:1:10: error: not JSON" in told
    assert "half.avsc: error: an escape in it is half of a surrogate pair" in told
    assert "list.avsc:1:1: error: a schema file holds one Avro record schema" in told
    assert "bad.avsc: error: not an Avro schema" in told
    assert "bomb.avsc: error: an array or map of nothing" in told
    assert "latin.avsc: error: not UTF-8" in told
    assert "ids.yml:1:1: error: 1: nowhere.avsc: no such schema" in told
    assert "ids.yml:2:1: error: seven: bad.avsc: no such schema" in told
