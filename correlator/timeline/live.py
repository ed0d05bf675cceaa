"""What rules may look back on, as of one point of a fold, and what they found there.

Frozen, small, never changed in place: blocks share it. `prune` (in `fold`) forgets what can no longer
matter, or states would never become equal again and a late event would fold the whole day.
"""

from __future__ import annotations

import msgspec

from correlator.event import NEVER, Event, Order, Person
from correlator.timeline.habits import NO_HABITS, Day, Habits

Scalar = str | int | float | bool | None


class Match(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A rule was satisfied as of *decided_ms*. With *feed*, believed once *feed* at *site* is complete to
    there.
    """

    decided_ms: int
    event_id: str  # completed the match
    rule: str  # id
    severity: str  # informational | low | medium | high | critical
    evidence: tuple[str, ...]  # event ids, oldest first, the completing one last; bounded
    values: tuple[tuple[str, Scalar], ...] = ()  # fields that the explanation quotes
    feed: str = ""
    site: str = ""
    max_wait_ms: int = 0
    count: int = 1  # events in the window, where there is one
    is_shadow: bool = False  # told to those who try the rule out, and to nobody else


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event that a rule of a correlation holds of; what *values* are, its type of correlation says."""

    time_ms: int
    id: str
    values: tuple[Scalar, ...] = ()
    evidence: tuple[str, ...] = ()  # ids of earlier events, where the rule is itself a correlation


class Window(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Newest entries of one correlation and group, at most as many as decide it."""

    rule: str
    group: tuple[Scalar, ...]  # values of group-by fields beyond the entity
    entries: tuple[Entry, ...]


class Waiting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A settled rule held at its event; its verdict is taken at *due_ms* (event time + grace)."""

    due_ms: int
    rule: str
    event: Event
    seen: tuple[tuple[str, Scalar], ...] = ()  # fields that are not taken again at *due_ms*


class Stay(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Believed to be at *site*, as `presence` says: since *since_ms*, in *zone* since *zone_ms*.

    *confidence* is that of the newest evidence and holds until *fades_ms*; early in the next morning, from
    *doubt_ms* on, it is small at most. It is 0 once the person was read leaving.
    """

    site: str
    zone: str  # "": nowhere in particular
    since_ms: int
    zone_ms: int
    newest_ms: int
    confidence: float
    fades_ms: int
    doubt_ms: int
    evidence: tuple[str, ...]  # event ids: the read that began it, the newest one
    left: str = ""  # zone that the newest read led out of


class Passed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The last read in or out of an area with anti-passback."""

    area: str
    direction: str  # in | out
    time_ms: int
    id: str
    reader: str


class DoorState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    last_grant: Order | None = None
    last_rex: Order | None = None
    forced: tuple[Order, ...] = ()  # newest six within 24 h
    held: Order | None = None


class Occupant(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A person inside a zone since *since_ms*, believed until *until_ms*, as the fact *event_id* says."""

    identity_id: str
    since_ms: int
    until_ms: int
    event_id: str


class ZoneState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    occupants: tuple[Occupant, ...] = ()  # who entered last is last
    left_ms: int | None = None  # when somebody left last, or was not believed to be inside any more
    last: Order = (NEVER, "")  # newest event of kind occupancy


class Live(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Places are events that show where somebody was, the newest last, as `travel` keeps them."""

    last_badge: Event | None = None  # newest access event, granted or not
    last_login: Event | None = None  # newest successful login
    badge_places: tuple[Event, ...] = ()  # granted, not not_taken accesses with a place
    card_places: tuple[Event, ...] = ()  # access events that show where a badge was, granted or denied
    login_places: tuple[Event, ...] = ()  # successful interactive logins whose address is a location
    stays: tuple[Stay, ...] = ()  # at most one of a site, that of the newest read last
    person: Person | None = None  # highest version folded so far
    door: DoorState | None = None  # door entities only
    windows: tuple[Window, ...] = ()  # by (rule, group)
    waiting: tuple[Waiting, ...] = ()  # by (due, rule, event order)
    habits: Habits = NO_HABITS  # of the days before `today`
    today: Day | None = None  # the newest local day of the person
    passed: tuple[Passed, ...] = ()  # by area
    zone: ZoneState | None = None  # zone entities only

    @property
    def is_worthless(self) -> bool:
        """Nothing that a later event could see: an address or a stray card must not be kept for ever. Of
        doors and zones there are as many as the sites file has; people come and go.
        """
        if self.zone is not None:
            return False
        if self.person is not None:
            return self.person.is_removed
        return self == Live() or (self.door is None and not self.badge_places)

    def events(self) -> list[Event]:
        """Events that are remembered whole."""
        lasts = [e for e in (self.last_badge, self.last_login) if e is not None]
        asked = [w.event for w in self.waiting]
        return [*lasts, *asked, *self.badge_places, *self.card_places, *self.login_places]
