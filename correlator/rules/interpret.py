"""Does a condition hold of an observation? Slow, obvious and total: the authority that faster code is
compared with.

- A field that is absent matches nothing but `null` and `exists: false`; `neq` is false of it, on either
  side.
- Text is compared without regard to case, unless `cased`.
- Values of another type than the test asks for do not match; their fields are reported to the caller, who
  counts.
- Times are read in UTC.
- Fields of a source's own record have several values and no declared type: `members`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from operator import eq, ge, gt, le, lt
from typing import Any

import re2

from correlator.address import plain_address
from correlator.event import SECOND_MS
from correlator.rules.keywords import KEYWORD_FIELDS
from correlator.rules.members import is_of_records, leaf_holds_of_records
from correlator.rules.rule import (
    DASH,
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
    Part,
    Refers,
    Regex,
    Same,
    Test,
    Text,
    TimePart,
)
from correlator.rules.uncased import SIGMAS, uncased
from correlator.timeline.fields import value
from correlator.timeline.live import Scalar
from correlator.timeline.observation import Observation
from correlator.timeline.raw import as_text, kept_of

DASHES = "-/–—―"
TIME_MAX_MS = 253_402_300_800_000  # the year 10000: what is later is no time
_ORDER = {"lt": lt, "lte": le, "gt": gt, "gte": ge, "eq": eq}


def holds(condition: Condition, observation: Observation, mismatched: list[str]) -> bool:
    """Does *condition* hold? Appends to *mismatched* the fields whose value had an unexpected type."""
    if isinstance(condition, Leaf):
        return leaf_holds(condition, observation, mismatched)
    if isinstance(condition, Not):
        return not holds(condition.arg, observation, mismatched)
    is_and = isinstance(condition, And)
    for arg in condition.args:
        if holds(arg, observation, mismatched) != is_and:
            return not is_and
    return is_and


def witnesses(condition: Condition, observation: Observation) -> list[str]:
    """Fields by which *condition*, which holds, does so: of an `or` those branches that hold, of a `not`
    none.
    """
    if isinstance(condition, Leaf):
        return [] if condition.field == KEYWORDS else [condition.field]
    if isinstance(condition, Not):
        return []
    args = condition.args
    if not isinstance(condition, And):
        args = tuple(arg for arg in args if holds(arg, observation, []))
    return [name for arg in args for name in witnesses(arg, observation)]


def leaf_holds(leaf: Leaf, observation: Observation, mismatched: list[str]) -> bool:
    if leaf.field == KEYWORDS:
        return _keywords_hold(leaf, observation)
    if is_of_records(leaf):
        return leaf_holds_of_records(leaf, observation, test_holds)
    found = value(observation, leaf.field)
    results = [test_holds(test, found, observation) for test in leaf.tests]
    if None in results:
        mismatched.append(leaf.field)
    result = all(results) if leaf.needs_all else any(results)
    if not leaf.is_negated:
        return result
    return None not in results and not result and _is_decidable(leaf, found, observation)


def _keywords_hold(leaf: Leaf, observation: Observation) -> bool:
    """Is any keyword (or is each of them) in some text of the event?"""
    texts: list[Scalar] = [value(observation, name) for name in KEYWORD_FIELDS]
    texts += [as_text(member) for found in kept_of(observation).values() for member in found]
    results = [any(test_holds(test, found, observation) for found in texts) for test in leaf.tests]
    return (all(results) if leaf.needs_all else any(results)) != leaf.is_negated


def _is_decidable(leaf: Leaf, found: Scalar, observation: Observation) -> bool:
    """Is there something to be different, on both sides?"""
    referred = [t.field for t in leaf.tests if isinstance(t, Refers)]
    return found is not None and all(value(observation, name) is not None for name in referred)


def test_holds(test: Test, found: Scalar, observation: Observation) -> bool | None:
    """Does *test* hold of the value *found*? None when its type is not one that can be tested."""
    if found is None:
        return isinstance(test, Null) or (isinstance(test, Exists) and not test.is_present)
    match test:
        case Text():
            return text_matches(test, found) if isinstance(found, str) else None
        case Exists(is_present):
            return is_present
        case Null():
            return False
        case Same(expected):
            return found == expected if _is_like(found, expected) else None
        case Compare(operator, number):
            return _ORDER[operator](found, number) if _is_number(found) else None
        case Regex(pattern, flags):
            return searches(pattern, flags, found) if isinstance(found, str) else None
        case Cidr(network):
            return _is_within(network, found)
        case Refers(name, relation):
            return _relates(relation, found, value(observation, name))
        case TimePart(part, operator, number):
            return _ORDER[operator](part_of(part, found), number) if _is_time(found) else None


def _is_time(found: Scalar) -> bool:
    return isinstance(found, int) and not isinstance(found, bool) and 0 <= found < TIME_MAX_MS


def part_of(part: Part, time_ms: Scalar) -> int:
    """The *part* of a time in ms since the epoch, in UTC."""
    assert isinstance(time_ms, int)
    moment = datetime.fromtimestamp(time_ms // SECOND_MS, UTC)
    if part == "week":
        return moment.isocalendar().week
    return int(getattr(moment, part))


def _is_number(found: Scalar) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)


def _is_like(found: Scalar, expected: Scalar) -> bool:
    if isinstance(expected, bool):
        return isinstance(found, bool)
    return _is_number(found) if _is_number(expected) else isinstance(found, str) and isinstance(expected, str)


def text_matches(test: Text, found: str) -> bool:
    if not test.is_cased:
        found = uncased(found)
    if not test.parts:
        return not found
    first = test.parts[0]
    if len(test.parts) == 1 and isinstance(first, str):  # neighbouring texts are one part
        return found == (first if test.is_cased else uncased(first))
    try:
        return _wildcards(test).fullmatch(found) is not None
    except UnicodeError:  # a lone surrogate is no text
        return False


def has_sigma(test: Text) -> bool:
    """Is there a letter whose lower case hangs on where the word ends, and so on the text around it?"""
    return not test.is_cased and any(isinstance(p, str) and not SIGMAS.isdisjoint(p) for p in test.parts)


@lru_cache(maxsize=4096)
def _wildcards(test: Text) -> Any:
    pattern = "(?s)"
    for part in test.parts:
        if isinstance(part, str):
            pattern += re2.escape(part if test.is_cased else uncased(part))
        else:
            pattern += ".*" if part == MANY else f"[{re2.escape(DASHES)}]" if part == DASH else "."
    return compile_regex(pattern, "")


def searches(pattern: str, flags: str, found: str) -> bool:
    try:
        return compile_regex(pattern, flags).search(found) is not None
    except UnicodeError:
        return False


@lru_cache(maxsize=4096)
def compile_regex(pattern: str, flags: str) -> Any:
    """RE2 of *pattern*. Raises `re2.error`; what the loader accepted does not raise again."""
    options = re2.Options()
    options.log_errors = False  # RE2 would write them to stderr
    return re2.compile(f"(?{flags}){pattern}" if flags else pattern, options)


def _is_within(network: str, found: Scalar) -> bool | None:
    if not isinstance(found, str):
        return None
    address = address_of(found)
    return None if address is None else address in _network(network)


def address_of(text: str) -> IPv4Address | IPv6Address | None:
    """The address that *text* is, None where it is none. One of version 4 written as of 6 is one of 4, and
    the zone of a local one is not part of it.
    """
    try:
        return plain_address(text.partition("%")[0])
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _network(network: str) -> IPv4Network | IPv6Network:
    return ip_network(network)


def _relates(relation: str, found: Scalar, other: Scalar) -> bool | None:
    if found is None or other is None:
        return False
    if not _is_like(found, other):
        return None
    if relation in _ORDER:
        return _ORDER[relation](found, other) if _is_number(found) else None
    if relation == "equal" and not isinstance(found, str):
        return found == other
    if not isinstance(found, str) or not isinstance(other, str):
        return None
    text, piece = uncased(found), uncased(other)
    if relation == "starts":
        return text.startswith(piece)
    if relation == "ends":
        return text.endswith(piece)
    return piece in text if relation == "contains" else text == piece
