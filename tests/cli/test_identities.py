"""`correlator identities load`: all errors at once, exit codes, and what is then in the topic."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from correlator.adapters.kafka.config import KafkaConfig
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.cli import topics
from correlator.cli.identities import app
from correlator.engine.ports import TopicPartition
from tests.intake.company import SITES

PEOPLE: list[dict[str, object]] = [
    {"identity_id": "e1", "home_site": "lisbon", "badges": [{"id": "17"}]},
    {"identity_id": "e2", "home_site": "boston", "accounts": [{"name": "bob"}]},
]


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def company(tmp_path: Path) -> Path:
    (tmp_path / "sites.yml").write_text(SITES)
    return tmp_path


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_check_publishes_nothing(company: Path) -> None:
    file = write(company / "people.jsonl", PEOPLE)
    assert run("load", file, "--config", company, "--check") == (
        0,
        f"{file}: 2 identities, nothing is wrong\n",
        "",
    )
    status, out, _ = run("load", file, "--config", company, "--check", "--json")
    assert status == 0
    assert json.loads(out)["published"] == 0


def test_a_check_that_warns_does_not_say_that_nothing_is_wrong(company: Path) -> None:
    rows: list[dict[str, object]] = [{"identity_id": who, "badges": [{"id": "17"}]} for who in ("e1", "e2")]
    file = write(company / "people.jsonl", rows)
    status, out, told = run("load", file, "--config", company, "--check")
    assert (status, out) == (0, f"{file}: 2 identities, no errors, 1 warning\n")
    assert "badge '17' is claimed by 'e1' always, 'e2' always" in told


def test_keys_that_are_nearly_ours_are_warned_about_once(company: Path) -> None:
    """Others are what an HR system sends besides."""
    rows: list[dict[str, object]] = [
        {"identity_id": who, "badge": [{"id": "17"}], "accounts": [{"name": who, "valid_form": "2026-01-01"}]}
        | {"cost_centre": 3}
        for who in ("e1", "e2")
    ]
    file = write(company / "people.jsonl", rows)
    status, out, told = run("load", file, "--config", company, "--check")
    assert (status, out) == (0, f"{file}: 2 identities, no errors, 2 warnings\n")
    assert f"{file}:1:1: warning: 'badge' is ignored (did you mean 'badges'?)" in told
    assert f"{file}:1:1: warning: 'valid_form' is ignored (did you mean 'valid_from'?)" in told


def test_errors_of_the_file_and_of_the_configuration_are_told_together(company: Path) -> None:
    file = write(company / "people.jsonl", [*PEOPLE, PEOPLE[0], {"identity_id": "e3", "home_site": "mars"}])
    (company / "correlator.yml").write_text("partitions: none\n")
    status, _, told = run("load", file, "--config", company)
    assert status == 2
    assert "people.jsonl:3:1" in told
    assert "people.jsonl:4:1" in told
    assert "correlator.yml:1:1" in told


def test_what_is_loaded_is_in_the_topic_by_identity(company: Path, bootstrap: str, unique: str) -> None:
    text = f"kafka: {{bootstrap_servers: '{bootstrap}'}}\ntopics: {{prefix: {unique}.}}\npartitions: 1\n"
    (company / "correlator.yml").write_text(text)
    file = write(company / "people.jsonl", PEOPLE)
    status, _, told = run("load", file, "--config", company)
    assert status == 2
    assert "correlator topics create" in told
    assert CliRunner().invoke(topics.app, ["create", str(company)]).exit_code == 0
    status, out, _ = run("load", file, "--config", company, "--json")
    assert status == 0
    assert json.loads(out)["published"] == 2
    reader = KafkaLogReader(KafkaConfig(bootstrap_servers=(bootstrap,)))
    try:
        where = TopicPartition(f"{unique}.identities", 0)
        records = list(reader.read(where, 0, reader.high_watermark(where)))
    finally:
        reader.close()
    assert [(record.key, json.loads(record.value or b"")) for record in records] == [
        (b"e1", PEOPLE[0]),
        (b"e2", PEOPLE[1]),
    ]
