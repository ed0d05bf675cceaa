"""Events as small bytes: a shape is a number, an id is another, the entity's own identity is left out.

A history of 40 events must fit a few KiB, and a frame must not repeat the coordinates of a door a thousand
times. The table of shapes belongs to whoever holds the bytes: a frame carries its own, a partition's is part
of its state. A shape keeps its number as long as anything has it: bytes written earlier stay readable.

May not know: topics, timelines. Invariant: `unpack(pack(e, codes, owner), codes.shapes, owner) == e`.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Annotated, TypeVar, cast

import msgspec

from correlator.event import SHAPES_MAX, Event, Kind, Network, Occurrence, Person, Place, Score, Shape

T = TypeVar("T")

_ID_SIZE = 16  # hex digits of an id that is kept as a number
IDS_MAX = 1 << 14  # that are asked for again and again while a frame is on its way
_NO_SHAPE = Shape("door")  # stands where a number is free


class _Table(dict[T, int]):
    """Numbers by value; one that is asked for the first time gets the last of *free*, else the next one."""

    def __init__(self, values: list[T], free: list[int] | None = None) -> None:
        self._values, self._free = values, free if free is not None else []
        nobodys = set(self._free)
        super().__init__((value, code) for code, value in enumerate(values) if code not in nobodys)

    def __missing__(self, value: T) -> int:
        if self._free:
            code = self[value] = self._free.pop()
            self._values[code] = value
        else:
            code = self[value] = len(self._values)
            self._values.append(value)
        return code


class Codes:
    """Shapes by number. Addresses, devices and sessions are no part of a shape, so they are few; but
    networks, applications and what sources call a reason come and go.

    *free*: numbers of no shape, the next one last. *kept*: how many `keep` left when it was last asked.
    """

    __slots__ = ("_by_bytes", "free", "kept", "shape_codes", "shapes")

    def __init__(
        self, shapes: list[Shape] | None = None, free: list[int] | None = None, kept: int = 0
    ) -> None:
        self.shapes = shapes if shapes is not None else []
        self.free = free if free is not None else []
        self.kept = kept
        self.shape_codes = _Table(self.shapes, self.free)
        self._by_bytes: dict[bytes, Shape] = {}  # derived

    def __len__(self) -> int:
        return len(self.shape_codes)

    def keep(self, used: AbstractSet[int]) -> None:
        """Give all other numbers away again. Whoever remembers what `known` gave has to forget it."""
        for shape, code in list(self.shape_codes.items()):
            if code not in used:
                del self.shape_codes[shape]
                self.shapes[code] = _NO_SHAPE
        self.free[:] = [code for code in reversed(range(len(self.shapes))) if code not in used]
        self.kept = len(self)
        self._by_bytes.clear()

    def known(self, shape: Shape) -> Shape:
        """The one of our shapes that equals *shape*: what is looked up by shape is found faster by it."""
        return self.shapes[self.shape_codes[shape]]

    def known_by(self, raw: bytes) -> Shape:
        """`known` of the shape that *raw* is, see `shape_bytes`. Raises msgspec.DecodeError."""
        shape = self._by_bytes.get(raw)
        if shape is None:
            if len(self._by_bytes) >= SHAPES_MAX:
                self._by_bytes.clear()
            shape = self._by_bytes[raw] = self.known(_decode_shape(raw))
        return shape


class PackedEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An `Event` in the order of its fields: part of the state format.

    *id*: a number where it is 16 hex digits. *identity_id*: True for that of the entity whose event it is.
    """

    time_ms: int
    id: int | str
    shape: Annotated[int, msgspec.Meta(ge=0)]
    identity_id: str | bool
    credential: str
    ip: str
    device: str
    session: str
    sequence: int | None
    time_claimed_ms: int | None
    person: Person | None
    score: Score | None
    raw: bytes | None = None


_encode_shape = msgspec.msgpack.Encoder().encode
_decode_shape = msgspec.msgpack.Decoder(Shape).decode


@lru_cache(SHAPES_MAX)
def shape_bytes(shape: Shape) -> msgspec.Raw:
    """*shape* as it is in a frame, where most are those of earlier frames."""
    return msgspec.Raw(_encode_shape(shape))


def owner_of(entity: str) -> str:
    """Identity whose timeline *entity* is, else "": what `pack` leaves out."""
    return entity[9:] if entity.startswith("identity:") else ""


