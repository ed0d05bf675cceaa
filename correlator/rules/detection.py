"""The `detection` section of a Sigma rule to our condition, item by item, so that every mistake has its
own place.

pySigma parses values, modifiers and the condition's grammar; what a value *means* is ours (`interpret`).
What pySigma lacks is added here: `utf16le`, operators in upper case, all five characters of `|windash` in
any number.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Literal

from sigma.conditions import (
    ConditionAND,
    ConditionIdentifier,
    ConditionItem,
    ConditionNOT,
    ConditionOR,
    ConditionSelector,
    SigmaCondition,
)
from sigma.exceptions import SigmaError
from sigma.rule.detection import EmptySigmaDetections, SigmaDetectionItem
from sigma.types import (
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
)

from correlator.problem import Lines, Path, Problem
from correlator.rules.rule import (
    DASH,
    MANY,
    ONE,
    And,
    Cidr,
    Compare,
    Condition,
    Exists,
    Leaf,
    Not,
    Null,
    Or,
    Refers,
    Regex,
    Same,
    Test,
    Text,
)

CONDITION_MAX = 4_000  # characters
DEPTH_MAX = 40  # levels of lists and mappings in a detection, or of parentheses in a condition
VALUES_MAX = 10_000  # of one field

_OPERATOR = re.compile(r"(?<![\w*-])(AND|OR|NOT|OF|ALL|ANY|THEM)(?![\w*-])")
_DASH = re.compile(r"\B[-/–—―]\b")
_UNSUPPORTED = {
    "expand": "value lists are not supported by this version: write the values out",
    **dict.fromkeys(("minute", "hour", "day", "week", "month", "year"), "use the time.* fields instead"),
}
_CONDITIONS: dict[type[ConditionItem], type[And | Or]] = {ConditionAND: And, ConditionOR: Or}


class Unsupported(Exception):
    """A value of Sigma that this version does not evaluate; says what to do instead."""


class Detection:
    """One `detection` section being read. *places*: where each leaf was written."""

    def __init__(self, lines: Lines) -> None:
        self.problems: list[Problem] = []
        self.places: dict[Leaf, Path] = {}
        self._lines = lines
        self._searches: dict[str, Condition | None] = {}

    def read(self, section: object, path: Path = ("detection",)) -> Condition | None:
        """The condition of *section*, or None where there are problems."""
        if not isinstance(section, dict):
            self._say(path, "must be a mapping of searches and a condition")
            return None
        if "condition" not in section:
            self._say(path, "has no condition")
        searches = [name for name in section if name != "condition"]
        if not searches:
            self._say(path, "has no search: name one and use it in the condition")
        for name in searches:
            self._searches[name] = self._search(section[name], (*path, name), 1)
        if self.problems:
            return None
        return self._conditions(section["condition"], (*path, "condition"))

    def _say(self, path: Path, message: str) -> None:
        self.problems.append(self._lines.problem(path, message))

    # ------------------------------------------------------------- searches

    def _search(self, definition: object, path: Path, depth: int) -> Condition | None:
        if depth > DEPTH_MAX:
            self._say(path, f"is nested deeper than {DEPTH_MAX} levels")
            return None
        if isinstance(definition, dict) and definition:
            return _join(And, [self._item(key, v, (*path, key)) for key, v in definition.items()])
        if isinstance(definition, list) and any(isinstance(d, dict | list) for d in definition):
            parts = [self._search(d, (*path, at), depth + 1) for at, d in enumerate(definition)]
            return _join(Or, parts)
        if isinstance(definition, dict):
            self._say(path, "is empty")
        else:
            message = "keywords without a field are not supported by this version: name the field"
            self._say(path, message)
        return None

    def _item(self, key: str, values: object, path: Path) -> Condition | None:
        field, *modifiers = key.split("|")
        if not field:
            self._say(path, "keywords without a field are not supported by this version: name the field")
            return None
        listed = values if isinstance(values, list) else [values]
        if any(isinstance(v, dict | list) for v in listed):
            self._say(path, "takes a value or a list of values")
            return None
        if len(listed) > VALUES_MAX:
            self._say(path, f"has more than {VALUES_MAX} values")
            return None
        try:
            leaf = _leaf(field, modifiers, values)
        except (SigmaError, Unsupported) as error:
            self._say(path, _plain(error))
        except (ValueError, TypeError, AttributeError, OverflowError) as error:  # pySigma's own slips
            self._say(path, f"cannot be read: {error}")
        else:
            self.places.setdefault(leaf, path)
            return leaf
        return None

    # ------------------------------------------------------------ condition

    def _conditions(self, conditions: object, path: Path) -> Condition | None:
        """Several conditions are alternatives."""
        listed = conditions if isinstance(conditions, list) else [conditions]
        if not listed or not all(isinstance(text, str) for text in listed):
            self._say(path, "must be text, such as: selection and not filter")
            return None
        return _join(Or, [self._condition(str(text), path) for text in listed])

    def _condition(self, text: str, path: Path) -> Condition | None:
        if len(text) > CONDITION_MAX or text.count("(") > DEPTH_MAX or text.lower().count("not") > 400:
            self._say(path, "is too long or too deeply nested")
            return None
        text = _OPERATOR.sub(self._lower, text)
        try:
            parsed = SigmaCondition(text, EmptySigmaDetections()).parse(postprocess=False)
            return self._translate(parsed, path)
        except SigmaError as error:
            self._say(path, f"cannot be read: {_plain(error)}")
        except RecursionError:
            self._say(path, "is too deeply nested")
        return None

    def _lower(self, found: re.Match[str]) -> str:
        word = found.group()
        return word if word in self._searches else word.lower()

    def _translate(self, node: object, path: Path) -> Condition | None:
        if isinstance(node, ConditionIdentifier):
            return self._named(node.identifier, path)
        if isinstance(node, ConditionSelector):
            names = _selected(node.pattern, self._searches)
            if not names:
                self._say(path, f"'{node.args[0]} of {node.pattern}' names no search of this rule")
            join = And if node.cond_class is ConditionAND else Or
            return _join(join, [self._searches[name] for name in names])
        if isinstance(node, ConditionNOT):
            arg = self._translate(node.args[0], path)
            return None if arg is None else Not(arg)
        if isinstance(node, ConditionItem):
            return _join(_CONDITIONS[type(node)], [self._translate(arg, path) for arg in node.args])
        self._say(path, "cannot be read")
        return None

    def _named(self, name: str, path: Path) -> Condition | None:
        if name not in self._searches:
            self._say(path, f"'{name}' is not a search of this rule: {', '.join(self._searches)}")
            return None
        return self._searches[name]


def _selected(pattern: str, names: dict[str, Condition | None]) -> list[str]:
    """Names that `1 of PATTERN` means: those beginning with _ only if the pattern does."""
    pattern = "*" if pattern == "them" else pattern
    hidden = pattern.startswith("_")
    return [n for n in names if fnmatchcase(n, pattern) and (hidden or not n.startswith("_"))]


def _join(kind: type[And | Or], parts: list[Condition | None]) -> Condition | None:
    known = [part for part in parts if part is not None]
    if len(known) != len(parts) or not known:
        return None
    return known[0] if len(known) == 1 else kind(tuple(known))


def _plain(error: Exception) -> str:
    return str(error).split(" in /", maxsplit=1)[0] or type(error).__name__


# ---------------------------------------------------------------- values


def _leaf(field: str, modifiers: list[str], values: object) -> Leaf:
    for modifier in modifiers:
        if modifier in _UNSUPPORTED:
            raise Unsupported(f"|{modifier}: {_UNSUPPORTED[modifier]}")
    has_dashes = "windash" in modifiers
    named = ["wide" if m == "utf16le" else m for m in modifiers if m != "windash"]
    item = SigmaDetectionItem.from_mapping("|".join([field, *named]), values)  # type: ignore[arg-type] # checked
    if not item.value:
        return Leaf(field, (Null(),), is_negated=item.negated)
    needs_all = item.value_linking is ConditionAND
    tests = [_tests(v, has_dashes) for v in item.value]
    if needs_all and any(len(alternatives) > 1 for alternatives in tests):
        raise Unsupported("|all with base64offset: write one search per value")
    flat = tuple(test for alternatives in tests for test in alternatives)
    return Leaf(field, flat, needs_all and len(flat) > 1, item.negated)


def _tests(value: SigmaType, has_dashes: bool) -> list[Test]:
    """Tests of one value: several, any of which will do, where a modifier expanded it."""
    if isinstance(value, SigmaExpansion):
        return [test for v in value.values for test in _tests(v, has_dashes)]
    return [_test(value, has_dashes)]


def _test(value: SigmaType, has_dashes: bool) -> Test:
    match value:
        case SigmaString():
            return Text(_parts(value, has_dashes), isinstance(value, SigmaCasedString))
        case SigmaTimestampPart():
            raise Unsupported("parts of a time: use the time.* fields instead")
        case SigmaNumber():
            return Same(value.number)
        case SigmaBool():
            return Same(value.boolean)
        case SigmaNull():
            return Null()
        case SigmaExists():
            return Exists(value.exists)
        case SigmaCIDRExpression():
            return Cidr(str(value.network))
        case SigmaRegularExpression():
            flags = "".join(sorted(SigmaRegularExpression.sigma_to_re_flag[f] for f in value.flags))
            return Regex(str(value.regexp), flags)
        case SigmaFieldReference():
            return Refers(value.field, _relation(value))
        case SigmaCompareExpression():
            return _compare(value)
    raise Unsupported(f"values of type {type(value).__name__} are not supported")


def _relation(value: SigmaFieldReference) -> Literal["equal", "starts", "ends", "contains"]:
    if value.starts_with:
        return "contains" if value.ends_with else "starts"
    return "ends" if value.ends_with else "equal"


def _compare(value: SigmaCompareExpression) -> Compare:
    operators: dict[str, Literal["lt", "lte", "gt", "gte"]] = {
        "LT": "lt",
        "LTE": "lte",
        "GT": "gt",
        "GTE": "gte",
    }
    if isinstance(value.number, SigmaTimestampPart) or value.op.name not in operators:
        raise Unsupported("this comparison is not supported: use lt, lte, gt or gte with a number")
    return Compare(operators[value.op.name], value.number.number)


def _parts(value: SigmaString, has_dashes: bool) -> tuple[str | int, ...]:
    parts: list[str | int] = []
    for part in value.s:
        if isinstance(part, Placeholder):
            raise Unsupported(_UNSUPPORTED["expand"])
        if isinstance(part, SpecialChars):
            parts.append(MANY if part is SpecialChars.WILDCARD_MULTI else ONE)
        elif has_dashes:
            pieces = _DASH.split(part)
            for at, piece in enumerate(pieces):
                parts += ([DASH] if at else []) + ([piece] if piece else [])
        elif part:
            parts.append(part)
    return tuple(parts)
