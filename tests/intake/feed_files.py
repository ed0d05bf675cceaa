"""Feed files and records for tests."""

from __future__ import annotations

from pathlib import Path

import msgspec

from correlator.adapters.schema_store import read_schemas
from correlator.adapters.yaml_lines import load_yaml
from correlator.intake.decode import Schemas
from correlator.intake.feeds import Feed, parse_feed
from correlator.intake.mapped import Mapped
from correlator.problem import Problem
from correlator.record import Record, Reject

ROOT = Path(__file__).parents[2]
SCHEMAS: Schemas = read_schemas(ROOT / "schemas")[0]

ACCESS = """
name: panel
topic: panel-events
format: json
kind: access
id: [panel, serial]
source: panel
time: {path: at, convert: iso}
fields:
  credential.id: card.number
  place.reader: reader
  access.outcome: {path: ok, convert: {enum: {"true": granted, "false": denied}}}
"""

RECORD: dict[str, object] = {
    "panel": "p1",
    "serial": 7,
    "at": "2026-01-09T08:31:02Z",
    "card": {"number": "4711"},
    "reader": "r1",
    "ok": True,
}


def record(value: bytes | None, headers: tuple[tuple[str, bytes], ...] = ()) -> Record:
    return Record("panel-events", 2, 41, 0, None, value, headers)


def parse(text: str, schemas: Schemas = SCHEMAS) -> tuple[Feed | None, list[Problem]]:
    document, lines, problems = load_yaml(text, "f.yml")
    feed, found = parse_feed(document, lines, "f.yml", schemas)
    return feed, problems + found


def feed_of(text: str) -> Feed:
    feed, problems = parse(text)
    assert feed is not None, problems
    return feed


def shipped_feed(name: str) -> Feed:
    return feed_of((ROOT / "feeds" / f"{name}.yml").read_text(encoding="utf-8"))


def mapped(feed: Feed, fields: dict[str, object]) -> Mapped:
    found = feed.map(record(msgspec.json.encode(fields)))
    assert isinstance(found, Mapped), found
    return found


def refused(feed: Feed, fields: dict[str, object]) -> Reject:
    found = feed.map(record(msgspec.json.encode(fields)))
    assert isinstance(found, Reject), found
    return found
