"""Conditions of temporal correlations, such as `badge_in and not badge_out`, as alternatives of steps.

Step `i` says that rule i happened, `~i` that it did not. Operators may stand in either case; a name that is
spelt like one in capitals is the name. Rules are named by name or id.
"""

from __future__ import annotations

import re
from collections.abc import Callable

CLAUSES_MAX = 64  # alternatives
TEXT_MAX = 4_000  # characters
DEPTH_MAX = 40  # parentheses, and `not`s in a row

_TOKEN = re.compile(r"\s*(?:([()])|([\w.-]+)|(\S))")
_OPERATORS = ("and", "or", "not")

Clause = frozenset[int]


class BadLogic(Exception):
    """Text that is no condition; says why."""


def clauses(text: str, index: Callable[[str], int | None]) -> tuple[tuple[int, ...], ...]:
    """The alternatives of *text*, each with its steps in order of rule. Raises BadLogic.

    Alternatives that ask for a rule to have happened and not are left out.
    """
    if len(text) > TEXT_MAX:
        raise BadLogic("is too long")
    parser = _Parser(_tokens(text, index), index)
    found = parser.either(0, is_negated=False)
    if parser.left:
        raise BadLogic(f"cannot be read at {parser.left[0]!r}")
    kept = {clause for clause in found if not any(~step in clause for step in clause)}
    if not kept:
        raise BadLogic("can never hold")
    return tuple(sorted(tuple(sorted(clause, key=_rule)) for clause in kept))


def names_in(text: str) -> tuple[str, ...]:
    """The names in *text*, each once, as they come: the rules of a correlation that does not list them."""
    words = (word for _, word, _ in _TOKEN.findall(text[:TEXT_MAX]))
    return tuple(dict.fromkeys(word for word in words if word and word.lower() not in _OPERATORS))


def _rule(step: int) -> int:
    return step if step >= 0 else ~step


def _tokens(text: str, index: Callable[[str], int | None]) -> list[str]:
    tokens: list[str] = []
    for bracket, word, other in _TOKEN.findall(text):
        if other:
            raise BadLogic(f"cannot be read at {other!r}: names of rules, and, or, not and parentheses")
        is_operator = word.lower() in _OPERATORS and index(word) is None
        tokens.append(word.lower() if is_operator else bracket or word)
    return tokens


class _Parser:
    """`not` binds before `and` before `or`. Negations are pushed down to the names."""

    def __init__(self, tokens: list[str], index: Callable[[str], int | None]) -> None:
        self.left = tokens
        self._index = index

    def either(self, depth: int, *, is_negated: bool) -> set[Clause]:
        parts = [self._both(depth, is_negated=is_negated)]
        while self._takes("or"):
            parts.append(self._both(depth, is_negated=is_negated))
        return _all(parts) if is_negated else _any(parts)

    def _both(self, depth: int, *, is_negated: bool) -> set[Clause]:
        parts = [self._one(depth, is_negated=is_negated)]
        while self._takes("and"):
            parts.append(self._one(depth, is_negated=is_negated))
        return _any(parts) if is_negated else _all(parts)

    def _one(self, depth: int, *, is_negated: bool) -> set[Clause]:
        if depth > DEPTH_MAX:
            raise BadLogic("is too deeply nested")
        if self._takes("not"):
            return self._one(depth + 1, is_negated=not is_negated)
        if self._takes("("):
            found = self.either(depth + 1, is_negated=is_negated)
            if not self._takes(")"):
                raise BadLogic("cannot be read: a parenthesis is not closed")
            return found
        if not self.left or self.left[0] in {*_OPERATORS, ")"}:
            raise BadLogic(f"cannot be read: the name of a rule is missing{self._before()}")
        name = self.left.pop(0)
        at = self._index(name)
        if at is None:
            raise BadLogic(f"{name!r} is not one of the rules of this correlation")
        return {frozenset([~at if is_negated else at])}

    def _takes(self, token: str) -> bool:
        if self.left and self.left[0] == token and (token not in _OPERATORS or self._index(token) is None):
            del self.left[0]
            return True
        return False

    def _before(self) -> str:
        return f" before {self.left[0]!r}" if self.left else ""


def _any(parts: list[set[Clause]]) -> set[Clause]:
    return _bounded(set[Clause]().union(*parts))


def _all(parts: list[set[Clause]]) -> set[Clause]:
    joined: set[Clause] = {frozenset()}
    for part in parts:
        joined = _bounded({one | other for one in joined for other in part})
    return joined


def _bounded(found: set[Clause]) -> set[Clause]:
    if len(found) > CLAUSES_MAX:
        raise BadLogic(f"has more than {CLAUSES_MAX} alternatives")
    return found
