"""Conditions as Python expressions over an event's fields: the part of `compile` that knows the tests.

Nothing that a rule's author wrote gets into the source: texts, numbers and patterns are constants `k0`,
`k1` … of the function's namespace, fields are variables `v0`, `v1` ….

A condition is *steady* when evaluating it, or not, cannot be noticed but by its result: none of its values
can have an unexpected type, so no count depends on it. Only steady conditions are put into another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from ipaddress import ip_network
from itertools import groupby
from typing import Literal, NamedTuple

from correlator.rules.interpret import address_of, compile_regex, has_sigma, holds, text_matches
from correlator.rules.keywords import KEYWORD_FIELDS
from correlator.rules.loads import EASY, GUARDED, Holds, holds_of, sort_of
from correlator.rules.members import is_of_records
from correlator.rules.needle import needle_of
from correlator.rules.rule import (
    KEYWORDS,
    MANY,
    And,
    Cidr,
    Compare,
    Condition,
    Exists,
    Leaf,
    Not,
    Null,
    Refers,
    Regex,
    Same,
    Test,
    Text,
)
from correlator.timeline.fields import FIELDS
from correlator.timeline.observation import Observation

CHEAP = 2  # a test that is worth doing first, and once for all rules that share it
_EASY_COST, _GETTER_COST, _REGEX_COST, _NEEDLE_COST, _INTERPRETED_COST = 2, 12, 40, 4, 60
_OPERATORS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_VERSION_6 = 1 << 32
_ONE_SIGMA = "{}.replace('ς', 'σ')"  # `fold` of what is in lower case
_RELATIONS = {
    "equal": "{0} == {1}",
    "starts": "{0}.startswith({1})",
    "ends": "{0}.endswith({1})",
    "contains": "{1} in {0}",
}
_IS = {
    "text": "type({0}) is str",
    "number": "(type({0}) is float or type({0}) is int)",
    "flag": "type({0}) is bool",
}


class Piece(NamedTuple):
    """An expression, what it costs (about: 1 is a comparison), and whether it is steady."""

    source: str
    cost: int
    is_steady: bool


class Emitter:
    """Collects the constants and variables of one function."""

    def __init__(self) -> None:
        self.namespace: dict[str, object] = {}
        self.guarded: dict[str, str] = {}  # field -> variable; of text in lower case
        self.as_written: dict[str, str] = {}  # field of text -> variable with its own case
        self._late: dict[str, str] = {}
        self._constants: dict[object, str] = {}

    def constant(self, found: object) -> str:
        """Name of *found* (hashable) in the namespace."""
        key = (type(found), repr(found) if isinstance(found, float) else found)  # 0.0 == -0.0, nan != nan
        if key not in self._constants:
            self._constants[key] = f"k{len(self.namespace)}"
            self.namespace[self._constants[key]] = found
        return self._constants[key]

    # ------------------------------------------------------------------- conditions

    def condition(self, condition: Condition, number: int) -> Piece:
        """*number* is what a value of an unexpected type is counted under."""
        if isinstance(condition, Leaf):
            return self.leaf(condition, number)
        if isinstance(condition, Not):
            piece = self.condition(condition.arg, number)
            return piece._replace(source=f"(not {piece.source})")
        pieces = in_order([self.condition(arg, number) for arg in condition.args])
        return _joined(pieces, is_and=isinstance(condition, And))

    def interpreted(self, condition: Condition, number: int) -> Piece:
        """For what is not worth a translation, and for values of unexpected types."""

        def ask(observation: Observation, odd: list[int]) -> bool:
            mismatched: list[str] = []
            result = holds(condition, observation, mismatched)
            odd.extend([number] * len(mismatched))
            return result

        return Piece(f"{self.constant(ask)}(observation, odd)", _INTERPRETED_COST, is_steady=False)

    def leaf(self, leaf: Leaf, number: int) -> Piece:
        if leaf.field == KEYWORDS:
            kept, piece = self.interpreted(leaf, number).source, self._keywords(leaf, number)
            return piece._replace(source=f"({piece.source} if event.raw is None else {kept})")
        if is_of_records(leaf):
            return self._of_records(leaf, number)
        holds = holds_of(leaf.field)
        if holds is None or not all(_is_translated(test, leaf.field, holds) for test in leaf.tests):
            return self._addresses(leaf, number) or self.interpreted(leaf, number)
        if leaf.field in GUARDED:
            return self._guarded(leaf, holds)
        first, name, cost = self._read_late(leaf.field)
        typed = self._tests(leaf, _Words(f"{name}.lower()", name), holds)
        cost += typed.cost
        if sort_of(leaf.field) == "sure":
            return Piece(_or_absent(leaf, f"{first} is not None", typed.source), cost, is_steady=True)
        odd = self.interpreted(leaf, number).source
        result = f"not {typed.source}" if leaf.is_negated else typed.source
        source = f"({_absent(leaf)} if {first} is None else {result} if {_IS[holds].format(name)} else {odd})"
        return Piece(source, cost, is_steady=False)

    def _of_records(self, leaf: Leaf, number: int) -> Piece:
        """Nothing is counted of fields that have no type. Most events carry no record, and are done soon."""
        source = self.interpreted(leaf, number).source
        if not any(name in FIELDS for name in leaf.reads()):
            source = f"({_absent(leaf)} if event.raw is None else {source})"
        return Piece(source, _INTERPRETED_COST, is_steady=True)

    def _keywords(self, leaf: Leaf, number: int) -> Piece:
        """Each test may hold of another text. Values of unexpected types are not counted."""
        if not GUARDED.keys() >= set(KEYWORD_FIELDS) or not all(
            isinstance(t, Text | Regex) for t in leaf.tests
        ):
            return self.interpreted(leaf, number)
        anywhere = [
            _joined([self.leaf(Leaf(name, (test,)), number) for name in KEYWORD_FIELDS], is_and=False)
            for test in leaf.tests
        ]
        piece = _joined(anywhere, is_and=leaf.needs_all)
        return piece._replace(source=f"(not {piece.source})") if leaf.is_negated else piece

    def _guarded(self, leaf: Leaf, holds: Holds) -> Piece:
        name = self.variable(leaf.field)
        typed = self._tests(leaf, _Words(name, self._written(leaf)), holds)
        if equal_to(leaf) or (not leaf.is_negated and leaf.tests and all(map(_says_present, leaf.tests))):
            return typed  # what is absent is none of these
        present = name if holds == "text" else f"{name} is not None"
        if leaf.is_negated:
            present = " and ".join((present, *map(self.variable, leaf.reads()[1:])))
        return Piece(_or_absent(leaf, present, typed.source), typed.cost, is_steady=True)

    def _addresses(self, leaf: Leaf, number: int) -> Piece | None:
        """A test of networks: what is no address is of an unexpected type."""
        is_text = leaf.field in GUARDED and holds_of(leaf.field) == "text"
        if not is_text or not all(isinstance(test, Cidr) for test in leaf.tests):
            return None
        written = self._written(leaf, is_needed=True)
        first, name = self._once(f"{leaf.field} as an address", f"{self.constant(_address)}({written})")
        within = " and " if leaf.needs_all else " or "
        within = within.join(_within(test.network, name) for test in leaf.tests if isinstance(test, Cidr))
        result = f"not ({within})" if leaf.is_negated else f"({within})"
        odd = self.interpreted(leaf, number).source
        source = f"({written} and ({odd} if {first} is None else {result}))"
        return Piece(source, CHEAP, is_steady=False)

    # -------------------------------------------------------------------- variables

    def variable(self, field: str) -> str:
        """The variable of a guarded *field*."""
        return self.guarded.setdefault(field, f"v{len(self.guarded) + len(self._late)}")

    def _written(self, leaf: Leaf, *, is_needed: bool = False) -> str:
        """The variable of the field's text as it is written, where a test asks for it."""
        if is_needed or any(_keeps_case(test) for test in leaf.tests):
            return self.as_written.setdefault(leaf.field, f"w{self.variable(leaf.field)}")
        return ""

    def _read_late(self, field: str) -> tuple[str, str, int]:
        """(expression that reads *field* unless that has been done, its variable after that, cost)."""
        if field in EASY:
            return *self._once(field, f"({EASY[field]})"), _EASY_COST
        return *self._once(field, f"{self.constant(FIELDS[field].get)}(observation)"), _GETTER_COST

    def _once(self, key: str, source: str) -> tuple[str, str]:
        """(expression that is *source* when first evaluated, its variable after that)."""
        name = self._late.setdefault(key, f"v{len(self.guarded) + len(self._late)}")
        return f"({name} if {name} is not ... else ({name} := {source}))", name

    @property
    def late(self) -> list[str]:
        """Variables that are read when first asked for; `...` until then."""
        return list(self._late.values())

    # ------------------------------------------------------------------------ tests

    def _tests(self, leaf: Leaf, words: _Words, holds: Holds) -> Piece:
        """The tests of *leaf* on a value that is there and of the right type; before `neq`."""
        if holds == "text":
            pieces = self._texts(leaf, words)
        else:
            name = words.written or words.lower
            pieces = [Piece(self._number(test, name), 1, is_steady=True) for test in leaf.tests]
        return _joined(in_order(pieces), is_and=leaf.needs_all)

    def _number(self, test: Test, name: str) -> str:
        match test:
            case Same(bool() as expected):
                return f"{name} is {expected}"
            case Same(number):
                return f"{name} == {self.constant(number)}"
            case Compare(operator, number):
                return f"{name} {_OPERATORS[operator]} {self.constant(number)}"
        return str(isinstance(test, Exists) and test.is_present)

    def _texts(self, leaf: Leaf, words: _Words) -> list[Piece]:
        alike: dict[tuple[str, str], list[str]] = {}  # texts of which any will do, by subject and shape
        pieces = []
        for test in leaf.tests:
            if isinstance(test, Text) and (found := shape_of(test)) and found[0] != "contains":
                subject = words.written if test.is_cased else words.lower
                if leaf.needs_all:
                    pieces.append(self._any_of(subject, found[0], [found[1]]))
                else:
                    alike.setdefault((subject, found[0]), []).append(found[1])
            else:
                pieces.append(self._text(test, words))
        return pieces + [self._any_of(subject, shape, texts) for (subject, shape), texts in alike.items()]

    def _any_of(self, subject: str, shape: str, texts: list[str]) -> Piece:
        if shape == "whole":
            operator, whole = ("==", texts[0]) if len(texts) == 1 else ("in", frozenset(texts))
            return Piece(f"({subject} {operator} {self.constant(whole)})", 1, is_steady=True)
        ends = texts[0] if len(texts) == 1 else tuple(texts)
        return _if_sound(f"{subject}.{shape}with({self.constant(ends)})", subject)

    def _text(self, test: Test, words: _Words) -> Piece:
        match test:
            case Exists(is_present):
                return Piece(str(is_present), 0, is_steady=True)
            case Refers(field, relation):
                other = self.variable(field)
                source = _RELATIONS[relation].format(_ONE_SIGMA.format(words.lower), _ONE_SIGMA.format(other))
                return Piece(f"({other} != '' and {source})", CHEAP, is_steady=True)
            case Regex(pattern, flags):
                search = f"{self.constant(compile_regex(pattern, flags).search)}({words.written}) is not None"
                needle = needle_of(pattern, flags)
                if not needle:
                    return Piece(f"({search})", _REGEX_COST, is_steady=True)
                source = f"({self.constant(needle)} in {words.lower} and {search})"
                return Piece(source, _NEEDLE_COST, is_steady=True)
            case Text():
                shape = shape_of(test)
                if shape is None:
                    matches = self.constant(partial(text_matches, test))
                    return Piece(f"{matches}({words.written})", _REGEX_COST, is_steady=True)
                subject = words.written if test.is_cased else words.lower
                return _if_sound(f"{self.constant(shape[1])} in {subject}", subject)
        return Piece("False", 0, is_steady=True)  # Null


