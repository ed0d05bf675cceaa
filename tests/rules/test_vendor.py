"""Fields of a source's own record: what they mean, where they may be used, and that they arrive."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from correlator.adapters.files import read_bundle
from correlator.codec import Codes, pack, unpack
from correlator.rules.interpret import holds
from correlator.rules.load import load_rules
from correlator.timeline.fields import value
from correlator.timeline.raw import ALL, NAMES_MAX, TEXT_MAX, members, pack_raw
from tests.rules.writing import access, condition, documents, login, observe, rule, run_cases

RECORD: dict[str, object] = {
    "EventID": "4625",
    "LogonType": 10,
    "Enabled": True,
    "Image": "C:\\Windows\\System32\\Cmd.EXE",
    "Groups": ["staff", "Admins"],
    "Nothing": None,
    "Empty": [],
    "Blank": "",
    "Hollow": {},
    "Created": "2026-03-03T09:17:00+01:00",
    "user": {"name": "anna", "roles": [{"id": "r1"}, {"id": 2}]},
    "copy": "ANNA",
}
EVENT = login(raw=pack_raw(RECORD, (ALL,)))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("EventID: 4625", True),
        ("EventID: '4625'", True),
        ("EventID: '46*'", True),
        ("EventID|gte: 4625", True),
        ("EventID: true", False),
        ("LogonType: '10'", True),
        ("LogonType: [2, 10]", True),
        ("LogonType|re: ^1", True),
        ("LogonType|lt: 10", False),
        ("Enabled: true", True),
        ("Enabled: 'true'", True),
        ("Enabled: 1", False),
        ("Image|endswith: '\\cmd.exe'", True),
        ("Image|endswith|cased: '\\cmd.exe'", False),
        ("Image|gt: 1", False),
        ("Created|hour: 8", True),
        ("Image|hour: 8", False),
    ],
)
def test_a_value_of_a_record_is_taken_as_what_is_asked_for(line: str, expected: bool) -> None:
    assert _matches(line) is expected


def test_a_name_with_a_dot_and_the_nested_one_are_one_field() -> None:
    event = login(raw=pack_raw({"actor.id": "flat", "actor": {"id": "nested"}}, (ALL,)))
    assert holds(
        condition("s: {actor.id: flat}\nt: {actor.id: nested}\ncondition: s and t"), observe(event), []
    )
    assert not holds(condition("s: {actor.id|neq: flat}\ncondition: s"), observe(event), [])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Groups: admins", True),
        ("Groups|contains|all: [dmin, taf]", True),
        ("Groups|neq: admins", False),
        ("Groups|neq: guests", True),
        ("user.roles.id: 2", True),
        ("user.roles.id: r1", True),
        ("user.name|fieldref: copy", True),
        ("Groups|fieldref: copy", False),
    ],
)
def test_a_test_holds_if_it_holds_of_any_value_of_a_record(line: str, expected: bool) -> None:
    assert _matches(line) is expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Nothing|exists: true", True),
        ("Nothing: null", True),
        ("Nothing: x", False),
        ("Nothing|neq: x", False),
        ("Empty|exists: true", True),
        ("Empty: null", True),
        ("Hollow|exists: true", True),
        ("Hollow: null", True),
        ("user: null", False),
        ("Blank: ''", True),
        ("Blank: null", False),
        ("user|exists: true", True),
        ("gone|exists: true", False),
        ("gone: null", True),
        ("gone|neq: x", False),
        ("copy|fieldref|neq: gone", False),
        ("copy|fieldref|neq: EventID", True),
    ],
)
def test_what_a_record_says_without_a_value_is_there_and_null(line: str, expected: bool) -> None:
    assert _matches(line) is expected


def test_keywords_are_looked_for_in_the_record_too() -> None:
    assert holds(condition("s: ['*cmd.exe', x]\ncondition: s"), observe(EVENT), [])
    assert not holds(condition("s: [cmd.exe]\ncondition: s"), observe(login()), [])


def test_an_event_without_a_record_has_none_of_its_fields() -> None:
    assert not holds(condition("s: {EventID: 4625}\ncondition: s"), observe(access()), [])
    assert holds(condition("s: {EventID: null}\ncondition: s"), observe(access()), [])


def test_several_values_count_as_one_where_one_is_needed() -> None:
    assert value(observe(EVENT), "Groups") == "staff, Admins"
    assert value(observe(EVENT), "LogonType") == 10
    assert value(observe(EVENT), "Nothing") is None


def test_what_is_kept_is_bounded() -> None:
    big = pack_raw({f"f{n}": "x" for n in range(NAMES_MAX + 5)} | {"last": 1}, (ALL,))
    assert members(observe(login(raw=big)), f"f{NAMES_MAX - 1}") == ("x",)
    assert members(observe(login(raw=big)), "last") is None
    odd = pack_raw({"long": "x" * (TEXT_MAX + 1), "huge": 1 << 70, "half": "\ud800"}, (ALL,))
    assert members(observe(login(raw=odd)), "long") is None
    assert members(observe(login(raw=odd)), "huge") == (str(1 << 70),)
    assert members(observe(login(raw=odd)), "half") == ("?",)
    assert pack_raw({"a": 1}, ("b",)) is None


def test_a_record_survives_packing() -> None:
    codes = Codes()
    assert unpack(pack(EVENT, codes, "e1"), codes.shapes, "e1") == EVENT


# ------------------------------------------------------------------------- loading

SEARCH = "s:\n  event.kind: login\n  EventID: 4625\n  user.name|startswith: adm\ncondition: s"
TODAY = date(2026, 11, 25)


def said(text: str, kept: set[str] | None, today: date | None = None) -> list[str]:
    return [str(p) for p in load_rules(documents(text), kept=kept, today=today)[1]]


def test_a_rule_for_a_vendors_fields_loads_where_a_feed_keeps_them() -> None:
    assert said(rule(SEARCH), {ALL}) == []
    assert said(rule(SEARCH), {"EventID", "user.name"}) == []
    problems = said(rule(SEARCH), {"EventID"})
    assert len(problems) == 1
    assert "rule.yml:10:5: error: detection.s.user.name|startswith: unknown field 'user.name'" in problems[0]
    assert "no feed keeps it of its records: raw, in the feed file" in problems[0]


def test_a_name_that_looks_like_ours_may_be_a_sources_own_and_the_way_out_is_told() -> None:
    text = rule("s: {event.category: network, login.outcom: x}\ncondition: s")
    ours, slip = said(text, None)
    assert "'event.category'" in ours
    assert "with --config it is known whether a feed keeps it" in ours
    assert slip.endswith("unknown field 'login.outcom': did you mean login.outcome?")
    (other,) = said(text.replace(", login.outcom: x", ""), {"x"})
    assert "(no feed keeps it of its records: raw, in the feed file)" in other
    assert said(text, {"event.category", "login.outcom"}) == []


def test_without_a_configuration_any_name_will_do_that_is_no_slip_of_ours() -> None:
    assert said(rule(SEARCH), None) == []
    assert len([p for p in said(rule(SEARCH), None, TODAY) if "is no field of the reference" in p]) == 2
    slip = rule("s: {login.outcom: success}\ncondition: s")
    assert "did you mean login.outcome?" in said(slip, None)[0]
    assert said(slip, {ALL}) == []
    assert any("did you mean login.outcome?" in p for p in said(slip, {ALL}, TODAY))
    assert said(rule("s: {eventSource: s3.amazonaws.com, sourceIPAddress: 1}\ncondition: s"), None) == []
    assert "did you mean event.kind?" in said(rule("s: {Event.Kind: login}\ncondition: s"), None)[0]


COUNTED = """
title: Many files
id: 00000000-0000-4000-8000-000000000009
name: many_files
level: low
correlation:
  type: {type}
  rules: [base]
  group-by: [identity.id, Share]
  timespan: 10m
  condition: {{field: {field}, gte: {least}}}
