"""The `correlator:` block of a rule: what Sigma lacks. Unknown keys are errors, for a misspelt one would
be silent.

Reads mappings, says what is wrong where, and answers with a `Block`. What needs the field table is checked
in `check`. Its keys are those of the table in `schema`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import get_args

import msgspec

from correlator.event import DAY_MS, HOUR_MS, KINDS, MINUTE_MS, EntityKind, Kind
from correlator.problem import Lines, Path, Problem
from correlator.rules.reading import Reader
from correlator.rules.requires import Requires
from correlator.rules.rule import Severity
from correlator.rules.schema import ENTITIES, FEEDS, LEVELS, MODES, TABLE
from correlator.timeline.program import Budget

_SETTLE = ("feed", "at", "grace", "max_wait", "on_incomplete")

SUPPRESS_MS = HOUR_MS  # of a detection rule that does not say; a correlation's is its timespan
MAX_WAIT_MS = 15 * MINUTE_MS


class SettleSection(msgspec.Struct):
    """`settle` as written. None: not said."""

    feed: Kind | None = None
    at: str | None = None
    grace_ms: int | None = None
    max_wait_ms: int = MAX_WAIT_MS
    said: frozenset[str] = frozenset()  # keys that are there, right or wrong


class Expiry(msgspec.Struct, frozen=True):
    """An exception holds to the end of the day *on*, UTC."""

    on: date
    reason: str
    owner: str


class SeverityLevels(msgspec.Struct, frozen=True):
    """The level by the value of the field *by*, values as written."""

    by: str
    levels: tuple[tuple[str, Severity], ...]


class Block(msgspec.Struct):
    """The block as read. None: not said."""

    entity: EntityKind | None = None
    mode: str = "alert"
    settle: SettleSection | None = None
    fires_incomplete: bool = False
    suppress_ms: int | None = None
    may_retract: bool = True
    is_any_age: bool = False
    severity_by: SeverityLevels | None = None
    evidence: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    owner: str = ""
    review_by: date | None = None
    expires: Expiry | None = None
    budget: Budget | None = None
    entities_max: int = 0
    risk: int = 0
    requires: Requires | None = None
    tests: object = None
    keys: frozenset[str] = frozenset()  # that are there, right or wrong


def read_block(found: object, lines: Lines) -> tuple[Block, list[Problem]]:
    """The block *found* under the key `correlator`, as far as it can be read, and what is wrong with it."""
    reader, path = Reader(lines), ("correlator",)
    section = reader.mapping(found, path, tuple(TABLE))
    block = Block(keys=frozenset(section))
    for key, read in _READERS.items():
        if key in section:
            read(reader, block, section[key], (*path, key))
    _incomplete(reader, block, section)
    block.tests = section.get("tests")
    return block, reader.problems


def _entity(reader: Reader, block: Block, found: object, path: Path) -> None:
    entity = reader.choice(found, path, ENTITIES)
    block.entity = next((kind for kind in get_args(EntityKind) if kind == entity), None)


def _mode(reader: Reader, block: Block, found: object, path: Path) -> None:
    block.mode = reader.choice(found, path, MODES) or "alert"


def _settle(reader: Reader, block: Block, found: object, path: Path) -> None:
    section = reader.mapping(found, path, _SETTLE, "settle: {feed: access, at: place.site, grace: 2m}")
    settle = block.settle = SettleSection(said=frozenset(section))
    if "feed" in section:
        named = reader.choice(section["feed"], (*path, "feed"), FEEDS)
        settle.feed = next((k for k in KINDS if k == named), None)
    if "at" in section:
        if isinstance(section["at"], str):
            settle.at = section["at"]
        else:
            reader.say((*path, "at"), "must be the name of a field that holds a site, such as place.site")
    if "grace" in section:
        settle.grace_ms = reader.duration(section["grace"], (*path, "grace"))
    if "max_wait" in section:
        wait_ms = reader.duration(section["max_wait"], (*path, "max_wait"))
        settle.max_wait_ms = MAX_WAIT_MS if wait_ms is None else wait_ms


def _incomplete(reader: Reader, block: Block, section: Mapping[str, object]) -> None:
    """`on_incomplete` may stand in the block, or in its `settle`."""
    settle, path = section.get("settle"), ("correlator",)
    said: dict[Path, object] = {}
    if "on_incomplete" in section:
        said[*path, "on_incomplete"] = section["on_incomplete"]
    if isinstance(settle, dict) and "on_incomplete" in settle:
        said[*path, "settle", "on_incomplete"] = settle["on_incomplete"]
    chosen = {reader.choice(found, place, ("inconclusive", "fire")) for place, found in said.items()}
    if len(chosen) > 1:
        reader.say((*path, "on_incomplete"), "differs from settle.on_incomplete: say it once")
    block.fires_incomplete = "fire" in chosen


def _suppress(reader: Reader, block: Block, found: object, path: Path) -> None:
    suppress = reader.mapping(found, path, ("for",), "suppress: {for: 1h}")
    if "for" in suppress:
        block.suppress_ms = reader.duration(suppress["for"], (*path, "for"))
    elif isinstance(found, dict):
        reader.say(path, "says no time: suppress: {for: 1h}")


def _retract(reader: Reader, block: Block, found: object, path: Path) -> None:
    block.may_retract = reader.choice(found, path, ("default", "never")) != "never"


def _any_age(reader: Reader, block: Block, found: object, path: Path) -> None:
    block.is_any_age = reader.truth(found, path)


def _severity(reader: Reader, block: Block, found: object, path: Path) -> None:
    section = reader.mapping(found, path, ("by", "levels"))
    by, levels = section.get("by"), section.get("levels")
    if not isinstance(by, str) or not isinstance(levels, dict) or not levels:
        reader.say(path, "says a field and levels: severity: {by: place.criticality, levels: {4: high}}")
        return
    chosen: list[tuple[str, Severity]] = []
    for value, word in levels.items():
        level = next((each for each in LEVELS if each == word), None)
        if level is None:
            reader.say((*path, "levels", value), f"must be one of: {', '.join(LEVELS)}")
        else:
            chosen.append((value, level))
    block.severity_by = SeverityLevels(by, tuple(chosen))


def _texts(reader: Reader, block: Block, found: object, path: Path) -> None:
    setattr(block, str(path[-1]), reader.texts(found, path))


def _owner(reader: Reader, block: Block, found: object, path: Path) -> None:
    block.owner = reader.text(found, path)


def _review_by(reader: Reader, block: Block, found: object, path: Path) -> None:
    block.review_by = reader.day(found, path)


def _expires(reader: Reader, block: Block, found: object, path: Path) -> None:
    section = reader.mapping(found, path, ("on", "reason", "owner"))
    for key in ("on", "reason", "owner"):
        if key not in section:
            reader.say(path, f"{key} is missing: expires: {{on: 2027-01-31, reason: …, owner: …}}")
    if not all(key in section for key in ("on", "reason", "owner")):
        return
    on = reader.day(section["on"], (*path, "on"))
    reason, owner = (reader.text(section[key], (*path, key)) for key in ("reason", "owner"))
    if on is not None:
        block.expires = Expiry(on, reason, owner)


def _budget(reader: Reader, block: Block, found: object, path: Path) -> None:
    section = reader.mapping(found, path, ("alerts", "per", "entities"), "budget: {alerts: 3, per: 8h}")
    if not isinstance(found, dict):
        return
    if "entities" in section:
        block.entities_max = reader.number(section["entities"], (*path, "entities"), 1, 100_000) or 0
        if section.keys() == {"entities"}:  # for the rest of the budget is of alerts of one entity
            return
    for key in ("alerts", "per"):
        if key not in section:
            reader.say(path, f"{key} is missing: budget: {{alerts: 3, per: 8h}}")
    if not {"alerts", "per"} <= section.keys():
        return
    alerts = reader.number(section.get("alerts"), (*path, "alerts"), 1, 1_000)
    per_ms = reader.duration(section.get("per"), (*path, "per"), at_least_ms=1)
    if per_ms is not None and per_ms > DAY_MS:
        reader.say((*path, "per"), "is longer than a day: alerts are counted from the start of the UTC day")
    elif alerts is not None and per_ms is not None:
        block.budget = Budget(alerts, per_ms)


def _risk(reader: Reader, block: Block, found: object, path: Path) -> None:
    block.risk = reader.number(found, path, 0, 100) or 0


def _requires(reader: Reader, block: Block, found: object, path: Path) -> None:
    section = reader.mapping(found, path, ("feeds", "exit_reads", "warm_model"))
    named = reader.texts(section.get("feeds", []), (*path, "feeds"))
    for at, feed in enumerate(named):
        reader.choice(feed, (*path, "feeds", at), FEEDS)
    exits, warm = (reader.truth(section.get(k, False), (*path, k)) for k in ("exit_reads", "warm_model"))
    block.requires = Requires(tuple(kind for kind in KINDS if kind in named), exits, warm)


_READERS: dict[str, Callable[[Reader, Block, object, Path], None]] = {
    "entity": _entity,
    "mode": _mode,
    "settle": _settle,
    "retract": _retract,
    "any_age": _any_age,
    "suppress": _suppress,
    "severity": _severity,
    "budget": _budget,
    "risk": _risk,
    "requires": _requires,
    "evidence": _texts,
    "controls": _texts,
    "owner": _owner,
    "review_by": _review_by,
    "expires": _expires,
}
