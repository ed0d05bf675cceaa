"""Holds alerts against the truth of a simulation: what was found, missed, wrongly told, and how fast.

An attack is *found* if an alert of its rule and entity that is still open names one of its events. A
look-alike *alerted* if one of its rule and entity does, or falls in its time. An open alert that belongs
to no attack is *false*: an attack explains alerts of its rule, and of those it lists under `also`, for
its entity from an hour before until a day after. An alert that was told and then closed as retracted is
counted apart: late evidence explained it.

Pure: reads values, no files. Times in ms since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Literal

import msgspec

from correlator.event import DAY_MS, HOUR_MS

BEFORE_MS, AFTER_MS = HOUR_MS, DAY_MS


class Injected(msgspec.Struct, frozen=True):
    """A scenario of the truth file."""

    id: str
    kind: Literal["attack", "look-alike"]
    rule: str
    rule_name: str
    entity: str
    event_ids: tuple[str, ...]
    from_ms: int
    to_ms: int
    note: str = ""
    also: tuple[str, ...] = ()
    identity: str = ""
    door: str = ""


class Truth(msgspec.Struct, frozen=True):
    days: int
    people: int
    person_days: int
    scenarios: tuple[Injected, ...]


class _Correlator(msgspec.Struct):
    entity: str
    rule_id: str
    event_id: str
    decided_ms: int
    evidence: list[str] = []
    repeats: list[str] = []


class _Unmapped(msgspec.Struct):
    correlator: _Correlator


class _Analytic(msgspec.Struct):
    uid: str
    name: str = ""


class _Finding(msgspec.Struct):
    uid: str
    analytic: _Analytic
    title: str = ""


class AlertRecord(msgspec.Struct):
    """What is read of an OCSF Detection Finding."""

    activity_id: int
    time: int
    finding_info: _Finding
    unmapped: _Unmapped
    status_detail: str = ""
    start_time: int = 0
    end_time: int = 0
    message: str = ""


class Told(msgspec.Struct):
    """One alert as its records left it."""

    uid: str
    rule: str
    entity: str
    event_ids: frozenset[str]
    first_ms: int  # time of its newest evidence when it was told first
    told_ms: int
    last_ms: int  # newest event, repeats included
    is_open: bool
    reason: str
    message: str
    scenario: str = ""


class RuleResult(msgspec.Struct):
    """Counts for one rule; the lists name what a person may want to look up."""

    name: str
    injected: int = 0
    found: int = 0
    look_alikes: int = 0
    look_alikes_alerted: int = 0
    false_alarms: int = 0
    false_per_1000_person_days: float = 0.0
    also_fired: int = 0  # open alerts that an attack of another rule explains
    retracted: int = 0
    delay_median_s: float | None = None
    missed: list[Injected] = []
    wrongly_alerted: list[Injected] = []
    false: list[Told] = []

    @property
    def is_good(self) -> bool:
        return self.found == self.injected and not self.look_alikes_alerted


def read_alerts(lines: Iterable[bytes]) -> list[Told]:
    """Alerts from JSONL records, each as its last record says. Raises ValueError naming the line."""
    alerts: dict[str, Told] = {}
    decode = msgspec.json.Decoder(AlertRecord).decode
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = decode(line)
        except msgspec.DecodeError as error:
            raise ValueError(f"line {number} is no alert record: {error}") from error
        told = _told(record)
        before = alerts.get(told.uid)
        if before is not None:
            told.told_ms, told.first_ms = before.told_ms, before.first_ms
            told.event_ids |= before.event_ids
        alerts[told.uid] = told
    return list(alerts.values())


def _told(record: AlertRecord) -> Told:
    ours = record.unmapped.correlator
    ids = frozenset((ours.event_id, *ours.evidence, *ours.repeats))
    first_ms = record.end_time or ours.decided_ms
    return Told(
        record.finding_info.uid, ours.rule_id, ours.entity, ids, first_ms, record.time, first_ms,
        record.activity_id != 3, record.status_detail, record.message,
    )  # fmt: skip


def evaluate(truth: Truth, alerts: Sequence[Told]) -> dict[str, RuleResult]:
    """Results by rule name, for every rule with a scenario or an alert. Marks whose scenario an alert is."""
    names = {scenario.rule: scenario.rule_name for scenario in truth.scenarios}
    results = {name: RuleResult(name) for name in sorted(names.values())}
    by_entity: dict[str, list[Told]] = {}
    for alert in alerts:
        by_entity.setdefault(alert.entity, []).append(alert)
    delays: dict[str, list[float]] = {}
    for scenario in truth.scenarios:
        result = results[scenario.rule_name]
        near = [alert for alert in by_entity.get(scenario.entity, ()) if alert.rule == scenario.rule]
        if scenario.kind == "attack":
            _judge_attack(scenario, near, result, delays.setdefault(scenario.rule_name, []))
        else:
            _judge_look_alike(scenario, near, result)
    _judge_rest(truth, alerts, results, names)
    for name, found in delays.items():
        results[name].delay_median_s = round(median(found), 3) if found else None
    return results


def _names_one(scenario: Injected, alert: Told) -> bool:
    return not alert.event_ids.isdisjoint(scenario.event_ids)


def _judge_attack(scenario: Injected, near: list[Told], result: RuleResult, delays: list[float]) -> None:
    result.injected += 1
    hits = [alert for alert in near if alert.is_open and _names_one(scenario, alert)]
    if not hits:
        result.missed.append(scenario)
        return
    result.found += 1
    first = min(hits, key=lambda alert: alert.told_ms)
    delays.append(max(0, first.told_ms - first.first_ms) / 1000)


def _judge_look_alike(scenario: Injected, near: list[Told], result: RuleResult) -> None:
    result.look_alikes += 1
    hits = [
        alert
        for alert in near
        if alert.is_open
        and (_names_one(scenario, alert) or scenario.from_ms <= alert.first_ms <= scenario.to_ms)
    ]
    for alert in hits:
        alert.scenario = scenario.id
    if hits:
        result.look_alikes_alerted += 1
        result.wrongly_alerted.append(scenario)


def _judge_rest(
    truth: Truth, alerts: Sequence[Told], results: dict[str, RuleResult], names: dict[str, str]
) -> None:
    """Give each alert to the attack that explains it; the open ones without are false alarms."""
    attacks: dict[str, list[Injected]] = {}
    for scenario in truth.scenarios:
        if scenario.kind == "attack":
            attacks.setdefault(scenario.entity, []).append(scenario)
    for alert in alerts:
        result = results.setdefault(names.get(alert.rule, alert.rule), RuleResult(alert.rule))
        if not alert.is_open:
            result.retracted += alert.reason == "retracted"
            continue
        cause = next((s for s in attacks.get(alert.entity, ()) if _explains(s, alert)), None)
        if cause is None:
            result.false_alarms += 1
            result.false.append(alert)
        else:
            alert.scenario = cause.id
            result.also_fired += cause.rule != alert.rule
    for result in results.values():
        result.false_per_1000_person_days = round(1000 * result.false_alarms / max(1, truth.person_days), 3)


def _explains(scenario: Injected, alert: Told) -> bool:
    if alert.rule != scenario.rule and alert.rule not in scenario.also:
        return False
    if _names_one(scenario, alert):
        return True
    return scenario.from_ms - BEFORE_MS <= alert.first_ms <= scenario.to_ms + AFTER_MS