class _Words(NamedTuple):
    """Expressions for the text in lower case and as it is written."""

    lower: str
    written: str


def in_order(pieces: Sequence[Piece]) -> list[Piece]:
    """*pieces*, the cheap ones first, except that nothing overtakes what is not steady."""
    ordered: list[Piece] = []
    for is_steady, run in groupby(pieces, key=lambda piece: piece.is_steady):
        ordered += sorted(run, key=lambda piece: piece.cost if is_steady else 0)
    return ordered


def equal_to(leaf: Leaf) -> frozenset[str] | None:
    """The texts, in lower case and none of them empty, one of which *leaf* demands of a guarded field."""
    if leaf.is_negated or (leaf.needs_all and len(leaf.tests) > 1) or holds_of(leaf.field) != "text":
        return None
    shapes = [shape_of(t) if isinstance(t, Text) and not t.is_cased else None for t in leaf.tests]
    texts = frozenset(s[1] for s in shapes if s is not None and s[0] == "whole")
    is_so = leaf.field in GUARDED and all(s is not None and s[0] == "whole" for s in shapes)
    return texts if is_so and texts and "" not in texts else None


def shape_of(test: Text) -> tuple[Literal["whole", "starts", "ends", "contains"], str] | None:
    """What *test* comes to if it is one text, in lower case unless cased, with at most `*` at its ends."""
    if has_sigma(test):
        return None
    parts = [p if test.is_cased or isinstance(p, int) else p.lower() for p in test.parts]
    texts = [p for p in parts if isinstance(p, str)]
    text = texts[0] if texts else ""
    if parts == texts and len(parts) <= 1:
        return "whole", text
    if not _is_sound(text):
        return None
    if parts == [text, MANY]:
        return "starts", text
    if parts == [MANY, text]:
        return "ends", text
    return ("contains", text) if parts == [MANY, text, MANY] else None


