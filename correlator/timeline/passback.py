"""Anti-passback: whoever was read into an area must be read out of it before being read into it again.

An area is a zone of which the sites file says so: *soft* violations are reported by the access control
system, *hard* ones refused. It is told here from the reads themselves, whatever the system says of them: a
card that goes in twice was passed back to somebody, is a copy, or its holder left behind a colleague. What is
older than a while is forgotten, for systems forget too, and free exits leave no read; so is what came before
a read of a source in quarantine (`clocks`), which may have been earlier or later than it says.
"""

from __future__ import annotations

from correlator.event import Event
from correlator.timeline.clocks import is_quarantined
from correlator.timeline.live import Passed
from correlator.timeline.settings import Settings

AREAS_MAX = 8  # of one person, those used last
DEBOUNCE_MS = 5_000  # a reader that reads twice within it has read once
_REFUSED = "passback"  # reason of a read that was refused for this


def area_of(event: Event) -> str:
    """The area that the person went, or wanted to go, into or out of; "" where there is none."""
    shape = event.shape
    place = shape.place
    if place is None or not place.passback or shape.kind != "access" or shape.direction not in ("in", "out"):
        return ""
    is_passage = shape.taken != "not_taken" if shape.outcome == "granted" else shape.reason == _REFUSED
    return place.zone if is_passage else ""


def last(passed: tuple[Passed, ...], event: Event, settings: Settings) -> Passed | None:
    """The read before *event* in or out of its area, unless it is forgotten."""
    area = area_of(event)
    found = next((p for p in passed if p.area == area), None) if area else None
    if found is None or event.time_ms - found.time_ms > settings.passback_forget_ms:
        return None
    return found


def is_violated(passed: tuple[Passed, ...], event: Event, settings: Settings) -> bool | None:
    """Does *event* go the same way as the read before it? None where no area, or nothing before, is known."""
    before = last(passed, event, settings)
    if before is None or event.shape.place is None or is_quarantined(event.shape, settings):
        return None
    is_again = before.reader == event.shape.place.reader and event.time_ms - before.time_ms <= DEBOUNCE_MS
    return before.direction == event.shape.direction and not is_again


def after(passed: tuple[Passed, ...], event: Event, settings: Settings) -> tuple[Passed, ...]:
    """What is known after *event*: a read that was refused moved nobody."""
    area, place = area_of(event), event.shape.place
    if not area or place is None or event.shape.outcome != "granted":
        return passed
    if is_quarantined(event.shape, settings):
        return tuple([p for p in passed if p.area != area])
    newest = Passed(area, event.shape.direction, event.time_ms, event.id, place.reader)
    others = sorted((p for p in passed if p.area != area), key=_time)[-(AREAS_MAX - 1) :]
    return tuple(sorted((*others, newest), key=_area))


def prune(passed: tuple[Passed, ...], time_ms: int, settings: Settings) -> tuple[Passed, ...]:
    """*passed* without what nobody may see at or after *time_ms*."""
    if all(time_ms - p.time_ms <= settings.passback_forget_ms for p in passed):
        return passed
    return tuple([p for p in passed if time_ms - p.time_ms <= settings.passback_forget_ms])


def _time(p: Passed) -> tuple[int, str]:
    return (p.time_ms, p.id)


def _area(p: Passed) -> str:
    return p.area
