"""Risk of an entity: what its alerts of one UTC day add up to, and the alert that it is when that is too
much.

A rule adds its points once a day, with its first alert. Taken from the alerts as they are decided, in order
of decision, never from what was told: so late events that add or take away alerts move it like any other.

May not know: matches, marks.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from correlator.event import DAY_MS
from correlator.timeline.alert import Alert, alert_uid
from correlator.timeline.program import Program

RISK = "correlator-risk"  # the id of the rule that nobody writes
REPEATS_MAX = 100


class Added(msgspec.Struct, frozen=True, array_like=True, gc=False):
    rule: str
    title: str
    points: int
    event_id: str


class Risk(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Of one day. *uid*: of the alert, once the threshold is reached."""

    day: int = 0
    added: tuple[Added, ...] = ()
    uid: str = ""


def add_up(
    entity: str, risk: Risk, alerts: Iterable[Alert], program: Program
) -> tuple[Risk, dict[str, Alert]]:
    """*risk* after *alerts*, and the alerts that it makes, by uid."""
    found: dict[str, Alert] = {}
    for alert in sorted(alerts, key=lambda a: (a.decided_ms, a.uid)):
        rule = program.facts(alert.rule, alert.decided_ms)
        if rule is None or not rule.risk or rule.is_tried_out:
            continue
        day = alert.decided_ms // DAY_MS
        risk = risk if risk.day == day else Risk(day)
        if any(added.rule == alert.rule for added in risk.added):
            continue
        risk = replace(risk, added=(*risk.added, Added(alert.rule, rule.title, rule.risk, alert.event_id)))
        if risk.uid in found:
            found[risk.uid] = _more(found[risk.uid], alert, risk)
        elif not risk.uid and sum(a.points for a in risk.added) >= program.settings.risk_threshold:
            made = _alert(entity, alert, risk)
            risk, found[made.uid] = replace(risk, uid=made.uid), made
    return risk, found


def _alert(entity: str, last: Alert, risk: Risk) -> Alert:
    evidence = tuple(dict.fromkeys(added.event_id for added in risk.added))
    uid = alert_uid(RISK, entity, last.event_id)
    return Alert(uid, RISK, entity, "high", last.decided_ms, last.event_id, evidence,
                 _values(risk), last.confidence, count=len(risk.added), is_shadow=last.is_shadow)  # fmt: skip


def _more(made: Alert, alert: Alert, risk: Risk) -> Alert:
    return replace(
        made,
        values=_values(risk),
        repeats=(*made.repeats, alert.event_id)[-REPEATS_MAX:],
        repeat_count=made.repeat_count + 1,
    )


def _values(risk: Risk) -> tuple[tuple[str, int | str], ...]:
    of = "; ".join(f"{added.title} ({added.points})" for added in risk.added)
    return (("risk.score", sum(added.points for added in risk.added)), ("risk.of", of))
