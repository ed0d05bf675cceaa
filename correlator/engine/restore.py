"""How a partition comes back: newest checkpoint, then silent replay of *keyed* up to the committed offset.

The order matters. The stable committed offset is asked first; then the high watermark of the checkpoint
partition, open transactions included, up to which it is read: with the last stable offset instead, a
checkpoint whose markers are still landing would be missed. The replay publishes nothing; it recomputes the
running stamp, and a difference to the one that was committed means that the state is not a function of the
log any more: the operator is told.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from correlator.engine.checkpoint import MANIFEST_KEY, Manifest, decode_manifest
from correlator.engine.ports import Committed, LogReader, LogTruncated, LogUnavailable, TopicPartition
from correlator.engine.topics import EngineRefusal, Topics
from correlator.frame import FrameError, decode_frame
from correlator.models.scorer import Scorer
from correlator.models.scorer import decode as decode_scorer
from correlator.models.state import StateFormatError
from correlator.pipeline import Bundle
from correlator.timeline.partition import Partition, stamp
from correlator.timeline.state import StateError

# What bytes that nobody of us wrote raise, wherever in a checkpoint they are met first: it is decoded lazily.
UNREADABLE = (StateFormatError, UnicodeDecodeError, RecursionError, msgspec.DecodeError)
ENTITIES_PER_SLICE = 500
FRAMES_PER_SLICE = 4


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
    offset: int
    crc: int
    expected_crc: int  # differs from *crc*: the replay did not publish what had been published
    replayed: int  # frames


class Restore:
    """One partition on its way back. `advance` does a slice; `restored` is there when it is done."""

    def __init__(
        self, log: LogReader, topics: Topics, bundle: Bundle, number: int, committed: Committed | None
    ) -> None:
        self.restored: Restored | None = None
        self.remaining = 0
        self._log, self._topics, self._bundle, self._number = log, topics, bundle, number
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
        except StateError as error:
            raise EngineRefusal(f"{self._name}: {error}") from error
        except FrameError as error:
            raise EngineRefusal(f"{self._name}: cannot replay: {error}") from error
        except UNREADABLE as error:
            raise self._damaged(error) from error
        return self.restored is not None

    @property
    def _name(self) -> str:
        return f"{self._keyed.topic}/{self._number}"

    def _run(self) -> Iterator[None]:
        manifest, entities = None, list[tuple[str, bytes]]()
        for manifest, entities in self._read_checkpoint():  # noqa: B007 - the last one counts
            yield
        self._check(manifest)
        offset, crc = (manifest.offset, manifest.crc) if manifest else (0, 0)
        partition = self._fresh() if manifest is None else self._load(manifest, entities)
        yield
        end = self._committed.offset if self._committed else 0
        replayed = 0
        self.remaining = end - offset
        for record in self._log.read(self._keyed, offset, end):
            crc = stamp(crc, partition.step(decode_frame(record.value or b"")))
            replayed += 1
            self.remaining = end - record.offset - 1
            if replayed % FRAMES_PER_SLICE == 0:
                yield
        partition.take_counters()  # what a replay counts was counted before
        said = parse_stamp(self._committed.metadata) if self._committed else None
        self.restored = Restored(partition, end, crc, said.crc if said else crc, replayed)

    def _read_checkpoint(self) -> Iterator[tuple[Manifest | None, list[tuple[str, bytes]]]]:
        """Newest record of each key up to the high watermark; the last item is the whole."""
        where = TopicPartition(self._topics.checkpoints, self._number)
        end = self._log.high_watermark(where)
        newest: dict[bytes, bytes] = {}
        start = self._log.begin_offset(where)
        for count, record in enumerate(self._log.read(where, start, end)):
            key = record.key or b""
            if record.value is None:
                newest.pop(key, None)
            else:
                newest[key] = record.value
            self.remaining = end - record.offset - 1
            if count % ENTITIES_PER_SLICE == 0:
                yield None, []
        raw = newest.pop(MANIFEST_KEY, None)
        manifest = None if raw is None else decode_manifest(raw, where)
        yield manifest, [(key.decode(), value) for key, value in newest.items()]

    def _fresh(self) -> Partition:
        return Partition(self._bundle.program, Scorer(self._number), self._number)

    def _load(self, manifest: Manifest, entities: list[tuple[str, bytes]]) -> Partition:
        try:
            return Partition.restore(self._bundle.program, decode_scorer, manifest.rest, entities)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # they mean something else
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> EngineRefusal:
        return EngineRefusal(
            f"{self._name}: the checkpoint is damaged ({type(error).__name__}: {error}). Delete the records of "
            f"{self._topics.checkpoints}/{self._number}, so that the state is rebuilt from the keyed topic, if "
            "that still reaches back to its beginning."
        )

    def _check(self, manifest: Manifest | None) -> None:
        """Refuse what would give a wrong state. Every message says what to do."""
        said = parse_stamp(self._committed.metadata) if self._committed else None
        bundle = manifest.bundle if manifest else said.bundle if said else self._bundle.hash
        if bundle != self._bundle.hash:
            raise EngineRefusal(
                f"{self._name}: this state was made under bundle {bundle}, you start with "
                f"{self._bundle.hash}: rules, sites, networks, feeds or settings differ. Start with the "
                "configuration of that bundle, or begin anew with other topics (`topics: {prefix: ...}` in "
                "correlator.yml); `correlator replay` shows what the new one does."
            )
        if manifest is not None:
            self._check_manifest(manifest)
        first = self._log.begin_offset(self._keyed)
        start = manifest.offset if manifest else 0
        if start < first:
            raise self._unreachable(f"it begins at offset {first}, the state needs it from {start}")

    def _check_manifest(self, manifest: Manifest) -> None:
        partitions = self._log.partitions(self._topics.keyed)
        if manifest.partitions != partitions:
            raise EngineRefusal(
                f"{self._keyed.topic} has {partitions} partitions, but this state was made when it had "
                f"{manifest.partitions}: every entity would change its owner. Their number is fixed for "
                "life. Create the topic anew with the old number, or begin anew with other topics "
                "(`topics: {prefix: ...}` in correlator.yml)."
            )
        if self._committed is None:
            raise EngineRefusal(
                f"{self._name}: there is a checkpoint at offset {manifest.offset}, but the consumer group "
                "has no committed offset: it expired or was deleted. Set the group's offset of this "
                f"partition to {manifest.offset} to go on from the checkpoint."
            )
        if self._committed.offset < manifest.offset:
            raise EngineRefusal(
                f"{self._name}: the checkpoint is at offset {manifest.offset}, the group only at "
                f"{self._committed.offset}: its offset was reset. Set it to {manifest.offset} or later."
            )

    def _unreachable(self, what: str) -> EngineRefusal:
        return EngineRefusal(
            f"{self._name}: the log no longer reaches back to the newest checkpoint ({what}). The state "
            "cannot be rebuilt without a gap. Restore the topic from a backup, or begin anew with other "
            "topics (`topics: {prefix: ...}` in correlator.yml) and a longer retention."
        )
