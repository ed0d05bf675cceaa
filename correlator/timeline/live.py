"""What rules may look back on, as of one point of a fold, and what they found there.

Frozen, small, never changed in place: blocks share it. `prune` (in `fold`) forgets what can no longer
matter, or states would never become equal again and a late event would fold the whole day.
"""

from __future__ import annotations

import msgspec

from correlator.event import Event, Order, Person
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


class SitePresence(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Believed to be at *site* since *since_ms*; *confidence* as of *newest_ms*, before decay; 0 after an
    exit.
    """

    site: str
    zone: str
    since_ms: int
    newest_ms: int
    confidence: float
    evidence: tuple[str, ...]  # event ids: the read that began it, the newest one


class DoorState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    last_grant: Order | None = None
    last_rex: Order | None = None
    forced: tuple[Order, ...] = ()  # newest six within 24 h
    held: Order | None = None


class Live(msgspec.Struct, frozen=True, array_like=True, gc=False):
    last_badge: Event | None = None  # newest access event, granted or not
    last_login: Event | None = None  # newest successful login
    badge_place: Event | None = None  # newest granted, not not_taken access with coordinates or a place
    card_place: Event | None = None  # newest access event that shows where a badge was, granted or denied
    login_place: Event | None = None  # newest successful interactive login whose address is a location
    presence: SitePresence | None = None
    person: Person | None = None  # highest version folded so far
    door: DoorState | None = None  # door entities only
    windows: tuple[Window, ...] = ()  # by (rule, group)
    waiting: tuple[Waiting, ...] = ()  # by (due, rule, event order)
    habits: Habits = NO_HABITS  # of the days before `today`
    today: Day | None = None  # the newest local day of the person
