"""`correlator rules test`: what is run, what is said of a failure, and how it exits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.rules_app import call
from tests.rules.writing import ID, rule

READ = "{event.kind: access, place.site: lisbon}"
PASSES = f"{{name: a read, expect: match, events: [{READ}]}}"
FAILS = f"{{name: a read, expect: no-match, events: [{READ}]}}"
MISSES = "{name: a login, expect: match, events: [{event.kind: login}]}"
LATER = f"{{name: later, expect: match, expect_from: 5m, events: [{READ}]}}"
ABSENT = rule(
    "s: {event.kind: login, presence.here|lt: 0.2}\ncondition: s",
    "correlator:\n  settle: {feed: access, at: place.site, grace: 2m}\n  tests:\n    - {%s}\n",
)


def holding(*tests: str) -> str:
    lines = "".join(f"    - {test}\n" for test in tests)
    return rule("s: {event.kind: access}\ncondition: s", f"correlator:\n  tests:\n{lines}")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return tmp_path / "one.yml"


def test_the_shipped_rules_pass() -> None:
    code, output = call("test", "--verbose")
    assert code == 0
    assert "passed  d17_denied_burst: five times in four minutes" in output
    assert " ms  d17_denied_burst" in output
    assert "71 passed, 0 failed in " in output


def test_a_failure_says_what_came_and_where_to_look(written: Path) -> None:
    written.write_text(holding(PASSES.replace("a read", "one"), FAILS, MISSES), encoding="utf-8")
    code, output = call("test", written)
    assert code == 1
    first, second = output.split("FAILED  ")[1:]
    assert first.startswith(f"rule_1: a read  {written}:12\n")
    assert "    expected  no alert\n    got       1\n" in first
    assert "as of 0s, low, on identity:e1: badge card-1 was read at site lisbon (event.kind access" in first
    assert f"correlator rules explain rule_1 --test 'a read' --rules {written}\n" in first
    assert "    expected  an alert\n    got       none\n" in second
    assert "    nearest   event 1 of 1, 0s: account account-1 failed to log in" in second
    assert f"event.kind: access ({written}:7) does not hold: found login" in second
    assert "1 passed, 2 failed in " in second


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (holding(LATER), "none that counts: what there is was decided before"),
        (
            ABSENT % f"name: t, expect: match, expect_at: 10m, events: [{READ.replace('access', 'login')}],"
            " marks: [{offset: 9m, feed: access, site: lisbon, complete_to: 1m}]",
            "none: a match that waits",
        ),
        (
            ABSENT % f"name: t, expect: match, events: [{READ.replace('access', 'login')},"
            " {offset: -1m, arrives: 1h, event.kind: access, access.outcome: granted, place.site: lisbon}],"
            " marks: [{offset: 5m, feed: access, site: lisbon, complete_to: 3m}]",
            "none: an alert was retracted again",
        ),
    ],
)
def test_why_there_is_no_alert(written: Path, text: str, expected: str) -> None:
    written.write_text(text, encoding="utf-8")
    code, output = call("test", written)
    assert code == 1
    assert f"got       {expected}\n" in output


def test_results_as_json(written: Path) -> None:
    written.write_text(holding(PASSES, MISSES), encoding="utf-8")
    code, output = call("test", written, "--json")
    assert code == 1
    passed, failed = json.loads(output)["tests"]
    assert (passed["passed"], passed["why"], len(passed["alerts"])) == (True, [], 1)
    assert (failed["passed"], failed["line"]) == (False, 12)
    assert failed["why"] == [f"event.kind: access ({written}:7) does not hold: found login"]


def test_tests_may_be_selected(written: Path) -> None:
    written.write_text(holding(PASSES, MISSES), encoding="utf-8")
    assert "1 passed, 0 failed" in call("test", written, "-k", "A READ")[1]
    assert "1 passed, 1 failed" in call("test", written, "-k", "read", "-k", "login")[1]
    assert "1 passed, 1 failed" in call("test", written, "-k", "rule_1")[1]
    code, output = call("test", written, "-k", "nothing")
    assert (code, "no test contains 'nothing'" in output) == (2, True)


def test_rules_without_tests_are_named(written: Path) -> None:
    written.write_text(rule("s: {event.kind: access}\ncondition: s"), encoding="utf-8")
    code, output = call("test", written)
    assert code == 0
    assert "without tests: rule_1" in output


# -------------------------------------------------------------- tests in a file beside


@pytest.mark.parametrize("end", ["yml", "yaml"])
@pytest.mark.parametrize("name", ["one.{}", "one.tests.yml", "."])
def test_a_file_of_tests_lies_beside_the_rule(written: Path, name: str, end: str) -> None:
    written = written.with_suffix(f".{end}")
    written.write_text(holding(PASSES), encoding="utf-8")
    beside = written.with_name("one.tests.yml")
    beside.write_text(f"rule: {ID.format(1)}\ntests:\n  - {MISSES}\n", encoding="utf-8")
    code, output = call("test", written.parent / name.format(end))
    assert code == 1
    assert f"FAILED  rule_1: a login  {beside}:3" in output
    assert "1 passed, 1 failed" in output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rule: rule_2\ntests: []\n", "1:1: error: rule: there is no rule 'rule_2': did you mean rule_1?"),
        ("tests: []\n", "1:1: error: rule: must be text"),
        ("rule: rule_1\ntest: 1\ntests: []\n", "2:1: error: test: unknown key 'test': did you mean tests?"),
        ("rule: rule_1\ntests: 5\n", "2:1: error: tests: must be a list of tests"),
        (f"rule: rule_1\ntests:\n  - {PASSES}\n", "is the name of another test of this rule"),
        (
            f"rule: rule_1\ntests:\n  - {MISSES.replace('event.kind', 'event.kin', 1)}\n",
            "3:46: error: tests[0].events[0].event.kin: 'event.kin' is no field: did you mean event.kind?",
        ),
    ],
)
def test_mistakes_in_a_file_of_tests(written: Path, text: str, message: str) -> None:
    written.write_text(holding(PASSES), encoding="utf-8")
    written.with_name("one.tests.yml").write_text(text, encoding="utf-8")
    code, output = call("test", written)
    assert code == 2
    assert message in output


# ------------------------------------------------------------------ exemplars of rsigma


def exemplars(text: str, key: str = "custom_attributes:\n  rsigma.exemplars:\n") -> str:
    return rule("s: {event.kind: access, place.site: lisbon}\ncondition: s", key + text)


NESTED = "    - {expect: match, event: {event: {kind: access}, place.site: lisbon}}\n"
SEVERAL = (
    "    - {name: two, expect: no-match, events: [{offset: 0, event: {event.kind: access}},"
    " {offset: 5m, event: {event.kind: login}}]}\n"
)


@pytest.mark.parametrize("key", ["custom_attributes:\n  rsigma.exemplars:\n", "rsigma.exemplars:\n"])
def test_exemplars_are_run_as_tests(written: Path, key: str) -> None:
    written.write_text(exemplars(NESTED + SEVERAL, key), encoding="utf-8")
    code, output = call("test", written, "--verbose")
    assert code == 0
    assert "passed  rule_1: exemplar 0\npassed  rule_1: two\n" in output


def test_an_exemplar_that_presets_what_is_derived_is_not_run(written: Path) -> None:
    written.write_text(
        exemplars(NESTED.replace("place.site: lisbon", "presence: {here: 0}") + NESTED), encoding="utf-8"
    )
    code, output = call("check", written)
    assert code == 0
    assert "11:7: warning: custom_attributes.rsigma.exemplars[0]: is not run here" in output
    assert "cannot write presence.here" in output
    assert "1 passed, 0 failed" in call("test", written)[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("    - {expect: match}\n", "an exemplar has a name, expect, and event or events"),
        ("    - {expect: match, event: 5}\n", "an exemplar has a name, expect, and event or events"),
        ("    - {expect: match, events: [{event.kind: access}]}\n", "an exemplar has a name"),
        ("    - {expect: maybe, event: {event.kind: access}}\n", "must be one of: match, no-match"),
        ("    - {expect: match, event: {event.kind: 5}}\n", "event.kind must be text"),
        ("    - 5\n", "must be a mapping of: name, expect, event, events"),
        ("    five\n", "must be a list of exemplars"),
    ],
)
def test_mistakes_in_exemplars(written: Path, text: str, message: str) -> None:
    written.write_text(exemplars(text), encoding="utf-8")
    code, output = call("check", written)
    assert code == 2
    assert message in output


ELSEWHERE = """
title: In
name: came
logsource: {product: x}
detection: {s: {event.kind: access}, condition: s}
---
title: Login
name: logged_in
logsource: {product: x}
detection: {s: {event.kind: login}, condition: s}
---
title: Came, then logged in
id: 00000000-0000-4000-8000-000000000001
name: both
level: low
correlation:
    {type: temporal_ordered, rules: [came, logged_in], group-by: [identity.id, place.site], timespan: 1h}
correlator:
    tests:
        - name: not at the site
          expect: match
          events:
              - {event.kind: access, access.outcome: granted, place.site: lisbon}
              - {offset: 5m, event.kind: login, login.outcome: success}
              - {offset: 6m, event.kind: login, login.outcome: success, place.site: porto}
"""


def test_a_step_that_happened_in_another_group_is_named(tmp_path: Path) -> None:
    (tmp_path / "both.yml").write_text(ELSEWHERE, encoding="utf-8")
    code, output = call("test", tmp_path)
    assert code == 1
    assert (
        "logged_in did not happen in this group, but at 5m (place.site absent), 6m (place.site porto)"
        in output
    )
