"""What a reviewer would say of a rule that loads: warnings."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from operator import ge, gt, le, lt

from correlator.event import KINDS
from correlator.rules.check import kinds_of
from correlator.rules.draft import Draft
from correlator.rules.interpret import text_matches
from correlator.rules.rule import And, Compare, Condition, Leaf, Or, Rule, Same, Text

_ORDER = {"lt": lt, "lte": le, "gt": gt, "gte": ge}
_OWN = KINDS[:3]  # kinds of events that have fields named after them


def advise(draft: Draft, rule: Rule, today: date, *, is_heard: bool) -> None:
    """Warnings about *rule* as of *today* go to its *draft*."""
    if is_heard and not rule.cases:
        draft.warn(("correlator",), "has no tests: write at least one, from events")
    review = draft.block.review_by
    if review is not None and review < today:
        whose = f" by {rule.owner}" if rule.owner else ""
        draft.warn(("correlator", "review_by"), f"was to be reviewed{whose} until {review}")
    if rule.condition is not None:
        for leaf, message in impossible(rule.condition):
            lines, path = draft.place(leaf) if leaf is not None else (draft.lines, ("detection",))
            draft.problems.append(lines.problem(path, message, "warning"))


def impossible(condition: Condition) -> list[tuple[Leaf | None, str]]:
    """Why *condition* (or one of its alternatives) can never hold, as far as that is plain to see."""
    if isinstance(condition, Or):
        return [found for arg in condition.args for found in impossible(arg)]
    args = _needed(condition)
    alternatives = [found for arg in args if isinstance(arg, Or) for found in impossible(arg)]
    needed = [leaf for leaf in args if isinstance(leaf, Leaf) and not leaf.is_negated]
    kinds = kinds_of(condition)
    if not kinds:
        return [(_named(needed, "event.kind"), "can never hold: an event has one event.kind"), *alternatives]
    found: list[tuple[Leaf | None, str]] = []
    for leaf in needed:
        kind = leaf.field.partition(".")[0]
        if kind in _OWN and kind not in kinds and _needs_value(leaf):
            found.append((leaf, f"can never hold: {' and '.join(sorted(kinds))} events have no {leaf.field}"))
    for name in {leaf.field: None for leaf in needed}:
        of_field = [leaf for leaf in needed if leaf.field == name]
        if len(of_field) > 1 and name and _exclude(of_field):
            found.append((of_field[-1], f"can never hold together with the other lines on {name}"))
    return found + alternatives


def _needed(condition: Condition) -> list[Condition]:
    """Conditions all of which must hold."""
    if isinstance(condition, And):
        return [needed for arg in condition.args for needed in _needed(arg)]
    return [condition]


def _named(needed: list[Leaf], name: str) -> Leaf | None:
    return next((leaf for leaf in needed if leaf.field == name), None)


def _needs_value(leaf: Leaf) -> bool:
    return all(isinstance(test, Text | Same | Compare) for test in leaf.tests)


def _exclude(of_field: list[Leaf]) -> bool:
    """No value passes all of *of_field*: tried with every value that they name, and those around these."""
    if any(leaf.needs_all or not _needs_value(leaf) for leaf in of_field):
        return False
    tests = [test for leaf in of_field for test in leaf.tests]
    numbers = [float(t.number) for t in tests if isinstance(t, Compare)]
    numbers += [float(t.value) for t in tests if isinstance(t, Same) and not isinstance(t.value, bool)]
    if numbers and not any(isinstance(t, Text) for t in tests):
        tried = sorted({n + d for n in numbers for d in (-0.5, 0.0, 0.5)} | _between(numbers))
        return not any(all(_passes(leaf, value) for leaf in of_field) for value in tried)
    texts = {t.parts[0] for t in tests if isinstance(t, Text) and _is_plain(t)}
    if texts and all(isinstance(t, Text) for t in tests) and any(map(_names_all, of_field)):
        return not any(all(_passes(leaf, text) for leaf in of_field) for text in texts)
    return False


def _between(numbers: list[float]) -> set[float]:
    ordered = sorted(numbers)
    return {(a + b) / 2 for a, b in pairwise(ordered)}


def _is_plain(test: Text) -> bool:
    return len(test.parts) == 1 and isinstance(test.parts[0], str)


def _names_all(leaf: Leaf) -> bool:
    """Are the values that *leaf* allows all written out?"""
    return all(isinstance(test, Text) and _is_plain(test) for test in leaf.tests)


def _passes(leaf: Leaf, value: object) -> bool:
    for test in leaf.tests:
        if isinstance(test, Text) and isinstance(value, str) and text_matches(test, value):
            return True
        if (
            isinstance(test, Compare)
            and isinstance(value, float)
            and _ORDER[test.operator](value, test.number)
        ):
            return True
        if isinstance(test, Same) and value == test.value:
            return True
    return False
