"""The canonical fields that a feed file may fill, as one table: name, attribute of `Mapped`, kinds, check.

Names are those of the rules' field reference wherever a rule can see the field. A check is total but for
`Unfit`: it gives the value in canonical form, or None when the source does not say. It is the last word on
what is possible: no text that cannot be a key, no number out of range, no word outside the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import msgspec

from correlator.address import plain_address
from correlator.event import Kind
from correlator.intake import words
from correlator.intake.instants import Unfit

REASONS = frozenset({"missing_field", "time_out_of_range", "bad_text", "too_long", "bad_ip", "out_of_range"})

TIME_MIN_MS = 946_684_800_000  # 2000-01-01: earlier is a clock that was never set
TIME_MAX_MS = 4_102_444_800_000  # 2100-01-01
TEXT_MAX = 256  # characters of a name or number that things are looked up by

Check = Callable[[object], object]


class Canonical(msgspec.Struct, frozen=True):
    """A row of the table. *words*: all values there are, () for any."""

    attribute: str  # of Mapped
    kinds: tuple[Kind, ...]
    check: Check
    doc: str
    words: tuple[str, ...] = ()


def check_text(value: object) -> str | None:
    """A name or number that things are looked up by: printable, without spaces at its ends, not long."""
    if not isinstance(value, str):
        return _digits(value)
    if len(value) > TEXT_MAX:
        raise Unfit("too_long", f"{len(value)} characters, at most {TEXT_MAX}")
    text = value.strip()
    if not text.isprintable():
        raise Unfit("bad_text", f"{text[:40]!r} contains characters that cannot be printed")
    return text or None


def _digits(value: object) -> str:
    """Badge numbers are often written as numbers."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63:
        return str(value)
    raise Unfit("wrong_type", f"a {type(value).__name__}, expected a text")


def check_time(value: object) -> int:
    """ms since the epoch between 2000 and 2100."""
    assert isinstance(value, int), "a converter of times gives ms"
    if not TIME_MIN_MS <= value < TIME_MAX_MS:
        raise Unfit(
            "time_out_of_range", f"{value} ms since 1970 is not between 2000 and 2100: unit or clock?"
        )
    return value


def _label(value: object) -> str | None:
    """What people read and nothing is looked up by: cut and cleaned rather than refused."""
    text = value[: 4 * TEXT_MAX] if isinstance(value, str) else _digits(value)
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return text.strip()[:TEXT_MAX] or None


def _word(vocabulary: tuple[str, ...]) -> Check:
    known = {word: word for word in vocabulary}  # gives our own object: equal words share memory

    def check(value: object) -> str:
        found = known.get(value) if isinstance(value, str) else None
        if found is None:
            raise Unfit("unknown_value", f"{str(value)[:40]!r} is none of: {', '.join(vocabulary)}")
        return found

    return check


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise Unfit("wrong_type", f"a {type(value).__name__}, expected true or false (converter bool)")
    return value


def _number(low: float, high: float) -> Check:
    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unfit("wrong_type", f"a {type(value).__name__}, expected a number (converter float)")
        if not low <= value <= high:  # also refuses what is not a number
            raise Unfit("out_of_range", f"{str(value)[:40]} is not between {low:g} and {high:g}")
        return float(value)

    return check


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unfit("wrong_type", f"a {type(value).__name__}, expected a whole number (converter int)")
    if not 0 <= value < 1 << 63:
        raise Unfit("out_of_range", f"{str(value)[:40]} is not a counter")
    return value


def _country(value: object) -> str | None:
    text = check_text(value)
    if text is None:
        return None
    if len(text) != 2 or not text.isascii() or not text.isalpha():
        raise Unfit("unknown_value", f"{text[:40]!r} is no ISO 3166-1 code of two letters")
    return text.upper()


def _ip(value: object) -> str | None:
    if not isinstance(value, str):
        raise Unfit("wrong_type", f"a {type(value).__name__}, expected an address as text")
    return _ip_of(value) if len(value) < 64 else _bad_ip(value)


@lru_cache(maxsize=65_536)
def _ip_of(text: str) -> str | None:
    """Shortest form of an address, without zone, IPv4 where IPv6 wraps it. Windows writes `-` for none."""
    stripped = text.strip()
    if stripped in {"", "-"}:
        return None
    try:
        return str(plain_address(stripped.partition("%")[0]))
    except ValueError:
        return _bad_ip(text)


