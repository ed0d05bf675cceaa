"""The whole path on one screen: what becomes of a raw record, and of a frame.

    raw topics -> intake_step -> frames on *keyed* -> correlate_step -> alerts

Values only move right. A stage takes the previous stage's type and gives the next one's; a refused record
is a value. May not know: Kafka, files, clocks. When to read and when to commit is the engine's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zlib import crc32

import msgspec

from correlator.alerts.ocsf import AlertRecord, Source, alert_record
from correlator.alerts.text import RuleText
from correlator.event import SECOND_MS
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


class Correlated(msgspec.Struct, frozen=True):
    """What one frame changed, in the order in which it was folded; *alerts* are the same as records."""

    changes: Sequence[Change]
    alerts: Sequence[AlertRecord]


def intake_step(records: Sequence[Record], clock_ms: int, intake: Intake) -> Taken:
    """Decode, map, normalise, resolve, place, route: raw records become frames of *keyed*."""
    return intake.intake_step(records, clock_ms)


def correlate_step(frame: Frame, partition: Partition, bundle: Bundle, *, crc: int) -> Correlated:
    """Insert the frame's events, fold each entity once, and say what readers of the alerts must be told.

    *crc* is the running stamp of what the partition has published: by it a change that is made once more
    differs from one that is delivered once more.
    """
    changes = partition.step(frame)
    source = Source(bundle.hash, partition.now_ms, crc, bundle.settings.skew_max_ms // SECOND_MS)
    return Correlated(changes, [_alert(change, partition, bundle, source) for change in changes])


def alert_partition(entity: str) -> int:
    """Partition of the alert topic: of the entity, so that all that is told of it is told in order."""
    return crc32(entity.encode()) % ALERT_PARTITIONS


def _alert(change: Change, partition: Partition, bundle: Bundle, source: Source) -> AlertRecord:
    alert = change.alert
    evidence = partition.events(alert.entity, (*alert.evidence, *change.because))
    return alert_record(change, evidence, bundle.texts[alert.rule], partition.person(alert.entity), source)
