"""Input partitions that an intake owns: what was read of each and not taken yet, merged by arrival.

An input whose next record is unknown (its buffer is empty, its log is not at its end) holds back those that
would run ahead of what it gave last: by more than a second as long as a poll or two may take to bring that
record, then by more than five minutes (decision 5). Once it has been silent for half a minute it holds back
nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from heapq import heapify, heappop, heappush

import msgspec

from correlator.engine.ports import Committed, TopicPartition
from correlator.event import FOREVER, NEVER, SECOND_MS
from correlator.intake.arrival import HEAD_MS, STUCK_MS
from correlator.record import Record, Reject

Key = tuple[str, int]
CLOSED = " closed"  # in an offset's metadata: a bounded read has stated its end
STOPPED = " stopped"  # the same: not read on, and operators were told so
AHEAD = ((SECOND_MS // 2, SECOND_MS), (STUCK_MS, HEAD_MS))  # read in vain for less than -> ahead at most


class Input(msgspec.Struct):
    """*position* is the reader's, *end* what the log's end was at *end_at_ms* of the steady clock."""

    where: TopicPartition
    committed: Committed | None
    position: int
    end: int = 0
    end_at_ms: int = NEVER
    buffer: deque[Record] = msgspec.field(default_factory=deque)
    taken_ms: int = NEVER  # timestamp of the last record taken
    empty_since_ms: int = FOREVER
    metadata: str = ""
    bad_in_a_row: int = 0
    is_stopped: bool = False  # too many dead letters: not read on

    @property
    def next_offset(self) -> int:
        """What is committed: the first record that was not taken."""
        return self.buffer[0].offset if self.buffer else self.position

    @property
    def to_commit(self) -> Committed:
        return Committed(self.next_offset, self.metadata + (STOPPED if self.is_stopped else ""))

    @property
    def is_drained(self) -> bool:
        return not self.buffer and self.position >= self.end


def plain(metadata: str) -> str:
    """What intake wrote beside an offset."""
    return metadata.removesuffix(STOPPED).removesuffix(CLOSED)


def _bound_ms(taken_ms: int, empty_ms: int) -> int:
    """Up to which arrival others may go that wait for an input, by what it gave last and how long it has been
    read in vain since. However far after a while, also where it gave nothing yet.
    """
    return next((taken_ms + ahead_ms for until_ms, ahead_ms in AHEAD if empty_ms < until_ms), FOREVER)


class Inputs:
    def __init__(self) -> None:
        self.by_key: dict[Key, Input] = {}

    def receive(self, records: Iterable[Record]) -> None:
        """Records just polled. Those of partitions that went away meanwhile are dropped."""
        for record in records:
            found = self.by_key.get((record.topic, record.partition))
            if found is not None:
                found.buffer.append(record)

    @property
    def has_records(self) -> bool:
        """Is there something to take without reading on?"""
        return any(found.buffer and not found.is_stopped for found in self.by_key.values())

    def drained(self) -> set[Key]:
        return {key for key, found in self.by_key.items() if found.is_drained}

    def take(self, records_max: int, span_ms: int, clock_ms: int, now_ms: int) -> list[Record]:
        """The next records of all inputs in order of arrival, at most *records_max* and *span_ms* of arrival.

        *clock_ms* is intake's, *now_ms* the steady one. A timestamp ahead of the clock counts as the clock:
        its input would wait for ever otherwise.
        """
        bound_ms = FOREVER
        heap: list[tuple[int, Key]] = []
        for key, found in self.by_key.items():
            if found.is_stopped:
                continue
            if found.buffer:
                found.empty_since_ms = FOREVER
                heap.append((min(found.buffer[0].timestamp_ms, clock_ms), key))
            elif found.is_drained:
                found.empty_since_ms = FOREVER
            else:
                found.empty_since_ms = min(found.empty_since_ms, now_ms)
                bound_ms = min(bound_ms, _bound_ms(found.taken_ms, now_ms - found.empty_since_ms))
        heapify(heap)
        if heap:
            bound_ms = min(bound_ms, heap[0][0] + span_ms)
        taken: list[Record] = []
        while heap and len(taken) < records_max:
            at_ms, key = heappop(heap)
            if at_ms > bound_ms:
                break
            found = self.by_key[key]
            taken.append(found.buffer.popleft())
            found.taken_ms = at_ms
            if found.buffer:
                heappush(heap, (min(found.buffer[0].timestamp_ms, clock_ms), key))
            elif not found.is_drained:
                bound_ms = min(bound_ms, _bound_ms(at_ms, 0))
        return taken

    def take_all(self, key: Key, records_max: int) -> list[Record]:
        """The next records of one input, whatever the others do."""
        found = self.by_key.get(key)
        if found is None:
            return []
        taken = [found.buffer.popleft() for _ in range(min(records_max, len(found.buffer)))]
        if taken:
            found.taken_ms = taken[-1].timestamp_ms
        return taken

    def judge(
        self, taken: Iterable[Record], refused: Iterable[tuple[Record, Reject]], most: int
    ) -> list[Input]:
        """Count dead letters in a row of each input, whatever the others give meanwhile; the inputs that have
        just had more than *most* are stopped.
        """
        bad = {(r.topic, r.partition, r.offset) for r, _ in refused}
        if not bad and not any(found.bad_in_a_row for found in self.by_key.values()):
            return []
        for record in taken:
            found = self.by_key[record.topic, record.partition]
            is_bad = (record.topic, record.partition, record.offset) in bad
            found.bad_in_a_row = found.bad_in_a_row + 1 if is_bad else 0
        stopped = [i for i in self.by_key.values() if i.bad_in_a_row > most and not i.is_stopped]
        for found in stopped:
            found.is_stopped = True
        return stopped
