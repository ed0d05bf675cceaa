"""The page on late data: its example is run, and what it quotes is what the program says."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from correlator.alerts.told import read_told
from correlator.cli.alerts import blocks
from correlator.cli.main import app
from tests.alerts.test_docs import quoted

DOCS = Path(__file__).parents[2] / "docs"
WIDTH = 110


def test_an_alert_is_raised_and_closed_by_an_upload_and_the_page_says_how(tmp_path: Path) -> None:
    out = tmp_path / "alerts.jsonl"
    arguments = ["replay", str(DOCS / "late-upload"), "--out", str(out), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    lines = out.read_bytes().splitlines()
    assert [json.loads(line)["activity_name"] for line in lines] == ["Create", "Close"]
    told = "\n".join(text.plain for text in blocks(map(read_told, lines), WIDTH))
    assert quoted(DOCS / "late-data.md", "```text\n", "```\n", told) == told
