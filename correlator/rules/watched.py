"""A program that remembers what it was asked and what it answered: what an explanation is made of.

The answers are those of `RuleProgram`. An event that is folded again, for a late one before it, is
remembered as it was folded last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from correlator.event import Event
from correlator.rules.program import RuleProgram
from correlator.rules.rule import Rule
from correlator.timeline.live import Live, Match, Waiting
from correlator.timeline.observation import Observation
from correlator.timeline.program import Found
from correlator.timeline.settings import Settings


class Seen(NamedTuple):
    """An event as the rules saw it; its windows before it are in the live state."""

    observation: Observation
    found: Found


class Settled(NamedTuple):
    """A verdict that was taken later than its event."""

    waiting: Waiting
    observation: Observation
    match: Match | None


class Watched(RuleProgram):
    """*seen* by (entity, event id); *settled* by (rule id, entity, event id); *refused*: too old."""

    def __init__(self, rules: Sequence[Rule], settings: Settings) -> None:
        super().__init__(rules, settings)
        self.seen: dict[tuple[str, str], Seen] = {}
        self.settled: dict[tuple[str, str, str], Settled] = {}
        self.refused: list[Seen] = []

    def on_event(self, entity: str, event: Event, live: Live) -> Found | None:
        found = super().on_event(entity, event, live)
        observation = Observation(entity, event, live, self.settings, event.time_ms)
        self.seen[entity, event.id] = Seen(observation, found or Found([], live.windows, []))
        return found

    def verdict(self, waiting: Waiting, observation: Observation) -> Match | None:
        match = super().verdict(waiting, observation)
        key = (waiting.rule, observation.entity, waiting.event.id)
        self.settled[key] = Settled(waiting, observation, match)
        return match

    def on_too_late(self, observation: Observation) -> list[Match]:
        matches = super().on_too_late(observation)
        self.refused.append(Seen(observation, Found(matches, (), [])))
        return matches
