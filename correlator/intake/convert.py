"""The closed set of converters that a feed file may apply to a value, as one table: `CONVERTERS`.

A converter is made at load from its parameter and is then a closure of one value. It never sees None (what is
absent stays absent), and gives a value, None for "the source does not say", or raises `Unfit`, which
`Feed.map` turns into a `Reject` with one of `REASONS`.

May not know: which field it serves, files, the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from math import isfinite
from typing import cast

import msgspec

from correlator.intake.instants import (
    REPEATED,
    SITE,
    UNITS,
    Repeated,
    Unfit,
    Unit,
    Zone,
    of_epoch,
    of_format,
    of_iso,
    parse_zone,
    reads_back,
)
from correlator.intake.words import BACNET_MAX, outcome_of_code, reason_of_code, reason_of_name
from correlator.problem import Lines, Path, Problem

REASONS = frozenset(
    {
        "wrong_type",
        "bad_time",
        "time_without_zone",
        "time_repeated",
        "bad_number",
        "unknown_value",
    }
)

Convert = Callable[[object], object]

OTHERS = "*"  # key of an enum table for every value that is not in it


class BadParameter(Exception):
    """A converter cannot be made. *path*: the part of its parameter that is wrong."""

    def __init__(self, message: str, path: Path = ()) -> None:
        super().__init__(message)
        self.path = path


class Converter(msgspec.Struct, frozen=True):
    """A row of the table. *make*: from the parameter (None: none was written) or raises `BadParameter`."""

    make: Callable[[object], Convert]
    doc: str
    gives_time: bool = False


class Chain(msgspec.Struct, frozen=True):
    """Converters one after the other. *words*: all that can come out, where the last one is an enum table."""

    steps: tuple[Convert, ...]
    gives_time: bool = False
    words: dict[str, object] | None = None
    words_path: Path = ()  # of that table, below the chain


def parse_chain(spec: object, lines: Lines, path: Path, zone: str = "") -> tuple[Chain | None, list[Problem]]:
    """What the `convert` at *path* asks for: one converter or a list, each a name or `name: parameter`.

    *zone*: the feed's, for local times whose converter names none.
    """
    steps = spec if isinstance(spec, list) else [spec]
    made: list[Convert] = []
    problems: list[Problem] = []
    last = ("", cast("object", None))
    for index, step in enumerate(steps):
        at = (*path, index) if isinstance(spec, list) else path
        last = _name_and_parameter(step)
        try:
            made.append(_make(*last, zone))
        except BadParameter as bad:
            problems.append(lines.problem((*at, *bad.path), str(bad)))
    if problems or not made:
        return None, problems or [lines.problem(path, f"expected one of: {', '.join(CONVERTERS)}")]
    words = cast("dict[str, object]", last[1]) if last[0] == "enum" else None
    table: Path = (len(steps) - 1, "enum") if isinstance(spec, list) else ("enum",)
    return Chain(tuple(made), CONVERTERS[last[0]].gives_time, words, table), []


def _name_and_parameter(step: object) -> tuple[str, object]:
    if isinstance(step, dict) and len(step) == 1:
        ((name, parameter),) = step.items()
        return str(name), parameter
    return (step, None) if isinstance(step, str) else ("", None)


def _make(name: str, parameter: object, zone: str) -> Convert:
    converter = CONVERTERS.get(name)
    if converter is None:
        near = get_close_matches(name, CONVERTERS, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(CONVERTERS)}"
        raise BadParameter(f"unknown converter {name!r}{hint}" if name else f"expected a converter{hint}")
    try:
        return converter.make(_zoned(parameter, zone) if name in {"iso", "local"} else parameter)
    except BadParameter as bad:
        bad.path = (name, *bad.path)
        raise


# ------------------------------------------------------------------------ times


def _zoned(parameter: object, zone: str) -> object:
    """*parameter* of a converter of local times with the feed's *zone*, if it names none itself."""
    if zone and parameter is None:
        return {"zone": zone}
    return {"zone": zone, **parameter} if zone and isinstance(parameter, dict) else parameter


def _epoch(parameter: object) -> Convert:
    if parameter not in UNITS:
        raise BadParameter(f"epoch needs its unit, one of: {', '.join(UNITS)}")
    unit: Unit = parameter
    return lambda value: of_epoch(value, unit)


def _iso(parameter: object) -> Convert:
    if parameter is None:
        return lambda value: of_iso(value, None)
    fields = {"zone": parameter} if isinstance(parameter, str) else parameter
    zone, repeated = _zone_and_repeated(fields, ("zone", "repeated"))
    return lambda value: of_iso(value, zone, repeated)


def _local(parameter: object) -> Convert:
    zone, repeated = _zone_and_repeated(parameter, ("format", "zone", "repeated"))
    form = parameter.get("format") if isinstance(parameter, dict) else None
    if not isinstance(form, str):
        raise BadParameter("local needs a format like %Y-%m-%d %H:%M:%S")
    wrong = reads_back(form)
    if wrong:
        raise BadParameter(wrong, ("format",))
    return lambda value: of_format(value, form, zone, repeated)


def _zone_and_repeated(fields: object, known: tuple[str, ...]) -> tuple[Zone, Repeated]:
    if not isinstance(fields, dict):
        raise BadParameter(f"expected the fields {', '.join(known)}")
    for name in fields:
        if name not in known:
            raise BadParameter(f"unknown field; there are: {', '.join(known)}", (name,))
    name = fields.get("zone")
    zone: Zone | None = SITE if name == SITE else parse_zone(name) if isinstance(name, str) else None
    if zone is None:
        at: Path = ("zone",) if "zone" in fields else ()
        raise BadParameter(
            f"{name!r} is no time zone of the IANA data base, like Europe/Lisbon, nor site", at
        )
    repeated = fields.get("repeated", "order")
    if repeated not in REPEATED:
        raise BadParameter(f"expected one of: {', '.join(REPEATED)}", ("repeated",))
    return zone, cast("Repeated", repeated)