def pack(e: Event, codes: Codes, owner: str, packed_id: int | str | None = None) -> PackedEvent:
    """*packed_id*: where it is known already."""
    identity: str | bool = e.identity_id
    return PackedEvent(
        e.time_ms,
        pack_id(e.id) if packed_id is None else packed_id,
        codes.shape_codes[e.shape],
        True if identity and identity == owner else identity,
        e.credential,
        e.ip,
        e.device,
        e.session,
        e.sequence,
        e.time_claimed_ms,
        e.person,
        e.score,
        e.raw,
    )


def unpack(p: PackedEvent, shapes: Sequence[Shape], owner: str) -> Event:
    """Raises IndexError for a shape that the table does not have."""
    identity = p.identity_id
    return Event(
        p.time_ms,
        unpack_id(p.id),
        shapes[p.shape],
        owner if identity is True else cast("str", identity),
        p.credential,
        p.ip,
        p.device,
        p.session,
        p.sequence,
        p.time_claimed_ms,
        p.person,
        p.score,
        p.raw,
    )


@lru_cache(IDS_MAX)
def pack_id(id: str) -> int | str:
    """A number for 16 hex digits as `event_id` writes them, any other id as it is."""
    if len(id) != _ID_SIZE:
        return id
    try:
        number = int(id, 16)
    except ValueError:
        return id
    return number if f"{number:016x}" == id else id  # capitals, signs and underscores are read too


def unpack_id(packed: int | str) -> str:
    return f"{packed:016x}" if isinstance(packed, int) else packed


# ------------------------------------------------------- the table of a partition as bytes


class _Words(msgspec.Struct, array_like=True):
    """Shapes by their words: some ten bytes a shape instead of two hundred."""

    words: list[str]
    places: list[Place]
    networks: list[Network]
    shapes: list[_PackedShape]
    free: list[int] = []  # as in `Codes`
    kept: int = 0


class _PackedShape(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A `Shape` in the order of its fields, words and places by number."""

    kind: int
    source: int
    feed: int
    place: int | None
    outcome: int
    reason: int
    reason_native: int
    taken: int
    direction: int
    duress: bool
    activity: int
    network: int | None
    logon_type: int
    is_interactive: bool
    mfa: int
    application: int
    offset_min: int
    is_business_hours: bool | None
    occurrence: int
    skew_s: int
    site_skew_s: int
    ways: tuple[tuple[int, int], ...] = ()
    unread: int = 0


_encode = msgspec.msgpack.Encoder().encode
_words = msgspec.msgpack.Decoder(_Words).decode


def dump_codes(codes: Codes) -> bytes:
    words, places, networks = list[str](), list[Place](), list[Network]()
    word, place, network = _Table(words), _Table(places), _Table(networks)
    packed = [
        _PackedShape(
            word[s.kind],
            word[s.source],
            word[s.feed],
            None if s.place is None else place[s.place],
            word[s.outcome],
            word[s.reason],
            word[s.reason_native],
            word[s.taken],
            word[s.direction],
            s.duress,
            word[s.activity],
            None if s.network is None else network[s.network],
            word[s.logon_type],
            s.is_interactive,
            word[s.mfa],
            word[s.application],
            s.offset_min,
            s.is_business_hours,
            word[s.occurrence],
            s.skew_s,
            s.site_skew_s,
            tuple([(word[door], least_s) for door, least_s in s.ways]),
            s.unread,
        )
        for s in codes.shapes
    ]
    return _encode(_Words(words, places, networks, packed, codes.free, codes.kept))


def load_codes(raw: bytes) -> Codes:
    """What `dump_codes` was given. Raises `msgspec.DecodeError`, IndexError for numbers without words."""
    table = _words(raw)
    words = table.words
    shapes = [
        Shape(
            cast("Kind", words[s.kind]),
            words[s.source],
            words[s.feed],
            None if s.place is None else table.places[s.place],
            words[s.outcome],
            words[s.reason],
            words[s.reason_native],
            words[s.taken],
            words[s.direction],
            s.duress,
            words[s.activity],
            None if s.network is None else table.networks[s.network],
            words[s.logon_type],
            s.is_interactive,
            words[s.mfa],
            words[s.application],
            s.offset_min,
            s.is_business_hours,
            cast("Occurrence", words[s.occurrence]),
            s.skew_s,
            s.site_skew_s,
            tuple([(words[door], least_s) for door, least_s in s.ways]),
            s.unread,
        )
        for s in table.shapes
    ]
    return Codes(shapes, table.free, table.kept)
