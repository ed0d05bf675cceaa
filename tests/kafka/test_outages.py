"""Brokers that stand still, stop, die or miss replicas while reads come in: everything is told once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.broker.broker import Broker, Cluster
from tests.kafka.deployment import Deployment
from tests.kafka.fleet import Fleet, Worker
from tests.kafka.live import LIVE, Traffic, check_live

BRIEF_S, LONG_S = 1.0, 6.0  # shorter than every timeout of the deployment, longer than all of them


def _sleep(broker: Broker, seconds: float) -> None:
    with broker.paused():
        time.sleep(seconds)  # how long it takes is what is tried


def _restart(broker: Broker, end: Callable[[], None]) -> None:
    end()
    broker.start()


OUTAGES: tuple[Callable[[Broker], None], ...] = (
    lambda broker: _sleep(broker, BRIEF_S),
    lambda broker: _sleep(broker, LONG_S),
    lambda broker: _restart(broker, broker.stop),
    lambda broker: _restart(broker, broker.kill),
)


def test_after_an_outage_everything_is_told_once(tmp_path: Path, broker: Broker, unique: str) -> None:
    deployment = Deployment(tmp_path, broker.bootstrap, unique, records_max=0)
    deployment.publish()
    with Fleet(deployment) as fleet, Traffic(deployment, per_s=100) as traffic:
        worker = fleet.start("a", options=LIVE)
        traffic.flows()
        for outage in OUTAGES:
            outage(broker)
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


@pytest.mark.matrix
def test_a_coordinator_moves_to_another_broker(tmp_path: Path, cluster: Cluster, unique: str) -> None:
    """Of the groups and of the transactions: whoever is killed first, all of them move."""
    deployment = Deployment(tmp_path, cluster.bootstrap, unique, records_max=0)
    deployment.publish()
    with Fleet(deployment) as fleet, Traffic(deployment, per_s=100) as traffic:
        worker = fleet.start("a", options=LIVE)
        traffic.flows()
        for topic in ("__transaction_state", "__consumer_offsets"):
            leader = cluster.leader(topic)
            cluster.brokers[leader].kill()
            traffic.flows()
            assert cluster.leader(topic) != leader
            cluster.brokers[leader].start()
            traffic.flows()
        _end(deployment, worker, traffic)


def _end(deployment: Deployment, worker: Worker, traffic: Traffic) -> None:
    traffic.ends()
    worker.ask()
    assert worker.join() == 0
    check_live(deployment, traffic)
