"""One line of a detection, `field|modifiers: values`, to leaves of our condition.

pySigma parses values and modifiers; what a value *means* is ours (`interpret`). What pySigma lacks is added
here: `utf16le`, text beyond ASCII before `base64`, all five characters of `|windash` in any number, field
references with `lt lte gt gte`, and `|expand`, which puts the values of a list in before anything else.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import Literal

from sigma.conditions import ConditionAND
from sigma.rule.detection import SigmaDetectionItem
from sigma.types import (
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

from correlator.address import plain_network
from correlator.rules.modifiers import mistake_in
from correlator.rules.rule import (
    DASH,
    KEYWORDS,
    MANY,
    ONE,
    And,
    Cidr,
    Compare,
    Condition,
    Exists,
    Leaf,
    Null,
    Part,
    Refers,
    Regex,
    Relation,
    Same,
    Test,
    Text,
    TimePart,
)
from correlator.rules.takes import Unsupported, check_values, truth
from correlator.spelling import nearest
from correlator.timeline.live import Scalar
from correlator.timeline.raw import TEXT_MAX

Lists = Mapping[str, Sequence[str | int | float]]  # of `|expand`, by name

VALUES_MAX = 10_000  # of one field, lists put in
WILDCARDS_MAX = 100  # of one text, dashes of `|windash` among them: each is a branch of a pattern

_DASH = re.compile(r"\B[-/–—―]\b")
_TOKEN = re.compile(r"\\\\|\\%|%([\w-]+)%")  # an escaped backslash, an escaped percent sign, a placeholder
_ENCODINGS = {"wide": "utf-16le", "utf16le": "utf-16le", "utf16be": "utf-16be", "utf16": "utf-16le"}
_ORDERS: dict[str, Relation] = {"lt": "lt", "lte": "lte", "gt": "gt", "gte": "gte"}
_PARTS: tuple[Part, ...] = ("minute", "hour", "day", "week", "month", "year")
_PLACED = {"startswith", "endswith", "contains"}  # modifiers that say where in a text
_LAST = {"all", "neq"}  # of all values, wherever they stand


def plain(error: Exception) -> str:
    """What *error* says, without pySigma's own places."""
    return str(error).split(" in /", maxsplit=1)[0] or type(error).__name__


def read_item(key: str, values: object, lists: Lists) -> Condition:
    """The condition that `key: values` means. *key* without a field means keywords.

    Raises Unsupported, SigmaError, and whatever pySigma raises of odd values.
    """
    field, *modifiers = key.split("|")
    mistake = mistake_in(modifiers)
    if mistake:
        raise Unsupported(mistake)
    listed: list[Scalar] = list(values) if isinstance(values, list) else [values]  # type: ignore[list-item] # checked
    if "exists" in modifiers:
        listed = [truth(value) for value in listed]
    if "expand" in modifiers:
        listed = _put_in(listed, lists)
        modifiers = [m for m in modifiers if m != "expand"]
    _check_lengths(listed, modifiers)
    modifiers.sort(key=lambda modifier: modifier in _LAST)
    order = None
    if "fieldref" in modifiers:
        order = next((_ORDERS[m] for m in modifiers if m in _ORDERS), None)
        modifiers = [m for m in modifiers if m not in _ORDERS]
    if "base64offset" in modifiers and field != KEYWORDS and _PLACED.isdisjoint(modifiers):
        raise Unsupported("|base64offset is of a part of the text: write |base64offset|contains")
    groups = _encoded(listed, modifiers)
    if len(groups) == 1:
        return _leaf(field, modifiers, groups[0], order)
    if "neq" in modifiers:
        raise Unsupported("|all with base64offset and neq: write one search per value")
    rest = [m for m in modifiers if m != "all"]
    return And(tuple(_leaf(field, rest, group, order) for group in groups))


def _leaf(field: str, modifiers: Sequence[str], values: Sequence[Scalar], order: Relation | None) -> Leaf:
    has_dashes = "windash" in modifiers
    named = ["wide" if m == "utf16le" else m for m in modifiers if m != "windash"]
    check_values(modifiers, values)
    if "re" in named:
        values, named = _anchored(values, named)
    item = SigmaDetectionItem.from_mapping("|".join([field, *named]), list(values))
    tests = tuple(
        _exact(test, written)
        for value, written in zip(item.value, values, strict=True)
        for test in _tests(value, has_dashes)
    )
    if order is not None:
        tests = tuple(_ordered(test, order) for test in tests)
    if field == KEYWORDS:
        tests = tuple(_keyword(test, is_placed=not _PLACED.isdisjoint(named)) for test in tests)
    needs_all = item.value_linking is ConditionAND and len(tests) > 1
    return Leaf(field, tests, needs_all, item.negated)


