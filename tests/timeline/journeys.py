"""Which earlier place tells most against a person, written once more from the docs of travel: all earlier
places are looked at, and nothing of the product is used but its data types.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from math import atan2, cos, radians, sin, sqrt

from correlator.event import Event, Place
from correlator.timeline.settings import Settings
from tests.timeline.whereabouts import is_undated

KEPT = 4  # places that the product remembers


def arrow(p: Place) -> tuple[float, float, float] | None:
    """Where *p* is on a sphere of radius 1."""
    if p.lat is None or p.lon is None:
        return None
    up, round_ = radians(p.lat), radians(p.lon)
    return cos(up) * cos(round_), cos(up) * sin(round_), sin(up)


def far_km(p: Place, q: Place) -> float | None:
    """By vectors: the chord between two points of a sphere, and the angle over it; less both radii."""
    one, two = arrow(p), arrow(q)
    if one is None or two is None:
        return None
    half = min(1.0, sqrt(sum((x - y) ** 2 for x, y in zip(one, two, strict=True))) / 2)
    return max(0.0, 6371.0088 * 2 * atan2(half, sqrt(1 - half * half)) - p.radius_km - q.radius_km)


def configured(p: Place, q: Place, s: Settings) -> list[tuple[str, float]]:
    """(what for, seconds) of the sites file, most exact first."""
    table = {frozenset(row[:2]): row[2] * 60 for row in s.travel_minutes}
    pairs = (
        ("reader", p.reader, q.reader),
        ("door", p.door, q.door),
        ("zone", p.zone, q.zone),
        ("site", p.site, q.site),
    )
    return [(name, table[frozenset(ends)]) for name, *ends in pairs if frozenset(ends) in table]


def least(p: Place, q: Place, s: Settings) -> tuple[str, float] | None:
    """What the least time rests on, and the time in seconds; None where nothing is known of the pair."""
    found = configured(p, q, s)
    if found:
        return found[0]
    if p.site and p.site == q.site:
        floors = 0
        if p.building and p.building == q.building and p.floor is not None and q.floor is not None:
            floors = abs(p.floor - q.floor)
        return ("floors", floors * s.travel_floor_ms / 1_000) if floors else ("none", 0.0)
    km = far_km(p, q)
    return None if km is None else ("line", km / s.travel_speed_kmh * 3_600)


def is_one_network(a: Event, b: Event) -> bool:
    if a.network is None or b.network is None or not a.ip or not b.ip:
        return False
    near = {str(ip_network(f"{e.ip}/{48 if ':' in e.ip else 24}", strict=False)) for e in (a, b)}
    return len(near) == 1 and (a.network.asn, a.network.name) == (b.network.asn, b.network.name)


def is_explained(start: Event, newer: Event, s: Settings) -> bool:
    """Did the person go from *start* to *newer*, and is nothing lost by asking from there on?"""
    p, q = start.place, newer.place
    assert p is not None
    assert q is not None
    off_s = abs(newer.shape.skew_s) - abs(start.shape.skew_s)
    gone_s = (newer.time_ms - start.time_ms) / 1_000 - max(0, off_s)
    if p == q:
        return gone_s >= 0
    ends = {end for row in s.travel_minutes for end in row[:2]}
    parts = ((p.reader, q.reader), (p.door, q.door), (p.zone, q.zone), (p.site, q.site))
    if any(one in ends and one != other for one, other in parts):
        return False  # a way of its own begins there
    if p.site and p.site == q.site:
        if not p.building or p.floor is None:
            return gone_s >= 0
        return q.building == p.building and q.floor is not None and gone_s >= (least(p, q, s) or ("", 0))[1]
    km = far_km(p, q)
    return km is not None and gone_s >= (km + 2 * q.radius_km) / s.travel_speed_kmh * 3_600


def remembered(earlier: Sequence[Event], s: Settings) -> list[Event]:
    """Those of *earlier*, clocks in quarantine left out, that no later one explains."""
    dated = [e for e in earlier if not is_undated(e, s)]
    return [a for n, a in enumerate(dated) if not any(is_explained(a, b, s) for b in dated[n + 1 :])]


def overflows(earlier: Sequence[Event], s: Settings) -> bool:
    """Were there ever more to remember than the product does?"""
    return any(len(remembered(earlier[:n], s)) > KEPT for n in range(len(earlier) + 1))


def margin_s(start: Event, e: Event, s: Settings) -> float:
    return s.travel_margin_ms / 1_000 + abs(start.shape.skew_s) + abs(e.shape.skew_s)


def short_s(start: Event, e: Event, s: Settings) -> float | None:
    """Seconds by which too little time passed, margin granted; negative where there was enough."""
    assert start.place is not None
    assert e.place is not None
    found = least(start.place, e.place, s)
    return (
        None if found is None else found[1] - abs(e.time_ms - start.time_ms) / 1_000 - margin_s(start, e, s)
    )


def telling(earlier: Sequence[Event], e: Event, s: Settings) -> Event | None:
    """The newest of *earlier*, unless from another the journey to *e* is impossible, and more so.

    What came from the address or network of an earlier place was judged with that one.
    """
    seen: list[Event] = []
    if is_undated(e, s):
        return None
    for start in reversed(remembered(earlier, s)):
        if e.ip and e.ip == start.ip:
            break
        if short_s(start, e, s) is None:
            continue
        if is_one_network(start, e) and least_s(start, e, s) > 0:
            break
        seen.append(start)
    worst = max(seen, key=lambda start: short_s(start, e, s) or 0, default=None)
    return worst if worst is not None and (short_s(worst, e, s) or 0) > 0 else seen[0] if seen else None


def least_s(start: Event, e: Event, s: Settings) -> float:
    assert start.place is not None
    assert e.place is not None
    return (least(start.place, e.place, s) or ("", 0.0))[1]
