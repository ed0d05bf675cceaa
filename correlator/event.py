"""The vocabulary: what a badge read, a door, a login or a change of a person is, whoever reported it.

Read this first. Everything else in the product is a function of these values. Words are BACnet's and
ONVIF's for access (a *granted* read was allowed, a *taken* one was walked through), OCSF's for logins.
Times are milliseconds since the epoch, UTC.

May not know: clocks, Kafka, files. Every struct is frozen and compares by value, so a redelivered record
is equal to its first copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from hashlib import blake2b
from typing import Any, Literal, TypedDict, Unpack, get_args
from zlib import crc32

import msgspec

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
NEVER = -(1 << 62)
FOREVER = 1 << 62

Kind = Literal["access", "door", "login", "person", "occupancy"]
KINDS: tuple[Kind, ...] = get_args(Kind)  # occupancy: what a person's timeline tells that of a zone

SHAPES_MAX = 65_536  # of which something is remembered: more than a company has

Order = tuple[int, str]  # (event time, event id): the order of a fold, whatever the arrival


class Place(msgspec.Struct, frozen=True, array_like=True, gc=False, cache_hash=True):
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
    floor: int | None = None  # of the zone that is entered
    passback: Passback = ""  # anti-passback of that zone
    has_entry_readers: bool = False  # of the site: some door of it is perimeter, so whoever came in was read
    has_exit_readers: bool = False  # of the site: whoever leaves is read at every perimeter door


Passback = Literal["", "soft", "hard"]  # a second read in one direction is reported, or refused


NetworkClass = Literal["", "isp", "mobile", "satellite", "hosting", "vpn", "relay", "proxy", "corporate"]


class Network(msgspec.Struct, frozen=True, array_like=True, gc=False, cache_hash=True):
    """What the networks file or a database says of an address. Only those of an isp, and corporate ones with
    a site, tell where somebody is.
    """

    name: str = ""
    network_class: NetworkClass = ""
    asn: int = 0


class Credential(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A badge or an account that a person held. Half-open interval [from_ms, to_ms)."""

    id: str
    credential_class: str = "card"  # card | mobile | pin | temp | visitor | account
    from_ms: int = NEVER
    to_ms: int = FOREVER
    states: tuple[tuple[int, str], ...] = ()  # (since, active | lost | stolen | disabled), by time


class Person(msgspec.Struct, frozen=True, array_like=True, gc=False):
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
    host_id: str = ""  # identity that answers for a visitor
    is_removed: bool = False  # there is no such identity any more


Occurrence = Literal["", "live", "late", "replay"]


class Shape(msgspec.Struct, frozen=True, array_like=True, gc=False, cache_hash=True):
    """What many events have in common: what happened where, and who reports such things.

    A busy door gives thousands of reads a day and a handful of shapes. So a shape is made once and shared by
    all events that have it: a history keeps a number for it, and what rules ask of it is asked once.
    Fields that do not apply to its kind keep their default.
    """

    kind: Kind
    source: str = ""  # controller, gateway or connector that reported it
    feed: str = ""  # name of the feed file
    place: Place | None = None
    outcome: str = ""  # access: granted | denied; login: success | failure; door: see `activity`
    reason: str = ""  # lower-cased BACnet name; login: bad_password, no_such_user, disabled, locked, …
    reason_native: str = ""  # what the source called it: analysts quote it to facilities
    taken: str = "unknown"  # taken | not_taken | unknown
    direction: str = "unknown"  # in | out | unknown
    duress: bool = False
    activity: str = (
        ""  # door: forced | held | opened | closed | rex | tamper; login: logon; occupancy: entered | left
    )
    network: Network | None = None
    logon_type: str = (
        ""  # console | network | unlock | remote_interactive | cached | vpn | web | service | batch
    )
    is_interactive: bool = False
    mfa: str = ""  # none | push | otp | fido | …
    application: str = ""
    offset_min: int = 0  # of local time at the place (or the person's home site) from UTC
    is_business_hours: bool | None = None  # None: no site known
    # How it came, which no rule may see (docs/adr/0021): what arrives in another order must alert the same.
    occurrence: Occurrence = ""
    skew_s: int = (
        0  # of the source's clock, positive if ahead, as known when the event came: `timeline.clocks`
    )
    site_skew_s: int = 0  # the most of the site's sources, either way
    # What reads had taught by the day before (`timeline.ways`).
    ways: tuple[tuple[str, int], ...] = ()  # (door of the site, least seconds from there to this one)
    unread: int = 0  # of 100 who come in by this door, or at this site, are so many not read at the perimeter


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One normalised event: its shape, and what is its own.

    Rules see these under the names of the field reference (`timeline/fields.py`), never the raw record.
    """

    time_ms: int
    id: str  # 16 hex digits; made of what the feed declares, see `event_id`
    shape: Shape
    identity_id: str = ""  # "" while unresolved
    credential: str = ""  # badge number or account name, as the source says it
    ip: str = ""
    device: str = ""
    session: str = ""
    sequence: int | None = None  # the source's own counter
    time_claimed_ms: int | None = None  # original time where it was ahead of arrival and clamped
    person: Person | None = None  # kind person only
    score: Score | None = None  # taken once, on arrival, by the correlating stage
    raw: bytes | None = None  # what the feed keeps of the source's own record, see `timeline.raw`

    @property
    def order(self) -> Order:
        return (self.time_ms, self.id)

    @property
    def kind(self) -> Kind:
        return self.shape.kind

    @property
    def source(self) -> str:
        return self.shape.source

    @property
    def feed(self) -> str:
        return self.shape.feed

    @property
    def place(self) -> Place | None:
        return self.shape.place

    @property
    def outcome(self) -> str:
        return self.shape.outcome

    @property
    def reason(self) -> str:
        return self.shape.reason

    @property
    def reason_native(self) -> str:
        return self.shape.reason_native

    @property
    def taken(self) -> str:
        return self.shape.taken

    @property
    def direction(self) -> str:
        return self.shape.direction

    @property
    def duress(self) -> bool:
        return self.shape.duress

    @property
    def activity(self) -> str:
        return self.shape.activity

    @property
    def network(self) -> Network | None:
        return self.shape.network

    @property
    def logon_type(self) -> str:
        return self.shape.logon_type

    @property
    def is_interactive(self) -> bool:
        return self.shape.is_interactive

    @property
    def mfa(self) -> str:
        return self.shape.mfa

    @property
    def application(self) -> str:
        return self.shape.application

    @property
    def offset_min(self) -> int:
        return self.shape.offset_min

    @property
    def is_business_hours(self) -> bool | None:
        return self.shape.is_business_hours

    @property
    def occurrence(self) -> Occurrence:
        return self.shape.occurrence

    @property
    def skew_s(self) -> int:
        return self.shape.skew_s


class Score(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the online model said when the event arrived. Never retaken."""

    percentile: float  # share of earlier scores of the same model that were lower, 0..1
    is_warm: bool
    pushing: tuple[str, ...] = ()  # features that pushed it, strongest first


