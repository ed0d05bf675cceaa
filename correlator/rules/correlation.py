"""The `correlation` section of a Sigma rule: type, thresholds or condition, group-by, aliases.

Read here and not by pySigma, which refuses ranges such as `{gte: 3, lte: 9}` and looks for `generate` in
one place only. References are resolved by the caller (`compose`), which knows all rules.
"""

from __future__ import annotations

from math import isfinite
from operator import eq, ge, gt, le, lt, ne
from typing import get_args

import msgspec

from correlator.event import ALWAYS, EntityKind
from correlator.problem import Lines, Path, Problem
from correlator.rules.logic import names_in
from correlator.rules.reading import Reader
from correlator.rules.rule import ENTRIES_MAX, CorrelationType, Operator
from correlator.spelling import nearest

KEYS = ("type", "rules", "group-by", "timespan", "condition", "aliases", "generate")
_EXAMPLES = {  # of keys that are needed
    "rules": "[denied]",
    "timespan": "10m",
    "condition": "{gte: 5}",
    "group-by": "[identity.id]",
}
_OF_OTHERS = {
    "timeframe": "did you mean timespan?",
    "window": "windows slide, in event time",
    "gap": "windows slide, in event time",
    "field": "it stands in condition",
}
TEMPORAL = ("temporal", "temporal_ordered")
VALUED = ("value_count", "value_sum", "value_avg")
OPEN = ("value_percentile", "value_median")  # not settled in the standard
ENTITY_FIELDS: dict[str, EntityKind] = {
    "identity.id": "identity",
    "place.door": "door",
    "place.zone": "zone",
    "source.ip": "source",
    "device.id": "host",
}

ORDER = {"lt": lt, "lte": le, "gt": gt, "gte": ge, "eq": eq, "neq": ne}
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
    logic: str = ""  # the condition of a temporal correlation, where it is text


def read_correlation(document: dict[str, object], lines: Lines) -> tuple[Section | None, list[Problem]]:
    """The section `correlation` of *document*, or None and what is wrong with it."""
    reader, path = Reader(lines), ("correlation",)
    found = reader.mapping(document["correlation"], path, KEYS, of_others=_OF_OTHERS)
    kind = _type(reader, found, path)
    said = found.get("condition")
    logic = said if isinstance(said, str) and kind in TEMPORAL else ""
    for key in ("rules", "timespan", "condition", "group-by"):
        if (
            key not in found
            and not (key == "condition" and (kind is None or kind in TEMPORAL))
            and not (key == "rules" and logic)
        ):
            reader.say(path, f"{key} is missing: {key}: {_EXAMPLES[key]}")
    rules = _rules(reader, found.get("rules", []), (*path, "rules")) if "rules" in found else names_in(logic)
    group_by = _names(reader, found.get("group-by", []), (*path, "group-by"))
    timespan_ms = _timespan(reader, found, path)
    is_counted = "condition" in found and not logic
    thresholds, fields = _condition(reader, said, (*path, "condition"), kind) if is_counted else ((), ())
    aliases = _aliases(reader, found.get("aliases", {}), (*path, "aliases"))
    generates = _generates(reader, document, found)
    if reader.problems or kind is None or timespan_ms is None:
        return None, reader.problems
    if kind == "temporal_ordered" and thresholds and not _needs_all(thresholds, len(rules)):
        reader.say((*path, "condition"), "of temporal_ordered every rule is needed: leave the condition out")
        return None, reader.problems
    section = Section(kind, rules, group_by, timespan_ms, thresholds, fields, aliases, generates, logic)
    return section, []


def _needs_all(thresholds: tuple[tuple[Operator, int | float], ...], count: int) -> bool:
    """Are *thresholds* on the number of different rules met by *count* of them, and by no fewer?"""
    met = [all(ORDER[operator](n, number) for operator, number in thresholds) for n in range(count + 1)]
    return met == [False] * count + [True]


def entity_of(section: Section, said: EntityKind | None) -> tuple[EntityKind | None, str]:
    """The one entity kind that the rule is evaluated on, or what is wrong."""
    routable = [ENTITY_FIELDS[name] for name in section.group_by if name in ENTITY_FIELDS]
    routable.sort(key=lambda kind: kind not in ALWAYS)  # what a person does is counted with the person
    if not routable:
        also = " beside these" if section.group_by else ""
        named = ", ".join(ENTITY_FIELDS)
        return None, f"must name one of {named}{also}: events are counted per identity, door, …"
    if said is None:
        return routable[0], ""
    if said not in routable:
        field = next(name for name, kind in ENTITY_FIELDS.items() if kind == said)
        return None, f"must name {field}, since the rule's entity is {said}"
    return said, ""


def _type(reader: Reader, found: dict[str, object], path: Path) -> CorrelationType | None:
    name, place = found.get("type"), (*path, "type")
    if name in OPEN:
        reader.say(place, f"{name} is not supported: the standard does not settle what it means")
    elif name not in _TYPES:
        reader.say(place, f"must be one of: {', '.join(_TYPES)}{nearest(str(name), _TYPES)}")
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
    section = reader.mapping(found, path, (*_OPERATORS, "field"), "condition: {gte: 5}")
    thresholds = [
        (operator, number)
        for operator in _OPERATORS
        if operator in section
        and (number := _number(reader, section[operator], (*path, operator), kind)) is not None
    ]
    if not thresholds and not reader.problems:
        reader.say(path, "has no threshold, such as gte: 5")
    fields = _names(reader, section["field"], (*path, "field")) if "field" in section else ()
    if kind in VALUED and not fields:
        reader.say(path, f"{kind} looks at values of a field: name it, field: place.door")
    if kind in {"value_sum", "value_avg"} and len(fields) > 1:
        reader.say((*path, "field"), f"{kind} takes one field")
    if kind is not None and kind not in VALUED and fields:
        reader.say((*path, "field"), f"{kind} counts no values: leave the field out, or use value_count")
    return tuple(thresholds), fields


def _number(reader: Reader, found: object, path: Path, kind: CorrelationType | None) -> int | float | None:
    if isinstance(found, bool) or not isinstance(found, int | float) or not isfinite(found):
        reader.say(path, "must be a number")
        return None
    if kind in {"value_sum", "value_avg"}:
        return found
    if not 0 <= found <= ENTRIES_MAX:
        reader.say(path, f"must be a number from 0 to {ENTRIES_MAX}: a window remembers no more")
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
