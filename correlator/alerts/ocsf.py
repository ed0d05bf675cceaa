"""A change as an OCSF 1.8 Detection Finding (class 2004), and as the record that goes to the alert topic.

OCSF has no words for badges and doors: doors are `resources` of type door, the rest stands in `unmapped`.
Pure: no clock is read (`time` is log time), everything is sorted, so equal input gives equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from correlator.alerts.evidence import evidence_of, observables_of, resources_of
from correlator.alerts.explain import explain
from correlator.alerts.headline import headline
from correlator.alerts.phrases import iso
from correlator.alerts.storm import is_storm
from correlator.alerts.story import Story, story
from correlator.alerts.text import RuleText
from correlator.event import Event, Person
from correlator.timeline.alert import Change

Json = dict[str, Any]

CLASS_UID = 2004
VERSION = "1.8.0"
CONTENT_TYPE = "application/json"

_ACTIVITIES = {"create": (1, "Create"), "update": (2, "Update"), "close": (3, "Close")}
_SEVERITIES = {
    "informational": (1, "Informational"),
    "low": (2, "Low"),
    "medium": (3, "Medium"),
    "high": (4, "High"),
    "critical": (5, "Critical"),
}
_RISKS = {  # level and score of one alert by severity; adding up over alerts is another thing
    "informational": (0, "Info", 5),
    "low": (1, "Low", 20),
    "medium": (2, "Medium", 45),
    "high": (3, "High", 70),
    "critical": (4, "Critical", 95),
}
_STATUSES = {"create": (1, "New"), "update": (2, "In Progress")}
_ENDS = {"retracted": (4, "Resolved")}  # anything else that closes an alert hides it: another one, or no rule
_SUPPRESSED = (3, "Suppressed")


class AlertRecord(msgspec.Struct, frozen=True):
    """What is sent: *key* is the alert's uid, so that the newest record of a key is the alert's state."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Source(msgspec.Struct, frozen=True):
    """Where a change comes from: *now_ms* is the log time of the partition (deterministic, never a clock),
    *crc* the running stamp of what it had published: an alert may come, go and come again under one *now_ms*.
    """

    bundle: str
    now_ms: int
    crc: int = 0
    skew_max_s: int = 60  # `Settings.skew_max_ms`


_encode = msgspec.json.Encoder(order=None).encode


def render(
    change: Change, evidence: Sequence[Event], rule: RuleText, person: Person | None, source: Source
) -> Json:
    """The finding. *evidence*: the events of `change.alert.evidence` and `change.because` as far as known."""
    told = story(change, evidence, rule, person)
    activity_id, activity = _ACTIVITIES[change.activity]
    proofs = {event.id: evidence_of(event, person, source.skew_max_s) for event in told.events}
    return {
        "activity_id": activity_id,
        "activity_name": activity,
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": CLASS_UID,
        "class_name": "Detection Finding",
        "type_uid": CLASS_UID * 100 + activity_id,
        "type_name": f"Detection Finding: {activity}",
        "time": _told_ms(told, source),
        "timezone_offset": told.offset_min,
        "message": headline(told),
        "is_alert": change.activity != "close",  # a close must not page anybody
        **_judgement(told),
        **_times(told),
        "metadata": _metadata(told, source),
        "finding_info": _finding(told, source),
        "evidences": list(proofs.values()),
        "resources": resources_of(told),
        "observables": observables_of(told),
        "unmapped": {"physical_access": _physical(told, proofs), "correlator": _ours(told, source)},
    }


def alert_record(
    change: Change, evidence: Sequence[Event], rule: RuleText, person: Person | None, source: Source
) -> AlertRecord:
    """*change* as the record for the alert topic: OCSF as JSON, CloudEvents 1.0 attributes as headers."""
    finding = render(change, evidence, rule, person, source)
    alert = change.alert
    headers = (
        ("ce_specversion", "1.0"),
        ("ce_id", finding["metadata"]["uid"]),
        ("ce_source", "correlator"),
        ("ce_type", f"correlator.alert.{change.activity}"),
        ("ce_time", iso(finding["time"])),
        ("ce_subject", alert.uid),
        ("content-type", CONTENT_TYPE),
        ("rule_id", alert.rule),
        ("severity", alert.severity),
    )
    return AlertRecord(alert.uid.encode(), _encode(finding), tuple((k, v.encode()) for k, v in headers))


# ----------------------------------------------------------------- parts of a finding


def _judgement(told: Story) -> Json:
    """Severity, confidence, risk and status."""
    change, alert = told.change, told.alert
    severity_id, severity = _SEVERITIES.get(alert.severity, (99, alert.severity))
    risk_id, risk, points = _RISKS.get(alert.severity, (99, alert.severity, 0))
    points = min(100, round(told.number("risk.score") or points))
    is_sure = alert.confidence == "high"
    status_id, status = _STATUSES.get(change.activity) or _ENDS.get(change.reason, _SUPPRESSED)
    judged: Json = {
        "severity_id": severity_id,
        "severity": severity,
        "confidence_id": 3 if is_sure else 1,
        "confidence": "High" if is_sure else "Low",
        "risk_level_id": risk_id,
        "risk_level": risk,
        "risk_score": points if is_sure else points // 2,
        "status_id": status_id,
        "status": status,
    }
    if change.reason:
        judged["status_detail"] = change.reason
    return judged


