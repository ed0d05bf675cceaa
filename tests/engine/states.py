"""What `correlator state` does, on the embedded log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.memory.clients import MemoryGroupReader, MemoryLogReader, MemoryTransactionalWriter
from correlator.cli.embedded import CORRELATE_GROUP, INTAKE_GROUP, Embedded
from correlator.cli.learnt_file import read_file, write_file
from correlator.engine import anew
from correlator.engine.learnt import FORMAT, Head
from correlator.engine.ports import TopicPartition
from correlator.engine.sole_owner import SoleOwner


def partitions(embedded: Embedded, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(embedded.log.partitions(topic))]


@contextmanager
def alone(embedded: Embedded) -> Iterator[SoleOwner]:
    keyed = embedded.topics.keyed
    others = sorted(embedded.log.group(CORRELATE_GROUP).members)
    reader = MemoryGroupReader(embedded.log, CORRELATE_GROUP, [keyed])
    writer = MemoryTransactionalWriter(embedded.log, "state")
    ours = partitions(embedded, keyed)
    owner = SoleOwner(CORRELATE_GROUP, ours, reader, writer, SimulatedClock(1), members=lambda: others)
    try:
        owner.take()
        yield owner
    finally:
        owner.close()


def export(embedded: Embedded, path: Path) -> anew.File:
    keyed = partitions(embedded, embedded.topics.keyed)
    log = MemoryLogReader(embedded.log)
    lines = (line for tp in keyed for line in anew.export(log, embedded.topics, tp.partition))
    write_file(path, Head(FORMAT.number, embedded.topics.keyed, len(keyed)), lines)
    return read_file(path)


def forget(embedded: Embedded) -> None:
    with alone(embedded) as owner:
        for tp in partitions(embedded, embedded.topics.keyed):
            assert anew.forget(owner, MemoryLogReader(embedded.log), embedded.topics, tp.partition) > 0


def offsets_again(embedded: Embedded) -> dict[int, int | None]:
    log, keyed = MemoryLogReader(embedded.log), partitions(embedded, embedded.topics.keyed)
    with alone(embedded) as owner:
        return {n: anew.offset_again(owner, log, embedded.topics, n) for n in (tp.partition for tp in keyed)}


def begin(embedded: Embedded, file: anew.File) -> int:
    """How many partitions were written."""
    log = MemoryLogReader(embedded.log)
    numbers = [tp.partition for tp in partitions(embedded, embedded.topics.keyed)]
    told_to = embedded.log.group(INTAKE_GROUP).committed.get(TopicPartition(embedded.topics.identities, 0))
    end = told_to.offset if told_to else 0
    persons = anew.persons_told(log, embedded.topics, embedded.bundle.intake.sites, end)
    with alone(embedded) as owner:
        made = anew.Begin(owner, log, embedded.topics, embedded.bundles().now(), persons=persons, file=file)
        left = made.check(numbers)
        for number in left:
            made.write(number)
    return len(left)
