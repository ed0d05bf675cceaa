"""The arrival clock of an input partition, and who has to wait for whom (decision 5).

Arrival is the broker's timestamp, not ahead of intake's own clock and never earlier than what was last
stated for the partition. What was stated is kept beside the partition's committed offset, so that it
cannot go back when the partition moves to another intake.

May not know: consumers, records.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import msgspec

from correlator.event import MINUTE_MS, NEVER, SECOND_MS

Input = tuple[str, int]  # topic, partition

AHEAD_MS = 5 * MINUTE_MS  # by which the head of an input may be ahead of the smallest one
STUCK_MS = 30 * SECOND_MS  # without progress an input holds back nobody
NO_TIMESTAMP = (
    -1
)  # Kafka's word for a record without one; also of files that do not say when a record arrived

_METADATA = re.compile(r"a1:(-?\d{1,18})\Z")


def arrival(timestamp_ms: int, clock_ms: int, stated_ms: int) -> int:
    """Arrival of a record, by the broker's timestamp, intake's clock and what was stated for its input."""
    return max(min(timestamp_ms, clock_ms), stated_ms)


def encode_arrival(stated_ms: int) -> str:
    """Offset metadata: everything that the next owner of the partition has to know."""
    return "" if stated_ms == NEVER else f"a1:{stated_ms}"


def decode_arrival(metadata: str) -> int:
    """What was stated, NEVER where the metadata is empty or not ours.

    Then the clock of the partition starts again, and what goes back is ignored by who reads it.
    """
    match = _METADATA.match(metadata)
    return int(match[1]) if match else NEVER


class _Head(msgspec.Struct):
    arrival_ms: int
    since_ms: int  # by intake's clock: when it last moved, or was held back


class Merge:
    """Keeps inputs together: one that runs ahead of the smallest head waits."""

    def __init__(self) -> None:
        self._heads: dict[Input, _Head] = {}

    def held_back(
        self, heads: Mapping[Input, int | None], clock_ms: int, paused: AbstractSet[Input] = frozenset()
    ) -> set[Input]:
        """Inputs that have to wait. *heads*: arrival of the next unread record, None where there is none.

        The smallest head never waits. One that is paused, or has not moved for `STUCK_MS` though it was
        free to, holds back nobody.
        """
        unread = {q: head_ms for q, head_ms in heads.items() if head_ms is not None}
        self._heads = {q: self._moved(q, head_ms, clock_ms) for q, head_ms in unread.items()}
        holding = [
            head_ms
            for q, head_ms in unread.items()
            if q not in paused and clock_ms - self._heads[q].since_ms < STUCK_MS
        ]
        if not holding:
            return set()
        smallest_ms = min(holding)
        held = {q for q, head_ms in unread.items() if head_ms > smallest_ms + AHEAD_MS}
        for q in held:
            self._heads[q].since_ms = clock_ms
        return held

    def _moved(self, q: Input, head_ms: int, clock_ms: int) -> _Head:
        known = self._heads.get(q)
        return known if known is not None and known.arrival_ms == head_ms else _Head(head_ms, clock_ms)
