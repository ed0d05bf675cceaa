"""More processes and fewer, one after the other, and a stage each, while reads come in."""

from __future__ import annotations

from pathlib import Path

from correlator.simulate.wire import PARTITIONS, TOPICS
from tests.kafka.deployment import KEYED, Deployment
from tests.kafka.fleet import Fleet, Worker
from tests.kafka.live import LIVE, Traffic, check_live

INPUTS = PARTITIONS * len(TOPICS) + 1  # and the identities


def test_one_three_one_processes_under_load(tmp_path: Path, bootstrap: str, unique: str) -> None:
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=0)
    deployment.publish()
    with Fleet(deployment) as fleet, Traffic(deployment, per_s=100) as traffic:
        first = fleet.start("a", options=LIVE)
        traffic.flows()
        others = [fleet.start(name, options=LIVE) for name in ("b", "c")]
        traffic.wait(lambda: _share([first, *others]), "three do not share")
        traffic.flows()
        others[0].ask()
        assert others[0].join() == 0
        others[1].kill()
        traffic.wait(lambda: _share([first]), "the first one does not own everything again")
        traffic.flows()
        traffic.ends()
        first.ask()
        assert first.join() == 0
    check_live(deployment, traffic)


def test_restarted_one_after_the_other_nobody_rebalances(tmp_path: Path, bootstrap: str, unique: str) -> None:
    """Whoever is back within the session timeout, however slowly a process starts on a busy machine."""
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=0, session_ms=30_000)
    deployment.publish()
    names = ("a", "b", "c")
    with Fleet(deployment) as fleet, Traffic(deployment, per_s=100) as traffic:
        workers = {name: fleet.start(name, options=LIVE) for name in names}
        traffic.wait(lambda: _share(list(workers.values())), "three do not share")
        traffic.flows()
        generations = set[str]()
        for name in names:
            workers[name].ask()
            assert workers[name].join() == 0
            generations.add(workers[name].wait_for("generation"))
            workers[name] = fleet.start(name, options=LIVE)
            workers[name].wait_until_ready()
            traffic.flows()
        traffic.ends()
        for worker in workers.values():
            worker.ask()
            assert worker.join() == 0
            generations.add(worker.wait_for("generation"))
    assert len(generations) == 1
    check_live(deployment, traffic)


def test_a_process_for_each_stage(tmp_path: Path, bootstrap: str, unique: str) -> None:
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=0)
    deployment.publish()
    with Fleet(deployment) as fleet, Traffic(deployment, per_s=100) as traffic:
        intake = fleet.start("i", options=LIVE, stage="intake")
        correlate = fleet.start("c", options=LIVE, stage="correlate")
        traffic.flows()
        intake.kill()
        intake = fleet.start("i", options=LIVE, stage="intake")
        traffic.flows()
        correlate.kill()
        correlate = fleet.start("c", options=LIVE, stage="correlate")
        traffic.flows()
        assert intake.metric('correlator_records_consumed_total{stage="correlate"') == 0
        assert correlate.metric('correlator_records_consumed_total{stage="intake"') == 0
        traffic.ends()
        for worker in (intake, correlate):
            worker.ask()
            assert worker.join() == 0
    check_live(deployment, traffic)


def _share(workers: list[Worker]) -> bool:
    """Each of them owns something of both stages, together they own everything, and all are ready."""
    for stage, partitions in (("intake", INPUTS), ("correlate", KEYED)):
        name = f'correlator_partitions_assigned{{stage="{stage}"'
        owned = [worker.metric(name) for worker in workers]
        if 0 in owned or sum(owned) != partitions:
            return False
    return all(worker.reasons() == [] for worker in workers)
