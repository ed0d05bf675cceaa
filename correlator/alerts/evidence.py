"""Events as OCSF evidence, doors as resources, addresses and people as observables. Pure."""

from __future__ import annotations

from typing import Any

from correlator.alerts.phrases import iso
from correlator.alerts.story import Story
from correlator.event import Event, Person, Place, Shape

Json = dict[str, Any]

_WORDS = (  # of an event, quoted where they say something
    "source", "feed", "credential", "outcome", "reason", "reason_native", "activity", "logon_type", "mfa",
    "application", "session",
)  # fmt: skip
_USER_TYPES = {"employee": 1, "contractor": 1, "visitor": 1, "service": 4}
_TRUE_OF_PLACES = ("is_perimeter", "has_entry_readers", "has_exit_readers")
_SEEN_AS = (("taken", "unknown"), ("direction", "unknown"))


def evidence_of(event: Event, person: Person | None, skew_max_s: int) -> Json:
    """One entry of `evidences`: who, from where, with what, and in `data` all that OCSF has no word for.

    *skew_max_s*: beyond it the clock of a source puts it in quarantine.
    """
    said: Json = {"uid": event.id, "name": event.kind, "data": _data(event)}
    if abs(event.skew_s) > skew_max_s:
        said["data"]["is_quarantined"] = True
    user = _user(event, person)
    if user:
        said["actor"] = {"user": user}
    if event.ip:
        said["src_endpoint"] = _endpoint(event)
    if event.device:
        said["device"] = {"uid": event.device, "type_id": 0, "type": "Unknown"}
    return said


def _user(event: Event, person: Person | None) -> Json:
    user: Json = {}
    if event.identity_id:
        user["uid"] = event.identity_id
        if person is not None and person.identity_id == event.identity_id:
            user["type_id"] = _USER_TYPES.get(person.identity_type, 99)
            user["type"] = person.identity_type
            if person.department:
                user["groups"] = [{"name": person.department, "type": "department"}]
    if event.kind == "login" and event.credential:
        user["account"] = {"name": event.credential}
    return user


def _endpoint(event: Event) -> Json:
    said: Json = {"ip": event.ip}
    if event.network is not None:
        if event.network.name:
            said["name"] = event.network.name
        if event.network.asn:
            said["autonomous_system"] = {"number": event.network.asn}
    at = event.place
    if at is not None and at.country:
        said["location"] = {"country": at.country, **_coordinates(at, "lat", "long")}
    return said


def _coordinates(at: Place, lat: str, lon: str) -> Json:
    return {} if at.lat is None or at.lon is None else {lat: at.lat, lon: at.lon}


def _learnt(shape: Shape) -> Json:
    """What reads had taught of the doors."""
    ways: Json = {"ways": dict(shape.ways)} if shape.ways else {}
    return ways | ({"unread": shape.unread} if shape.unread else {})


def _data(event: Event) -> Json:
    said: Json = {"event_id": event.id, "kind": event.kind, "time": iso(event.time_ms, event.offset_min)}
    said |= {name: value for name in _WORDS if (value := getattr(event, name))}
    if event.occurrence:
        said["occurrence"] = event.occurrence
    said |= {name: value for name, default in _SEEN_AS if (value := getattr(event, name)) != default}
    if event.duress:
        said["duress"] = True
    if event.kind == "login":
        said["is_interactive"] = event.is_interactive
    if event.is_business_hours is not None:
        said["is_business_hours"] = event.is_business_hours
    if event.place is not None:
        said["place"] = _place(event.place)
    if event.network is not None and event.network.network_class:
        said["network"] = {"name": event.network.name, "class": event.network.network_class}
    if event.sequence is not None:
        said["sequence"] = event.sequence
    if event.time_claimed_ms is not None:
        said["time_claimed"] = iso(event.time_claimed_ms, event.offset_min)
    if event.skew_s or event.shape.site_skew_s:
        said["skew_s"], said["site_skew_s"] = event.skew_s, event.shape.site_skew_s
    said |= _learnt(event.shape)
    if event.score is not None:
        score = event.score
        said["score"] = {
            "percentile": score.percentile,
            "is_warm": score.is_warm,
            "pushing": list(score.pushing),
        }
    return said


def _place(at: Place) -> Json:
    names = ("site", "building", "zone", "door", "reader", "country", "passback")
    said: Json = {name: value for name in names if (value := getattr(at, name))}
    if at.criticality:
        said["criticality"] = at.criticality
    said |= {name: True for name in _TRUE_OF_PLACES if getattr(at, name)}
    if at.floor is not None:
        said["floor"] = at.floor
    if at.radius_km:
        said["radius_km"] = at.radius_km
    return said | _coordinates(at, "lat", "lon")


def resources_of(told: Story) -> list[Json]:
    """The doors of the evidence, by id; sites where no door is known; else the door that is the entity."""
    doors: dict[str, Place] = {}
    sites: set[str] = set()
    for event in told.events:
        if event.place is not None and event.place.door:
            doors.setdefault(event.place.door, event.place)
        elif event.place is not None and event.place.site:
            sites.add(event.place.site)
    found = [_door(doors[door]) for door in sorted(doors)]
    found += [{"uid": site, "name": site, "type": "site"} for site in sorted(sites)]
    if not found and told.alert.entity.startswith("door:"):
        door = told.alert.entity.removeprefix("door:")
        found.append({"uid": door, "name": door, "type": "door"})
    return found


def _door(at: Place) -> Json:
    said: Json = {"uid": at.door, "name": at.door, "type": "door", "data": _place(at)}
    if at.site:
        said["namespace"] = at.site
    if at.criticality:
        said["criticality"] = str(at.criticality)
    return said


def observables_of(told: Story) -> list[Json]:
    """What an analyst searches for: people, badges, accounts, addresses, devices, doors. OCSF's type ids."""
    found: set[tuple[int, str, str]] = set()
    for event in told.events:
        named = (
            (31, "evidences[].actor.user.uid", event.identity_id),
            (34, "evidences[].actor.user.account.name", event.credential if event.kind == "login" else ""),
            (19, "evidences[].data.credential", event.credential if event.kind == "access" else ""),
            (2, "evidences[].src_endpoint.ip", event.ip),
            (47, "evidences[].device.uid", event.device),
            (38, "resources[].name", event.place.door if event.place else ""),
        )
        found |= {entry for entry in named if entry[2]}
    return [{"type_id": type_id, "name": name, "value": value} for type_id, name, value in sorted(found)]
