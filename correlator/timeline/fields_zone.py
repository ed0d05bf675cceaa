"""Fields of a zone: who is believed to be inside, as of the event. Only a zone's own timeline knows."""

from __future__ import annotations

from collections.abc import Callable

from correlator.event import SECOND_MS
from correlator.timeline import occupancy
from correlator.timeline.field import ZONE, Field, Get
from correlator.timeline.live import Scalar, ZoneState
from correlator.timeline.observation import Observation


def _zone(read: Callable[[Observation, ZoneState], Scalar]) -> Get:
    """Who enters is inside as of that, who leaves is not."""

    def get(o: Observation) -> Scalar:
        place = o.event.shape.place
        if place is None or place.zone not in o.settings.zones_by_name:
            return None
        state = o.live.zone or ZoneState()
        if o.event.shape.kind == "occupancy" and state.last < o.event.order:
            state = occupancy.after(state, o.event, o.settings)
        return read(o, occupancy.believed(state, o.as_of_ms))

    return get


def _empty_s(o: Observation, zone: ZoneState) -> Scalar:
    return None if zone.occupants or zone.left_ms is None else (o.as_of_ms - zone.left_ms) / SECOND_MS


def _is_inside(o: Observation, zone: ZoneState) -> Scalar:
    return any(occupant.identity_id == occupancy.who(o.event) for occupant in zone.occupants)


ZONES: list[Field] = [
    Field("occupancy.activity", "str", ZONE, "", "entered or left: a person was read going into the zone, or out.",
          lambda o: (o.event.activity or None) if o.event.kind == "occupancy" else None),
    Field("zone.occupants", "int", ZONE, "access", "Persons believed to be inside the zone, the event's own included.",
          _zone(lambda _, z: len(z.occupants))),
    Field("zone.others", "int", ZONE, "access", "Persons believed to be inside, but for that of the event.",
          _zone(lambda o, z: sum(p.identity_id != occupancy.who(o.event) for p in z.occupants))),
    Field("zone.is_inside", "bool", ZONE, "access", "The event's person is believed to be inside.", _zone(_is_inside)),
    Field("zone.occupant", "str", ZONE, "access", "Identity id of the only person inside, or unresolved:badge:… of a badge of nobody known; absent for none or several.",
          _zone(lambda _, z: z.occupants[0].identity_id if len(z.occupants) == 1 else None)),
    Field("zone.occupant_event_id", "str", ZONE, "access", "Id of the event that showed that person entering.",
          _zone(lambda _, z: z.occupants[0].event_id if len(z.occupants) == 1 else None)),
    Field("zone.empty_s", "float", ZONE, "access", "Seconds since the last person left, or was not believed to be inside any more; absent while one is inside.",
          _zone(_empty_s)),
]  # fmt: skip
