"""Value lists of a configuration directory, for `|expand`."""

from __future__ import annotations

from pathlib import Path

from correlator.adapters.documents import read_value_lists
from correlator.cli.rule_files import read_rules
from tests.rules.writing import rule


def written(directory: Path, lists: str) -> list[str]:
    (directory / "lists.yml").write_text(lists)
    (directory / "a.yml").write_text(rule("s: {credential.id|expand: '%guards%'}\ncondition: s"))
    return [p.message for p in read_rules([directory / "a.yml"], directory)[1]]


def test_lists_are_read_from_the_configuration(tmp_path: Path) -> None:
    assert written(tmp_path, "guards: ['4711', 'x*']\n") == []
    assert read_value_lists(tmp_path) == ({"guards": ["4711", "x*"]}, [])


def test_a_number_in_a_list_is_a_number(tmp_path: Path) -> None:
    assert written(tmp_path, "guards: [4711]\n") == [
        "credential.id is text: write the value in quotes, in lists.yml"
    ]


def test_what_is_wrong_with_lists_is_said(tmp_path: Path) -> None:
    assert "must be a list of at most" in written(tmp_path, "guards: x\n")[-1]
    assert "holds texts and numbers only" in written(tmp_path, "guards: [{a: b}]\n")[-1]
    assert "is no name of a list" in written(tmp_path, "'the guards': [a]\n")[-1]
    assert "must be a mapping of list names" in written(tmp_path, "[a]\n")[-1]


def test_without_lists_a_name_is_unknown(tmp_path: Path) -> None:
    assert read_value_lists(tmp_path) == ({}, [])
