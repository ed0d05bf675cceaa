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

from correlator.event import Event, Network, Occurrence, Place, Shape, event_id
from correlator.intake.arrival import Timeliness
from correlator.intake.canonical import CANONICAL, TEXT_MAX
from correlator.intake.decode import Decoded
from correlator.intake.feeds import Feed
from correlator.intake.identity_record import Namespace, canonical
from correlator.intake.instants import Unfit
from correlator.intake.mapped import Heartbeat, Mapped
from correlator.intake.mapping import FEED_KINDS, Plan, Row, make_id, required
from correlator.intake.networks import Networks
from correlator.intake.normalise import Located, is_possible, normalise, settled, space_of, where_of_login
from correlator.intake.people import People
from correlator.intake.places import Sites
from correlator.intake.turns import Turns
from correlator.record import Record, Reject
from correlator.timeline.raw import with_record

KNOWN_MAX = 20_000  # combinations of shared values of a feed
SHAPES_MAX = 5_000  # shapes of one such combination

# Attributes of `Mapped` in which each record differs from the one before, in the order in which they are had.
_OWN = ("credential", "ip", "host", "lat", "lon", "radius_km", "country", "device", "session", "sequence")

_Key = tuple[object, ...]
_Own = tuple[Any, ...]  # time, native id, and `_OWN`
_Take = Callable[[Decoded, Record], tuple[_Key, _Own]]
_Where = tuple[Place | None, Network | None]


class _Known(msgspec.Struct):
    """What became of records with the same shared values.

    *numbers*: where these are numbers, and of which type, since 1 and true are one key. *shape*: that of the
    record that was seen first. *without*: places in `_Own` of what the feed maps for other kinds only.
    """

    mapped: Mapped
    space: Namespace
    numbers: tuple[tuple[int, type], ...]
    without: frozenset[int]
    shape: Shape
    shapes: dict[tuple[_Where, tuple[int, bool | None], Occurrence], Shape] = {}


class Familiar:
    """One feed, for the sites, networks and people of one intake."""

    def __init__(
        self, feed: Feed, sites: Sites, networks: Networks, people: People, timeliness: Timeliness
    ) -> None:
        self._feed, self._sites, self._networks = feed, sites, networks
        self._people, self._timeliness = people, timeliness
        self._turns = Turns()
        self._take = _make_take(feed.plan)
        self._without = _without(feed.plan)
        self._known: dict[_Key, _Known] = {}

    def event(self, record: Record, arrival_ms: int) -> Event | Heartbeat | Reject | None:
        """The event or heartbeat of *record*, why there is none, or None where it is none of ours. Total."""
        decoded = self._feed.decode(record)
        if isinstance(decoded, Reject):
            return decoded
        event = self._event(decoded, record, arrival_ms)
        if self._feed.raw and isinstance(event, Event):
            return with_record(event, decoded, self._feed.raw)
        return event

    def _event(self, decoded: Decoded, record: Record, arrival_ms: int) -> Event | Heartbeat | Reject | None:
        try:
            key, own = self._take(decoded, record)
            known = self._known.get(key)
        except (Unfit, TypeError):  # TypeError: a list or mapping where a plain value is expected
            return self._long_way(decoded, record, arrival_ms)
        if known is None:
            return self._learn(key, decoded, record, arrival_ms)
        for at, kind in known.numbers:
            if type(key[at]) is not kind:
                return self._long_way(decoded, record, arrival_ms)
        found = self._short_way(known, own, arrival_ms)
        return self._long_way(decoded, record, arrival_ms) if found is None else found

    # ------------------------------------------------------------- the short way

    def _short_way(self, known: _Known, own: _Own, arrival_ms: int) -> Event | None:
        """None where something about the record is odd."""
        if known.without:
            own = tuple(None if at in known.without else value for at, value in enumerate(own))
        time_ms, native_id, credential, ip, host, *located, device, session, sequence = own
        credential = canonical(known.space, credential or "")
        kind = known.mapped.kind
        if type(time_ms) is not int:  # not settled yet; of a login that needs its place first
            if kind == "login":
                return None
            time_ms = self._settled(time_ms, known.shape, sequence, arrival_ms)
        if not is_possible(time_ms, arrival_ms) or not (credential or kind == "door"):
            return None
        claimed_ms = None
        timeliness = self._timeliness
        if time_ms - arrival_ms > timeliness.ahead_ms:
            claimed_ms, time_ms = time_ms, arrival_ms
        identity = self._people.resolve(known.space, credential, time_ms) if kind != "door" else ""
        where: _Where = (known.shape.place, known.shape.network)
        if kind == "login":
            lat, lon, radius_km, country = located
            said = Located(ip or "", host or "", lat, lon, radius_km, country or "")
            found = where_of_login(known.mapped, said, self._sites, self._networks)
            if isinstance(found, Reject):
                return None
            where = found
        shape = self._shape(known, where, identity, time_ms, timeliness.occurrence(time_ms, arrival_ms))
        return Event(
            time_ms,
            event_id(shape.source, native_id),
            shape,
            identity,
            credential,
            ip or "",
            device or "",
            session or "",
            sequence,
            claimed_ms,
        )

    def _settled(self, time_ms: int, shape: Shape, sequence: int | None, arrival_ms: int) -> int:
        """The instant of a read or a door; 0, which is impossible, where nobody knows its zone."""
        site = self._sites.site(shape.place.site) if shape.place is not None else None
        zone, source = "" if site is None else site.time_zone, (shape.feed, shape.source)
        try:
            return self._turns.settle(time_ms, zone, source, sequence, arrival_ms)
        except Unfit:
            return 0

    def _shape(
        self, known: _Known, where: _Where, identity: str, time_ms: int, occurrence: Occurrence
    ) -> Shape:
        place = where[0]
        if place is not None and place.site:
            site = self._sites.site(place.site)
        else:
            site = self._people.home(identity)
        offset_min, is_business_hours = local = (0, None) if site is None else site.local(time_ms)
        shape = known.shapes.get((where, local, occurrence))
        if shape is None:
            if len(known.shapes) >= SHAPES_MAX:
                known.shapes.clear()
            shape = known.shapes[where, local, occurrence] = replace(
                known.shape,
                place=place,
                network=where[1],
                offset_min=offset_min,
                is_business_hours=is_business_hours,
                occurrence=occurrence,
            )
        return shape

    # -------------------------------------------------------------- the long way

    def _long_way(
        self, decoded: Decoded, record: Record, arrival_ms: int
    ) -> Event | Heartbeat | Reject | None:
        return self._normalised(self._feed.map_decoded(decoded, record), arrival_ms)

    def _normalised(
        self, found: Mapped | Heartbeat | Reject | None, arrival_ms: int
    ) -> Event | Heartbeat | Reject | None:
        if isinstance(found, Mapped):
            found = settled(found, arrival_ms, self._sites, self._networks, self._turns)
        if not isinstance(found, Mapped):
            return found
        return normalise(
            found, arrival_ms, self._sites, self._networks, self._people, timeliness=self._timeliness
        )

    def _learn(
        self, key: _Key, decoded: Decoded, record: Record, arrival_ms: int
    ) -> Event | Heartbeat | Reject | None:
        mapped = self._feed.map_decoded(decoded, record)
        event = self._normalised(mapped, arrival_ms)
        if isinstance(mapped, Mapped) and isinstance(event, Event):
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            numbers = tuple(
                (at, type(value)) for at, value in enumerate(key) if isinstance(value, int | float)
            )
            shared = replace(mapped, **{name: _DEFAULTS[name] for name in _OWN})
            without = self._without[mapped.kind]
            self._known[key] = _Known(shared, space_of(mapped), numbers, without, event.shape)
        return event


