"""Why a field has no value: for the author of a rule, who sees that a line failed for want of one.

Looks where the field's own getter looks, and decides nothing. Total: every field of the table has a reason.
"""

from __future__ import annotations

from collections.abc import Callable

from correlator.event import Event, Kind, Shape
from correlator.timeline import passback, presence, travel
from correlator.timeline.fields import FIELDS
from correlator.timeline.habits import WARM_DAYS, as_of
from correlator.timeline.observation import Observation
from correlator.timeline.travel import Starts

Why = Callable[[Observation], str]

_SILENT = "the source did not say"
_OF_ONE_KIND: dict[str, Kind] = {"access.": "access", "login.": "login", "door.activity": "door"}


def why_absent(observation: Observation, name: str) -> str:
    """Why the field *name* has no value in *observation*."""
    if name not in FIELDS:
        has = "the source's record does not have it, or has it without a value"
        return has if observation.event.raw is not None else "the feed keeps nothing of its records (raw)"
    for prefix, kind in _OF_ONE_KIND.items():
        if name.startswith(prefix) and observation.event.kind != kind:
            return f"events of kind {observation.event.kind} have no {name}"
    return next((why(observation) for prefix, why in _REASONS.items() if name.startswith(prefix)), _SILENT)


def _network(o: Observation) -> str:
    if not o.event.ip:
        return "the event has no address"
    return _SILENT if o.event.network else "no range of the networks file and no database has the address"


def _place(o: Observation) -> str:
    return "the sites file does not say" if o.event.place else "the event has no place"


def _person(o: Observation) -> str:
    if not o.entity.startswith("identity:"):
        return "the credential is not resolved to a person"
    does = "say" if o.live.person else "know the person"
    return f"the identities feed does not {does}"


def _credential(o: Observation) -> str:
    if o.live.person is None:
        return _person(o)
    return f"the identities feed knows no credential {o.event.credential!r} of the person"


def _presence(o: Observation) -> str:
    if not o.live.stays:
        return "no badge read before it let the person in"
    if not presence.believed(o.live.stays, o.as_of_ms, o.settings):
        return "the last badge read that let the person in is too old to tell"
    return "the sites file does not say"


def _passback(o: Observation) -> str:
    if not passback.area_of(o.event):
        return "the read leads into or out of no area with anti-passback"
    return "no read in or out of the area is known before it"


def _habit(o: Observation) -> str:
    known = as_of(o.live.habits, o.live.today, o.event)
    if not o.event.identity_id:
        return "the credential is not resolved to a person"
    if not known.is_warm:
        return f"only {known.active_days} active days of the person are known, of {WARM_DAYS} that are needed"
    return "the event does not say, or the person was never seen so"


def _leg(what: str, starts: Callable[[Observation], Starts], is_place: Callable[[Shape], bool]) -> Why:
    def why(o: Observation) -> str:
        earlier = starts(o)
        if not is_place(o.event.shape):
            return "the event does not show where the person was"
        if not earlier:
            return f"there is no earlier {what}"
        if earlier[-1].ip and earlier[-1].ip == o.event.ip:
            return f"the {what} before came from the same address"
        return f"too little is known of where the {what} before was"

    return why


def _last(what: str, start: Callable[[Observation], Event | None]) -> Why:
    return lambda o: f"the {what} before it does not say" if start(o) else f"there is no {what} before it"


_READ = "badge read that was let through"
_REASONS: dict[str, Why] = {  # by the beginning of the name; the first that fits
    "network.": _network,
    "place.": _place,
    "identity.id": lambda o: "the credential is not resolved to a person",
    "identity.": _person,
    "credential.id": lambda o: _SILENT,
    "credential.": _credential,
    "presence.here": lambda o: "the event has no site",
    "presence.left_s": lambda o: "the person was not read leaving the event's site, or came in since",
    "presence.is_tailgating": lambda o: (
        "the read lets nobody further into a site with readers at its perimeter"
    ),
    "presence.": _presence,
    "passback.": _passback,
    "habit.": _habit,
    "first_seen.": _habit,
    "days_since.": _habit,
    "travel.badge.": _leg(_READ, lambda o: o.live.badge_places, travel.is_body_place),
    "travel.card.": _leg("badge read", lambda o: o.live.card_places, travel.is_card_place),
    "travel.login.": _leg("login with a place", lambda o: o.live.login_places, travel.is_body_place),
    "last_badge.": _last("badge read", lambda o: o.live.last_badge),
    "last_login.": _last("successful login", lambda o: o.live.last_login),
    "door.grant_gap_s": lambda o: "no read was granted at the door before it",
    "door.rex_gap_s": lambda o: "no exit was requested at the door before it",
    "door.held_gap_s": lambda o: "the door was not reported held before it",
    "anomaly.": lambda o: "the model has not scored the event",
    "time.is_business_hours": lambda o: "the event has no site",
}
