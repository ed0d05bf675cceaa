"""The vocabulary: what a badge read, a door, a login or a change of a person is, whoever reported it.

Read this first. Everything else in the product is a function of these values. Words are BACnet's and
ONVIF's for access (a *granted* read was allowed, a *taken* one was walked through), OCSF's for logins.
Times are milliseconds since the epoch, UTC.

May not know: clocks, Kafka, files. Every struct is frozen and compares by value, so a redelivered record
is equal to its first copy.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal
from zlib import crc32

import msgspec

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
NEVER = -(1 << 62)
FOREVER = 1 << 62

Kind = Literal["access", "door", "login", "person"]
KINDS: tuple[Kind, ...] = ("access", "door", "login", "person")

Order = tuple[int, str]  # (event time, event id): the order of a fold, whatever the arrival


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a reader, a door or a host stands. From the sites file; "" where a level is unknown."""

    site: str = ""
    building: str = ""
    zone: str = ""
    door: str = ""
    reader: str = ""
    criticality: int = 0  # of the zone that is entered: 0 unknown, 1 public .. 5 vital
    lat: float | None = None  # degrees, WGS 84
    lon: float | None = None
    radius_km: float = 0.0  # how far off the coordinates may be
    is_perimeter: bool = False  # the door leads into the site from outside
    country: str = ""  # ISO 3166-1 alpha-2


NetworkClass = Literal["", "isp", "mobile", "hosting", "vpn", "relay", "corporate"]


class Network(msgspec.Struct, frozen=True, array_like=True):
    """What the networks file says of an address. A vpn, relay or hosting address is never a location."""

    name: str = ""
    network_class: NetworkClass = ""
    asn: int = 0


class Credential(msgspec.Struct, frozen=True, array_like=True):
    """A badge or an account that a person held. Half-open interval [from_ms, to_ms)."""

    id: str
    credential_class: str = "card"  # card | mobile | pin | temp | visitor | account
    from_ms: int = NEVER
    to_ms: int = FOREVER
    states: tuple[tuple[int, str], ...] = ()  # (since, active | lost | stolen | disabled), by time


class Person(msgspec.Struct, frozen=True, array_like=True):
    """One version of an identity, with its whole schedule of status: what the identities feed knew then."""

    identity_id: str
    version: (
        int  # offset in the identities topic: a newer version replaces an older one, whatever their times
    )
    identity_type: str = "employee"  # employee | contractor | visitor | service | shared
    department: str = ""
    home_site: str = ""
    hired_ms: int | None = None
    statuses: tuple[tuple[int, str], ...] = ()  # (since, active | leave | notice | disabled | terminated)
    credentials: tuple[Credential, ...] = ()


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One normalised event. Fields that do not apply to its kind keep their default.

    Rules see these under the names of the field reference (`timeline/fields.py`), never the raw record.
    """

    time_ms: int
    id: str  # 16 hex digits; made of what the feed declares, see `event_id`
    kind: Kind
    source: str = ""  # controller, gateway or connector that reported it
    feed: str = ""  # name of the feed file
    identity_id: str = ""  # "" while unresolved
    credential: str = ""  # badge number or account name, as the source says it
    place: Place | None = None
    outcome: str = ""  # access: granted | denied; login: success | failure; door: see `activity`
    reason: str = ""  # lower-cased BACnet name; login: bad_password, no_such_user, disabled, locked, …
    reason_native: str = ""  # what the source called it: analysts quote it to facilities
    taken: str = "unknown"  # taken | not_taken | unknown
    direction: str = "unknown"  # in | out | unknown
    duress: bool = False
    activity: str = ""  # door: forced | held | opened | closed | rex | tamper; login: logon
    ip: str = ""
    network: Network | None = None
    logon_type: str = (
        ""  # console | network | unlock | remote_interactive | cached | vpn | web | service | batch
    )
    is_interactive: bool = False
    mfa: str = ""  # none | push | otp | fido | …
    device: str = ""
    session: str = ""
    application: str = ""
    offset_min: int = 0  # of local time at the place (or the person's home site) from UTC
    is_business_hours: bool | None = None  # None: no site known
    sequence: int | None = None  # the source's own counter
    time_claimed_ms: int | None = None  # original time where it was ahead of arrival and clamped
    person: Person | None = None  # kind person only
    score: Score | None = None  # taken once, on arrival, by the correlating stage

    @property
    def order(self) -> Order:
        return (self.time_ms, self.id)


class Score(msgspec.Struct, frozen=True, array_like=True):
    """What the online model said when the event arrived. Never retaken."""

    percentile: float  # share of earlier scores of the same model that were lower, 0..1
    is_warm: bool
    pushing: tuple[str, ...] = ()  # features that pushed it, strongest first


def event_id(source: str, native: str) -> str:
    """Id of an event: equal for every delivery of one thing that happened. 64 bits, hex."""
    return blake2b(f"{source}\0{native}".encode(), digest_size=8).hexdigest()


EntityKind = Literal["identity", "door"]


def entity_key(kind: str, value: str) -> str:
    """`identity:e1001`, `door:lis-1-07`, `unresolved:badge:4711`: what a timeline belongs to."""
    return f"{kind}:{value}"


def entity_kind(key: str) -> EntityKind:
    """Kind of the entity that *key* names. An unresolved credential has the timeline of an identity."""
    return "door" if key.startswith("door:") else "identity"


def partition_of(key: str, partitions: int) -> int:
    """Partition of *keyed* that owns the entity *key*: fixed for life, the same on every machine."""
    return crc32(key.encode()) % partitions
