"""What an operator types, on a real broker: dead letters and back, alerts, and how `run` ends."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import msgspec

from correlator.adapters.kafka.publisher import KafkaPublisher
from correlator.alerts.phrases import iso
from correlator.engine.dead_letters import PREFIX
from tests.broker.broker import Broker
from tests.findings import Finding, open_alerts, read_finding
from tests.kafka.deployment import KEYED, PATIENT_MS, Deployment
from tests.kafka.fleet import Fleet

INTERRUPTED = 130


def test_dead_letters_go_back_once_the_feed_is_mended(tmp_path: Path, bootstrap: str, unique: str) -> None:
    """The feed does not know a word of its source. One record is of no use ever."""
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=120, session_ms=PATIENT_MS)
    badges = deployment.named("badge-events")
    of_badges = [record for record in deployment.records if record.topic == badges]
    spoilt = msgspec.structs.replace(of_badges[-1], value=b"\x00\x00junk", headers=(("from", b"gate 7"),))
    deployment.records.append(spoilt)
    person = msgspec.structs.replace(spoilt, topic=deployment.topics.identities, partition=0, key=b"e1")
    deployment.records.append(person)
    feed = tmp_path / "feeds" / "badge.yml"
    text = feed.read_text()
    feed.write_text(text.replace("GRANTED: granted, ", "").partition("\nsamples:")[0])
    deployment.publish()
    with Fleet(deployment) as fleet:
        assert fleet.start("a").join() == 0
        before = json.loads(deployment.call("dead-letters", "replay", ..., "--dry-run", "--json").stdout)
        assert before["usable"] == []
        feed.write_text(text)
        early = deployment.call("dead-letters", "replay", ...)
        assert (early.exit_code, "is active, and would take what is sent back" in early.output) == (2, True)
        assert deployment.call("deploy", ...).exit_code == 0
        done = deployment.call("dead-letters", "replay", ..., "--json")
        assert done.exit_code == 1
        found = json.loads(done.stdout)
        assert len(found["replayed"]) == len(of_badges)
        of_feed, of_people = sorted(found["refused"].items(), key=lambda item: "it is an identity" in item[1])
        assert "it is an identity" in of_people[1]
        left, why = of_feed
        assert "no schema has the id" in why
        assert fleet.start("a").join() == 0
    assert open_alerts(deployment.told()).keys() == open_alerts(deployment.replayed()).keys()
    shown = json.loads(deployment.call("dead-letters", "show", ..., left, "--json").stdout)
    assert bytes.fromhex(shown["value_hex"]) == spoilt.value
    described = deployment.call("dead-letters", "show", ..., left).stdout
    assert "gate 7" in described
    assert f"{iso(spoilt.timestamp_ms)} (arrival)" in described
    listed = deployment.call("dead-letters", "list", ..., "--json", "--reason", shown["reason"]).stdout
    assert left in {json.loads(line)["id"] for line in listed.splitlines()}
    assert deployment.call("dead-letters", "show", ..., "0/999").exit_code == 1
    assert deployment.call("dead-letters", "replay", ..., "0/999").exit_code == 2


def by_alert(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """What was told of each, in order: that of several is that of publication, not of partitions."""
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.finding_info.uid, []).append(finding)
    return found


def test_what_cannot_be_sent_back_is_said(tmp_path: Path, bootstrap: str, unique: str) -> None:
    """An identity, older than what is known maybe; a partition that is gone; what somebody else wrote."""
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=1, session_ms=PATIENT_MS)
    deployment.publish()
    (record,) = deployment.records
    of_raw = {"stage": "intake", "topic": record.topic, "offset": "1", "timestamp": "soon"}
    letters = [
        (b"{}", of_raw | {"topic": deployment.topics.identities, "partition": "0"}),
        (record.value, of_raw | {"partition": "99"}),
        (record.value, of_raw | {"partition": "\u00b2"}),
        (record.value, of_raw | {"partition": "0"}),
    ]
    with closing(KafkaPublisher(deployment.kafka)) as publisher:
        for value, headers in letters:
            ours = [(PREFIX + name, text.encode()) for name, text in headers.items()]
            publisher.send(deployment.topics.dead_letters, 0, b"key", value, ours)
        publisher.flush()
    done = deployment.call("dead-letters", "replay", ..., "--json")
    assert done.exit_code == 1, done.output
    found = json.loads(done.stdout)
    assert found["replayed"] == ["0/3"]
    assert "it is an identity, a newer one may be known" in found["refused"]["0/0"]
    assert f"there is no partition {record.topic}/99 any more" in found["refused"]["0/1"]


def test_commands_that_find_no_topic_or_another_say_so(tmp_path: Path, bootstrap: str, unique: str) -> None:
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=0, session_ms=PATIENT_MS)
    export = ("state", "export", ..., tmp_path / "file")
    missing = deployment.call(*export)
    assert (missing.exit_code, "does not exist, or is hidden from us" in missing.output) == (2, True)
    deployment.create_topics()
    nothing = deployment.call("feeds", "status", ...)
    assert (nothing.exit_code, "nothing is deployed yet" in nothing.output) == (2, True)
    assert deployment.call(*export).exit_code == 0
    general = tmp_path / "correlator.yml"
    general.write_text(json.dumps(json.loads(general.read_text()) | {"partitions": KEYED + 2}))
    for command in (export, ("state", "forget", ..., "--all")):
        other = deployment.call(*command)
        assert other.exit_code == 2
        assert f"has {KEYED} partitions, the configuration says {KEYED + 2}" in other.output


def test_alerts_tail_shows_what_is_published(tmp_path: Path, bootstrap: str, unique: str) -> None:
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=300, session_ms=PATIENT_MS)
    deployment.publish()
    with Fleet(deployment) as fleet:
        assert fleet.start("a").join() == 0
    told, tail = deployment.told(), ("alerts", "tail", "--config", ...)
    every = deployment.call(*tail, "--from-beginning", "--no-follow", "--json").stdout.splitlines()
    shown = [read_finding(line.encode()) for line in every]
    assert len(shown) == len(told)
    assert by_alert(shown) == by_alert(told)
    is_open = deployment.call(*tail, "--open", "--json").stdout.splitlines()
    uids = {read_finding(line.encode()).finding_info.uid for line in is_open}
    assert uids >= open_alerts(told).keys()
    without = deployment.call(*tail, "--no-follow", "--json")
    assert without.stdout.splitlines() == every  # what is there; it says so where that is nothing
    nothing = deployment.call(*tail, "--no-follow", "--shadow")
    assert (nothing.stdout, nothing.stderr) == ("", "no alerts\n")


def test_the_first_signal_ends_in_order_the_second_at_once(
    tmp_path: Path, broker: Broker, unique: str
) -> None:
    deployment = Deployment(tmp_path, broker.bootstrap, unique, records_max=300, session_ms=PATIENT_MS)
    deployment.publish()
    with deployment.running() as running:
        running.wait_for("/readyz")
        running.ask()
        assert running.join() == 0
    with deployment.running() as running:
        running.wait_for("/readyz")
        with broker.paused():  # so that it cannot end in order
            running.ask(signal.SIGINT)
            running.wait_until_asked()
            running.ask()
            assert running.join() == INTERRUPTED
    assert deployment.run("--until-end").returncode == 0
