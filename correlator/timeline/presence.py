"""Where an identity is believed to be, from its badge reads: a confidence with evidence, not a boolean.

Granted is not entered, and no badge-out is not "still inside": belief fades from `presence_full_ms` on
with a half-life, a read at another site moves the person there, an exit read at a perimeter door ends it.
A read of a source in quarantine (`clocks`) leaves it open: neither there nor absent, whichever way it leads.
Starting values are those of the presence model in docs/detections; they are settings.
"""

from __future__ import annotations

from functools import lru_cache

from correlator.event import SHAPES_MAX, Event, Shape
from correlator.timeline.clocks import is_quarantined
from correlator.timeline.live import SitePresence
from correlator.timeline.settings import Settings

FORGET_HALF_LIVES = 8  # what has faded longer than this is nothing (0.4 % of what it was)


def confidence(presence: SitePresence | None, at_ms: int, settings: Settings) -> float:
    """Belief in *presence* as of *at_ms*, 0..1."""
    if presence is None or presence.confidence == 0.0:
        return 0.0
    faded_ms = at_ms - presence.newest_ms - settings.presence_full_ms
    if faded_ms <= 0:
        return presence.confidence
    half_lives = faded_ms / settings.presence_half_life_ms
    return presence.confidence * 0.5**half_lives if half_lives <= FORGET_HALF_LIVES else 0.0


def believed(presence: SitePresence | None, at_ms: int, settings: Settings) -> SitePresence | None:
    """*presence* unless it is forgotten by *at_ms*: what `prune` drops and nobody may still see."""
    if presence is None:
        return None
    forget_ms = settings.presence_full_ms + FORGET_HALF_LIVES * settings.presence_half_life_ms
    return presence if at_ms - presence.newest_ms <= forget_ms else None


@lru_cache(SHAPES_MAX)
def is_entry(shape: Shape) -> bool:
    """Does an event of *shape* let somebody through a door of a known site, as far as can be told?"""
    return (
        shape.kind == "access"
        and shape.outcome == "granted"
        and shape.taken != "not_taken"
        and shape.place is not None
        and shape.place.site != ""
    )


def after_entry(presence: SitePresence | None, event: Event, settings: Settings) -> SitePresence | None:
    """Belief after an event that let somebody through a door (`is_entry`): in, or out."""
    shape, time_ms = event.shape, event.time_ms
    place = shape.place
    if place is None:
        return presence
    is_undated = is_quarantined(shape, settings)
    is_leaving = shape.direction == "out" and place.is_perimeter
    if is_leaving and not is_undated:
        return SitePresence(place.site, "", time_ms, time_ms, 0.0, (event.id,))
    sure = settings.presence_taken if shape.taken == "taken" else settings.presence_granted
    if is_undated:
        sure = settings.presence_undated
    zone = "" if shape.direction == "out" else place.zone
    before = confidence(presence, time_ms, settings)
    if is_leaving:
        before = min(before, sure)
    if presence is None or presence.site != place.site or before == 0.0:
        return SitePresence(place.site, zone, time_ms, time_ms, sure, (event.id,))
    first = presence.evidence[0]
    return SitePresence(place.site, zone, presence.since_ms, time_ms, max(sure, before), (first, event.id))
