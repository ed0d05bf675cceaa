"""The whole path on one screen: what becomes of a raw record, and of a frame.

    raw topics -> intake_step -> frames on *keyed* -> correlate_step -> alerts

Values only move right. A stage takes the previous stage's type and gives the next one's; a refused record
is a value. May not know: Kafka, files, clocks. When to read and when to commit is the engine's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from zlib import crc32

import msgspec

from correlator.alerts.ocsf import AlertRecord, Source, alert_record
from correlator.alerts.text import RuleText
from correlator.event import NEVER, SECOND_MS, Event, Person
from correlator.frame import Activation, Frame
from correlator.intake.intake import Intake, IntakeConfig, Taken
from correlator.record import Record
from correlator.rules.program import RuleProgram
from correlator.rules.versions import Version, Versions, reaching_back
from correlator.timeline.alert import Change, stamp, stamp_facts
from correlator.timeline.partition import Partition
from correlator.timeline.program import Program
from correlator.timeline.settings import Settings
from correlator.timeline.telling import Told

ALERT_PARTITIONS = 6  # fixed: all changes of an entity go through one partition, in order


class Bundle(msgspec.Struct, frozen=True):
    """Everything that can change an alert, immutable. *hash* is that of the documents it was read from,
    *ground* that of all of them but the rules and their lists.
    """

    hash: str
    program: Program
    intake: IntakeConfig
    settings: Settings
    texts: Mapping[str, RuleText]  # by rule id: what an alert quotes of its rule
    ground: str = ""


HORIZONS_KEPT = 2  # that a bundle is kept after another one took its place


class InForce(msgspec.Struct, frozen=True):
    """By what a partition evaluates: bundles, each from its time on. *program* is that of all of them."""

    versions: tuple[tuple[int, Bundle], ...] = ()  # (since, event time in ms), the oldest first
    program: Program = RuleProgram((), Settings())

    @property
    def hash(self) -> str:
        """Of the newest; "" before any is active."""
        return self.versions[-1][1].hash if self.versions else ""

    def warming(self, now_ms: int) -> dict[str, int]:
        """Rules of the newest that may not conclude yet from what they did not see: id -> until when (ms)."""
        until = self.program.warm_ms[-1] if isinstance(self.program, Versions) else {}
        return {rule: warm_ms for rule, warm_ms in until.items() if warm_ms > now_ms}

    def text(self, rule: str, time_ms: int) -> RuleText:
        """Of a rule that decided at *time_ms*: of the newest version that has it, of those by then."""
        texts = [
            bundle.texts for since_ms, bundle in self.versions if since_ms <= time_ms and rule in bundle.texts
        ]
        return (texts or [bundle.texts for _, bundle in self.versions if rule in bundle.texts])[-1][rule]

    def after(self, activation: Activation, bundle: Bundle, now_ms: int) -> InForce:
        """With one more, also where it reaches back beyond others, but not beyond the horizon: of what is
        older its rules are asked nothing, and must not conclude from what they did not see there.

        Forgotten are those by which nothing was evaluated that may still change: an alert is final a horizon
        after its verdict, which is taken within a horizon of its event. The last stays: in its words the
        alerts of rules that are gone are closed.
        """
        since_ms = activation.since_ms
        if self.versions and now_ms > NEVER:
            since_ms = max(since_ms, now_ms - self.program.settings.horizon_ms)
        versions = reaching_back(self.versions, since_ms, bundle)
        edge_ms = now_ms - HORIZONS_KEPT * bundle.settings.horizon_ms
        while len(versions) > 2 and versions[1][0] <= edge_ms:
            del versions[0]
        return in_force(versions)


def in_force(versions: Sequence[tuple[int, Bundle]]) -> InForce:
    if len(versions) == 1:
        return InForce(tuple(versions), versions[0][1].program)
    return InForce(tuple(versions), Versions([Version(since_ms, b.program) for since_ms, b in versions]))


def only(bundle: Bundle) -> InForce:
    """*bundle*, whenever."""
    return in_force([(NEVER, bundle)])


class Folded(msgspec.Struct, frozen=True):
    """What one frame changed, in the order in which it was folded: for readers of the alerts, and *told* for
    other entities.
    """

    changes: Sequence[Change]
    told: Told

    def stamp(self, crc: int) -> int:
        """The running stamp of what was published, *crc*, with this."""
        return stamp_facts(stamp(crc, self.changes), self.told.facts, self.told.bindings)


class Correlated(msgspec.Struct, frozen=True):
    """*alerts* are the changes of *folded*, as records."""

    folded: Folded
    alerts: Sequence[AlertRecord]


def intake_step(records: Sequence[Record], clock_ms: int, intake: Intake) -> Taken:
    """Decode, map, normalise, resolve, place, route: raw records become frames of *keyed*."""
    return intake.intake_step(records, clock_ms)


def fold_step(frame: Frame, partition: Partition, force: InForce) -> Folded:
    """Insert the frame's events and fold each entity once. *force* is what is in force with it."""
    changes: list[Change] = []
    if force.program is not partition.program:
        changes += partition.activate(force.program, force.versions[-1][0])
    changes += partition.step(frame)
    return Folded(changes, partition.take_told())


def correlate_step(frame: Frame, partition: Partition, force: InForce, *, crc: int) -> Correlated:
    """Fold *frame*, and say what readers of the alerts must be told.

    *crc* is the running stamp of what the partition has published: by it a change that is made once more
    differs from one that is delivered once more.
    """
    folded = fold_step(frame, partition, force)
    return Correlated(folded, [said.record() for said in to_say(folded.changes, partition, force, crc)])


def alert_partition(entity: str) -> int:
    """Partition of the alert topic: of the entity, so that all that is told of it is told in order."""
    return crc32(entity.encode()) % ALERT_PARTITIONS


class Saying(msgspec.Struct, frozen=True):
    """A change, and all that is said of it."""

    change: Change
    evidence: Sequence[Event]
    text: RuleText
    person: Person | None
    source: Source

    def record(self) -> AlertRecord:
        return alert_record(self.change, self.evidence, self.text, self.person, self.source)


def to_say(changes: Iterable[Change], partition: Partition, force: InForce, crc: int) -> list[Saying]:
    """Of *changes*, which *partition* has just made."""
    skew_max_s = partition.program.settings.skew_max_ms // SECOND_MS
    source = Source(force.hash, partition.now_ms, crc, skew_max_s)
    found = []
    for change in changes:
        alert = change.alert
        newest = alert.repeats[-1:]  # until when it went on
        evidence = partition.events(alert.entity, (*alert.evidence, *newest, *change.because))
        text = force.text(alert.rule, alert.decided_ms)
        found.append(Saying(change, evidence, text, partition.person(alert.entity), source))
    return found
