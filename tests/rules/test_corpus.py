"""The shipped rules: complete, tested, and every test of theirs passes."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

import pytest

from correlator.cli.rule_files import read_rules
from correlator.event import DAY_MS
from correlator.rules.load import load_rules
from correlator.rules.rule import Case, Rule
from correlator.rules.testing import run_case
from tests.rules.writing import documents

FILES = sorted((Path(__file__).parents[2] / "rules").glob("*.yml"))
RULES, PROBLEMS = read_rules(FILES)
ALERTING = [rule for rule in RULES if rule.is_alerting]
CASES = [pytest.param(rule, case, id=f"{rule.name}: {case.name}") for rule in ALERTING for case in rule.cases]


def test_nothing_is_wrong_with_them() -> None:
    assert PROBLEMS == []
    assert [r.name[:3] for r in ALERTING] == [
        "d01",
        "d05",
        "d06",
        "d12",
        "d17",
        "d18",
        "d21",
        "d23",
        "d26",
        "d28",
    ]


@pytest.mark.parametrize(("rule", "case"), CASES)
def test_their_tests_pass(rule: Rule, case: Case) -> None:
    assert run_case(rule, case).message == ""


@pytest.mark.parametrize("rule", ALERTING, ids=lambda rule: rule.name)
class TestEach:
    def test_is_named_after_its_file_and_its_number(self, rule: Rule) -> None:
        assert Path(rule.file).stem == rule.name
        number = rule.name[1:3]
        assert rule.id == f"c0a80001-00{number}-4d{number}-8a{number}-0000000000{number}"
        assert UUID(rule.id)

    def test_says_what_it_is_and_when_it_is_wrong(self, rule: Rule) -> None:
        assert len(rule.description) > 100
        assert rule.falsepositives
        assert rule.controls
        assert rule.status == "stable"

    def test_has_two_firing_and_two_silent_tests(self, rule: Rule) -> None:
        expected = [case.expects_match for case in rule.cases]
        assert expected.count(True) >= 2
        assert expected.count(False) >= 2

    def test_looks_back_less_than_the_horizon(self, rule: Rule) -> None:
        assert rule.correlation is None or rule.correlation.timespan_ms < DAY_MS

    def test_says_attack_only_in_its_own_words(self, rule: Rule) -> None:
        tags = [tag for tag in rule.tags if tag.startswith("attack.t")]
        assert all(re.fullmatch(r"attack\.t\d{4}(\.\d{3})?", tag) for tag in tags)
        if rule.name[:3] in {"d12", "d28"}:
            assert tags == [], "ATT&CK has no technique for cloned badges and forced doors"


def test_what_rules_never_take_back() -> None:
    assert {r.name[:3] for r in ALERTING if not r.may_retract} == {"d21", "d23", "d28"}


def test_the_examples_in_the_documentation_load_and_pass() -> None:
    text = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
    blocks = [b for b in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if b.startswith("title:")]
    rules, problems = load_rules(documents("---\n".join(blocks)), lists={"guards": ["4711"]})
    assert problems == []
    results = [run_case(rule, case) for rule in rules for case in rule.cases]
    assert [result.message for result in results] == [""] * 4
