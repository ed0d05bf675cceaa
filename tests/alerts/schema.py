"""Checks a document against the part of JSON Schema that the OCSF package writes, and no other part."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

Json = Any

_KNOWN = {
    "$defs", "$id", "$ref", "$schema", "additionalProperties", "anyOf", "const", "deprecated", "enum",
    "items", "maxLength", "maximum", "minimum", "oneOf", "pattern", "properties", "required", "title", "type",
}  # fmt: skip
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,),
    "array": (list,), "null": (type(None),),
}  # fmt: skip


@cache
def finding_schema() -> Json:
    """The schema of a Detection Finding, OCSF 1.8.0, with every object it refers to."""
    return OcsfJsonSchemaEmbedded(get_ocsf_schema("1.8.0")).get_class_schema("detection_finding")


def errors(document: Json, schema: Json | None = None, path: str = "$") -> list[str]:
    """What is wrong with *document*, one line each with its path; empty when it is valid."""
    root = finding_schema()
    schema = root if schema is None else schema
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    unknown = schema.keys() - _KNOWN
    assert not unknown, f"this check does not know {unknown}"
    if not _is_of_type(document, schema.get("type")):
        return [f"{path}: {document!r} is no {schema['type']}"]
    found = [f"{path}: {text}" for text in _plain_errors(document, schema)]
    if schema.get("deprecated"):
        found.append(f"{path}: deprecated")
    if isinstance(document, dict):
        found += _object_errors(document, schema, path)
    if isinstance(document, list):
        found += [e for i, item in enumerate(document) for e in errors(item, schema["items"], f"{path}[{i}]")]
    return found


def _is_of_type(document: Json, names: str | list[str] | None) -> bool:
    if names is None:
        return True
    named = [names] if isinstance(names, str) else names
    if isinstance(document, bool):
        return "boolean" in named
    return any(isinstance(document, _TYPES[name]) for name in named)


def _plain_errors(document: Json, schema: Json) -> list[str]:
    found = []
    if "const" in schema and document != schema["const"]:
        found.append(f"{document!r} is not {schema['const']!r}")
    if "enum" in schema and document not in schema["enum"]:
        found.append(f"{document!r} is none of {schema['enum']}")
    if "pattern" in schema and not re.search(schema["pattern"], document):
        found.append(f"{document!r} does not match")
    if "maxLength" in schema and len(document) > schema["maxLength"]:
        found.append("too long")
    if not schema.get("minimum", document) <= document if _is_number(document) else False:
        found.append("too small")
    if not schema.get("maximum", document) >= document if _is_number(document) else False:
        found.append("too large")
    return found


def _is_number(document: Json) -> bool:
    return isinstance(document, int | float) and not isinstance(document, bool)


def _object_errors(document: dict[str, Json], schema: Json, path: str) -> list[str]:
    known = schema.get("properties", {})
    found = [f"{path}: {name} is missing" for name in schema.get("required", ()) if name not in document]
    if schema.get("additionalProperties") is False:
        found += [f"{path}: OCSF has no {name} here" for name in document if name not in known]
    for name, value in document.items():
        if name in known:
            found += errors(value, known[name], f"{path}.{name}")
    any_of = [option["required"] for option in schema.get("anyOf", ())]
    if any_of and not any(set(names) <= document.keys() for names in any_of):
        found.append(f"{path}: none of {any_of}")
    one_of = [option["required"] for option in schema.get("oneOf", ())]
    if one_of and sum(set(names) <= document.keys() for names in one_of) != 1:
        found.append(f"{path}: not exactly one of {one_of}")
    return found
