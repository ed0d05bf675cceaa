"""The whole path on one screen: what becomes of a raw record, and of a frame.

    raw topics -> intake_step -> frames on *keyed* -> correlate_step -> alerts

Values only move right. A stage takes the previous stage's type and gives the next one's; a refused record is a value.
May not know: Kafka, files, clocks. When to read and when to commit is the engine's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zlib import crc32

import msgspec

from correlator.alerts.ocsf import render
from correlator.alerts.text import RuleText
from correlator.frame import Frame
from correlator.intake.intake import Intake, IntakeConfig, Taken
from correlator.record import Record
from correlator.timeline.alert import Change
from correlator.timeline.partition import Partition
from correlator.timeline.program import Program
from correlator.timeline.settings import Settings

ALERT_PARTITIONS = 6  # fixed: all changes of an entity go through one partition, in order


class Bundle(msgspec.Struct, frozen=True):
    """Everything that can change an alert, immutable. *hash* is that of the documents it was read from."""

    hash: str
    program: Program
    intake: IntakeConfig
    settings: Settings
    texts: Mapping[str, RuleText]  # by rule id: what an alert quotes of its rule


class Output(msgspec.Struct, frozen=True):
    """A record to be sent. *topic* is its role (`alerts`); the engine knows the full name."""

    topic: str
    partition: int
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Correlated(msgspec.Struct, frozen=True):
    """What one frame changed: *changes* in the order in which they were folded, *alerts* the same as records."""

    changes: Sequence[Change]
    alerts: Sequence[Output]


def intake_step(records: Sequence[Record], clock_ms: int, intake: Intake) -> Taken:
    """Decode, map, normalise, resolve, place, route: raw records become frames for the partitions of *keyed*."""
    return intake.intake_step(records, clock_ms)


def correlate_step(frame: Frame, partition: Partition, bundle: Bundle) -> Correlated:
    """Insert the frame's events, fold each entity once, and say what readers of the alerts must be told."""
    changes = partition.step(frame)
    return Correlated(changes, [_alert(change, partition, bundle) for change in changes])


def _alert(change: Change, partition: Partition, bundle: Bundle) -> Output:
    alert = change.alert
    evidence = partition.events(alert.entity, (*alert.evidence, *alert.repeats))
    text = bundle.texts[alert.rule]
    document = render(change, evidence, text, partition.person(alert.entity), bundle.hash)
    where = crc32(alert.entity.encode()) % ALERT_PARTITIONS
    return Output("alerts", where, alert.uid.encode(), _json(document), _cloud_event(change))


def _cloud_event(change: Change) -> tuple[tuple[str, bytes], ...]:
    """CloudEvents 1.0 in Kafka's binary mode. Deterministic, like the document: no time of publishing."""
    return (
        ("ce_specversion", b"1.0"),
        ("ce_id", f"{change.alert.uid}:{change.activity}:{change.alert.count}".encode()),
        ("ce_source", b"/correlator"),
        ("ce_type", f"correlator.alert.{change.activity}".encode()),
        ("ce_subject", change.alert.entity.encode()),
        ("content-type", b"application/json"),
    )


_json = msgspec.json.Encoder(order="deterministic").encode
