"""Every name that a rule may use, what it means and where it comes from: one table, from which the
reference is made.

A value is None where the event or its context does not say: to a rule the field is absent. Durations are
seconds (`_s`), unless the name says days. Context is as of the event (as of event time + grace for what a
settled rule takes again).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from correlator.event import DAY_MS, MINUTE_MS, SECOND_MS, Credential, EntityKind, Event, Place, Shape
from correlator.timeline import presence, travel
from correlator.timeline.live import Scalar, SitePresence
from correlator.timeline.observation import Observation
from correlator.timeline.raw import joined

ValueType = Literal["str", "int", "float", "bool", "raw"]  # raw: whatever a source's own record says
Get = Callable[[Observation], Scalar]

IDENTITY: tuple[EntityKind, ...] = ("identity",)
DOOR: tuple[EntityKind, ...] = ("door",)
BOTH: tuple[EntityKind, ...] = ("identity", "door")


class Field(msgspec.Struct, frozen=True):
    """*feed*: kind of the feed from which the value concludes something about the past; "" for the event's
    own.
    """

    name: str
    value_type: ValueType
    entities: tuple[EntityKind, ...]
    feed: str
    doc: str
    get: Get


def value(observation: Observation, name: str) -> Scalar:
    """Value of field *name*; None when absent. A name that is not in the table is one of the source's own."""
    if name in observation.seen:
        return observation.seen[name]
    field = FIELDS.get(name)
    return joined(observation, name) if field is None else field.get(observation)


# -------------------------------------------------------------- the event itself


def _text(read: Callable[[Event], str]) -> Get:
    return lambda o: read(o.event) or None


def _of_kind(kind: str, read: Callable[[Event], Scalar]) -> Get:
    def get(o: Observation) -> Scalar:
        if o.event.kind != kind:
            return None
        found = read(o.event)
        return None if found == "" else found

    return get


def _place(read: Callable[[Place], Scalar]) -> Get:
    def get(o: Observation) -> Scalar:
        if o.event.place is None:
            return None
        found = read(o.event.place)
        return None if found == "" else found

    return get


def _network_class(o: Observation) -> Scalar:
    return (o.event.network.network_class or None) if o.event.network else None


def _network_name(o: Observation) -> Scalar:
    return (o.event.network.name or None) if o.event.network else None


def _network_asn(o: Observation) -> Scalar:
    return (o.event.network.asn or None) if o.event.network else None


