"""Could one body have gone from the previous place to this one? Looks back only: the fold does the rest.

Uncertainty is subtracted before anybody is accused: both accuracy radii from the distance, a margin for
clock skew from the time; nothing is said of a way to or from a source in quarantine (`clocks`). Configured
minimum times between readers, doors, zones and sites come before straight lines. Addresses of VPNs, relays,
mobile carriers and hosting are never a place (intake gives them none).
"""

from __future__ import annotations

from functools import lru_cache
from math import asin, cos, radians, sin, sqrt

import msgspec

from correlator.event import HOUR_MS, SHAPES_MAX, Event, Place, Shape
from correlator.timeline import clocks
from correlator.timeline.presence import is_entry
from correlator.timeline.settings import Settings

EARTH_RADIUS_KM = 6371.0088  # mean radius, IUGG


class Leg(msgspec.Struct, frozen=True, gc=False):
    """From an earlier event's place to a later one's."""

    start: Event
    end: Place
    elapsed_ms: int
    minimum_ms: int
    margin_ms: int

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


def leg(start: Event | None, event: Event, settings: Settings) -> Leg | None:
    """The leg from *start* to *event*, or None where either is no place or both came from one address.

    The caller has seen to it that both are places of a kind that may be compared.
    """
    if start is None or start.id == event.id:
        return None
    here, there = start.shape.place, event.shape.place
    if here is None or there is None or (event.ip and event.ip == start.ip):
        return None
    minimum_ms = _minimum_ms(here, there, settings)
    if minimum_ms is None or _is_undated(start, event, settings):
        return None
    elapsed_ms = abs(event.time_ms - start.time_ms)
    return Leg(start, there, elapsed_ms, minimum_ms, margin_ms(start, event, settings))


def is_impossible(start: Event | None, event: Event, settings: Settings) -> bool | None:
    """What `leg` would say, without the leg: asked of nearly every event."""
    if start is None or start.id == event.id:
        return None
    here, there = start.shape.place, event.shape.place
    if here is None or there is None or (event.ip and event.ip == start.ip):
        return None
    minimum_ms = _minimum_ms(here, there, settings)
    if minimum_ms is None or _is_undated(start, event, settings):
        return None
    return abs(event.time_ms - start.time_ms) + margin_ms(start, event, settings) < minimum_ms


def distance_km(start: Event | None, event: Event, settings: Settings) -> float | None:
    """What `leg` would say, without the leg."""
    if start is None or start.id == event.id:
        return None
    here, there = start.shape.place, event.shape.place
    if here is None or there is None or (event.ip and event.ip == start.ip):
        return None
    return None if _is_undated(start, event, settings) else apart_km(here, there)


def margin_ms(start: Event, event: Event, settings: Settings) -> int:
    """All that is granted for clocks that differ, before a journey is called impossible."""
    off_ms = clocks.margin_ms(start.shape) + clocks.margin_ms(event.shape)
    return settings.travel_margin_ms + off_ms


def _is_undated(start: Event, event: Event, settings: Settings) -> bool:
    """Does one of the two come from a clock by which nothing can be held against anybody?"""
    return clocks.is_quarantined(start.shape, settings) or clocks.is_quarantined(event.shape, settings)


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


def _minimum_ms(a: Place, b: Place, settings: Settings) -> int | None:
    """The most exact configured time, else the straight line. None: nothing is known about the pair."""
    table = settings.travel_ms
    if table:
        for pair in ((a.reader, b.reader), (a.door, b.door), (a.zone, b.zone), (a.site, b.site)):
            if pair[0] and pair[1] and pair in table:
                return table[pair]
    if a.site and a.site == b.site:
        return 0  # within a site only a configured time says anything
    distance_km = apart_km(a, b)
    if distance_km is None:
        return None
    return round(distance_km / settings.travel_speed_kmh * HOUR_MS)
