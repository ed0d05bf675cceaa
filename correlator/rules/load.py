"""Rule files to `Rule`s: all mistakes of all files at once, each with file, line and column.

Every document is read on its own (`draft`), then filters are put into rules (`filters`), then rules find each
other (`compose`), and are checked against the fields.

Pure: documents come parsed, with their `Lines` (adapters/yaml_lines). Any document gives rules or
problems, never an exception. A rule with an error is left out, and so is what refers to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from typing import NamedTuple

from correlator.event import DAY_MS, EntityKind
from correlator.problem import Problem
from correlator.rules.advice import advise, advise_drafts, advise_names, advise_together
from correlator.rules.block import SUPPRESS_MS
from correlator.rules.cases import read_cases
from correlator.rules.check import check_name
from correlator.rules.compose import (
    Known,
    check_condition,
    check_lines,
    check_references,
    correlate,
    mark_counted,
    settle_of,
)
from correlator.rules.draft import Document, Draft, find, no_rule, read_draft, targets_of
from correlator.rules.exemplars import read_exemplars
from correlator.rules.filters import apply_filters
from correlator.rules.nesting import nestings
from correlator.rules.reading import Reader
from correlator.rules.rule import Case, Condition, Correlation, Rule, Settle, SeverityBy
from correlator.rules.schema import LEVELS
from correlator.rules.values import Lists
from correlator.rules.vendor import Names
from correlator.spelling import spell
from correlator.timeline.field import Field
from correlator.timeline.fields import FIELDS

__all__ = ["Document", "load_rules"]


def load_rules(
    documents: Iterable[Document],
    fields: Mapping[str, Field] = FIELDS,
    *,
    lists: Lists | None = None,
    kept: Collection[str] | None = None,
    horizon_ms: int = DAY_MS,
    today: date | None = None,
) -> tuple[list[Rule], list[Problem]]:
    """Rules in order of id, and all problems in order of file and line.

    *lists*: the values of `|expand`, by name. *kept*: names that feeds keep of their sources' own
    records, None where that is not known (`vendor`). *horizon_ms*: how far the timeline goes back.
    With *today* also what a reviewer would say then, as warnings: rules without tests, conditions that
    cannot hold, late reviews, exceptions that have expired.

    With any problem that is an error the rules must not be used: a base rule may be missing among them.
    """
    drafts = [read_draft(document, lines, lists or {}) for document, lines in _readable(documents)]
    _check_unique(drafts)
    targets = targets_of(drafts)
    mark_counted(drafts, targets)
    _put_beside(drafts, targets)
    apply_filters(drafts, targets, today)
    names = Names(fields, kept)
    known = Known(targets, nestings(drafts, targets), names, horizon_ms)
    rules = [rule for draft in drafts if (rule := _build(draft, known, today)) is not None]
    for draft in drafts:
        if draft.is_filter:
            check_lines(draft, names)
    if today is not None:
        advise_drafts(drafts, today)
        advise_names(drafts, names)
        advise_together(drafts, rules)
    problems = sorted({problem for draft in drafts for problem in draft.problems})
    return sorted(rules, key=lambda rule: rule.id), problems


def _readable(documents: Iterable[Document]) -> Iterator[Document]:
    """Without what stands in a file behind `action: global`: whatever it lacks, that document has."""
    collections: set[str] = set()
    for document, lines in documents:
        if lines.file not in collections:
            yield document, lines
        if isinstance(document, dict) and "action" in document:
            collections.add(lines.file)


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
                draft.say((key,), f"{value!r} is already used in {first.lines.file}, line {line}")


def _put_beside(drafts: list[Draft], targets: Mapping[str, Draft]) -> None:
    """Tests in documents of their own go to the rules that they name."""
    for draft in drafts:
        if draft.scenarios is None or not draft.scenarios.rule:
            continue
        rule = find(draft.scenarios.rule, targets)
        if rule is None:
            draft.say(("rule",), no_rule(draft.scenarios.rule, targets))
        else:
            rule.beside.append(draft)


# ----------------------------------------------------------------------- rules


class _Logic(NamedTuple):
    """What a rule asks; neither *condition* nor *correlation* where it cannot be read."""

    entity: EntityKind
    condition: Condition | None = None
    correlation: Correlation | None = None
    settle: Settle | None = None
    suppress_ms: int = SUPPRESS_MS


def _build(draft: Draft, known: Known, today: date | None) -> Rule | None:
    """The rule, or None where *draft* is none or has errors."""
    if draft.is_filter or not draft.document:
        return None
    reader = Reader(draft.lines)
    is_heard = not draft.is_counted or draft.generates
    _check_head(reader, draft, is_heard=is_heard)
    logic = _logic(reader, draft, known, is_heard=is_heard)
    _check_block(reader, draft, logic.settle, logic.entity, known)
    severity_by = _severity_by(reader, draft, logic.entity, known)
    cases = _cases(reader, draft, known.fields)
    draft.problems += reader.problems
    if draft.has_errors or (logic.condition is None and logic.correlation is None):
        return None
    rule = _rule(draft, logic, severity_by, cases, is_heard=is_heard)
    if today is not None:
        advise(draft, rule, today, is_heard=is_heard)
    return rule


def _logic(reader: Reader, draft: Draft, known: Known, *, is_heard: bool) -> _Logic:
    entity = draft.block.entity or "identity"
    if draft.section is not None:
        entity, correlation = correlate(reader, draft, draft.block.entity, known)
        settle = settle_of(reader, draft, correlation) if correlation is not None else None
        return _Logic(entity, None, correlation, settle, draft.section.timespan_ms)
    if draft.is_correlation:
        check_references(draft, known)
        return _Logic(entity)
    if draft.condition is None or not is_heard:
        check_lines(draft, known.fields)
    if draft.condition is None:
        return _Logic(entity)
    settle = _settle(reader, draft, known)
    if is_heard and (settle is not None or draft.block.settle is None):
        check_condition(draft, draft.condition, settle, entity, known)
    return _Logic(entity, draft.condition, None, settle)


def _rule(
    draft: Draft, logic: _Logic, severity_by: SeverityBy | None, cases: tuple[Case, ...], *, is_heard: bool
) -> Rule:
    block = draft.block
    return Rule(
        id=draft.id,
        name=draft.name,
        title=draft.text("title"),
        entity=logic.entity,
        severity=next((level for level in LEVELS if level == draft.text("level").lower()), "medium"),
        condition=logic.condition,
        correlation=logic.correlation,
        settle=logic.settle,
        severity_by=severity_by,
        suppress_ms=logic.suppress_ms if block.suppress_ms is None else block.suppress_ms,
        may_retract=block.may_retract,
        is_any_age=block.is_any_age,
        is_shadow=block.mode == "shadow",
        is_tried_out=block.mode == "shadow",
        is_alerting=is_heard and block.mode != "off",
        budget=block.budget,
        entities_max=block.entities_max,
        risk=block.risk,
        requires=block.requires,
        evidence=block.evidence,
        description=draft.text("description"),
        status=draft.text("status"),
        tags=draft.texts("tags"),
        controls=block.controls,
        owner=block.owner,
        references=draft.texts("references"),
        falsepositives=draft.texts("falsepositives"),
        cases=cases,
        lines=tuple(draft.item_texts.values()),
        searches=tuple(draft.searches.values()),
        file=draft.lines.file,
        line=draft.lines.at(())[0],
    )


def _cases(reader: Reader, draft: Draft, fields: Names) -> tuple[Case, ...]:
    """The tests in the rule's block, its exemplars, and those in documents beside it."""
    cases: tuple[Case, ...] = ()
    if "tests" in draft.block.keys:
        cases = read_cases(reader, draft.block.tests, ("correlator", "tests"), fields)
    cases += read_exemplars(reader, draft.document, fields, cases)
    for beside in draft.beside:
        assert beside.scenarios is not None
        reading = Reader(beside.lines)
        cases += read_cases(reading, beside.scenarios.tests, ("tests",), fields, cases)
        beside.problems += reading.problems
    return cases


