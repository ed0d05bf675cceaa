"""A directory of Avro schemas: `*.avsc`, and `ids.yml`: which schema id or GUID stands for which file.

Every problem of every file is reported at once. A schema that could make a few bytes expand to any number of
values (arrays of nothing) is refused, so that no record can exhaust memory.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import fastavro
from fastavro.schema import (
    SchemaParseException,
    UnknownType,
    fingerprint,
    to_parsing_canonical_form,
)

from correlator.adapters.yaml_lines import load_yaml
from correlator.intake.decode import AvroSchema, Schemas
from correlator.problem import Lines, Problem

IDS_FILE = "ids.yml"

_GUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\Z")
_SCHEMA_ID_MAX = (1 << 32) - 1

Document = dict[str, object]


def read_schemas(directory: Path) -> tuple[Schemas, list[Problem]]:
    """All schemas of *directory*. With any problem that is an error they must not be used.

    A directory without `ids.yml` has schemas to read with, and knows no writer's by id.
    """
    problems: list[Problem] = []
    by_name: dict[str, AvroSchema] = {}
    documents: dict[str, object] = {}
    by_fingerprint: dict[bytes, AvroSchema] = {}
    for path in sorted(directory.glob("*.avsc")):
        document = _read_document(path, problems)
        if document is not None:
            documents[path.name] = document
            parsed = _parse(document, path, problems)
            if parsed is not None:
                by_name[path.stem] = parsed
                by_fingerprint[_fingerprint(parsed)] = parsed
    by_id: dict[int, AvroSchema] = {}
    by_guid: dict[bytes, AvroSchema] = {}
    ids_path = directory / IDS_FILE
    if ids_path.exists():
        documents[IDS_FILE] = _read_ids(ids_path, by_name, (by_id, by_guid), problems)
    return Schemas(by_id, by_guid, by_fingerprint, by_name, documents), problems


def _read_text(path: Path, problems: list[Problem]) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        problems.append(Problem(str(path), 0, 0, "", f"not UTF-8 text: {error.reason} at byte {error.start}"))
    except OSError as error:
        problems.append(Problem(str(path), 0, 0, "", f"cannot be read: {error.strerror}"))
    return None


def _read_document(path: Path, problems: list[Problem]) -> Document | None:
    text = _read_text(path, problems)
    if text is None:
        return None
    try:
        document: object = json.loads(text)
        json.dumps(document, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        problems.append(Problem(str(path), error.lineno, error.colno, "", f"not JSON: {error.msg}"))
    except UnicodeEncodeError:
        problems.append(Problem(str(path), 0, 0, "", "an escape in it is half of a surrogate pair, no text"))
    except RecursionError:
        problems.append(Problem(str(path), 0, 0, "", "nested too deeply"))
    else:
        if isinstance(document, dict) and document.get("type") == "record":
            return document
        problems.append(Problem(str(path), 1, 1, "", "a schema file holds one Avro record schema"))
    return None


def _parse(document: Document, path: Path, problems: list[Problem]) -> AvroSchema | None:
    try:
        parsed = fastavro.parse_schema(_without_logical_types(document))
    except (SchemaParseException, UnknownType, AttributeError, KeyError, TypeError, ValueError) as error:
        problems.append(Problem(str(path), 0, 0, "", f"not an Avro schema: {type(error).__name__}: {error}"))
        return None
    assert isinstance(parsed, dict), "a record schema parses to a mapping"
    for items in _items_of_arrays(document):
        if _is_empty(items):
            message = "an array or map of nothing: a few bytes could claim any number of values"
            problems.append(Problem(str(path), 0, 0, "", message))
            return None
    return parsed


def _without_logical_types(document: Document) -> Document:
    return {key: _plain(value) for key, value in document.items() if key != "logicalType"}


def _plain(node: object) -> object:
    if isinstance(node, dict):
        return _without_logical_types(node)
    return [_plain(item) for item in node] if isinstance(node, list) else node


def _items_of_arrays(node: object) -> list[object]:
    children = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
    found = [item for child in children for item in _items_of_arrays(child)]
    if isinstance(node, dict):
        found += [node["items"]] if node.get("type") == "array" and "items" in node else []
    return found


def _is_empty(schema: object) -> bool:
    """Do values of *schema* take no bytes?"""
    if isinstance(schema, dict):
        kind = schema.get("type")
        if kind == "record":
            return all(_is_empty(field.get("type")) for field in schema.get("fields", []))
        return schema.get("size") == 0 if kind == "fixed" else _is_empty(kind)
    return schema == "null"


def _fingerprint(schema: AvroSchema) -> bytes:
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


def _read_ids(
    path: Path,
    by_name: dict[str, AvroSchema],
    found: tuple[dict[int, AvroSchema], dict[bytes, AvroSchema]],
    problems: list[Problem],
) -> object:
    text = _read_text(path, problems)
    if text is None:
        return None
    document, lines, of_yaml = load_yaml(text, str(path))
    problems += of_yaml
    if of_yaml:
        return document
    if not isinstance(document, dict):
        problems.append(Problem(str(path), 1, 1, "", "expected lines of `schema id: file`"))
        return document
    for key, file in document.items():
        _read_id((key, file), by_name, found, (lines, problems))
    return document


def _read_id(
    entry: tuple[str, object],
    by_name: dict[str, AvroSchema],
    found: tuple[dict[int, AvroSchema], dict[bytes, AvroSchema]],
    report: tuple[Lines, list[Problem]],
) -> None:
    key, file = entry
    lines, problems = report
    by_id, by_guid = found
    schema = by_name.get(file.removesuffix(".avsc")) if isinstance(file, str) else None
    if schema is None:
        problems.append(lines.problem((key,), f"{file}: no such schema (or it has errors)"))
    elif key.isascii() and key.isdigit() and int(key) <= _SCHEMA_ID_MAX:
        by_id[int(key)] = schema
    elif _GUID.match(key.lower()):
        by_guid[bytes.fromhex(key.replace("-", ""))] = schema
    else:
        problems.append(lines.problem((key,), "a schema id is a number below 2^32 or a GUID"))
