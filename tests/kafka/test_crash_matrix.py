"""The real command line on a real broker, killed at each point of a commit: nothing lost or told twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from correlator.cli.on_kafka import KILLED
from tests.findings import open_alerts
from tests.kafka.deployment import Deployment

# One after the other on one log: each process starts from what the one before left behind.
POINTS = (
    "intake-after-offsets-sent:2",
    "correlate-after-flush:2",
    "intake-after-commit-sent:2",
    "correlate-after-offsets-sent:2",
    "correlate-after-commit-sent:2",
    "during-checkpoint:2",
)


def test_killed_at_each_point_of_a_commit_the_alerts_are_those_of_replay(
    tmp_path: Path, bootstrap: str, unique: str
) -> None:
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=1_500)
    expected = open_alerts(deployment.replayed())
    assert len(expected) >= 3
    deployment.publish()
    for point in POINTS:
        died = deployment.run("--until-end", crash_at=point)
        assert died.returncode == KILLED, f"{point} was not reached: {died.stderr}"
    ended = deployment.run("--until-end")
    assert ended.returncode == 0, ended.stderr
    findings = deployment.told()
    assert open_alerts(findings) == expected
    doubled = {uid: n for uid, n in Counter(f.metadata.uid for f in findings).items() if n > 1}
    assert not doubled
    created = Counter(f.finding_info.uid for f in findings if f.activity_id == 1)
    assert set(created.values()) == {1}
