"""Fields of presence and of anti-passback: where badge reads, as of the event, put the person."""

from __future__ import annotations

from collections.abc import Callable

from correlator.event import SECOND_MS
from correlator.timeline import passback, presence
from correlator.timeline.field import IDENTITY, Field, Get
from correlator.timeline.live import Passed, Scalar, Stay
from correlator.timeline.observation import Observation


def _likeliest(read: Callable[[Observation, Stay], Scalar]) -> Get:
    def get(o: Observation) -> Scalar:
        if "presence" not in o.cache:
            o.cache["presence"] = presence.likeliest(o.live.stays, o.as_of_ms, o.settings)
        found = o.cache["presence"]
        return read(o, found) if isinstance(found, Stay) else None

    return get


def _confidence(o: Observation) -> Scalar:
    found = presence.likeliest(o.live.stays, o.as_of_ms, o.settings)
    return 0.0 if found is None else presence.belief(found, o.as_of_ms, o.settings)


def _here(o: Observation) -> Scalar:
    """Whoever was not read may be one of those who come in unread."""
    place = o.event.place
    if place is None or not place.site:
        return None
    read = presence.here(o.live.stays, place.site, o.as_of_ms, o.settings)
    return read + (1.0 - read) * o.event.shape.unread / 100


def _left_s(o: Observation) -> Scalar:
    """Only an exit leaves a stay of which nothing is believed."""
    place = o.event.place
    stays = presence.believed(o.live.stays, o.as_of_ms, o.settings)
    stay = presence.at_site(stays, place.site) if place and place.site else None
    return (o.as_of_ms - stay.newest_ms) / SECOND_MS if stay is not None and stay.confidence == 0.0 else None


def _passed(read: Callable[[Observation, Passed], Scalar]) -> Get:
    def get(o: Observation) -> Scalar:
        before = passback.last(o.live.passed, o.event, o.settings)
        return None if before is None else read(o, before)

    return get


PRESENCE: list[Field] = [
    Field("presence.confidence", "float", IDENTITY, "access", "Belief, 0 to 1, that the person is at presence.site.",
          _confidence),
    Field("presence.here", "float", IDENTITY, "access", "Belief, 0 to 1, that the person is at the event's own site: by reads, or as one of those who come in unread.",
          _here),
    Field("presence.unread", "float", IDENTITY, "",
          "Share, 0 to 1, of those who come in at the event's site, or by its door, without a read; learned, in steps.",
          lambda o: o.event.shape.unread / 100),
    Field("presence.site", "str", IDENTITY, "access", "Site where the person most likely is, or was read leaving last.",
          _likeliest(lambda o, s: s.site)),
    Field("presence.zone", "str", IDENTITY, "access", "Zone entered last there.", _likeliest(lambda o, s: s.zone or None)),
    Field("presence.since_s", "float", IDENTITY, "access", "Seconds since this presence began.",
          _likeliest(lambda o, s: (o.as_of_ms - s.since_ms) / SECOND_MS)),
    Field("presence.left_zone", "str", IDENTITY, "access", "Zone that the newest read there led out of, within the site.",
          _likeliest(lambda o, s: s.left or None)),
    Field("presence.zone_since_s", "float", IDENTITY, "access", "Seconds since that zone was entered.",
          _likeliest(lambda o, s: (o.as_of_ms - s.zone_ms) / SECOND_MS if s.zone else None)),
    Field("presence.age_s", "float", IDENTITY, "access", "Seconds since its newest evidence.",
          _likeliest(lambda o, s: (o.as_of_ms - s.newest_ms) / SECOND_MS)),
    Field("presence.event_id", "str", IDENTITY, "access", "Id of its newest evidence.",
          _likeliest(lambda o, s: s.evidence[-1])),
    Field("presence.left_s", "float", IDENTITY, "access", "Seconds since the person was read leaving the event's site.",
          _left_s),
    Field("presence.is_tailgating", "bool", IDENTITY, "access",
          "This read is inside a site, and none let the person in: somebody held the door.",
          lambda o: presence.is_tailgating(o.live.stays, o.event, o.settings)),
]  # fmt: skip

PASSBACK: list[Field] = [
    Field("passback.area", "str", IDENTITY, "", "Zone with anti-passback that the read leads into or out of.",
          lambda o: passback.area_of(o.event) or None),
    Field("passback.is_violated", "bool", IDENTITY, "access", "The read before it there went the same way.",
          lambda o: passback.is_violated(o.live.passed, o.event, o.settings)),
    Field("passback.gap_s", "float", IDENTITY, "access", "Seconds since the read before it there.",
          _passed(lambda o, p: (o.event.time_ms - p.time_ms) / SECOND_MS)),
    Field("passback.direction", "str", IDENTITY, "access", "in or out: which way the read before it there went.",
          _passed(lambda o, p: p.direction)),
    Field("passback.event_id", "str", IDENTITY, "access", "Id of the read before it there.", _passed(lambda o, p: p.id)),
]  # fmt: skip
