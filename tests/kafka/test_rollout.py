"""Bundles on a real broker: a deployment that dies half way, processes that switch while they run."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from correlator.adapters.kafka.publisher import KafkaPublisher
from correlator.alerts.phrases import iso
from correlator.cli.candidate import read_candidate
from correlator.cli.connection import load_connection
from correlator.cli.deploy import bring
from correlator.engine import deploy as engine_deploy
from correlator.engine.bundles import Activated
from correlator.engine.ports import TransactionalWriter
from correlator.frame import decode_frame
from correlator.simulate.wire import PARTITIONS
from tests.broker.broker import Broker
from tests.findings import Finding, read_finding
from tests.kafka.deployment import EVERY_READ, KEYED, Deployment
from tests.kafka.fleet import KILLED, Fleet, Halt, halting
from tests.kafka.live import LIVE, Traffic, check_live
from tests.kafka.points import Commits

RULE = str(EVERY_READ["id"])
FORKS = multiprocessing.get_context("forkserver")
DIES_AT = {"begun": "old", "sending": "old", "flushed": "old", "commit-sent": "new"}


def _change(deployment: Deployment, **changes: Any) -> str:
    """Another bundle in the directory: the rule that tells of every read, otherwise. Its hash."""
    path = deployment.directory / "rules" / "every_read.yml"
    path.write_text(json.dumps(EVERY_READ | changes))
    return read_candidate(deployment.directory).bundle.hash


def _active(deployment: Deployment) -> tuple[Activated, ...]:
    return deployment.bundles().history


def _activations(deployment: Deployment) -> dict[int, list[str]]:
    """By partition of *keyed*, in order."""
    found: dict[int, list[str]] = {number: [] for number in range(KEYED)}
    for record in deployment.committed(deployment.topics.keyed):
        frame = decode_frame(record.value or b"")
        if frame.activate is not None:
            found[record.partition].append(frame.activate.bundle)
    return found


def _everywhere(names: list[str]) -> dict[int, list[str]]:
    return dict.fromkeys(range(KEYED), names)


def _deploy_and_die(directory: str, point: str) -> None:
    """In a process of its own: `deploy`, which kills itself at *point*."""
    original = engine_deploy.deploy
    reached = halting((Halt(f"deploy-{point}"),))

    def watched(edges: engine_deploy.Edges, *rest: Any, **options: Any) -> bool:
        writer: TransactionalWriter = edges.writer
        Commits("deploy", writer, reached)
        return original(edges, *rest, **options)

    bring.__globals__["deploy"] = watched
    path = Path(directory)
    bring(load_connection(path), read_candidate(path), is_first=False)


@pytest.mark.parametrize("point", DIES_AT)
def test_a_deployment_that_is_killed_is_on_all_partitions_or_on_none(
    tmp_path: Path, bootstrap: str, unique: str, point: str
) -> None:
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=0)
    deployment.create_topics()
    assert deployment.call("deploy", ...).exit_code == 0
    old = _active(deployment)[0].bundle
    new = _change(deployment, level="high")
    _killed_while_deploying(deployment, point)
    is_new = DIES_AT[point] == "new"
    assert _active(deployment)[0].bundle == (new if is_new else old)
    assert _activations(deployment) == _everywhere([old, new] if is_new else [old])
    assert deployment.call("deploy", ...).exit_code == 0
    assert _activations(deployment) == _everywhere([old, new])


def test_deployments_that_are_killed_under_load_cost_no_alert(
    tmp_path: Path, bootstrap: str, unique: str
) -> None:
    """At each point in turn, while reads come in: alerts and state are those of one undisturbed stage."""
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=0)
    deployment.publish()
    with Fleet(deployment) as fleet, Traffic(deployment, per_s=50) as traffic:
        workers = [fleet.start(name, options=LIVE) for name in ("a", "b")]
        traffic.flows()
        names, told = [_active(deployment)[0].bundle], ["Informational"]
        for point, severity in zip(DIES_AT, ("High", "Low", "Medium", "Critical"), strict=True):
            names.append(_change(deployment, level=severity.lower()))
            told.append(severity)
            _killed_while_deploying(deployment, point)
            traffic.flows()
            assert deployment.call("deploy", ...).exit_code == 0
            traffic.wait(lambda: _severities(deployment) == told, "nobody switches")
        traffic.ends()
        for worker in workers:
            worker.ask()
            assert worker.join() == 0
    assert _activations(deployment) == _everywhere(names)
    check_live(deployment, traffic)


def _killed_while_deploying(deployment: Deployment, point: str) -> None:
    process = FORKS.Process(target=_deploy_and_die, args=(str(deployment.directory), point))
    process.start()
    process.join()
    assert process.exitcode == KILLED


def test_processes_that_start_at_once_agree_on_the_first_bundle(
    tmp_path: Path, bootstrap: str, unique: str
) -> None:
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=0)
    deployment.publish()
    with Fleet(deployment) as fleet:
        workers = [fleet.start(name, options=LIVE) for name in ("a", "b", "c")]
        for worker in workers:
            worker.wait_for("started")
    (active,) = _active(deployment)
    assert _activations(deployment) == _everywhere([active.bundle])


def test_who_runs_switches_at_the_frame_and_back(tmp_path: Path, bootstrap: str, unique: str) -> None:
    """Without a restart, a rebalance, or an alert lost or doubled."""
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=0)
    deployment.publish()
    with Fleet(deployment) as fleet, Traffic(deployment, per_s=50) as traffic:
        workers = [
            fleet.start("i", options=LIVE, stage="intake"),
            fleet.start("c", options=LIVE, stage="correlate"),
        ]
        traffic.flows()
        rebalances = [worker.metric("correlator_rebalances_total") for worker in workers]
        _change(deployment, level="high")
        assert deployment.call("deploy", ...).exit_code == 0
        traffic.wait(lambda: _severities(deployment) == ["Informational", "High"], "nobody switches")
        wrong = deployment.call("rollback", ..., "--to", "no-such")
        assert wrong.exit_code == 2
        assert "no bundle begins with 'no-such'" in wrong.stderr
        hash_of_first = _activations(deployment)[0][0]
        assert deployment.call("rollback", ..., "--to", hash_of_first[:12]).exit_code == 0
        back = ["Informational", "High", "Informational"]
        traffic.wait(lambda: _severities(deployment) == back, "nobody switches back")
        traffic.ends()
        assert [worker.metric("correlator_rebalances_total") for worker in workers] == rebalances
        for worker in workers:
            worker.ask()
            assert worker.join() == 0
    assert not traffic.doubled, traffic.doubled
    assert traffic.told.keys() == traffic.sent.keys()
    (first, *_), *others = _activations(deployment).values()
    assert all(names[0] == first and len(names) == 3 for names in others)


def _uid(finding: Finding) -> str:
    return finding.metadata.uid


def _severities(deployment: Deployment) -> list[str]:
    """Of the rule's alerts as they stand now, by time of the reads: each that differs from the last."""
    found = [read_finding(record.value or b"") for record in deployment.committed(deployment.topics.alerts)]
    newest = {
        f.finding_info.uid: (f.finding_info.created_time, f.severity)
        for f in found
        if f.unmapped.correlator.rule_id == RULE
    }
    severities = [severity for _, severity in sorted(newest.values())]
    return [s for before, s in zip(["", *severities], severities, strict=False) if s != before]


