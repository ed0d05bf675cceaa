"""Detections that are shipped and not switched on: complete, tested both ways, at home with the others."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from correlator.cli.rule_files import read_rules
from correlator.rules.rule import Case, Rule
from correlator.rules.testing import run_case

FOLDER = Path(__file__).parents[2] / "rules"
RULES, PROBLEMS = read_rules(sorted((FOLDER / "more").glob("*.yml")), today=date(2026, 12, 1))
ALERTING = [rule for rule in RULES if rule.is_alerting]
CASES = [pytest.param(rule, case, id=f"{rule.name}: {case.name}") for rule in ALERTING for case in rule.cases]


def test_nothing_is_wrong_with_them_nor_with_all_together() -> None:
    assert PROBLEMS == []
    assert read_rules(sorted([*FOLDER.glob("*.yml"), *(FOLDER / "more").glob("*.yml")]))[1] == []


@pytest.mark.parametrize(("rule", "case"), CASES)
def test_their_tests_pass(rule: Rule, case: Case) -> None:
    assert run_case(rule, case).message == ""


@pytest.mark.parametrize("rule", ALERTING, ids=lambda rule: rule.name)
def test_each_is_complete(rule: Rule) -> None:
    number = rule.name[1:3]
    assert Path(rule.file).stem == rule.name
    assert rule.id == f"c0a80001-00{number}-4d{number}-8a{number}-0000000000{number}"
    assert rule.description
    assert rule.falsepositives
    assert rule.controls
    assert sum(case.expects_match for case in rule.cases) >= 2
    assert sum(not case.expects_match for case in rule.cases) >= 2


def test_the_page_names_every_detection_that_is_shipped() -> None:
    page = (FOLDER.parent / "docs" / "detections.md").read_text(encoding="utf-8")
    named = {line.split("`")[1] for line in page.splitlines() if "| `rules/" in line}
    files = [*FOLDER.glob("*.yml"), *(FOLDER / "more").glob("*.yml")]
    assert named == {str(path.relative_to(FOLDER.parent)) for path in files}
    assert [line[2:5] for line in page.splitlines() if line.startswith("| D")] == [
        f"D{n:02}" for n in range(1, 51)
    ]
