"""Correlations with the rules that they count: references, aliases, nesting, what a negated step waits for.

A correlation may count correlations: what counts is where these become true, and their own group-by plays no
part (decision 7: all are evaluated on the one entity kind of the outermost).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from correlator.event import EntityKind, Kind
from correlator.problem import Path
from correlator.rules.block import MAX_WAIT_MS
from correlator.rules.check import check_name, kinds_of_base, leaf_problems, settle_problems
from correlator.rules.correlation import ENTITY_FIELDS, TEMPORAL, Section, entity_of
from correlator.rules.draft import Draft, find, no_rule
from correlator.rules.logic import BadLogic, clauses
from correlator.rules.nesting import BEYOND, Nesting, leads_to
from correlator.rules.reading import Reader
from correlator.rules.rule import Base, Condition, Correlation, Leaf, Settle, leaves
from correlator.rules.schema import FEEDS
from correlator.rules.vendor import Names
from correlator.spelling import closest, spell

STEPS_MAX = 20  # of temporal_ordered, which remembers how far each step got


class Known(msgspec.Struct, frozen=True):
    """What a rule may refer to, and how long it may look. *nestings*: by `id()` of the draft."""

    rules: Mapping[str, Draft]
    nestings: Mapping[int, Nesting]
    fields: Names
    horizon_ms: int


def check_condition(
    draft: Draft, condition: Condition, settle: Settle | None, entity: EntityKind, known: Known
) -> None:
    """Fields, types and conclusions of *condition*, evaluated on *entity*; problems go to *draft*."""
    found = [(leaf, text) for leaf in leaves(condition) for text in leaf_problems(leaf, entity, known.fields)]
    found += settle_problems(condition, settle, known.fields)
    for leaf, message in found:
        _say_once(draft, leaf, message)


def _say_once(draft: Draft, leaf: Leaf, message: str) -> None:
    lines, path = draft.place(leaf)
    if message.endswith("in quotes") and "expand" in str(path[-1]).split("|"):
        message += ", in lists.yml"
    problem = lines.problem(path, message)
    if problem not in draft.problems:
        draft.problems.append(problem)


def check_lines(draft: Draft, fields: Names) -> None:
    """Fields and types of the lines of *draft* that can be read, where its condition is not checked as a
    whole: for whatever entity has the field.
    """
    for leaf in draft.places:
        field = fields.get(leaf.field)
        entity = field.entities[0] if field is not None else "identity"
        for message in leaf_problems(leaf, entity, fields):
            _say_once(draft, leaf, message)


def check_references(draft: Draft, known: Known) -> None:
    """Rules and fields that a correlation names, where its section has other errors."""
    found = draft.document.get("correlation")
    section = found if isinstance(found, dict) else {}
    for path, name in _texts(section.get("rules"), ("correlation", "rules")):
        if find(name, known.rules) is None:
            draft.say(path, no_rule(name, known.rules))
    aliases, condition = section.get("aliases"), section.get("condition")
    fields = _texts(section.get("group-by"), ("correlation", "group-by"))
    if isinstance(condition, dict):
        fields += _texts(condition.get("field"), ("correlation", "condition", "field"))
    for path, name in fields:
        if name not in known.fields and not (isinstance(aliases, dict) and name in aliases):
            draft.say(path, known.fields.unknown(name))


def _texts(found: object, path: Path) -> list[tuple[Path, str]]:
    """The texts of a list, or of one text, each with its path."""
    if isinstance(found, str):
        return [(path, found)]
    listed = found if isinstance(found, list) else []
    return [((*path, at), text) for at, text in enumerate(listed) if isinstance(text, str)]


def mark_counted(drafts: list[Draft], targets: Mapping[str, Draft]) -> None:
    """Note which rules are counted by a correlation, also by one that has other errors or misspells them:
    a counted rule lacks neither id nor level.
    """
    for draft in drafts:
        section = draft.document.get("correlation") if draft.is_correlation else None
        found = section.get("rules") if isinstance(section, dict) else None
        if found is None and draft.section is not None:
            found = list(draft.section.rules)  # those of its condition
        for reference in found if isinstance(found, list) else [found]:
            if not isinstance(reference, str):
                continue
            base = find(reference, targets) or find(closest(reference, targets), targets)
            if base is not None:
                base.is_counted = True
                base.generates |= draft.section.generates if draft.section else False


def correlate(
    reader: Reader, draft: Draft, said: EntityKind | None, known: Known
) -> tuple[EntityKind, Correlation | None]:
    """The correlation of *draft* on the entity kind *said*, else on that of its group-by."""
    section = draft.section
    assert section is not None
    path: Path = ("correlation",)
    entity, message = entity_of(section, said)
    if section.timespan_ms > known.horizon_ms:
        longer = f"is longer than the horizon of {spell(known.horizon_ms)}: nothing older is looked at"
        reader.say((*path, "timespan"), longer)
    drafts = _drafts(reader, draft, section, known)
    if len(drafts) == len(section.rules) and (wrong := known.nestings[id(draft)].wrong):
        reader.say((*path, "rules"), wrong)
        return entity or "identity", None
    if entity is None:
        reader.say((*path, "group-by"), message)
        return "identity", None
    _check_aliases(reader, section, known)
    bases = tuple(base for d in drafts if (base := _base(reader, d, section, entity, known)) is not None)
    clauses = _clauses(reader, section, known)
    if clauses is None or len(bases) != len(section.rules):
        return entity, None
    thresholds = () if clauses else section.thresholds
    correlation = Correlation(section.type, bases, section.timespan_ms, thresholds, clauses)
    if section.type == "temporal_ordered" and len(bases) > STEPS_MAX:
        reader.say((*path, "rules"), f"are more than {STEPS_MAX} steps")
        return entity, None
    return entity, correlation


def _drafts(reader: Reader, draft: Draft, section: Section, known: Known) -> list[Draft]:
    """The rules that *section* counts. A reference to nothing, in a circle or twice to one is a problem."""
    found: list[Draft] = []
    for at, reference in enumerate(section.rules):
        path: Path = ("correlation", "rules", at)
        base = find(reference, known.rules)
        if base is None:
            reader.say(path, no_rule(reference, known.rules))
        elif id(draft) not in known.nestings and leads_to(base, draft, known.rules):
            reader.say(path, f"{reference!r} leads back to this rule: a circle")
        elif known.nestings.get(id(base), BEYOND).wrong:
            reader.say(path, f"the rule {reference!r} has errors")
        elif base in found:
            reader.say(path, f"{reference!r} is here twice, by id and by name")
        elif base.condition is None and base.section is None:
            reader.say(path, f"the rule {reference!r} has errors")
        elif base.block.settle is not None and base.section is None:
            reader.say(
                path,
                f"{reference!r} settles: a correlation cannot count what is decided later. What must not "
                "happen is a rule of its own, after `not` in the condition of a temporal correlation",
            )
        else:
            found.append(base)
    return found


def _check_aliases(reader: Reader, section: Section, known: Known) -> None:
    named = [find(reference, known.rules) for reference in section.rules]
    for alias, mapping in section.aliases.items():
        for reference in mapping:
            if (found := find(reference, known.rules)) is None or found not in named:
                path = ("correlation", "aliases", alias, reference)
                reader.say(path, f"{reference!r} is not one of the rules of this correlation")


def _base(reader: Reader, base: Draft, section: Section, entity: EntityKind, known: Known) -> Base | None:
    """*base* as counted by *section*, its fields checked for the entity of the correlation."""
    nested = None
    if base.section is not None:
        nested = _nested(reader, base, section, entity, known)
        if nested is None:
            return None
    elif base.condition is not None:
        before = len(base.problems)
        check_condition(base, base.condition, None, entity, known)
        if len(base.problems) > before or base.has_errors:
            return None

    def named(name: str, path: Path) -> str:
        aliased = section.aliases.get(name, {})
        for reference, field in aliased.items():
            if find(reference, known.rules) is base:
                check_name(reader, field, ("correlation", "aliases", name, reference), entity, known.fields)
                return field
        if aliased and not known.fields.is_ours(name):
            reader.say(("correlation", "aliases", name), f"names no field of the rule {base.name!r}")
        else:
            check_name(reader, name, path, entity, known.fields)
        return name

    beyond = [n for n in section.group_by if ENTITY_FIELDS.get(n) != entity]
    group = tuple(named(n, ("correlation", "group-by", section.group_by.index(n))) for n in beyond)
    values = tuple(named(n, ("correlation", "condition", "field")) for n in section.fields)
    if section.type in {"value_sum", "value_avg"}:
        for name in values:
            if name in known.fields and known.fields[name].value_type not in {"int", "float", "raw"}:
                reader.say(
                    ("correlation", "condition", "field"), f"{name} is not a number: nothing to add up"
                )
    return Base(base.id, base.condition, group, values, nested)


def _nested(
    reader: Reader, base: Draft, section: Section, entity: EntityKind, known: Known
) -> Correlation | None:
    """The correlation *base*, evaluated on *entity*. Its own mistakes are its own."""
    assert base.section is not None
    at = next(n for n, r in enumerate(section.rules) if find(r, known.rules) is base)
    path: Path = ("correlation", "rules", at)
    if entity_of(base.section, entity)[0] is None:
        field = next(name for name, kind in ENTITY_FIELDS.items() if kind == entity)
        reader.say(path, f"{base.name!r} is not grouped by {field}: it cannot be counted per {entity}")
        return None
    inner = Reader(base.lines)
    _, nested = correlate(inner, base, entity, known)
    if nested is None or inner.problems:
        reader.say(path, f"the rule {base.name!r} has errors")
        return None
    if nested.denied:
        reader.say(path, f"{base.name!r} waits for what does not happen: it cannot be counted")
        return None
    return nested


# --------------------------------------------------------- temporal conditions


def _clauses(reader: Reader, section: Section, known: Known) -> tuple[tuple[int, ...], ...] | None:
    """The steps that a temporal correlation needs, () for others; None where its condition is wrong."""
    if not section.logic:
        needs_all = section.type == "temporal_ordered" or not section.thresholds
        return (tuple(range(len(section.rules))),) if section.type in TEMPORAL and needs_all else ()
    path: Path = ("correlation", "condition")
    try:
        steps = clauses(section.logic, lambda name: _index(name, section, known.rules))
    except BadLogic as error:
        reader.say(path, str(error))
        return None
    if message := _wrong_steps(section, steps, len(section.rules)):
        reader.say(path, message)
        return None
    return steps


def _index(name: str, section: Section, targets: Mapping[str, Draft]) -> int | None:
    """Which of the rules that *section* counts is meant by *name*."""
    meant = find(name, targets)
    for at, reference in enumerate(section.rules):
        if reference == name or (meant is not None and find(reference, targets) is meant):
            return at
    return None


def _wrong_steps(section: Section, steps: tuple[tuple[int, ...], ...], count: int) -> str:
    """What is wrong with a condition's steps, or nothing."""
    named = {step if step >= 0 else ~step for clause in steps for step in clause}
    for at in range(count):
        if at not in named:
            return f"does not say anything of {section.rules[at]!r}, which is one of the rules"
    if any(all(step < 0 for step in clause) for clause in steps):
        return "needs a rule that must happen: what never happens never begins"
    if section.type == "temporal_ordered":
        if len(steps) > 1:
            return "of temporal_ordered joins its steps with and"
        if steps[0][0] < 0:
            return (
                f"cannot begin with what did not happen ({section.rules[0]!r}): put it after a step, or ask "
                "the context of the event, such as last_badge.age_s"
            )
    return ""


