"""Who held which badge and account when: identity records folded, and credentials resolved as of event time.

Records are those of the compacted topic `correlator.identities` (`schemas/identity.avsc`, as JSON): the key
is the identity id, a newer record of an identity replaces the older one, an empty value removes it. Every
accepted record becomes one `person` event for the identity's timeline (decision 9). Who held a badge or an
account may change by it for what happened already: the timelines concerned are told by bindings.

Dates hold in the zone of the home site, from their start; a termination holds from the end of its day. Names
of accounts compare without regard to case and are kept in lower case.

May not know: topics, clocks. Deterministic: the same records in the same order give the same answers.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from correlator.event import (
    DAY_MS,
    FOREVER,
    MINUTE_MS,
    NEVER,
    SECOND_MS,
    Credential,
    Event,
    Person,
    entity_key,
    event_id,
    make_event,
)
from correlator.frame import Binding
from correlator.intake.places import Site, Sites
from correlator.record import Reject

SOURCE = "identities"  # of person events

Namespace = Literal["badge", "account"]
IdentityType = Literal["employee", "contractor", "visitor", "service", "shared"]


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


class _Identity(msgspec.Struct):
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


_decode = msgspec.json.Decoder(_Identity).decode
_Changed = tuple[Person, Person | None]  # as it is, as it was
_Holding = tuple[int, int, str]  # from, to, identity: of one credential, by time, never overlapping
_Key = tuple[Namespace, str]  # of a credential
_Rebound = tuple[
    dict[_Key, tuple[_Holding, ...]], int, bool
]  # who held what, version, is it somebody's first


def namespace(credential_class: str) -> Namespace:
    """Badges of every class share one namespace: a reader does not say which class was read."""
    return "account" if credential_class == "account" else "badge"


def canonical(space: Namespace, credential: str) -> str:
    """*credential* as it is compared and kept."""
    return credential.strip().lower() if space == "account" else credential.strip()


class People:
    """The newest accepted record of each identity, and from them the holders of each credential."""

    def __init__(self, sites: Sites) -> None:
        self._sites = sites
        self._persons: dict[str, Person] = {}
        self._waiting: dict[str, Person] = {}  # refused for a credential that somebody else holds
        self._holders: dict[Namespace, dict[str, list[_Holding]]] = {"badge": {}, "account": {}}
        self._rebound: list[_Rebound] = []  # of the record that was learnt last
        self._bindings: list[Binding] = []  # that nobody has taken yet

    def __len__(self) -> int:
        return len(self._persons)

    def person(self, identity_id: str) -> Person | None:
        """The newest version of the identity."""
        return self._persons.get(identity_id)

    def home(self, identity_id: str) -> Site | None:
        person = self._persons.get(identity_id)
        return self._sites.site(person.home_site) if person is not None else None

    def resolve(self, credential_class: str, credential: str, time_ms: int) -> str:
        """Id of the identity that held *credential* (canonical form) at *time_ms*, "" if nobody did."""
        space: Namespace = "account" if credential_class == "account" else "badge"
        holdings = self._holders[space].get(credential)
        if holdings is None:
            return ""
        if len(holdings) == 1:
            from_ms, to_ms, identity = holdings[0]
        else:
            at = bisect_right(holdings, time_ms, key=_from) - 1
            if at < 0:
                return ""
            from_ms, to_ms, identity = holdings[at]
        return identity if from_ms <= time_ms < to_ms else ""

    def apply(
        self,
        offset: int,
        key: str,
        value: bytes | None,
        arrival_ms: int,
        *,
        horizon_ms: int = DAY_MS,
    ) -> list[tuple[str, Event]] | Reject:
        """Learn one record of the identities topic. Returns person events and the timelines they belong to.

        A record is refused whole, and then changes nothing: bytes that are no identity, an id that is not the
        key, a site that does not exist, a credential that somebody else holds at that time. The last kind is
        kept, and accepted as soon as nobody does: whoever publishes need not care who comes first. A record
        that is older than what is known changes nothing and returns nothing.
        """
        changed = self.learn(offset, key, value)
        if isinstance(changed, Reject):
            return changed
        for was, version, is_first in self._rebound:
            self._bind(was, version, arrival_ms - horizon_ms, is_first=is_first)
        return [_told(person, before, arrival_ms, horizon_ms) for person, before in changed]

    def learn(self, offset: int, key: str, value: bytes | None) -> list[_Changed] | Reject:
        """`apply` without its events: who changed, from what."""
        self._rebound.clear()
        before = self._persons.get(key)
        if before is not None and offset <= before.version:
            return []
        self._waiting.pop(key, None)
        if value:
            person = self._read(offset, key, value)
            if isinstance(person, Reject):
                return person
            clash = self._clash(person)
            if clash is not None:
                self._waiting[key] = person
                return clash
            changed = [self._accept(person, offset)]
        else:
            changed = self._remove(offset, key)
        for person in sorted(self._waiting.values(), key=_version):
            if self._clash(person) is None:
                del self._waiting[person.identity_id]
                changed.append(self._accept(person, offset))
        return changed

    def take_bindings(self) -> list[Binding]:
        """Credentials whose holders `apply` has changed since this was last asked, for each timeline that may
        hold an event of theirs: of those who held them, of those who do, and the unresolved one.
        """
        taken, self._bindings = self._bindings, []
        return taken

    def _accept(self, person: Person, offset: int) -> _Changed:
        before = self._persons.get(person.identity_id)
        was = self._holdings(before, person)
        self._let_go(before)
        self._persons[person.identity_id] = person
        for credential in person.credentials:
            space = namespace(credential.credential_class)
            holdings = self._holders[space].setdefault(credential.id, [])
            insort(holdings, (credential.from_ms, credential.to_ms, person.identity_id))
        self._rebound.append((was, offset, before is None))
        return person, before

    def _remove(self, offset: int, key: str) -> list[_Changed]:
        """A removed identity resolves no more, not even late events; its timeline learns of it."""
        before = self._persons.pop(key, None)
        if before is None:
            return []
        was = self._holdings(before)
        self._let_go(before)
        self._rebound.append((was, offset, False))
        gone = msgspec.structs.replace(before, version=offset, department="", credentials=())
        return [(gone, before)]

    def _let_go(self, before: Person | None) -> None:
        if before is None:
            return
        for credential in before.credentials:
            held = self._holders[namespace(credential.credential_class)]
            rest = [holding for holding in held.get(credential.id, ()) if holding[2] != before.identity_id]
            if rest:
                held[credential.id] = rest
            else:
                held.pop(credential.id, None)

    def _holdings(self, *persons: Person | None) -> dict[_Key, tuple[_Holding, ...]]:
        """Who holds what any of *persons* has."""
        keys = [
            (namespace(held.credential_class), held.id)
            for person in persons
            if person is not None
            for held in person.credentials
        ]
        return {(space, held): tuple(self._holders[space].get(held, ())) for space, held in keys}

    def _bind(
        self, was: dict[_Key, tuple[_Holding, ...]], version: int, since_ms: int, *, is_first: bool = False
    ) -> None:
        """Note credentials of which something else is known now, of the time since *since_ms*. *is_first*: of
        somebody whose timeline was told nothing before.
        """
        for (space, held), old in sorted(was.items()):
            new = tuple(self._holders[space].get(held, ()))
            if _since(old, since_ms) == _since(new, since_ms):
                continue
            holders = {identity for _, _, identity in (*old, *new)} if old or not is_first else set()
            entities = [entity_key("identity", identity) for identity in sorted(holders)]
            for entity in (*entities, f"unresolved:{space}:{held}"):
                self._bindings.append(Binding(entity, f"{space}:{held}", version, new))

    def _clash(self, person: Person) -> Reject | None:
        """Why *person* cannot hold what the record says, if somebody else does."""
        for held in person.credentials:
            space = namespace(held.credential_class)
            for from_ms, to_ms, identity in self._holders[space].get(held.id, ()):
                if identity == person.identity_id or held.from_ms >= to_ms or from_ms >= held.to_ms:
                    continue
                message = (
                    f"{space} {held.id!r} of {person.identity_id!r} {_span(held.from_ms, held.to_ms)}: "
                    f"{identity!r} holds it {_span(from_ms, to_ms)}; one has to end before the other begins"
                )
                return _refuse("credential_taken", message)
        return None

    def _read(self, offset: int, key: str, value: bytes) -> Person | Reject:
        try:
            found = _decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _refuse("bad_identity", f"identity {key!r}: {error}")
        if found.identity_id != key or not key:
            return _refuse(
                "key_differs", f"the record of {found.identity_id!r} has the key {key!r}: they are equal"
            )
        home = found.home_site or ""
        site = self._sites.site(home)
        if home and site is None:
            return _refuse("unknown_site", f"identity {key!r}: home_site {home!r} is not in the sites file")
        zone = ZoneInfo(site.time_zone) if site is not None else None
        try:
            return _person(found, offset, zone)
        except _Unfit as error:
            return _refuse("bad_identity", f"identity {key!r}: {error}")


class _Unfit(Exception):
    """Says which field of an identity cannot be."""


def _from(holding: _Holding) -> int:
    return holding[0]


def _since(holdings: Iterable[_Holding], since_ms: int) -> list[_Holding]:
    return [(max(from_ms, since_ms), to_ms, who) for from_ms, to_ms, who in holdings if to_ms > since_ms]


def _version(person: Person) -> int:
    return person.version


def _refuse(reason: str, message: str) -> Reject:
    return Reject("resolve", reason, message)


def _person(found: _Identity, offset: int, zone: ZoneInfo | None) -> Person:
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
        None if found.hired is None else _instant(found.hired, zone, "hired"),
        _schedule([(status.since, status.status) for status in found.statuses], zone),
        tuple(credentials),
        found.host or "",
    )


def _check_holdings(credentials: list[Credential]) -> None:
    """Refuse a credential without a name, and one that the person holds twice at the same time."""
    held = sorted(credentials, key=lambda c: (namespace(c.credential_class), c.id, c.from_ms))
    for one, other in pairwise(held):
        is_same = one.id == other.id and namespace(one.credential_class) == namespace(other.credential_class)
        if is_same and other.from_ms < one.to_ms:
            raise _Unfit(f"{one.credential_class} {one.id!r} is held twice at the same time")
    if not all(credential.id for credential in credentials):
        raise _Unfit("a badge or account has no name")


def _schedule(rows: Iterable[tuple[str, str]], zone: ZoneInfo | None) -> tuple[tuple[int, str], ...]:
    return tuple(sorted((_instant(since, zone, name), name) for since, name in rows))


def _interval(since: str | None, until: str | None, zone: ZoneInfo | None, what: str) -> tuple[int, int]:
    from_ms = NEVER if since is None else _instant(since, zone, f"valid_from of {what}")
    to_ms = FOREVER if until is None else _instant(until, zone, f"valid_to of {what}")
    if to_ms <= from_ms:
        raise _Unfit(f"{what} ends ({until}) before it begins ({since})")
    return from_ms, to_ms


def _instant(text: str, zone: ZoneInfo | None, what: str) -> int:
    """A date or an instant with offset, in ms since the epoch. The date of *what* `terminated` is its end."""
    try:
        return _instant_ms(text, zone, is_end=what == "terminated")
    except _Unfit as error:
        raise _Unfit(f"{what}: {error}") from None


@lru_cache(4_096)  # everybody was hired on one of few days
def _instant_ms(text: str, zone: ZoneInfo | None, *, is_end: bool) -> int:
    try:
        if len(text) == 10:
            day = date.fromisoformat(text) + timedelta(days=is_end)
            moment = datetime(day.year, day.month, day.day, tzinfo=zone or UTC)
        else:
            moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise _Unfit(f"{text!r} has no offset: write 2026-01-09T08:30:00Z")
        return round(moment.timestamp() * SECOND_MS)
    except (ValueError, OverflowError):
        message = f"{text!r} is no date such as 2026-01-09 or instant such as 2026-01-09T08:30:00Z"
        raise _Unfit(message) from None


def _span(from_ms: int, to_ms: int) -> str:
    return f"from {_said(from_ms)} to {_said(to_ms)}"


def _said(time_ms: int) -> str:
    if time_ms in {NEVER, FOREVER}:
        return "ever" if time_ms == NEVER else "further notice"
    return (
        datetime.fromtimestamp(time_ms / SECOND_MS, UTC).isoformat(timespec="minutes").replace("+00:00", "Z")
    )


# ----------------------------------------------------------------- person events


def _told(person: Person, before: Person | None, arrival_ms: int, horizon_ms: int) -> tuple[str, Event]:
    """The event of a version: as early as its schedule matters, not in the future, not beyond the horizon."""
    time_ms = max(arrival_ms - horizon_ms + MINUTE_MS, min(arrival_ms, differs_from_ms(before, person)))
    native = f"{person.identity_id}:{person.version}"
    event = make_event(
        time_ms,
        event_id(SOURCE, native),
        "person",
        source=SOURCE,
        feed=SOURCE,
        identity_id=person.identity_id,
        person=person,
    )
    return entity_key("identity", person.identity_id), event


def differs_from_ms(before: Person | None, after: Person) -> int:
    """Earliest instant at which the two schedules say something different; FOREVER where there is none."""
    if before is None:
        return NEVER
    instants = {NEVER} | _instants(before) | _instants(after)
    return min((at_ms for at_ms in instants if _says(before, at_ms) != _says(after, at_ms)), default=FOREVER)


def _instants(person: Person) -> set[int]:
    """Where what the schedule says may change."""
    found = {since_ms for since_ms, _ in person.statuses}
    for held in person.credentials:
        found |= {held.from_ms, held.to_ms, *(since_ms for since_ms, _ in held.states)}
    return found


def _says(person: Person, at_ms: int) -> tuple[str, set[tuple[str, str, str]]]:
    """Status, and (class, id, state) of what the person holds, at one instant."""
    held = {
        (credential.credential_class, credential.id, _as_of(credential.states, at_ms))
        for credential in person.credentials
        if credential.from_ms <= at_ms < credential.to_ms
    }
    return _as_of(person.statuses, at_ms), held


def _as_of(schedule: tuple[tuple[int, str], ...], at_ms: int) -> str:
    return next((name for since_ms, name in reversed(schedule) if since_ms <= at_ms), "active")
