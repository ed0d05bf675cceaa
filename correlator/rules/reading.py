"""Reading mappings that somebody wrote: each value as what it should be, or a problem with its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from correlator.problem import Lines, Path, Problem
from correlator.spelling import LONGEST_MS, duration_of, nearest, spell


class Reader:
    """Collects problems while mappings of one document are read."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.problems: list[Problem] = []

    def say(self, path: Path, message: str) -> None:
        self.problems.append(self.lines.problem(path, message))

    def warn(self, path: Path, message: str) -> None:
        self.problems.append(self.lines.problem(path, message, "warning"))

    def mapping(
        self,
        found: object,
        path: Path,
        keys: Sequence[str],
        example: str = "",
        of_others: Mapping[str, str] | None = None,
    ) -> dict[str, object]:
        """*found* as a mapping with no other keys than *keys*, {} where it is none; *example* is one.

        *of_others*: keys that others have, with what is to be done instead.
        """
        if not isinstance(found, dict):
            such = f", such as {example}" if example else ""
            self.say(path, f"must be a mapping of: {', '.join(keys)}{such}")
            return {}
        for key in found:
            if key not in keys:
                hint = (of_others or {}).get(key)
                self.say((*path, key), f"unknown key {key!r}{f': {hint}' if hint else nearest(key, keys)}")
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
