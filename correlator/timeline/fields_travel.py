"""Fields of journeys to the event's place, and of what the person did last."""

from __future__ import annotations

from collections.abc import Callable

from correlator.event import SECOND_MS, Event, Place, Shape
from correlator.timeline import travel
from correlator.timeline.field import IDENTITY, Field, Get, ValueType
from correlator.timeline.live import Scalar
from correlator.timeline.observation import Observation

Starts = Callable[[Observation], travel.Starts]


def _leg(
    name: str, starts: Starts, is_place: Callable[[Shape], bool]
) -> Callable[[Observation], travel.Leg | None]:
    def get(o: Observation) -> travel.Leg | None:
        if name not in o.cache:
            o.cache[name] = travel.leg(starts(o), o.event, o.settings) if is_place(o.event.shape) else None
        found = o.cache[name]
        return found if isinstance(found, travel.Leg) else None

    return get


_badge_leg = _leg("travel.badge", lambda o: o.live.badge_places, travel.is_body_place)
_card_leg = _leg("travel.card", lambda o: o.live.card_places, travel.is_card_place)
_login_leg = _leg("travel.login", lambda o: o.live.login_places, travel.is_body_place)


def _of_leg(leg: Callable[[Observation], travel.Leg | None], read: Callable[[travel.Leg], Scalar]) -> Get:
    def get(o: Observation) -> Scalar:
        found = leg(o)
        return None if found is None else read(found)

    return get


def _last(start: Callable[[Observation], Event | None], read: Callable[[Observation, Event], Scalar]) -> Get:
    def get(o: Observation) -> Scalar:
        event = start(o)
        if event is None:
            return None
        found = read(o, event)
        return None if found == "" else found

    return get


def _site(place: Place | None) -> Scalar:
    return place.site if place else None


_JUDGED = ("is_impossible", "speed_kmh")  # whoever is told of these is told of the others as well
_BEHIND = ("site", "country", "distance_km", "elapsed_s", "minimum_s", "way", "margin_s")


def _travel_fields(
    prefix: str, feed: str, leg: Callable[[Observation], travel.Leg | None], what: str
) -> list[Field]:
    behind = tuple(f"{prefix}.{name}" for name in _BEHIND)

    def field(name: str, value_type: ValueType, doc: str, read: Callable[[travel.Leg], Scalar]) -> Field:
        quoted = behind if name in _JUDGED else ()
        return Field(f"{prefix}.{name}", value_type, IDENTITY, feed, doc, _of_leg(leg, read), quoted)

    return [
        field("event_id", "str", f"Id of {what}.", lambda g: g.start.id),
        field("site", "str", f"Site of {what}.", lambda g: _site(g.start.place) or None),
        field("door", "str", f"Door of {what}.", lambda g: (g.start.place.door if g.start.place else "") or None),
        field("country", "str", f"Country of {what}.", lambda g: (g.start.place.country if g.start.place else "") or None),
        field("credential", "str", f"Credential of {what}.", lambda g: g.start.credential or None),
        field("time_ms", "int", f"Time of {what}, ms since the epoch, UTC.", lambda g: g.start.time_ms),
        field("distance_km", "float", f"Distance from {what}, less both accuracy radii.", lambda g: g.distance_km),
        field("elapsed_s", "float", f"Seconds since {what}.", lambda g: g.elapsed_ms / SECOND_MS),
        field("minimum_s", "float", "Least seconds for the way, see way.", lambda g: g.minimum_ms / SECOND_MS),
        field("way", "str", "What the minimum rests on: a time configured for two of reader, door, zone or site; "
              "learnt, from how long others take; floors; line, at the travel speed; or none.", lambda g: g.way),
        field("margin_s", "float", "Granted before a journey is called impossible: for clocks that differ, and for haste.",
              lambda g: g.margin_ms / SECOND_MS),
        field("speed_kmh", "float", "Least speed that explains the way: distance over elapsed time plus margin.",
              lambda g: g.speed_kmh),
        field("is_impossible", "bool", "Elapsed time plus margin is less than the minimum.", lambda g: g.is_impossible),
    ]  # fmt: skip


def _last_fields(
    prefix: str, feed: str, start: Callable[[Observation], Event | None], what: str
) -> list[Field]:
    def field(
        name: str, value_type: ValueType, doc: str, read: Callable[[Observation, Event], Scalar]
    ) -> Field:
        return Field(f"{prefix}.{name}", value_type, IDENTITY, feed, doc, _last(start, read))

    return [
        field("event_id", "str", f"Id of {what}.", lambda o, e: e.id),
        field("age_s", "float", f"Seconds since {what}.", lambda o, e: (o.as_of_ms - e.time_ms) / SECOND_MS),
        field("outcome", "str", f"Outcome of {what}.", lambda o, e: e.outcome),
        field("credential", "str", f"Badge or account of {what}.", lambda o, e: e.credential),
        field("site", "str", f"Site of {what}.", lambda o, e: _site(e.place)),
        field("zone", "str", f"Zone of {what}.", lambda o, e: e.place.zone if e.place else None),
        field("door", "str", f"Door of {what}.", lambda o, e: e.place.door if e.place else None),
        field("ip", "str", f"Address of {what}.", lambda o, e: e.ip),
        field("device", "str", f"Device of {what}.", lambda o, e: e.device),
    ]


TRAVEL: list[Field] = [
    *_travel_fields("travel.badge", "access", _badge_leg, "the badge read that was let through and tells most"),
    *_travel_fields("travel.card", "access", _card_leg, "the read of a badge of the person, granted or denied, that tells most"),
    *_travel_fields("travel.login", "login", _login_leg, "the login with a place that tells most"),
    *_last_fields("last_badge", "access", lambda o: o.live.last_badge, "the last badge read"),
    *_last_fields("last_login", "login", lambda o: o.live.last_login, "the last successful login"),
]  # fmt: skip
