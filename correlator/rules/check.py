"""What a rule may ask, given the field table: names, types, entity kinds, and conclusions from what was
not seen.

A rule that tests another feed's context *downward* (it holds when that feed says little or nothing) would
fire whenever the feed is a minute behind, so it must `settle`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from correlator.event import KINDS, EntityKind
from correlator.problem import Path
from correlator.rules.block import Reader, nearest
from correlator.rules.interpret import text_matches
from correlator.rules.rule import (
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
    Settle,
    Test,
    Text,
)
from correlator.timeline.fields import Field

Where = Callable[[Leaf], Path]
_NOTHING = ("", "unknown", "absent", "none", "out")  # values that say that nothing was seen


def kinds_of(condition: Condition) -> frozenset[str]:
    """Kinds of events of which *condition* can hold, as far as it says `event.kind`."""
    match condition:
        case And(args):
            return frozenset(KINDS).intersection(*map(kinds_of, args))
        case Or(args):
            return frozenset[str]().union(*map(kinds_of, args))
        case Leaf("event.kind", tests, False, False) if all(isinstance(t, Text) for t in tests):
            return frozenset(k for k in KINDS for t in tests if isinstance(t, Text) and text_matches(t, k))
    return frozenset(KINDS)


def check_name(
    reader: Reader, name: str, path: Path, entity: EntityKind, fields: Mapping[str, Field]
) -> bool:
    """Is *name* a field that the timeline of *entity* has? Says why not."""
    field = fields.get(name)
    if field is None:
        reader.say(path, f"unknown field {name!r}{nearest(name, fields)}")
    elif entity not in field.entities:
        has = " and ".join(field.entities)
        reader.say(path, f"{name} is a field of the entity {has}; this rule is evaluated on {entity}")
    else:
        return True
    return False


def check_leaf(
    reader: Reader, leaf: Leaf, path: Path, entity: EntityKind, fields: Mapping[str, Field]
) -> None:
    """The fields of *leaf* exist and have the types that it asks about."""
    known = [check_name(reader, name, path, entity, fields) for name in leaf.reads()]
    if not all(known):
        return
    field = fields[leaf.field]
    for test in leaf.tests:
        if message := _mismatch(test, field, fields):
            reader.say(path, message)


def _mismatch(test: Test, field: Field, fields: Mapping[str, Field]) -> str:
    """Why *test* can never hold of *field*, or nothing."""
    is_text, is_number = field.value_type == "str", field.value_type in {"int", "float"}
    has = f"{field.name} is {_NAMES[field.value_type]}"
    match test:
        case Text() | Regex() | Cidr() if not is_text:
            return f"{has}: write {'a number' if is_number else 'true or false'}, without quotes"
        case Compare() if not is_number:
            return f"{has}: lt, lte, gt and gte are for numbers"
        case Same(bool()) if field.value_type != "bool":
            return f"{has}, not true or false"
        case Same() if not isinstance(test.value, bool) and not is_number:
            return f"{has}: write the value in quotes" if is_text else f"{has}: write true or false"
        case Refers(name, relation):
            other = fields[name].value_type
            if is_text != (other == "str") or (field.value_type == "bool") != (other == "bool"):
                return f"{has}, {name} is {_NAMES[other]}: they are never equal"
            if relation != "equal" and not is_text:
                return f"{has}: startswith, endswith and contains are for text"
    return ""


_NAMES = {"str": "text", "int": "a number", "float": "a number", "bool": "true or false"}


def check_settle(
    reader: Reader, condition: Condition, settle: Settle | None, where: Where, fields: Mapping[str, Field]
) -> None:
    """Every conclusion from what another feed did not say is settled on that feed."""
    kinds = kinds_of(condition)
    for leaf in _downward(condition, is_negated=False):
        for name in leaf.reads():
            field = fields.get(name)
            if field is None or not field.feed or kinds == {field.feed}:
                continue
            if settle is None:
                message = (
                    f"concludes from what {field.feed} events do not say, so it must wait until they are "
                    f"complete: correlator: settle: {{feed: {field.feed}, at: place.site, grace: 2m}}"
                )
                reader.say(where(leaf), message)
            elif settle.feed != field.feed:
                message = f"concludes from what {field.feed} events do not say, but settles on {settle.feed}"
                reader.say(where(leaf), message)


def _downward(condition: Condition, *, is_negated: bool) -> list[Leaf]:
    """Leaves through which *condition* can hold because something was not seen."""
    match condition:
        case Not(arg):
            return _downward(arg, is_negated=not is_negated)
        case And(args) | Or(args):
            return [leaf for arg in args for leaf in _downward(arg, is_negated=is_negated)]
        case Leaf():
            is_downward = is_negated or condition.is_negated or any(map(_is_downward, condition.tests))
            return [condition] if is_downward else []


def _is_downward(test: Test) -> bool:
    match test:
        case Compare(operator, _):
            return operator in {"lt", "lte"}
        case Null() | Exists(False):
            return True
        case Same(value):
            return value is False or (not isinstance(value, bool) and value == 0)
        case Text():
            return any(text_matches(test, word) for word in _NOTHING)
    return False
