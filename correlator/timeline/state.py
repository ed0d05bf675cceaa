"""The state of a partition as bytes: what a checkpoint holds. Versioned msgpack; equal states give equal
bytes.

One record per entity, and one *rest*: marks, codes, models, uids of alerts on too-late events. What
follows from these (wakes, sets of known ids) is not saved.
"""

from __future__ import annotations

import msgspec
from lz4.block import LZ4BlockError, compress, decompress

from correlator.codec import Codes, owner_of
from correlator.event import NEVER, Order
from correlator.formats import Format, FormatError, as_it_was
from correlator.frame import Binding
from correlator.timeline.alert import Alert
from correlator.timeline.block import Block
from correlator.timeline.decide import Tally
from correlator.timeline.entity import NOTHING, Timeline
from correlator.timeline.kept import NOTHING_KEPT
from correlator.timeline.moving import dump_moved, load_moved
from correlator.timeline.storms import Line
from correlator.timeline.ways import NO_TRAIL, Trail

FORMAT = 7  # of both records, which change together
TIMELINE, REST = (Format("state", FORMAT, {4: as_it_was, 5: as_it_was, 6: as_it_was}) for _ in range(2))


class StateError(Exception):
    """Bytes of a state that this version cannot read; says what to do."""


class _Timeline(msgspec.Struct, array_like=True):
    live: bytes
    blocks: list[Block]
    last: Order
    tally: Tally
    open: list[Alert]
    threads: list[tuple[str, str]]
    is_saturated: bool
    trail: Trail = NO_TRAIL
    moved: bytes = b""  # `moving.load_moved`
    kept: tuple[bytes, ...] = NOTHING_KEPT


class _Record(msgspec.Struct, array_like=True):
    """*body*: a `_Timeline` in LZ4's block format. States before blocks repeat each other and the history, so
    half the memory of an identity is saved, for some microseconds where it is read.
    """

    format: int
    body: bytes


class Rest(msgspec.Struct, array_like=True):
    format: int
    number: int
    shapes: bytes  # `codec.load_codes`
    any_age: list[tuple[str, int]]
    marks: bytes
    scorer: bytes
    ways: bytes = b""
    bound: list[tuple[int, Binding]] = []  # `moving.Bound`
    storms: list[Line] = []
    said: tuple[int, tuple[tuple[str, int], ...]] = (NEVER, ())  # `outgoing.Said`


_encode = msgspec.msgpack.Encoder().encode
_record = msgspec.msgpack.Decoder(_Record).decode
_timeline = msgspec.msgpack.Decoder(_Timeline).decode
_rest = msgspec.msgpack.Decoder(Rest).decode


def dump_timeline(timeline: Timeline, codes: Codes) -> bytes:
    body = _Timeline(
        timeline.at_rest(codes),
        timeline.blocks,
        timeline.last,
        timeline.tally,
        [timeline.open[uid] for uid in sorted(timeline.open)],
        sorted(timeline.threads.items()),
        timeline.is_saturated,
        timeline.trail,
        dump_moved(timeline.moved, codes, owner_of(timeline.entity)),
        timeline.kept,
    )
    return _encode(_Record(FORMAT, compress(_encode(body))))


def uncompressed(raw: bytes) -> bytes:
    """The body of a record of this format. Raises `StateError`."""
    try:
        return bytes(decompress(_record(raw).body))
    except LZ4BlockError as error:
        raise StateError(f"a record cannot be decompressed: {error}") from error


def load_timeline(entity: str, raw: bytes, codes: Codes) -> Timeline:
    """The timeline in a record of this format, see `current`; of a partition with *codes*."""
    packed = _timeline(uncompressed(raw))
    timeline = Timeline(entity)
    timeline.packed = packed.live
    timeline.blocks, timeline.last = packed.blocks, packed.last
    timeline.count = sum(block.count for block in packed.blocks)
    timeline.tally = packed.tally
    timeline.open = {alert.uid: alert for alert in packed.open} or NOTHING
    timeline.threads = dict(packed.threads) or NOTHING
    timeline.is_saturated, timeline.trail = packed.is_saturated, packed.trail
    timeline.moved = load_moved(packed.moved, codes, owner_of(entity))
    timeline.kept = packed.kept
    return timeline


def dump_rest(rest: Rest) -> bytes:
    return _encode(rest)


def load_rest(raw: bytes) -> Rest:
    """Raises `StateError` for bytes that this version cannot read."""
    return _rest(_current(raw, REST))


def current(raw: bytes) -> bytes:
    """The record of an entity in the format that this version writes. Raises `StateError`."""
    return _current(raw, TIMELINE)


def _current(raw: bytes, form: Format) -> bytes:
    try:
        return form.current(raw)
    except FormatError as error:
        raise StateError(str(error)) from error.__cause__
