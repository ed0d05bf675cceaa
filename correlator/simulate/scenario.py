"""What is injected into ordinary life, and the diary that keeps scenarios apart.

An *attack* must be found by its rule; a *look-alike* is the false-positive case of the catalogue and must
not alert. Nobody, and no door, carries two scenarios within `APART_DAYS`, so that an alert belongs to one
of them at most.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

APART_DAYS = 3

RULES = {
    "D01": "c0a80001-0001-4d01-8a01-000000000001",
    "D05": "c0a80001-0005-4d05-8a05-000000000005",
    "D12": "c0a80001-0012-4d12-8a12-000000000012",
    "D17": "c0a80001-0017-4d17-8a17-000000000017",
    "D18": "c0a80001-0018-4d18-8a18-000000000018",
    "D21": "c0a80001-0021-4d21-8a21-000000000021",
    "D23": "c0a80001-0023-4d23-8a23-000000000023",
    "D26": "c0a80001-0026-4d26-8a26-000000000026",
    "D28": "c0a80001-0028-4d28-8a28-000000000028",
}

Label = Literal["attack", "look-alike"]


@dataclass
class Scenario:
    """*person* is a number, -1 where a door is meant. Event ids and times come once its day is written."""

    id: str
    kind: Label
    name: str  # D01 .. D28
    variant: str
    day: int
    person: int = -1
    site: int = -1
    door: str = ""
    also: tuple[str, ...] = ()  # names of other rules that may fire as well
    event_ids: list[str] = field(default_factory=list)
    from_ms: int = 0
    to_ms: int = 0


@dataclass
class Directive:
    """How a scenario shapes the ordinary day of its person. Unset: as always."""

    is_quiet: bool = False  # no ordinary life at all
    entrance: str = ""
    interior: str = ""
    arrives: int = 0
    is_night_call: bool = False


@dataclass
class Diary:
    """Which persons and doors are taken on which days."""

    days: dict[tuple[str, int | str], set[int]] = field(default_factory=dict)

    def is_free(self, kind: str, who: int | str, day: int) -> bool:
        return all(abs(day - taken) >= APART_DAYS for taken in self.days.get((kind, who), ()))

    def is_untouched(self, person: int) -> bool:
        return not self.days.get(("person", person))

    def take(self, kind: str, who: int | str, *days: int) -> None:
        self.days.setdefault((kind, who), set()).update(days)