correlator:
  tests:
    - name: three
      expect: match
      events:
        - {{event.kind: login, EventID: 5145, Share: a, Name: x, Size: 5}}
        - {{event.kind: login, EventID: 5145, Share: a, Name: y, Size: 6, offset: 1m}}
        - {{event.kind: login, EventID: 5145, Share: a, Name: z, Size: 0, offset: 2m}}
    - name: on two shares
      expect: no-match
      events:
        - {{event.kind: login, EventID: 5145, Share: a, Name: x, Size: 5}}
        - {{event.kind: login, EventID: 5145, Share: b, Name: y, Size: 6, offset: 1m}}
        - {{event.kind: login, EventID: 5145, Share: b, Name: z, Size: 0, offset: 2m}}
"""
BASE = "title: B\nname: base\nlogsource: {product: x}\ndetection: {s: {EventID: 5145}, condition: s}\n---"


@pytest.mark.parametrize(("type", "field", "least"), [("value_count", "Name", 3), ("value_sum", "Size", 11)])
def test_correlations_group_and_count_by_fields_of_the_record(type: str, field: str, least: int) -> None:
    rules, problems = load_rules(documents(BASE + COUNTED.format(type=type, field=field, least=least)))
    assert problems == []
    results = run_cases(rules)
    assert [result.message for result in results] == ["", ""]


def test_sums_take_a_number_that_the_record_has_as_text() -> None:
    text = BASE + COUNTED.format(type="value_sum", field="Size", least=11)
    text = text.replace("Size: 5", "Size: '5'").replace("Size: 0", "Size: many")
    assert [result.message for result in run_cases(load_rules(documents(text))[0])] == ["", ""]


def test_values_are_counted_and_grouped_as_they_are_written() -> None:
    text = BASE + COUNTED.format(type="value_count", field="Name", least=3)
    told = text.replace("Name: y", "Name: X").replace("Name: z", "Name: 5")
    assert [r.message for r in run_cases(load_rules(documents(told))[0])] == ["", ""], "x and X are two"
    other = load_rules(documents(text.replace("Share: a, Name: z", "Share: A, Name: z")))[0]
    assert [r.message for r in run_cases(other)] == ["expected a match, got none", ""], (
        "a and A are two groups"
    )


def test_all_of_several_texts_may_be_in_a_list_of_the_record() -> None:
    text = rule("s: {event.kind: access, Groups|all: [staff, admins]}\ncondition: s")
    said = load_rules(documents(text), kept=["Groups"], today=date(2026, 1, 1))[1]
    assert [p.message for p in said] == ["has no tests: write at least one, from events"]
    assert _matches("Groups|all: [staff, admins]")


EXEMPLARS = """
custom_attributes:
  rsigma.exemplars:
    - {name: failed, expect: match, event: {EventID: 4625, user: {name: adm-anna}}}
    - {name: another, expect: no-match, event: {EventID: 4624, user: {name: adm-anna}}}
