"""Rule documents to rules, and every problem of every document at once, with file, line and column.

pySigma checks what Sigma says of a rule as a whole (title, id, dates, tags, level, log source); detections
and correlations are read by `detection` and `correlation`. Here rules find each other, and are checked
against the fields.

Pure: documents come parsed, with their `Lines` (adapters/yaml_lines). Any document gives rules or
problems, never an exception. A rule with an error is left out, and so is what refers to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

import msgspec
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from correlator.event import EntityKind
from correlator.problem import Lines, Path, Problem
from correlator.rules.block import SUPPRESS_MS, Block, Reader, nearest, read_block
from correlator.rules.cases import read_cases
from correlator.rules.check import check_leaf, check_name, check_settle
from correlator.rules.correlation import ENTITY_FIELDS, Section, entity_of, read_correlation
from correlator.rules.detection import Detection
from correlator.rules.rule import Base, Condition, Correlation, Leaf, Rule, Severity, leaves
from correlator.timeline.fields import FIELDS, Field

Document = tuple[object, Lines]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

_META = {
    "Identifier": "id",
    "Type": "name",
    "FalsePositives": "falsepositives",
    "Value": "tags",
    "Tag": "tags",
}


class Names(msgspec.Struct, frozen=True):
    """What a rule may refer to."""

    rules: Mapping[str, Draft]
    fields: Mapping[str, Field]


class Draft(msgspec.Struct):
    """One document while it is read. *problems* keep it from becoming a rule."""

    document: dict[str, object]
    lines: Lines
    id: str = ""
    name: str = ""
    block: Block = msgspec.field(default_factory=Block)
    condition: Condition | None = None
    section: Section | None = None
    places: dict[Leaf, Path] = {}
    problems: list[Problem] = []
    is_counted: bool = False  # a correlation refers to it
    generates: bool = False  # and wants it to alert as well

    def text(self, key: str) -> str:
        found = self.document.get(key)
        return found if isinstance(found, str) else ""

    def texts(self, key: str) -> tuple[str, ...]:
        found = self.document.get(key)
        return tuple(t for t in found if isinstance(t, str)) if isinstance(found, list) else ()

    def where(self, leaf: Leaf) -> Path:
        return self.places.get(leaf, ("detection",))


def load_rules(
    documents: Iterable[Document], fields: Mapping[str, Field] = FIELDS
) -> tuple[list[Rule], list[Problem]]:
    """Rules in order of id, and all problems in order of file and line.

    With any problem that is an error the rules must not be used: a base rule may be missing among them.
    """
    drafts = [_read(document, lines) for document, lines in documents]
    _check_unique(drafts)
    targets = _targets(drafts)
    _mark_counted(drafts, targets)
    rules = [rule for draft in drafts if (rule := _build(draft, targets, fields)) is not None]
    problems = sorted({problem for draft in drafts for problem in draft.problems})
    return sorted(rules, key=lambda rule: rule.id), problems


# ---------------------------------------------------------------- one document


def _read(document: object, lines: Lines) -> Draft:
    if not isinstance(document, dict):
        return Draft(
            {}, lines, problems=[lines.problem((), "must be a rule: a mapping with title, id, detection")]
        )
    draft = Draft(document, lines, problems=_check_meta(document, lines))
    draft.id, draft.name = draft.text("id").lower(), draft.text("name")
    if not draft.name:
        draft.name = draft.id
    draft.id = draft.id or draft.name
    if "correlator" in document:
        draft.block, problems = read_block(document["correlator"], lines)
        draft.problems += problems
    if "filter" in document:
        draft.problems.append(lines.problem(("filter",), "filters are not supported by this version"))
    elif "correlation" in document:
        draft.section, problems = read_correlation(document, lines)
        draft.problems += problems
    else:
        detection = Detection(lines)
        draft.condition = detection.read(document.get("detection"))
        draft.problems += detection.problems
        draft.places = detection.places
    return draft


def _check_meta(document: dict[str, object], lines: Lines) -> list[Problem]:
    """What Sigma says of every rule, as pySigma checks it."""
    problems = [
        lines.problem((key,), f"unknown key {key!r}: did you mean correlator?")
        for key in document
        if key not in {"correlation", "correlator"} and nearest(key, ["correlator"])
    ]
    left_out = {"correlation", "correlator", "generate", "filter", "detection"}
    meta: dict[str, object] = {key: v for key, v in document.items() if key not in left_out}
    meta["detection"] = {"any": {"field": "value"}, "condition": "any"}
    if "correlation" in document or "filter" in document:
        meta["logsource"] = {"product": "correlator"}
    try:
        errors: Sequence[Exception] = SigmaRule.from_dict(meta, collect_errors=True).errors
    except Exception as error:  # noqa: BLE001 - pySigma raises whatever a wrong type leads to
        errors = [error]
    return problems + [_of_sigma(error, lines) for error in errors]


def _of_sigma(error: Exception, lines: Lines) -> Problem:
    if not isinstance(error, SigmaError):
        return lines.problem((), f"is no Sigma rule: {error}")
    kind = type(error).__name__.removeprefix("Sigma").removesuffix("Error")
    key = _META.get(kind, kind.lower())
    return lines.problem((key,), str(error))


# ------------------------------------------------------------------ references


def _check_unique(drafts: list[Draft]) -> None:
    seen: dict[str, Draft] = {}
    for draft in drafts:
        for key in ("id", "name"):
            value = draft.text(key).lower() if key == "id" else draft.text(key)
            if not value:
                continue
            first = seen.setdefault(value, draft)
            if first is not draft:
                line, _ = first.lines.at((key,))
                message = f"{value!r} is already used in {first.lines.file}, line {line}"
                draft.problems.append(draft.lines.problem((key,), message))


def _targets(drafts: list[Draft]) -> dict[str, Draft]:
    """Drafts by id and by name; the first of two."""
    targets: dict[str, Draft] = {}
    for draft in drafts:
        for key in (draft.id, draft.name):
            if key:
                targets.setdefault(key, draft)
    return targets


def _find(reference: str, targets: Mapping[str, Draft]) -> Draft | None:
    return targets.get(reference) or targets.get(reference.lower())


def _mark_counted(drafts: list[Draft], targets: Mapping[str, Draft]) -> None:
    for draft in drafts:
        for reference in _references(draft):
            base = _find(reference, targets)
            if base is not None:
                base.is_counted = True
                base.generates |= draft.section.generates if draft.section else False


def _references(draft: Draft) -> list[str]:
    """What a correlation refers to, also where it has other errors: its bases must not be blamed for them."""
    section = draft.document.get("correlation")
    found = section.get("rules") if isinstance(section, dict) else None
    return [r for r in (found if isinstance(found, list) else [found]) if isinstance(r, str)]


def _bases(draft: Draft, section: Section, targets: Mapping[str, Draft], reader: Reader) -> list[Draft]:
    """The rules that *section* counts. A reference to nothing, in a circle or twice to one is a problem."""
    found: list[Draft] = []
    for at, reference in enumerate(section.rules):
        path: Path = ("correlation", "rules", at)
        base = _find(reference, targets)
        if base is None:
            reader.say(path, f"there is no rule {reference!r}{nearest(reference, targets)}")
        elif _leads_to(base, draft, targets):
            reader.say(path, f"{reference!r} leads back to this rule: a circle")
        elif base.section is not None or "correlation" in base.document:
            reader.say(
                path, f"{reference!r} is a correlation: counting those is not supported by this version"
            )
        elif base in found:
            reader.say(path, f"{reference!r} is here twice, by id and by name")
        elif base.condition is None:
            reader.say(path, f"the rule {reference!r} has errors")
        elif base.block.settle is not None:
            reader.say(path, f"{reference!r} settles: a correlation cannot count what is decided later")
        else:
            found.append(base)
    return found


def _leads_to(start: Draft, goal: Draft, targets: Mapping[str, Draft]) -> bool:
    pending, seen = [start], set[int]()
    while pending:
        draft = pending.pop()
        if draft is goal:
            return True
        if id(draft) in seen or draft.section is None:
            continue
        seen.add(id(draft))
        pending += [found for r in draft.section.rules if (found := _find(r, targets)) is not None]
    return False


# ----------------------------------------------------------------------- rules


def _build(draft: Draft, targets: Mapping[str, Draft], fields: Mapping[str, Field]) -> Rule | None:
    if "filter" in draft.document or not draft.document:
        return None
    reader = Reader(draft.lines)
    is_alerting = not draft.is_counted or draft.generates
    if is_alerting and not draft.text("id"):
        reader.say(("id",), "id is missing: alerts are identified by it (any UUID, never changed)")
    severity = next((s for s in SEVERITIES if s == draft.text("level").lower()), None)
    if is_alerting and severity is None and "level" not in draft.document:
        reader.say(("level",), "level is missing: informational, low, medium, high or critical")
    entity: EntityKind = draft.block.entity or "identity"
    correlation, suppress_ms = None, SUPPRESS_MS
    if draft.section is not None:
        entity, correlation = _correlate(reader, draft, targets, fields)
        suppress_ms = draft.section.timespan_ms
    elif draft.condition is not None and is_alerting:
        _check_condition(reader, draft, draft.condition, entity, fields)
    _check_block(reader, draft, entity, fields)
    cases = read_cases(reader, draft.block.tests, fields)
    draft.problems += reader.problems
    if draft.problems or (draft.condition is None and correlation is None):
        return None
    block = draft.block
    return Rule(
        id=draft.id,
        name=draft.name,
        title=draft.text("title"),
        entity=entity,
        severity=severity or "medium",
        condition=draft.condition,
        correlation=correlation,
        settle=block.settle,
        suppress_ms=suppress_ms if block.suppress_ms is None else block.suppress_ms,
        may_retract=block.may_retract,
        is_any_age=block.is_any_age,
        is_alerting=is_alerting,
        evidence=block.evidence,
        description=draft.text("description"),
        status=draft.text("status"),
        tags=draft.texts("tags"),
        controls=block.controls,
        references=draft.texts("references"),
        falsepositives=draft.texts("falsepositives"),
        cases=cases,
        file=draft.lines.file,
        line=draft.lines.at(())[0],
    )


def _check_condition(
    reader: Reader, draft: Draft, condition: Condition, entity: EntityKind, fields: Mapping[str, Field]
) -> None:
    for leaf in leaves(condition):
        check_leaf(reader, leaf, draft.where(leaf), entity, fields)
    check_settle(reader, condition, draft.block.settle, draft.where, fields)


def _correlate(
    reader: Reader, draft: Draft, targets: Mapping[str, Draft], fields: Mapping[str, Field]
) -> tuple[EntityKind, Correlation | None]:
    section = draft.section
    assert section is not None
    drafts = _bases(draft, section, targets, reader)
    entity, message = entity_of(section, draft.block.entity)
    if entity is None:
        reader.say(("correlation", "group-by"), message)
        return "identity", None
    _check_aliases(reader, section, targets)
    names = Names(targets, fields)
    bases = tuple(base for d in drafts if (base := _base(reader, d, section, entity, names)) is not None)
    if len(bases) != len(section.rules):
        return entity, None
    return entity, Correlation(section.type, bases, section.timespan_ms, section.thresholds)


def _check_aliases(reader: Reader, section: Section, targets: Mapping[str, Draft]) -> None:
    named = [_find(reference, targets) for reference in section.rules]
    for alias, mapping in section.aliases.items():
        for reference in mapping:
            if (found := _find(reference, targets)) is None or found not in named:
                path = ("correlation", "aliases", alias, reference)
                reader.say(path, f"{reference!r} is not one of the rules of this correlation")


def _base(reader: Reader, base: Draft, section: Section, entity: EntityKind, names: Names) -> Base | None:
    """*base* as counted by *section*, its fields checked for the entity of the correlation."""
    if base.condition is None:
        return None
    inner = Reader(base.lines)
    _check_condition(inner, base, base.condition, entity, names.fields)
    base.problems += inner.problems

    def named(name: str, path: Path) -> str:
        for reference, field in section.aliases.get(name, {}).items():
            if _find(reference, names.rules) is base:
                name, path = field, ("correlation", "aliases", name, reference)
        check_name(reader, name, path, entity, names.fields)
        return name

    beyond = [n for n in section.group_by if ENTITY_FIELDS.get(n) != entity]
    group = tuple(named(n, ("correlation", "group-by", section.group_by.index(n))) for n in beyond)
    values = tuple(named(n, ("correlation", "condition", "field")) for n in section.fields)
    return None if inner.problems else Base(base.id, base.condition, group, values)


def _check_block(reader: Reader, draft: Draft, entity: EntityKind, fields: Mapping[str, Field]) -> None:
    block, path = draft.block, ("correlator",)
    for at, name in enumerate(block.evidence):
        check_name(reader, name, (*path, "evidence", at), entity, fields)
    if block.is_any_age and (block.settle is not None or draft.section is not None):
        reader.say(
            (*path, "any_age"), "is for rules on a single event: not with settle, not on a correlation"
        )
    if block.settle is None:
        return
    if draft.section is not None:
        reader.say((*path, "settle"), "is for detection rules: a correlation counts what was seen")
    place = (*path, "settle", "at")
    if (
        check_name(reader, block.settle.at, place, entity, fields)
        and fields[block.settle.at].value_type != "str"
    ):
        reader.say(place, "must be the name of a field that holds a site, such as place.site")
