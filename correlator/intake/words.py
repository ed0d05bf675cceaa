"""The words that canonical fields may hold, and BACnet's integers for them.

BACnet access events say outcome and reason in one integer; ONVIF says reasons in words. A device reports one
reason even if several apply, and a proprietary or unknown one counts as `other`.
"""

from __future__ import annotations

OUTCOMES = ("granted", "denied")
TAKEN = ("taken", "not_taken", "unknown")
DIRECTIONS = ("in", "out", "unknown")
CREDENTIAL_CLASSES = ("card", "mobile", "pin", "temp", "visitor", "account")
DOOR_ACTIVITIES = ("forced", "held", "opened", "closed", "rex", "tamper")
LOGIN_OUTCOMES = ("success", "failure")
LOGIN_REASONS = (
    "bad_password",
    "no_such_user",
    "locked",
    "disabled",
    "expired",
    "mfa_denied",
    "mfa_timeout",
    "policy",
    "clock_skew",
    "other",
)
LOGON_TYPES = (
    "console",
    "unlock",
    "cached",
    "remote_interactive",
    "network",
    "vpn",
    "web",
    "service",
    "batch",
)
INTERACTIVE_LOGON_TYPES = frozenset({"console", "unlock", "cached", "remote_interactive", "vpn", "web"})
MFA = ("none", "push", "otp", "sms", "call", "fido", "certificate")

BACNET: dict[int, str] = {
    1: "granted",
    2: "muster",
    3: "passback_detected",
    4: "duress",
    5: "trace",
    6: "lockout_max_attempts",
    12: "accompaniment_by",
    13: "factor_read",
    14: "authorization_delayed",
    15: "verification_required",
    129: "unknown_credential",
    130: "authentication_unavailable",
    131: "factor_timeout",
    132: "incorrect_factor",
    133: "zone_no_access_rights",
    134: "point_no_access_rights",
    135: "no_access_rights",
    136: "out_of_time_range",
    137: "threat_level",
    138: "passback",
    139: "unexpected_location_usage",
    140: "max_attempts",
    141: "lower_occupancy_limit",
    142: "upper_occupancy_limit",
    143: "lost",
    144: "stolen",
    145: "damaged",
    146: "destroyed",
    147: "factor_disabled",
    148: "factor_error",
    149: "unassigned",
    150: "not_provisioned",
    151: "not_yet_active",
    152: "expired",
    153: "manual_disable",
    154: "lockout",
    155: "max_days",
    156: "max_uses",
    157: "inactivity",
    158: "disabled",
    159: "no_accompaniment",
    160: "incorrect_accompaniment",
    161: "lockout",
    162: "verification_failed",
    163: "verification_timeout",
    164: "other",
}
BACNET_MAX = 65_535  # 512 and up are proprietary
_GRANTING = frozenset({1, 2, 3, 4, 12})  # the others below 128 are states of the reader, not a decision

REASONS = tuple(dict.fromkeys(name for name in BACNET.values() if name != "granted"))

_ONVIF = {
    "credentialnotenabled": "disabled",
    "credentialnotactive": "not_yet_active",
    "notactive": "not_yet_active",
    "credentialexpired": "expired",
    "invalidpin": "incorrect_factor",
    "notpermittedatthistime": "out_of_time_range",
    "unauthorized": "no_access_rights",
}
_NAMES = {name.replace("_", ""): name for name in BACNET.values()} | _ONVIF


def reason_of_code(code: int) -> str | None:
    """BACnet's *code* as a word: "" for a plain grant, `other` without a word, None if it is no code."""
    if not 0 <= code <= BACNET_MAX:
        return None
    name = BACNET.get(code, "other" if code else "")
    return "" if name == "granted" else name


def reason_of_name(text: str) -> str:
    """BACnet's or ONVIF's name of a reason, in any case, with any separators. Unknown names are `other`."""
    squashed = "".join(filter(str.isalnum, text.lower())).removeprefix("denied")
    name = _NAMES.get(squashed, "other" if squashed else "")
    return "" if name == "granted" else name


def outcome_of_code(code: int) -> str | None:
    """granted, denied or None where BACnet's *code* decides nothing."""
    if code in _GRANTING:
        return "granted"
    return "denied" if 128 <= code < 512 else None
