"""What is wrong with a file that somebody wrote: place, field, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from unicodedata import category

import msgspec

_STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, directions, ends of lines

Path = tuple[str | int, ...]  # in a document: keys of mappings, indices of lists


class Problem(msgspec.Struct, frozen=True, order=True):
    """One error or warning. Lines and columns count from 1; 0 when the whole file is meant."""

    file: str
    line: int
    column: int
    field: str  # dotted path in the document, "" for the document
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        field = f" {self.field}:" if self.field else ""
        return shown(f"{place}: {self.severity}:{field} {self.message}")


def shown(text: str) -> str:
    """*text* on one line, as a screen may be given it: what would steer a terminal stands as U+001B, …"""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character in "\n\t":
        return " "
    return f"U+{ord(character):04X}" if category(character) in _STEERING else character


class Lines:
    """Where each field of a parsed document was written. Lines and columns count from 1."""

    __slots__ = ("_places", "file")

    def __init__(self, file: str, places: Mapping[Path, tuple[int, int]] | None = None) -> None:
        self.file = file
        self._places = places or {}

    def at(self, path: Path) -> tuple[int, int]:
        """(line, column) of the key or list item at *path*; of its nearest known parent where there is
        none.
        """
        for length in range(len(path), -1, -1):
            place = self._places.get(path[:length])
            if place is not None:
                return place
        return (0, 0)

    def problem(self, path: Path, message: str, severity: Literal["error", "warning"] = "error") -> Problem:
        """A problem of the field at *path*, with the place where it was written."""
        line, column = self.at(path)
        return Problem(self.file, line, column, dotted(path), message, severity)


def dotted(path: Path) -> str:
    """`("zones", 0, "id")` as `zones[0].id`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class BadConfiguration(Exception):
    """Files that must not be used. Carries every problem found, in file order."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))
