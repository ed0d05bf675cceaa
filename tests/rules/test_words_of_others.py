"""Rules as they are written for other engines: what is meant is taken, or refused with what to write."""

from __future__ import annotations

from datetime import date

import pytest

from correlator.adapters.yaml_lines import load_yaml_all
from correlator.rules.load import load_rules
from tests.rules.test_load import assert_said, said
from tests.rules.writing import access, counting, documents, matches, one, rule

FILTER = (
    "title: F\nlogsource: {product: x}\n"
    "filter:\n  rules: [rule_1]\n  s: {event.kind: login}\n  condition: not s\n"
)


@pytest.mark.parametrize(("word", "is_there"), [("yes", True), ("On", True), ("no", False), ("OFF", False)])
def test_exists_also_takes_the_truths_of_yaml_1_1(word: str, is_there: bool) -> None:
    assert matches(one(f"device.id|exists: {word}"), access(device="d")) is is_there
    assert matches(one(f"device.id|exists: {word}"), access()) is not is_there


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("device.id|exists: [true, false]", "|exists takes true or false, one of them"),
        ("device.id|CONTAINS: x", "unknown modifier 'CONTAINS': did you mean contains?"),
        ("device.id||contains: x", "nothing stands behind a |: leave it out, or name a modifier"),
        ("device.id|: x", "nothing stands behind a |"),
        ("source.ip|cidr: 10.1.2.3/8", "'10.1.2.3/8' is an address in a network: write 10.0.0.0/8"),
        ("source.ip|cidr: 10.1.*", "'10.1.*' is no network such as 10.0.0.0/8"),
        ("source.ip|cidr: 'fe80::1/10'", "write fe80::/10"),
        ("links[any]: {ip: x}", "blocks for members of a list are of a later Sigma, name their fields"),
    ],
)
def test_lines_are_refused_with_what_to_write(line: str, message: str) -> None:
    assert_said(rule(one(line)), message)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("timeframe: 5m", "unknown key 'timeframe': did you mean timespan?"),
        ("window: tumbling", "unknown key 'window': windows slide, in event time"),
        ("field: place.door", "unknown key 'field': it stands in condition"),
    ],
)
def test_keys_of_other_correlations(line: str, message: str) -> None:
    text = counting(
        "type: event_count\nrules: [base]\ngroup-by: [identity.id]\ntimespan: 5m\n"
        f"condition: {{gte: 2}}\n{line}"
    )
    assert_said(text, message)


def test_a_title_is_no_name() -> None:
    section = (
        "type: event_count\nrules: [The base]\ngroup-by: [identity.id]\ntimespan: 5m\ncondition: {gte: 2}"
    )
    text = counting(section).replace("title: Base", "title: The base")
    assert_said(text, "'The base' is a title: write the name, base")
    named = FILTER.replace("rule_1", "A rule")
    text = f"{rule(one('event.kind: access'))}---\n{named}"
    assert_said(text, "'A rule' is a title: write the name, rule_1")


def test_a_filter_without_a_logsource_is_told_that_and_no_more() -> None:
    text = (
        f"{rule(one('event.kind: access'))}---\n{FILTER.replace('logsource: {product: x}', 'status: test')}"
    )
    assert said(text) == ["11:1 logsource: logsource is missing: logsource: {product: correlator}"]


def test_what_is_missing_at_the_top_is_told_with_what_to_write() -> None:
    text = rule(one("event.kind: access")).replace("title: A rule\n", "").replace("{product: x}", "{}")
    assert_said(text, "title: title is missing: it is the first that an alert says", "logsource is missing")


def test_a_merge_key_is_one_mistake() -> None:
    text = rule("base: &b {event.kind: access}\ns: {<<: *b, device.id: x}\ncondition: s or base")
    documents, problems = load_yaml_all(text, "rule.yml")
    found = [*problems, *load_rules(documents)[1]]
    assert [p.message for p in found] == ["merge keys (<<) are not supported: write the fields out"]


@pytest.mark.parametrize(
    ("version", "is_told"), [("2", False), ("2.1.0", False), ("3", True), ("'3.0'", True)]
)
def test_a_rule_of_another_version_is_read_as_2_1_and_that_is_told(version: str, is_told: bool) -> None:
    text = rule(one("event.kind: access"), f"sigma-version: {version}\n")
    _, problems = load_rules(documents(text), today=date(2026, 3, 3))
    said_so = [p for p in problems if p.field == "sigma-version"]
    assert [(p.severity, p.message) for p in said_so] == (
        [("warning", "is read as Sigma 2.1, whatever another version means otherwise")] if is_told else []
    )