def _bad_ip(text: str) -> str | None:
    raise Unfit("bad_ip", f"{text[:60]!r} is no IPv4 or IPv6 address")


_ACCESS: tuple[Kind, ...] = ("access",)
_LOGIN: tuple[Kind, ...] = ("login",)
_DOOR: tuple[Kind, ...] = ("door",)
_BADGE: tuple[Kind, ...] = ("access", "door")
_USED: tuple[Kind, ...] = ("access", "login")
_ALL: tuple[Kind, ...] = ("access", "door", "login")


def _of_words(attribute: str, kinds: tuple[Kind, ...], vocabulary: tuple[str, ...], doc: str) -> Canonical:
    return Canonical(attribute, kinds, _word(vocabulary), doc, vocabulary)


CANONICAL: dict[str, Canonical] = {
    "credential.id": Canonical(
        "credential", _USED, check_text, "Badge number or account name, as it is said."
    ),
    "credential.class": _of_words(
        "credential_class", _ACCESS, words.CREDENTIAL_CLASSES[:-1], "What was presented; card unless said."
    ),
    "place.site": Canonical("site", _ALL, check_text, "Site, where the source names one."),
    "place.door": Canonical("door", _BADGE, check_text, "Door, as named in the sites file."),
    "place.reader": Canonical("reader", _BADGE, check_text, "Reader, as named in the sites file."),
    "place.lat": Canonical("lat", _LOGIN, _number(-90, 90), "Degrees, WGS 84, as the source locates it."),
    "place.lon": Canonical("lon", _LOGIN, _number(-180, 180), "Degrees, WGS 84, as the source locates it."),
    "place.radius_km": Canonical("radius_km", _LOGIN, _number(0, 20_000), "How far off that may be."),
    "place.country": Canonical("country", _LOGIN, _country, "ISO 3166-1 alpha-2."),
    "access.outcome": _of_words("outcome", _ACCESS, words.OUTCOMES, "Granted is not entered."),
    "access.reason": _of_words(
        "reason", _ACCESS, words.REASONS, "Lower-cased BACnet reason (converter bacnet)."
    ),
    "access.reason_native": Canonical("reason_native", _BADGE, _label, "What the source calls the reason."),
    "access.taken": _of_words("taken", _ACCESS, words.TAKEN, "Was the door opened after the grant?"),
    "access.direction": _of_words("direction", _ACCESS, words.DIRECTIONS, "Way through the door."),
    "access.duress": Canonical("duress", _ACCESS, _flag, "A duress code was used."),
    "door.activity": _of_words("activity", _DOOR, words.DOOR_ACTIVITIES, "What the door did."),
    "login.outcome": _of_words("outcome", _LOGIN, words.LOGIN_OUTCOMES, "Was it allowed?"),
    "login.reason": _of_words("reason", _LOGIN, words.LOGIN_REASONS, "Why it failed."),
    "login.reason_native": Canonical("reason_native", _LOGIN, _label, "What the source calls the reason."),
    "login.logon_type": _of_words("logon_type", _LOGIN, words.LOGON_TYPES, "How the account was used."),
    "login.is_interactive": Canonical(
        "is_interactive", _LOGIN, _flag, "A person was there. Not said: concluded from login.logon_type."
    ),
    "login.mfa": _of_words("mfa", _LOGIN, words.MFA, "Second factor."),
    "login.application": Canonical("application", _LOGIN, _label, "What was logged in to."),
    "source.ip": Canonical("ip", _LOGIN, _ip, "Address that the login came from."),
    "device.id": Canonical("device", _LOGIN, check_text, "Device that was used."),
    "device.host": Canonical("host", _LOGIN, check_text, "Host logged on to, as named in the sites file."),
    "session.id": Canonical("session", _LOGIN, check_text, "Session as the source names it."),
    "event.sequence": Canonical("sequence", _ALL, _count, "The source's own counter."),
}

REQUIRED: dict[Kind, tuple[tuple[str, ...], ...]] = {  # of each group one field
    "access": (("credential.id",), ("place.reader",), ("access.outcome",)),
    "door": (("place.door", "place.reader"), ("door.activity",)),
    "login": (("credential.id",), ("login.outcome",)),
}
