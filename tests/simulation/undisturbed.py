"""The uninterrupted run: what the frames of *keyed* come to, folded one after the other, by no engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from correlator.engine.bundles import Bundles
from correlator.engine.frames import frame_of
from correlator.engine.metrics import alert_counters
from correlator.models.scorer import Scorer
from correlator.pipeline import InForce, correlate_step
from correlator.record import Record, Reject
from correlator.timeline.partition import Partition
from correlator.timeline.telling import Told
from tests.simulation.process import TOPICS


class Image(msgspec.Struct, frozen=True):
    """All bytes of a partition: what a checkpoint of everything would hold."""

    rest: bytes
    entities: Mapping[str, bytes | None]


def image(partition: Partition) -> Image:
    """Of a partition that nobody works with any more: a cut that is being encoded is given up."""
    partition.changed.unfreeze()
    partition.changed.add(partition.timelines)
    partition.freeze()
    entities: dict[str, bytes | None] = {}
    while some := partition.changed.slice(1_000):
        entities.update(some)
    return Image(partition.changed.rest(), entities)


class Undisturbed:
    """One partition of *keyed*; its frames are given in order."""

    def __init__(self, bundles: Bundles, number: int, frames: Iterable[Record]) -> None:
        self._force = InForce()
        self.partition = Partition(self._force.program, Scorer(number), number)
        self.crc = 0
        self.alerts: list[tuple[str, bytes]] = []  # entity and topic, record
        self.told: list[Told] = []
        self.counted: Counter[tuple[str, ...]] = Counter()
        self._bundles, self._frames = bundles, iter(frames)
        self._next = next(self._frames, None)

    @property
    def versions(self) -> tuple[tuple[int, str], ...]:
        """What is in force, as a checkpoint says it."""
        return tuple((since_ms, bundle.hash) for since_ms, bundle in self._force.versions)

    def advance(self, offset: int) -> None:
        """Fold everything before *offset*."""
        while self._next is not None and self._next.offset < offset:
            frame = frame_of(self._next, self.partition.codes)
            self._next = next(self._frames, None)
            if isinstance(frame, Reject):
                continue
            self._force = self._bundles.after(self._force, frame.activate, self.partition.now_ms)
            correlated = correlate_step(frame, self.partition, self._force, crc=self.crc)
            self.crc = correlated.folded.stamp(self.crc)
            self.told.append(correlated.folded.told)
            self.counted.update(self.partition.take_counters())
            self.counted.update(alert_counters(correlated.folded.changes))
            for change, alert in zip(correlated.folded.changes, correlated.alerts, strict=True):
                topic = TOPICS.shadow if change.alert.is_shadow else TOPICS.alerts
                self.alerts.append((f"{change.alert.entity} in {topic}", alert.value))