# ----------------------------------------------------------------- words, pieces


def _enum(parameter: object) -> Convert:
    if not isinstance(parameter, dict) or not parameter:
        raise BadParameter("enum needs a table: value of the source -> our word, * for all others")
    table: dict[str, object] = {}
    for key, word in parameter.items():
        if isinstance(word, list | dict):
            raise BadParameter("expected one word", (key,))
        table[key] = None if word == "" else word
    has_others, others = OTHERS in table, table.pop(OTHERS, None)

    def convert(value: object) -> object:
        key = value if isinstance(value, str) else _key(value)
        if key in table:
            return table[key]
        if has_others:
            return others
        raise Unfit("unknown_value", f"{key[:60]!r} is not in the table")

    return convert


def _key(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) < 1 << 63:
        return str(value)
    raise Unfit("wrong_type", f"a {type(value).__name__} cannot be looked up in a table")


def _split(parameter: object) -> Convert:
    fields = parameter if isinstance(parameter, dict) else {}
    at, take = fields.get("at"), fields.get("take")
    if (
        not isinstance(at, str)
        or not at
        or isinstance(take, bool)
        or not isinstance(take, int)
        or len(fields) != 2
    ):
        raise BadParameter("split needs `at`, a text, and `take`, which piece, from 0 (or -1 for the last)")

    def convert(value: object) -> object:
        pieces = _text(value).split(at)
        return pieces[take] if -len(pieces) <= take < len(pieces) else None

    return convert


def _bacnet(parameter: object) -> Convert:
    if parameter == "reason":
        return _bacnet_reason
    if parameter == "outcome":
        return _bacnet_outcome
    raise BadParameter("bacnet needs what to take: reason or outcome")


def _bacnet_reason(value: object) -> object:
    if isinstance(value, str) and not value.strip().isdigit():
        return reason_of_name(value) or None
    code = cast("int", _int(value))
    reason = reason_of_code(code)
    if reason is None:
        raise Unfit("unknown_value", f"{code} is no BACnet access event: 0 to {BACNET_MAX}")
    return reason or None


def _bacnet_outcome(value: object) -> object:
    code = cast("int", _int(value))
    outcome = outcome_of_code(code)
    if outcome is None:
        raise Unfit("unknown_value", f"BACnet's access event {code} neither grants nor denies")
    return outcome


# ---------------------------------------------------------------- types and case


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63:
        return str(value)
    raise Unfit("wrong_type", f"a {type(value).__name__}, expected a text")


def _int(value: object) -> object:
    if isinstance(value, str):
        text = value.strip()
        if text.removeprefix("-").isdigit() and text.isascii() and len(text) < 20:
            return int(text)
        raise Unfit("bad_number", f"{value[:40]!r} is not a whole number")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unfit("wrong_type", f"a {type(value).__name__}, expected a whole number")
    return value


def _float(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Unfit("wrong_type", f"a {type(value).__name__}, expected a number")
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise Unfit("bad_number", f"{str(value)[:40]!r} is not a number") from None
    if not isfinite(found):
        raise Unfit("bad_number", f"{found} is not a number to reckon with")
    return found


_BOOLS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _bool(value: object) -> object:
    if isinstance(value, bool):
        return value
    found = _BOOLS.get(_text(value).strip().lower())
    if found is None:
        raise Unfit("unknown_value", f"{_text(value)[:40]!r} is neither true nor false")
    return found


def _plain(convert: Convert) -> Callable[[object], Convert]:
    """*make* of a converter that has no parameter."""

    def make(parameter: object) -> Convert:
        if parameter is not None:
            raise BadParameter("takes no parameter: write its name only")
        return convert

    return make


CONVERTERS: dict[str, Converter] = {
    "epoch": Converter(_epoch, "Number since 1970, UTC: `epoch: s`, `ms`, `us` or `ns`.", gives_time=True),
    "iso": Converter(
        _iso,
        "ISO 8601 with offset. `iso: Europe/Lisbon`: a time without offset is local there; in full "
        "`iso: {zone, repeated}`, see local.",
        gives_time=True,
    ),
    "local": Converter(
        _local,
        "Local time: `local: {format: '%d/%m/%Y %H:%M:%S', zone: Europe/Lisbon}`; the zone may be the "
        "feed's, or `site`: that of the site where it happened. In an hour that daylight saving skips, a "
        "clock had not gone forward yet; in one that it repeats, arrival and `event.sequence` tell which it "
        "is, else it is the first, or `repeated: first | second | reject`.",
        gives_time=True,
    ),
    "enum": Converter(
        _enum, "Table of the source's values to ours: `enum: {Y: granted, N: denied, '*': ''}`."
    ),
    "split": Converter(_split, "One piece of a text: `split: {at: '@', take: 0}`."),
    "bacnet": Converter(
        _bacnet, "BACnet's (or ONVIF's) code or name: `bacnet: reason` or `bacnet: outcome`."
    ),
    "lower": Converter(_plain(lambda value: _text(value).lower()), "Text in lower case."),
    "upper": Converter(_plain(lambda value: _text(value).upper()), "Text in upper case."),
    "strip": Converter(_plain(lambda value: _text(value).strip()), "Text without spaces at its ends."),
    "int": Converter(_plain(_int), "Whole number, also from digits."),
    "float": Converter(_plain(_float), "Number, also from text."),
    "bool": Converter(_plain(_bool), "true, yes, 1 or false, no, 0, in any case."),
}
