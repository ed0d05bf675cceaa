"""Partitions that begin anew: without a checkpoint, or with who everybody is and what was learnt.

For `correlator state`, which owns the group alone meanwhile (`sole_owner`). All that is done to a partition
is one transaction, and done once more it changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from correlator.engine.checkpoint import MANIFEST_KEY, UNREADABLE, Cut, decode_manifest, newest_of
from correlator.engine.commit import Send
from correlator.engine.learnt import Head, Learnt, Part, learnt_of
from correlator.engine.ports import Committed, LogReader, TopicPartition
from correlator.engine.restore import UNSTAMPED, Stamp
from correlator.engine.sole_owner import SoleOwner
from correlator.engine.topics import EngineRefusal, Topics
from correlator.event import Event, Person, entity_key, partition_of
from correlator.intake.people import People
from correlator.intake.places import Sites
from correlator.models.scorer import Scorer
from correlator.models.scorer import decode as decode_scorer
from correlator.pipeline import InForce
from correlator.record import Reject
from correlator.timeline.live import Live
from correlator.timeline.partition import Partition
from correlator.timeline.ways import Ways


def export(log: LogReader, topics: Topics, number: int) -> Iterator[Part | Learnt | None]:
    """What the newest checkpoint of a partition has learnt; None: a record that cannot be read.

    Raises `EngineRefusal` when nothing of it can be read.
    """
    where = TopicPartition(topics.checkpoints, number)
    newest = newest_of(log, where)
    raw = newest.get(MANIFEST_KEY)
    if raw is None:
        return
    try:
        yield from learnt_of(decode_manifest(raw, where), newest, number)
    except UNREADABLE as error:
        raise EngineRefusal(f"{where.topic}/{number}: the manifest cannot be read: {error}.") from error


def forget(owner: SoleOwner, log: LogReader, topics: Topics, number: int) -> int:
    """Delete the checkpoint of a partition, not its offset. How many records it had.

    Raises as `SoleOwner.write`.
    """
    keys = list(newest_of(log, TopicPartition(topics.checkpoints, number)))
    sends = [Send(topics.checkpoints, number, key, None) for key in keys]
    keyed = TopicPartition(topics.keyed, number)
    committed = owner.committed(keyed)
    if sends:
        owner.write(sends, {} if committed is None else {keyed: committed})
    return len(sends)


def offset_again(owner: SoleOwner, log: LogReader, topics: Topics, number: int) -> int | None:
    """Set the group's offset of a partition to its newest checkpoint, where it is not one that we committed
    behind that: to what. What was told since the checkpoint is told again then.

    Raises as `SoleOwner.write`.
    """
    where, keyed = TopicPartition(topics.checkpoints, number), TopicPartition(topics.keyed, number)
    raw = newest_of(log, where).get(MANIFEST_KEY)
    if raw is None:
        return None
    manifest, committed = decode_manifest(raw, where), owner.committed(keyed)
    if committed is not None and committed.offset >= manifest.offset and committed.metadata:
        return None
    bundle = manifest.versions[-1][1] if manifest.versions else ""
    owner.write([], {keyed: Committed(manifest.offset, Stamp(manifest.crc, bundle).text())})
    return manifest.offset


class File(msgspec.Struct, frozen=True):
    """An export, read whole."""

    head: Head
    parts: Mapping[int, Part]
    learnt: Sequence[Learnt]


class Begin:
    """Partitions whose state begins with *persons* and *file*. Nothing is written before they are checked."""

    def __init__(
        self,
        owner: SoleOwner,
        log: LogReader,
        topics: Topics,
        force: InForce,
        *,
        persons: Mapping[str, Person],
        file: File,
    ) -> None:
        self._owner, self._log, self._topics, self._force, self._file = owner, log, topics, force, file
        self._partitions = log.partitions(topics.keyed)
        habits = {learnt.entity: learnt for learnt in file.learnt}
        self._lives: list[dict[str, Live]] = [{} for _ in range(self._partitions)]
        known = _identities(log, topics)
        for entity in sorted(persons.keys() | habits.keys()):
            if known and entity not in known:  # removed: nobody would look when to drop it
                continue
            person, found = persons.get(entity), habits.get(entity, Learnt(entity))
            live = Live(stays=found.stays, person=person, habits=found.habits, today=found.today)
            self._lives[partition_of(entity, self._partitions)][entity] = live

    def check(self, numbers: Iterable[int]) -> list[int]:
        """Those of *numbers* that are still to be written. Raises `EngineRefusal` where there is a state."""
        left, taken = [], []
        for number in numbers:
            where = TopicPartition(self._topics.checkpoints, number)
            found = newest_of(self._log, where)
            if not found:
                left.append(number)
            elif found != {send.key: send.value for send in self._write(number)[0]}:
                taken.append(number)
        if taken:
            names = ", ".join(map(str, taken))
            raise EngineRefusal(
                f"{self._topics.checkpoints} holds a state of partitions {names}, which is more than what "
                "was learnt: nothing was changed. To begin only others with FILE: `--partition`. To give it "
                "up: `correlator state forget DIR PARTITION`."
            )
        return left

    def write(self, number: int) -> int:
        """How many entities it begins with. Raises as `SoleOwner.write`."""
        sends, offset = self._write(number)
        self._owner.write(sends, {TopicPartition(self._topics.keyed, number): Committed(offset, UNSTAMPED)})
        return len(sends) - 1

    def _write(self, number: int) -> tuple[list[Send], int]:
        """The records of a checkpoint, and the offset that goes with them."""
        start, offset = self._from_to(number)
        taught = self._part(number)
        scorer = Scorer(number) if taught is None else decode_scorer(taught.models)
        partition = Partition(self._force.program, scorer, number)
        if taught is not None:
            partition.ways = Ways.load(taught.ways)
        for entity, live in self._lives[number].items():
            partition.changed.touch(entity)
            partition.timelines.touch(entity).live = live
        cut = Cut(partition, start, 0, self._force, 0)
        while not cut.advance(1_000):
            pass
        return cut.sends(self._topics, self._partitions), offset

    def _from_to(self, number: int) -> tuple[int, int]:
        """Offsets: folding begins, silently; alerts are told again from.

        Nothing that is not read yet is left out. What came after the export is folded again if it is there.
        """
        keyed, file = TopicPartition(self._topics.keyed, number), self._file.head
        begin, end = self._log.begin_offset(keyed), self._log.high_watermark(keyed)
        committed = self._owner.committed(keyed)
        offset = end if committed is None else min(max(committed.offset, begin), end)
        part = self._file.parts.get(number)
        if part is None or (file.keyed, file.partitions) != (keyed.topic, self._partitions):
            return offset, offset
        return min(max(part.cut, begin), offset), offset

    def _part(self, number: int) -> Part | None:
        """Of another number of partitions, that of any: each has learnt from a sample of all people."""
        known = sorted(self._file.parts)
        return self._file.parts[known[number % len(known)]] if known else None


def _identities(log: LogReader, topics: Topics) -> set[str]:
    """Entities of all that are not removed, told by intake or not."""
    where = TopicPartition(topics.identities, 0)
    is_there = {
        (record.key or b"").decode(errors="replace"): bool(record.value)
        for record in log.read(where, log.begin_offset(where), log.high_watermark(where))
    }
    return {entity_key("identity", key) for key, is_one in is_there.items() if is_one}


def persons_told(log: LogReader, topics: Topics, sites: Sites, end: int) -> dict[str, Person]:
    """By entity, the newest version of each person that intake has told: of records before offset *end*."""
    told = person_events(log, TopicPartition(topics.identities, 0), sites, end)
    return {entity: event.person for entity, event in told if event.person is not None}


def person_events(
    log: LogReader, people: TopicPartition, sites: Sites, end: int, at_ms: int | None = None
) -> Iterator[tuple[str, Event]]:
    """What intake tells of identities before offset *end*. *at_ms*: as if all of them had arrived then."""
    known = People(sites)
    for record in log.read(people, log.begin_offset(people), end):
        key = (record.key or b"").decode(errors="replace")
        arrival_ms = record.timestamp_ms if at_ms is None else at_ms
        found = known.apply(record.offset, key, record.value, arrival_ms)
        if not isinstance(found, Reject):
            yield from found.events
