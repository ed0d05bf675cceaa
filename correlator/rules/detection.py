"""The `detection` section of a Sigma rule to our condition, search by search, so that every mistake has its
own place. A filter's section is read the same way.

pySigma parses the condition's grammar; operators in upper case, which it lacks, are added here. Values are
`values`' business.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from itertools import accumulate

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
from sigma.rule.detection import EmptySigmaDetections

from correlator.problem import Lines, Path, Problem
from correlator.rules.rule import And, Condition, Leaf, Not, Or, Written, leaves
from correlator.rules.takes import Unsupported
from correlator.rules.values import VALUES_MAX, Lists, plain, read_item
from correlator.spelling import closest, spell_item

CONDITION_MAX = 4_000  # characters
DEPTH_MAX = 40  # levels of lists and mappings in a detection, or of parentheses in a condition

_OPERATOR = re.compile(r"(?<![\w*-])(and|or|not|of|all|any|them)(?![\w*-])", re.IGNORECASE)
_FOUND = re.compile(r"found (end of text|'.*?')\s+\(at char (\d+)\)")
_CONDITIONS: dict[type[ConditionItem], type[And | Or]] = {ConditionAND: And, ConditionOR: Or}


class Detection:
    """One section being read. *places*: where each leaf was written. *lists*: values of `|expand`.

    *lines* and *searches*: what was read, as somebody wrote it.
    """

    def __init__(self, lines: Lines, lists: Lists | None = None) -> None:
        self.problems: list[Problem] = []
        self.places: dict[Leaf, Path] = {}
        self.lines: dict[Leaf, Written] = {}
        self.searches: dict[Condition, Written] = {}
        self._lines = lines
        self._lists = lists or {}
        self._searches: dict[str, Condition | None] = {}
        self._used: set[str] = set()  # names of searches that the condition names

    @property
    def unused(self) -> tuple[str, ...]:
        """Searches that no condition names, but for those that say so by their own name."""
        return tuple(n for n in self._searches if n not in self._used and not n.startswith("_"))

    def read(
        self, section: object, path: Path = ("detection",), besides: tuple[str, ...] = ()
    ) -> Condition | None:
        """The condition of *section*, or None where there are problems. *besides*: no searches."""
        if not isinstance(section, dict):
            self._say(path, "must be a mapping of searches and a condition")
            return None
        if "condition" not in section:
            near = closest("condition", [name for name, said in section.items() if isinstance(said, str)])
            self._say(path, f"has no condition{f': is {near!r} it?' if near else ''}")
        besides = ("condition", *besides)
        searches = [n for n, said in section.items() if n not in besides and not is_timeframe(n, said)]
        if not searches:
            self._say(path, "has no search: name one and use it in the condition")
        for name in searches:
            self._searches[name] = self._search(section[name], (*path, name), 1)
        condition = None
        if "condition" in section and searches:
            condition = self._conditions(section["condition"], (*path, "condition"))
        if self.problems:
            return None
        named = {name: search for name, search in self._searches.items() if search is not None}
        for name, search in named.items():
            self.searches.setdefault(search, self._written(search, name, (*path, name)))
        if condition is not None:
            text = " or ".join(_listed(section["condition"]))
            self.searches.setdefault(condition, self._written(condition, text, (*path, "condition")))
        return condition

    def _written(self, part: Condition, text: str, path: Path) -> Written:
        return Written(part, text, self._lines.file, self._lines.at(path)[0])

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
            return _join(Or, [self._search(d, (*path, at), depth + 1) for at, d in enumerate(definition)])
        if definition in ({}, [], None):
            self._say(path, "is empty")
            return None
        return self._item("", definition, path)  # keywords

    def _item(self, key: str, values: object, path: Path) -> Condition | None:
        listed = values if isinstance(values, list) else [values]
        if any(isinstance(v, dict | list) for v in listed):
            later = key.endswith("]") and any(isinstance(v, dict) for v in listed)
            hint = ": blocks for members of a list are of a later Sigma, name their fields: list.field"
            self._say(path, f"takes a value or a list of values{hint if later else ''}")
            return None
        if not listed or len(listed) > VALUES_MAX:
            none = "is an empty list: write null for a field that is absent"
            self._say(path, none if not listed else f"has more than {VALUES_MAX} values")
            return None
        try:
            condition = read_item(key, values, self._lists)
        except (SigmaError, Unsupported) as error:
            self._say(path, plain(error))
        except (ValueError, TypeError, AttributeError, OverflowError) as error:  # pySigma's own slips
            self._say(path, f"cannot be read: {error}")
        else:
            for leaf in leaves(condition):
                self.places.setdefault(leaf, path)
                self.lines.setdefault(leaf, self._written(leaf, spell_item(key, listed), path))
            return condition
        return None

    # ------------------------------------------------------------ condition

    def _conditions(self, conditions: object, path: Path) -> Condition | None:
        """Several conditions are alternatives."""
        listed = _listed(conditions)
        if not listed:
            self._say(path, "must be text, such as: selection and not filter")
            return None
        return _join(Or, [self._condition(text, path) for text in listed])

    def _condition(self, text: str, path: Path) -> Condition | None:
        if len(text) > CONDITION_MAX or _depth(text) > DEPTH_MAX or text.lower().count("not") > 400:
            self._say(path, "is too long or too deeply nested")
            return None
        text = _OPERATOR.sub(self._lower, text)
        try:
            parsed = SigmaCondition(text, EmptySigmaDetections()).parse(postprocess=False)
            return self._translate(parsed, path)
        except SigmaError as error:
            self._say(path, _unread(plain(error)))
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
            self._used.update(names)
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
        self._used.add(name)
        return self._searches[name]


def is_timeframe(name: str, said: object) -> bool:
    """Is it how long something is counted, as Sigma 1 said it, and no search?"""
    return name == "timeframe" and isinstance(said, str)


def _depth(text: str) -> int:
    """How many parentheses are open at most."""
    return max(accumulate((char == "(") - (char == ")") for char in text), default=0)


def _unread(said: str) -> str:
    """What pySigma's parser *said* of a condition, without its grammar."""
    if "pipe syntax" in said:
        return "counts nothing since Sigma 2: write a correlation (rules new -t count)"
    found = _FOUND.search(said)
    if found is None:
        return f"cannot be read: {said}"
    at = "at its end" if found[1] == "end of text" else f"at {found[1]}, character {int(found[2]) + 1}"
    return f"cannot be read {at}: names of searches, and, or, not, 1 of x*, all of x* and parentheses"


def _listed(conditions: object) -> list[str]:
    """The texts of `condition`; none where it is anything else."""
    listed = conditions if isinstance(conditions, list) else [conditions]
    texts = [text for text in listed if isinstance(text, str)]
    return texts if len(texts) == len(listed) else []


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
