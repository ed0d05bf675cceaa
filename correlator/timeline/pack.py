"""Live states and events as bytes of a partition: what a timeline keeps while nobody touches it.

Events inside a live state are packed with the same table of codes as the history. Part of the state format.
"""

from __future__ import annotations

import msgspec

from correlator import codec
from correlator.codec import Codes, PackedEvent
from correlator.event import Event, Person
from correlator.timeline.live import DoorState, Live, Scalar, SitePresence, Waiting, Window


class _Waiting(msgspec.Struct, array_like=True):
    due_ms: int
    rule: str
    event: PackedEvent
    seen: tuple[tuple[str, Scalar], ...]


class _Live(msgspec.Struct, array_like=True):
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


class _Id(msgspec.Struct, array_like=True):
    """The head of a packed event: decoding stops there."""

    time_ms: int
    id: str


_encode = msgspec.msgpack.Encoder().encode
_live = msgspec.msgpack.Decoder(_Live).decode
_events = msgspec.msgpack.Decoder(list[PackedEvent]).decode
_ids = msgspec.msgpack.Decoder(list[_Id]).decode


def dump_event(event: Event, codes: Codes) -> bytes:
    return _encode(codec.pack(event, codes))


def load_events(packed: bytes, count: int, codes: Codes) -> list[Event]:
    """Events that were dumped one after the other: appending needs no decoding."""
    return [codec.unpack(p, codes) for p in _events(_array(packed, count))]


def load_ids(packed: bytes, count: int) -> list[str]:
    return [head.id for head in _ids(_array(packed, count))]


def _array(packed: bytes, count: int) -> bytes:
    return b"\xdd" + count.to_bytes(4, "big") + packed  # array 32 of the msgpack specification


def dump_live(live: Live, codes: Codes) -> bytes:
    return _encode(
        _Live(
            True if _same(live.last_badge, live.badge_place) else _pack(live.last_badge, codes),
            True if _same(live.last_login, live.login_place) else _pack(live.last_login, codes),
            _pack(live.badge_place, codes),
            True if _same(live.card_place, live.badge_place) else _pack(live.card_place, codes),
            _pack(live.login_place, codes),
            live.presence,
            live.person,
            live.door,
            live.windows,
            tuple(_Waiting(w.due_ms, w.rule, codec.pack(w.event, codes), w.seen) for w in live.waiting),
        )
    )


def load_live(raw: bytes, codes: Codes) -> Live:
    packed = _live(raw)
    badge_place, login_place = _unpack(packed.badge_place, codes), _unpack(packed.login_place, codes)
    last_badge, card_place, last_login = packed.last_badge, packed.card_place, packed.last_login
    return Live(
        badge_place if isinstance(last_badge, bool) else _unpack(last_badge, codes),
        login_place if isinstance(last_login, bool) else _unpack(last_login, codes),
        badge_place,
        badge_place if isinstance(card_place, bool) else _unpack(card_place, codes),
        login_place,
        packed.presence,
        packed.person,
        packed.door,
        packed.windows,
        tuple(Waiting(w.due_ms, w.rule, codec.unpack(w.event, codes), w.seen) for w in packed.waiting),
    )


def _same(a: Event | None, b: Event | None) -> bool:
    return a is not None and a == b


def _pack(event: Event | None, codes: Codes) -> PackedEvent | None:
    return None if event is None else codec.pack(event, codes)


def _unpack(packed: PackedEvent | None, codes: Codes) -> Event | None:
    return None if packed is None else codec.unpack(packed, codes)
