"""The state of a partition as bytes: what a checkpoint holds. Versioned msgpack; equal states give equal
bytes.

One record per entity, and one *rest*: marks, codes, models, uids of alerts on too-late events. What
follows from these (wakes, sets of known ids) is not saved.
"""

from __future__ import annotations

import msgspec
from lz4.block import LZ4BlockError, compress, decompress

from correlator.codec import Codes, dump_shapes
from correlator.event import Order
from correlator.timeline.alert import Alert
from correlator.timeline.decide import Tally
from correlator.timeline.entity import NOTHING, Block, Timeline
from correlator.timeline.storms import Line

FORMAT = 5  # of both records; part of the manifest


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


class _Record(msgspec.Struct, array_like=True):
    """*body*: a `_Timeline` in LZ4's block format. States before blocks repeat each other and the history, so
    half the memory of an identity is saved, for some microseconds where it is read.
    """

    format: int
    body: bytes


class Rest(msgspec.Struct, array_like=True):
    format: int
    number: int
    shapes: bytes  # `codec.load_shapes`
    any_age: list[tuple[str, int]]
    marks: bytes
    scorer: bytes
    storms: list[Line]


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
    )
    return _encode(_Record(FORMAT, compress(_encode(body))))


def uncompressed(raw: bytes) -> bytes:
    """The body of a record of this format. Raises `StateError`."""
    try:
        return bytes(decompress(_record(raw).body))
    except LZ4BlockError as error:
        raise StateError(f"a record cannot be decompressed: {error}") from error


def load_timeline(entity: str, raw: bytes) -> Timeline:
    """The timeline in a record of this format, see `check`."""
    packed = _timeline(uncompressed(raw))
    timeline = Timeline(entity)
    timeline.packed = packed.live
    timeline.blocks, timeline.last = packed.blocks, packed.last
    timeline.count = sum(block.count for block in packed.blocks)
    timeline.tally = packed.tally
    timeline.open = {alert.uid: alert for alert in packed.open} or NOTHING
    timeline.threads = dict(packed.threads) or NOTHING
    timeline.is_saturated = packed.is_saturated
    return timeline


def dump_rest(  # noqa: PLR0917
    number: int, codes: Codes, any_age: dict[str, int], marks: bytes, scorer: bytes, storms: list[Line]
) -> bytes:
    told = sorted(any_age.items())
    return _encode(Rest(FORMAT, number, dump_shapes(codes.shapes), told, marks, scorer, storms))


def load_rest(raw: bytes) -> Rest:
    """Raises `StateError` for bytes of another format."""
    check(raw)
    return _rest(raw)


class _Head(msgspec.Struct, array_like=True):
    format: int


_head = msgspec.msgpack.Decoder(_Head).decode


def check(raw: bytes) -> None:
    """Raises `StateError` for bytes of another format."""
    try:
        found = _head(raw).format
    except msgspec.DecodeError as error:
        raise StateError(f"not a state of correlator: {error}") from error
    if found != FORMAT:
        what = "a newer correlator wrote it: upgrade" if found > FORMAT else "no migration is known"
        raise StateError(f"state format {found}, this version reads {FORMAT}: {what}")
