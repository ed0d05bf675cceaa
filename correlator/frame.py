"""The record of *keyed*: what one step of the correlating stage folds.

A frame holds at most `EVENTS_MAX` events for one partition, each with the entity it is routed to, and what
is known about time. What many events share travels once per frame, in its own table (`codec`). The
correlating stage writes frames too: what one entity tells another, and how far it has got with that.

Format 3, msgpack array: format, bundle, rows, shapes, arrivals, sources, facts, activate, bindings, told.
"""

from __future__ import annotations

import msgspec

from correlator.codec import Codes, PackedEvent, owner_of, pack, shape_bytes, unpack
from correlator.event import Event
from correlator.formats import Format, FormatError, as_it_was

FORMAT = Format("frame", 4, {2: as_it_was, 3: as_it_was})
EVENTS_MAX = 1_000


class Arrival(msgspec.Struct, frozen=True, array_like=True):
    """Every record of partition *q* of *topic* that arrived before *arrival_ms* is in the log."""

    topic: str
    q: int
    partitions: int  # that the topic has: one that nobody has heard of yet counts as never
    arrival_ms: int
    is_paused: bool = False  # left out of `now`, not of completeness


class SourceMark(msgspec.Struct, frozen=True, array_like=True):
    """Newest event of a source that came through partition *q*: at most once a second and source."""

    source: str
    feed: str
    site: str  # that the source serves; "" if unknown
    topic: str
    q: int
    event_max_ms: int
    lag_min_ms: int  # min(arrival - event time)
    count: int
    heard_ms: int  # arrival of its newest record


class Activation(msgspec.Struct, frozen=True, array_like=True):
    """From here on *bundle* is in force, for what happens from *since_ms* (event time) on."""

    bundle: str  # hash
    since_ms: int


class Fact(msgspec.Struct, frozen=True, array_like=True):
    """*home* tells *entity* that *event* belongs into its timeline; with *is_held* false, that it does not
    any more.
    """

    entity: str
    home: str
    event: Event
    is_held: bool = True


class Binding(msgspec.Struct, frozen=True, array_like=True):
    """Who held *credential* when, as the identities feed knew it at *version*; told to *entity*.

    *holders* is whole: [from, to) in ms and identity id, by time, never overlapping.
    """

    entity: str
    credential: str  # `badge:4711`, `account:ada`
    version: int  # offset in the identities topic
    holders: tuple[tuple[int, int, str], ...]


class FactMark(msgspec.Struct, frozen=True, array_like=True):
    """Keyed partition *number* of *partitions* has told everything that follows from what arrived before
    *arrived* (topic, ms).
    """

    number: int
    partitions: int
    arrived: tuple[tuple[str, int], ...]


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """Rows are (entity key, event), in the order in which intake read them."""

    bundle: str
    rows: tuple[tuple[str, Event], ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    sources: tuple[SourceMark, ...] = ()
    activate: Activation | None = None
    bindings: tuple[Binding, ...] = ()
    facts: tuple[Fact, ...] = ()
    told: tuple[FactMark, ...] = ()


class FrameError(Exception):
    """Bytes that are no frame of a known format; says what they are instead."""


class _Fact(msgspec.Struct, array_like=True):
    entity: str
    home: str
    event: PackedEvent
    is_held: bool


class Wire(msgspec.Struct, array_like=True):
    """A frame as it is in the log: read, but not yet looked at by somebody's table of shapes."""

    format: int
    bundle: str
    rows: list[tuple[str, PackedEvent]]
    shapes: list[msgspec.Raw]
    arrivals: tuple[Arrival, ...]
    sources: tuple[SourceMark, ...]
    facts: list[_Fact]
    activate: Activation | None
    bindings: tuple[Binding, ...] = ()
    told: tuple[FactMark, ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Wire).decode


def encode_frame(frame: Frame) -> bytes:
    codes = Codes()
    rows = [(key, pack(event, codes, owner_of(key))) for key, event in frame.rows]
    facts = [
        _Fact(f.entity, f.home, pack(f.event, codes, owner_of(f.entity)), f.is_held) for f in frame.facts
    ]
    return _encode(
        Wire(
            FORMAT.number,
            frame.bundle,
            rows,
            [shape_bytes(shape) for shape in codes.shapes],
            frame.arrivals,
            frame.sources,
            facts,
            frame.activate,
            frame.bindings,
            frame.told,
        )
    )


def read_frame(raw: bytes) -> Wire:
    """What is in *raw*, for `unpack_frame`. Raises `FrameError`, and nothing else, whatever the bytes."""
    try:
        return _decode(FORMAT.current(raw))
    except FormatError as error:
        raise FrameError(str(error)) from error.__cause__
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(f"not a frame: {error}") from error


def unpack_frame(wire: Wire, codes: Codes) -> Frame:
    """The frame in *wire*, whose events have the shapes of *codes*: those who fold it do not compare shapes
    again. Raises `FrameError`.
    """
    try:
        shapes = [codes.known_by(bytes(shape)) for shape in wire.shapes]
        rows = tuple((key, unpack(packed, shapes, owner_of(key))) for key, packed in wire.rows)
        facts = tuple(
            Fact(f.entity, f.home, unpack(f.event, shapes, owner_of(f.entity)), f.is_held) for f in wire.facts
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(f"not a frame: {error}") from error
    except IndexError as error:
        raise FrameError("a row names a shape that the frame's table does not have") from error
    return Frame(
        wire.bundle, rows, wire.arrivals, wire.sources, wire.activate, wire.bindings, facts, wire.told
    )


def decode_frame(raw: bytes, codes: Codes | None = None) -> Frame:
    """The frame in *raw*. Raises `FrameError`, and nothing else, whatever the bytes."""
    return unpack_frame(read_frame(raw), Codes() if codes is None else codes)