def _put_in(values: list[Scalar], lists: Lists) -> list[Scalar]:
    """*values* of `|expand`, lists put in. At least one names a list."""
    found = [(value, _pieces(value)) for value in values]
    if all(len(pieces) == 1 for _, pieces in found):
        raise Unsupported("|expand: write the name of a value list between percent signs, such as %guards%")
    return [v for value, pieces in found for v in _expanded(value, pieces, lists)]


def _pieces(value: Scalar) -> list[str]:
    """Text, name of a list, text, name, text. `\\%` is a percent sign."""
    pieces, at = [""], 0
    if not isinstance(value, str):
        return pieces
    for token in _TOKEN.finditer(value):
        pieces[-1] += value[at : token.start()]
        at = token.end()
        if token[1]:
            pieces += [token[1], ""]
        else:
            pieces[-1] += "%" if token[0].endswith("%") else token[0]
    pieces[-1] += value[at:]
    return pieces


def _expanded(value: Scalar, pieces: list[str], lists: Lists) -> list[Scalar]:
    """*value*, which consists of *pieces*, with each value of the lists that it names."""
    names = pieces[1::2]
    for name in names:
        if name not in lists:
            raise Unsupported(f"there is no value list {name!r}{nearest(name, lists)}")
        if not lists[name]:
            raise Unsupported(f"the value list {name!r} is empty: it would match nothing")
    if not names:
        return [pieces[0] if isinstance(value, str) else value]
    if len(names) == 1 and not any(pieces[::2]):
        return list(lists[names[0]])
    if prod(len(lists[name]) for name in names) > VALUES_MAX:
        raise Unsupported(f"stands for more than {VALUES_MAX} values")
    texts: list[Scalar] = []
    for found in product(*(lists[name] for name in names)):
        between = [str(v) for v in found] + [""]
        texts.append("".join(piece + put for piece, put in zip(pieces[::2], between, strict=True)))
    return texts


def _encoded(values: list[Scalar], modifiers: list[str]) -> list[list[Scalar]]:
    """*values* as base64 says, in groups of which all are needed; takes the modifiers that it did away.

    Text is encoded as UTF-8, or as the modifier before says; `utf16` begins with a byte order mark.
    """
    name = next((m for m in modifiers if m in {"base64", "base64offset"}), None)
    if name is None:
        return [values]
    before = modifiers[: modifiers.index(name)]
    encoding = next((_ENCODINGS[m] for m in before if m in _ENCODINGS), "utf-8")
    groups: list[list[Scalar]] = []
    for value in values:
        text = SigmaString(
            str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
        )
        if text.contains_special() or not text.s:
            raise Unsupported(f"|{name} is for text without wildcards")
        raw = (b"\xff\xfe" if "utf16" in before else b"") + "".join(map(str, text.s)).encode(encoding)
        if name == "base64offset" and len(raw) == 1:
            raise Unsupported("|base64offset of one character is sure of nothing: write two or more")
        groups.append([b64encode(raw).decode()] if name == "base64" else _at_offsets(raw))
    modifiers[:] = [m for m in modifiers if m not in {name, *before}]
    if "all" in modifiers and name == "base64offset" and len(groups) > 1:
        return groups
    return [[v for group in groups for v in group]]


def _at_offsets(raw: bytes) -> list[Scalar]:
    """What is sure of *raw* in base64 when zero, one or two bytes stand before it."""
    starts, ends = (0, 2, 3), (None, -3, -2)
    return [b64encode(b" " * i + raw)[starts[i] : ends[(len(raw) + i) % 3]].decode() for i in range(3)]


