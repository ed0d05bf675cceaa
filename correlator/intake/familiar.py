"""The short way for records like those seen before: what repeats is looked up, not worked out again.

A reader reports the same few things all day; only time, id, badge and counter differ. So everything that
many records share is taken raw, and what mapping and normalising made of it once is what they make again.
The long way (`Feed.map`, `normalise`) is the authority: it is asked for what was not seen before, and
for whatever is odd about a record. A test compares the two on every kind of record.

May not know: topics, frames. Bounded: what is known is forgotten when there is too much of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from correlator.event import Event, Network, Place, Shape, event_id
from correlator.intake.canonical import CANONICAL
from correlator.intake.decode import Decoded
from correlator.intake.feeds import Feed
from correlator.intake.instants import Unfit
from correlator.intake.mapped import Mapped
from correlator.intake.mapping import Row, make_id, required
from correlator.intake.networks import Networks
from correlator.intake.normalise import is_possible, normalise, space_of, where_of
from correlator.intake.people import Namespace, People, canonical
from correlator.intake.places import Sites
from correlator.record import Record, Reject

KNOWN_MAX = 20_000  # combinations of shared values of a feed
SHAPES_MAX = 5_000  # shapes of one such combination

# Attributes of `Mapped` in which each record differs from the one before. All others are shared.
_OWN = frozenset(
    {"credential", "ip", "lat", "lon", "radius_km", "country", "host", "device", "session", "sequence"}
)
_LOCATING = frozenset({"ip", "lat", "lon", "radius_km", "country", "host"})  # where a login is from

_Key = tuple[object, ...]
_Where = tuple[Place | None, Network | None]


class _Known(msgspec.Struct):
    """What became of records with the same shared values.

    *numbers*: where these are numbers, and of which type, since 1 and true are one key. *shape*: that of the
    record that was seen first.
    """

    mapped: Mapped
    space: Namespace
    numbers: tuple[tuple[int, type], ...]
    shape: Shape
    shapes: dict[tuple[_Where, int, bool | None], Shape] = {}


class Familiar:
    """One feed, for the sites, networks and people of one intake."""

    def __init__(self, feed: Feed, sites: Sites, networks: Networks, people: People, ahead_ms: int) -> None:
        self._feed, self._sites, self._networks = feed, sites, networks
        self._people, self._ahead_ms = people, ahead_ms
        plan = feed.plan
        shared = [row for row in plan.fields if CANONICAL[row.name].attribute not in _OWN]
        self._shared = _all_of([plan.kind, plan.source, *shared])
        self._time, self._id = required(plan.time), make_id(plan.id)
        own = [(CANONICAL[row.name].attribute, row) for row in plan.fields]
        self._own = [(attribute, row.take) for attribute, row in own if attribute in _OWN]
        self._known: dict[_Key, _Known] = {}

    def event(self, record: Record, arrival_ms: int) -> Event | Reject | None:
        """The event of *record*, why there is none, or None where it is none of ours. Total."""
        decoded = self._feed.decode(record)
        if isinstance(decoded, Reject):
            return decoded
        key = self._shared(decoded)
        try:
            known = self._known.get(key)
        except TypeError:  # a list or mapping where a plain value is expected
            return self._long_way(decoded, record, arrival_ms)
        if known is None:
            return self._learn(key, decoded, record, arrival_ms)
        for at, kind in known.numbers:
            if type(key[at]) is not kind:
                return self._long_way(decoded, record, arrival_ms)
        found = self._short_way(known, decoded, record, arrival_ms)
        return self._long_way(decoded, record, arrival_ms) if found is None else found

    # ------------------------------------------------------------- the short way

    def _short_way(self, known: _Known, decoded: Decoded, record: Record, arrival_ms: int) -> Event | None:
        """None where something about the record is odd."""
        try:
            time_ms, native_id = cast("int", self._time(decoded)), str(self._id(decoded, record))
            own: dict[str, Any] = {n: found for n, take in self._own if (found := take(decoded)) is not None}
        except Unfit:
            return None
        mapped = known.mapped
        credential = canonical(known.space, own.get("credential", ""))
        if not is_possible(time_ms, arrival_ms) or not (credential or mapped.kind == "door"):
            return None
        claimed_ms = None
        if time_ms - arrival_ms > self._ahead_ms:
            claimed_ms, time_ms = time_ms, arrival_ms
        is_used = mapped.kind != "door"
        identity = self._people.resolve(known.space, credential, time_ms) if is_used else ""
        shape = self._shape(known, own, identity, time_ms)
        if shape is None:
            return None
        return Event(
            time_ms,
            event_id(shape.source, native_id),
            shape,
            identity,
            credential,
            own.get("ip", ""),
            own.get("device", ""),
            own.get("session", ""),
            own.get("sequence"),
            claimed_ms,
        )

    def _shape(self, known: _Known, own: dict[str, Any], identity: str, time_ms: int) -> Shape | None:
        place, network = known.shape.place, known.shape.network
        if known.shape.kind == "login":
            located = replace(known.mapped, **{name: own[name] for name in _LOCATING.intersection(own)})
            where = where_of(located, self._sites, self._networks)
            if isinstance(where, Reject):
                return None
            place, network, _ = where
        has_site = place is not None and place.site
        site = self._sites.site(place.site) if place is not None and has_site else self._people.home(identity)
        local = (0, None) if site is None else site.local(time_ms)
        shape = known.shapes.get(((place, network), *local))
        if shape is None:
            if len(known.shapes) >= SHAPES_MAX:
                known.shapes.clear()
            offset_min, is_business_hours = local
            shape = known.shapes[(place, network), offset_min, is_business_hours] = replace(
                known.shape,
                place=place,
                network=network,
                offset_min=offset_min,
                is_business_hours=is_business_hours,
            )
        return shape

    # -------------------------------------------------------------- the long way

    def _long_way(self, decoded: Decoded, record: Record, arrival_ms: int) -> Event | Reject | None:
        return self._normalised(self._feed.map_decoded(decoded, record), arrival_ms)

    def _normalised(self, found: Mapped | Reject | None, arrival_ms: int) -> Event | Reject | None:
        if not isinstance(found, Mapped):
            return found
        return normalise(
            found, arrival_ms, self._sites, self._networks, self._people, ahead_ms=self._ahead_ms
        )

    def _learn(self, key: _Key, decoded: Decoded, record: Record, arrival_ms: int) -> Event | Reject | None:
        mapped = self._feed.map_decoded(decoded, record)
        event = self._normalised(mapped, arrival_ms)
        if isinstance(mapped, Mapped) and isinstance(event, Event):
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            numbers = tuple(
                (at, type(value)) for at, value in enumerate(key) if isinstance(value, int | float)
            )
            shared = replace(mapped, **{name: _DEFAULTS[name] for name in _OWN})
            self._known[key] = _Known(shared, space_of(mapped), numbers, event.shape)
        return event


_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Mapped)}


def _all_of(rows: list[Row]) -> Callable[[Decoded], _Key]:
    """What a decoded record has at each of *rows*, unconverted. Generated: it is asked of every record."""
    names: dict[str, object] = {}
    parts: list[str] = []
    for at, row in enumerate(rows):
        names[f"k{at}"] = row.key or row.raw
        parts.append(f"get(k{at})" if row.key else f"k{at}(decoded)")
    source = f"def ask(decoded):\n    get = decoded.get\n    return ({', '.join(parts)},)"
    exec(compile(source, "<feed>", "exec"), names)  # noqa: S102 (no word of it is a feed author's)
    return cast("Callable[[Decoded], _Key]", names["ask"])
