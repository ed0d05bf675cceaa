"""What a reviewer would say of a rule that loads: warnings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from correlator.event import DAY_MS, KINDS
from correlator.problem import Path
from correlator.rules.check import kinds_of, kinds_of_base
from correlator.rules.correlation import ENTITY_FIELDS, ORDER, Section
from correlator.rules.draft import Draft
from correlator.rules.impossible import Found, impossible, odd_values
from correlator.rules.rule import ENTRIES_MAX, Correlation, Rule, fingerprint_of
from correlator.rules.tidy import oddities
from correlator.rules.vendor import Names
from correlator.spelling import spell_number

_UNHEARD = ("suppress", "retract", "severity", "evidence", "any_age")  # keys that only alerts have use for


def advise(draft: Draft, rule: Rule, today: date, *, is_heard: bool) -> None:
    """Warnings about *rule* as of *today* go to its *draft*."""
    for path, message in _of_block(draft, rule, today, is_heard=is_heard):
        draft.warn(path, message)
    if rule.condition is not None:
        found = [*impossible(rule.condition), *odd_values(rule.condition)]
        if kinds_of(rule.condition) == frozenset(KINDS):
            found.append((None, "says no event.kind: it is tried on events of every kind"))
        _say_of_lines(draft, found)
    if rule.correlation is not None and draft.section is not None:
        for path, message in _of_correlation(rule.correlation, draft.section):
            draft.warn(("correlation", *path), message)


def _say_of_lines(draft: Draft, found: Iterable[Found]) -> None:
    for leaf, message in found:
        lines, path = draft.place(leaf) if leaf is not None else (draft.lines, ("detection",))
        draft.problems.append(lines.problem(path, message, "warning"))


def advise_drafts(drafts: Sequence[Draft], today: date) -> None:
    """Warnings about documents as they are written."""
    for draft in drafts:
        for path, message in oddities(draft, today):
            draft.warn(path, message)
        if draft.has_errors:  # what can be said of its lines is said, too
            for leaf in draft.places:
                _say_of_lines(draft, odd_values(leaf))


def advise_names(drafts: Sequence[Draft], names: Names) -> None:
    """Of each name that is no field of the reference, where it is first used, what should be known."""
    for draft in drafts:
        used = [(name, draft.place(leaf)) for leaf in draft.places for name in leaf.reads()]
        used += [(name, (draft.lines, path)) for name, path in _counted_by(draft.section)]
        said = set[str]()
        for name, (lines, path) in used:
            if name in names and not names.is_ours(name) and name not in said and names.advice(name):
                said.add(name)
                draft.problems.append(lines.problem(path, names.advice(name), "warning"))


def _counted_by(section: Section | None) -> Iterator[tuple[str, Path]]:
    """Fields that a correlation groups by, or looks at the values of, and where they are named."""
    if section is None:
        return
    for key, names in (("group-by", section.group_by), ("condition", section.fields)):
        for at, name in enumerate(names):
            if name not in section.aliases:
                yield name, ("correlation", key, at if key == "group-by" else "field")
    for alias, fields in section.aliases.items():
        yield from ((name, ("correlation", "aliases", alias, rule)) for rule, name in fields.items())


def advise_together(drafts: Sequence[Draft], rules: Sequence[Rule]) -> None:
    """Warnings about rules that do the same."""
    by_id = {draft.id: draft for draft in drafts if draft.document}
    first: dict[str, Rule] = {}
    for rule in rules:
        if not rule.is_alerting or rule.id not in by_id:
            continue
        logic = fingerprint_of("", rule.entity, rule.condition, rule.correlation, rule.settle)
        other = first.setdefault(logic, rule)
        if other is not rule:
            where = f"{other.name} in {other.file}, line {other.line}"
            by_id[rule.id].warn(("title",), f"does the same as {where}: two alerts for each match")


def _of_block(draft: Draft, rule: Rule, today: date, *, is_heard: bool) -> Iterator[tuple[Path, str]]:
    block, path = draft.block, ("correlator",)
    if is_heard:
        yield from _of_tests(rule)
    else:
        for key in sorted(block.keys.intersection(_UNHEARD)):
            yield (*path, key), f"{key} has no effect: the rule is only counted by a correlation"
    if block.review_by is not None and block.review_by < today:
        whose = f" by {rule.owner}" if rule.owner else ""
        yield (*path, "review_by"), f"was to be reviewed{whose} until {block.review_by}"
    if block.suppress_ms is not None and block.suppress_ms > DAY_MS:
        yield (*path, "suppress"), "is longer than a day: repeats join an alert at most to the end of its day"


def _of_tests(rule: Rule) -> Iterator[tuple[Path, str]]:
    path: Path = ("correlator", "tests") if rule.cases else ("correlator",)
    expected = {case.expects_match for case in rule.cases}
    if not expected:
        yield path, "has no tests: write at least one, from events"
    elif True not in expected:
        yield path, "has no test that expects a match: it might never match"
    elif False not in expected:
        yield path, "has no test that expects no match: write the false positive that you have thought of"


# -------------------------------------------------------------------------- correlations


def _of_correlation(correlation: Correlation, section: Section) -> Iterator[tuple[Path, str]]:
    yield from _thresholds(correlation)
    for at, name in enumerate(section.group_by):
        if name in section.group_by[:at]:
            yield ("group-by", at), f"{name!r} is here twice"
    for alias in section.aliases:
        if alias not in {*section.group_by, *section.fields}:
            yield ("aliases", alias), f"{alias!r} is used nowhere: put it in group-by or condition.field"
        elif alias in ENTITY_FIELDS:
            yield ("aliases", alias), f"{alias} is whose timeline it is, whatever the alias says"
    yield from _of_other_kinds(correlation)
    conditions = [base.condition for base in correlation.bases]
    for at, condition in enumerate(conditions):
        first = conditions.index(condition)
        if condition is not None and first < at:
            yield ("rules", at), f"{section.rules[at]!r} says the same as {section.rules[first]!r}"


def _of_other_kinds(correlation: Correlation) -> Iterator[tuple[Path, str]]:
    """Fields that no event has that is counted: such events would be left out, all of them."""
    bases = correlation.bases
    kinds = [kinds_of_base(base) for base in bases]
    groups, values = [base.group for base in bases], [base.values for base in bases]
    for place, named in ((("group-by",), groups), (("condition", "field"), values)):
        for names in zip(*named, strict=False):
            owners = [name.partition(".")[0] for name in names]
            if all(o in KINDS[:3] and o not in k for o, k in zip(owners, kinds, strict=False)):
                which = " and ".join(sorted(frozenset[str]().union(*kinds)))
                yield place, f"{which} events have no {names[0]}: none is counted"


def _thresholds(correlation: Correlation) -> Iterator[tuple[Path, str]]:
    """Thresholds that no number of events reaches, or any: where one is counted there is at least one."""
    if not correlation.thresholds or correlation.type in {"value_sum", "value_avg"}:
        return
    most = len(correlation.bases) if correlation.type == "temporal" else correlation.entries_max + 1
    met = [all(ORDER[op](n, number) for op, number in correlation.thresholds) for n in range(1, most + 1)]
    if not any(met):
        yield ("condition",), f"can never hold: {_why_none(correlation, most)}"
    elif all(met):
        yield ("condition",), "holds of any event that is counted: a correlation is not needed"


def _why_none(correlation: Correlation, most: int) -> str:
    def is_met(number: int) -> bool:
        return all(ORDER[op](number, threshold) for op, threshold in correlation.thresholds)

    if is_met(0):
        return "it is asked where an event is counted, so at least one is"
    if any(map(is_met, range(most, ENTRIES_MAX + 2))):
        return f"only {most} rules are named"
    said = " and ".join(f"{op} {spell_number(number)}" for op, number in correlation.thresholds)
    return f"no number is {said}"
