"""One partition, one transaction, one frozen cut: the image of a partition at frame boundary M.

The set of entities that changed since the last checkpoint is frozen at M and encoded in slices between
batches. Entities, and the manifest with everything else, go out together with the current input offset,
fenced like a commit; so a reader sees all of a checkpoint or nothing of it. Each entity is a record, and
the checkpoint topic is compacted.

The manifest is a msgpack array: see `Manifest`. Fields at its end may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from correlator.engine.commit import Send
from correlator.engine.ports import LogReader, TopicPartition
from correlator.engine.topics import EngineRefusal, Topics
from correlator.formats import Format, FormatError
from correlator.models.state import StateFormatError
from correlator.pipeline import InForce
from correlator.timeline.partition import Partition
from correlator.timeline.state import StateError

FORMAT = Format("checkpoint", 2)
MANIFEST_KEY = b"manifest"  # entity keys have a colon
REBUILD = (
    "Stop the processes and forget the checkpoint (`correlator state forget DIR PARTITION`): the state is "
    "rebuilt from the keyed topic, if that still has its first record. If not, `correlator state import` "
    "begins with what was learnt."
)
RECORDS_PER_SLICE = 500

# What bytes that nobody of us wrote raise, wherever in a checkpoint they are met first.
UNREADABLE = (StateError, StateFormatError, UnicodeDecodeError, RecursionError, msgspec.DecodeError)


class Manifest(msgspec.Struct, frozen=True, array_like=True):
    """What the newest checkpoint of a partition is: the cut at *offset*, before its next frame."""

    format: int
    offset: int
    crc: int  # running stamp of what was published up to *offset*
    versions: tuple[tuple[int, str], ...]  # in force at the cut: (since, bundle), the oldest first
    partitions: int  # of *keyed*: fixed for life
    rest: bytes  # marks, codes, models: `Partition.freeze`
    entities: int = -1  # how many there are; -1: written before this was counted


_encode = msgspec.msgpack.Encoder().encode
_manifest = msgspec.msgpack.Decoder(Manifest).decode


def decode_manifest(raw: bytes, where: TopicPartition) -> Manifest:
    """Raises `EngineRefusal` for a manifest that this version cannot read."""
    name = f"{where.topic}/{where.partition}"
    try:
        return _manifest(FORMAT.current(raw))
    except FormatError as error:
        if error.__cause__ is None:
            raise EngineRefusal(f"{name}: {error}.") from error
        raise _damaged(name, error) from error
    except UNREADABLE as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> EngineRefusal:
    return EngineRefusal(f"{name}: the checkpoint is damaged: no manifest ({error}). {REBUILD}")


def read_newest(
    log: LogReader, where: TopicPartition, end: int
) -> Iterator[tuple[int, Mapping[bytes, bytes]]]:
    """Records left to read, and the newest value of each key so far, now and then; the last is the whole.

    *end*: the high watermark, open transactions included: a checkpoint whose markers are still landing would
    be missed otherwise.
    """
    newest = dict[bytes, bytes]()
    left = end - (start := log.begin_offset(where))
    for count, record in enumerate(log.read(where, start, end)):
        key = record.key or b""
        if record.value is None:
            newest.pop(key, None)
        else:
            newest[key] = record.value
        left = end - record.offset - 1
        if count % RECORDS_PER_SLICE == 0:
            yield left, newest
    yield left, newest


def newest_of(log: LogReader, where: TopicPartition) -> Mapping[bytes, bytes]:
    """`read_newest` to its end."""
    newest: Mapping[bytes, bytes] = {}
    for _, newest in read_newest(log, where, log.high_watermark(where)):  # noqa: B007 - the last one counts
        pass
    return newest


class Cut:
    """A frozen image being encoded. The partition goes on folding meanwhile."""

    def __init__(self, partition: Partition, offset: int, crc: int, force: InForce, started_ms: int) -> None:
        self.offset, self.crc, self.started_ms = offset, crc, started_ms
        self._versions = tuple((since_ms, bundle.hash) for since_ms, bundle in force.versions)
        self._partition = partition
        self._entities: list[tuple[str, bytes | None]] = []
        self._count = len(partition.timelines)
        partition.freeze()

    def advance(self, count: int) -> bool:
        """Encode about *count* more entities; True when the image is whole."""
        some = self._partition.changed.slice(count)
        self._entities += some
        return not some

    def sends(self, topics: Topics, partitions: int) -> list[Send]:
        """The records of the checkpoint, the manifest last."""
        number = self._partition.number
        rest = self._partition.changed.rest()
        manifest = Manifest(
            FORMAT.number, self.offset, self.crc, self._versions, partitions, rest, self._count
        )
        sends = [Send(topics.checkpoints, number, key.encode(), raw) for key, raw in self._entities]
        sends.append(Send(topics.checkpoints, number, MANIFEST_KEY, _encode(manifest)))
        return sends
