"""The words and numbers that fields can hold, where these are known: a rule that asks for another asks for
nothing.

What intake lets through, and no more (a test compares them). May not know: conditions, how rules are read.
"""

from __future__ import annotations

from math import inf
from typing import get_args

from correlator.event import KINDS, NetworkClass, Passback
from correlator.timeline.travel import Way

_REASONS = (
    "muster", "passback_detected", "duress", "trace", "lockout_max_attempts", "accompaniment_by",
    "factor_read", "authorization_delayed", "verification_required", "unknown_credential",
    "authentication_unavailable", "factor_timeout", "incorrect_factor", "zone_no_access_rights",
    "point_no_access_rights", "no_access_rights", "out_of_time_range", "threat_level", "passback",
    "unexpected_location_usage", "max_attempts", "lower_occupancy_limit", "upper_occupancy_limit", "lost",
    "stolen", "damaged", "destroyed", "factor_disabled", "factor_error", "unassigned", "not_provisioned",
    "not_yet_active", "expired", "manual_disable", "lockout", "max_days", "max_uses", "inactivity",
    "disabled", "no_accompaniment", "incorrect_accompaniment", "verification_failed",
    "verification_timeout", "other",
)  # fmt: skip
_OUTCOMES = ("granted", "denied", "success", "failure")  # of the last badge read, and of the last login

WORDS: dict[str, tuple[str, ...]] = {  # of fields that hold nothing else
    "event.kind": KINDS,
    "access.outcome": _OUTCOMES[:2],
    "access.reason": _REASONS,
    "access.taken": ("taken", "not_taken", "unknown"),
    "access.direction": ("in", "out", "unknown"),
    "credential.class": ("card", "mobile", "pin", "temp", "visitor", "account"),
    "credential.state": ("active", "lost", "stolen", "disabled"),
    "door.activity": ("forced", "held", "opened", "closed", "rex", "tamper"),
    "login.outcome": _OUTCOMES[2:],
    "login.reason": (
        "bad_password", "no_such_user", "locked", "disabled", "expired", "mfa_denied", "mfa_timeout",
        "policy", "clock_skew", "other",
    ),
    "login.logon_type": (
        "console", "unlock", "cached", "remote_interactive", "network", "vpn", "web", "service", "batch",
    ),
    "login.mfa": ("none", "push", "otp", "sms", "call", "fido", "certificate"),
    "network.class": tuple(word for word in get_args(NetworkClass) if word),
    "place.passback": tuple(word for word in get_args(Passback) if word),
    "passback.direction": ("in", "out"),
    **{f"travel.{leg}.way": get_args(Way) for leg in ("badge", "card", "login")},
    "identity.type": ("employee", "contractor", "visitor", "service", "shared"),
    "identity.status": ("active", "leave", "notice", "disabled", "terminated"),
    "last_badge.outcome": _OUTCOMES[:2],
    "last_login.outcome": _OUTCOMES[2:3],
}  # fmt: skip

_SHARE = (0.0, 1.0)
_NOT_NEGATIVE = (0.0, inf)
_BY_ENDING = {"_s": _NOT_NEGATIVE, "_km": _NOT_NEGATIVE, "_kmh": _NOT_NEGATIVE, "_24h": (0.0, 6.0)}
_NUMBERS: dict[str, tuple[float, float]] = {
    "place.criticality": (0, 5),
    "place.lat": (-90, 90),
    "place.lon": (-180, 180),
    "time.hour": (0, 23),
    "time.minute": (0, 59),
    "time.weekday": (1, 7),
    "presence.confidence": _SHARE,
    "presence.here": _SHARE,
    "anomaly.percentile": _SHARE,
}
PARTS: dict[str, tuple[float, float]] = {  # of a time
    "minute": (0, 59),
    "hour": (0, 23),
    "day": (1, 31),
    "week": (1, 53),
    "month": (1, 12),
    "year": (1970, 9999),
}


def numbers_of(name: str) -> tuple[float, float] | None:
    """The least and the largest value of the field *name*, both included; None where that is not known."""
    if name in _NUMBERS:
        return _NUMBERS[name]
    if name.startswith("days_since.") or (name.startswith("habit.") and name.endswith("_days")):
        return _NOT_NEGATIVE
    if name.startswith("habit."):
        return _SHARE
    return next((bounds for end, bounds in _BY_ENDING.items() if name.endswith(end)), None)
