"""What a rule on single events made of one, at its time and, where it settles, when it was asked again."""

from __future__ import annotations

from msgspec.structs import replace

from correlator.rules.absent import why_absent
from correlator.rules.examine import blame
from correlator.rules.look import ASKED_AGAIN, Look, Story, distance, examined
from correlator.rules.watched import Seen, Settled


def nearness(story: Story, seen: Seen) -> float:
    """How near *seen* came to a match: less is nearer, 0 is one."""
    settled = story.settled(seen)
    if seen.found.matches or (settled is not None and settled.match is not None):
        return 0
    if settled is not None:
        return ASKED_AGAIN
    return distance(story.rule, seen.observation) or ASKED_AGAIN  # it holds, and something else is missing


def look(story: Story, seen: Seen, blank: Look) -> Look:
    """*blank* with what the rule made of *seen*."""
    observation, settle = seen.observation, story.rule.settle
    at_event = examined("at the event", story.rule, observation)
    shown = replace(blank, examined=(at_event,))
    settled = story.settled(seen)
    if seen.found.matches:
        return story.matched(shown, seen.found.matches[0])
    if settled is not None:
        return _verdict(story, shown, settled)
    if not at_event.tree.holds:
        return replace(shown, said=blame(at_event.tree))
    unmet = story.unmet(observation)
    if unmet or settle is None:
        return replace(shown, said=unmet)
    why = why_absent(observation, settle.at)
    return replace(shown, said=(f"it holds, but cannot settle: {settle.at} is absent, {why}",))


def _verdict(story: Story, shown: Look, settled: Settled) -> Look:
    """*shown* of an event at which the rule held, with what it was when it was asked again."""
    at = story.when(settled.waiting.due_ms)
    again = examined(f"asked again as of {at}", story.rule, settled.observation)
    shown = replace(shown, examined=(*shown.examined, again))
    if settled.match is not None:
        return story.matched(shown, settled.match)
    said = f"it held at the event, but not as of {at}, when it was asked again"
    return replace(shown, said=(said, *blame(again.tree)))
