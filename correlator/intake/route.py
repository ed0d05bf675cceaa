"""Which timelines an event belongs to.

Always the identity's, or that of the unresolved credential; a read also to its door; a door's own event
only to the door. To zones, addresses and hosts only what rules ask of them. Pure; stable for ever, since the
key decides the partition.
"""

from __future__ import annotations

from correlator.event import Event, Routes, others_of
from correlator.timeline.moving import unresolved


def route(event: Event, routes: Routes) -> tuple[str, ...]:
    """Entity keys of *event*, the person's first. Never empty for what `normalise` returns."""
    return (*_always(event), *others_of(event, routes)) if routes else _always(event)


def _always(event: Event) -> tuple[str, ...]:
    shape = event.shape
    door = shape.place.door if shape.place is not None else ""
    if shape.kind == "door":
        return (f"door:{door}",)
    if event.identity_id:
        home = f"identity:{event.identity_id}"
    elif event.credential:
        home = unresolved(event)
    else:
        return (f"door:{door}",)
    return (home, f"door:{door}") if door and shape.kind == "access" else (home,)
