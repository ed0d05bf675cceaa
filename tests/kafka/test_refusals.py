"""Logs that were tampered with: what cannot be gone on with is refused, and what a message advises helps.

The messages themselves are held by tests/engine/test_refusals.py, on the embedded log.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import NoError
from kafka.structs import OffsetAndMetadata
from kafka.structs import TopicPartition as KafkaPartition

from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.cli.candidate import read_candidate
from correlator.cli.connection import load_connection
from correlator.cli.deploy import bring
from correlator.cli.on_kafka import wrong_policies
from correlator.engine.checkpoint import MANIFEST_KEY
from correlator.engine.ports import TopicPartition
from correlator.engine.topics import EngineRefusal
from tests.kafka.deployment import KEYED, Deployment
from tests.kafka.fleet import REFUSED, Fleet
from tests.kafka.live import LIVE, Traffic
from tests.kafka.oracle import check


class Operator:
    """Does to the topics and groups of a deployment what people do with Kafka's tools."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._admin = KafkaAdminClient(**deployment.kafka.client())
        self.topics = deployment.topics
        self.group = deployment.topics.group("correlate")
        self.keyed = KafkaPartition(deployment.topics.keyed, 0)
        self.checkpoint = KafkaPartition(deployment.topics.checkpoints, 0)

    def forget_offset(self, fleet: Fleet) -> None:
        fleet.wait_for_members("correlate", set())
        done = self._admin.delete_group_offsets(self.group, [self.keyed])
        assert done == {self.keyed: NoError}

    def set_offset(self, fleet: Fleet, offset: int) -> None:
        fleet.wait_for_members("correlate", set())
        done = self._admin.alter_group_offsets(self.group, {self.keyed: OffsetAndMetadata(offset, "", -1)})
        assert done == {self.keyed: NoError}

    def lose_checkpoints(self, before: int) -> None:
        """As with a policy of deletion, which `topics check` warns of; Kafka refuses to delete otherwise."""
        self.clean_up(self.topics.checkpoints, "compact,delete")
        self.delete(self.checkpoint, before)
        self.clean_up(self.topics.checkpoints, "compact")

    def clean_up(self, topic: str, policy: str) -> None:
        self._admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic, {"cleanup.policy": policy})]
        )

    def delete(self, where: KafkaPartition, before: int = -1) -> None:
        """Records with an offset less than *before*; -1: all."""
        self._admin.delete_records({where: before})

    def end(self) -> int:
        """Of partition 0 of *keyed*."""
        reader = KafkaLogReader(self._deployment.kafka)
        end = reader.high_watermark(TopicPartition(self.topics.keyed, 0))
        reader.close()
        return end

    def manifest_offset(self) -> int:
        """Where the newest manifest of partition 0 lies in the checkpoint topic."""
        reader, tp = KafkaLogReader(self._deployment.kafka), TopicPartition(self.topics.checkpoints, 0)
        records = reader.read(tp, reader.begin_offset(tp), reader.high_watermark(tp))
        (*_, newest) = [record.offset for record in records if record.key == MANIFEST_KEY]
        reader.close()
        return newest

    def recreate(self, topic: str) -> None:
        self._admin.delete_topics([topic])
        while topic in self._admin.list_topics():
            pass
        self._deployment.create_topics()

    def add_partition(self) -> None:
        self._admin.create_partitions({self.topics.keyed: KEYED + 1})

    def close(self) -> None:
        self._admin.close()


@pytest.fixture
def deployment(tmp_path: Path, bootstrap: str, unique: str) -> Deployment:
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=300)
    deployment.publish()
    return deployment


@pytest.fixture
def operator(deployment: Deployment) -> Iterator[Operator]:
    operator = Operator(deployment)
    yield operator
    operator.close()


def _refusal(fleet: Fleet) -> str:
    worker = fleet.start("a")
    assert worker.join() == REFUSED
    return worker.wait_for("refused")


