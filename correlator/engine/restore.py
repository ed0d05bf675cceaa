"""How a partition comes back: newest checkpoint, then silent replay of *keyed* up to the committed offset.

The order matters. The stable committed offset is asked first; then the high watermark of the checkpoint
partition, open transactions included, up to which it is read: with the last stable offset instead, a
checkpoint whose markers are still landing would be missed. The replay publishes nothing; it recomputes the
running stamp, and a difference to the one that was committed means that the state is not a function of the
log any more: the operator is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from correlator.engine.bundles import Bundles
from correlator.engine.checkpoint import (
    MANIFEST_KEY,
    REBUILD,
    UNREADABLE,
    Manifest,
    decode_manifest,
    read_newest,
)
from correlator.engine.frames import frame_of
from correlator.engine.ports import Committed, LogReader, LogTruncated, LogUnavailable, TopicPartition
from correlator.engine.topics import ANEW, EngineRefusal, Topics
from correlator.frame import Frame
from correlator.models.scorer import Scorer
from correlator.models.scorer import decode as decode_scorer
from correlator.models.state import StateFormatError
from correlator.pipeline import InForce, fold_step
from correlator.timeline.partition import Partition
from correlator.timeline.state import StateError

FRAMES_PER_SLICE = 4
UNSTAMPED = "unstamped"  # beside an offset that we set without a stamp; Kafka's own tools write ""


class Stamp(msgspec.Struct, frozen=True):
    """What a commit says beside its offset: running CRC of what was published, and the bundle."""

    crc: int
    bundle: str

    def text(self) -> str:
        return f"1 {self.crc:08x} {self.bundle}"


def parse_stamp(text: str) -> Stamp | None:
    """The stamp in a commit's metadata; None for anything that this version did not write."""
    parts = text.split(" ")
    if len(parts) != 3 or parts[0] != "1":
        return None
    try:
        return Stamp(int(parts[1], 16), parts[2])
    except ValueError:
        return None


class Restored(msgspec.Struct):
    partition: Partition
    force: InForce
    offset: int
    crc: int
    expected_crc: int  # differs from *crc*: the replay did not publish what had been published
    replayed: int  # frames
    events: int  # in them


