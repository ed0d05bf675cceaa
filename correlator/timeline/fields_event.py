"""Fields of the event itself, of its place, its network and its local time; and of the door that it is about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Literal

from correlator.event import DAY_MS, MINUTE_MS, SECOND_MS, Event, Place
from correlator.timeline.field import DOOR, EVERY, IDENTITY, Field, Get
from correlator.timeline.live import Scalar
from correlator.timeline.observation import Observation

_EPOCH_DAY, _LAST_DAY = date(1970, 1, 1).toordinal(), date.max.toordinal()


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


def _local_date(o: Observation) -> Scalar:
    day = _EPOCH_DAY + (o.event.time_ms // MINUTE_MS + o.event.offset_min) // 1440
    return date.fromordinal(day).isoformat() if 1 <= day <= _LAST_DAY else None


def _door_gap(which: Literal["last_grant", "last_rex", "held"]) -> Get:
    def get(o: Observation) -> Scalar:
        order = getattr(o.live.door, which) if o.live.door else None
        return None if order is None else (o.event.time_ms - order[0]) / SECOND_MS

    return get


def _door_forced(o: Observation) -> Scalar:
    forced = o.live.door.forced if o.live.door else ()
    return sum(o.event.time_ms - time_ms <= DAY_MS for time_ms, _ in forced)


EVENT: list[Field] = [
    Field("event.kind", "str", EVERY, "", "access, door, login or person.", lambda o: o.event.kind),
    Field("event.id", "str", EVERY, "", "Id of the event, equal for every delivery of it.", lambda o: o.event.id),
    Field("event.time_ms", "int", EVERY, "", "When it happened, ms since the epoch, UTC.", lambda o: o.event.time_ms),
    Field("event.feed", "str", EVERY, "", "Name of the feed file that mapped it.", _text(lambda e: e.feed)),
    Field("event.source", "str", EVERY, "", "Controller, gateway or connector that reported it.",
          _text(lambda e: e.source)),
    Field("event.is_clamped", "bool", EVERY, "", "Its time was ahead of its arrival and was set to it.",
          lambda o: o.event.time_claimed_ms is not None),
    Field("event.is_skewed", "bool", EVERY, "", "The clock of its source was known to be off when it came.",
          lambda o: o.event.shape.skew_s != 0),
    Field("access.outcome", "str", EVERY, "", "granted or denied (BACnet). Granted is not entered.",
          _of_kind("access", lambda e: e.outcome)),
    Field("access.reason", "str", EVERY, "", "Lower-cased BACnet reason, e.g. lost, expired, out_of_time_range.",
          _of_kind("access", lambda e: e.reason)),
    Field("access.reason_native", "str", EVERY, "", "What the source called the reason.",
          _of_kind("access", lambda e: e.reason_native)),
    Field("access.taken", "str", EVERY, "", "taken, not_taken or unknown (ONVIF): was the door opened?",
          _of_kind("access", lambda e: e.taken)),
    Field("access.direction", "str", EVERY, "", "in, out or unknown.", _of_kind("access", lambda e: e.direction)),
    Field("access.duress", "bool", EVERY, "", "A duress code was used.", _of_kind("access", lambda e: e.duress)),
    Field("credential.id", "str", EVERY, "", "Badge number or account name as the source says it.",
          _text(lambda e: e.credential)),
    Field("door.activity", "str", EVERY, "", "forced, held, opened, closed, rex or tamper.",
          _of_kind("door", lambda e: e.activity)),
    Field("door.grant_gap_s", "float", DOOR, "access", "Seconds since the door's last granted read, but for those after which it was not opened.",
          _door_gap("last_grant")),
    Field("door.rex_gap_s", "float", DOOR, "door", "Seconds since the door's last request to exit.",
          _door_gap("last_rex")),
    Field("door.held_gap_s", "float", DOOR, "door", "Seconds since the door was last reported held.",
          _door_gap("held")),
    Field("door.forced_24h", "int", DOOR, "door", "Forced reports of the door in the 24 h before, at most 6.",
          _door_forced),
    Field("login.outcome", "str", EVERY, "", "success or failure.", _of_kind("login", lambda e: e.outcome)),
    Field("login.reason", "str", EVERY, "", "Why it failed: bad_password, no_such_user, locked, …",
          _of_kind("login", lambda e: e.reason)),
    Field("login.logon_type", "str", EVERY, "", "console, unlock, cached, remote_interactive, network, vpn, web, …",
          _of_kind("login", lambda e: e.logon_type)),
    Field("login.is_interactive", "bool", EVERY, "", "A person was there; false for token refreshes and services.",
          _of_kind("login", lambda e: e.is_interactive)),
    Field("login.mfa", "str", EVERY, "", "none, push, otp, fido, …", _of_kind("login", lambda e: e.mfa)),
    Field("login.application", "str", EVERY, "", "What was logged in to.", _of_kind("login", lambda e: e.application)),
    Field("device.id", "str", EVERY, "", "Device that was used.", _text(lambda e: e.device)),
    Field("session.id", "str", EVERY, "", "Session as the source names it.", _text(lambda e: e.session)),
    Field("source.ip", "str", EVERY, "", "Address the login came from.", _text(lambda e: e.ip)),
    Field("network.name", "str", EVERY, "", "Name of the address range in the networks file, or of the provider.", _network_name),
    Field("network.class", "str", EVERY, "", "isp, mobile, satellite, hosting, vpn, relay, proxy or corporate.", _network_class),
    Field("network.asn", "int", EVERY, "", "Number of its autonomous system.", _network_asn),
    Field("place.site", "str", EVERY, "", "Site of the reader, host or address.", _place(lambda p: p.site)),
    Field("place.building", "str", EVERY, "", "Building.", _place(lambda p: p.building)),
    Field("place.zone", "str", EVERY, "", "Zone that is entered.", _place(lambda p: p.zone)),
    Field("place.door", "str", EVERY, "", "Door.", _place(lambda p: p.door)),
    Field("place.reader", "str", EVERY, "", "Reader.", _place(lambda p: p.reader)),
    Field("place.criticality", "int", EVERY, "", "Of the zone: 0 unknown, 1 public to 5 vital.",
          _place(lambda p: p.criticality)),
    Field("place.is_perimeter", "bool", EVERY, "", "The door leads into the site from outside.",
          _place(lambda p: p.is_perimeter)),
    Field("place.country", "str", EVERY, "", "ISO 3166-1 alpha-2.", _place(lambda p: p.country)),
    Field("place.lat", "float", EVERY, "", "Degrees, WGS 84.", _place(lambda p: p.lat)),
    Field("place.lon", "float", EVERY, "", "Degrees, WGS 84.", _place(lambda p: p.lon)),
    Field("place.radius_km", "float", EVERY, "", "How far off the coordinates may be.", _place(lambda p: p.radius_km)),
    Field("place.floor", "int", EVERY, "", "Floor of the zone.", _place(lambda p: p.floor)),
    Field("place.passback", "str", EVERY, "", "Anti-passback of the zone: soft or hard; absent without.",
          _place(lambda p: p.passback)),
    Field("place.has_entry_readers", "bool", EVERY, "", "The site has perimeter doors: whoever came in was read.",
          _place(lambda p: p.has_entry_readers)),
    Field("place.has_exit_readers", "bool", EVERY, "", "Every perimeter door of the site has a reader on the way out.",
          _place(lambda p: p.has_exit_readers)),
    Field("time.hour", "int", EVERY, "", "Local hour at the place (else the home site), 0 to 23.",
          lambda o: _local_minute(o) // 60 % 24),
    Field("time.minute", "int", EVERY, "", "Local minute of the hour.", lambda o: _local_minute(o) % 60),
    Field("time.weekday", "int", EVERY, "", "Local day of the week, Monday 1 to Sunday 7.",
          lambda o: _local_minute(o) // 1440 + 1),
    Field("time.is_weekend", "bool", EVERY, "", "Saturday or Sunday, local.",
          lambda o: _local_minute(o) // 1440 >= 5),
    Field("time.date", "str", EVERY, "", "Local day, such as 2026-12-25. Holidays of a site: a list of lists.yml, with expand.",
          _local_date),
    Field("time.is_business_hours", "bool", EVERY, "", "Within the site's business hours; absent without a site.",
          lambda o: o.event.is_business_hours),
]  # fmt: skip

ANOMALY: list[Field] = [
    Field("anomaly.percentile", "float", IDENTITY, "", "Share of earlier scores of the model that were lower, 0 to 1.",
          lambda o: o.event.score.percentile if o.event.score else None),
    Field("anomaly.is_warm", "bool", IDENTITY, "", "The person has 10 active days and the model has learned enough.",
          lambda o: o.event.score.is_warm if o.event.score else None),
    Field("anomaly.pushing", "str", IDENTITY, "", "Features that pushed the score, strongest first, comma-separated.",
          lambda o: ",".join(o.event.score.pushing) if o.event.score else None),
]  # fmt: skip
