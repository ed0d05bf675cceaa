"""Tests of fields that a source's own record has: several values, and types that nobody declared.

A test holds if it holds of any value. A value is taken as what the test is about: a number as text where text
is asked for, "4625" as a number where a number is. So rules that were written for a vendor's fields mean here
what they mean elsewhere, and no value has an unexpected type.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from operator import ge, gt, le, lt

from correlator.event import SECOND_MS
from correlator.rules.rule import (
    KEYWORDS,
    Cidr,
    Compare,
    Exists,
    Leaf,
    Null,
    Refers,
    Regex,
    Same,
    Test,
    Text,
    TimePart,
)
from correlator.rules.uncased import uncased
from correlator.timeline.fields import FIELDS, value
from correlator.timeline.observation import Observation
from correlator.timeline.raw import Member, Members, as_text, has_parts, members

Holds = Callable[[Test, Member, Observation], bool | None]  # `interpret.test_holds`

_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")
_ORDER = {"lt": lt, "lte": le, "gt": gt, "gte": ge}


def is_of_records(leaf: Leaf) -> bool:
    """Does *leaf* ask for anything that is no field of the reference?"""
    if leaf.field not in FIELDS:
        return leaf.field != KEYWORDS
    return any(isinstance(test, Refers) and test.field not in FIELDS for test in leaf.tests)


def leaf_holds_of_records(leaf: Leaf, observation: Observation, holds: Holds) -> bool:
    found = _values(observation, leaf.field)
    is_null = not found and not has_parts(observation, leaf.field)
    results = [
        is_null if isinstance(test, Null) else _any_holds(test, found, observation, holds)
        for test in leaf.tests
    ]
    result = all(results) if leaf.needs_all else any(results)
    if not leaf.is_negated:
        return result
    others = (_values(observation, test.field) for test in leaf.tests if isinstance(test, Refers))
    return bool(found) and all(others) and not result


def _values(observation: Observation, name: str) -> Members | None:
    if name not in FIELDS:
        return members(observation, name)
    found = value(observation, name)
    return None if found is None else (found,)


def _any_holds(test: Test, found: Members | None, observation: Observation, holds: Holds) -> bool:
    match test:
        case Exists(is_present):
            return (found is not None) is is_present
        case Refers(name, relation):
            others = _values(observation, name) or ()
            return any(_relates(relation, one, other) for one in found or () for other in others)
    taken = (_as_asked(test, member) for member in found or ())
    return any(holds(test, member, observation) is True for member in taken if member is not None)


def _as_asked(test: Test, member: Member) -> Member | None:
    """*member* as the type that *test* is about; None where it is none."""
    match test:
        case Text() | Regex() | Cidr():
            return as_text(member)
        case Same(bool()):
            return {"true": True, "false": False}.get(as_text(member).lower())
        case Same() | Compare():
            return as_number(member)
        case TimePart():
            return _as_time_ms(member)
    return member


def as_number(member: Member) -> int | float | None:
    """*member* as the number that it is, or that it is written as; None where it is none."""
    if isinstance(member, bool):
        return None
    if isinstance(member, int | float):
        return member
    found = _NUMBER.fullmatch(member.strip())
    if found is None:
        return None
    return int(member) if found[1] is None and found[2] is None else float(member)


def _as_time_ms(member: Member) -> int | None:
    """Milliseconds since the epoch, as they are or of an ISO 8601 text; UTC where it does not say."""
    if not isinstance(member, str):
        return member if isinstance(member, int) and not isinstance(member, bool) else None
    try:
        moment = datetime.fromisoformat(member)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * SECOND_MS
    except (ValueError, OverflowError):
        return None


def _relates(relation: str, one: Member, other: Member) -> bool:
    if relation in _ORDER:
        left, right = as_number(one), as_number(other)
        return left is not None and right is not None and _ORDER[relation](left, right)
    text, piece = uncased(as_text(one)), uncased(as_text(other))
    if relation == "starts":
        return text.startswith(piece)
    if relation == "ends":
        return text.endswith(piece)
    return piece in text if relation == "contains" else text == piece
