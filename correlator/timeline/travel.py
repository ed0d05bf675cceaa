"""Could one body have gone from an earlier place to this one? Looks back only: the fold does the rest.

Uncertainty is subtracted before anybody is accused: both accuracy radii from the distance, a margin for
clock skew from the time; nothing is said of a way to or from a source in quarantine (`clocks`). Configured
minimum times between readers, doors, zones and sites come before straight lines; within a site what reads
taught (`ways`) comes before floors of one building, and those before nothing. Two logins from one network are
at one place, whatever the geolocation says. Addresses of VPNs, relays, mobile carriers and hosting are never
a place (intake gives them none).

The last place is not always the one that tells: one whose position is vague, or unknown, hides a journey that
nobody can have made. So a few earlier places are kept, those that the later ones do not make needless.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address, ip_network
from math import asin, cos, radians, sin, sqrt
from typing import Literal

import msgspec

from correlator.event import HOUR_MS, SECOND_MS, SHAPES_MAX, Event, Place, Shape
from correlator.timeline import clocks
from correlator.timeline.presence import is_entry
from correlator.timeline.settings import Settings

Starts = tuple[Event, ...]  # the newest last

EARTH_RADIUS_KM = 6371.0088  # mean radius, IUGG


PLACES_MAX = 4  # earlier places that are kept

Way = Literal[
    "reader", "door", "zone", "site", "learnt", "floors", "line", "none"
]  # what a minimum time rests on
Minimum = tuple[int, Way]  # ms


class Leg(msgspec.Struct, frozen=True, gc=False):
    """From an earlier event's place to a later one's. *way*: configured for such a pair, or what else."""

    start: Event
    end: Place
    elapsed_ms: int
    minimum_ms: int
    margin_ms: int
    way: Way

    @property
    def is_impossible(self) -> bool:
        return self.elapsed_ms + self.margin_ms < self.minimum_ms

    @property
    def distance_km(self) -> float | None:
        """Less both accuracy radii; None where coordinates are missing."""
        return apart_km(self.start.place, self.end) if self.start.place is not None else None

    @property
    def speed_kmh(self) -> float | None:
        """Least speed that explains the leg: distance less radii, over elapsed time plus margin."""
        distance_km = self.distance_km
        if distance_km is None:
            return None
        return distance_km / max((self.elapsed_ms + self.margin_ms) / HOUR_MS, 1e-6)


# Denied for these reasons, the card may be anybody's that has the same number, or was not read right.
NOT_OURS = frozenset({"unknown_credential", "unassigned", "not_provisioned", "damaged", "factor_error"})


@lru_cache(SHAPES_MAX)
def is_card_place(shape: Shape) -> bool:
    """A read that shows where a person's badge was: let in or not, unless the door is known not to have
    been opened after a grant (someone else's remote release) or the card may have been another.
    """
    if shape.kind != "access" or shape.place is None or not shape.place.site:
        return False
    return shape.taken != "not_taken" if shape.outcome == "granted" else shape.reason not in NOT_OURS


@lru_cache(SHAPES_MAX)
def is_login_place(shape: Shape) -> bool:
    """A successful interactive login from somewhere that can be called a place."""
    return (
        shape.kind == "login"
        and shape.outcome == "success"
        and shape.is_interactive
        and shape.place is not None
        and (shape.place.lat is not None or shape.place.site != "")
    )


def is_body_place(shape: Shape) -> bool:
    """Does an event of *shape* show where the person is?"""
    return is_entry(shape) or is_login_place(shape)


def leg(starts: Starts, event: Event, settings: Settings) -> Leg | None:
    """The leg to *event* from one of *starts*: the newest, unless from another one it is impossible, and more
    so. None where no start can be compared.

    The caller has seen to it that all are places of kinds that may be compared.
    """
    start, _ = _telling(starts, event, settings)
    if start is None or start.shape.place is None or event.shape.place is None:
        return None
    found = minimum_ms, way = _minimum(start.shape, event.shape, settings) or _NO_TIME
    elapsed_ms = abs(event.time_ms - start.time_ms)
    granted_ms = margin_ms(start, event, found, settings)
    return Leg(start, event.shape.place, elapsed_ms, minimum_ms, granted_ms, way)


def is_impossible(starts: Starts, event: Event, settings: Settings) -> bool | None:
    """What `leg` would say, without the leg: asked of nearly every event."""
    if len(starts) == 1 and _is_unhurried(starts[0], event, settings):
        return False
    start, short_ms = _telling(starts, event, settings)
    return None if start is None else short_ms > 0


def distance_km(starts: Starts, event: Event, settings: Settings) -> float | None:
    """What `leg` would say, without the leg."""
    start, _ = _telling(starts, event, settings)
    if start is None or start.shape.place is None or event.shape.place is None:
        return None
    return apart_km(start.shape.place, event.shape.place)


def _is_unhurried(start: Event, event: Event, settings: Settings) -> bool:
    """Is *event* at the site of *start*, and of no way between the two known how long it takes?"""
    shape = event.shape
    here, there = start.shape.place, shape.place
    if here is None or there is None or here.site != there.site or not here.site:
        return False
    if settings.travel_ms or shape.ways or (here.floor is not None and there.floor is not None):
        return False
    return not (event.ip or shape.skew_s or start.id == event.id)


def _telling(starts: Starts, event: Event, settings: Settings) -> tuple[Event | None, int]:
    """Where the leg to *event* begins that tells most, and by how many ms too little time passed for it.

    An event from the address or network of an earlier one is where that was, and was judged with it.
    """
    found, most_ms = None, 0
    if not starts or (event.shape.skew_s and clocks.is_quarantined(event.shape, settings)):
        return None, 0
    for start in reversed(starts):
        here, there = start.shape.place, event.shape.place
        if here is None or there is None or start.id == event.id:
            continue
        if start is not starts[-1] and event.time_ms - start.time_ms > settings.travel_reach_ms:
            break  # as if it were pruned
        if event.ip and event.ip == start.ip:
            break
        minimum = _minimum(start.shape, event.shape, settings)
        if minimum is None:
            continue
        if minimum[0] and _is_same_network(start, event):
            break
        granted_ms = margin_ms(start, event, minimum, settings)
        short_ms = minimum[0] - abs(event.time_ms - start.time_ms) - granted_ms
        if found is None or (short_ms > 0 and short_ms > most_ms):
            found, most_ms = start, short_ms
    return found, most_ms


def margin_ms(start: Event, event: Event, minimum: Minimum, settings: Settings) -> int:
    """All that is granted before a journey is called impossible: for clocks that differ, and to who hurries
    on a way of which is known how long others take.
    """
    one, other = start.shape, event.shape
    if minimum[1] != "learnt":
        return settings.travel_margin_ms + clocks.margin_ms(one) + clocks.margin_ms(other)
    haste_ms = round(minimum[0] * settings.travel_haste)
    if (one.source, one.feed) == (other.source, other.feed):  # what one clock dated, it dated alike
        return settings.travel_clock_ms + haste_ms
    return settings.travel_margin_ms + clocks.margin_ms(one) + clocks.margin_ms(other) + haste_ms


def with_place(starts: Starts, event: Event, settings: Settings) -> Starts:
    """*starts* with *event* as the newest, and without those that tell nothing any more.

    By an event of a source in quarantine nothing is held against anybody: it is not taken.
    """
    if event.shape.skew_s and clocks.is_quarantined(event.shape, settings):
        return starts
    if not starts:
        return (event,)
    kept = [start for start in starts if not _is_needless(start, event, settings)]
    return (*kept[-(PLACES_MAX - 1) :], event) if kept else (event,)


def _is_needless(start: Event, newer: Event, settings: Settings) -> bool:
    """Is every later leg from *start* explained better, or as well, by one from *newer*?

    So it is where both are at one place; or where the way from the one to the other was possible, with
    room for all that the newer position may be off, since a detour is never shorter.
    """
    here, there = start.shape.place, newer.shape.place
    if here is None or there is None:
        return False
    elapsed_ms = newer.time_ms - start.time_ms
    if newer.shape.skew_s:  # a clock that may be off by more than the other's is granted more, later as well
        elapsed_ms -= max(0, clocks.margin_ms(newer.shape) - clocks.margin_ms(start.shape))
    if here is there or here == there:
        return elapsed_ms >= 0
    if _has_own_ways(here, there, settings):
        return False
    if here.site and here.site == there.site:
        learnt_ms = _learnt_ms(here, newer.shape)
        if learnt_ms and elapsed_ms < learnt_ms:
            return False
        if here.floor is None or not here.building:
            return elapsed_ms >= 0
        is_alike = here.building == there.building and there.floor is not None
        return is_alike and elapsed_ms >= (learnt_ms or _floors(here, there, settings)[0])
    if there.lat is None or here.lat is None:
        return False
    vague_ms = round(2 * there.radius_km / settings.travel_speed_kmh * HOUR_MS)
    return elapsed_ms >= _line_ms(here, there, settings.travel_speed_kmh) + vague_ms


def _has_own_ways(here: Place, there: Place, settings: Settings) -> bool:
    """Is a time configured for a part of *here* that *there* is no part of?"""
    ends = settings.travel_ends
    if not ends:
        return False
    return (
        (here.site != there.site and here.site in ends)
        or (here.zone != there.zone and here.zone in ends)
        or (here.door != there.door and here.door in ends)
        or (here.reader != there.reader and here.reader in ends)
    )


def prune(starts: Starts, time_ms: int, settings: Settings) -> Starts:
    """*starts* without those from which every way is possible by *time_ms*; the newest one stays."""
    if len(starts) < 2 or time_ms - starts[0].time_ms <= settings.travel_reach_ms:
        return starts
    return (*[s for s in starts[:-1] if time_ms - s.time_ms <= settings.travel_reach_ms], starts[-1])


def apart_km(a: Place, b: Place) -> float | None:
    """Great-circle distance less both accuracy radii, at least 0."""
    if a.lat is None or a.lon is None or b.lat is None or b.lon is None:
        return None
    if a.lat == b.lat and a.lon == b.lon:
        return 0.0
    lat_a, lat_b = radians(a.lat), radians(b.lat)
    lon = radians(b.lon - a.lon)
    h = sin((lat_b - lat_a) / 2) ** 2 + cos(lat_a) * cos(lat_b) * sin(lon / 2) ** 2
    return max(0.0, 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(h))) - a.radius_km - b.radius_km)


def _minimum(start: Shape, end: Shape, settings: Settings) -> Minimum | None:
    """The most exact configured time, else a learned one, that of floors or of the straight line, in ms, and
    which it is. None: nothing is known about the pair.
    """
    table, a, b = settings.travel_ms, start.place, end.place
    if a is None or b is None:
        return None
    if table:
        pairs: tuple[tuple[Way, str, str], ...] = (
            ("reader", a.reader, b.reader),
            ("door", a.door, b.door),
            ("zone", a.zone, b.zone),
            ("site", a.site, b.site),
        )
        for way, here, there in pairs:
            if here and there and (here, there) in table:
                return table[here, there], way
    if a.site and a.site == b.site:
        learnt_ms = _learnt_ms(a, end)
        return (learnt_ms, "learnt") if learnt_ms else _floors(a, b, settings)
    if a.lat is None or b.lat is None:
        return None
    return _line_ms(a, b, settings.travel_speed_kmh), "line"


_NO_TIME: Minimum = (0, "none")


def _learnt_ms(start: Place, end: Shape) -> int:
    """What reads had taught of the way by the day before; 0 for nothing."""
    if not end.ways:
        return 0
    return next((least_s * SECOND_MS for door, least_s in end.ways if door == start.door), 0)


def _floors(a: Place, b: Place, settings: Settings) -> Minimum:
    if a.floor is None or b.floor is None or a.floor == b.floor or not a.building or a.building != b.building:
        return _NO_TIME
    return abs(a.floor - b.floor) * settings.travel_floor_ms, "floors"


@lru_cache(SHAPES_MAX)
def _line_ms(a: Place, b: Place, speed_kmh: float) -> int:
    return round((apart_km(a, b) or 0.0) / speed_kmh * HOUR_MS)


def _is_same_network(start: Event, event: Event) -> bool:
    """Two addresses of one provider's neighbourhood: a geolocation that changed moved nobody."""
    one, other = start.shape.network, event.shape.network
    is_one = one is not None and other is not None and one.asn == other.asn and one.name == other.name
    return is_one and _neighbourhood(start.ip) == _neighbourhood(event.ip) != ""


@lru_cache(SHAPES_MAX)
def _neighbourhood(ip: str) -> str:
    """The /24 or /48 that *ip* lies in; "" for what is no address."""
    try:
        bits = 24 if ip_address(ip).version == 4 else 48
        return str(ip_network(f"{ip}/{bits}", strict=False))
    except ValueError:
        return ""
