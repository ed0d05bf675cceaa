"""What an explanation shows of one event: sentences, conditions line by line, windows.

Only shapes; `look_single` and `look_correlated` fill them in.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from correlator.event import Event
from correlator.rules.absent import why_absent
from correlator.rules.check import kinds_of
from correlator.rules.counted import Counted, CountedEvent
from correlator.rules.examine import Node, cost, examine, texts_of
from correlator.rules.outcome import State, outcome
from correlator.rules.requires import WARM, is_met
from correlator.rules.rule import Rule
from correlator.rules.testing import Played
from correlator.rules.watched import Seen, Settled, Watched
from correlator.timeline.fields import value
from correlator.timeline.live import Match
from correlator.timeline.observation import Observation

ASKED_AGAIN = 0.5  # nearness of an event at which the rule held, but not when it was asked again
FAR = 1_000  # nearness of events that no window counts, and more of those of a kind that cannot match

When = Callable[[int], str]


class Examined(msgspec.Struct, frozen=True):
    """What was asked, in words, and what came of each part of it."""

    asked: str
    tree: Node


class Look(msgspec.Struct, frozen=True):
    """Event *number* (by time, from 1) and what the rule made of it. *said*: sentences, first things first.

    *counted*: its windows, those of counted correlations after; *others*: windows of other groups, each where
    it got furthest; *uncounted*: events that might have counted.
    """

    number: int
    entity: str
    event: Event
    state: State = "no match"
    said: tuple[str, ...] = ()
    examined: tuple[Examined, ...] = ()
    counted: tuple[Counted, ...] = ()
    others: tuple[Counted, ...] = ()
    uncounted: tuple[CountedEvent, ...] = ()


class Story(msgspec.Struct, frozen=True):
    """One rule and a stream of events that was played. *asked*: what the rule saw, by time. *rules* by id."""

    rule: Rule
    rules: dict[str, Rule]
    asked: tuple[Seen, ...]
    played: Played
    when: When

    def settled(self, seen: Seen) -> Settled | None:
        """The verdict that *seen* waited for. What is remembered may be of before a late event, so it must
        still wait.
        """
        program, observation = self.played.partition.program, seen.observation
        assert isinstance(program, Watched)
        if not seen.found.waiting:
            return None
        return program.settled.get((self.rule.id, observation.entity, observation.event.id))

    def unmet(self, observation: Observation) -> tuple[str, ...]:
        """What the rule requires and the event does not have, for which it is silent. Of feeds and readers
        nothing is said: like a test, an explanation takes them to be there.
        """
        requires = self.rule.requires
        if requires is None or is_met(requires, {}, observation):
            return ()
        said = value(observation, WARM)
        why = why_absent(observation, WARM) if said is None else "its model has not learnt enough"
        return (f"it holds, but the rule requires a warm model, and is silent without: {why}",)

    def matched(self, look: Look, match: Match) -> Look:
        """*look* with what became of *match*."""
        state, said = outcome(self.rule, match, look.entity, self.played, self.when)
        return replace(look, state=state, said=(said,))


def distance(rule: Rule, observation: Observation) -> float:
    """Lines of a detection rule that are not as they should be; events of a kind that cannot match are far
    off.
    """
    assert rule.condition is not None
    is_possible = observation.event.kind in kinds_of(rule.condition)
    return cost(examine(rule.condition, observation, texts_of(rule))) + (0 if is_possible else FAR)


def examined(asked: str, rule: Rule, observation: Observation) -> Examined:
    """The condition of a detection rule, line by line."""
    assert rule.condition is not None
    return Examined(asked, examine(rule.condition, observation, texts_of(rule)))
