"""Who held which badge and account when: identity records folded, and credentials resolved as of event time.

Records are those of the compacted topic `correlator.identities` (`schemas/identity.avsc`, as JSON): the key
is the identity id, a newer record of an identity replaces the older one, an empty value removes it. Every
accepted record becomes one `person` event for the identity's timeline (decision 9). Who held a badge or an
account may change by it for what happened already: the timelines concerned are told by bindings. What a
record says is read by `identity_record`.

May not know: topics, clocks. Deterministic: the same records in the same order give the same answers.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from correlator.event import (
    DAY_MS,
    FOREVER,
    MINUTE_MS,
    NEVER,
    SECOND_MS,
    Event,
    Person,
    entity_key,
    event_id,
    make_event,
)
from correlator.frame import Binding
from correlator.intake.identity_record import (
    Namespace,
    Unfit,
    decode_identity,
    namespace,
    person_of,
)
from correlator.intake.places import Site, Sites
from correlator.record import Reject

SOURCE = "identities"  # of person events


_Changed = tuple[Person, Person | None]  # as it is, as it was
_Holding = tuple[int, int, str]  # from, to, identity: of one credential, by time, never overlapping
_Key = tuple[Namespace, str]  # of a credential
_Rebound = tuple[
    dict[_Key, tuple[_Holding, ...]], int, bool
]  # who held what, version, is it somebody's first


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
        changed: list[_Changed] = []
        if value:
            person = self._read(offset, key, value)
            if isinstance(person, Reject):
                return person
            self._waiting[key] = person
        else:
            changed = self._remove(offset, key)
        while fitting := self._fitting():
            for person in fitting:
                del self._waiting[person.identity_id]
                changed.append(self._accept(person, offset))
        clash = self._clash(self._waiting[key]) if key in self._waiting else None
        return clash if clash is not None and not changed else changed

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
        """Note credentials of which something else is known now, of the time since *since_ms*, for those who
        held them since then. *is_first*: of somebody whose timeline was told nothing before.
        """
        for (space, held), old in sorted(was.items()):
            new = tuple(self._holders[space].get(held, ()))
            before, after = _since(old, since_ms), _since(new, since_ms)
            if before == after:
                continue
            holders = {identity for _, _, identity in (*before, *after)} if old or not is_first else set()
            entities = [entity_key("identity", identity) for identity in sorted(holders)]
            for entity in (*entities, f"unresolved:{space}:{held}"):
                self._bindings.append(Binding(entity, f"{space}:{held}", version, new))

    def _fitting(self) -> list[Person]:
        """Of those who wait, one who clashes with nobody; else those who clash only with what others of them
        give up: two who swap their badges.
        """
        fit = sorted(self._waiting.values(), key=_version)
        for person in fit:
            if self._clash(person) is None:
                return [person]
        while fit:
            giving, taken, kept = {person.identity_id for person in fit}, People(self._sites), list[Person]()
            for person in fit:
                if self._clash(person, giving) is None and taken._clash(person) is None:
                    taken._accept(person, 0)
                    kept.append(person)
            if kept == fit:
                break
            fit = kept
        return fit

    def _clash(self, person: Person, giving: AbstractSet[str] = frozenset()) -> Reject | None:
        """Why *person* cannot hold what the record says, if somebody else does who does not give it up."""
        for held in person.credentials:
            space = namespace(held.credential_class)
            for from_ms, to_ms, identity in self._holders[space].get(held.id, ()):
                is_free = identity == person.identity_id or identity in giving
                if is_free or held.from_ms >= to_ms or from_ms >= held.to_ms:
                    continue
                message = (
                    f"{space} {held.id!r} of {person.identity_id!r} {_span(held.from_ms, held.to_ms)}: "
                    f"{identity!r} holds it {_span(from_ms, to_ms)}; one has to end before the other begins"
                )
                return _refuse("credential_taken", message)
        return None

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
        except Unfit as error:
            return _refuse("bad_identity", f"identity {key!r}: {error}")


def _from(holding: _Holding) -> int:
    return holding[0]


def _since(holdings: Iterable[_Holding], since_ms: int) -> list[_Holding]:
    return [(max(from_ms, since_ms), to_ms, who) for from_ms, to_ms, who in holdings if to_ms > since_ms]


def _version(person: Person) -> int:
    return person.version


def _refuse(reason: str, message: str) -> Reject:
    return Reject("resolve", reason, message)


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