def test_what_the_messages_advise_helps(deployment: Deployment, operator: Operator, tmp_path: Path) -> None:
    with Fleet(deployment) as fleet:
        assert fleet.start("a").join() == 0
        operator.forget_offset(fleet)
        found = re.search(r"no committed offset.*to (\d+): `correlator state offsets DIR`", _refusal(fleet))
        assert found is not None
        operator.set_offset(fleet, int(found[1]))
        assert fleet.start("a").join() == 0
        check(deployment)
        operator.set_offset(fleet, 0)
        assert "its offset was reset" in _refusal(fleet)
        done = deployment.call("state", "offsets", ...)
        assert (done.exit_code, done.output.count("the group goes on at offset")) == (0, 1)
        assert fleet.start("a").join() == 0
        check(deployment)
        operator.lose_checkpoints(operator.manifest_offset())
        assert re.search(r"it holds 0 entities of \d+.*`correlator state forget DIR", _refusal(fleet))
        assert deployment.call("state", "forget", ..., 0).exit_code == 0
        assert fleet.start("a").join() == 0
        check(deployment)
        operator.recreate(operator.topics.checkpoints)
        assert fleet.start("a").join() == 0
        check(deployment)
        file = tmp_path / "learnt"
        assert deployment.call("state", "export", ..., file).exit_code == 0
        operator.recreate(operator.topics.checkpoints)
        operator.delete(operator.keyed)
        advised = "no longer reaches back.*`correlator state import DIR FILE --partition 0`"
        assert re.search(advised, _refusal(fleet))
        assert deployment.call("state", "import", ..., file).exit_code == 0
        assert fleet.start("a").join() == 0
        operator.add_partition()
        assert "has 5 partitions, the configuration says 4" in _refusal(fleet)


def test_a_partition_added_to_keyed_stops_who_runs(deployment: Deployment, operator: Operator) -> None:
    with Fleet(deployment) as fleet:
        worker = fleet.start("a", options=LIVE)
        worker.wait_until_ready()
        operator.add_partition()
        assert worker.join() == REFUSED
        assert "has 5 partitions, but this state was made when it had 4" in worker.wait_for("refused")


def test_records_of_keyed_deleted_before_they_were_folded(deployment: Deployment, operator: Operator) -> None:
    with Fleet(deployment) as fleet, Traffic(deployment, per_s=20) as traffic:
        fleet.start("i", options=LIVE, stage="intake")
        correlate = fleet.start("c", options=LIVE, stage="correlate")
        traffic.flows(5)
        correlate.stop()
        written = operator.end()
        traffic.wait(lambda: operator.end() > written, "nothing is written to keyed")
        operator.delete(operator.keyed)
        correlate.go_on()
        assert correlate.join() == REFUSED
        assert "Records were deleted before they were read" in correlate.wait_for("refused")


def test_records_of_an_input_deleted_before_they_were_read_are_told_of(
    deployment: Deployment, operator: Operator
) -> None:
    with Fleet(deployment) as fleet, Traffic(deployment, per_s=20) as traffic:
        worker = fleet.start("a", options=LIVE)
        traffic.flows(5)
        worker.stop()
        known = len(traffic.sent)
        traffic.wait(lambda: len(traffic.sent) > known + 20, "nothing is sent")
        badges = deployment.named("badge-events")
        for number in range(3):
            operator.delete(KafkaPartition(badges, number))
        worker.go_on()
        traffic.flows(5)
        worker.ask()
        assert worker.join() == 0
    notices = deployment.committed(deployment.topics.notices)
    lost = {r.key: r.value or b"" for r in notices if (r.key or b"").startswith(b"records_lost:")}
    assert lost.keys() == {f"records_lost:{badges}:{n}".encode() for n in range(3)}
    assert all(b"were deleted before they were read. Reading goes on at" in value for value in lost.values())


def test_a_topic_that_kafka_deletes_from_is_told_of_at_the_start(
    deployment: Deployment, operator: Operator
) -> None:
    connection = load_connection(deployment.directory)
    assert wrong_policies(connection) == []
    operator.clean_up(deployment.topics.identities, "delete")
    assert wrong_policies(connection) == [
        f"{deployment.topics.identities}: cleanup.policy is delete, must be compact"
    ]


def test_commands_say_what_is_not_there_yet(deployment: Deployment) -> None:
    """Topics are there, and nothing is deployed."""
    status = deployment.call("rules", "status", ...)
    assert (status.exit_code, "nothing is deployed: `correlator deploy" in status.output) == (2, True)
    shutil.rmtree(deployment.directory / "records")
    tried = deployment.call("rules", "backtest", "--config", ...)
    assert "no bundle is active: give --against FILES" in " ".join(tried.output.replace("│", " ").split())
    rule = deployment.directory / "rules" / "every_read.yml"
    text = json.loads(rule.read_text())
    text["correlator"]["tests"] = [{"name": "no", "expect": "match", "events": [{"event.kind": "login"}]}]
    rule.write_text(json.dumps(text))
    with pytest.raises(EngineRefusal, match="tests fail: it was not activated"):
        bring(load_connection(deployment.directory), read_candidate(deployment.directory), is_first=True)
