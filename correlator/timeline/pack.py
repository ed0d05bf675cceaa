"""Live states and events as bytes of a partition: what a timeline keeps while nobody touches it.

Events inside a live state are packed with the same table of shapes as the history. Part of the state format.
"""

from __future__ import annotations

import msgspec

from correlator import codec
from correlator.codec import Codes, PackedEvent
from correlator.event import Event, Order, Person
from correlator.timeline.habits import NO_HABITS, Day, Habits
from correlator.timeline.live import DoorState, Live, Scalar, SitePresence, Waiting, Window


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


class _Live(msgspec.Struct, array_like=True, gc=False):
    """*last_badge*, *card_place* and *last_login* are True where they equal the place of their kind."""

    last_badge: PackedEvent | bool | None = None
    last_login: PackedEvent | bool | None = None
    badge_place: PackedEvent | None = None
    card_place: PackedEvent | bool | None = None
    login_place: PackedEvent | None = None
    presence: SitePresence | None = None
    person: Person | None = None
    door: DoorState | None = None
    windows: tuple[Window, ...] = ()
    waiting: tuple[_Waiting, ...] = ()
    habits: Habits = NO_HABITS
    today: _Day | None = None


class _Head(msgspec.Struct, array_like=True, gc=False):
    """The head of a packed event: decoding stops there."""

    time_ms: int
    id: int | str


_encode = msgspec.msgpack.Encoder().encode
_live = msgspec.msgpack.Decoder(_Live).decode
_events = msgspec.msgpack.Decoder(list[PackedEvent]).decode
_heads = msgspec.msgpack.Decoder(list[_Head]).decode


def dump_event(event: Event, codes: Codes, owner: str, packed_id: int | str | None = None) -> bytes:
    """*packed_id*: where it is known already."""
    return _encode(codec.pack(event, codes, owner, packed_id))


def load_events(packed: bytes, count: int, codes: Codes, owner: str) -> list[Event]:
    """Events that were dumped one after the other: appending needs no decoding."""
    shapes = codes.shapes
    return [codec.unpack(p, shapes, owner) for p in _events(_array(packed, count))]


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
    def pack(event: Event | None) -> PackedEvent | None:
        return None if event is None else codec.pack(event, codes, owner)

    return _encode(
        _Live(
            True if _same(live.last_badge, live.badge_place) else pack(live.last_badge),
            True if _same(live.last_login, live.login_place) else pack(live.last_login),
            pack(live.badge_place),
            True if _same(live.card_place, live.badge_place) else pack(live.card_place),
            pack(live.login_place),
            live.presence,
            live.person,
            live.door,
            live.windows,
            tuple(
                [_Waiting(w.due_ms, w.rule, codec.pack(w.event, codes, owner), w.seen) for w in live.waiting]
            ),
            live.habits,
            None if live.today is None else _pack_day(live.today),
        )
    )


def load_live(raw: bytes, codes: Codes, owner: str) -> Live:
    shapes = codes.shapes

    def unpack(packed: PackedEvent | None) -> Event | None:
        return None if packed is None else codec.unpack(packed, shapes, owner)

    packed = _live(raw)
    badge_place, login_place = unpack(packed.badge_place), unpack(packed.login_place)
    last_badge, card_place, last_login = packed.last_badge, packed.card_place, packed.last_login
    return Live(
        badge_place if isinstance(last_badge, bool) else unpack(last_badge),
        login_place if isinstance(last_login, bool) else unpack(last_login),
        badge_place,
        badge_place if isinstance(card_place, bool) else unpack(card_place),
        login_place,
        packed.presence,
        packed.person,
        packed.door,
        packed.windows,
        tuple(
            [Waiting(w.due_ms, w.rule, codec.unpack(w.event, shapes, owner), w.seen) for w in packed.waiting]
        ),
        packed.habits,
        None if packed.today is None else _unpack_day(packed.today),
    )


def _pack_day(day: Day) -> _Day:
    return _Day(day.day, day.access_hours, day.login_hours, tuple(sorted(day.things)))


def _unpack_day(day: _Day) -> Day:
    return Day(day.day, day.access_hours, day.login_hours, frozenset(day.things))


def _same(a: Event | None, b: Event | None) -> bool:
    return a is not None and (a is b or a == b)