def settle_of(reader: Reader, draft: Draft, correlation: Correlation) -> Settle | None:
    """What a correlation with a negated step waits for: the feed of that step, at the site of the event."""
    said, path = draft.block.settle, ("correlator", "settle")
    if not correlation.denied:
        if said is not None:
            reader.say(path, "is for detection rules and negated steps: a correlation counts what was seen")
        return None
    kinds = frozenset[str]().union(*(kinds_of_base(correlation.bases[at]) for at in correlation.denied))
    feed: Kind | None = next((kind for kind in FEEDS if kinds == {kind}), None)
    if feed is None:
        told = ", ".join(sorted(kinds)) or "none"
        reader.say(
            ("correlation", "condition"),
            f"the rules that must not happen are of one feed, and say event.kind: theirs are {told}",
        )
        return None
    if said is None:
        return Settle(feed, "place.site", 0, MAX_WAIT_MS, draft.block.fires_incomplete)
    if said.feed not in {None, feed}:
        reader.say((*path, "feed"), f"the rules that must not happen are {feed} events")
    if said.grace_ms:
        reader.say((*path, "grace"), "is not for correlations: the verdict is taken where the window closes")
    return Settle(feed, said.at or "place.site", 0, said.max_wait_ms, draft.block.fires_incomplete)
