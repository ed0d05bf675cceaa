"""`rules new`, `coverage`, `bench` and `schema`, as a rule author calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from correlator.adapters.documents import shipped
from correlator.rules.editor import rule_schema
from correlator.timeline.fields import FIELDS
from tests.cli.rules_app import call
from tests.rules.writing import one, rule

TEMPLATES = sorted((shipped("rules") / "templates").glob("*.yml"))
SCHEMA = Path(__file__).parents[2] / "schemas" / "rule.schema.json"


@pytest.mark.parametrize("template", [path.stem for path in TEMPLATES])
def test_a_new_rule_passes_its_checks_and_its_tests(tmp_path: Path, template: str) -> None:
    code, output = call("new", "my_first", "--template", template, "--to", tmp_path / "rules")
    file = tmp_path / "rules" / "my_first.yml"
    assert code == 0
    assert f"correlator rules check {file}" in output
    code, output = call("check", file, "--json")
    told = json.loads(output)
    assert code == 0
    problems = [p["message"] for p in told["problems"]]
    assert problems == [p for p in problems if template == "vendor" and "own records" in p]
    (rule,) = (r for r in told["rules"] if r["is_alerting"])
    assert (rule["name"], rule["mode"]) == ("my_first", "shadow")
    code, output = call("test", file)
    assert code == 0, output


def test_two_new_rules_have_ids_of_their_own(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert call("new", name, "--to", tmp_path)[0] == 0
    code, output = call("check", tmp_path)
    assert "is already used" not in output
    assert "does the same as" in output
    assert code == 0


def test_templates_are_listed() -> None:
    code, output = call("new", "--list")
    assert code == 0
    assert all(path.stem in output for path in TEMPLATES)


def test_what_cannot_be_made_is_refused(tmp_path: Path) -> None:
    assert call("new", "one", "--to", tmp_path)[0] == 0
    for arguments, message in (
        (("one", "--to", tmp_path), "is there already"),
        (("Two Words", "--to", tmp_path), "is no name"),
        (("two", "-t", "evnt", "--to", tmp_path), "did you mean event?"),
    ):
        code, output = call("new", *arguments)
        assert code == 2
        assert message in output


def test_coverage_says_what_rules_speak_of_and_need() -> None:
    code, output = call("coverage", "--json")
    told = json.loads(output)
    assert code == 0
    assert "d01_onsite_login_without_badge" in told["techniques"]["T1078"]
    assert "d28_door_forced" in told["needs"]["door"]
    assert "d01_onsite_login_without_badge" in told["needs"]["access"]
    assert told["kinds"]["login"] == [
        "d01_onsite_login_without_badge",
        "d05_badge_login_travel",
        "d06_console_login_empty_zone",
    ]
    assert "rules without tests" not in told["gaps"]
    code, output = call("coverage")
    assert code == 0
    assert "NIST SP 800-53 AU-6(6)" in output


def test_coverage_with_a_configuration_says_what_is_missing_there(tmp_path: Path) -> None:
    assert call("new", "stays", "-t", "absence", "--to", tmp_path / "rules")[0] == 0
    (tmp_path / "sites.yml").write_text(
        "sites:\n  - {id: lisbon, country: PT, lat: 38.7, lon: -9.1, time_zone: Europe/Lisbon}\n"
    )
    code, output = call("coverage", "--config", tmp_path, "--json")
    gaps = json.loads(output)["gaps"]
    assert code == 0
    assert gaps["feeds that no rule needs"] == ["login", "door"]
    assert gaps["rules inert at a site"] == ["stays at lisbon: no readers, no readers with direction out"]
    code, output = call("check", "--config", tmp_path)
    assert "warning: correlator.requires: stays is inert at lisbon: no readers" in output


def test_coverage_calls_a_rule_without_a_name_by_its_title(tmp_path: Path) -> None:
    rule = tmp_path / "night.yml"
    rule.write_text(
        "title: A login at night\nid: 5f0f2a3e-5d7e-4a39-9a0e-0f6f0a3b7f11\nlevel: low\n"
        "logsource: {product: correlator}\n"
        "detection: {selection: {event.kind: login}, condition: selection}\n"
    )
    code, output = call("coverage", rule)
    assert code == 0
    assert "rules without tests: A login at night" in output
    assert "tags" not in output, "nothing to list"


def test_bench_measures_every_rule_on_the_events_of_the_tests() -> None:
    code, output = call("bench", "--ms", 1, "--json")
    told = json.loads(output)
    assert code == 0
    assert len(told["rules"]) == len(list(shipped("rules").glob("*.yml")))
    assert told["events"] > 100
    assert told["together_us"] > 0


def test_bench_needs_events(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(
        "title: a\nid: 00000000-0000-4000-8000-000000000001\nlevel: low\nlogsource: {product: x}\n"
        "detection: {s: {event.kind: login}, condition: s}\n"
    )
    code, output = call("bench", tmp_path)
    assert code == 2
    assert "no rule has tests" in output


def test_the_published_schema_is_that_of_the_code() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == rule_schema(FIELDS)
    code, output = call("schema")
    assert code == 0
    assert json.loads(output) == rule_schema(FIELDS)
    assert json.loads(call("schema", "--block")[1])["title"] == "The correlator: block of a rule"


def test_the_schema_knows_every_field_and_what_it_means() -> None:
    told = rule_schema(FIELDS)
    searches = told["properties"]["detection"]["additionalProperties"]["anyOf"][0]["properties"]  # type: ignore[index]
    assert {name: one["description"] for name, one in searches.items()} == {
        field.name: field.doc for field in FIELDS.values()
    }


def test_a_whole_detection_is_written_in_shadow_with_its_tests(tmp_path: Path) -> None:
    assert "Badge used while its holder is on leave" in call("new", "--list")[1]
    assert call("new", "-t", "d22_badge_on_leave", "--to", tmp_path)[0] == 0
    told = json.loads(call("check", tmp_path, "--json")[1])
    assert [(rule["name"], rule["mode"]) for rule in told["rules"]] == [("d22_badge_on_leave", "shadow")]
    assert call("test", tmp_path)[0] == 0


def test_the_first_rule_of_a_configuration_comes_with_a_warning(tmp_path: Path) -> None:
    output = call("new", "-t", "d17_denied_burst", "--to", tmp_path / "rules")[1]
    assert "does without the shipped ones" in output
    assert "does without" not in call("new", "one", "--to", tmp_path / "rules")[1]


def test_the_shipped_rules_are_taken_along_as_they_are(tmp_path: Path) -> None:
    code, output = call("new", "--shipped", "--to", tmp_path / "rules")
    assert (code, "10 shipped rules" in output) == (0, True)
    own, ours = (
        json.loads(call("check", *where, "--json")[1])["rules"] for where in (["--config", tmp_path], [])
    )
    same = ("id", "name", "mode", "fingerprint")
    assert [[rule[key] for key in same] for rule in own] == [[rule[key] for key in same] for rule in ours]
    code, output = call("new", "--shipped", "--to", tmp_path / "rules")
    assert (code, "there already" in output) == (2, True)


def test_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    for arguments in (("new", "my_first"), ("new", "--shipped")):
        code, output = call(*arguments, "--to", tmp_path / "taken")
        assert code == 1
        assert "taken" in output
        assert "File exists" in output


@pytest.mark.parametrize("verb", ["check", "test", "coverage", "bench"])
def test_a_name_that_no_file_can_have_is_told(verb: str) -> None:
    code, output = call(verb, f"{'a' * 300}.yml")
    assert code == 2
    assert "cannot be read: File name too long" in output


def test_a_test_cannot_steer_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "rule.yml"
    file.write_text(
        f"""{rule(one("credential.id: x"))}correlator:
  tests: [{{name: "n\\e[2J", expect: match, events: [{{event.kind: access, credential.id: "\\e[2J"}}]}}]
""",
        encoding="utf-8",
    )
    for arguments in (("test", file), ("explain", file, "--test", 1), ("coverage", file)):
        _, output = call(*arguments)
        assert "\x1b" not in output
    assert "found U+001B[2J" in call("test", file)[1]
