"""docs/company.md: the files that it shows are a configuration that loads, and the samples in them hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from correlator.adapters.files import read_bundle
from correlator.cli.feeds import app

PAGE = Path(__file__).parents[2] / "docs" / "company.md"
_BLOCK = re.compile(r"```(?:yaml|json)\n(?:#|//) ([\w./-]+)\n(.*?)```", re.DOTALL)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    for name, text in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path


def test_the_files_of_the_page_are_a_configuration(written: Path) -> None:
    bundle, problems = read_bundle(written)
    assert problems == []
    assert bundle is not None
    assert set(bundle.intake.feeds) == {"windows-logons", "gate-events"}


def test_the_samples_of_the_page_hold(written: Path) -> None:
    result = CliRunner().invoke(app, ["test", "--config", str(written)])
    assert (result.exit_code, "3 passed, 0 failed" in result.output) == (0, True), result.output
