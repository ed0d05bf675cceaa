"""Who is known, and who held which badge and account when: identity records, and what each of them changes.

Records are those of the compacted topic `correlator.identities` (`schemas/identity.avsc`, as JSON): the key
is the identity id, a newer record of an identity replaces the older one, an empty value removes it. Every
accepted record becomes one `person` event for the identity's timeline (decision 9). Who held a badge or an
account may change by it for what happened already: the timelines concerned are told by bindings. What a
record says is read by `identity_record`, who holds what two of them claim is up to `holders`.

May not know: topics, clocks. What is known is a function of the newest accepted record of each identity.
"""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

import msgspec

from correlator.event import (
    DAY_MS,
    FOREVER,
    MINUTE_MS,
    NEVER,
    Event,
    Person,
    entity_key,
    event_id,
    make_event,
)
from correlator.frame import Binding
from correlator.intake.holders import Holders, Holding, Key, key_of
from correlator.intake.identity_record import Namespace, UnfitIdentity, decode_identity, person_of
from correlator.intake.places import Site, Sites
from correlator.record import Reject

SOURCE = "identities"  # of person events


class Contest(msgspec.Struct, frozen=True):
    """Of a credential that several claim, or did: what is to be said of it by now, "" when they agree."""

    credential: Key
    message: str


class Told(msgspec.Struct, frozen=True):
    """What one record makes."""

    events: list[tuple[str, Event]] = []  # of kind person, and the timelines they belong to
    bindings: list[Binding] = []  # for each timeline that may hold an event of a credential concerned
    contests: list[Contest] = []  # that began, became others, or are over


class _Learnt(msgspec.Struct, frozen=True):
    person: Person  # as it is; one who is removed holds nothing
    before: Person | None
    held: dict[Key, tuple[tuple[Holding, ...], str]]  # of each credential of both, before: holders, contest


class People:
    """The newest accepted record of each identity, and from them the holders of each credential."""

    def __init__(self, sites: Sites) -> None:
        self._sites = sites
        self._persons: dict[str, Person] = {}
        self._holders = Holders()
        self._refused: set[str] = set()

    def __len__(self) -> int:
        return len(self._persons)

    @property
    def refused(self) -> int:
        """How many identities there are whose newest record was refused. The older one holds until compaction
        drops it and a process begins anew."""
        return len(self._refused)

    @property
    def contested(self) -> int:
        """How many badges and accounts several claim for one time."""
        return self._holders.contested

    def person(self, identity_id: str) -> Person | None:
        """The newest version of the identity."""
        return self._persons.get(identity_id)

    def home(self, identity_id: str) -> Site | None:
        person = self._persons.get(identity_id)
        return self._sites.site(person.home_site) if person is not None else None

    def resolve(self, credential_class: str, credential: str, time_ms: int) -> str:
        """Id of the identity that held *credential* (canonical form) at *time_ms*, "" if nobody did."""
        space: Namespace = "account" if credential_class == "account" else "badge"
        return self._holders.resolve(space, credential, time_ms)

    def apply(
        self,
        offset: int,
        key: str,
        value: bytes | None,
        arrival_ms: int,
        *,
        horizon_ms: int = DAY_MS,
    ) -> Told | Reject:
        """Learn one record of the identities topic.

        A record is refused whole, and then changes nothing: bytes that are no identity, an id that is not the
        key, a site that does not exist. What somebody else claims too is no reason: `holders` decides. A
        record that is older than what is known changes nothing and tells nothing.
        """
        learnt = self.learn(offset, key, value)
        if isinstance(learnt, Reject):
            return learnt
        if learnt is None:
            return Told()
        return Told(
            [_told(learnt.person, learnt.before, arrival_ms, horizon_ms)],
            self._bindings(learnt, arrival_ms - horizon_ms),
            self._contests(learnt),
        )

    def learn(self, offset: int, key: str, value: bytes | None) -> _Learnt | Reject | None:
        """`apply` without what it tells."""
        before = self._persons.get(key)
        if before is not None and offset <= before.version:
            return None
        person = self._read(offset, key, value) if value else _removed(before, offset)
        if isinstance(person, Reject):
            self._refused.add(key)
            return person
        self._refused.discard(key)
        if person is None:
            return None
        credentials = before.credentials if before is not None else ()
        keys = [key_of(credential) for credential in (*credentials, *person.credentials)]
        held = {key: (self._holders.of(key), self._holders.contest(key)) for key in keys}
        self._holders.replace(key, credentials, person.credentials)
        if value:
            self._persons[key] = person
        else:
            del self._persons[key]
        return _Learnt(person, before, held)

    def _bindings(self, learnt: _Learnt, since_ms: int) -> list[Binding]:
        """For who held a credential of which something else is known now since *since_ms*, and who does, and
        for the unresolved one of it. One who is new, with a credential that was nobody's, was told nothing.
        """
        bindings = []
        for key, (old, _) in sorted(learnt.held.items()):
            new, name = self._holders.of(key), ":".join(key)
            before, after = _since(old, since_ms), _since(new, since_ms)
            if before == after:
                continue
            is_first = learnt.before is None and not old
            holders = set() if is_first else {identity for _, _, identity in (*before, *after)}
            entities = [*(entity_key("identity", who) for who in sorted(holders)), f"unresolved:{name}"]
            bindings += [Binding(entity, name, learnt.person.version, new) for entity in entities]
        return bindings

    def _contests(self, learnt: _Learnt) -> list[Contest]:
        now = {key: (self._holders.contest(key), before) for key, (_, before) in sorted(learnt.held.items())}
        return [Contest(key, message) for key, (message, before) in now.items() if message != before]

    def _read(self, offset: int, key: str, value: bytes) -> Person | Reject:
        try:
            found = decode_identity(value)
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
            return person_of(found, offset, zone)
        except UnfitIdentity as error:
            return _refuse("bad_identity", f"identity {key!r}: {error}")


def _removed(before: Person | None, offset: int) -> Person | None:
    """A removed identity resolves no more, not even late events; its timeline learns of it."""
    if before is None:
        return None
    return msgspec.structs.replace(before, version=offset, department="", credentials=(), is_removed=True)


def _since(holdings: Iterable[Holding], since_ms: int) -> list[Holding]:
    return [(max(from_ms, since_ms), to_ms, who) for from_ms, to_ms, who in holdings if to_ms > since_ms]


def _refuse(reason: str, message: str) -> Reject:
    return Reject("resolve", reason, message)


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
