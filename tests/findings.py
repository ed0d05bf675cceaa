"""Alerts as published, read back as far as tests compare them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

D26 = "c0a80001-0026-4d26-8a26-000000000026"  # reads scores, which depend on the order of arrival


class _Id(msgspec.Struct):
    uid: str
    created_time: int = 0


class _Ours(msgspec.Struct):
    rule_id: str
    entity: str
    evidence: list[str]


class _Unmapped(msgspec.Struct):
    correlator: _Ours


class Finding(msgspec.Struct):
    """What must be equal of an alert, and what tells two records of one change apart."""

    activity_id: int
    severity: str
    finding_info: _Id
    metadata: _Id
    unmapped: _Unmapped


Open = dict[str, tuple[str, str, str, tuple[str, ...]]]


def open_alerts(findings: Iterable[Finding]) -> Open:
    """uid -> rule, entity, severity, evidence of what is open at the end, without D26."""
    found: Open = {}
    for finding in findings:
        uid, ours = finding.finding_info.uid, finding.unmapped.correlator
        found[uid] = (ours.rule_id, ours.entity, finding.severity, tuple(ours.evidence))
        if finding.activity_id == 3:
            del found[uid]
    return {uid: alert for uid, alert in found.items() if alert[0] != D26}


read_finding = msgspec.json.Decoder(Finding).decode
