"""A visit of a timeline: what readers must be told after its fold, and what is kept of that."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import msgspec

from correlator.timeline.alert import Alert, Change
from correlator.timeline.decide import Completeness, decide, difference
from correlator.timeline.entity import Timeline
from correlator.timeline.live import Match
from correlator.timeline.program import Program
from correlator.timeline.scoring import Learnt


class Edges(NamedTuple):
    """Of a frame, in event time: alerts decided before *final_ms* are final, bases move to *base_ms*."""

    final_ms: int
    base_ms: int


class Visit(msgspec.Struct):
    """One visit of a timeline, filled while it is folded."""

    timeline: Timeline
    edges: Edges
    is_moved: bool = False  # alerts may differ
    learnt: list[Learnt] = []
    late: tuple[str, ...] = ()  # ids of events that make alerts differ from what was told
    gone: AbstractSet[str] = frozenset()  # ids of events that belong elsewhere, as became known
    changes: list[Change] = []  # that readers must be told


def publish(visit: Visit, matches: list[Match], marks: Completeness, program: Program) -> list[Change]:
    """What readers must be told; nothing about alerts that are final."""
    timeline, final_ms = visit.timeline, visit.edges.final_ms
    if not matches and not timeline.open:
        return []
    _, alerts = decide(timeline.entity, timeline.tally, matches, marks, program)
    new = {uid: _as_told(timeline, alert) for uid, alert in alerts.items() if alert.decided_ms >= final_ms}
    old = {uid: alert for uid, alert in timeline.open.items() if alert.decided_ms >= final_ms}
    changes, threads = difference(old, new, timeline.threads, visit.late)
    changes = [_as_moved(_as_removed(change, program), visit.gone) for change in changes]
    kept = {c.alert.uid for c in changes if c.reason == "retracted" and not _may_retract(c.alert, program)}
    if kept:  # `retract: never`: updated and superseded, but never closed because of late evidence
        told = {uid for uid in kept if old[uid].is_refuted}
        changes = [_as_refuted(c) if c.alert.uid in kept else c for c in changes if c.alert.uid not in told]
        new |= {uid: msgspec.structs.replace(old[uid], is_refuted=True) for uid in kept}
        threads |= {uid: timeline.threads.get(uid, uid) for uid in kept}
    timeline.open, timeline.threads = new, threads
    return changes


def _as_told(timeline: Timeline, alert: Alert) -> Alert:
    """What completeness rested on when the alert was first told, and the storm it joined, stay.

    In shadow and live it is told to others, and joins other storms.
    """
    told = timeline.open.get(alert.uid)
    if told is None or told.is_shadow != alert.is_shadow:
        return alert
    if (told.assumed, told.storm) == (alert.assumed, alert.storm):
        return alert
    return msgspec.structs.replace(alert, assumed=told.assumed, storm=told.storm)


def join(timeline: Timeline, storms: Mapping[str, str]) -> None:
    """Open alerts that are not told: uid -> uid of the storm that is."""
    joined = {uid: msgspec.structs.replace(timeline.open[uid], storm=of) for uid, of in storms.items()}
    timeline.open = {**timeline.open, **joined}


def _as_removed(change: Change, program: Program) -> Change:
    is_removed = change.activity == "close" and change.alert.rule not in program.rules
    return msgspec.structs.replace(change, reason="rule_removed", superseded_by="") if is_removed else change


def _as_refuted(close: Change) -> Change:
    alert = msgspec.structs.replace(close.alert, is_refuted=True)
    return msgspec.structs.replace(close, activity="update", alert=alert, reason="")


def _as_moved(change: Change, gone: AbstractSet[str]) -> Change:
    is_moved = change.reason == "retracted" and not gone.isdisjoint(change.alert.evidence)
    return msgspec.structs.replace(change, reason="moved") if is_moved else change


def _may_retract(alert: Alert, program: Program) -> bool:
    rule = program.facts(alert.rule, alert.decided_ms)
    return rule is None or rule.may_retract
