"""Reading mappings that somebody wrote: each value as what it should be, or a problem with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from math import isfinite

from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from correlator.problem import Lines, Path, Problem

_DURATION = re.compile(r"([+-]?)([0-9]{1,9})(ms|s|m|h|d|w)")
LONGEST_MS = 36_500 * DAY_MS  # what is longer is a slip, and no date can be told of it
VALUES_SHOWN = 5  # of a list, in texts for people
BEGUN_MIN = 4  # characters of a name that is not finished
TEXT_SHOWN = 60  # characters of a value
_UNITS = {"ms": 1, "s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}


class Reader:
    """Collects problems while mappings of one document are read."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.problems: list[Problem] = []

    def say(self, path: Path, message: str) -> None:
        self.problems.append(self.lines.problem(path, message))

    def warn(self, path: Path, message: str) -> None:
        self.problems.append(self.lines.problem(path, message, "warning"))

    def mapping(self, found: object, path: Path, keys: Sequence[str], example: str = "") -> dict[str, object]:
        """*found* as a mapping with no other keys than *keys*, {} where it is none; *example* is one."""
        if not isinstance(found, dict):
            such = f", such as {example}" if example else ""
            self.say(path, f"must be a mapping of: {', '.join(keys)}{such}")
            return {}
        for key in found:
            if key not in keys:
                self.say((*path, key), f"unknown key {key!r}{nearest(key, keys)}")
        return found

    def choice(self, found: object, path: Path, choices: Sequence[str]) -> str | None:
        if isinstance(found, str) and found in choices:
            return found
        near = nearest(found, choices) if isinstance(found, str) else ""
        self.say(path, f"must be one of: {', '.join(choices)}{near}")
        return None

    def duration(self, found: object, path: Path, at_least_ms: int | None = 0) -> int | None:
        """Milliseconds of *found*, such as 30s, 5m, 8h, 2d, -1h (None for *at_least_ms* allows the past)."""
        duration_ms = duration_of(found)
        if duration_ms is None:
            such = "such as 30s, 5m, 8h or 2d"
            self.say(path, f"must be a duration {such}: a whole number and one of ms, s, m, h, d, w")
            return None
        if abs(duration_ms) > LONGEST_MS:
            self.say(path, f"is longer than {spell(LONGEST_MS)}")
            return None
        if at_least_ms is not None and duration_ms < at_least_ms:
            self.say(
                path,
                "must not be negative"
                if at_least_ms == 0
                else f"is too short: at least {spell(at_least_ms)}",
            )
            return None
        return duration_ms

    def truth(self, found: object, path: Path) -> bool:
        if isinstance(found, bool):
            return found
        self.say(path, "must be true or false")
        return False

    def text(self, found: object, path: Path) -> str:
        if isinstance(found, str) and found.strip():
            return found
        self.say(path, "must be text")
        return ""

    def number(self, found: object, path: Path, low: int, high: int) -> int | None:
        """A whole number from *low* to *high*."""
        if isinstance(found, int) and not isinstance(found, bool) and low <= found <= high:
            return found
        self.say(path, f"must be a whole number from {low} to {high}")
        return None

    def day(self, found: object, path: Path) -> date | None:
        try:
            return date.fromisoformat(found if isinstance(found, str) else "")
        except ValueError:
            self.say(path, "must be a day such as 2027-01-31")
            return None

    def texts(self, found: object, path: Path) -> tuple[str, ...]:
        if isinstance(found, list) and all(isinstance(text, str) for text in found):
            return tuple(found)
        self.say(path, "must be a list of texts")
        return ()


def duration_of(found: object) -> int | None:
    """Milliseconds of *found*, such as 30s, 5m or -1h; None where it is no duration."""
    parsed = _DURATION.fullmatch(found) if isinstance(found, str) else None
    if parsed is None:
        return None
    sign, number, unit = parsed.groups()
    return int(number) * _UNITS[unit] * (-1 if sign == "-" else 1)


def spell_number(number: float) -> str:
    """*number* for people: 1,000,000,000, not 1e+09."""
    if isfinite(number) and number == int(number):
        return f"{int(number):,}"
    return f"{number:,.6g}" if abs(number) < 1e6 or not isfinite(number) else f"{number:,.1f}"


def spell(duration_ms: int) -> str:
    """*duration_ms* as it is written in rules: 90s, 5m, 2d."""
    for unit in ("w", "d", "h", "m", "s"):
        if duration_ms and duration_ms % _UNITS[unit] == 0:
            return f"{duration_ms // _UNITS[unit]}{unit}"
    return f"{duration_ms}ms"


def spell_item(key: str, values: Sequence[object]) -> str:
    """`key: values` as it may stand in a rule, of many values the first; keywords have no key."""
    shown = [spell_value(value) for value in values[:VALUES_SHOWN]]
    if len(values) > VALUES_SHOWN:
        shown.append(f"… {len(values) - VALUES_SHOWN} more")
    text = shown[0] if len(values) == 1 else f"[{', '.join(shown)}]"
    return f"{key}: {text}" if key else f"keywords: {text}"


def spell_value(value: object) -> str:
    """*value* as it may stand in a rule."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = str(value)
    shown = text if len(text) <= TEXT_SHOWN else text[: TEXT_SHOWN - 1] + "…"
    is_plain = shown.strip() == shown != "" and (shown[0].isalnum() or shown[0] in "*./\\-_")
    return shown if is_plain or not isinstance(value, str) else f"'{shown}'"


def nearest(name: str, names: Sequence[str] | Mapping[str, object]) -> str:
    """`: did you mean X?`, or nothing."""
    meant = closest(name, names)
    return f": did you mean {meant}?" if meant else ""


def closest(name: str, names: Sequence[str] | Mapping[str, object]) -> str:
    """The one of *names* that *name* is a slip of, or that it begins, or nothing."""
    begun = [each for each in names if each.startswith(name)] if len(name) >= BEGUN_MIN else []
    if len(begun) == 1:
        return begun[0]
    return next(iter(get_close_matches(name, list(names), n=1, cutoff=0.6)), "")