def _is_sound(text: str) -> bool:
    """A lone surrogate is no text: patterns do not match it."""
    try:
        return text.isascii() or text.encode() is not None
    except UnicodeError:
        return False


def _if_sound(source: str, subject: str) -> Piece:
    """`encode` raises where there is a lone surrogate, and the interpreter decides."""
    sound = f"({source} and ({subject}.isascii() or {subject}.encode() is not None))"
    return Piece(sound, CHEAP, is_steady=True)


def _joined(pieces: Sequence[Piece], *, is_and: bool) -> Piece:
    if len(pieces) == 1:
        return pieces[0]
    source = f"({(' and ' if is_and else ' or ').join(p.source for p in pieces)})" if pieces else str(is_and)
    return Piece(source, sum(p.cost for p in pieces), all(p.is_steady for p in pieces))


def _is_translated(test: Test, name: str, holds: Holds) -> bool:
    """Is *test* one for values of this type? Anything else is left to the interpreter."""
    match test:
        case Null() | Exists():
            return True
        case Text() | Regex():
            return holds == "text"
        case Same(expected):
            return holds == ("flag" if isinstance(expected, bool) else "number")
        case Compare():
            return holds == "number"
        case Refers(other, relation):
            are_texts = holds == holds_of(other) == "text" and {name, other} <= GUARDED.keys()
            return are_texts and relation in _RELATIONS
    return False


