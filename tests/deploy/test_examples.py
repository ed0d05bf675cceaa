"""The examples for systemd and Kubernetes: started as they say, the program does what its page promises."""

from __future__ import annotations

import inspect
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from correlator.cli.exit_codes import REFUSED
from correlator.cli.main import app
from correlator.cli.run import run_command

DEPLOY = Path(__file__).parents[2] / "deploy"
GIVES_UP_S = (
    60  # docs/failures.md: where Kafka does not answer, a process that is to stop ends within a minute
)


def unit() -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DEPLOY / "systemd" / "correlator@.service")
    return parser


def stateful_set() -> dict[str, Any]:
    documents = yaml.safe_load_all((DEPLOY / "kubernetes" / "correlator.yml").read_text(encoding="utf-8"))
    by_kind: dict[str, dict[str, Any]] = {document["kind"]: document for document in documents}
    found = by_kind["StatefulSet"]
    assert found["spec"]["serviceName"] == by_kind["Service"]["metadata"]["name"]
    for labels in (by_kind["Service"]["spec"]["selector"], found["spec"]["selector"]["matchLabels"]):
        assert labels == found["spec"]["template"]["metadata"]["labels"]
    return found


def assert_understood(words: list[str], tmp_path: Path) -> None:
    """`run` takes them, and only then finds that there is no such directory."""
    at = next(n for n, word in enumerate(words) if word.startswith("--config"))
    rest = words[:at] + words[at + (1 if "=" in words[at] else 2) :]
    done = CliRunner().invoke(app, [*rest, f"--config={tmp_path / 'nowhere'}"])
    assert done.exit_code == REFUSED, done.output
    assert "there is no such directory" in done.output


def test_the_unit_starts_what_there_is_and_lets_it_end(tmp_path: Path) -> None:
    service = unit()["Service"]
    words = service["ExecStart"].replace("%H", "host").replace("%i", "1").split()
    assert words[0].endswith("/bin/correlator")
    assert_understood(words[1:], tmp_path)
    assert words[words.index("--instance") + 1] == "host-1", "each process has a name that stays"
    assert int(service["TimeoutStopSec"]) >= GIVES_UP_S
    assert service["RestartPreventExitStatus"] == str(REFUSED)


def test_the_pods_start_what_there_is_are_probed_and_may_end(tmp_path: Path) -> None:
    spec = stateful_set()["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    words = [word.replace("$(POD_NAME)", "correlator-0") for word in container["args"]]
    assert_understood(words, tmp_path)
    assert "--instance=correlator-0" in words
    assert container["env"] == [
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    ]
    assert spec["terminationGracePeriodSeconds"] >= GIVES_UP_S
    (port,) = container["ports"]
    assert f"--port={port['containerPort']}" in words
    assert "--host=0.0.0.0" in words
    for probe, path in (("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": path, "port": port["name"]}


def test_there_are_no_more_pods_than_partitions() -> None:
    assert stateful_set()["spec"]["replicas"] <= 4, "of correlator.yml by default"


def test_without_a_host_nobody_else_would_reach_it() -> None:
    """Why the examples say one."""
    assert inspect.signature(run_command).parameters["host"].default == "127.0.0.1"
