"""`correlator rules explain`: what may be named, and what is said when it is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.alerts.test_nine import rules
from tests.alerts.test_recall import alerts_of
from tests.cli.rules_app import call

RULE = "d17_denied_burst"
EVENTS = """\
person: {type: contractor}
events:
    - {event.kind: access, access.outcome: denied, access.reason: other, place.door: d}
    - {offset: 1m, event.kind: access, access.outcome: denied, access.reason: damaged, place.door: d}
"""

FILTERED = """\
title: Base
name: base
logsource: {product: x}
detection: {s: {event.kind: login}, condition: s}
---
title: F
logsource: {product: x}
filter: {rules: [base], f: {device.id: x}, condition: not f}
correlator: {expires: {on: 2099-01-31, reason: r, owner: o}}
---
title: Many
id: 00000000-0000-4000-8000-000000000009
name: many
level: low
correlation: {type: event_count, rules: [base], group-by: [identity.id], timespan: 10m, condition: {gte: 1}}
correlator: {tests: [{name: a, expect: match, events: [{event.kind: login, device.id: y}]}]}
"""


@pytest.fixture
def alerts(tmp_path: Path) -> Path:
    path = tmp_path / "alerts.jsonl"
    named = rules()
    records = [*alerts_of(named[RULE], 0), *alerts_of(named["d28_door_forced"], 0)]
    path.write_bytes(b"".join(record + b"\n" for record in records))
    return path


@pytest.mark.parametrize("name", [RULE, "C0A80001-0017-4d17-8a17-000000000017", "rules/d17_denied_burst.yml"])
def test_a_rule_by_name_id_or_file(name: str) -> None:
    code, output = call("explain", name, "--test", "1")
    assert code == 0
    assert output.startswith("d17_denied_burst: Burst of denied reads at one door: alert\n")


@pytest.mark.parametrize("test", ["4", "the fifth a second too late", "Second too"])
def test_a_test_by_number_name_or_part_of_it(test: str) -> None:
    code, output = call("explain", RULE, "--test", test)
    assert code == 0
    assert "which expects no match" in output
    assert "4 of at least 5 events, within 10m" in output


def test_a_file_of_events(tmp_path: Path) -> None:
    path = tmp_path / "events.yml"
    path.write_text(EVENTS, encoding="utf-8")
    for source, stdin in ((path, None), ("-", EVENTS)):
        code, output = call("explain", RULE, source, stdin=stdin)
        assert code == 0
        assert "→ 1 of at least 5 events, within 10m" in output
        assert "not counted, 1m: not badge_denied_to_holder" in output
        assert "which expects" not in output
    path.write_text(json.dumps([{"event.kind": "access"}]), encoding="utf-8")
    output = " ".join(call("explain", RULE, path)[1].split())
    assert "access.outcome: denied (rules/d17_denied_burst.yml:11) does not hold: absent" in output
    assert "which expects" not in output
    path.write_text("events\n", encoding="utf-8")
    code, output = call("explain", RULE, path)
    assert (code, "must be a list of events, or a mapping as a test is" in output) == (2, True)
    assert "raw records are for feeds try" in output
    path.write_text("- {event.kind: acess}\n", encoding="utf-8")
    code, output = call("explain", RULE, path)
    assert code == 2
    assert f"{path}:1:4: error: [0].event.kind: must be one of: access, door, login" in output


def test_events_one_by_one() -> None:
    code, output = call("explain", RULE, "--test", "1", "--event", "2")
    assert "event 2 of 5, 1m" in output
    assert output.count("event ") == 1
    code, output = call("explain", RULE, "--test", "1", "--all")
    assert output.count(" of 5, ") == 5
    code, output = call("explain", RULE, "--test", "1", "--event", "6")
    assert (code, "there is no event 6: the rule saw 5" in output) == (2, True)


def test_an_alert(alerts: Path) -> None:
    code, output = call("explain", RULE, alerts)
    assert code == 0
    assert "alert 895e5ae6656f4638 on identity:e1: create, medium, high confidence" in output
    assert "d17_denied_burst: 5 of at least 5 events, within 10m" in output
    assert call("explain", RULE, alerts, "--alert", "895e")[0] == 0
    code, output = call("explain", RULE, alerts, "--alert", "ffff")
    assert (code, "has no alert of d17_denied_burst whose uid begins with ffff" in output) == (2, True)
    assert "has no alert of d18_door_probing" in call("explain", "d18_door_probing", alerts)[1]


def test_an_alert_of_a_rule_that_has_changed_since(alerts: Path, tmp_path: Path) -> None:
    text = Path("rules/d17_denied_burst.yml").read_text(encoding="utf-8")
    changed = tmp_path / "changed.yml"
    changed.write_text(text.replace("{gte: 5}", "{gte: 9}"), encoding="utf-8")
    code, output = call("explain", RULE, alerts, "--rules", changed)
    assert code == 0
    assert "the rule has changed since" in output
    assert "5 of at least 9 events" in output
    assert "the alert's own evidence does not show it" in output


def test_as_json(alerts: Path) -> None:
    found = json.loads(call("explain", RULE, "--test", "5", "--json")[1])
    assert (found["rule"]["name"], found["state"], found["asked"]) == (RULE, "no match", 12)
    (look,) = found["looks"]
    assert look["event"].keys() == {"id", "kind", "time_ms", "text"}
    lines = look["examined"][0]["tree"]["parts"][1]["parts"][0]["parts"]
    assert lines[0]["found"] == "authentication_unavailable"
    assert json.loads(call("explain", RULE, alerts, "--json")[1])["alert"] == "895e5ae6656f4638"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["d17_denied_bursts"], "there is no rule 'd17_denied_bursts': did you mean d17_denied_burst?"),
        (
            [RULE],
            "a test of d17_denied_burst with --test:\n  1  five times",
        ),
        ([RULE, "--test", "nine"], "no test of d17_denied_burst is named 'nine'"),
        ([RULE, "--test", "fifth"], "more than one test"),
        ([RULE, "none.yml"], "none.yml: there is no such file"),
        (["none.yml", "--test", "1"], "none.yml: error: there is no such file"),
    ],
)
def test_what_is_not_there(arguments: list[str], message: str) -> None:
    code, output = call("explain", *arguments)
    assert code == 2
    assert message in output


RISKY = """title: {title}
id: 00000000-0000-4000-8000-0000000000{number}
name: {name}
level: low
logsource: {{product: x}}
detection: {{s: {{event.kind: access}}, condition: s}}
correlator: {{risk: {points}}}
"""


def finding(rule: str, uid: str, minute: int, activity: str = "Create") -> bytes:
    told = {
        "entity": "identity:e1", "rule_id": rule, "rule_hash": "", "event_id": "e", "values": {},
        "decided_ms": minute * 60_000,
    }  # fmt: skip
    said = {"finding_info": {"uid": uid}, "unmapped": {"correlator": told}, "activity_name": activity}
    return json.dumps(said).encode() + b"\n"


def risk_of(tmp_path: Path, *findings: bytes) -> tuple[int, str]:
    for name, number, points in (("denied", 10, 60), ("probing", 11, 50), ("closed", 12, 90)):
        text = RISKY.format(title=name, number=number, name=name, points=points)
        (tmp_path / f"{name}.yml").write_text(text, encoding="utf-8")
    (tmp_path / "alerts.jsonl").write_bytes(b"".join(findings))
    return call("explain", "correlator-risk", tmp_path / "alerts.jsonl", "--rules", tmp_path)


def rule_id(number: int) -> str:
    return f"00000000-0000-4000-8000-0000000000{number}"


def test_a_risk_says_what_adds_up_and_what_is_missing(tmp_path: Path) -> None:
    first = [finding(rule_id(10), "a1", 1), finding(rule_id(10), "a2", 2)]
    closed = [finding(rule_id(12), "c1", 3), finding(rule_id(12), "c1", 3, "Close")]
    code, output = risk_of(tmp_path, *first, *closed)
    assert code == 0
    assert "identity:e1 on 1970-01-01 UTC" in output
    assert "60 of at least 100 points: no alert, 40 more are missing" in output
    assert "60  denied, alert a1 of 00:01:00 UTC" in output
    assert "a2" not in output, "a rule adds its points once a day"
    code, output = risk_of(
        tmp_path, *first, finding(rule_id(11), "b1", 4), finding("correlator-risk", "r1", 4)
    )
    assert "110 of at least 100 points: alert r1" in output
    assert (
        call("explain", "correlator-risk", tmp_path / "alerts.jsonl", "--rules", tmp_path, "--alert", "zz")[0]
        == 2
    )


def test_a_risk_needs_alerts(tmp_path: Path) -> None:
    code, output = call("explain", "correlator-risk")
    assert (code, "give a file of them" in output) == (2, True)


def test_a_part_without_a_name_leaves_no_gap(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "a.yml").write_text(FILTERED, encoding="utf-8")
    output = call("explain", "many", "--rules", rules, "--test", "1")[1]
    assert "✓ the counted rule base: (all of)" in output
    assert "✗ the filter 'F' has expired, on 2099-01-31\n" in output