def _times(told: Story) -> Json:
    alert = told.alert
    first_ms, last_ms = _span(told)
    return {"start_time": first_ms, "end_time": last_ms, "count": max(1, alert.count) + alert.repeat_count}


def _span(told: Story) -> tuple[int, int]:
    """Times of the first and the last known event of the alert, repeats included."""
    repeats = [told.by_id[i].time_ms for i in told.alert.repeats if i in told.by_id]
    times = [event.time_ms for event in told.events] + repeats
    return (min(times), max(times)) if times else (told.alert.decided_ms, told.alert.decided_ms)


def _told_ms(told: Story, source: Source) -> int:
    """Log time, never before what is told: it is that of the partition that is furthest behind."""
    return max(source.now_ms, told.alert.decided_ms, _span(told)[1])


def _metadata(told: Story, source: Source) -> Json:
    event = told.last
    labels = {
        "version": VERSION,
        "product": {"name": "correlator", "vendor_name": "correlator", "feature": {"name": "correlate"}},
        "uid": _change_uid(told.change, source),
        "correlation_uid": told.change.correlation_uid,
        "event_code": told.rule.name,
        "processed_time": _told_ms(told, source),
    }
    if event is not None:
        labels["original_time"] = iso(event.time_ms, event.offset_min)
    return labels


def _change_uid(change: Change, source: Source) -> str:
    """Equal for every delivery of one change: readers that are not transactional drop the second."""
    told = msgspec.msgpack.encode((change, source.now_ms, source.crc))
    return blake2b(told, digest_size=8).hexdigest()


def _finding(told: Story, source: Source) -> Json:
    alert, rule = told.alert, told.rule
    first_ms, last_ms = _span(told)
    related = list(dict.fromkeys((*alert.evidence, alert.event_id, *alert.repeats)))
    found: Json = {
        "uid": alert.uid,
        "title": rule.title,
        "desc": explain(told),
        "types": ["Physical and logical access"],
        "analytic": {
            "uid": rule.id,
            "name": rule.name,
            "version": rule.hash,
            "desc": rule.description or rule.title,
            "type": "Rule",
            "type_id": 1,
        },
        "created_time": alert.decided_ms,
        "modified_time": _told_ms(told, source),
        "first_seen_time": first_ms,
        "last_seen_time": last_ms,
        "related_events": [_related(i, told.by_id.get(i)) for i in related],
        "related_events_count": len(related) + max(0, alert.repeat_count - len(alert.repeats)),
        "data_sources": sorted({event.feed for event in told.events if event.feed}),
    }
    attacks = _attacks(rule.tags)
    if attacks:
        found["attacks"] = attacks
    return found


def _related(event_id: str, event: Event | None) -> Json:
    if event is None:
        return {"uid": event_id}
    return {"uid": event_id, "type": event.kind, "first_seen_time": event.time_ms}


def _attacks(tags: Sequence[str]) -> list[Json]:
    """ATT&CK techniques among Sigma *tags*: `attack.t1078.004`. Rules without one claim none."""
    found = []
    for tag in sorted(tags):
        name = tag.removeprefix("attack.").upper()
        if not tag.startswith("attack.t") or not name[1:5].isdigit():
            continue
        attack: Json = {"technique": {"uid": name[:5]}}
        if "." in name:
            attack["sub_technique"] = {"uid": name}
        found.append(attack)
    return found


def _physical(told: Story, proofs: Mapping[str, Json]) -> Json:
    """What OCSF cannot say of doors and presence: the completing event, and the context that was quoted."""
    said: Json = {}
    if told.last is not None and told.last.id in proofs:
        said["event"] = proofs[told.last.id]["data"]
    for group in ("presence", "travel", "last_badge", "door"):
        quoted = {n: v for n, v in told.values.items() if n.startswith(f"{group}.") and v is not None}
        if quoted:
            said[group] = {name.removeprefix(f"{group}."): quoted[name] for name in sorted(quoted)}
    return said


def _ours(told: Story, source: Source) -> Json:
    """What another program needs to check the alert: ids, values and what was assumed."""
    change, alert = told.change, told.alert
    said: Json = {
        "entity": alert.entity,
        "rule_id": alert.rule,
        "rule_hash": told.rule.hash,
        "bundle": source.bundle,
        "activity": change.activity,
        "decided_ms": alert.decided_ms,
        "event_id": alert.event_id,
        "evidence": list(alert.evidence),
        "values": {name: told.values[name] for name in sorted(told.values)},
        "count": alert.count,
        "repeats": list(alert.repeats),
        "repeat_count": alert.repeat_count,
        "assumed_complete": list(alert.assumed),
        "controls": list(told.rule.controls),
        "tags": list(told.rule.tags),
        "falsepositives": list(told.rule.falsepositives),
        "because": list(change.because),
    }
    if alert.is_summary:
        said["is_summary"] = True
    if alert.is_refuted:
        said["is_refuted"] = True
    if is_storm(told):
        said["is_storm"] = True
    if change.supersedes:
        said["supersedes"] = change.supersedes
    if change.superseded_by:
        said["superseded_by"] = change.superseded_by
    return said
