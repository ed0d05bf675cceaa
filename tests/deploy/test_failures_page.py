"""The operator's page and the alert rules name the same alerts."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_alert_is_on_the_page_and_no_other() -> None:
    page = (ROOT / "docs" / "failures.md").read_text(encoding="utf-8")
    rules = (ROOT / "deploy" / "prometheus" / "rules.yml").read_text(encoding="utf-8")
    on_page = set(re.findall(r"\*(Correlator\w+)\*", page))
    assert on_page == set(re.findall(r"- alert: (\w+)", rules))
