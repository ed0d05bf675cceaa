"""Brokers that stand still, stop, die or miss replicas while reads come in: everything is told once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from kafka import KafkaAdminClient

from correlator.simulate.wire import PARTITIONS
from tests.broker.broker import Broker, Cluster, Node
from tests.kafka.deployment import Deployment
from tests.kafka.fleet import Fleet, Worker
from tests.kafka.live import LIVE, Traffic, check_live

BRIEF_S, LONG_S = 1.0, 6.0  # shorter than every timeout of the deployment, longer than all of them
ENDS: tuple[tuple[str, Callable[[Node], None]], ...] = (
    ("{prefix}.keyed", Node.stop),
    ("__transaction_state", Node.kill),
    ("__consumer_offsets", Node.kill),
)


def test_after_a_broker_stood_still_everything_is_told_once(
    tmp_path: Path, broker: Broker, unique: str
) -> None:
    deployment = Deployment(tmp_path, broker.bootstrap, unique, records_max=0)
    deployment.publish()
    with Fleet(deployment) as fleet, Traffic(deployment, per_s=100) as traffic:
        worker = fleet.start("a", options=LIVE)
        traffic.flows()
        for seconds in (BRIEF_S, LONG_S):
            with broker.paused():
                time.sleep(seconds)  # how long it takes is what is tried
            traffic.flows()
        _end(deployment, worker, traffic)


def test_leaders_and_coordinators_stop_die_and_come_back(
    tmp_path: Path, cluster: Cluster, unique: str
) -> None:
    """The brokers that lead *keyed*, the transactions and the group, whoever they are by then.

    Not on one broker without replicas: there Kafka 4 itself loses markers of transactions (ADR 26).
    """
    deployment = Deployment(tmp_path, cluster.bootstrap, unique, records_max=0)
    deployment.publish()
    with Fleet(deployment) as fleet, Traffic(deployment, per_s=100) as traffic:
        worker = fleet.start("a", options=LIVE)
        traffic.flows()
        for topic, end in ENDS:
            leader = cluster.leader(topic.format(prefix=unique))
            end(cluster.brokers[leader])
            traffic.flows()
            assert cluster.leader(topic.format(prefix=unique)) != leader
            cluster.brokers[leader].start()
            traffic.flows()
        _end(deployment, worker, traffic)


def test_while_replicas_are_missing_it_waits_and_then_goes_on(
    tmp_path: Path, cluster: Cluster, unique: str
) -> None:
    """Two brokers of three away: the third one takes no write."""
    deployment = Deployment(tmp_path, cluster.bootstrap, unique, records_max=0)
    deployment.publish()
    with Fleet(deployment) as fleet, Traffic(deployment, per_s=100) as traffic:
        worker = fleet.start("a", options=LIVE)
        traffic.flows()
        for number in (1, 2):
            cluster.brokers[number].kill()
        worker.wait_until(bool)  # it says why it is not ready
        assert worker.reasons("livez") == []  # which is no reason to restart it
        for number in (1, 2):
            cluster.brokers[number].start()
        traffic.flows()
        worker.wait_until_ready()
        _end(deployment, worker, traffic)


def _end(deployment: Deployment, worker: Worker, traffic: Traffic) -> None:
    traffic.ends()
    worker.ask()
    assert worker.join() == 0
    check_live(deployment, traffic)


def test_an_input_whose_topic_is_deleted_leaves_the_others(
    tmp_path: Path, bootstrap: str, unique: str
) -> None:
    """And is read when it is made again."""
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=0)
    deployment.publish()
    assigned = 'correlator_partitions_assigned{stage="intake"'
    logins = deployment.named("login-events")
    with Fleet(deployment) as fleet, Traffic(deployment, per_s=20) as traffic:
        worker = fleet.start("a", options=LIVE)
        worker.wait_for_metric(assigned, 3 * PARTITIONS + 1)
        admin = KafkaAdminClient(**deployment.kafka.client())
        admin.delete_topics([logins])
        admin.close()
        worker.wait_for_metric(assigned, 2 * PARTITIONS + 1)
        traffic.flows()
        (reason,) = worker.reasons()
        assert reason.startswith(f"the topic {logins} is not there")
        deployment.create_topics()
        worker.wait_for_metric(assigned, 3 * PARTITIONS + 1)
        worker.wait_until_ready()
        traffic.ends()
        worker.ask()
        assert worker.join() == 0
    assert not traffic.doubled
