"""What modifiers take as their values, in words of those who write rules: pySigma names its own classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_network

import re2

from correlator.rules.interpret import compile_regex
from correlator.spelling import spell_value
from correlator.timeline.live import Scalar

ORDERS = ("lt", "lte", "gt", "gte")
FLAGS = {"i": "i", "ignorecase": "i", "m": "m", "multiline": "m", "s": "s", "dotall": "s"}

_LONG = re.compile(r"[-+]?[0-9]{19,}")
_TAKES: dict[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(ORDERS, ((int, float), "a number, without quotes")),
    "exists": ((bool,), "true or false"),
    "cidr": ((str,), "a network such as 10.0.0.0/8"),
    "re": ((str,), "a regular expression, in quotes"),
    "fieldref": ((str,), "the name of another field"),
    **dict.fromkeys(("contains", "startswith", "endswith", "cased", "windash"), ((str,), "text, in quotes")),
}
_PARTS = ("minute", "hour", "day", "week", "month", "year")
_TRUTHS = {"yes": True, "on": True, "no": False, "off": False}


class Unsupported(Exception):
    """A value of Sigma that is not evaluated; says what to do instead."""


def check_values(modifiers: Sequence[str], values: Sequence[Scalar]) -> None:
    """Raises Unsupported where one of *values* is none that *modifiers* take."""
    if "exists" in modifiers and len(values) > 1:
        raise Unsupported("|exists takes true or false, one of them")
    _check_parts(modifiers, values)
    _check_types(modifiers, values)
    if "cidr" in modifiers:
        _check_networks(values)
    if "re" in modifiers:
        _check_patterns(values, "".join(sorted(FLAGS[m] for m in modifiers if m in FLAGS)))


def truth(value: Scalar) -> Scalar:
    """*value* of `|exists`: YAML 1.1, and with it other tools, also has words that are text here."""
    return _TRUTHS.get(value.lower(), value) if isinstance(value, str) else value


def _check_types(modifiers: Sequence[str], values: Sequence[Scalar]) -> None:
    for modifier in modifiers:
        types, what = _TAKES.get(modifier, ((object,), ""))
        for value in values:
            if modifier in ORDERS and isinstance(value, str) and _LONG.fullmatch(value):
                raise Unsupported(f"|{modifier} takes a number of at most 18 digits, not {value}")
            if not isinstance(value, types) or (isinstance(value, bool) and bool not in types and what):
                shown = repr(value) if isinstance(value, str) else spell_value(value)
                raise Unsupported(f"|{modifier} takes {what}, not {shown}")


def _check_parts(modifiers: Sequence[str], values: Sequence[Scalar]) -> None:
    """Parts of times are whole numbers; pySigma would cut the rest off."""
    part = next((m for m in modifiers if m in _PARTS), None)
    if part is not None and not all(isinstance(v, int) and not isinstance(v, bool) for v in values):
        raise Unsupported(f"|{part} is compared with whole numbers")


def _check_networks(values: Sequence[Scalar]) -> None:
    """pySigma says what is wrong, and not what to write."""
    for value in map(str, values):
        try:
            network = ip_network(value, strict=False)
        except ValueError as error:
            raise Unsupported(f"{value!r} is no network such as 10.0.0.0/8") from error
        try:
            ip_network(value)
        except ValueError as error:
            raise Unsupported(f"{value!r} is an address in a network: write {network}") from error


def _check_patterns(values: Sequence[Scalar], flags: str) -> None:
    """pySigma would compile them too, and RE2 would write what is wrong to stderr."""
    for value in values:
        try:
            compile_regex(str(value), flags)
        except re2.error as error:
            told = error.args[0] if error.args else ""
            said = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
            is_beyond = "(?" in said or "escape" in said
            hint = " (RE2 has no look-around and no backreferences)" if is_beyond else ""
            raise Unsupported(f"{str(value)!r} is no regular expression: {said}{hint}") from error