def test_a_feed_that_a_bundle_adds_is_read(tmp_path: Path, bootstrap: str, unique: str) -> None:
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=300)
    feed, sites = tmp_path / "feeds" / "door.yml", tmp_path / "sites.yml"
    texts = {path: path.read_text() for path in (feed, sites)}
    document = json.loads(texts[sites])
    for site in document["sites"]:
        del site["sources"]["door"]
    sites.write_text(json.dumps(document))
    feed.unlink()
    deployment.publish()
    doors = sum(record.topic == deployment.named("door-events") for record in deployment.records)
    assert doors > 0
    with Fleet(deployment) as fleet:
        worker = fleet.start("a", options=LIVE)
        assigned = 'correlator_partitions_assigned{stage="intake"'
        worker.wait_for_metric(assigned, 2 * PARTITIONS + 1)
        for path, text in texts.items():
            path.write_text(text)
        assert deployment.call("deploy", ...).exit_code == 0
        worker.wait_for_metric(assigned, 3 * PARTITIONS + 1)
        name = deployment.named("door-events")
        worker.wait_for_metric(f'correlator_records_consumed_total{{stage="intake",topic="{name}"', doors)
        worker.ask()
        assert worker.join() == 0


def test_alerts_of_a_shadow_rule_go_to_the_shadow_topic_alone(
    tmp_path: Path, bootstrap: str, unique: str
) -> None:
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=200)
    block = EVERY_READ["correlator"]
    assert isinstance(block, dict)
    _change(deployment, correlator=block | {"mode": "shadow"})
    deployment.publish()
    with Fleet(deployment) as fleet:
        assert fleet.start("a").join() == 0
    shadow = [read_finding(r.value or b"") for r in deployment.committed(deployment.topics.shadow)]
    assert {finding.unmapped.correlator.rule_id for finding in shadow} == {RULE}
    assert RULE not in {finding.unmapped.correlator.rule_id for finding in deployment.told()}
    tail = deployment.call(
        "alerts", "tail", "--config", ..., "--shadow", "--from-beginning", "--no-follow", "--json"
    )
    shown = [read_finding(line.encode()) for line in tail.stdout.splitlines()]
    assert sorted(shown, key=_uid) == sorted(shadow, key=_uid), "in order of publication, not of partitions"
    live, apart = tmp_path / "live.jsonl", tmp_path / "shadow.jsonl"
    assert deployment.call("replay", ..., "--out", live, "--shadow", apart).exit_code == 0
    replayed = {read_finding(line).finding_info.uid for line in apart.read_bytes().splitlines()}
    assert replayed == {finding.finding_info.uid for finding in shadow}


