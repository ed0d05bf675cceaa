"""What the timeline needs of rules and models, which it may not import: two protocols.

`rules.program.RuleProgram`, `rules.versions.Versions` and `models.scorer.Scorer` implement them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from correlator.event import EntityKind, Event, Score
from correlator.timeline.habits import Habits
from correlator.timeline.live import Live, Match, Waiting, Window
from correlator.timeline.observation import Observation
from correlator.timeline.occupancy import Zones
from correlator.timeline.settings import Settings


class Budget(msgspec.Struct, frozen=True):
    """At most *alerts* of a rule and entity within *per_ms*, counted from the start of the UTC day."""

    alerts: int
    per_ms: int


class RuleFacts(msgspec.Struct, frozen=True):
    """What publishing must know of a rule."""

    id: str
    title: str
    entity: EntityKind
    suppress_ms: int
    may_retract: bool  # False: `retract: never`
    is_any_age: bool
    severity: str
    fires_incomplete: bool = False  # `on_incomplete: fire`: told with low confidence at `max_wait`
    is_shadow: bool = False
    is_tried_out: bool = False  # nothing is made of its alerts but telling them, in shadow
    budget: Budget | None = None
    risk: int = 0  # points that an alert adds to those of its entity
    entities_max: int = 0  # that are told of within an hour; 0: as many as the settings say
    inert: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (site, what the rule requires and is not there)


class Warming(msgspec.Struct, frozen=True):
    """A rule that concludes from what its windows do not hold may do so when it has watched for *span_ms*.

    *key*: of the windows, the same as long as the rule asks the same.
    """

    key: str
    span_ms: int


class Found(msgspec.Struct):
    """What rules make of one event. *windows* replaces the live ones."""

    matches: list[Match]
    windows: tuple[Window, ...]
    waiting: list[Waiting]


class Program(Protocol):
    """Rules, ready to evaluate. Total: no method raises, whatever the observation."""

    @property
    def settings(self) -> Settings: ...

    @property
    def rules(self) -> Mapping[str, RuleFacts]:
        """By id: those whose alerts are told."""

    @property
    def zones(self) -> Zones:
        """Of which rules ask who is inside."""

    def at(self, time_ms: int) -> Program:
        """What events of *time_ms* are evaluated by."""

    def facts(self, rule: str, time_ms: int) -> RuleFacts | None:
        """Of the rule that decided at *time_ms*; None for one that nobody knows any more."""

    def on_event(self, entity: str, event: Event, live: Live) -> Found | None:
        """Evaluate every rule of the entity's kind on *event*; *live* is the state before it.

        Matches in order of rule id; None where nothing matches or waits, and the windows stay what they are.
        """

    def verdict(self, waiting: Waiting, observation: Observation) -> Match | None:
        """Does the settled rule still hold as of the observation's *as_of_ms*?"""

    def prune(self, windows: tuple[Window, ...], time_ms: int) -> tuple[Window, ...]:
        """*windows* without what cannot matter to an event at or after *time_ms*."""

    def warming(self) -> Mapping[str, Warming]:
        """By rule, of those that need it."""

    def on_too_late(self, observation: Observation) -> list[Match]:
        """Rules with `any_age`, evaluated on an event that is refused as too old, alone."""


class Scorer(Protocol):
    """The online models of one partition."""

    def wants(self, event: Event, live: Live) -> bool:
        """Is *event* to be scored, given the state before it?"""

    def score(self, event: Event, identity_type: str, habits: Habits) -> tuple[Score, dict[str, float]]:
        """Score first; the features are given back to `learn` unless the event was alerted on."""

    def learn(self, identity_type: str, features: dict[str, float]) -> None: ...

    def encode(self) -> bytes: ...


def is_tried_out(rule: str, decided_ms: int, program: Program) -> bool:
    """Of a rule that decided then: is it told, and nothing else made of it?"""
    known = program.facts(rule, decided_ms)
    return known is not None and known.is_tried_out
