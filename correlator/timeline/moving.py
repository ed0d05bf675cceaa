"""Events that belong into another timeline than the one they were routed to, and how they get there.

Decision 9. Intake resolves a badge or an account as of event time with what it knows then; the timeline that
it routes an event to is the event's *home*, for ever. When the identities feed says later who held it, a
`Binding` tells the timelines concerned, and homes let go of what is not theirs, by a `Fact` to whom it
belongs to. Only homes do: whoever is given an event passes on what is heard of its credential to the home,
never the event.

An event is folded where it is held directly and belongs, and where some home says that it belongs. What a
timeline knows of that is `Moved`; nearly none has any. Beyond the horizon nothing moves.

May not know: folding, publishing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile

import msgspec
from msgspec.structs import replace

from correlator import codec
from correlator.codec import Codes, PackedEvent, owner_of
from correlator.event import HOUR_MS, MINUTE_MS, NEVER, Event, Order, entity_key
from correlator.frame import Binding, Fact

BOUND_MS = HOUR_MS  # how long an intake may still route by what was known before a binding
LEAP_MS = MINUTE_MS  # most that one frame makes anything older

Holder = tuple[int, int, str]  # from, to (ms), identity id


class Moved(msgspec.Struct):
    """Of one timeline, by event id. An id that is nowhere here is held directly, and belongs."""

    away: dict[str, tuple[Event, str]] = {}  # held directly: the event as it came, the entity it belongs to
    given: dict[str, dict[str, Event]] = {}  # by home, which says that it belongs here
    direct: set[str] = set()  # of those given, that are held directly too, and belong

    def events(self) -> Iterator[Event]:
        yield from (event for event, _ in self.away.values())
        yield from (event for homes in self.given.values() for event in homes.values())

    def forget(self, edge_ms: int) -> Moved | None:
        """What is left of it after *edge_ms*; None for nothing."""
        away = {i: pair for i, pair in self.away.items() if pair[0].time_ms >= edge_ms}
        given = {i: homes for i, homes in self.given.items() if max(map(_time, homes.values())) >= edge_ms}
        return Moved(away, given, self.direct & given.keys()) if away or given else None


class Bound:
    """What was heard of credentials lately: an intake that did not know yet may route by what was before.

    Ages are times of *now*, of which one frame counts for a minute at most: after an outage *now* leaps over
    hours, and what entities tell each other is still on its way.
    """

    __slots__ = ("_age_ms", "_entities", "_heard", "_now_ms")

    def __init__(self, heard: Iterable[tuple[int, Binding]] = (), now_ms: int = NEVER) -> None:
        self._heard: dict[tuple[str, str], tuple[int, Binding]] = {}  # oldest first
        self._entities: Counter[str] = Counter()
        self._now_ms, self._age_ms = now_ms, 0
        for age_ms, binding in heard:
            self._keep(binding, -age_ms)

    def __contains__(self, entity: str) -> bool:
        return entity in self._entities

    def hear(self, binding: Binding) -> bool:
        """Is it news?"""
        key = (binding.entity, binding.credential)
        known = self._heard.get(key)
        if known is not None and known[1].version >= binding.version:
            return False
        self._drop(key)
        self._keep(binding, self._age_ms)
        return True

    def _keep(self, binding: Binding, heard_ms: int) -> None:
        self._heard[binding.entity, binding.credential] = (heard_ms, binding)
        self._entities[binding.entity] += 1

    def _drop(self, key: tuple[str, str]) -> None:
        if self._heard.pop(key, None) is not None:
            self._entities[key[0]] -= 1
            if not self._entities[key[0]]:
                del self._entities[key[0]]

    def about(self, entity: str, event: Event) -> Binding | None:
        """Who held the credential of *event*, as *entity* heard it."""
        heard = self._heard.get((entity, credential_of(event))) if entity in self._entities else None
        return None if heard is None else heard[1]

    def forget(self, now_ms: int) -> None:
        """After a frame: what was heard too long ago."""
        if self._now_ms > NEVER:
            self._age_ms += min(now_ms - self._now_ms, LEAP_MS)
        self._now_ms = now_ms
        edge_ms = self._age_ms - BOUND_MS
        for key in list(takewhile(lambda key: self._heard[key][0] < edge_ms, self._heard)):
            self._drop(key)

    def dump(self) -> list[tuple[int, Binding]]:
        """Each with its age."""
        return [(self._age_ms - heard_ms, binding) for heard_ms, binding in self._heard.values()]


class Outcome(msgspec.Struct):
    """What a timeline has to do about its news: fold *fresh* in, take *gone* (ids) out, tell others."""

    moved: Moved | None
    fresh: list[Event]
    gone: set[str]
    facts: list[Fact]
    bindings: list[Binding]  # for the homes of events that are given


def credential_of(event: Event) -> str:
    """`badge:4711`, `account:ada`; "" for what no credential was used for."""
    kind = event.shape.kind
    if not event.credential or kind not in ("access", "login"):
        return ""
    return f"{'account' if kind == 'login' else 'badge'}:{event.credential}"


def belongs_to(event: Event, holders: Sequence[Holder]) -> str:
    """The entity that *event* belongs to, if *holders* held its credential."""
    for from_ms, to_ms, identity in holders:
        if from_ms <= event.time_ms < to_ms:
            return entity_key("identity", identity)
    return unresolved(event)


def unresolved(event: Event) -> str:
    """The entity of events whose credential nobody is known to have held."""
    return f"unresolved:{credential_of(event)}"


class _Item(msgspec.Struct):
    """An event as one timeline knows it. *event*: as it came here directly, where that is at hand."""

    event: Event | None
    was_folded: bool
    is_direct: bool
    away: str = ""  # held directly, but belongs to that entity
    given: dict[str, Event] = {}  # by home

    @property
    def is_folded(self) -> bool:
        return bool(self.given) or (self.is_direct and not self.away)


class Mover:
    """The news of one timeline, in one frame: tell it bindings, then facts, then events; then ask `outcome`.

    *holds*: is an event of that id folded by now? Nothing is done about what happened before *floor_ms*.
    """

    def __init__(
        self,
        entity: str,
        moved: Moved | None,
        holds: Callable[[str], bool],
        bound: Bound,
        floor_ms: int,
    ) -> None:
        self._entity, self._moved, self._holds = entity, moved or Moved(), holds
        self._bound, self._floor_ms = bound, floor_ms
        self._items: dict[str, _Item] = {}
        self._facts: dict[tuple[str, str, bool], Fact] = {}
        self._bindings: dict[tuple[str, str], Binding] = {}  # by home and credential

    def bind(self, binding: Binding, events: Iterable[Event]) -> None:
        """Who held a credential is known better now. *events*: all that are folded by now."""
        away = [event for _, (event, _) in sorted(self._moved.away.items())]  # as one restored has them
        for event in (*events, *away):
            if credential_of(event) != binding.credential:
                continue
            item = self._item(event.id)
            if item.is_direct:
                item.event = item.event or event
                self._place(item, item.event, binding)
            for home in item.given:
                self._pass_on(home, binding)

    def take(self, fact: Fact) -> bool:
        """A home says that an event belongs here, or does not any more. False: that is too long ago."""
        event = fact.event
        if event.time_ms < self._floor_ms:
            return False
        item = self._item(event.id)
        if event.shape.kind == "occupancy":  # its id says who tells it, and nobody else can
            item.is_direct, item.event = fact.is_held, event
            return True
        if not fact.is_held:
            item.given.pop(fact.home, None)
            return True
        item.given[fact.home] = event
        binding = self._bound.about(self._entity, event)
        if binding is not None and belongs_to(event, binding.holders) != self._entity:
            self._pass_on(fact.home, binding)
        return True

    def receive(self, event: Event) -> bool:
        """An event that intake routed here. False when it is held directly already."""
        item = self._item(event.id)
        if item.is_direct:
            return False
        item.is_direct, item.event = True, event
        binding = self._bound.about(self._entity, event)
        if binding is not None:
            self._place(item, event, binding)
        return True

    def outcome(self) -> Outcome:
        """What is to be done, and what is known then."""
        moved, fresh, gone = self._moved, list[Event](), set[str]()
        for event_id, item in self._items.items():
            for known in (moved.away, moved.given):
                known.pop(event_id, None)
            moved.direct.discard(event_id)
            if item.away and item.event is not None:
                moved.away[event_id] = (item.event, item.away)
            if item.given:
                moved.given[event_id] = item.given
                if item.is_direct and not item.away:
                    moved.direct.add(event_id)
            if item.is_folded and not item.was_folded:
                given = next(iter(item.given.values()), None)
                fresh.append(item.event if given is None and item.event is not None else _given(given))
            elif item.was_folded and not item.is_folded:
                gone.add(event_id)
        left = moved if moved.away or moved.given else None
        facts = sorted(self._facts.values(), key=_order_told)  # a restored timeline has them in another order
        bindings = [binding for _, binding in sorted(self._bindings.items())]
        return Outcome(left, fresh, gone, facts, bindings)

    def _item(self, event_id: str) -> _Item:
        item = self._items.get(event_id)
        if item is None:
            event, away = self._moved.away.get(event_id, (None, ""))
            given = dict(self._moved.given.get(event_id, {}))
            was_folded = self._holds(event_id)
            is_direct = bool(away) or event_id in self._moved.direct or (was_folded and not given)
            item = self._items[event_id] = _Item(event, was_folded, is_direct, away, given)
        return item

    def _place(self, item: _Item, event: Event, binding: Binding) -> None:
        """Of an event held directly: tell whom it belongs to, and whom not any more."""
        where = belongs_to(event, binding.holders)
        away = "" if where == self._entity else where
        if away == item.away or event.time_ms < self._floor_ms:
            return
        if item.away:
            self._tell(item.away, event, is_held=False)
        if away:
            self._tell(away, event, is_held=True)
        item.away = away

    def _tell(self, entity: str, event: Event, *, is_held: bool) -> None:
        """A score is of the person who was scored."""
        identity = owner_of(entity)
        fact = Fact(entity, self._entity, replace(event, identity_id=identity, score=None), is_held)
        if self._facts.pop((event.id, entity, not is_held), None) is None:
            self._facts[event.id, entity, is_held] = fact

    def _pass_on(self, home: str, binding: Binding) -> None:
        if home != self._entity:
            self._bindings[home, binding.credential] = replace(binding, entity=home)


def _given(event: Event | None) -> Event:
    assert event is not None, "what is folded is held directly or given"
    return event


def _order_told(fact: Fact) -> tuple[Order, bool, str]:
    return (fact.event.order, fact.is_held, fact.entity)


def _time(event: Event) -> int:
    return event.time_ms


# ------------------------------------------------------------------------------ as bytes


class _Moved(msgspec.Struct, array_like=True):
    """Part of the state format."""

    away: list[tuple[PackedEvent, str]]
    given: list[tuple[str, PackedEvent]]  # home, event; by id, those of one in order of telling
    direct: list[str]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Moved).decode


def dump_moved(moved: Moved | None, codes: Codes, owner: str) -> bytes:
    """b"" for None."""
    if moved is None:
        return b""
    away = [(codec.pack(event, codes, owner), to) for _, (event, to) in sorted(moved.away.items())]
    given = [
        (home, codec.pack(event, codes, owner))
        for _, homes in sorted(moved.given.items())
        for home, event in homes.items()
    ]
    return _encode(_Moved(away, given, sorted(moved.direct)))


def load_moved(raw: bytes, codes: Codes, owner: str) -> Moved | None:
    if not raw:
        return None
    packed, moved, shapes = _decode(raw), Moved(), codes.shapes
    for event, entity in packed.away:
        found = codec.unpack(event, shapes, owner)
        moved.away[found.id] = (found, entity)
    for home, event in packed.given:
        found = codec.unpack(event, shapes, owner)
        moved.given.setdefault(found.id, {})[home] = found
    moved.direct = set(packed.direct)
    return moved
