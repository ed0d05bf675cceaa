"""Reads partitions outside any group: restore, identities, tails of our own topics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from kafka import errors as kafka_errors

from correlator.adapters.kafka.client import (
    TIMEOUT_MS,
    ask_offset,
    asking,
    consumer_settings,
    make_consumer,
    to_kafka,
)
from correlator.adapters.kafka.config import KafkaConfig
from correlator.engine.lag import unreadable
from correlator.engine.ports import LogUnavailable, TopicPartition, truncated
from correlator.record import Record

POLL_MS = 200
RECORDS_MAX = 2_000
STALLED_S = 60.0  # longer than the broker needs to abort the transaction of a dead producer


class KafkaLogReader:
    """Implements `engine.ports.LogReader`. One `read` at a time."""

    def __init__(self, config: KafkaConfig, *, stalled_s: float = STALLED_S) -> None:
        self._stalled_s = stalled_s
        with asking("connecting"):
            self._consumer = make_consumer(consumer_settings(config))

    def partitions(self, topic: str) -> int:
        with asking(f"partitions of {topic}"):
            return len(self._consumer.partitions_for_topic(topic))

    def begin_offset(self, partition: TopicPartition) -> int:
        return ask_offset(self._consumer.beginning_offsets, partition)

    def high_watermark(self, partition: TopicPartition) -> int:
        return ask_offset(self._consumer.end_offsets, partition)

    def offset_at(self, partition: TopicPartition, time_ms: int) -> int:
        """Of the first record with a timestamp of *time_ms* or later; the end where there is none."""
        tp = to_kafka(partition)
        with asking(f"offset of {partition} at {time_ms}"):
            found = self._consumer.offsets_for_times({tp: max(time_ms, 0)})[tp]
        return self.high_watermark(partition) if found is None else int(found.offset)

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[Record]:
        """Raises `LogUnavailable` when nothing moves for a minute, be it a broker or an open transaction."""
        if start >= end:
            return
        first = self.begin_offset(partition)
        if first > start:
            raise truncated(partition, start, first)
        tp = to_kafka(partition)
        with asking(f"seeking in {partition}"):
            self._consumer.assign([tp])
            self._consumer.seek(tp, start)
        position, moved_s = start, time.monotonic()
        while position < end:
            for record in self._poll(partition, position):
                if record.offset >= end:
                    return
                yield record
            now_s, before = time.monotonic(), position
            position = self._position(partition)
            if position > before:
                moved_s = now_s
            elif now_s - moved_s > self._stalled_s:
                stood_ms = round(1_000 * self._stalled_s)
                raise LogUnavailable(unreadable(partition, position, end, stood_ms))

    def close(self) -> None:
        with asking("closing"):
            self._consumer.close(timeout_ms=2_000)

    def _poll(self, partition: TopicPartition, position: int) -> Iterator[Record]:
        try:
            with asking(f"reading {partition}"):
                batches: Any = self._consumer.poll(timeout_ms=POLL_MS, max_records=RECORDS_MAX)
        except LogUnavailable as error:
            if isinstance(error.__cause__, kafka_errors.OffsetOutOfRangeError):
                raise truncated(partition, position, self.begin_offset(partition)) from error
            raise
        return (record for batch in batches.values() for record in batch)

    def _position(self, partition: TopicPartition) -> int:
        with asking(f"position in {partition}"):
            return int(self._consumer.position(to_kafka(partition), timeout_ms=TIMEOUT_MS))