def test_run_with_watch_deploys_what_changes_and_nothing_that_is_wrong(
    tmp_path: Path, bootstrap: str, unique: str
) -> None:
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=0)
    deployment.publish()
    with deployment.running("--watch") as running:
        running.wait_for("/readyz")
        (first,) = _active(deployment)
        path = deployment.directory / "rules" / "every_read.yml"
        path.write_text("detection: {")
        running.wait_for("not deployed: the old bundle stays")
        assert _active(deployment) == (first,)
        changed = _change(deployment, level="high")
        running.wait_for(f"deployed bundle {changed}")
        assert [a.bundle for a in _active(deployment)] == [changed, first.bundle]
        running.wait_for(f"bundle {changed} is in force; it was {first.bundle}")
        running.ask()
        assert running.join() == 0


def test_what_changes_while_kafka_is_away_is_deployed_when_it_is_back(
    tmp_path: Path, broker: Broker, unique: str
) -> None:
    deployment = Deployment(tmp_path, broker.bootstrap, unique, records_max=0)
    deployment.publish()
    with deployment.running("--watch") as running:
        running.wait_for("/readyz")
        with broker.paused():
            changed = _change(deployment, level="high")
            running.wait_for("not deployed")
        running.wait_for(f"deployed bundle {changed}")
        assert _active(deployment)[0].bundle == changed
        running.ask()
        assert running.join() == 0


def test_what_is_active_is_deployed_again_to_reach_back_further(
    tmp_path: Path, bootstrap: str, unique: str
) -> None:
    """Then what happened since is told of, once; done once more, or for less time, it changes nothing."""
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=200)
    path = tmp_path / "rules" / "every_read.yml"
    text = path.read_text()
    path.unlink()
    deployment.publish()
    since = iso(min(record.timestamp_ms for record in deployment.records))
    with Fleet(deployment) as fleet:
        assert fleet.start("a").join() == 0
        path.write_text(text)
        first = json.loads(deployment.call("deploy", ..., "--json").stdout)
        assert first["activated"]
        assert fleet.start("a").join() == 0
        assert RULE not in _rules_told(deployment)
        further = json.loads(deployment.call("deploy", ..., "--since", since, "--json").stdout)
        assert (further["activated"], further["since"]) == (True, since)
        assert fleet.start("a").join() == 0
    told = _rules_told(deployment)
    assert told.count(RULE) > 20
    again = deployment.call("deploy", ...)
    assert f"is active already, for what happens from {since} on: nothing was changed" in again.stdout
    later = json.loads(deployment.call("deploy", ..., "--json").stdout)
    assert (later["activated"], later["since"]) == (False, since)
    assert [activated.bundle for activated in _active(deployment)[:2]] == [first["bundle"]] * 2
    assert deployment.call("rollback", ...).exit_code == 0
    assert _active(deployment)[0].bundle != first["bundle"], "another bundle"
    assert sorted(told) == sorted(_rules_told(deployment))


def _rules_told(deployment: Deployment) -> list[str]:
    """Of each alert its rule."""
    return [finding.unmapped.correlator.rule_id for finding in deployment.told() if finding.activity_id == 1]


def test_a_bundle_whose_topics_are_not_so_is_not_deployed(
    tmp_path: Path, bootstrap: str, unique: str
) -> None:
    """Whoever started next would refuse it; and other `partitions` could not be set right again."""
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=0)
    deployment.create_topics()
    general, feed = tmp_path / "correlator.yml", tmp_path / "feeds" / "badge.yml"
    texts = {path: path.read_text() for path in (general, feed)}
    general.write_text(json.dumps(json.loads(texts[general]) | {"partitions": 2 * KEYED}))
    refused = deployment.call("deploy", ...)
    assert refused.exit_code == 2
    assert f"has {KEYED} partitions, the configuration says {2 * KEYED}" in refused.stderr
    general.write_text(texts[general])
    feed.write_text(texts[feed].replace(deployment.named("badge-events"), f"{unique}.nothing"))
    refused = deployment.call("deploy", ...)
    assert refused.exit_code == 2
    assert f"these topics do not exist: {unique}.nothing" in refused.stderr
    assert not _active(deployment)
    feed.write_text(texts[feed])
    assert deployment.call("deploy", ...).exit_code == 0


def test_an_active_bundle_that_is_spoilt_is_stored_again(tmp_path: Path, bootstrap: str, unique: str) -> None:
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=0)
    deployment.create_topics()
    assert deployment.call("deploy", ...).exit_code == 0
    (first,) = _active(deployment)
    publisher = KafkaPublisher(deployment.kafka)
    publisher.send(deployment.topics.bundles, 0, first.bundle.encode(), b"\xc1", (), None)
    publisher.flush()
    publisher.close()
    assert deployment.call("rules", "status", ...).exit_code == 2
    again = deployment.call("deploy", ...)
    assert again.exit_code == 0, again.stderr
    assert "what is active cannot be compared with" in again.stderr
    assert deployment.call("rules", "status", ...).exit_code == 0
    assert [activated.since_ms for activated in _active(deployment)] == [first.since_ms] * 2
