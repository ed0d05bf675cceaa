"""Every key of the `correlator:` block, in one table: what may be written there, and what it means.

The published JSON schema (schemas/correlator-block.schema.json) is made from it, and the reader (`block`)
takes its keys from it. Durations are written as 30s, 5m, 8h, 2d.
"""

from __future__ import annotations

from typing import NamedTuple, get_args

from correlator.event import KINDS, EntityKind
from correlator.rules.rule import Severity

ENTITIES = get_args(EntityKind)
FEEDS = KINDS[:3]
LEVELS: tuple[Severity, ...] = get_args(Severity)
STATUSES = ("stable", "test", "experimental", "deprecated", "unsupported")
MODES = ("alert", "shadow", "off")

Schema = dict[str, object]


class Key(NamedTuple):
    schema: Schema
    doc: str


def _object(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


TEXT: Schema = {"type": "string", "minLength": 1}
ANY_TEXT: Schema = {"type": "string"}
TRUTH: Schema = {"type": "boolean"}
DURATION: Schema = {"type": "string", "pattern": "^[+]?[0-9]{1,9}(ms|s|m|h|d|w)$"}
OFFSET: Schema = {"type": "string", "pattern": "^[+-]?[0-9]{1,9}(ms|s|m|h|d|w)$"}
DAY: Schema = {"type": "string", "format": "date"}
INCOMPLETE: Schema = {"enum": ["inconclusive", "fire"]}

_EVENT: Schema = {
    "type": "object",
    "required": ["event.kind"],
    "properties": {
        "offset": OFFSET,
        "arrives": OFFSET,
        "repeat": _object(("every", "times"), every=DURATION, times={"type": "integer", "minimum": 1}),
        "event.kind": {"enum": list(FEEDS)},
    },
    "additionalProperties": {"type": ["string", "number", "boolean", "array", "null"]},
}
_PERSON = _object(
    type=ANY_TEXT,
    department=ANY_TEXT,
    home_site=ANY_TEXT,
    host=ANY_TEXT,
    hired=OFFSET,
    status={"oneOf": [ANY_TEXT, _list(_object(("at", "status"), at=OFFSET, status=ANY_TEXT))]},
    credentials=_list(
        _object(
            ("id",),
            id=ANY_TEXT,
            states=_list(_object(("at", "state"), at=OFFSET, state=ANY_TEXT)),
            issued=OFFSET,
            **{"class": ANY_TEXT},
        )
    ),
)
_MARK = _object(
    ("offset", "feed", "site", "complete_to"),
    offset=OFFSET,
    feed={"enum": list(FEEDS)},
    site=ANY_TEXT,
    complete_to=OFFSET,
)
_TEST = _object(
    ("name", "expect", "events"),
    name=TEXT,
    expect={"enum": ["match", "no-match"]},
    expect_from=OFFSET,
    expect_at=OFFSET,
    start=TEXT,
    person=_PERSON,
    events=_list(_EVENT) | {"minItems": 1},
    marks=_list(_MARK),
)

TABLE: dict[str, Key] = {
    "entity": Key({"enum": list(ENTITIES)}, "Whose timeline the rule is evaluated on."),
    "mode": Key(
        {"enum": list(MODES)},
        "`shadow`: alerts go to `correlator.alerts.shadow` alone. `off`: checked and tested, not evaluated.",
    ),
    "settle": Key(
        _object(
            (),
            feed={"enum": list(FEEDS)},
            at=TEXT,
            grace=DURATION,
            max_wait=DURATION,
            on_incomplete=INCOMPLETE,
        ),
        "Wait for another feed before deciding.",
    ),
    "on_incomplete": Key(INCOMPLETE, "What happens when the feed is not complete at `max_wait`."),
    "retract": Key({"enum": ["default", "never"]}, "`never`: late events never close the alert."),
    "any_age": Key(TRUTH, "Also evaluate events that arrive after the horizon, each alone."),
    "suppress": Key(
        _object(("for",), **{"for": DURATION}), "Matches are repeats of one alert until it was quiet so long."
    ),
    "severity": Key(
        _object(
            ("by", "levels"),
            by=TEXT,
            levels={"type": "object", "minProperties": 1, "additionalProperties": {"enum": list(LEVELS)}},
        ),
        "The level by a field's value; numbers count from that value upwards. Else the rule's level.",
    ),
    "budget": Key(
        _object(
            (),
            alerts={"type": "integer", "minimum": 1, "maximum": 1000},
            per=DURATION,
            entities={"type": "integer", "minimum": 1, "maximum": 100_000},
        ),
        "`alerts` of an entity within `per`, counted from the start of the UTC day; one more sums up all "
        "others. `entities` that are told of within an hour of arrival, of one partition; all others join "
        "one alert, the storm.",
    ),
    "risk": Key(
        {"type": "integer", "minimum": 0, "maximum": 100},
        "What the rule adds to the entity's risk, once a UTC day.",
    ),
    "requires": Key(
        _object((), feeds=_list({"enum": list(FEEDS)}), exit_reads=TRUTH, warm_model=TRUTH),
        "What must be there at a site; unmet, the rule is inert there.",
    ),
    "evidence": Key(_list(TEXT), "Fields that the alert quotes first."),
    "controls": Key(_list(ANY_TEXT), "References to standards."),
    "owner": Key(TEXT, "Who answers for the rule."),
    "review_by": Key(DAY, "When somebody must look at the rule again."),
    "expires": Key(
        _object(("on", "reason", "owner"), on=DAY, reason=TEXT, owner=TEXT),
        "Filters only: the last day (UTC, of event time) on which the exception holds.",
    ),
    "tests": Key(_list(_TEST), "What happens, written as events."),
}


def block_schema() -> Schema:
    """The JSON schema of the block, draft 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The correlator: block of a rule",
        "type": "object",
        "additionalProperties": False,
        "properties": {name: {"description": key.doc, **key.schema} for name, key in TABLE.items()},
    }
