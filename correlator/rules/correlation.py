"""The `correlation` section of a Sigma rule: types that this version counts, thresholds, group-by,
aliases.

Read here and not by pySigma, which refuses ranges such as `{gte: 3, lte: 9}` and looks for `generate` in
one place only. References are resolved by the caller (`load`), which knows all rules.
"""

from __future__ import annotations

from math import isfinite
from typing import get_args

import msgspec

from correlator.event import EntityKind
from correlator.problem import Lines, Path, Problem
from correlator.rules.block import Reader, nearest
from correlator.rules.rule import ENTRIES_MAX, CorrelationType, Operator

KEYS = ("type", "rules", "group-by", "timespan", "condition", "aliases", "generate")
LATER = ("temporal", "temporal_ordered", "value_sum", "value_avg")  # the next version of the language
NEVER = ("value_percentile", "value_median")  # not settled in the standard
ENTITY_FIELDS: dict[str, EntityKind] = {"identity.id": "identity", "place.door": "door"}

_OPERATORS: tuple[Operator, ...] = get_args(Operator)
_TYPES: tuple[CorrelationType, ...] = get_args(CorrelationType)


class Section(msgspec.Struct):
    """The section as read; *rules* are references as written."""

    type: CorrelationType
    rules: tuple[str, ...]
    group_by: tuple[str, ...]
    timespan_ms: int
    thresholds: tuple[tuple[Operator, int | float], ...]
    fields: tuple[str, ...]
    aliases: dict[str, dict[str, str]]
    generates: bool


def read_correlation(document: dict[str, object], lines: Lines) -> tuple[Section | None, list[Problem]]:
    """The section `correlation` of *document*, or None and what is wrong with it."""
    reader, path = Reader(lines), ("correlation",)
    found = reader.mapping(document["correlation"], path, KEYS)
    kind = _type(reader, found, path)
    for key in ("rules", "timespan", "condition", "group-by"):
        if key not in found:
            reader.say(path, f"{key} is missing")
    rules = _rules(reader, found.get("rules", []), (*path, "rules"))
    group_by = _names(reader, found.get("group-by", []), (*path, "group-by"))
    timespan_ms = _timespan(reader, found, path)
    thresholds, fields = _condition(reader, found.get("condition"), (*path, "condition"), kind)
    aliases = _aliases(reader, found.get("aliases", {}), (*path, "aliases"))
    generates = _generates(reader, document, found)
    if reader.problems or kind is None or timespan_ms is None:
        return None, reader.problems
    section = Section(kind, rules, group_by, timespan_ms, thresholds, fields, aliases, generates)
    return section, []


def entity_of(section: Section, said: EntityKind | None) -> tuple[EntityKind | None, str]:
    """The one entity kind that the rule is evaluated on, or what is wrong."""
    routable = [ENTITY_FIELDS[name] for name in section.group_by if name in ENTITY_FIELDS]
    if not routable:
        return None, "must name identity.id or place.door: events are counted per identity or per door"
    if said is None:
        return routable[0], ""
    if said not in routable:
        field = next(name for name, kind in ENTITY_FIELDS.items() if kind == said)
        return None, f"must name {field}, since the rule's entity is {said}"
    return said, ""


def _type(reader: Reader, found: dict[str, object], path: Path) -> CorrelationType | None:
    name, place = found.get("type"), (*path, "type")
    if name in LATER:
        reader.say(place, f"{name} is not supported by this version: use event_count or value_count")
    elif name in NEVER:
        reader.say(place, f"{name} is not supported: the standard does not settle what it means")
    elif name not in _TYPES:
        reader.say(place, f"must be event_count or value_count{nearest(str(name), _TYPES)}")
    return next((t for t in _TYPES if t == name), None)


def _names(reader: Reader, found: object, path: Path) -> tuple[str, ...]:
    return reader.texts([found] if isinstance(found, str) else found, path)


def _rules(reader: Reader, found: object, path: Path) -> tuple[str, ...]:
    names = _names(reader, found, path)
    if not names and not reader.problems:
        reader.say(path, "must name at least one rule")
    for at, name in enumerate(names):
        if name in names[:at]:
            reader.say((*path, at), f"{name!r} is here twice")
    return names


def _timespan(reader: Reader, found: dict[str, object], path: Path) -> int | None:
    if "timespan" not in found:
        return None
    return reader.duration(found["timespan"], (*path, "timespan"), at_least_ms=1)


def _condition(
    reader: Reader, found: object, path: Path, kind: CorrelationType | None
) -> tuple[tuple[tuple[Operator, int | float], ...], tuple[str, ...]]:
    if found is None:
        return (), ()
    section = reader.mapping(found, path, (*_OPERATORS, "field"))
    thresholds = [
        (operator, number)
        for operator in _OPERATORS
        if operator in section
        and (number := _number(reader, section[operator], (*path, operator))) is not None
    ]
    if not thresholds and not reader.problems:
        reader.say(path, "has no threshold, such as gte: 5")
    fields = _names(reader, section["field"], (*path, "field")) if "field" in section else ()
    if kind == "value_count" and not fields:
        reader.say(path, "value_count counts different values of a field: name it, field: place.door")
    if kind == "event_count" and fields:
        reader.say((*path, "field"), "event_count counts events: leave the field out, or use value_count")
    return tuple(thresholds), fields


def _number(reader: Reader, found: object, path: Path) -> int | float | None:
    if isinstance(found, bool) or not isinstance(found, int | float) or not isfinite(found) or found < 0:
        reader.say(path, "must be a number, not negative")
        return None
    if found > ENTRIES_MAX:
        reader.say(path, f"must be at most {ENTRIES_MAX}: a window remembers no more")
        return None
    return found


def _aliases(reader: Reader, found: object, path: Path) -> dict[str, dict[str, str]]:
    if not isinstance(found, dict):
        reader.say(path, "must be a mapping of alias to {rule: field}")
        return {}
    aliases: dict[str, dict[str, str]] = {}
    for alias, fields in found.items():
        if isinstance(fields, dict) and all(isinstance(f, str) for f in fields.values()):
            aliases[alias] = fields
        else:
            reader.say((*path, alias), "must be a mapping of rule to field")
    return aliases


def _generates(reader: Reader, document: dict[str, object], found: dict[str, object]) -> bool:
    """`generate` may stand at the top, as the schema says, or in the section, as the text says."""
    said = {
        place: holder["generate"]
        for place, holder in ((("generate",), document), (("correlation", "generate"), found))
        if "generate" in holder
    }
    for place, value in said.items():
        if not isinstance(value, bool):
            reader.say(place, "must be true or false")
    if len(set(map(bool, said.values()))) > 1:
        reader.say(("generate",), "differs from correlation.generate: say it once")
    return any(value is True for value in said.values())