def _local_minute(o: Observation) -> int:
    """Minute of the local week, Monday 00:00 = 0. The epoch was a Thursday."""
    return (o.event.time_ms // MINUTE_MS + o.event.offset_min + 3 * 1440) % 10080


# --------------------------------------------------------------------- identity


def _status(o: Observation) -> Scalar:
    person = o.live.person
    if person is None:
        return None
    status: Scalar = "active"
    for since_ms, name in person.statuses:
        if since_ms > o.event.time_ms:
            break
        status = name
    return status


def _credential(o: Observation) -> Credential | None:
    """The identity's holding of the event's credential as of the event, else its newest holding of it."""
    person, newest = o.live.person, None
    for credential in person.credentials if person else ():
        if credential.id != o.event.credential:
            continue
        if credential.from_ms <= o.event.time_ms < credential.to_ms:
            return credential
        newest = credential
    return newest


def _credential_class(o: Observation) -> Scalar:
    credential = _credential(o)
    return credential.credential_class if credential else None


def _credential_state(o: Observation) -> Scalar:
    credential = _credential(o)
    if credential is None:
        return None
    state = "active"
    for since_ms, name in credential.states:
        if since_ms > o.event.time_ms:
            break
        state = name
    return state


def _tenure_days(o: Observation) -> Scalar:
    person = o.live.person
    if person is None or person.hired_ms is None:
        return None
    return (o.event.time_ms - person.hired_ms) / DAY_MS


# --------------------------------------------------------------------- presence


def _presence(read: Callable[[Observation, SitePresence], Scalar]) -> Get:
    def get(o: Observation) -> Scalar:
        believed = presence.believed(o.live.presence, o.as_of_ms, o.settings)
        return None if believed is None else read(o, believed)

    return get


def _presence_confidence(o: Observation) -> Scalar:
    return presence.confidence(o.live.presence, o.as_of_ms, o.settings)


def _presence_here(o: Observation) -> Scalar:
    if o.event.place is None or not o.event.place.site:
        return None
    if o.live.presence is None or o.live.presence.site != o.event.place.site:
        return 0.0
    return presence.confidence(o.live.presence, o.as_of_ms, o.settings)


# ------------------------------------------------------ travel, last badge and login


Start = Callable[[Observation], Event | None]


def _leg(
    name: str, start: Start, is_place: Callable[[Shape], bool]
) -> Callable[[Observation], travel.Leg | None]:
    def get(o: Observation) -> travel.Leg | None:
        if name not in o.cache:
            o.cache[name] = travel.leg(start(o), o.event, o.settings) if is_place(o.event.shape) else None
        found = o.cache[name]
        return found if isinstance(found, travel.Leg) else None

    return get


_badge_leg = _leg("travel.badge", lambda o: o.live.badge_place, travel.is_body_place)
_card_leg = _leg("travel.card", lambda o: o.live.card_place, travel.is_card_place)
_login_leg = _leg("travel.login", lambda o: o.live.login_place, travel.is_body_place)


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


def _travel_fields(
    prefix: str, feed: str, leg: Callable[[Observation], travel.Leg | None], what: str
) -> list[Field]:
    def field(name: str, value_type: ValueType, doc: str, read: Callable[[travel.Leg], Scalar]) -> Field:
        return Field(f"{prefix}.{name}", value_type, IDENTITY, feed, doc, _of_leg(leg, read))

    return [
        field("event_id", "str", f"Id of {what}.", lambda g: g.start.id),
        field("site", "str", f"Site of {what}.", lambda g: _site(g.start.place) or None),
        field("door", "str", f"Door of {what}.", lambda g: (g.start.place.door if g.start.place else "") or None),
        field("country", "str", f"Country of {what}.", lambda g: (g.start.place.country if g.start.place else "") or None),
        field("credential", "str", f"Credential of {what}.", lambda g: g.start.credential or None),
        field("time_ms", "int", f"Time of {what}, ms since the epoch, UTC.", lambda g: g.start.time_ms),
        field("distance_km", "float", f"Distance from {what}, less both accuracy radii.", lambda g: g.distance_km),
        field("elapsed_s", "float", f"Seconds since {what}.", lambda g: g.elapsed_ms / SECOND_MS),
        field("minimum_s", "float", "Least seconds for the way: configured, else straight line at the travel speed.",
              lambda g: g.minimum_ms / SECOND_MS),
        field("margin_s", "float", "Clock skew granted before a journey is called impossible.",
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


# ------------------------------------------------------------------------- door


def _door_gap(which: Literal["last_grant", "last_rex", "held"]) -> Get:
    def get(o: Observation) -> Scalar:
        order = getattr(o.live.door, which) if o.live.door else None
        return None if order is None else (o.event.time_ms - order[0]) / SECOND_MS

    return get


def _door_forced(o: Observation) -> Scalar:
    forced = o.live.door.forced if o.live.door else ()
    return sum(o.event.time_ms - time_ms <= DAY_MS for time_ms, _ in forced)


# -------------------------------------------------------------------- the table

_TABLE: list[Field] = [
    Field("event.kind", "str", BOTH, "", "access, door, login or person.", lambda o: o.event.kind),
    Field("event.id", "str", BOTH, "", "Id of the event, equal for every delivery of it.", lambda o: o.event.id),
    Field("event.time_ms", "int", BOTH, "", "When it happened, ms since the epoch, UTC.", lambda o: o.event.time_ms),
    Field("event.feed", "str", BOTH, "", "Name of the feed file that mapped it.", _text(lambda e: e.feed)),
    Field("event.source", "str", BOTH, "", "Controller, gateway or connector that reported it.",
          _text(lambda e: e.source)),
    Field("event.is_clamped", "bool", BOTH, "", "Its time was ahead of its arrival and was set to it.",
          lambda o: o.event.time_claimed_ms is not None),
    Field("access.outcome", "str", BOTH, "", "granted or denied (BACnet). Granted is not entered.",
          _of_kind("access", lambda e: e.outcome)),
    Field("access.reason", "str", BOTH, "", "Lower-cased BACnet reason, e.g. lost, expired, out_of_time_range.",
          _of_kind("access", lambda e: e.reason)),
    Field("access.reason_native", "str", BOTH, "", "What the source called the reason.",
          _of_kind("access", lambda e: e.reason_native)),
    Field("access.taken", "str", BOTH, "", "taken, not_taken or unknown (ONVIF): was the door opened?",
          _of_kind("access", lambda e: e.taken)),
    Field("access.direction", "str", BOTH, "", "in, out or unknown.", _of_kind("access", lambda e: e.direction)),
    Field("access.duress", "bool", BOTH, "", "A duress code was used.", _of_kind("access", lambda e: e.duress)),
    Field("credential.id", "str", BOTH, "", "Badge number or account name as the source says it.",
          _text(lambda e: e.credential)),
    Field("credential.class", "str", IDENTITY, "", "card, mobile, pin, temp, visitor or account.", _credential_class),
    Field("credential.state", "str", IDENTITY, "", "active, lost, stolen or disabled as of the event.",
          _credential_state),
    Field("door.activity", "str", BOTH, "", "forced, held, opened, closed, rex or tamper.",
          _of_kind("door", lambda e: e.activity)),
    Field("door.grant_gap_s", "float", DOOR, "access", "Seconds since the door's last granted read.",
          _door_gap("last_grant")),
    Field("door.rex_gap_s", "float", DOOR, "door", "Seconds since the door's last request to exit.",
          _door_gap("last_rex")),
    Field("door.held_gap_s", "float", DOOR, "door", "Seconds since the door was last reported held.",
          _door_gap("held")),
    Field("door.forced_24h", "int", DOOR, "door", "Forced reports of the door in the 24 h before, at most 6.",
          _door_forced),
    Field("login.outcome", "str", BOTH, "", "success or failure.", _of_kind("login", lambda e: e.outcome)),
    Field("login.reason", "str", BOTH, "", "Why it failed: bad_password, no_such_user, locked, …",
          _of_kind("login", lambda e: e.reason)),
    Field("login.logon_type", "str", BOTH, "", "console, unlock, cached, remote_interactive, network, vpn, web, …",
          _of_kind("login", lambda e: e.logon_type)),
    Field("login.is_interactive", "bool", BOTH, "", "A person was there; false for token refreshes and services.",
          _of_kind("login", lambda e: e.is_interactive)),
    Field("login.mfa", "str", BOTH, "", "none, push, otp, fido, …", _of_kind("login", lambda e: e.mfa)),
    Field("login.application", "str", BOTH, "", "What was logged in to.", _of_kind("login", lambda e: e.application)),
    Field("device.id", "str", BOTH, "", "Device that was used.", _text(lambda e: e.device)),
    Field("session.id", "str", BOTH, "", "Session as the source names it.", _text(lambda e: e.session)),
    Field("source.ip", "str", BOTH, "", "Address the login came from.", _text(lambda e: e.ip)),
    Field("network.name", "str", BOTH, "", "Name of the address range in the networks file.", _network_name),
    Field("network.class", "str", BOTH, "", "isp, mobile, hosting, vpn, relay or corporate.", _network_class),
    Field("network.asn", "int", BOTH, "", "Autonomous system number of the range.", _network_asn),
    Field("place.site", "str", BOTH, "", "Site of the reader, host or address.", _place(lambda p: p.site)),
    Field("place.building", "str", BOTH, "", "Building.", _place(lambda p: p.building)),
    Field("place.zone", "str", BOTH, "", "Zone that is entered.", _place(lambda p: p.zone)),
    Field("place.door", "str", BOTH, "", "Door.", _place(lambda p: p.door)),
    Field("place.reader", "str", BOTH, "", "Reader.", _place(lambda p: p.reader)),
    Field("place.criticality", "int", BOTH, "", "Of the zone: 0 unknown, 1 public to 5 vital.",
          _place(lambda p: p.criticality)),
    Field("place.is_perimeter", "bool", BOTH, "", "The door leads into the site from outside.",
          _place(lambda p: p.is_perimeter)),
    Field("place.country", "str", BOTH, "", "ISO 3166-1 alpha-2.", _place(lambda p: p.country)),
    Field("place.lat", "float", BOTH, "", "Degrees, WGS 84.", _place(lambda p: p.lat)),
    Field("place.lon", "float", BOTH, "", "Degrees, WGS 84.", _place(lambda p: p.lon)),
    Field("place.radius_km", "float", BOTH, "", "How far off the coordinates may be.", _place(lambda p: p.radius_km)),
    Field("identity.id", "str", BOTH, "", "Immutable id of the person; absent while the credential is unresolved.",
          _text(lambda e: e.identity_id)),
    Field("identity.type", "str", IDENTITY, "", "employee, contractor, visitor, service or shared.",
          lambda o: o.live.person.identity_type if o.live.person else None),
    Field("identity.department", "str", IDENTITY, "", "Department.",
          lambda o: (o.live.person.department or None) if o.live.person else None),
    Field("identity.home_site", "str", IDENTITY, "", "Site where the person usually works.",
          lambda o: (o.live.person.home_site or None) if o.live.person else None),
    Field("identity.status", "str", IDENTITY, "", "active, leave, notice, disabled or terminated as of the event.",
          _status),
    Field("identity.tenure_days", "float", IDENTITY, "", "Days since the person was hired.", _tenure_days),
    Field("time.hour", "int", BOTH, "", "Local hour at the place (else the home site), 0 to 23.",
          lambda o: _local_minute(o) // 60 % 24),
    Field("time.minute", "int", BOTH, "", "Local minute of the hour.", lambda o: _local_minute(o) % 60),
    Field("time.weekday", "int", BOTH, "", "Local day of the week, Monday 1 to Sunday 7.",
          lambda o: _local_minute(o) // 1440 + 1),
    Field("time.is_weekend", "bool", BOTH, "", "Saturday or Sunday, local.",
          lambda o: _local_minute(o) // 1440 >= 5),
    Field("time.is_business_hours", "bool", BOTH, "", "Within the site's business hours; absent without a site.",
          lambda o: o.event.is_business_hours),
    Field("presence.confidence", "float", IDENTITY, "access", "Belief, 0 to 1, that the person is at presence.site.",
          _presence_confidence),
    Field("presence.here", "float", IDENTITY, "access", "Belief, 0 to 1, that the person is at the event's own site.",
          _presence_here),
    Field("presence.site", "str", IDENTITY, "access", "Site the person last badged in at (or out of).",
          _presence(lambda o, p: p.site)),
    Field("presence.zone", "str", IDENTITY, "access", "Zone entered last.", _presence(lambda o, p: p.zone or None)),
    Field("presence.since_s", "float", IDENTITY, "access", "Seconds since this presence began.",
          _presence(lambda o, p: (o.as_of_ms - p.since_ms) / SECOND_MS)),
    Field("presence.age_s", "float", IDENTITY, "access", "Seconds since its newest evidence.",
          _presence(lambda o, p: (o.as_of_ms - p.newest_ms) / SECOND_MS)),
    Field("presence.event_id", "str", IDENTITY, "access", "Id of its newest evidence.",
          _presence(lambda o, p: p.evidence[-1])),
    *_travel_fields("travel.badge", "access", _badge_leg, "the last badge read that was let through"),
    *_travel_fields("travel.card", "access", _card_leg, "the last read of a badge of the person, granted or denied"),
    *_travel_fields("travel.login", "login", _login_leg, "the last login with a place"),
    *_last_fields("last_badge", "access", lambda o: o.live.last_badge, "the last badge read"),
    *_last_fields("last_login", "login", lambda o: o.live.last_login, "the last successful login"),
    Field("anomaly.percentile", "float", IDENTITY, "", "Share of earlier scores of the model that were lower, 0 to 1.",
          lambda o: o.event.score.percentile if o.event.score else None),
    Field("anomaly.is_warm", "bool", IDENTITY, "", "The person has 10 active days and the model has learned enough.",
          lambda o: o.event.score.is_warm if o.event.score else None),
    Field("anomaly.pushing", "str", IDENTITY, "", "Features that pushed the score, strongest first, comma-separated.",
          lambda o: ",".join(o.event.score.pushing) if o.event.score else None),
]  # fmt: skip

FIELDS: dict[str, Field] = {field.name: field for field in _TABLE}
