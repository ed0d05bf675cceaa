"""What commands say of arguments, and of a deployment that is not there, instead of doing anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from correlator.cli.main import app

USAGE = 2

ARGUMENTS = {
    ("dead-letters", "show", ".", "3-7"): "'3-7' is not PARTITION/OFFSET, as list shows it",
    ("dead-letters", "replay", ".", "3-7"): "'3-7' is not PARTITION/OFFSET, as list shows it",
    ("state", "forget", "."): "give partitions, or --all",
    ("state", "forget", ".", "9"): "partitions are 0 to 3",
    ("rules", "status", ".", "--since", "noon"): "'noon' is no time; write 2026-11-25T08:00Z or -30d",
    ("rules", "status", ".", "--since", "-3x"): "'3x' is no duration; write 60s, 5m, 1h, 14d or 2w",
}


@pytest.mark.parametrize(("words", "message"), ARGUMENTS.items(), ids=lambda part: " ".join(part)[:40])
def test_arguments(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    (tmp_path / "correlator.yml").write_text("kafka: {bootstrap_servers: localhost:1}\n")
    (tmp_path / "sites.yml").write_text("sites: [{id: a, lat: 1, lon: 1, time_zone: UTC}]\n")
    found = CliRunner().invoke(app, [str(tmp_path) if word == "." else word for word in words])
    assert found.exit_code == USAGE, found.output
    assert message in " ".join(found.output.replace("│", " ").split())