class Fields(TypedDict, total=False):
    """Fields of an event, its own and those of its shape, by name."""

    identity_id: str
    credential: str
    place: Place | None
    outcome: str
    reason: str
    reason_native: str
    taken: str
    direction: str
    duress: bool
    activity: str
    ip: str
    network: Network | None
    logon_type: str
    is_interactive: bool
    mfa: str
    device: str
    session: str
    application: str
    offset_min: int
    is_business_hours: bool | None
    occurrence: Occurrence
    skew_s: int
    site_skew_s: int
    ways: tuple[tuple[str, int], ...]
    unread: int
    sequence: int | None
    time_claimed_ms: int | None
    person: Person | None
    score: Score | None
    raw: bytes | None


_SHAPED = frozenset(Shape.__struct_fields__)


def make_event(
    time_ms: int, id: str, kind: Kind, source: str = "", feed: str = "", **fields: Unpack[Fields]
) -> Event:
    """An event whose shape is not at hand: what is not given keeps its default."""
    shaped: dict[str, Any] = {name: value for name, value in fields.items() if name in _SHAPED}
    own: dict[str, Any] = {name: value for name, value in fields.items() if name not in _SHAPED}
    return Event(time_ms, id, Shape(kind, source, feed, **shaped), **own)


def event_id(source: str, native: str) -> str:
    """Id of an event: equal for every delivery of one thing that happened. 64 bits, hex."""
    return blake2b(f"{source}\0{native}".encode(), digest_size=8).hexdigest()


EntityKind = Literal["identity", "door", "zone", "source", "host"]
_KINDS_OF_KEYS: dict[str, EntityKind] = {f"{kind}:": kind for kind in ("door", "zone", "source", "host")}


ALWAYS: tuple[EntityKind, ...] = ("identity", "door")  # have timelines whether a rule needs them or not
Routes = Mapping[EntityKind, AbstractSet[str]]  # of the others, kinds of events that they are to see


def entity_key(kind: str, value: str) -> str:
    """`identity:e1001`, `door:lis-1-07`, `unresolved:badge:4711`: what a timeline belongs to."""
    return f"{kind}:{value}"


SHARED = frozenset({"corporate", "vpn", "relay", "proxy", "mobile", "satellite"})  # addresses of many people


def others_of(event: Event, routes: Routes) -> tuple[str, ...]:
    """Keys of the entities that *event* concerns besides its person and its door."""
    kind, found = event.shape.kind, list[str]()
    for entity, kinds in routes.items():
        if kind in kinds and (name := _name_of(entity, event)):
            found.append(entity_key(entity, name))
    return tuple(found)


def _name_of(entity: EntityKind, event: Event) -> str:
    shape = event.shape
    if entity == "zone":
        return shape.place.zone if shape.place is not None else ""
    if entity == "host":
        return event.device
    network = shape.network
    return "" if network is not None and network.network_class in SHARED else event.ip


def entity_kind(key: str) -> EntityKind:
    """Kind of the entity that *key* names. An unresolved credential has the timeline of an identity."""
    return _KINDS_OF_KEYS.get(key[: key.find(":") + 1], "identity")


def partition_of(key: str, partitions: int) -> int:
    """Partition of *keyed* that owns the entity *key*: fixed for life, the same on every machine."""
    return crc32(key.encode()) % partitions
