"""Who is inside a zone: what a person's timeline tells that of the zone, and what the zone makes of it.

A person is inside the zone that they entered last (`presence`), until they are read entering another one or
leaving, or are not believed to be at the site any more. Read entering the same one again, they are inside for
longer: they may have left unseen. So they are when they log in at a machine there. Entering and leaving are
*facts* (decision 8): events of kind occupancy, with an id made of the person's and of that of the read that
showed it.

A zone knows no more than its readers: whoever came in or went out behind somebody else is not seen.

May not know: rules. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

import msgspec
from msgspec.structs import replace

from correlator.event import SHAPES_MAX, Event, Place, Shape, entity_key, event_id
from correlator.frame import Fact
from correlator.timeline import presence
from correlator.timeline.habits import is_at_desk
from correlator.timeline.live import Live, Occupant, ZoneState
from correlator.timeline.settings import Settings

Activity = Literal["entered", "left"]
Zones = Mapping[str, Place]  # those of which it is asked who is inside
NO_ZONES: Zones = {}
NOBODYS = "unresolved:badge:"  # timelines of badges of which nobody is known to hold them


class Passage(msgspec.Struct, frozen=True, array_like=True, gc=False, order=True):
    """A person entered or left *zone*, as the read *event_id* showed."""

    time_ms: int
    event_id: str
    activity: Activity
    zone: str
    offset_min: int  # of local time there from UTC


def passages(before: Live, after: Live, event: Event, zones: Zones, settings: Settings) -> list[Passage]:
    """Into and out of which of *zones* the person went with *event*."""
    if event.shape.kind != "access" or before.stays == after.stays:
        return []
    was, is_now = _zone(before, event, settings), _zone(after, event, settings)
    offset_min, ways = event.shape.offset_min, list[Passage]()
    if was in zones and was != is_now:
        ways.append(Passage(event.time_ms, event.id, "left", was, offset_min))
    if is_now in zones:
        ways.append(Passage(event.time_ms, event.id, "entered", is_now, offset_min))
    return ways


def _zone(live: Live, event: Event, settings: Settings) -> str:
    """Where the person is believed to be, at the time of *event*; "" in no zone."""
    stay = live.stays[-1] if live.stays else None
    if stay is None or presence.belief(stay, event.time_ms, settings) < presence.PRESENT_MIN:
        return ""
    return stay.zone


def as_fact(home: str, identity: str, passage: Passage, zones: Zones, *, is_held: bool) -> Fact:
    """What the timeline *home* of *identity* tells that of the zone."""
    native = f"{home}:{passage.event_id}:{passage.activity}"
    shape = _shape(passage.activity, zones.get(passage.zone) or Place(zone=passage.zone), passage.offset_min)
    event = Event(
        passage.time_ms,
        event_id("occupancy", native),
        shape,
        identity,
        "" if identity else home.removeprefix(NOBODYS),
        session=passage.event_id,
    )
    return Fact(entity_key("zone", passage.zone), home, event, is_held)


@lru_cache(SHAPES_MAX)
def _shape(activity: Activity, place: Place, offset_min: int) -> Shape:
    return Shape("occupancy", place=place, activity=activity, offset_min=offset_min)


# ------------------------------------------------------------------------------- of a zone


def who(event: Event) -> str:
    """Name of an occupant: the identity's id, or the timeline of a badge that nobody is known to hold."""
    return event.identity_id or f"{NOBODYS}{event.credential}"


def after_login(zone: ZoneState | None, event: Event, settings: Settings) -> ZoneState | None:
    """What is known of a zone after a login at a machine there: whoever is believed to be inside still is,
    and whoever is not has not come in by it.
    """
    if zone is None or event.shape.outcome != "success" or not is_at_desk(event.shape):
        return zone
    known, until_ms = believed(zone, event.time_ms), event.time_ms + settings.presence_linger_ms
    inside = tuple(
        [
            replace(o, until_ms=max(until_ms, o.until_ms)) if o.identity_id == event.identity_id else o
            for o in known.occupants
        ]
    )
    return zone if inside == zone.occupants else replace(known, occupants=inside)


def after(zone: ZoneState | None, event: Event, settings: Settings) -> ZoneState:
    """What is known of a zone after *event*, of kind occupancy."""
    known = believed(zone or ZoneState(), event.time_ms)
    others = tuple([o for o in known.occupants if o.identity_id != who(event)])
    since_ms = min((o.since_ms for o in known.occupants if o not in others), default=event.time_ms)
    if event.shape.activity == "left":
        return replace(known, occupants=others, left_ms=event.time_ms, last=event.order)
    place = event.shape.place
    has_exits = place is not None and place.has_exit_readers
    until_ms = event.time_ms + (settings.presence_exit_full_ms if has_exits else settings.presence_full_ms)
    entered = Occupant(who(event), since_ms, until_ms, event.id)
    return replace(known, occupants=(*others, entered), last=event.order)


def believed(zone: ZoneState, at_ms: int) -> ZoneState:
    """*zone* without those who are not believed to be inside any more at *at_ms*."""
    if all(o.until_ms > at_ms for o in zone.occupants):
        return zone
    gone_ms = max(o.until_ms for o in zone.occupants if o.until_ms <= at_ms)
    left_ms = gone_ms if zone.left_ms is None else max(gone_ms, zone.left_ms)
    inside = tuple([o for o in zone.occupants if o.until_ms > at_ms])
    return replace(zone, occupants=inside, left_ms=left_ms)
