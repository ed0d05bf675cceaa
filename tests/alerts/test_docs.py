"""What the documentation and deploy files quote is what the program does.

Set CORRELATOR_UPDATE_GOLDEN=1 to write the generated parts, and review the difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from correlator.alerts.told import read_told
from correlator.cli.alerts import blocks
from correlator.engine.metrics import CATALOGUE, as_markdown
from tests.alerts import shapes

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def quoted(path: Path, start: str, end: str, wanted: str) -> str:
    """What *path* has between *start* and *end*; made to be *wanted* first if an update is asked for."""
    text = path.read_text()
    before, _, rest = text.partition(start)
    found, _, after = rest.partition(end)
    if os.environ.get("CORRELATOR_UPDATE_GOLDEN"):
        path.write_text(before + start + wanted + end + after)
        return wanted
    return found


def test_the_table_of_metrics_is_current() -> None:
    wanted = as_markdown()
    assert quoted(DOCS / "operations.md", "<!-- metrics -->\n", "<!-- end -->", wanted) == wanted


def test_the_example_is_what_the_program_says() -> None:
    told = next(blocks([read_told(shapes.value(shapes.d05()))], 110)).plain
    assert quoted(DOCS / "alerts.md", "```\n", "```\n", told) == told
    golden = (ROOT / "tests/alerts/golden/d05.json").read_text()
    assert quoted(DOCS / "alerts.md", "```json\n", "```\n", golden) == golden


def test_deployed_rules_name_metrics_that_exist() -> None:
    texts = [path.read_text() for path in sorted((ROOT / "deploy").rglob("*.yml"))]
    named = {name for text in texts for name in re.findall(r"\bcorrelator_[a-z_]+", text)}
    assert named
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in named} <= CATALOGUE.keys()


def test_metrics_that_the_program_sets_exist() -> None:
    """The other way round is for review: a metric that nothing sets has no place in the catalogue."""
    texts = [path.read_text() for path in sorted((ROOT / "correlator").rglob("*.py"))]
    assert {
        name for text in texts for name in re.findall(r'"(correlator_[a-z_]+)"', text)
    } <= CATALOGUE.keys()
