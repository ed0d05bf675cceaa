"""What crosses the edges: a record of a log as Kafka knows it, and why one was refused."""

from __future__ import annotations

from typing import Literal

import msgspec

Stage = Literal["decode", "map", "normalise", "resolve", "route", "correlate"]


class Record(msgspec.Struct, frozen=True):
    """A record of a topic. *timestamp_ms* is the broker's (or the producer's), UTC; `None` is a tombstone."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Reject(msgspec.Struct, frozen=True):
    """Why a record cannot be used. A value, not an exception: the shell sends the record to the dead
    letters.
    """

    stage: Stage
    reason: str  # bounded: a metric label, e.g. bad_magic, unknown_schema, missing_field, time_out_of_range
    message: str  # for a person: what is wrong where, and what was expected