def _check_lengths(values: Sequence[Scalar], modifiers: Sequence[str]) -> None:
    """No field holds texts that are longer, and RE2 gives up on them somewhere."""
    for value in values:
        if not isinstance(value, str):
            continue
        if len(value) > TEXT_MAX:
            raise Unsupported(f"is a text of more than {TEXT_MAX} characters: no field holds so many")
        wildcards = 0 if "re" in modifiers else value.count("*") + value.count("?")
        wildcards += len(_DASH.findall(value)) if "windash" in modifiers else 0
        if wildcards > WILDCARDS_MAX:
            raise Unsupported(f"has more than {WILDCARDS_MAX} wildcards in one text")


def _anchored(values: Sequence[Scalar], modifiers: list[str]) -> tuple[list[Scalar], list[str]]:
    """Patterns are searched for anywhere; a modifier of place says where they begin or end."""
    before = r"\A" if "startswith" in modifiers else ""
    after = r"\z" if "endswith" in modifiers else ""
    rest = [m for m in modifiers if m not in _PLACED]
    if not before and not after:
        return list(values), rest
    return [f"{before}(?:{value}){after}" for value in values], rest


def _keyword(test: Test, *, is_placed: bool) -> Test:
    """A keyword is looked for anywhere in a text, unless it says where."""
    if isinstance(test, Same) and not isinstance(test.value, bool):
        test = Text((str(test.value),))
    if isinstance(test, Regex):
        return test
    if isinstance(test, Text) and not test.parts:
        raise Unsupported("an empty keyword looks for nothing: leave it out")
    if not isinstance(test, Text):
        raise Unsupported("keywords are texts or regular expressions: name a field for anything else")
    parts = test.parts
    if not is_placed:
        parts = (*([MANY] if parts[0] != MANY else []), *parts, *([MANY] if parts[-1] != MANY else []))
    return Text(parts, test.is_cased)


def _exact(test: Test, written: Scalar) -> Test:
    """*test* of the number *written*: beyond 2**53 pySigma keeps the nearest float."""
    if not isinstance(written, int) or isinstance(written, bool):
        return test
    if isinstance(test, Same):
        return Same(written)
    return Compare(test.operator, written) if isinstance(test, Compare) else test


def _ordered(test: Test, order: Relation) -> Test:
    assert isinstance(test, Refers)
    return Refers(test.field, order)


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
            return TimePart(_part(value), "eq", int(value.number))
        case SigmaNumber():
            return Same(value.number)
        case SigmaBool():
            return Same(value.boolean, is_truth=True)
        case SigmaNull():
            return Null()
        case SigmaExists():
            return Exists(value.exists)
        case SigmaCIDRExpression():
            return Cidr(str(plain_network(value.network)))
        case SigmaRegularExpression():
            flags = "".join(sorted(SigmaRegularExpression.sigma_to_re_flag[f] for f in value.flags))
            return Regex(str(value.regexp), flags)
        case SigmaFieldReference():
            return Refers(value.field, _relation(value))
        case SigmaCompareExpression():
            return _compare(value)
    raise Unsupported(f"values of type {type(value).__name__} are not supported")


def _relation(value: SigmaFieldReference) -> Relation:
    if value.starts_with:
        return "contains" if value.ends_with else "starts"
    return "ends" if value.ends_with else "equal"


def _part(value: SigmaTimestampPart) -> Part:
    return next(part for part in _PARTS if part == value.timestamp_part.name.lower())


def _compare(value: SigmaCompareExpression) -> Compare | TimePart:
    operators: dict[str, Literal["lt", "lte", "gt", "gte"]] = {
        "LT": "lt",
        "LTE": "lte",
        "GT": "gt",
        "GTE": "gte",
    }
    if value.op.name not in operators:
        raise Unsupported("this comparison is not supported: use lt, lte, gt or gte with a number")
    if isinstance(value.number, SigmaTimestampPart):
        return TimePart(_part(value.number), operators[value.op.name], int(value.number.number))
    return Compare(operators[value.op.name], value.number.number)


def _parts(value: SigmaString, has_dashes: bool) -> tuple[str | int, ...]:
    parts: list[str | int] = []
    for part in value.s:
        if isinstance(part, SpecialChars):
            parts.append(MANY if part is SpecialChars.WILDCARD_MULTI else ONE)
        elif has_dashes:
            pieces = _DASH.split(str(part))
            for at, piece in enumerate(pieces):
                parts += ([DASH] if at else []) + ([piece] if piece else [])
        elif part:
            parts.append(str(part))
    return tuple(parts)
