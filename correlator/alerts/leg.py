"""A way that a match quotes (`travel.badge.*`, `.card.*`, `.login.*`): from where, how long, is it likely."""

from __future__ import annotations

import msgspec

from correlator.alerts.story import Story
from correlator.event import SECOND_MS, Event

# prefix of the fields, and the kind of event where the way began
LEGS = (("travel.badge", "access"), ("travel.card", "access"), ("travel.login", "login"))
SPEED_MIN_KMH = 100.0  # a slower way is context, not an argument
_TELLING = ("is_impossible", "distance_km", "minimum_s", "speed_kmh")


class QuotedLeg(msgspec.Struct, frozen=True):
    """*start* is None where the event is not at hand. *is_impossible*: proven by what is quoted."""

    prefix: str
    start: Event | None
    elapsed_ms: float
    minimum_ms: float | None
    speed_kmh: float | None
    is_impossible: bool


def telling_leg(told: Story) -> QuotedLeg | None:
    """The leg that argues most: one whose beginning is evidence, then an impossible one, then the fastest."""
    legs = [leg for prefix, kind in LEGS if (leg := leg_of(told, prefix, kind))]
    if not legs:
        return None
    return max(legs, key=lambda leg: (leg.start is not None, leg.is_impossible, leg.speed_kmh or 0.0))


def leg_of(told: Story, prefix: str, kind: str) -> QuotedLeg | None:
    """The leg under *prefix*, or None where nothing or nothing telling is quoted of it."""
    if told.last is None or all(told.values.get(f"{prefix}.{name}") is None for name in _TELLING):
        return None
    start = told.linked(prefix, kind, "elapsed_s")
    elapsed_ms = _elapsed_ms(told, prefix, start, told.last)
    verdict, speed = told.values.get(f"{prefix}.is_impossible"), told.number(f"{prefix}.speed_kmh")
    if elapsed_ms is None or verdict is False:
        return None
    minimum_s, margin_s = told.number(f"{prefix}.minimum_s"), told.number(f"{prefix}.margin_s") or 0.0
    minimum_ms = None if minimum_s is None else minimum_s * SECOND_MS
    is_short = minimum_ms is not None and elapsed_ms + margin_s * SECOND_MS < minimum_ms
    if verdict is not True and not is_short and speed is not None and speed < SPEED_MIN_KMH:
        return None
    return QuotedLeg(prefix, start, elapsed_ms, minimum_ms, speed, verdict is True or is_short)


def _elapsed_ms(told: Story, prefix: str, start: Event | None, last: Event) -> float | None:
    """Quoted, else from the time of the leg's start."""
    elapsed_s = told.number(f"{prefix}.elapsed_s")
    if elapsed_s is not None:
        return elapsed_s * SECOND_MS
    start_ms = start.time_ms if start else told.number(f"{prefix}.time_ms")
    return None if start_ms is None else last.time_ms - start_ms
