"""How generated functions read fields: a source expression for what costs little, else the getter of
`timeline.fields`.

The table says the same as `timeline.fields.FIELDS` does (a test compares them); a field that is not here is
read by its getter. Expressions are ours, never a rule author's, over the names

    observation, its event and live; those of `HELPERS`
    shape, place, network of the event; `NO_PLACE`, `NO_NETWORK` where it has none

Three sorts of fields, by what is known of a value's type:

- *guarded*: the event's own. Read first and looked at once: an event with a value of another type than the
  table says is left to the interpreter altogether.
- *sure*: numbers and truth values that are computed, so they have no other type. Read when first asked for.
- *open*: anything else. Read when first asked for, and every test looks at the type.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Literal, NamedTuple

from correlator.event import Kind, Network
from correlator.timeline import travel
from correlator.timeline.fields import FIELDS

Sort = Literal["guarded", "sure", "open"]
Holds = Literal["text", "number", "flag"]


class Load(NamedTuple):
    """*kind*: only such events have the field. Text is read as "" where it is absent, all else as None."""

    source: str
    holds: Holds
    kind: Kind | None = None


NO_PLACE = SimpleNamespace(
    site="", building="", zone="", door="", reader="", country="",
    criticality=None, is_perimeter=None, lat=None, lon=None, radius_km=None, floor=None, passback="",
    has_entry_readers=None, has_exit_readers=None,
)  # fmt: skip
NO_NETWORK = Network()


def _of(kind: Kind, **names: str) -> dict[str, Load]:
    return {f"{kind}.{name}": Load(f"shape.{source}", "text", kind) for name, source in names.items()}


GUARDED: dict[str, Load] = {
    "event.kind": Load("shape.kind", "text"),
    "event.feed": Load("shape.feed", "text"),
    "event.source": Load("shape.source", "text"),
    **_of("access", outcome="outcome", reason="reason", reason_native="reason_native", taken="taken",
          direction="direction"),
    "access.duress": Load("shape.duress", "flag", "access"),
    "credential.id": Load("event.credential", "text"),
    **_of("door", activity="activity"),
    **_of("login", outcome="outcome", reason="reason", logon_type="logon_type", mfa="mfa",
          application="application"),
    "login.is_interactive": Load("shape.is_interactive", "flag", "login"),
    "device.id": Load("event.device", "text"),
    "session.id": Load("event.session", "text"),
    "source.ip": Load("event.ip", "text"),
    "network.name": Load("network.name", "text"),
    "network.class": Load("network.network_class", "text"),
    "network.asn": Load("network.asn or None", "number"),
    **{f"place.{name}": Load(f"place.{name}", "text")
       for name in ("site", "building", "zone", "door", "reader", "country", "passback")},
    **{f"place.{name}": Load(f"place.{name}", "number")
       for name in ("criticality", "lat", "lon", "radius_km", "floor")},
    **{f"place.{name}": Load(f"place.{name}", "flag")
       for name in ("is_perimeter", "has_entry_readers", "has_exit_readers")},
    "identity.id": Load("event.identity_id", "text"),
    "time.is_business_hours": Load("shape.is_business_hours", "flag"),
}  # fmt: skip

SHAPED = frozenset(  # fields that the shape of an event decides
    name for name, load in GUARDED.items() if load.source.startswith(("shape.", "place.", "network."))
)

_MINUTE = "(event.time_ms // 60000 + shape.offset_min + 4320) % 10080"  # of the local week


def _leg(name: str, places: str, is_place: str) -> dict[str, str]:
    return {
        f"travel.{name}.{field}": f"{field}(live.{places}, event, observation.settings) "
        f"if {is_place}(shape) else None"
        for field in ("is_impossible", "distance_km")
    }


EASY: dict[str, str] = {  # sure or open, read where they are asked for
    "event.is_clamped": "event.time_claimed_ms is not None",
    "time.hour": f"{_MINUTE} // 60 % 24",
    "time.minute": f"{_MINUTE} % 60",
    "time.weekday": f"{_MINUTE} // 1440 + 1",
    "time.is_weekend": f"{_MINUTE} >= 7200",
    "identity.type": "live.person and live.person.identity_type",
    "identity.department": "live.person and (live.person.department or None)",
    "identity.home_site": "live.person and (live.person.home_site or None)",
    "anomaly.percentile": "event.score and event.score.percentile",
    "anomaly.is_warm": "event.score and event.score.is_warm",
    **_leg("badge", "badge_places", "is_body_place"),
    **_leg("card", "card_places", "is_card_place"),
    **_leg("login", "login_places", "is_body_place"),
}
HELPERS: dict[str, object] = {  # that expressions call
    "is_impossible": travel.is_impossible,
    "distance_km": travel.distance_km,
    "is_body_place": travel.is_body_place,
    "is_card_place": travel.is_card_place,
}
_SURE = (  # names, or ends of names
    "_s", "_km", "_kmh", "_days", "_24h", ".is_impossible", ".is_violated", ".is_tailgating",
    "event.is_clamped", "presence.confidence", "presence.here",
    "time.hour", "time.minute", "time.weekday", "time.is_weekend",
)  # fmt: skip
_SURE_GROUPS = ("habit.", "first_seen.", "days_since.")


def sort_of(name: str) -> Sort:
    if name in GUARDED:
        return "guarded"
    is_computed = name.endswith(_SURE) or name.startswith(_SURE_GROUPS)
    return "sure" if is_computed and holds_of(name) in {"number", "flag"} else "open"


def holds_of(name: str) -> Holds | None:
    """What the field's values are, as far as the table says; None for a name that is not in it."""
    field = FIELDS.get(name)
    if field is None:
        return None
    return "text" if field.value_type == "str" else "flag" if field.value_type == "bool" else "number"
