"""How a feed file says where a value is and what to make of it: paths, joined paths, constants, converters.

A value is a path (`client.ipAddress`, `credentials.0.id`; a dot in a name is written `\\.`), or a mapping
with one of `path`, `paths` with `join` (absent if one of them is) or `constant`; then `convert` (one of
`CONVERTERS` or a list) and `default` for when nothing is there. Empty text counts as nothing.

May not know: which field the value is for.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from correlator.intake.canonical import Check, check_text
from correlator.intake.convert import Chain, Convert, parse_chain
from correlator.intake.decode import Decoded
from correlator.intake.document import Fields, Report, described, nearest
from correlator.intake.instants import Unfit
from correlator.problem import Lines, Path

Take = Callable[[Decoded], object]  # None: the source does not say; raises `Unfit`

_KEYS = ("path", "paths", "join", "constant", "convert", "default")
_DOT = re.compile(r"(?<!\\)\.")


class Reading(msgspec.Struct, frozen=True):
    """What a feed file is read with. *known*: fields that its records have, None where anything may be.

    *zone*: of local times without one.
    """

    report: Report
    lines: Lines
    known: tuple[str, ...] | None = None
    zone: str = ""


class Value(msgspec.Struct, frozen=True):
    """A value as written. *key*: the field of the record where it is just that, "" for longer ways."""

    get: Take
    key: str
    said: str  # for messages: the paths as written
    constant: object = None  # None for none
    default: object = None
    chain: Chain | None = None
    path: Path = ()  # in the file

    @property
    def gives_time(self) -> bool:
        return self.chain is not None and self.chain.gives_time


def read_value(spec: object, path: Path, reading: Reading) -> Value | None:
    """The value written at *path* of the file; None, with problems reported, if it is none."""
    before = len(reading.report.problems)
    fields = Fields({"path": spec} if isinstance(spec, str) else spec, path, reading.report, _KEYS)
    chain = _chain(fields, reading)
    ways = [way for way in ("path", "paths", "constant") if fields.has(way)]
    if len(ways) != 1:
        if len(reading.report.problems) == before:
            reading.report.problem(path, "expected one of: path, paths with join, constant")
        return None
    constant, default = _scalar(fields, "constant"), _scalar(fields, "default")
    at = path if isinstance(spec, str) else (*path, ways[0])
    said, get = _getter(fields, ways[0], at, reading)
    if len(reading.report.problems) > before:
        return None
    key = said.removeprefix("path ") if ways[0] == "path" and "." not in said else ""
    return Value(get, key, said, constant, default, chain, path)


def make_take(value: Value, check: Check, report: Report) -> Take:
    """*value* checked, with its default; all that is known at load is checked now, and reported."""
    default = _checked_at_load(value.default, check, (*value.path, "default"), report)
    if value.constant is not None:
        constant = _checked_at_load(value.constant, check, (*value.path, "constant"), report)
        return lambda _: constant
    chain = value.chain or Chain(())
    steps = [*chain.steps, check]
    if chain.words is not None:  # all that the table can give is checked here, so no record need be
        for word, written in chain.words.items():
            _checked_at_load(written, check, (*value.path, "convert", *chain.words_path, word), report)
        steps.pop()
    if value.key and len(steps) == 1:
        return _make_short(value.key, steps[0], default)
    return _make_long(value.get, steps, default)


def _make_short(key: str, step: Convert, default: object) -> Take:
    """The most frequent case by far: one field of the record, one step."""

    def take(decoded: Decoded) -> object:
        found = decoded.get(key)
        if found is None or found == "":
            return default
        found = step(found)
        return default if found is None else found

    return take


def _make_long(get: Take, steps: list[Convert], default: object) -> Take:
    def take(decoded: Decoded) -> object:
        found = get(decoded)
        if found == "":
            return default
        for step in steps:
            if found is None:
                return default
            found = step(found)
        return default if found is None else found

    return take


def _checked_at_load(found: object, check: Check, path: Path, report: Report) -> object:
    if found is None or found == "":
        return None
    try:
        return check(found)
    except Unfit as unfit:
        report.problem(path, str(unfit))
        return None


def _scalar(fields: Fields, name: str) -> object:
    found = fields.value(name)
    if isinstance(found, list | dict):
        fields.problem(name, f"expected one plain value, found {described(found)}")
    return found


def _chain(fields: Fields, reading: Reading) -> Chain | None:
    if not fields.has("convert"):
        return None
    chain, problems = parse_chain(
        fields.value("convert"), reading.lines, (*fields.path, "convert"), reading.zone
    )
    reading.report.problems += problems
    return chain


def _getter(fields: Fields, way: str, at: Path, reading: Reading) -> tuple[str, Take]:
    if way == "constant":
        constant = fields.value("constant")
        if fields.has("convert") or fields.has("join"):
            fields.problem("", "a constant is neither converted nor joined")
        return f"constant {constant}", lambda _: constant
    if way == "path":
        text = fields.text("path", required=True)
        return f"path {text}", _make_path(text, at, reading)
    texts = fields.texts("paths")
    separator = fields.value("join")
    if not isinstance(separator, str):
        fields.problem("join", "paths need `join`: the text between them, '' for nothing")
        separator = ""
    parts = [_make_path(text, where, reading) for where, text in texts]
    return f"paths {', '.join(text for _, text in texts)}", _joined(parts, separator)


def _joined(parts: list[Take], separator: str) -> Take:
    def take(decoded: Decoded) -> object:
        texts: list[str] = []
        for part in parts:
            found = part(decoded)
            text = None if found is None else check_text(found)
            if text is None:
                return None
            texts.append(text)
        return separator.join(texts)

    return take


def _make_path(text: str, at: Path, reading: Reading) -> Take:
    """Total: what is not there, or not a mapping or list on the way, is None."""
    steps = [step.replace("\\.", ".") for step in _DOT.split(text)]
    if not all(steps):
        reading.report.problem(at, f"{text!r} is no path like client.ipAddress")
    elif reading.known is not None and steps[0] not in reading.known:
        reading.report.problem(at, f"the schema has no field {steps[0]!r}{nearest(steps[0], reading.known)}")
    first, rest = steps[0], steps[1:]
    if not rest:
        return lambda decoded: decoded.get(first)

    def take(decoded: Decoded) -> object:
        found = decoded.get(first)
        for step in rest:
            if isinstance(found, dict):
                found = found.get(step)
            elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
                found = found[int(step)]
            else:
                return None
        return found

    return take
