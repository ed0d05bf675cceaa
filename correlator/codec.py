"""Events as small bytes: words, places and networks that recur become codes of a table.

A history of 40 events must fit a few KiB, and a frame must not repeat the coordinates of a door a thousand
times. The table belongs to whoever holds the bytes: a frame carries its own, a partition's is part of its
state. Codes are given in order of first use and never change, so the bytes written earlier stay readable.

May not know: topics, timelines. Invariant: `unpack(pack(e, codes), codes) == e`.
"""

from __future__ import annotations

from typing import TypeVar, cast

import msgspec

from correlator.event import Event, Kind, Network, Person, Place, Score

T = TypeVar("T")


class _Table(dict[T, int]):
    """Codes by value; a value that is asked for the first time gets the next one."""

    def __init__(self, values: list[T]) -> None:
        super().__init__((value, code) for code, value in enumerate(values))
        self._values = values

    def __missing__(self, value: T) -> int:
        code = self[value] = len(self._values)
        self._values.append(value)
        return code


class Codes:
    """Words, places and networks by code. Grows only; bounded by configuration, since addresses, devices and
    sessions are never coded."""

    __slots__ = ("network_codes", "networks", "place_codes", "places", "word_codes", "words")

    def __init__(
        self,
        words: list[str] | None = None,
        places: list[Place] | None = None,
        networks: list[Network] | None = None,
    ) -> None:
        self.words = words if words is not None else []
        self.places = places if places is not None else []
        self.networks = networks if networks is not None else []
        self.word_codes = _Table(self.words)
        self.place_codes = _Table(self.places)
        self.network_codes = _Table(self.networks)


class PackedEvent(msgspec.Struct, frozen=True, array_like=True):
    """An `Event` whose recurring values are codes. Same order of fields as `Event`: part of the state
    format.
    """

    time_ms: int
    id: str
    kind: int
    source: int
    feed: int
    identity_id: str
    credential: str
    place: int | None
    outcome: int
    reason: int
    reason_native: int
    taken: int
    direction: int
    duress: bool
    activity: int
    ip: str
    network: int | None
    logon_type: int
    is_interactive: bool
    mfa: int
    device: str
    session: str
    application: int
    offset_min: int
    is_business_hours: bool | None
    sequence: int | None
    time_claimed_ms: int | None
    person: Person | None
    score: Score | None


def pack(e: Event, codes: Codes) -> PackedEvent:
    word = codes.word_codes
    return PackedEvent(
        e.time_ms,
        e.id,
        word[e.kind],
        word[e.source],
        word[e.feed],
        e.identity_id,
        e.credential,
        None if e.place is None else codes.place_codes[e.place],
        word[e.outcome],
        word[e.reason],
        word[e.reason_native],
        word[e.taken],
        word[e.direction],
        e.duress,
        word[e.activity],
        e.ip,
        None if e.network is None else codes.network_codes[e.network],
        word[e.logon_type],
        e.is_interactive,
        word[e.mfa],
        e.device,
        e.session,
        word[e.application],
        e.offset_min,
        e.is_business_hours,
        e.sequence,
        e.time_claimed_ms,
        e.person,
        e.score,
    )


def unpack(p: PackedEvent, codes: Codes) -> Event:
    words = codes.words
    return Event(
        p.time_ms,
        p.id,
        cast("Kind", words[p.kind]),
        words[p.source],
        words[p.feed],
        p.identity_id,
        p.credential,
        None if p.place is None else codes.places[p.place],
        words[p.outcome],
        words[p.reason],
        words[p.reason_native],
        words[p.taken],
        words[p.direction],
        p.duress,
        words[p.activity],
        p.ip,
        None if p.network is None else codes.networks[p.network],
        words[p.logon_type],
        p.is_interactive,
        words[p.mfa],
        p.device,
        p.session,
        words[p.application],
        p.offset_min,
        p.is_business_hours,
        p.sequence,
        p.time_claimed_ms,
        p.person,
        p.score,
    )
