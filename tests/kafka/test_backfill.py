"""A deployment that begins with the past: learns from it, tells of it in shadow only, and goes live."""

from __future__ import annotations

import json
from pathlib import Path

from correlator.adapters.clock import SystemClock
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.engine.bundles import Bundles
from correlator.event import DAY_MS, NEVER
from tests.findings import read_finding
from tests.kafka.deployment import PATIENT_MS, Deployment

LONG_AGO = "2025-01-01T00:00Z"


def test_the_past_is_learned_in_shadow_and_then_it_is_live(
    tmp_path: Path, bootstrap: str, unique: str
) -> None:
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=600, session_ms=PATIENT_MS)
    deployment.publish()
    done = deployment.call("backfill", ..., "--from", LONG_AGO, "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    topics = ("badge-events", "door-events", "login-events")
    records = [r for topic in topics for r in deployment.committed(deployment.named(topic))]
    days = (SystemClock().now_ms() - min(record.timestamp_ms for record in records)) / DAY_MS
    people = len(deployment.committed(deployment.topics.identities))
    assert people * (days - 0.1) < report["person_days"] <= people * days, "of what there was, not of 2025"
    assert deployment.told() == []
    shadow = [read_finding(r.value or b"") for r in deployment.committed(deployment.topics.shadow)]
    assert sum(rule["told"] for rule in report["rules"].values()) == len({f.finding_info.uid for f in shadow})
    tried = {f.unmapped.correlator.rule_id for f in shadow}
    assert tried >= {f.unmapped.correlator.rule_id for f in deployment.replayed()}
    log = KafkaLogReader(deployment.kafka)
    bundles = Bundles(log, deployment.topics.bundles)
    bundles.look()
    log.close()
    live, past = bundles.history
    assert live.bundle == report["bundle"] != past.bundle
    assert past.since_ms == NEVER < live.since_ms
    again = deployment.call("backfill", ..., "--from", LONG_AGO)
    assert again.exit_code == 2
    assert "has read records already" in again.stderr
    status = json.loads(deployment.call("rules", "status", ..., "--since", LONG_AGO, "--json").stdout)
    assert sum(rule["hits"]["shadow"] for rule in status["rules"]) == len(
        {f.finding_info.uid for f in shadow}
    )
    assert [entry["bundle"] for entry in status["history"]] == [live.bundle, past.bundle]
    there = deployment.call("who", deployment.company.sites[0].id, "--config", ..., "--json")
    assert there.exit_code == 0, there.stderr


def test_a_backfill_in_which_nobody_is_known_is_refused(tmp_path: Path, bootstrap: str, unique: str) -> None:
    """It learned nothing of anybody, and there was no second one."""
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=1, session_ms=PATIENT_MS)
    deployment.create_topics()
    refused = deployment.call("backfill", ..., "--from", LONG_AGO)
    assert refused.exit_code == 2
    assert f"{deployment.topics.identities} holds nobody" in refused.stderr
    deployment.publish()
    assert deployment.call("backfill", ..., "--from", LONG_AGO).exit_code == 0


def test_a_backfill_of_the_future_is_refused(tmp_path: Path, bootstrap: str, unique: str) -> None:
    """A wrong year read nothing, and there was no second one."""
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=1, session_ms=PATIENT_MS)
    deployment.publish()
    refused = deployment.call("backfill", ..., "--from", "2226-01-01T00:00Z")
    assert refused.exit_code == 2
    assert "is in the future" in refused.stderr
    assert deployment.call("backfill", ..., "--from", "2026-01-01T00:00Z").exit_code == 0
