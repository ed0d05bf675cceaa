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
    path.write_text(json.dumps([{"event.kind": "access"}]), encoding="utf-8")
    output = " ".join(call("explain", RULE, path)[1].split())
    assert "access.outcome: denied (rules/d17_denied_burst.yml:11) does not hold: absent" in output
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
        ([RULE, "none.yml"], "none.yml cannot be read"),
        (["none.yml", "--test", "1"], "none.yml: error: there is no such file"),
    ],
)
def test_what_is_not_there(arguments: list[str], message: str) -> None:
    code, output = call("explain", *arguments)
    assert code == 2
    assert message in output
