"""A backfill that is killed and called again ends as one pass over the same records does."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from correlator.adapters.files import load_bundle
from correlator.adapters.record_files import read_records
from correlator.cli.looking import looking
from correlator.cli.replay import Replay
from correlator.timeline.habits import Day, Habits
from correlator.timeline.partition import Partition
from tests.findings import open_alerts, read_finding
from tests.kafka.deployment import PATIENCE_S, PATIENT_MS, Deployment

FROM = ("--from", "2025-01-01T00:00Z", "--json")


def test_a_killed_backfill_goes_on(tmp_path: Path, bootstrap: str, unique: str) -> None:
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=2_000, session_ms=PATIENT_MS)
    deployment.publish()
    for frames in (3, 20):
        killed_at(deployment, frames)
    done = deployment.call("backfill", ..., *FROM)
    assert done.exit_code == 0, done.stderr
    bundle = load_bundle(tmp_path)
    replay = Replay(bundle, list(read_records(tmp_path)), deployment.rows(bundle))
    replay.worker.run(lambda: False, replay.collect)
    replay.collect()
    with looking(tmp_path) as look:
        assert habits(restored.partition for restored in look.partitions()) == habits(
            replay.worker.partitions()
        )
    assert deployment.told() == []
    shadow = [read_finding(r.value or b"") for r in deployment.committed(deployment.topics.shadow)]
    assert open_alerts(shadow) == open_alerts([read_finding(value) for value in replay.alerts])


def killed_at(deployment: Deployment, frames: int) -> None:
    """A backfill that is killed once *keyed* holds so many more records."""
    command = [sys.executable, "-m", "correlator.cli.main", "backfill", str(deployment.directory), *FROM]
    before, end_s = len(deployment.committed(deployment.topics.keyed)), time.monotonic() + PATIENCE_S
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while len(deployment.committed(deployment.topics.keyed)) < before + frames:
        assert process.poll() is None, "it has ended"
        assert time.monotonic() < end_s, "it writes nothing"
    process.kill()
    process.wait()


def habits(partitions: Iterable[Partition]) -> dict[str, tuple[Habits, Day | None]]:
    lives = {e: p.timelines[e].touch(p.codes) for p in partitions for e in p.timelines}
    return {e: (live.habits, live.today) for e, live in lives.items() if live.today is not None}
