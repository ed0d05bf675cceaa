"""Conditions that can never hold, or hold of everything, as far as that is plain to see.

Nothing is said that is not sure: of each field the values are tried that could make a difference, and where
these cannot be listed nothing is claimed. What a line makes of a value is asked of the interpreter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil, floor, inf
from typing import NamedTuple

from correlator.event import KINDS, make_event
from correlator.rules.check import kinds_of
from correlator.rules.interpret import test_holds, text_matches
from correlator.rules.rule import (
    KEYWORDS,
    And,
    Compare,
    Condition,
    Exists,
    Leaf,
    Not,
    Null,
    Or,
    Same,
    Test,
    Text,
    TimePart,
    leaves,
)
from correlator.rules.vocabulary import PARTS, WORDS, numbers_of
from correlator.spelling import nearest
from correlator.timeline.fields import FIELDS
from correlator.timeline.live import Live, Scalar
from correlator.timeline.observation import Observation
from correlator.timeline.settings import Settings

_OWN = KINDS[:3]  # kinds of events that have fields named after them
_LISTED_MAX = 9  # words that a message lists
_NOBODY = Observation("", make_event(0, "", "access"), Live(), Settings(), 0)

Found = tuple[Leaf | None, str]  # None: the condition as a whole


class _Line(NamedTuple):
    """A line that must hold, or must not."""

    leaf: Leaf
    is_wanted: bool

    def passes(self, value: Scalar) -> bool:
        return leaf_passes(self.leaf, value) is self.is_wanted


def impossible(condition: Condition) -> list[Found]:
    """Why *condition* (or one of its alternatives) can never hold."""
    if isinstance(condition, Or):
        return [found for arg in condition.args for found in impossible(arg)]
    needed = list(_needed(condition))
    choices = [arg for arg in needed if isinstance(arg, Or)]
    sure = [arg for arg in needed if not isinstance(arg, Or)]
    found = list(_contradictions(sure))
    for choice in choices:
        for arg in choice.args:
            found += [f for f in _contradictions([*sure, *_needed(arg)]) if f not in found]
    return found


def _needed(condition: Condition) -> Iterator[Condition]:
    """Conditions all of which must hold."""
    if isinstance(condition, And):
        for arg in condition.args:
            yield from _needed(arg)
    elif isinstance(condition, Not) and isinstance(condition.arg, Or):
        for arg in condition.arg.args:
            yield from _needed(Not(arg))
    elif isinstance(condition, Not) and isinstance(condition.arg, Not):
        yield from _needed(condition.arg.arg)
    else:
        yield condition


def _contradictions(needed: Sequence[Condition]) -> Iterator[Found]:
    """Why *needed* cannot all hold of one event."""
    known = set(needed)
    for arg in needed:
        if isinstance(arg, Not) and known.issuperset(_needed(arg.arg)):
            yield leaves(arg)[0], "can never hold: it must hold and must not, at once"
            return
    lines = [_Line(arg, True) for arg in needed if isinstance(arg, Leaf)]
    lines += [_Line(arg.arg, False) for arg in needed if isinstance(arg, Not) and isinstance(arg.arg, Leaf)]
    wanted = [line.leaf for line in lines if line.is_wanted and not line.leaf.is_negated]
    kinds = kinds_of(And(tuple(needed)))
    if not kinds:
        said = [leaf for leaf in wanted if leaf.field == "event.kind"]
        if all(_is_possible(leaf) for leaf in said):
            yield (said[-1] if said else None), "can never hold: an event has one event.kind"
        return
    for leaf in wanted:
        kind = leaf.field.partition(".")[0]
        if kind in _OWN and kind not in kinds and not leaf_passes(leaf, None):
            yield leaf, f"can never hold: {' and '.join(sorted(kinds))} events have no {leaf.field}"
    for name in {line.leaf.field: None for line in lines}:
        of_field = [line for line in lines if line.leaf.field == name]
        if _exclude(name, of_field):
            yield of_field[-1].leaf, f"can never hold together with the other lines on {name}"


# ------------------------------------------------------------------------- single lines


def leaf_passes(leaf: Leaf, value: Scalar) -> bool:
    """Would *leaf* hold of a field with this value? Only for tests that look at nothing else."""
    results = [test_holds(test, value, _NOBODY) for test in leaf.tests]
    result = all(results) if leaf.needs_all else any(results)
    return result if not leaf.is_negated else value is not None and None not in results and not result


def odd_values(condition: Condition) -> Iterator[Found]:
    """Lines of *condition* that ask for what a field never is, or for what it always is."""
    for leaf in dict.fromkeys(leaves(condition)):
        if leaf.field == KEYWORDS:
            continue
        yield from ((leaf, text) for test in leaf.tests if (text := _odd(leaf.field, test)))
        plain = {t.parts for t in leaf.tests if isinstance(t, Text) and _is_plain(t)}
        if leaf.needs_all and len(plain) > 1 and leaf.field in FIELDS:  # a record's own may have several
            yield leaf, f"can never hold: {leaf.field} has one value, not all; did you mean contains?"


def _odd(name: str, test: Test) -> str:
    """What is odd about *test* of the field *name*, or nothing."""
    words = WORDS.get(name)
    if isinstance(test, Text) and words is not None:
        if test.parts and not any(text_matches(test, word) for word in words):
            return f"{name} is never {_shown(test)}{_known(name, _shown(test))}"
        return ""
    if isinstance(test, TimePart):
        return _bounded(f"the {test.part}", test.operator, test.number, PARTS[test.part])
    bounds = numbers_of(name)
    if bounds is not None and isinstance(test, Compare):
        return _bounded(name, test.operator, test.number, bounds)
    if bounds is not None and isinstance(test, Same) and not isinstance(test.value, bool):
        return _bounded(name, "eq", test.value, bounds)
    return ""


def _is_possible(leaf: Leaf) -> bool:
    return not any(_odd(leaf.field, test) for test in leaf.tests)


def _shown(test: Text) -> str:
    return "".join(part if isinstance(part, str) else "*?-"[part] for part in test.parts)


def _known(name: str, text: str) -> str:
    words = WORDS[name]
    more = ", …" if len(words) > _LISTED_MAX else ""
    return nearest(text.lower(), words) or f": {', '.join(words[:_LISTED_MAX])}{more}"


def _bounded(name: str, operator: str, number: float, bounds: tuple[float, float]) -> str:
    """Whether no number, or every number, from the least to the largest passes."""
    low, high = bounds
    least = f"{name} is at least {low:g}" if high == inf else f"{name} is from {low:g} to {high:g}"
    never = {
        "gt": number >= high, "gte": number > high, "lt": number <= low, "lte": number < low,
        "eq": not low <= number <= high,
    }  # fmt: skip
    always = {"gt": number < low, "gte": number <= low, "lt": number > high, "lte": number >= high}
    if never[operator]:
        return f"can never hold: {least}"
    return f"holds of every value: {least}; did you mean exists: true?" if always.get(operator) else ""


# ------------------------------------------------------------------ lines on one field


def _exclude(name: str, lines: Sequence[_Line]) -> bool:
    """No value passes all of *lines*, none of which is odd by itself."""
    lines = [line for line in lines if _is_possible(line.leaf)]
    tests = [test for line in lines for test in line.leaf.tests]
    if len(lines) < 2 or not all(isinstance(test, Text | Same | Compare | Exists | Null) for test in tests):
        return False
    values = _values(name, lines, tests)
    return values is not None and not any(all(line.passes(value) for line in lines) for value in values)


def _values(name: str, lines: Sequence[_Line], tests: Sequence[Test]) -> list[Scalar] | None:
    """All values that can make a difference, absence among them; None where they cannot be listed."""
    if name in WORDS:
        return [None, *WORDS[name]]
    field = FIELDS.get(name)
    if field is None:
        return None
    if field.value_type == "bool":
        return [None, True, False]
    if field.value_type != "str":
        return [None, *_numbers(name, tests, is_whole=field.value_type == "int")]
    needed = [line.leaf for line in lines if line.is_wanted and not line.leaf.is_negated]
    listed = next(filter(_lists, needed), None)
    if listed is None or any(isinstance(test, Text) and test.is_cased for test in tests):
        return None
    return [str(part) for test in listed.tests if isinstance(test, Text) for part in test.parts]


def _numbers(name: str, tests: Sequence[Test], *, is_whole: bool) -> list[float]:
    low, high = numbers_of(name) or (-inf, inf)
    named = [float(t.number) for t in tests if isinstance(t, Compare)]
    named += [float(t.value) for t in tests if isinstance(t, Same) and not isinstance(t.value, bool)]
    ordered = sorted(named)
    tried = {n + d for n in ordered for d in (-1.0, 0.0, 1.0)} | {(a + b) / 2 for a, b in pairwise(ordered)}
    tried.add(low if low > -inf else 0.0)  # where the lines name no number, any will do
    if is_whole:
        tried = {float(near(n)) for n in tried for near in (floor, ceil)}
    return sorted(n for n in tried if low <= n <= high)


def _lists(leaf: Leaf) -> bool:
    """Are the values that *leaf* allows all written out?"""
    return not leaf.needs_all and all(isinstance(test, Text) and _is_plain(test) for test in leaf.tests)


def _is_plain(test: Text) -> bool:
    return len(test.parts) == 1 and isinstance(test.parts[0], str)
