"""`topics create` and `topics check` on a real broker: idempotent, every difference at once, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from typer.testing import CliRunner

from correlator.adapters.kafka.admin import Topic, kafka_topics, raw_topics
from correlator.adapters.kafka.config import KafkaConfig
from correlator.cli.topics import app
from tests.broker.broker import Broker, free_ports

RUNNER = CliRunner()


@pytest.fixture
def directory(bootstrap: str, unique: str, tmp_path: Path) -> Path:
    text = f"kafka: {{bootstrap_servers: '{bootstrap}'}}\ntopics: {{prefix: {unique}.}}\npartitions: 2\n"
    (tmp_path / "correlator.yml").write_text(text)
    return tmp_path


def test_create_then_check_finds_nothing_and_a_second_create_does_nothing(directory: Path) -> None:
    assert RUNNER.invoke(app, ["check", str(directory)]).exit_code == 1
    first = RUNNER.invoke(app, ["create", str(directory), "--json"])
    assert first.exit_code == 0
    assert len(json.loads(first.stdout)["created"]) == 9
    checked = RUNNER.invoke(app, ["check", str(directory)])
    assert (checked.exit_code, checked.stdout) == (0, "all topics are as they must be\n")
    assert "topics of feeds are not checked" in checked.stderr  # there are no sites in this directory
    assert json.loads(RUNNER.invoke(app, ["create", str(directory), "--json"]).stdout) == {"created": []}


def test_check_names_every_difference_at_once(directory: Path, bootstrap: str, unique: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics({f"{unique}.keyed": {"num_partitions": 3}, f"{unique}.alerts": {"num_partitions": 6}})
    admin.close()
    assert RUNNER.invoke(app, ["create", str(directory)]).exit_code == 0
    result = RUNNER.invoke(app, ["check", str(directory), "--json"])
    assert result.exit_code == 1
    found = {
        (d["topic"].removeprefix(f"{unique}."), d["what"]) for d in json.loads(result.stdout)["differences"]
    }
    assert ("keyed", "partitions") in found
    assert ("keyed", "message.timestamp.type") in found
    assert ("alerts", "cleanup.policy") in found
    assert ("alerts", "max.message.bytes") in found
    assert {topic for topic, _ in found} == {"keyed", "alerts"}
    text = RUNNER.invoke(app, ["check", str(directory)]).stdout
    assert f"to change a setting: kafka-configs.sh --bootstrap-server {bootstrap} --alter" in text


def test_a_wrong_configuration_is_exit_2_with_all_its_problems(tmp_path: Path) -> None:
    (tmp_path / "correlator.yml").write_text("kafka: {bootstrap_servers: nowhere}\npartitions: none\n")
    result = RUNNER.invoke(app, ["check", str(tmp_path)])
    assert result.exit_code == 2
    assert "correlator.yml:1:9" in result.stderr
    assert "correlator.yml:2:1" in result.stderr


def test_an_unreachable_broker_is_exit_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("correlator.adapters.kafka.admin.TIMEOUT_MS", 500)
    (port,) = free_ports(1)
    (tmp_path / "correlator.yml").write_text(f"kafka: {{bootstrap_servers: '127.0.0.1:{port}'}}\n")
    result = RUNNER.invoke(app, ["check", str(tmp_path)])
    assert result.exit_code == 3
    assert "no answer from Kafka" in result.stderr


def test_the_topics_of_feeds_must_be_there_and_are_the_customers_otherwise(
    bootstrap: str, unique: str
) -> None:
    with kafka_topics(KafkaConfig(bootstrap_servers=(bootstrap,))) as topics:
        topics.create([Topic(f"{unique}.badge", 7)])
        found = topics.check(raw_topics([f"{unique}.badge", f"{unique}.login"]))
    assert [str(difference) for difference in found] == [
        f"{unique}.login: does not exist, or is hidden from us"
    ]


def test_what_kafka_refuses_is_said_without_the_whole_request(directory: Path) -> None:
    result = RUNNER.invoke(app, ["create", str(directory), "--replication", "3"])
    assert result.exit_code == 3
    assert "InvalidReplicationFactorError: Unable to replicate the partition 3 time(s)" in result.stderr
    assert "CreateTopicsRequest" not in result.stderr


def test_a_cluster_that_never_had_a_group_has_nobody_in_one() -> None:
    """`backfill` and `state` ask it first of all, and took it for a Kafka that is down."""
    broker = Broker()
    try:
        broker.start()
        config = KafkaConfig.model_validate({"bootstrap_servers": broker.bootstrap})
        with kafka_topics(config) as topics:
            assert topics.members("correlator.intake") == []
    finally:
        broker.close()
