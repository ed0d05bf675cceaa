"""What is told about matches: alerts, and the changes that readers of the alert topic see."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Literal
from zlib import crc32

import msgspec

from correlator.frame import Binding, Fact
from correlator.timeline.live import Scalar


class Alert(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One episode of one rule and entity. Equal alerts are told once."""

    uid: str
    rule: str
    entity: str
    severity: str
    decided_ms: int
    event_id: str  # completed the first match
    evidence: tuple[str, ...]
    values: tuple[tuple[str, Scalar], ...] = ()
    confidence: Literal["low", "high"] = "high"
    repeats: tuple[str, ...] = ()  # ids of events that completed later matches; the newest 100
    repeat_count: int = 0
    count: int = 1
    assumed: tuple[
        str, ...
    ] = ()  # what completeness rests on: "reader group 7 quiet since 19:02, taken as complete"
    is_shadow: bool = False
    is_summary: bool = False  # of all that is beyond the rule's budget
    storm: str = ""  # uid of the alert that is told instead of it
    is_refuted: bool = False  # by what is known now it would not be raised, and its rule says: retract never


Activity = Literal["create", "update", "close"]


class Change(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What readers must be told so that they hold what is believed now."""

    activity: Activity
    alert: Alert
    correlation_uid: str  # stays with the story while uids come and go
    reason: str = ""  # of a close: retracted | superseded | moved | mode_changed | rule_removed
    superseded_by: str = ""  # close
    supersedes: str = ""  # create
    because: tuple[str, ...] = ()  # ids of the late events that caused it


def alert_uid(rule: str, entity: str, event_id: str) -> str:
    """Deterministic: no rule version, no text, no arrival time."""
    return blake2b(f"{rule}\0{entity}\0{event_id}".encode(), digest_size=8).hexdigest()


def line_of(rule: str, *, is_shadow: bool) -> str:
    """What is counted together: of a rule, what is told in shadow apart."""
    return f"{rule} shadow" if is_shadow else rule


def stamp(crc: int, changes: Iterable[Change]) -> int:
    """Running CRC of what was published: (uid, state) in order. The same log gives the same value."""
    for change in changes:
        crc = crc32(f"{change.alert.uid}\0{change.activity}\0{change.reason}".encode(), crc)
    return crc


def stamp_facts(crc: int, facts: Iterable[Fact], bindings: Iterable[Binding]) -> int:
    """*crc* with what entities told each other: (fact id, operation) in order, and what was passed on."""
    for fact in facts:
        crc = crc32(f"{fact.entity}\0{fact.event.id}\0{fact.is_held:d}".encode(), crc)
    for binding in bindings:
        crc = crc32(f"{binding.entity}\0{binding.credential}\0{binding.version}".encode(), crc)
    return crc
