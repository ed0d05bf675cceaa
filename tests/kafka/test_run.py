"""`run` on a real broker: the alerts of `replay`, and refusals that say what to do."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from pathlib import Path

from tests.broker.broker import HOST, free_ports
from tests.findings import open_alerts
from tests.kafka.deployment import PATIENT_MS, Deployment


def test_until_the_end_gives_the_alerts_of_replay_whatever_else_is_in_the_directory(
    tmp_path: Path, bootstrap: str, unique: str
) -> None:
    deployment = Deployment(tmp_path, bootstrap, unique, records_max=600, session_ms=PATIENT_MS)
    deployment.publish()
    ended = deployment.run("--until-end", "--json")
    assert ended.returncode == 0, ended.stderr
    assert f'"records": {len(deployment.records) + deployment.people}' in ended.stdout
    assert open_alerts(deployment.told()) == open_alerts(deployment.replayed())
    status = deployment.call("feeds", "status", ..., "--json")
    assert status.exit_code == 0, status.output
    found = json.loads(status.stdout)
    assert {site["feed"] for site in found["sites"]} == {"access", "door", "login"}
    assert sum(site["waiting"] for site in found["sites"]) == 0, "everything is settled"
    assert any(source["state"] == "live" for source in found["sources"])
    networks = tmp_path / "networks.yml"
    networks.write_text(networks.read_text().replace("corporate", "isp", 1))
    other = deployment.run("--until-end", "--no-deploy")
    assert other.returncode == 0, other.stderr
    assert f"`correlator deploy {tmp_path}` or `run --deploy`" in other.stderr
    general = tmp_path / "correlator.yml"
    general.write_text(general.read_text().replace('"partitions": 4', '"partitions": 5'))
    refused = deployment.run("--until-end")
    assert refused.returncode == 2
    assert "has 4 partitions, the configuration says 5" in refused.stderr


def test_missing_topics_are_named(tmp_path: Path, bootstrap: str, unique: str) -> None:
    refused = Deployment(tmp_path, bootstrap, unique, records_max=1, session_ms=PATIENT_MS).run("--until-end")
    assert refused.returncode == 2
    assert f"{unique}.keyed" in refused.stderr
    assert "correlator topics create" in refused.stderr


def test_nothing_to_look_at_is_said(tmp_path: Path, bootstrap: str, unique: str) -> None:
    status = Deployment(tmp_path, bootstrap, unique, records_max=1, session_ms=PATIENT_MS).call(
        "feeds", "status", ...
    )
    assert status.exit_code == 2, status.stderr
    assert "correlator topics create" in status.stderr


def test_who_starts_before_kafka_is_live_and_says_what_it_waits_for(tmp_path: Path, unique: str) -> None:
    nobody, port = free_ports(2)
    deployment = Deployment(tmp_path, f"{HOST}:{nobody}", unique, records_max=1, session_ms=PATIENT_MS)
    with deployment.running("--port", str(port)) as running:
        running.wait_for("trying again")
        assert _asked(port, "/livez") == (200, [])
        status, (reason,) = _asked(port, "/readyz")
        assert (status, f"no answer from Kafka at {HOST}:{nobody}" in reason) == (503, True), reason
        running.ask()
        assert running.join() == 0


def _asked(port: int, path: str) -> tuple[int, list[str]]:
    connection = HTTPConnection(HOST, port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    reasons: list[str] = json.loads(answer.read())["reasons"]
    connection.close()
    return answer.status, reasons
