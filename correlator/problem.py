"""What is wrong with a file that somebody wrote: place, field, and what to do."""

from __future__ import annotations

from typing import Literal

import msgspec


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
        return f"{place}: {self.severity}:{field} {self.message}"


class BadConfiguration(Exception):
    """Files that must not be used. Carries every problem found, in file order."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))
