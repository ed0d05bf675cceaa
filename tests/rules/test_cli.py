"""`correlator rules`: what it prints and how it exits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from correlator.cli.rules import app
from tests.rules.writing import rule

GOOD = rule("s: {event.kind: access}\ncondition: s", "correlator:\n  tests: [%s]\n")
PASSES = "{name: a read, expect: match, events: [{event.kind: access}]}"
FAILS = "{name: a read, expect: no-match, events: [{event.kind: access}]}"


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.fixture
def written(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    return tmp_path / "rules" / "one.yml"


def test_the_shipped_rules_are_read_where_nothing_is_named() -> None:
    code, output = call("check")
    assert code == 0
    assert "9 rules" in output


def test_errors_exit_with_2_and_name_the_place(written: Path) -> None:
    written.write_text((GOOD % PASSES).replace("event.kind", "event.kin"), encoding="utf-8")
    for arguments in (
        ("check", written),
        ("check", "--config", written.parents[1]),
        ("test", written.parent),
    ):
        code, output = call(*arguments)
        assert code == 2
        assert "did you mean event.kind?" in output


def test_check_as_json(written: Path) -> None:
    written.write_text((GOOD % PASSES).replace("low", "lowest"), encoding="utf-8")
    code, output = call("check", written, "--json")
    assert code == 2
    (problem,) = json.loads(output)["problems"]
    assert (problem["line"], problem["column"], problem["field"]) == (4, 1, "level")


@pytest.mark.parametrize(("case", "code", "told"), [(PASSES, 0, "1 passed"), (FAILS, 1, "expected no match")])
def test_tests_that_fail_exit_with_1(written: Path, case: str, code: int, told: str) -> None:
    written.write_text(GOOD % case, encoding="utf-8")
    exited, output = call("test", written)
    assert exited == code
    assert told in " ".join(output.split())
    exited, output = call("test", written, "--json")
    assert exited == code
    assert json.loads(output)["tests"][0]["passed"] is (code == 0)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert call("check", tmp_path / "none.yml")[0] == 2
    assert call("check", tmp_path)[0] == 2


def test_a_file_that_is_not_text(written: Path) -> None:
    written.write_bytes(b"\xff\xfe\x00")
    assert call("check", written)[0] == 2


def test_the_field_reference_is_current() -> None:
    code, output = call("fields", "--markdown")
    assert code == 0
    expected = (Path(__file__).parents[2] / "docs" / "fields.md").read_text(encoding="utf-8")
    assert output == expected, "correlator rules fields --markdown > docs/fields.md"


def test_fields_as_json_and_table() -> None:
    code, output = call("fields", "--json")
    assert code == 0
    assert {"name", "type", "entities", "feed", "doc"} == set(json.loads(output)["fields"][0])
    assert call("fields")[0] == 0
