"""Live states and events as bytes of a partition: what a timeline keeps while nobody touches it.

Events inside a live state are packed with the same table of shapes as the history. Part of the state format.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from correlator import codec
from correlator.codec import Codes, PackedEvent
from correlator.event import Event, Order, Person
from correlator.timeline.habits import NO_HABITS, Day, Habits
from correlator.timeline.live import DoorState, Live, Passed, Scalar, Stay, Waiting, Window, ZoneState


class _Waiting(msgspec.Struct, array_like=True, gc=False):
    due_ms: int
    rule: str
    event: PackedEvent
    seen: tuple[tuple[str, Scalar], ...]


class _Day(msgspec.Struct, array_like=True, gc=False):
    """A `Day`; its things are in order, so that equal days are equal bytes."""

    day: int
    access_hours: int
    login_hours: int
    things: tuple[int, ...]
    alerted: tuple[int, ...]
    site_hours: int


class _Live(msgspec.Struct, array_like=True, gc=False):
    """*last_badge* and *last_login* are True where they equal the newest place of their kind, *card_places*
    where they are the *badge_places*.
    """

    last_badge: PackedEvent | bool | None = None
    last_login: PackedEvent | bool | None = None
    badge_places: tuple[PackedEvent, ...] = ()
    card_places: tuple[PackedEvent, ...] | bool = ()
    login_places: tuple[PackedEvent, ...] = ()
    stays: tuple[Stay, ...] = ()
    person: Person | None = None
    door: DoorState | None = None
    windows: tuple[Window, ...] = ()
    waiting: tuple[_Waiting, ...] = ()
    habits: Habits = NO_HABITS
    today: _Day | None = None
    passed: tuple[Passed, ...] = ()
    zone: ZoneState | None = None


class _Ahead(msgspec.Struct, array_like=True, gc=False):
    """A `_Live` of which only one part is of interest."""

    last_badge: msgspec.Raw
    last_login: msgspec.Raw
    badge_places: msgspec.Raw
    card_places: msgspec.Raw
    login_places: msgspec.Raw
    stays: msgspec.Raw
    person: msgspec.Raw
    door: msgspec.Raw
    windows: msgspec.Raw
    waiting: tuple[_Waiting, ...]


class _Number(msgspec.Struct, array_like=True, gc=False):
    """The number of a packed event's shape."""

    time_ms: msgspec.Raw
    id: msgspec.Raw
    shape: int


class _AnyWaiting(msgspec.Struct, array_like=True, gc=False):
    due_ms: int
    rule: str
    event: _Number


class _Numbers(msgspec.Struct, array_like=True, gc=False):
    """A `_Live` of which only the numbers of shapes are of interest."""

    last_badge: _Number | bool | None
    last_login: _Number | bool | None
    badge_places: tuple[_Number, ...]
    card_places: tuple[_Number, ...] | bool
    login_places: tuple[_Number, ...]
    stays: msgspec.Raw
    person: msgspec.Raw
    door: msgspec.Raw
    windows: msgspec.Raw
    waiting: tuple[_AnyWaiting, ...]


class _Head(msgspec.Struct, array_like=True, gc=False):
    """The head of a packed event: decoding stops there."""

    time_ms: int
    id: int | str


_encode = msgspec.msgpack.Encoder().encode
_live = msgspec.msgpack.Decoder(_Live).decode
_ahead = msgspec.msgpack.Decoder(_Ahead).decode
_numbers = msgspec.msgpack.Decoder(_Numbers).decode
_each_number = msgspec.msgpack.Decoder(list[_Number]).decode
_events = msgspec.msgpack.Decoder(list[PackedEvent]).decode
_heads = msgspec.msgpack.Decoder(list[_Head]).decode


def dump_event(event: Event, codes: Codes, owner: str, packed_id: int | str | None = None) -> bytes:
    """*packed_id*: where it is known already."""
    return _encode(codec.pack(event, codes, owner, packed_id))


def load_events(packed: bytes, count: int, codes: Codes, owner: str) -> list[Event]:
    """Events that were dumped one after the other: appending needs no decoding."""
    shapes = codes.shapes
    return [codec.unpack(p, shapes, owner) for p in _events(_array(packed, count))]


def numbers_in(packed: bytes, count: int) -> Iterator[int]:
    """The numbers of the shapes of each."""
    return (number.shape for number in _each_number(_array(packed, count)))


