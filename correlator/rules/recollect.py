"""Why a rule raised an alert, from the alert alone: its evidence runs through the timeline again, and its
completing event is looked at with the fields that the alert says it had.

What the timeline knew besides (other events, the person's schedule) is not in an alert. So of the completing
event only what the alert quotes is believed, and a field that the rule reads and the alert does not quote was
absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from msgspec.structs import replace

from correlator.event import Event, entity_kind
from correlator.rules.absent import why_absent
from correlator.rules.check import TIME
from correlator.rules.examine import blame, examine, texts_of
from correlator.rules.explain import Explanation
from correlator.rules.look import Examined, Look, Story, When
from correlator.rules.look_correlated import Correlated
from correlator.rules.outcome import State
from correlator.rules.rule import Case, CasePerson, Rule
from correlator.rules.testing import alone, frames_of, play
from correlator.rules.watched import Seen, Watched
from correlator.timeline.live import Scalar
from correlator.timeline.observation import Observation
from correlator.timeline.settings import Settings

UNQUOTED = "the alert does not quote it"
NOT_SHOWN = "the alert's own evidence does not show it: the rule, or what it knew besides, was another then"


class Recollection(msgspec.Struct, frozen=True):
    """What an alert tells: its events, and of the completing one when it was decided, with which values."""

    entity: str
    event_id: str
    decided_ms: int
    values: Mapping[str, Scalar]
    events: tuple[Event, ...]
    person: CasePerson | None = None


def explain_alert(
    rule: Rule, rules: Iterable[Rule], told: Recollection, settings: Settings, when: When
) -> Explanation:
    """What *rule*, as it is now, makes of what the alert *told* says. It needs the completing event."""
    program = Watched(*alone(rule, settings))
    case = Case("", True, None, None, 0, (), None, told.person)
    arrivals = [(event, event.time_ms) for event in told.events]
    played = play(program, frames_of(rule, case, program.settings, arrivals))
    asked = [s for (entity, _), s in program.seen.items() if entity_kind(entity) == rule.entity]
    asked.sort(key=lambda s: s.observation.event.order)
    story = Story(rule, {r.id: r for r in rules}, tuple(asked), played, when)
    events = {event.id: event for event in told.events}
    at = next((n for n, s in enumerate(asked) if s.observation.event.id == told.event_id), None)
    if at is None:
        said = f"the alert's evidence does not hold the event that completed it, {told.event_id}"
        return Explanation("no match", len(asked), (said,), (), events)
    look = _look(story, asked[at], at + 1, told)
    return Explanation(look.state, len(asked), (), (look,), events)


def _look(story: Story, seen: Seen, number: int, told: Recollection) -> Look:
    observation = _as_told(story.rule, seen.observation, told)
    blank = Look(number, told.entity, observation.event)
    condition = story.rule.condition
    if condition is not None:
        tree = examine(condition, observation, texts_of(story.rule), _why)
        asked = Examined(f"as the alert says it was, as of {story.when(told.decided_ms)}", tree)
        state: State = "alert" if tree.holds else "no match"
        return replace(blank, state=state, said=blame(tree), examined=(asked,))
    correlated = Correlated(story)
    look = correlated.look(seen._replace(observation=observation), blank)
    if correlated.nearness(seen) == 0:
        return replace(look, state="alert", said=())
    return replace(look, said=(*look.said, NOT_SHOWN))


def _as_told(rule: Rule, observation: Observation, told: Recollection) -> Observation:
    """The completing event as of the decision, with the fields that the alert quotes. It quotes no ids of
    earlier events, and no time.
    """
    read = [name for name in rule.reads() if name != TIME and not name.endswith(".event_id")]
    seen = {name: told.values.get(name) for name in read}
    return Observation(told.entity, observation.event, observation.live, observation.settings,
                       told.decided_ms, seen)  # fmt: skip


def _why(observation: Observation, name: str) -> str:
    return UNQUOTED if name in observation.seen else why_absent(observation, name)
