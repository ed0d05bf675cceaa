"""Scores: taken once, when an event arrives, and learnt from unless a rule matched (decision 10)."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from correlator.codec import Codes
from correlator.event import Event, entity_kind
from correlator.timeline.entity import Timeline
from correlator.timeline.habits import as_of
from correlator.timeline.live import Match
from correlator.timeline.program import Program, Scorer, is_tried_out

Learnt = tuple[Event, str, dict[str, float]]  # event, type of identity, features


def score(scorer: Scorer, timeline: Timeline, event: Event, codes: Codes, learnt: list[Learnt]) -> Event:
    """*event* with its score, taken once, on arrival."""
    if entity_kind(timeline.entity) != "identity":
        return event
    live = timeline.touch(codes)
    if not scorer.wants(event, live):
        return event
    identity_type = live.person.identity_type if live.person is not None else ""
    scored, features = scorer.score(event, identity_type, as_of(live.habits, live.today, event))
    learnt.append((event, identity_type, features))
    return replace(event, score=scored)


def learn(scorer: Scorer, learnt: Iterable[Learnt], matches: Iterable[Match], program: Program) -> None:
    """Models learn what no rule matched, told or a repeat of what was, but one that is tried out."""
    held = (match for match in matches if not is_tried_out(match.rule, match.decided_ms, program))
    matched = {i for match in held for i in match.evidence}
    for event, identity_type, features in learnt:
        if event.id not in matched:
            scorer.learn(identity_type, features)