def numbers_in_live(raw: bytes) -> Iterator[int]:
    """The numbers of the shapes of all events in a live state."""
    live = _numbers(raw)
    cards = () if isinstance(live.card_places, bool) else live.card_places
    lasts = (e for e in (live.last_badge, live.last_login) if isinstance(e, _Number))
    for number in (*lasts, *live.badge_places, *cards, *live.login_places, *(w.event for w in live.waiting)):
        yield number.shape


def load_orders(packed: bytes, count: int) -> list[Order]:
    """(event time, event id) of each."""
    return [(head.time_ms, codec.unpack_id(head.id)) for head in _heads(_array(packed, count))]


def needle(packed_id: int | str) -> bytes:
    """Bytes that a packed event with this id contains."""
    if isinstance(packed_id, int) and packed_id >> 32:
        return packed_id.to_bytes(8, "big")  # what msgpack writes of a number that needs so many
    return _encode(packed_id)


def _array(packed: bytes, count: int) -> bytes:
    return b"\xdd" + count.to_bytes(4, "big") + packed  # array 32 of the msgpack specification


def dump_live(live: Live, codes: Codes, owner: str) -> bytes:
    def pack(event: Event) -> PackedEvent:
        return codec.pack(event, codes, owner)

    def pack_last(event: Event | None, places: tuple[Event, ...]) -> PackedEvent | bool | None:
        if event is None:
            return None
        return True if places and _same(event, places[-1]) else pack(event)

    return _encode(
        _Live(
            pack_last(live.last_badge, live.badge_places),
            pack_last(live.last_login, live.login_places),
            tuple(map(pack, live.badge_places)),
            True if live.card_places == live.badge_places else tuple(map(pack, live.card_places)),
            tuple(map(pack, live.login_places)),
            live.stays,
            live.person,
            live.door,
            live.windows,
            tuple([_Waiting(w.due_ms, w.rule, pack(w.event), w.seen) for w in live.waiting]),
            live.habits,
            None if live.today is None else _pack_day(live.today),
            live.passed,
            live.zone,
        )
    )


def load_live(raw: bytes, codes: Codes, owner: str) -> Live:
    shapes = codes.shapes

    def unpack(packed: PackedEvent) -> Event:
        return codec.unpack(packed, shapes, owner)

    def unpack_last(packed: PackedEvent | bool | None, places: tuple[Event, ...]) -> Event | None:
        if packed is None or isinstance(packed, bool):
            return places[-1] if packed else None
        return unpack(packed)

    packed = _live(raw)
    badge_places = tuple(map(unpack, packed.badge_places))
    login_places = tuple(map(unpack, packed.login_places))
    cards = packed.card_places
    return Live(
        unpack_last(packed.last_badge, badge_places),
        unpack_last(packed.last_login, login_places),
        badge_places,
        badge_places if isinstance(cards, bool) else tuple(map(unpack, cards)),
        login_places,
        packed.stays,
        packed.person,
        packed.door,
        packed.windows,
        _unpack_waiting(packed.waiting, codes, owner),
        packed.habits,
        None if packed.today is None else _unpack_day(packed.today),
        packed.passed,
        packed.zone,
    )


def load_waiting(raw: bytes, codes: Codes, owner: str) -> tuple[Waiting, ...]:
    """`load_live(...).waiting`, without the rest."""
    return _unpack_waiting(_ahead(raw).waiting, codes, owner)


def _unpack_waiting(waiting: tuple[_Waiting, ...], codes: Codes, owner: str) -> tuple[Waiting, ...]:
    shapes = codes.shapes
    return tuple([Waiting(w.due_ms, w.rule, codec.unpack(w.event, shapes, owner), w.seen) for w in waiting])


def _pack_day(day: Day) -> _Day:
    return _Day(
        day.day,
        day.access_hours,
        day.login_hours,
        tuple(sorted(day.things)),
        tuple(sorted(day.alerted)),
        day.site_hours,
    )


def _unpack_day(day: _Day) -> Day:
    return Day(
        day.day,
        day.access_hours,
        day.login_hours,
        frozenset(day.things),
        frozenset(day.alerted),
        day.site_hours,
    )


def _same(a: Event, b: Event) -> bool:
    return a is b or a == b
