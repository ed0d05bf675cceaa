"""Mappings of a configuration file, read field by field: whatever is wrong becomes a problem with its place.

A reader goes on after an error with a harmless value, so that all errors of a file are found at once. A key
that nobody knows is an error and names the nearest known one.

May not know: YAML, files, what the fields mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from correlator.event import DAY_MS
from correlator.problem import Lines, Path, Problem, has_errors
from correlator.spelling import duration_of


class Report:
    """Collects the problems of one file."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.problems: list[Problem] = []

    def problem(self, path: Path, message: str) -> None:
        self.problems.append(self._lines.problem(path, message))

    def line(self, path: Path) -> int:
        return self._lines.at(path)[0]

    @property
    def has_errors(self) -> bool:
        return has_errors(self.problems)


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'zone'?)`, or nothing where no known name is close."""
    close = get_close_matches(name, sorted(known), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""


class Fields:
    """One mapping at *path*. With *known*, other keys are problems."""

    def __init__(self, value: object, path: Path, report: Report, known: Iterable[str] | None = None) -> None:
        self.path = path
        self.report = report
        self._values: dict[str, object] = {}
        if isinstance(value, dict):
            self._values = value
        else:
            report.problem(path, f"expected fields with values, found {described(value)}")
        if known is not None:
            allowed = tuple(known)
            for key in self._values:
                if key not in allowed:
                    message = f"unknown key {key!r}{nearest(key, allowed)}; known: {', '.join(allowed)}"
                    report.problem((*path, key), message)

    def problem(self, name: str, message: str) -> None:
        self.report.problem((*self.path, name) if name else self.path, message)

    def keys(self) -> list[str]:
        return list(self._values)

    def has(self, name: str) -> bool:
        return self._values.get(name) is not None

    def value(self, name: str) -> object:
        return self._values.get(name)

    def text(self, name: str, *, required: bool = False) -> str:
        """Text, or "" where it is absent. A whole number counts as text: ids are often written so."""
        value = self._values.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and (value or not required):
            return value
        if value is None or value == "":
            if required:
                self.problem(name, f"{name} is missing")
        else:
            self.problem(name, f"expected text, found {described(value)}")
        return ""

    def number(self, name: str, low: float, high: float, *, required: bool = False) -> float | None:
        """A number from *low* to *high*, or None where it is absent or wrong."""
        value = self._values.get(name)
        if value is None:
            if required:
                self.problem(name, f"{name} is missing")
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            self.problem(name, f"expected a number, found {described(value)}")
        elif not low <= value <= high:
            self.problem(name, f"{value} is not between {low:g} and {high:g}")
        else:
            return float(value)
        return None

    def whole(self, name: str, low: int, high: int, default: int) -> int:
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        self.problem(name, f"expected a whole number from {low} to {high}, found {described(value)}")
        return default

    def duration(self, name: str, most_ms: int) -> int | None:
        """Milliseconds of a duration such as 90s, 5m, 8h or 2d; None where it is absent or wrong. *most_ms*:
        whole days.
        """
        value = self._values.get(name)
        if value is None:
            return None
        duration_ms = duration_of(value, is_signed=False)
        if duration_ms is None:
            self.problem(name, f"expected a duration such as 90s, 5m, 8h or 2d, found {described(value)}")
            return None
        if duration_ms > most_ms:
            self.problem(name, f"longer than {most_ms // DAY_MS:,} days")
            return None
        return duration_ms

    def flag(self, name: str) -> bool:
        value = self._values.get(name)
        if value is not None and not isinstance(value, bool):
            self.problem(name, f"expected true or false, found {described(value)}")
        return value is True

    def choice(self, name: str, options: Iterable[str], default: str = "") -> str:
        """One of *options*; where it is absent *default*, which "" makes required."""
        value, allowed = self._values.get(name), tuple(options)
        if value is None and default:
            return default
        if isinstance(value, str) and value in allowed:
            return value
        if value is None:
            self.problem(name, f"{name} is missing: one of {', '.join(allowed)}")
        else:
            hint = nearest(str(value), allowed)
            self.problem(name, f"expected one of {', '.join(allowed)}, found {described(value)}{hint}")
        return default

    def texts(self, name: str) -> list[tuple[Path, str]]:
        """One text or a list of them, each with its path."""
        value = self._values.get(name)
        path = (*self.path, name)
        rows = (
            list(enumerate(value)) if isinstance(value, list) else [(-1, value)] if value is not None else []
        )
        found: list[tuple[Path, str]] = []
        for index, item in rows:
            at = path if index < 0 else (*path, index)
            if isinstance(item, str | int) and not isinstance(item, bool) and item != "":
                found.append((at, str(item)))
            else:
                self.report.problem(at, f"expected text, found {described(item)}")
        return found

    def rows(self, name: str, known: Iterable[str]) -> list[Fields]:
        """The mappings of the list *name*; none where it is absent."""
        value = self._values.get(name)
        path = (*self.path, name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.report.problem(path, f"expected a list, found {described(value)}")
            return []
        allowed = tuple(known)
        return [Fields(row, (*path, index), self.report, allowed) for index, row in enumerate(value)]

    def part(self, name: str, known: Iterable[str] | None = None) -> Fields | None:
        """The mapping *name*, or None where it is absent."""
        value = self._values.get(name)
        return None if value is None else Fields(value, (*self.path, name), self.report, known)


def described(value: object) -> str:
    """*value* as a message names it."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "fields"
    if isinstance(value, list):
        return "a list"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
