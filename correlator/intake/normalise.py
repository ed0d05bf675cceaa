"""What a feed mapped, joined with sites, networks and people: an `Event`, or why there is none.

Event time is set here, once (decision 5): too far after its arrival it becomes the arrival and the
original is kept; more than `AHEAD_MAX_MS` is refused. A source of files is held against no clock:
its arrival is its event time. A credential that nobody held then stays unresolved; a reader, door or
site that the sites file does not have is refused by name, since a wrong place is worse than none.

May not know: topics, frames, clocks.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from correlator.event import DAY_MS, HOUR_MS, SECOND_MS, Event, Network, Occurrence, Place, Shape, event_id
from correlator.intake.arrival import Timeliness
from correlator.intake.identity_record import Namespace, canonical, namespace
from correlator.intake.instants import Unfit
from correlator.intake.mapped import Mapped
from correlator.intake.networks import Networks
from correlator.intake.people import People
from correlator.intake.places import Sites
from correlator.intake.providers import NOWHERE, on_grid
from correlator.intake.turns import Turns
from correlator.record import Reject

TIMELY = Timeliness()
AHEAD_MAX_MS = DAY_MS
EARLIEST_MS = 946_684_800_000  # 2000-01-01: an older time is a clock that was never set
LATEST_MS = 4_102_444_800_000  # 2100-01-01: a later one is a unit mistaken

# Where a login of this kind happens, a person sits; the host of any other is only where the machine stands.
_AT_THE_HOST = frozenset({"", "console", "unlock", "cached"})


def settled(
    mapped: Mapped, arrival_ms: int, sites: Sites, networks: Networks, turns: Turns
) -> Mapped | Reject:
    """*mapped* with an instant for its time, where that is one that only its site and *turns* settle."""
    if type(mapped.time_ms) is int:
        return mapped
    where = where_of(mapped, sites, networks)
    if isinstance(where, Reject):
        return where
    site = sites.site(where[0].site) if where[0] is not None else None
    zone, source = "" if site is None else site.time_zone, (mapped.feed, mapped.source)
    try:
        time_ms = turns.settle(mapped.time_ms, zone, source, mapped.sequence, arrival_ms)
    except Unfit as unfit:
        return Reject("normalise", unfit.reason, f"{_named(mapped)}: {unfit}")
    return msgspec.structs.replace(mapped, time_ms=time_ms)


def normalise(
    mapped: Mapped,
    arrival_ms: int,
    sites: Sites,
    networks: Networks,
    people: People,
    *,
    timeliness: Timeliness = TIMELY,
) -> Event | Reject:
    """The event that *mapped* reports, with identity, place and network as of its time. Total."""
    time_ms, claimed_ms = mapped.time_ms, None
    if time_ms - arrival_ms > timeliness.ahead_ms:
        claimed_ms, time_ms = time_ms, arrival_ms
    impossible = _impossible(mapped, arrival_ms)
    if impossible is not None:
        return impossible
    where = where_of(mapped, sites, networks)
    if isinstance(where, Reject):
        return where
    place = where[0]
    space = space_of(mapped)
    credential = canonical(space, mapped.credential)
    unroutable = _unroutable(mapped, credential, place)
    if unroutable is not None:
        return unroutable
    identity = people.resolve(space, credential, time_ms) if credential and mapped.kind != "door" else ""
    site = sites.site(place.site) if place is not None and place.site else people.home(identity)
    local = (0, None) if site is None else site.local(time_ms)
    return Event(
        time_ms,
        event_id(mapped.source, mapped.native_id),
        _shape(mapped, where, local, timeliness.occurrence(time_ms, arrival_ms)),
        identity,
        credential,
        mapped.ip,
        mapped.device,
        mapped.session,
        mapped.sequence,
        claimed_ms,
    )


def _shape(
    mapped: Mapped,
    where: tuple[Place | None, Network | None, str],
    local: tuple[int, bool | None],
    occurrence: Occurrence,
) -> Shape:
    """What the event shares with many others. *local*: offset in minutes, and is it business hours?"""
    place, network, direction = where
    return Shape(
        mapped.kind,
        mapped.source,
        mapped.feed,
        place,
        mapped.outcome,
        mapped.reason,
        mapped.reason_native,
        mapped.taken,
        direction,
        mapped.duress,
        mapped.activity,
        network,
        mapped.logon_type,
        mapped.is_interactive,
        mapped.mfa,
        mapped.application,
        *local,
        occurrence,
    )


def space_of(mapped: Mapped) -> Namespace:
    """Where the credential is looked up."""
    return namespace(mapped.credential_class or ("account" if mapped.kind == "login" else ""))


def is_possible(time_ms: int, arrival_ms: int) -> bool:
    """Can something that arrived at *arrival_ms* have the time *time_ms*?"""
    return EARLIEST_MS <= time_ms < LATEST_MS and time_ms - arrival_ms <= AHEAD_MAX_MS


def _impossible(mapped: Mapped, arrival_ms: int) -> Reject | None:
    """Why the time that the source says cannot be."""
    if is_possible(mapped.time_ms, arrival_ms):
        return None
    why = "which no source can mean: its clock is not set, or the unit is another"
    if mapped.time_ms - arrival_ms > AHEAD_MAX_MS and mapped.time_ms < LATEST_MS:
        why = f"more than {AHEAD_MAX_MS // HOUR_MS} h after it arrived at {_said(arrival_ms)}"
    message = f"{_named(mapped)} has the time {_said(mapped.time_ms)}, {why}"
    return Reject("normalise", "time_out_of_range", message)


def where_of(
    mapped: Mapped, sites: Sites, networks: Networks
) -> tuple[Place | None, Network | None, str] | Reject:
    """Place, network, and the direction of a read: what the source says of it, else what its reader does."""
    if mapped.kind == "login":
        said = Located(mapped.ip, mapped.host, mapped.lat, mapped.lon, mapped.radius_km, mapped.country)
        where = where_of_login(mapped, said, sites, networks)
        return where if isinstance(where, Reject) else (*where, mapped.direction)
    direction = mapped.direction
    place: Place | Reject | None
    if mapped.reader:
        found = sites.reader(mapped.reader)
        if found is None:
            return _unknown("reader", mapped.reader, mapped)
        place = found[0]
        direction = found[1] if direction == "unknown" else direction
    else:
        place = _of_door(mapped, sites)
    return place if isinstance(place, Reject) else (place, None, direction)


def _of_door(mapped: Mapped, sites: Sites) -> Place | Reject | None:
    """Place of a read or a door whose reader is not named: the most exact one that the source names."""
    if mapped.door:
        return sites.door(mapped.door) or _unknown("door", mapped.door, mapped)
    if mapped.site:
        site = sites.site(mapped.site)
        return _unknown("site", mapped.site, mapped) if site is None else site.place
    return None


class Located(NamedTuple):
    """What a login record says of where it came from."""

    ip: str
    host: str
    lat: float | None
    lon: float | None
    radius_km: float | None
    country: str


def where_of_login(
    mapped: Mapped, said: Located, sites: Sites, networks: Networks
) -> tuple[Place | None, Network | None] | Reject:
    """Where the person at the keyboard is: at the host, at the site that the source names, at the address.

    None where nothing says so. The source's own geolocation counts only for addresses of providers and
    for those that the networks file does not have: that of a VPN, or of the company's way out, is where
    a gateway stands.
    """
    network, near = networks.lookup(said.ip) if said.ip else (None, None)
    if said.host and mapped.logon_type in _AT_THE_HOST:
        at_host = sites.host(said.host)
        if at_host is not None:
            return at_host, network
    if mapped.site:
        site = sites.site(mapped.site)
        return _unknown("site", mapped.site, mapped) if site is None else (site.place, network)
    if near is not None:
        return near, network
    network_class = "isp" if network is None else network.network_class
    if network_class in NOWHERE or network_class == "corporate":
        return None, network
    lat, lon = (said.lat, said.lon) if said.lon is not None and said.lat is not None else (None, None)
    if lat is None and not said.country:
        return None, network
    return on_grid(lat, lon, said.radius_km, said.country), network


def _unroutable(mapped: Mapped, credential: str, place: Place | None) -> Reject | None:
    """Events that no timeline can hold: no credential, and no door either."""
    if place is not None and place.door and mapped.kind != "login":
        return None
    if mapped.kind == "door":
        return Reject("normalise", "missing_field", f"{_named(mapped)} names no door and no reader of a door")
    if credential:
        return None
    what = "account" if mapped.kind == "login" else "badge, and no door either"
    return Reject("normalise", "missing_field", f"{_named(mapped)} names no {what}")


def _unknown(what: str, name: str, mapped: Mapped) -> Reject:
    message = f"{_named(mapped)} names the {what} {name!r}, which is not in the sites file"
    return Reject("normalise", f"unknown_{what}", message)


def _named(mapped: Mapped) -> str:
    return f"{mapped.kind} event {mapped.native_id!r} of {mapped.source!r}"


def _said(time_ms: int) -> str:
    try:
        return (
            datetime.fromtimestamp(time_ms / SECOND_MS, UTC)
            .isoformat(timespec="seconds")
            .replace("+00:00", "Z")
        )
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"
