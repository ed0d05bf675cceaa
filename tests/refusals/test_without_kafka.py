"""What commands say where no Kafka answers: one line of ours, none of the client's, and exit code 3."""

from __future__ import annotations

import subprocess
import sys

import pytest

UNREACHABLE = 3
COMMANDS = (
    "alerts tail --config . --no-follow",
    "dead-letters list .",
    "dead-letters replay .",
    "dead-letters show . 0/1",
    "deploy .",
    "feeds status .",
    "identities load --config . identities.jsonl",
    "rollback .",
    "rules status .",
    "state export . file",
    "state forget . --all",
    "state offsets .",
    "timeline e1 --config .",
    "topics check .",
    "topics create .",
    "who a --config .",
)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int | None, str, str]]:
    """All at once, for each waits some seconds: exit code, output, errors."""
    directory = tmp_path_factory.mktemp("away")
    (directory / "correlator.yml").write_text("kafka: {bootstrap_servers: 'localhost:1'}\n")
    (directory / "sites.yml").write_text("sites: [{id: a, lat: 1, lon: 1, time_zone: UTC}]\n")
    (directory / "identities.jsonl").write_text('{"identity_id": "e1", "type": "employee"}\n')
    started = {
        command: subprocess.Popen(
            [sys.executable, "-m", "correlator.cli.main", *command.split()],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in COMMANDS
    }
    outputs = {command: process.communicate() for command, process in started.items()}
    return {command: (started[command].returncode, *outputs[command]) for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_one_line(command: str, ended: dict[str, tuple[int | None, str, str]]) -> None:
    code, output, errors = ended[command]
    assert (code, output) == (UNREACHABLE, ""), errors
    (line,) = errors.splitlines()
    assert "Kafka" in line
