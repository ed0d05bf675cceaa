"""A record of the identities topic as JSON (`schemas/identity.avsc`), and the version of a person it says.

Dates hold in the zone of the home site, from their start; a termination holds from the end of its day. Names
of accounts compare without regard to case and are kept in lower case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from correlator.event import FOREVER, NEVER, SECOND_MS, Credential, Person
from correlator.intake.document import nearest

Namespace = Literal["badge", "account"]
IdentityType = Literal["employee", "contractor", "visitor", "service", "shared"]


def namespace(credential_class: str) -> Namespace:
    """Badges of every class share one namespace: a reader does not say which class was read."""
    return "account" if credential_class == "account" else "badge"


def canonical(space: Namespace, credential: str) -> str:
    """*credential* as it is compared and kept."""
    return credential.strip().lower() if space == "account" else credential.strip()


class _Status(msgspec.Struct):
    status: Literal["active", "leave", "notice", "disabled", "terminated"]
    since: str = msgspec.field(name="from")


class _State(msgspec.Struct):
    state: Literal["active", "lost", "stolen", "disabled"]
    since: str = msgspec.field(name="from")


class _Badge(msgspec.Struct):
    id: str
    badge_class: Literal["card", "mobile", "pin", "temp", "visitor"] = msgspec.field(
        name="class", default="card"
    )
    valid_from: str | None = None
    valid_to: str | None = None
    states: list[_State] = []


class _Account(msgspec.Struct):
    name: str
    valid_from: str | None = None
    valid_to: str | None = None


class IdentityRecord(msgspec.Struct):
    """The record as JSON. Fields that are not here are ignored: HR systems send more than we need."""

    identity_id: str
    type: IdentityType = "employee"
    department: str | None = None
    home_site: str | None = None
    hired: str | None = None
    statuses: list[_Status] = []
    badges: list[_Badge] = []
    accounts: list[_Account] = []
    host: str | None = None  # identity id of whoever answers for a visitor


_OPEN = {1: NEVER, 9999: FOREVER}
decode_identity = msgspec.json.Decoder(IdentityRecord).decode

_ROWS: dict[str, type[msgspec.Struct]] = {"statuses": _Status, "badges": _Badge, "accounts": _Account}


def misspelt(raw: bytes) -> Iterator[tuple[str, str]]:
    """(key, message) of each key of a record and its rows that is ignored and nearly one that is read."""
    try:
        record = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):  # somewhere in what is ignored
        return
    yield from _slips(record, IdentityRecord)
    for name, row_type in _ROWS.items():
        for row in record.get(name) or ():
            yield from _slips(row, row_type)


def _slips(record: Mapping[str, object], of: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    return ((key, said) for key in record if (said := _slip(key, of)))


@lru_cache(1_000)
def _slip(key: str, of: type[msgspec.Struct]) -> str:
    """What is wrong with a *key* of *of*, or nothing."""
    known = [field.encode_name for field in msgspec.structs.fields(of)]
    near = "" if key in known else nearest(key, known)
    return f"{key!r} is ignored{near}" if near else ""


class UnfitIdentity(Exception):
    """Says which field of an identity cannot be."""


def person_of(found: IdentityRecord, offset: int, zone: ZoneInfo | None) -> Person:
    credentials = [
        Credential(
            canonical("badge", badge.id),
            badge.badge_class,
            *_interval(badge.valid_from, badge.valid_to, zone, f"badge {badge.id!r}"),
            _schedule([(state.since, state.state) for state in badge.states], zone),
        )
        for badge in found.badges
    ]
    credentials += [
        Credential(
            canonical("account", account.name),
            "account",
            *_interval(account.valid_from, account.valid_to, zone, f"account {account.name!r}"),
        )
        for account in found.accounts
    ]
    _check_holdings(credentials)
    return Person(
        found.identity_id,
        offset,
        found.type,
        found.department or "",
        found.home_site or "",
        _hired(found.hired, zone),
        _schedule([(status.since, status.status) for status in found.statuses], zone),
        tuple(credentials),
        found.host or "",
    )


def _hired(text: str | None, zone: ZoneInfo | None) -> int | None:
    at_ms = NEVER if text is None else _instant(text, zone, "hired")
    return None if at_ms == NEVER else at_ms


def _check_holdings(credentials: list[Credential]) -> None:
    """Refuse a credential without a name, and one that the person holds twice at the same time."""
    held = sorted(credentials, key=lambda c: (namespace(c.credential_class), c.id, c.from_ms))
    for one, other in pairwise(held):
        is_same = one.id == other.id and namespace(one.credential_class) == namespace(other.credential_class)
        if is_same and other.from_ms < one.to_ms:
            raise UnfitIdentity(f"{one.credential_class} {one.id!r} is held twice at the same time")
    if not all(credential.id for credential in credentials):
        raise UnfitIdentity("a badge or account has no name")


def _schedule(rows: Iterable[tuple[str, str]], zone: ZoneInfo | None) -> tuple[tuple[int, str], ...]:
    """Of two that begin at one instant the second holds: never the end of what was before."""
    found = [(_instant(since, zone, name), name) for since, name in rows]
    return tuple(sorted(found, key=lambda row: (row[0], row[1] != "terminated", row[1])))


def _interval(since: str | None, until: str | None, zone: ZoneInfo | None, what: str) -> tuple[int, int]:
    from_ms = NEVER if since is None else _instant(since, zone, f"valid_from of {what}")
    from_ms = min(from_ms, FOREVER - 1)  # never: it has no other end
    to_ms = FOREVER if until is None else _instant(until, zone, f"valid_to of {what}")
    if to_ms <= from_ms:
        raise UnfitIdentity(f"{what} ends ({until}) before it begins ({since})")
    return from_ms, to_ms


def _instant(text: str, zone: ZoneInfo | None, what: str) -> int:
    """A date or an instant with offset, in ms since the epoch. The date of *what* `terminated` is its end.

    The first and the last year there is are what other systems write for always and until further notice.
    """
    try:
        return _instant_ms(text, zone, is_end=what == "terminated")
    except UnfitIdentity as error:
        raise UnfitIdentity(f"{what}: {error}") from None


@lru_cache(4_096)  # everybody was hired on one of few days
def _instant_ms(text: str, zone: ZoneInfo | None, *, is_end: bool) -> int:
    try:
        if len(text) == 10:
            day = date.fromisoformat(text)
            moment = datetime(day.year, day.month, day.day, tzinfo=zone or UTC)
        else:
            moment = datetime.fromisoformat(text)
        if moment.year in _OPEN:
            return _OPEN[moment.year]
        if len(text) == 10 and is_end:
            moment += timedelta(days=1)
        if moment.tzinfo is None:
            raise UnfitIdentity(f"{text!r} has no offset: write 2026-01-09T08:30:00Z")
        return round(moment.timestamp() * SECOND_MS)
    except (ValueError, OverflowError):
        message = f"{text!r} is no date such as 2026-01-09 or instant such as 2026-01-09T08:30:00Z"
        raise UnfitIdentity(message) from None
