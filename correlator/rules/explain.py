"""Why a rule matched events, or did not: the events run through the real timeline under a program that is
watched, and the interpreter is asked of every line.

Of a rule that did not match, the event is shown that came nearest: where the fewest lines were not as they
should be, or the least was missing in a window. Pure; times in ms, UTC, and in words as the caller says them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from correlator.event import Event, entity_kind
from correlator.frame import Frame
from correlator.rules import look_single
from correlator.rules.look import Look, Story, When
from correlator.rules.look_correlated import Correlated
from correlator.rules.outcome import State, retracted
from correlator.rules.rule import Rule
from correlator.rules.testing import alone, play
from correlator.rules.watched import Seen, Watched
from correlator.timeline.settings import Settings

MATCHED_MAX = 100  # matches among which one is looked for that is told of

Which = int | Literal["nearest", "all"]


class Explanation(msgspec.Struct, frozen=True):
    """*state*: of the first event that is told of, else of the first that matched; *asked*: how many events
    the rule saw; *looks*: those that were asked for; *events*: all, by id.
    """

    state: State
    asked: int
    said: tuple[str, ...]
    looks: tuple[Look, ...]
    events: Mapping[str, Event]


class NoSuchEvent(Exception):
    """There is no event of that number; says how many there are."""


def explain(
    rule: Rule,
    rules: Iterable[Rule],
    frames: Callable[[Settings], Sequence[Frame]],
    settings: Settings,
    when: When,
    *,
    which: Which = "nearest",
) -> Explanation:
    """What *rule* makes of the frames that *frames* makes under the settings of a test.

    *rules*: those that were loaded with it, for names and texts of what it counts. Raises NoSuchEvent.
    """
    program = Watched(*alone(rule, settings))
    played = play(program, frames(program.settings))
    asked = [*program.seen.values(), *(program.refused if rule.is_any_age else ())]
    asked = [seen for seen in asked if _is_asked(rule, seen)]
    asked.sort(key=lambda seen: (seen.observation.event.order, seen.observation.entity))
    looking = _Looking(Story(rule, {r.id: r for r in rules}, tuple(asked), played, when))
    near = [looking.nearness(seen) for seen in asked]
    told = looking.told([at for at, off in enumerate(near) if off == 0])
    state = looking.look(told).state if told is not None else "no match"
    looks = tuple(looking.look(at) for at in _chosen(which, near, told))
    events = {s.observation.event.id: s.observation.event for s in [*asked, *program.refused]}
    return Explanation(state, len(asked), tuple(_overall(rule, program, when)), looks, events)


def _is_asked(rule: Rule, seen: Seen) -> bool:
    """Versions of a person are no events that an author of a rule thinks of, unless the rule matches one."""
    is_meant = seen.observation.event.kind != "person" or seen.found.matches or seen.found.waiting
    return bool(is_meant) and entity_kind(seen.observation.entity) == rule.entity


class _Looking:
    """How near each event of a story came, and what the rule made of it."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._correlated = Correlated(story) if story.rule.correlation is not None else None

    def nearness(self, seen: Seen) -> float:
        if self._correlated is not None:
            return self._correlated.nearness(seen)
        return look_single.nearness(self._story, seen)

    def told(self, matched: Sequence[int]) -> int | None:
        """Of the events *matched* the first that is an alert, else the first; None where there are none."""
        alerts = (at for at in matched[:MATCHED_MAX] if self.look(at).state == "alert")
        return next(alerts, matched[0] if matched else None)

    def look(self, at: int) -> Look:
        story, seen = self._story, self._story.asked[at]
        entity, event = seen.observation.entity, seen.observation.event
        blank = Look(at + 1, entity, event)
        if self._correlated is not None:
            look = self._correlated.look(seen, blank)
        else:
            look = look_single.look(story, seen, blank)
        return replace(look, said=(*look.said, *retracted(event.id, entity, story.played)))


def _chosen(which: Which, near: Sequence[float], told: int | None) -> Sequence[int]:
    if which == "all" or not near:
        return range(len(near))
    if which == "nearest":  # of misses the last one, which had most behind it
        return [len(near) - 1 - near[::-1].index(min(near)) if told is None else told]
    if not 1 <= which <= len(near):
        raise NoSuchEvent(f"there is no event {which}: the rule saw {len(near)}")
    return [which - 1]


def _overall(rule: Rule, program: Watched, when: When) -> Iterator[str]:
    """What is to be said besides: of events that the rule is not asked of."""
    if not program.refused and all(entity_kind(entity) != rule.entity for entity, _ in program.seen):
        of = "a person or an unresolved credential" if rule.entity == "identity" else "a door (place.door)"
        yield f"the rule is not asked: it is evaluated on {rule.entity}, and no event is of {of}"
    refused = {seen.observation.event.id: seen.observation.event for seen in program.refused}
    for event in refused.values():  # each once, however many entities it is of
        told = "rules with any_age are asked of it alone" if rule.is_any_age else "it is not looked at"
        yield f"the {event.kind} event of {when(event.time_ms)} arrived later than the horizon: {told}"