def _check_head(reader: Reader, draft: Draft, *, is_heard: bool) -> None:
    if is_heard and not draft.text("id") and not isinstance(draft.document.get("id"), int):
        reader.say(("id",), "id is missing: alerts are identified by it (any UUID, never changed)")
    if is_heard and "level" not in draft.document:
        reader.say(("level",), "level is missing: informational, low, medium, high or critical")


def _settle(reader: Reader, draft: Draft, known: Known) -> Settle | None:
    """`settle` of a detection rule, which says all of it."""
    said, path = draft.block.settle, ("correlator", "settle")
    if said is None:
        if draft.block.fires_incomplete:
            reader.say(("correlator", "on_incomplete"), "is for rules that settle")
        return None
    for key in ("feed", "at", "grace"):
        if key not in said.said:
            reader.say(path, f"{key} is missing: settle: {{feed: access, at: place.site, grace: 2m}}")
    if said.feed is None or said.at is None or said.grace_ms is None:
        return None
    if said.grace_ms > known.horizon_ms:
        reader.say((*path, "grace"), f"is longer than the horizon of {spell(known.horizon_ms)}")
    return Settle(said.feed, said.at, said.grace_ms, said.max_wait_ms, draft.block.fires_incomplete)


def _check_block(
    reader: Reader, draft: Draft, settle: Settle | None, entity: EntityKind, known: Known
) -> None:
    block, path = draft.block, ("correlator",)
    for index, name in enumerate(block.evidence):
        check_name(reader, name, (*path, "evidence", index), entity, known.fields)
    if block.is_any_age and (block.settle is not None or draft.section is not None):
        reader.say(
            (*path, "any_age"), "is for rules on a single event: not with settle, not on a correlation"
        )
    if "expires" in block.keys:
        reader.say((*path, "expires"), "is for filters: a rule is reviewed (review_by) or turned off (mode)")
    at_field = settle.at if settle is not None else block.settle.at if block.settle is not None else None
    if at_field is None:
        return
    place = (*path, "settle", "at")
    if check_name(reader, at_field, place, entity, known.fields) and not _holds_site(known.fields[at_field]):
        reader.say(place, "must be the name of a field that holds a site, such as place.site")


def _holds_site(field: Field) -> bool:
    return field.value_type == "str" and field.name.endswith((".site", "home_site"))


def _severity_by(reader: Reader, draft: Draft, entity: EntityKind, known: Known) -> SeverityBy | None:
    """Levels by a field of the event itself, with its values as what they are."""
    said, path = draft.block.severity_by, ("correlator", "severity")
    if said is None or not check_name(reader, said.by, (*path, "by"), entity, known.fields):
        return None
    field = known.fields[said.by]
    if field.feed:
        reader.say((*path, "by"), f"{said.by} concludes from {field.feed} events: use a field of the event")
    levels = []
    for text, level in said.levels:
        try:
            value = _parse(text, field.value_type)
        except ValueError:
            reader.say((*path, "levels", text), f"is no value of {said.by}")
        else:
            levels.append((value, level))
    if field.value_type in {"int", "float"}:
        levels.sort(key=lambda row: float(row[0]))
    return SeverityBy(said.by, tuple(levels))


def _parse(text: str, value_type: str) -> str | float | bool:
    if value_type in {"str", "raw"}:
        return text.lower()
    if value_type == "bool":
        if text.lower() not in {"true", "false"}:
            raise ValueError(text)
        return text.lower() == "true"
    return float(text)
