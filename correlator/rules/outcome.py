"""What became of a match: an alert, a repeat of one, a verdict that waits, or nothing that is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from correlator.event import DAY_MS, NEVER
from correlator.rules.rule import Rule
from correlator.rules.testing import Played
from correlator.spelling import spell
from correlator.timeline.alert import Alert
from correlator.timeline.decide import confidence_in
from correlator.timeline.live import Match

When = Callable[[int], str]
State = Literal["no match", "alert", "repeat", "waiting", "inconclusive", "final"]


def outcome(rule: Rule, match: Match, entity: str, played: Played, when: When) -> tuple[State, str]:
    """What is told of *match* after all that was played, and what it waits for."""
    own = [a for a in played.alerts.values() if a.entity == entity and a.rule == match.rule]
    for alert in own:
        if alert.event_id == match.event_id:
            return "alert", _alert(alert)
        if match.event_id in alert.repeats:
            return "repeat", _repeat(rule, alert, when)
    if match.feed and not confidence_in(match, played.partition.marks, played.partition.program):
        return _waiting(match, played, when)
    joined = [a for a in own if _is_of_its_day(a, match) and a.repeat_count > len(a.repeats)]
    if joined:  # an alert names only the newest of its repeats
        return "repeat", _repeat(rule, max(joined, key=lambda a: a.decided_ms), when)
    return "final", "what it belongs to is beyond the horizon: nothing more is said of it"


def retracted(event_id: str, entity: str, played: Played) -> tuple[str, ...]:
    """Alerts completed by this event that were closed again."""
    return tuple(
        f"alert {c.alert.uid} was raised and closed again: {c.reason}"
        + (f" by alert {c.superseded_by}" if c.superseded_by else "")
        + (f", because of late events {', '.join(c.because)}" if c.because else "")
        for c in played.closed
        if c.alert.event_id == event_id and c.alert.entity == entity
    )


def _alert(alert: Alert) -> str:
    said = f"alert {alert.uid}, {alert.severity}, {alert.confidence} confidence"
    if alert.repeat_count:
        said += f", and {alert.repeat_count} repeats joined it"
    return f"{said}; assumed: {'; '.join(alert.assumed)}" if alert.assumed else said


def _is_of_its_day(alert: Alert, match: Match) -> bool:
    return alert.decided_ms <= match.decided_ms < (alert.decided_ms // DAY_MS + 1) * DAY_MS


def _repeat(rule: Rule, alert: Alert, when: When) -> str:
    first = f"alert {alert.uid} of {when(alert.decided_ms)}"
    if alert.is_summary and rule.budget is not None:
        within = spell(rule.budget.per_ms)
        return f"a repeat of {first}, which is beyond the budget: what follows within {within} joins it"
    quiet = f"quiet for {spell(rule.suppress_ms)}, at most to the end of the day (UTC)"
    return f"a repeat of {first}: matches join it until it has been {quiet}"


def _waiting(match: Match, played: Played, when: When) -> tuple[State, str]:
    """Which feed and site, how far they are, and when it is given up."""
    marks, settings = played.partition.marks, played.partition.program.settings
    complete_ms = marks.complete_ms(match.feed, match.site)
    known = f"complete to {when(complete_ms)}" if complete_ms > NEVER else "not known to be complete"
    due_ms, end_ms = match.decided_ms + match.max_wait_ms, match.decided_ms + settings.horizon_ms
    said = f"{match.feed} events at {match.site} are {known}; it waits for them to {when(match.decided_ms)}"
    if marks.now_ms < due_ms:
        return "waiting", f"{said}, until {when(due_ms)} (max_wait), then it is inconclusive"
    ends = "for good" if marks.now_ms > end_ms else f"unless they come by {when(end_ms)}"
    return "inconclusive", f"{said}; inconclusive since {when(due_ms)} (max_wait), {ends}"
