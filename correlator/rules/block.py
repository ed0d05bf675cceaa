"""The `correlator:` block of a rule: what Sigma lacks. Unknown keys are errors, for a misspelt one would
be silent.

Reads mappings, says what is wrong where, and answers with a `Block`. What needs the field table is checked
in `check`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import msgspec

from correlator.event import DAY_MS, HOUR_MS, KINDS, MINUTE_MS, SECOND_MS, EntityKind
from correlator.problem import Lines, Path, Problem
from correlator.rules.rule import Settle

KEYS = (
    "entity", "settle", "suppress", "retract", "any_age", "evidence", "controls", "tests",
)  # fmt: skip
ENTITIES: tuple[EntityKind, ...] = ("identity", "door")
SUPPRESS_MS = HOUR_MS  # of a detection rule that does not say; a correlation's is its timespan
MAX_WAIT_MS = 15 * MINUTE_MS

_DURATION = re.compile(r"([+-]?)([0-9]{1,9})(ms|s|m|h|d|w)")
_UNITS = {"ms": 1, "s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}


class Block(msgspec.Struct):
    """The block as read. None: not said."""

    entity: EntityKind | None = None
    settle: Settle | None = None
    suppress_ms: int | None = None
    may_retract: bool = True
    is_any_age: bool = False
    evidence: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    tests: object = None


class Reader:
    """Collects problems while mappings of one document are read."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.problems: list[Problem] = []

    def say(self, path: Path, message: str) -> None:
        self.problems.append(self.lines.problem(path, message))

    def mapping(self, found: object, path: Path, keys: Sequence[str]) -> dict[str, object]:
        """*found* as a mapping with no other keys than *keys*; {} where it is none."""
        if not isinstance(found, dict):
            self.say(path, f"must be a mapping of: {', '.join(keys)}")
            return {}
        for key in found:
            if key not in keys:
                self.say((*path, key), f"unknown key {key!r}{nearest(key, keys)}")
        return found

    def choice(self, found: object, path: Path, choices: Sequence[str]) -> str | None:
        if isinstance(found, str) and found in choices:
            return found
        self.say(path, f"must be one of: {', '.join(choices)}")
        return None

    def duration(self, found: object, path: Path, at_least_ms: int | None = 0) -> int | None:
        """Milliseconds of *found*, such as 30s, 5m, 8h, 2d, -1h (None for *at_least_ms* allows the past)."""
        parsed = _DURATION.fullmatch(found) if isinstance(found, str) else None
        if parsed is None:
            self.say(path, "must be a duration such as 30s, 5m, 8h or 2d")
            return None
        sign, number, unit = parsed.groups()
        duration_ms = int(number) * _UNITS[unit] * (-1 if sign == "-" else 1)
        if at_least_ms is not None and duration_ms < at_least_ms:
            self.say(path, "must not be negative" if at_least_ms == 0 else "is too short")
            return None
        return duration_ms

    def texts(self, found: object, path: Path) -> tuple[str, ...]:
        if isinstance(found, list) and all(isinstance(text, str) for text in found):
            return tuple(found)
        self.say(path, "must be a list of texts")
        return ()


def nearest(name: str, names: Sequence[str] | Mapping[str, object]) -> str:
    """`: did you mean X?`, or nothing."""
    found = get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f": did you mean {found[0]}?" if found else ""


def read_block(found: object, lines: Lines) -> tuple[Block, list[Problem]]:
    """The block *found* under the key `correlator`, as far as it can be read, and what is wrong with it."""
    reader, path = Reader(lines), ("correlator",)
    block = Block()
    section = reader.mapping(found, path, KEYS)
    if "entity" in section:
        entity = reader.choice(section["entity"], (*path, "entity"), ENTITIES)
        block.entity = next((e for e in ENTITIES if e == entity), None)
    if "settle" in section:
        block.settle = _settle(reader, section["settle"], (*path, "settle"))
    if "suppress" in section:
        suppress = reader.mapping(section["suppress"], (*path, "suppress"), ("for",))
        if "for" in suppress:
            block.suppress_ms = reader.duration(suppress["for"], (*path, "suppress", "for"))
        elif isinstance(section["suppress"], dict):
            reader.say((*path, "suppress"), "says no time: suppress: {for: 1h}")
    if "retract" in section:
        retract = reader.choice(section["retract"], (*path, "retract"), ("default", "never"))
        block.may_retract = retract != "never"
    if "any_age" in section:
        block.is_any_age = _truth(reader, section["any_age"], (*path, "any_age"))
    for key in ("evidence", "controls"):
        if key in section:
            setattr(block, key, reader.texts(section[key], (*path, key)))
    block.tests = section.get("tests")
    return block, reader.problems


def _truth(reader: Reader, found: object, path: Path) -> bool:
    if isinstance(found, bool):
        return found
    reader.say(path, "must be true or false")
    return False


def _settle(reader: Reader, found: object, path: Path) -> Settle | None:
    keys = ("feed", "at", "grace", "max_wait", "on_incomplete")
    section = reader.mapping(found, path, keys)
    for key in ("feed", "at", "grace"):
        if key not in section and isinstance(found, dict):
            reader.say(path, f"{key} is missing: settle: {{feed: access, at: place.site, grace: 2m}}")
    if not all(key in section for key in ("feed", "at", "grace")):
        return None
    named = reader.choice(section["feed"], (*path, "feed"), KINDS[:3])
    kind = next((k for k in KINDS if k == named), None)
    at = section["at"]
    if not isinstance(at, str):
        reader.say((*path, "at"), "must be the name of a field that holds a site, such as place.site")
    grace_ms = reader.duration(section["grace"], (*path, "grace"))
    wait_ms: int | None = MAX_WAIT_MS
    if "max_wait" in section:
        wait_ms = reader.duration(section["max_wait"], (*path, "max_wait"))
    choices = ("inconclusive", "fire")
    incomplete = section.get("on_incomplete", "inconclusive")
    fires = reader.choice(incomplete, (*path, "on_incomplete"), choices) == "fire"
    if kind is None or not isinstance(at, str) or grace_ms is None or wait_ms is None:
        return None
    return Settle(kind, at, grace_ms, wait_ms, fires)
