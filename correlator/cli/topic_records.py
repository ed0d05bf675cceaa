"""Reads our own topics through the `LogReader` port: from the beginning or the end, once or for ever."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import itemgetter

import msgspec
import typer

from correlator.alerts.told import Told, read_told
from correlator.cli.exit_codes import FAILED
from correlator.engine.ports import Clock, LogReader, TopicPartition
from correlator.record import Record

FOLLOW_MS = 500  # between two looks at the end of the log


class NoSuchTopic(Exception):
    """The topic is not there: says which, and what makes it."""


def partitions_of(log: LogReader, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(log.partitions(topic))]


def identities_in(log: LogReader, topic: str) -> dict[str, bytes]:
    """Newest record of each identity, by its id; of one that was deleted, the last that it had."""
    where = TopicPartition(topic, 0)
    newest: dict[str, bytes] = {}
    for record in log.read(where, log.begin_offset(where), log.high_watermark(where)):
        if record.key is not None and record.value is not None:
            newest[record.key.decode(errors="replace")] = record.value
    return newest


def told_in(record: Record) -> Told | None:
    """The alert of a record of its topics, None for one that was deleted. Ends the program, with 1, at what
    somebody else wrote.
    """
    if record.value is None:
        return None
    try:
        return read_told(record.value)
    except msgspec.DecodeError as error:
        where = f"{record.topic}/{record.partition} offset {record.offset}"
        typer.echo(f"{where}: no alert: {error}", err=True)
        raise typer.Exit(FAILED) from error


def records_of(
    reader: LogReader,
    topic: str,
    clock: Clock,
    *,
    from_beginning: bool,
    follows: bool,
    is_in_time: bool = False,
) -> Iterator[Record]:
    """Committed records of *topic*, in offset order per partition. Ends at today's end unless it *follows*.
    *is_in_time*: what is there at a look comes `in_time`, for which it is held.

    Raises NoSuchTopic, `LogTruncated` and `LogUnavailable`.
    """
    partitions = partitions_of(reader, topic)
    if not partitions:
        raise NoSuchTopic(f"there is no topic {topic}; `correlator topics create` makes it")
    begin = reader.begin_offset if from_beginning else reader.high_watermark
    positions = {partition: begin(partition) for partition in partitions}

    def look() -> Iterator[Record]:
        for partition in partitions:
            end = reader.high_watermark(partition)
            yield from reader.read(partition, positions[partition], end)
            positions[partition] = max(end, positions[partition])

    while True:
        yield from in_time(look()) if is_in_time else look()
        if not follows:
            return
        clock.sleep_ms(FOLLOW_MS)


def in_time(records: Iterable[Record]) -> list[Record]:
    """In order of publication over all partitions; that within a partition stays, whatever clocks say."""
    newest: dict[int, int] = {}
    timed = []
    for record in records:
        at_ms = newest[record.partition] = max(record.timestamp_ms, newest.get(record.partition, 0))
        timed.append((at_ms, record))
    return [record for _, record in sorted(timed, key=itemgetter(0))]


def record_at(reader: LogReader, partition: TopicPartition, offset: int) -> Record | None:
    """The committed record at *offset*, or None where there is none (compacted, deleted, not yet written)."""
    if not 0 <= partition.partition < reader.partitions(partition.topic):
        return None
    if not reader.begin_offset(partition) <= offset < reader.high_watermark(partition):
        return None
    return next(iter(reader.read(partition, offset, offset + 1)), None)
