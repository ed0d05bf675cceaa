"""`correlator rules check`: what it says and how it exits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.rules_app import call
from tests.rules.writing import rule

GOOD = rule(
    "s: {event.kind: access}\ncondition: s",
    "correlator:\n  tests: [{name: a read, expect: match, events: [{event.kind: access}]}]\n",
)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    return tmp_path / "rules" / "one.yml"


def test_the_shipped_rules_are_read_where_nothing_is_named() -> None:
    code, output = call("check")
    assert code == 0
    assert "10 rules" in output


def test_errors_exit_with_2_and_name_the_place(written: Path) -> None:
    written.write_text(GOOD.replace("event.kind", "event.kin"), encoding="utf-8")
    for arguments in (
        ("check", written),
        ("check", "--config", written.parents[1]),
        ("test", written.parent),
    ):
        code, output = call(*arguments)
        assert code == 2
        assert "did you mean event.kind?" in output


def test_check_as_json(written: Path) -> None:
    written.write_text(GOOD.replace("low", "lowest"), encoding="utf-8")
    code, output = call("check", written, "--json")
    assert code == 2
    (problem,) = json.loads(output)["problems"]
    assert (problem["line"], problem["column"], problem["field"]) == (4, 1, "level")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert call("check", tmp_path / "none.yml")[0] == 2
    assert call("check", tmp_path)[0] == 2


def test_a_directory_that_is_no_configuration(tmp_path: Path) -> None:
    """Else the shipped rules would be checked, and all be well."""
    for verb in ("check", "test", "coverage"):
        code, output = call(verb, "--config", tmp_path / "none")
        assert (code, "does not exist" in " ".join(output.replace("│", " ").split())) == (2, True)
        code, output = call(verb, "--config", tmp_path)
        assert (code, "is no configuration directory" in output) == (2, True)
    (tmp_path / "sites.yml").touch()
    assert "10 rules" in call("check", "--config", tmp_path)[1]


def test_a_file_that_is_not_text(written: Path) -> None:
    written.write_bytes(b"\xff\xfe\x00")
    assert call("check", written)[0] == 2


def test_warnings_are_errors_only_where_asked(written: Path) -> None:
    written.write_text(GOOD, encoding="utf-8")
    code, output = call("check", written)
    assert code == 0
    assert f"{written}:10:3: warning: correlator.tests: has no test that expects no match" in output
    assert output.splitlines()[-1].startswith("0 errors, 1 warning: 1 rule in 1 file, ")
    assert call("check", written, "--strict")[0] == 1


def test_everything_is_said_in_one_pass_in_order(written: Path) -> None:
    second = written.with_name("two.yml")
    written.write_text(GOOD.replace("low", "lowest").replace("s: {event", "s: {event.kin: x, event"), "utf-8")
    second.write_text(GOOD.replace("condition: s", "condition: s and t"), encoding="utf-8")
    code, output = call("check", written.parent)
    assert code == 2
    places = [line.split(": ")[0].rpartition("/")[2] for line in output.splitlines()[:-1]]
    assert places == ["one.yml:4:1", "one.yml:7:7", "two.yml:2:1", "two.yml:3:1", "two.yml:8:3"]
    found = json.loads(call("check", written.parent, "--json")[1])
    assert found["summary"]["errors"] == 5
    assert [problem["line"] for problem in found["problems"]] == [4, 7, 2, 3, 8]


def test_rules_are_listed_where_asked(written: Path) -> None:
    written.write_text(GOOD, encoding="utf-8")
    assert "A rule" in call("check", written, "--verbose")[1]
    assert "A rule" not in call("check", written)[1]


def test_directories_in_a_directory_are_not_read_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "cloud" / "okta").mkdir(parents=True)
    assert "no rule files in" in call("check", tmp_path)[1]
    assert "directories in it" not in call("check", tmp_path)[1]
    (tmp_path / "cloud" / "okta" / "a.yml").write_text(GOOD, encoding="utf-8")
    assert "itself: directories in it are not read, name them" in " ".join(call("check", tmp_path)[1].split())


def test_a_file_of_an_editor_that_writes_utf_16(written: Path) -> None:
    written.write_text(GOOD, encoding="utf-16")
    assert "not UTF-8 text but UTF-16: save it as UTF-8" in call("check", written)[1]


def test_places_that_a_rule_names_and_the_sites_file_does_not_have_are_said(written: Path) -> None:
    """Else a rule waits for ever: a misspelt zone is no event's."""
    sites = """
    sites: [{id: porto, name: Porto, country: PT, lat: 41.1, lon: -8.6, time_zone: Europe/Lisbon}]
    zones: [{id: Vault, site: porto, criticality: 4}]
    """
    (written.parents[1] / "sites.yml").write_text(sites, encoding="utf-8")
    selection = "event.kind: access, place.site: porto, place.zone: [vault, valt], place.zone|startswith: va"
    written.write_text(GOOD.replace("event.kind: access", selection, 1), encoding="utf-8")
    code, output = call("check", "--config", written.parents[1], "--json")
    assert code == 0
    (said,) = [p for p in json.loads(output)["problems"] if "sites.yml" in p["message"]]
    assert (said["severity"], said["field"]) == ("warning", "place.zone")
    assert "sites.yml has no zone 'valt': did you mean Vault?" in said["message"]
    assert "sites.yml" not in call("check", written)[1], "without --config nothing is known of places"
