"""The file correlator.yml: what is set for the whole correlator. Every section may be absent, or the file.

    settings:            # of timeline.settings.Settings; a name without _ms takes a duration
      horizon: 24h
      travel_speed_kmh: 800
    partitions: 4        # of the keyed topic, fixed for life
    mode: shadow         # every alert told in shadow; default: as each rule says
    feeds: [badge, login, door]  # shipped feed files to use beside those in feeds/
    topics: {prefix: correlator.}
    kafka: {bootstrap_servers: localhost:9092}  # checked by the adapter that needs it

May not know: files, Kafka.
"""

from __future__ import annotations

import re

import msgspec

from correlator.event import MINUTE_MS
from correlator.intake.document import Fields, Report
from correlator.problem import Lines, Problem
from correlator.spelling import LONGEST_MS
from correlator.timeline.settings import Settings

FEEDS = ("badge", "login", "door")
PREFIX = "correlator."
PARTITIONS = 4
MODES = ("alert", "shadow")
PARTITIONS_MAX = 1_000

FEED_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}\Z")
FEED_NAME_SAID = "lower-case letters, digits and hyphens, at most 40"

_ELSEWHERE = {
    "feeds",
    "sites",
    "zones",
    "zones_by_name",
    "travel_minutes",
    "travel_ms",
}  # come from other files
_SHARES = {f"presence_{name}" for name in ("taken", "granted", "undated", "desk", "network", "doubtful")} | {
    "travel_haste"
}
_SHORTEST_MS = {"horizon": 10 * MINUTE_MS, "presence_half_life": MINUTE_MS}
_DEFAULTS = {f.name: f.default for f in msgspec.structs.fields(Settings) if f.name not in _ELSEWHERE}
_DURATIONS = {name.removesuffix("_ms"): name for name in _DEFAULTS if name.endswith("_ms")}
_LEAST = {"storm_entities": 0}  # none: no limit
_NUMBERS = [name for name in _DEFAULTS if name not in _DURATIONS.values()]


class General(msgspec.Struct, frozen=True):
    """*numbers*: the settings that the file gives, by their name in `Settings`. *feeds*: () if not given."""

    numbers: dict[str, int | float] = {}
    partitions: int = PARTITIONS
    feeds: tuple[str, ...] = ()
    prefix: str = PREFIX
    is_shadow: bool = False  # every rule

    def settings(self) -> Settings:
        """The settings, without feeds and places."""
        return msgspec.convert(self.numbers, Settings)


def parse_general(document: object, lines: Lines) -> tuple[General, list[Problem]]:
    """What correlator.yml says, and every problem: with one it serves only to find more elsewhere.

    None for *document*: there is no such file.
    """
    report = Report(lines)
    top = Fields(
        {} if document is None else document,
        (),
        report,
        ("settings", "partitions", "mode", "feeds", "topics", "kafka"),
    )
    topics = top.part("topics", ("prefix",))
    prefix = topics.text("prefix") if topics is not None and topics.has("prefix") else PREFIX
    found = General(
        _numbers(top.part("settings", [*_DURATIONS, *_NUMBERS])),
        top.whole("partitions", 1, PARTITIONS_MAX, PARTITIONS),
        _feeds(top),
        prefix,
        _is_shadow(top),
    )
    return found, report.problems


def _is_shadow(top: Fields) -> bool:
    mode = top.text("mode") if top.has("mode") else MODES[0]
    if mode not in MODES:
        top.problem("mode", f"must be one of {', '.join(MODES)}")
    return mode == "shadow"


def _feeds(top: Fields) -> tuple[str, ...]:
    """Names, which are looked for as files: whatever is none must not become a path."""
    names: list[str] = []
    for path, name in top.texts("feeds"):
        if FEED_NAME.match(name):
            names.append(name)
        else:
            top.report.problem(path, f"{name!r} is no name of a feed: {FEED_NAME_SAID}")
    return tuple(names)


def _numbers(fields: Fields | None) -> dict[str, int | float]:
    found: dict[str, int | float] = {}
    if fields is None:
        return found
    for name in fields.keys():  # noqa: SIM118 - no mapping
        value: int | float | None = None
        if name in _DURATIONS:
            value = fields.duration(name, LONGEST_MS)
            if value is not None and value < _SHORTEST_MS.get(name, 0):
                fields.problem(name, f"must be at least {_SHORTEST_MS[name] // MINUTE_MS}m")
        elif isinstance(_DEFAULTS.get(name), int):
            value = fields.whole(name, _LEAST.get(name, 1), 1_000_000, 1)
        elif name in _DEFAULTS:
            value = fields.number(name, *((0, 1) if name in _SHARES else (1, 100_000)))
        if value is not None:
            found[_DURATIONS.get(name, name)] = value
    return found
