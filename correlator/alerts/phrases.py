"""Plain English for times, durations, places and events: the words that every explanation is made of.

Pure and total. Times appear in the local time of the place with its offset, and in UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Event, Place
from correlator.spelling import utc

_STATUSES = {"leave": "on leave", "notice": "under notice"}  # that are no adjectives
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def offset(minutes: int) -> str:
    """`+05:30`"""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


def local(time_ms: int, offset_min: int) -> str:
    """`2026-03-02 09:14:05 +01:00`"""
    return f"{utc(time_ms + offset_min * MINUTE_MS):%Y-%m-%d %H:%M:%S} {offset(offset_min)}"


def iso(time_ms: int, offset_min: int = 0) -> str:
    """RFC 3339 with milliseconds and offset: `2026-03-02T09:14:05.000+01:00`."""
    return utc(time_ms + offset_min * MINUTE_MS).isoformat(timespec="milliseconds")[:23] + offset(offset_min)


def when(time_ms: int, offset_min: int) -> str:
    """`2026-03-02 09:14:05 +01:00 (08:14:05 UTC)`; the UTC date too where it differs."""
    if not offset_min:
        return f"{utc(time_ms):%Y-%m-%d %H:%M:%S} UTC"
    here, there = utc(time_ms + offset_min * MINUTE_MS), utc(time_ms)
    universal = f"{there:%H:%M:%S}" if here.date() == there.date() else f"{there:%Y-%m-%d %H:%M:%S}"
    return f"{here:%Y-%m-%d %H:%M:%S} {offset(offset_min)} ({universal} UTC)"


def weekday(time_ms: int, offset_min: int) -> str:
    return _DAYS[utc(time_ms + offset_min * MINUTE_MS).weekday()]


def duration(span_ms: float) -> str:
    """Two units at most, rounded: `2 d 3 h`, `1 h 49 min`, `23 min 4 s`, `12 s`, `0.4 s`."""
    span = round(abs(span_ms))
    if span < SECOND_MS and span:
        return f"{span / SECOND_MS:.1f} s"
    units = (("d", DAY_MS), ("h", HOUR_MS), ("min", MINUTE_MS), ("s", SECOND_MS))
    least = next((below for (_, unit), (_, below) in pairwise(units) if span >= unit), SECOND_MS)
    span = (span + least // 2) // least * least  # before units are chosen: 59.6 s are a minute
    for (name, unit), (smaller, below) in pairwise(units):
        if span >= unit:
            rest = span % unit // below
            return f"{span // unit} {name} {rest} {smaller}" if rest else f"{span // unit} {name}"
    return f"{span // SECOND_MS} s"


def of_status(status: str) -> str:
    """`terminated`, `on leave`: what the person is."""
    return _STATUSES.get(status, status)


def before(span_ms: float) -> str:
    """`1 h 49 min before`, `2 min after` what is spoken of."""
    return f"{duration(span_ms)} {'before' if span_ms >= 0 else 'after'}"


def several(words: Iterable[str], most: int = 6) -> str:
    """`a, b and c`; of more than *most* the first ones and how many more."""
    listed = list(words)
    if len(listed) > most:
        return f"{', '.join(listed[:most])} and {len(listed) - most} more"
    return " and ".join(part for part in (", ".join(listed[:-1]), *listed[-1:]) if part)


def number(value: float) -> str:
    """Thousands separated; decimals only below 10."""
    return f"{value:,.1f}" if abs(value) < 10 and value != int(value) else f"{value:,.0f}"


def place(at: Place | None) -> str:
    """`door lis-1-07 (zone lis-lab, site lis)`, `site lis`, `FR near 48.86, 2.35 (±25 km)`; "" if unknown."""
    if at is None:
        return ""
    if at.door or at.reader:
        around = [f"{name} {value}" for name, value in (("zone", at.zone), ("site", at.site)) if value]
        named = f"door {at.door}" if at.door else f"reader {at.reader}"
        return f"{named} ({', '.join(around)})" if around else named
    if at.site:
        return f"site {at.site}" + (f" (zone {at.zone})" if at.zone else "")
    if at.lat is None or at.lon is None:
        return at.country
    near = f"near {at.lat:.2f}, {at.lon:.2f}" + (f" (±{number(at.radius_km)} km)" if at.radius_km else "")
    return f"{at.country} {near}".strip()


def place_short(at: Place | None) -> str:
    """`lis-1-07`, `lis`, `FR`: fits a column."""
    if at is None:
        return ""
    return at.door or at.site or at.country or at.reader


def origin(event: Event) -> str:
    """Where a login came from: `198.51.100.7 (orange, isp, FR near 48.86, 2.35)`."""
    network = event.network
    known = (network.name, network.network_class) if network else ()
    about = ", ".join(part for part in (*known, place(event.place)) if part)
    if not event.ip:
        return about
    return f"{event.ip} ({about})" if about else event.ip


def happened(event: Event) -> str:
    """What the event says, as a clause without its time."""
    if event.kind == "access":
        return _access(event)
    if event.kind == "login":
        return _login(event)
    if event.kind == "door":
        return f"{place(event.place) or 'a door'} reported {event.activity or 'a change'}"
    if event.kind == "occupancy":
        zone = event.place.zone if event.place else ""
        badge = f"badge {event.credential}" if event.credential else "somebody"
        return f"{event.identity_id or badge} {event.activity} zone {zone or '?'}"
    return _person(event)


def _person(event: Event) -> str:
    """What a record of the identities says of somebody; the same again, if it was published again."""
    name, person = event.identity_id or "an identity", event.person
    if person is None:
        return f"the identities feed says who {name} is"
    if person.is_removed:
        return f"the identities feed removed {name}"
    status = next((status for since_ms, status in reversed(person.statuses) if since_ms <= event.time_ms), "")
    home = f"home site {person.home_site}" if person.home_site else ""
    said = (person.identity_type, person.department, home, status)
    return f"the identities feed says who {name} is: {', '.join(part for part in said if part)}"


def _access(event: Event) -> str:
    said = f"badge {event.credential or '?'} was {event.outcome or 'read'}"
    at = place(event.place)
    notes = [
        _TAKEN.get(event.taken, ""),
        f"direction {event.direction}" if event.direction in ("in", "out") else "",
    ]
    if event.outcome == "denied":
        notes = [event.reason_native or event.reason]
    if event.duress:
        notes.append("duress code used")
    noted = ", ".join(note for note in notes if note)
    return said + (f" at {at}" if at else "") + (f" [{noted}]" if noted else "")


_TAKEN = {"taken": "door opened", "not_taken": "door not opened"}


def _login(event: Event) -> str:
    verb = (
        "logged in"
        if event.outcome == "success"
        else f"failed to log in ({event.reason or 'no reason given'})"
    )
    said = f"account {event.credential or '?'} {verb}"
    if event.application:
        said += f" to {event.application}"
    at = origin(event)
    if at:
        said += f" from {at}" if event.ip else f" at {at}"
    if event.device:
        said += f" on device {event.device}"
    notes = [event.logon_type, f"MFA {event.mfa}" if event.mfa else ""]
    noted = ", ".join(note for note in notes if note)
    return f"{said} [{noted}]" if noted else said