_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Mapped)}


def _without(plan: Plan) -> dict[str, frozenset[int]]:
    """Of each kind the places in `_Own` of what the feed maps for other kinds only."""
    mapped = [CANONICAL[row.name] for row in plan.fields]
    kinds = {row.attribute: row.kinds for row in mapped}
    at = {place: kinds[name] for place, name in enumerate(_OWN, 2) if name in kinds}  # behind time and id
    return {kind: frozenset(place for place, of in at.items() if kind not in of) for kind in FEED_KINDS}


def _make_take(plan: Plan) -> _Take:
    """What is taken of a decoded record: all shared values, raw; and time, id and `_OWN`, converted, None
    where the source does not say. Raises `Unfit` for what is its own. Generated: it is asked of every record.
    """
    rows = [(CANONICAL[row.name].attribute, row) for row in plan.fields]
    names: dict[str, object] = {"time": plan.time.take, "dated": required(plan.time), "id": make_id(plan.id)}
    lines = ["def take(decoded, record):", "    get = decoded.get", "    at = time(decoded)"]
    lines += ["    if at is None:", "        at = dated(decoded)"]
    own = ["at", "id(decoded, record)"]
    if plan.id is not None and len(plan.id) == 1:
        native = plan.id[0]
        own[1] = "i"
        names |= {"ik": native.key, "it": required(native)}
        lines += _own_lines("i", native)
    for number, attribute in enumerate(_OWN):
        row = next((row for name, row in rows if name == attribute), None)
        if row is not None:
            own.append(f"o{number}")
            names |= {f"o{number}k": row.key, f"o{number}t": row.take}
            lines += _own_lines(f"o{number}", row)
        else:
            own.append("None")
    shared = [plan.kind, plan.source, *[row for attribute, row in rows if attribute not in _OWN]]
    names |= {f"s{number}": row.key or row.raw for number, row in enumerate(shared)}
    parts = [f"get(s{n})" if row.key else f"s{n}(decoded)" for n, row in enumerate(shared)]
    lines.append(f"    return ({', '.join(parts)},), ({', '.join(own)})")
    exec(compile("\n".join(lines), "<feed>", "exec"), names)  # noqa: S102 (no word of it is a feed author's)
    return cast("_Take", names["take"])


def _own_lines(name: str, row: Row) -> list[str]:
    """Takes a plain text, which most are, without a call; what is not plain goes the way of every row."""
    if not row.is_text:
        return [f"    {name} = {name}t(decoded)"]
    is_odd = f"type({name}) is not str or not {name}.isprintable() or {name} != {name}.strip()"
    return [
        f"    {name} = get({name}k)",
        f"    if {is_odd} or not 0 < len({name}) <= {TEXT_MAX}:",
        f"        {name} = {name}t(decoded)",
    ]
