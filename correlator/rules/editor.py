"""The JSON schema of a whole rule file for editors: Sigma, our block, and the fields with what they mean.

It says what may be written and completes it; what is *wrong* is said by `check`, which knows much more. So it
lets everything through that the loader might: vendors' fields, and keys of other tools.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from correlator.rules.rule import CorrelationType
from correlator.rules.schema import (
    ANY_TEXT,
    DURATION,
    LEVELS,
    STATUSES,
    TEXT,
    TRUTH,
    Schema,
    block_schema,
)
from correlator.rules.vocabulary import WORDS
from correlator.timeline.field import Field

_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_TEXTS: Schema = {"type": "array", "items": ANY_TEXT}
_ONE_OR_MORE: Schema = {"anyOf": [TEXT, _TEXTS]}
_CAPITALS: Schema = {"type": "string", "pattern": "[A-Z]"}  # words may stand in them; small letters complete
_OR_NOTHING: Schema = {"type": ["string", "null"]}
_KEYWORD: Schema = {"type": ["string", "number"]}
_NEEDED = (  # id and level only of rules that alert, and whether one is counted stands elsewhere
    ("detection", "title", "logsource"),
    ("correlation", "title"),
    ("filter", "title", "logsource"),
    ("tests", "rule"),
)


def rule_schema(fields: Mapping[str, Field]) -> Schema:
    """The schema of one document of a rule file, draft 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A rule of correlator: Sigma 2.1 with a correlator: block",
        "type": "object",
        "properties": {
            "title": TEXT | {"description": "What happened, in a few words."},
            "id": {
                "type": "string",
                "format": "uuid",
                "description": "Any UUID. Alerts are identified by it.",
            },
            "name": TEXT | {"description": "By which correlations and filters refer to it."},
            "status": {"anyOf": [{"enum": list(STATUSES)}, _CAPITALS]},
            "level": {"anyOf": [{"enum": list(LEVELS)}, _CAPITALS]},
            "description": ANY_TEXT,
            "references": _TEXTS,
            "author": ANY_TEXT,
            "date": _OR_NOTHING,
            "modified": _OR_NOTHING,
            "tags": _TEXTS,
            "falsepositives": _TEXTS,
            "fields": _TEXTS,
            "license": _OR_NOTHING,
            "logsource": {
                "type": "object",
                "properties": dict.fromkeys(("product", "category", "service"), _OR_NOTHING),
            },
            "detection": _searches(fields, "condition"),
            "correlation": _correlation(fields),
            "filter": _searches(fields, "condition", rules=_ONE_OR_MORE),
            "generate": TRUTH,
            "correlator": {k: v for k, v in block_schema().items() if k != "$schema"},
            "rule": TEXT | {"description": "Of a document of tests alone: the rule that they are for."},
            "tests": {"type": "array"},
        },
        "anyOf": [{"required": list(needed)} for needed in _NEEDED],
    }


def _searches(fields: Mapping[str, Field], condition: str, **more: Schema) -> Schema:
    mapping = _mapping(fields)
    listed = {"type": "array", "items": {"anyOf": [mapping, _KEYWORD, {"type": "array"}]}}
    search = {"anyOf": [mapping, listed, _KEYWORD]}
    return {
        "type": "object",
        "required": [condition],
        "properties": {condition: _ONE_OR_MORE, **more},
        "additionalProperties": search,
    }


def _mapping(fields: Mapping[str, Field]) -> Schema:
    """Field names, with what they mean; with modifiers, or a vendor's, anything."""
    return {"type": "object", "properties": {f.name: _field(f) for f in fields.values()}}


def _field(field: Field) -> Schema:
    one: Schema = {"type": [_TYPES[field.value_type], "null"]}
    if field.name in WORDS:
        one["examples"] = list(WORDS[field.name])
    return {"description": field.doc, "anyOf": [one, {"type": "array", "items": one}]}


def _correlation(fields: Mapping[str, Field]) -> Schema:
    number: Schema = {"type": "number"}
    thresholds: dict[str, Schema] = dict.fromkeys(("gt", "gte", "lt", "lte", "eq", "neq"), number)
    named: Schema = {"anyOf": [TEXT | {"examples": list(fields)}, _TEXTS]}
    return {
        "type": "object",
        "required": ["type", "timespan", "group-by"],
        "properties": {
            "type": {"enum": list(get_args(CorrelationType))},
            "rules": _ONE_OR_MORE | {"description": "Rules that are counted, by name or id."},
            "group-by": _ONE_OR_MORE | {"description": "identity.id or place.door, and any further fields."},
            "timespan": DURATION,
            "condition": {
                "anyOf": [
                    TEXT,
                    {"type": "object", "properties": {**thresholds, "field": named}},
                    {"type": "null"},
                ],
                "description": "Thresholds; of temporal types also `a and not b` over rules.",
            },
            "aliases": {"type": "object", "additionalProperties": {"type": "object"}},
            "generate": TRUTH | {"description": "The counted rules alert, too."},
        },
    }
