"""A condition against one observation, line by line: what was asked, what was found, and what that makes.

Asks the interpreter of every line and of every part, so that it cannot say anything else than what decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from correlator.rules.absent import why_absent
from correlator.rules.interpret import holds, leaf_holds, test_holds, text_matches
from correlator.rules.keywords import KEYWORD_FIELDS
from correlator.rules.rule import (
    KEYWORDS,
    And,
    Compare,
    Condition,
    Leaf,
    Not,
    Refers,
    Rule,
    Test,
    Text,
    Written,
)
from correlator.timeline.fields import value
from correlator.timeline.live import Scalar
from correlator.timeline.observation import Observation
from correlator.timeline.raw import as_text, kept_of

BLAMED_MAX = 6  # lines that are blamed for one miss


class Line(msgspec.Struct, frozen=True, tag="line"):
    """One line of a search. *found*: the field's value, None where it is absent; *note* says why, or how far
    off it is, or what the other side of a reference is. Keywords are found in the fields *note* names.
    """

    text: str  # as written
    holds: bool
    field: str
    found: Scalar = None
    note: str = ""
    file: str = ""
    line: int = 0


class Part(msgspec.Struct, frozen=True, tag="part"):
    """Lines and parts together. *name*: of a search, or a condition as written; "" for what has none."""

    how: Literal["all", "any", "not"]
    holds: bool
    parts: tuple[Node, ...]
    name: str = ""


Node = Line | Part
Why = Callable[[Observation, str], str]  # why a field is absent


class Texts(msgspec.Struct, frozen=True):
    """How somebody wrote the parts of a rule."""

    lines: Mapping[Condition, Written]
    searches: Mapping[Condition, Written]


def texts_of(rule: Rule) -> Texts:
    return Texts({w.part: w for w in rule.lines}, {w.part: w for w in rule.searches})


def examine(condition: Condition, observation: Observation, texts: Texts, why: Why = why_absent) -> Node:
    """What each part of *condition* makes of *observation*."""
    named = texts.searches.get(condition)
    name = named.text if named is not None else ""
    if isinstance(condition, Leaf):
        line = _line(condition, observation, texts, why)
        return Part("all", line.holds, (line,), name) if name else line
    is_held = holds(condition, observation, [])
    if isinstance(condition, Not):
        return Part("not", is_held, (examine(condition.arg, observation, texts, why),), name)
    parts = tuple(examine(arg, observation, texts, why) for arg in condition.args)
    return Part("all" if isinstance(condition, And) else "any", is_held, parts, name)


def cost(node: Node, *, wanted: bool = True) -> int:
    """How many lines would have to be otherwise for *node* to be as *wanted*: how near a miss was."""
    if node.holds is wanted:
        return 0
    if isinstance(node, Line):
        return 1
    if node.how == "not":
        return cost(node.parts[0], wanted=not wanted)
    costs = [cost(part, wanted=wanted) for part in node.parts]
    return sum(costs) if (node.how == "all") is wanted else min(costs)


def culprits(node: Node, *, wanted: bool = True) -> list[tuple[Line, bool]]:
    """The lines by which *node* is not as *wanted*, in order; of alternatives those of the nearest. Each with
    what it should have been.
    """
    if node.holds is wanted:
        return []
    if isinstance(node, Line):
        return [(node, wanted)]
    if node.how == "not":
        return culprits(node.parts[0], wanted=not wanted)
    if (node.how == "all") is wanted:
        return [found for part in node.parts for found in culprits(part, wanted=wanted)]
    return culprits(min(node.parts, key=lambda part: cost(part, wanted=wanted)), wanted=wanted)


def blame(node: Node) -> tuple[str, ...]:
    """Why *node* does not hold, a sentence a line of the rule."""
    said = [_blamed(line, wanted=wanted) for line, wanted in culprits(node)]
    return (*said[:BLAMED_MAX], *([f"and {len(said) - BLAMED_MAX} more lines"] if said[BLAMED_MAX:] else []))


def _blamed(line: Line, *, wanted: bool) -> str:
    place = f" ({line.file}:{line.line})" if line.line else ""
    found = "" if line.field in {"", KEYWORDS} else found_text(line.found)
    why = ", ".join(filter(None, [found, line.note]))
    said = f"{line.text}{place} {'does not hold' if wanted else 'must not hold, but does'}"
    return f"{said}: {why}" if why else said


def found_text(found: Scalar) -> str:
    """`found 0.75`, or that it is absent."""
    if found is None:
        return "absent"
    if isinstance(found, bool):
        return f"found {str(found).lower()}"
    return f"found {found:.6g}" if isinstance(found, float) else f"found {found}"


# ------------------------------------------------------------------------ lines


def _line(leaf: Leaf, observation: Observation, texts: Texts, why: Why) -> Line:
    written = texts.lines.get(leaf)
    text, file, line = (written.text, written.file, written.line) if written else (leaf.field, "", 0)
    if written is not None and written.is_whole:
        return Line(text, leaf_holds(leaf, observation, []), "", None, "", file, line)
    mismatched: list[str] = []
    is_held = leaf_holds(leaf, observation, mismatched)
    if leaf.field == KEYWORDS:
        return Line(text, is_held, KEYWORDS, None, _keywords_note(leaf, observation), file, line)
    found = value(observation, leaf.field)
    notes = [_note(leaf, observation, why, is_held=is_held, is_odd=bool(mismatched))]
    notes += [_other_side(test, observation, why) for test in leaf.tests if isinstance(test, Refers)]
    return Line(text, is_held, leaf.field, found, "; ".join(filter(None, notes)), file, line)


def _note(leaf: Leaf, observation: Observation, why: Why, *, is_held: bool, is_odd: bool) -> str:
    found = value(observation, leaf.field)
    if found is None:
        return why(observation, leaf.field)
    if is_odd:
        return "a value of another type than the line asks for"
    if is_held or leaf.is_negated:
        return ""
    return next((note for test in leaf.tests if (note := _distance(test, found))), "")


def _distance(test: Test, found: Scalar) -> str:
    """How far *found* is from what *test* asks for, where that can be said."""
    if isinstance(test, Compare) and isinstance(found, int | float):
        off = found - test.number
        return f"{abs(off):g} too {'high' if test.operator in {'lt', 'lte'} else 'low'}" if off else ""
    if isinstance(test, Text) and test.is_cased and isinstance(found, str):
        folded = tuple(part.lower() if isinstance(part, str) else part for part in test.parts)
        return "differs only in upper and lower case" if text_matches(Text(folded), found) else ""
    return ""


def _other_side(refers: Refers, observation: Observation, why: Why) -> str:
    found = value(observation, refers.field)
    return f"{refers.field} is {f'absent, {why(observation, refers.field)}' if found is None else found}"


def _keywords_note(leaf: Leaf, observation: Observation) -> str:
    texts = {name: found for name in KEYWORD_FIELDS if (found := value(observation, name)) is not None}
    texts |= {name: ", ".join(map(as_text, found)) for name, found in kept_of(observation).items()}
    hit = [
        name for name, found in texts.items() if any(test_holds(t, found, observation) for t in leaf.tests)
    ]
    return f"found in {', '.join(hit)}" if hit else f"in none of {len(texts)} texts: {', '.join(texts)}"