def _keeps_case(test: Test) -> bool:
    return isinstance(test, Regex) or (isinstance(test, Text) and (test.is_cased or shape_of(test) is None))


def _says_present(test: Test) -> bool:
    """Is the generated test false of an absent value, which is "" or None, by itself?"""
    if isinstance(test, Text):
        shape = shape_of(test)
        return shape is not None and shape[1] != ""
    return isinstance(test, Same)


def _absent(leaf: Leaf) -> bool:
    """What *leaf* says of a field that is absent."""
    results = [isinstance(t, Null) or (isinstance(t, Exists) and not t.is_present) for t in leaf.tests]
    return not leaf.is_negated and (all(results) if leaf.needs_all else any(results))


def _or_absent(leaf: Leaf, present: str, typed: str) -> str:
    if leaf.is_negated:
        return f"({present} and not {typed})"
    return f"(not ({present}) or {typed})" if _absent(leaf) else f"({present} and {typed})"


@lru_cache(maxsize=4096)
def _address(text: str) -> int | None:
    """The address as a number; those of version 6 lie above those of version 4. None: it is none."""
    address = address_of(text)
    return None if address is None else int(address) + (_VERSION_6 if address.version == 6 else 0)


def _within(network: str, name: str) -> str:
    parsed = ip_network(network)
    above = _VERSION_6 if parsed.version == 6 else 0
    return f"{int(parsed[0]) + above} <= {name} <= {int(parsed[-1]) + above}"
