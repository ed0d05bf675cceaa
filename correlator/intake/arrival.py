"""The arrival clock of an input partition (decision 5), and what it says of how an event came.

Arrival is the broker's timestamp, not ahead of intake's own clock and never earlier than what was last
stated for the partition. What was stated is kept beside the partition's committed offset, so that it
cannot go back when the partition moves to another intake.

May not know: consumers, records.
"""

from __future__ import annotations

import re

import msgspec

from correlator.event import MINUTE_MS, NEVER, SECOND_MS, Occurrence

Input = tuple[str, int]  # topic, partition

HEAD_MS = 5 * MINUTE_MS  # by which the head of an input may be ahead of the smallest one
STUCK_MS = 30 * SECOND_MS  # without progress an input holds back nobody
NO_TIMESTAMP = -1  # Kafka's word for a record without one; also of files that do not say when it arrived

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


class Timeliness(msgspec.Struct, frozen=True):
    """How an event's time is held against its arrival. *late_ms*: from which age on it counts as late."""

    ahead_ms: int = 5 * MINUTE_MS  # further ahead than this a time is replaced by the arrival
    late_ms: int = 2 * MINUTE_MS
    is_replay: bool = False  # a bounded read: of the past, however fresh it is

    def occurrence(self, time_ms: int, arrival_ms: int) -> Occurrence:
        if self.is_replay:
            return "replay"
        return "late" if arrival_ms - time_ms > self.late_ms else "live"