"""


def test_exemplars_of_other_engines_run_with_their_own_fields() -> None:
    rules, problems = load_rules(documents(rule(SEARCH, EXEMPLARS)))
    assert problems == []
    assert [(r.case.name, r.message) for r in run_cases(rules)] == [("failed", ""), ("another", "")]


def test_slips_in_the_events_of_tests_are_no_fields_of_a_record() -> None:
    tests = "correlator:\n  tests:\n    - name: a\n      expect: match\n      events:\n"
    text = rule(SEARCH, f"{tests}        - {{event.kind: login, ofset: 1m, EventID: {{a: 1}}}}\n")
    problems = said(text, None)
    assert any("'ofset' is no field: did you mean offset?" in p for p in problems)
    assert any("EventID must be a value, or a list of values" in p for p in problems)


# ------------------------------------------------------------------- configuration

FEED = """
name: own
topic: own
format: json
kind: login
id: id
source: host
time: {path: at, convert: iso}
fields:
  credential.id: user.name
  login.outcome: outcome
  login.logon_type: type
"""
SITES = "sites:\n  - {id: lisbon, country: PT, lat: 38.7, lon: -9.1, time_zone: Europe/Lisbon}\n"


@pytest.mark.parametrize(
    ("raw", "is_good"), [("", False), ("raw: true\n", True), ("raw: [EventID]\n", False)]
)
def test_which_names_rules_may_use_is_known_from_the_feeds(tmp_path: Path, raw: str, is_good: bool) -> None:
    for name, text in {"feeds/own.yml": FEED + raw, "rules/a.yml": rule(SEARCH), "sites.yml": SITES}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    bundle, problems = read_bundle(tmp_path)
    errors = [p for p in problems if p.severity == "error"]
    assert (bundle is not None) is is_good, errors
    assert all("unknown field" in p.message for p in errors)


def _matches(line: str) -> bool:
    return holds(condition(f"s:\n  {line}\ncondition: s"), observe(EVENT), [])


def test_names_that_a_correlation_counts_by_are_told_of_too() -> None:
    """In the example all are: the rule that is counted names one, the correlation the others."""
    told = said(BASE + COUNTED.format(type="value_count", field="Nmae", least=3), None, TODAY)
    named = [text.split(": ")[2:4] for text in told if "is no field of the reference" in text]
    assert [(place, text.split(" ")[0]) for place, text in named] == [
        ("detection.s.EventID", "EventID"),
        ("correlation.group-by[1]", "Share"),
        ("correlation.condition.field", "Nmae"),
    ]