class Restore:
    """One partition on its way back. `advance` does a slice; `restored` is there when it is done."""

    def __init__(
        self, log: LogReader, topics: Topics, bundles: Bundles, number: int, committed: Committed | None
    ) -> None:
        self.restored: Restored | None = None
        self.remaining = 0
        self.image_end = 0  # of its partition of the checkpoint topic, when that was read
        self._is_rebuild = False
        self._log, self._topics, self._bundles, self._number = log, topics, bundles, number
        self._committed = committed
        self._keyed = TopicPartition(topics.keyed, number)
        self._steps = self._run()

    def advance(self) -> bool:
        """Do one slice; True when the partition is back. Raises `EngineRefusal`."""
        try:
            next(self._steps, None)
        except LogUnavailable:
            self._steps = self._run()  # from the beginning, when the log is back
            raise
        except LogTruncated as error:
            raise self._unreachable(str(error)) from error
        except UNREADABLE as error:  # a timeline is decoded when an event touches it
            raise self._damaged(f"a record of it cannot be read ({error})") from error
        return self.restored is not None

    @property
    def waiting(self) -> str:
        """How far it is, for a person."""
        keyed = self._topics.keyed
        what = f"has no checkpoint, is rebuilt from {keyed}" if self._is_rebuild else "restores"
        return f"partition {self._number} {what}: {self.remaining} records left"

    @property
    def _name(self) -> str:
        return f"{self._keyed.topic}/{self._number}"

    def _run(self) -> Iterator[None]:
        self._bundles.look()
        self._check_partitions()  # first: one that was added has no checkpoint to be asked for
        where = TopicPartition(self._topics.checkpoints, self._number)
        self.image_end = self._log.high_watermark(where)
        newest: Mapping[bytes, bytes] = {}
        for left, newest in read_newest(self._log, where, self.image_end):  # noqa: B007 - the last one counts
            self.remaining = left
            yield
        raw = newest.get(MANIFEST_KEY)
        manifest = None if raw is None else decode_manifest(raw, where)
        entities = [(k.decode(errors="replace"), v) for k, v in newest.items() if k != MANIFEST_KEY]
        self._is_rebuild = manifest is None and self._committed is not None
        self._check(manifest, len(entities))
        offset, crc = (manifest.offset, manifest.crc) if manifest else (0, 0)
        force = InForce() if manifest is None else self._bundles.in_force(manifest.versions)
        partition = self._fresh() if manifest is None else self._load(manifest, force, entities)
        yield
        end = self._committed.offset if self._committed else 0
        replayed = events = 0
        self.remaining = end - offset
        for record in self._log.read(self._keyed, offset, end):
            frame = frame_of(record, partition.codes)
            if isinstance(frame, Frame):
                force = self._bundles.after(force, frame.activate, partition.now_ms)
                crc = fold_step(frame, partition, force).stamp(crc)
                events += len(frame.rows) + len(frame.facts)
            replayed += 1
            self.remaining = end - record.offset - 1
            if replayed % FRAMES_PER_SLICE == 0:
                yield
        partition.take_counters()  # what a replay counts was counted before
        if manifest is not None and replayed and self._committed is not None and not self._committed.metadata:
            raise self._untold(manifest.offset, end)
        said = parse_stamp(self._committed.metadata) if self._committed else None
        self.restored = Restored(partition, force, end, crc, said.crc if said else crc, replayed, events)

    def _fresh(self) -> Partition:
        return Partition(InForce().program, Scorer(self._number), self._number)

    def _load(self, manifest: Manifest, force: InForce, entities: list[tuple[str, bytes]]) -> Partition:
        try:
            return Partition.restore(force.program, decode_scorer, manifest.rest, entities)
        except (StateError, StateFormatError) as error:
            if error.__cause__ is None:  # whole, but of another version
                raise EngineRefusal(f"{self._topics.checkpoints}/{self._number}: {error}.") from error
            raise self._damaged(f"a record of it cannot be read ({error})") from error
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise self._damaged(f"a record of it cannot be read ({error})") from error

    def _check(self, manifest: Manifest | None, entities: int) -> None:
        """Refuse what would give a wrong state. Every message says what to do."""
        self._check_log(manifest)
        if manifest is not None:
            self._check_manifest(manifest, entities)

    def _check_partitions(self) -> None:
        active = self._bundles.active
        found = max(self._log.partitions(self._topics.keyed), self._number + 1)
        expected = found if active is None else self._bundles.get(active.bundle).intake.partitions
        if found != expected:
            raise EngineRefusal(
                f"{self._topics.keyed} has {found} partitions, but this state was made when it had "
                f"{expected}: every entity would change its owner. Their number is fixed for life. "
                "Create the topic anew with the old number: what was learnt survives that (`correlator state "
                f"export`). Or {ANEW}."
            )

    def _check_manifest(self, manifest: Manifest, entities: int) -> None:
        if manifest.entities not in (-1, entities):
            deleted = (
                "Records were deleted from it: `correlator topics check` says whether its settings are right"
            )
            written = "Somebody else wrote to it: take away that writer's rights"
            why = deleted if entities < manifest.entities else written
            raise self._damaged(f"it holds {entities} entities of {manifest.entities}. {why}")
        if self._committed is None:
            raise EngineRefusal(
                f"{self._name}: there is a checkpoint at offset {manifest.offset}, but the consumer group "
                f"has no committed offset: it expired or was deleted. {self._set_to(manifest.offset)}"
            )
        if self._committed.offset < manifest.offset:
            raise EngineRefusal(
                f"{self._name}: the checkpoint is at offset {manifest.offset}, the group only at "
                f"{self._committed.offset}: its offset was reset. {self._set_to(manifest.offset)}"
            )

    def _set_to(self, offset: int) -> str:
        return (
            "Stop all that correlate and set the offset of group "
            f"{self._topics.group('correlate')} to {offset}: `correlator state offsets DIR` does, of all "
            "partitions. Alerts of what was read since are then told again, under the same uids."
        )

    def _untold(self, start: int, end: int) -> EngineRefusal:
        """What is committed with an offset has been told; nobody can say so of one that somebody else set."""
        return EngineRefusal(
            f"{self._name}: somebody set the offset of the group to {end}, and the checkpoint is at {start}: "
            f"what is between them would be folded, and never told of. {self._set_to(start)}"
        )

    def _check_log(self, manifest: Manifest | None) -> None:
        """Does it still hold what is to be replayed?"""
        first, start = self._log.begin_offset(self._keyed), manifest.offset if manifest else 0
        if start < first:
            raise self._unreachable(f"it begins at offset {first}, the state needs it from {start}")
        known = max(start, self._committed.offset if self._committed else 0)
        end = self._log.high_watermark(self._keyed)
        if end < known:
            raise EngineRefusal(
                f"{self._name}: the log ends at offset {end}, but was read up to {known}: the topic was "
                f"created anew, or lost records. Restore it from a backup, or {ANEW}."
            )

    def _damaged(self, what: str) -> EngineRefusal:
        return EngineRefusal(
            f"{self._topics.checkpoints}/{self._number}: the checkpoint is damaged: {what}. {REBUILD}"
        )

    def _unreachable(self, what: str) -> EngineRefusal:
        return EngineRefusal(
            f"{self._name}: the log no longer reaches back to the newest checkpoint ({what}). The state "
            f"cannot be rebuilt without a gap. Restore the topic from a backup. Or go on with what was "
            "learnt, and without what is gone: `correlator state export DIR FILE`, "
            f"`correlator state forget DIR {self._number}`, `correlator state import DIR FILE --partition "
            f"{self._number}`; and give the topic a longer retention."
        )
