"""What `correlator deploy` is about to do: the difference to what is active, and tests that fail."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from correlator.adapters.documents import shipped
from correlator.adapters.files import load_texts
from correlator.cli.candidate import Difference, difference, read_candidate
from correlator.engine.bundles import Texts
from correlator.pipeline import Bundle
from correlator.simulate.company import CompanySettings, simulate
from correlator.simulate.configuration import documents
from correlator.simulate.wire import read_schemas


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A configuration with rules of its own."""
    company = simulate(CompanySettings(days=1, people=20, seed=1), read_schemas(shipped("schemas")))
    for name, document in documents(company).items():
        (tmp_path / name).write_text(json.dumps(document), encoding="utf-8")
    shutil.copytree(shipped("rules"), tmp_path / "rules")
    return tmp_path


def read(directory: Path) -> tuple[Bundle, Texts]:
    bundle, texts, _ = load_texts(directory)
    return bundle, texts


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def against(before: tuple[Bundle, Texts], directory: Path) -> Difference:
    after = read(directory)
    return difference(before[0], after[0], (before[1], after[1]))


def test_nothing_is_different(directory: Path) -> None:
    assert against(read(directory), directory) == Difference()


def test_comments_and_tests_make_no_difference_to_a_rule(directory: Path) -> None:
    before = read(directory)
    change(directory / "rules/d17_denied_burst.yml", "correlator:", "# a comment\ncorrelator:")
    change(directory / "rules/d17_denied_burst.yml", "the fifth a second too late", "too late")
    assert against(before, directory) == Difference()


def test_rules_that_came_went_and_changed_are_named(directory: Path) -> None:
    before, rules = read(directory), directory / "rules"
    (rules / "d28_door_forced.yml").unlink()
    change(rules / "d12_badge_badge_travel.yml", "correlator:", "correlator:\n    mode: shadow")
    change(rules / "d17_denied_burst.yml", "{gte: 5}", "{gte: 6}")
    found = against(before, directory)
    assert found.removed == ("d28_door_forced",)
    assert "d12_badge_badge_travel (alert -> shadow)" in found.changed
    assert "d17_denied_burst (asks something else)" in found.changed
    assert (found.added, len(found.changed)) == ((), 2)


def test_other_files_that_changed_are_named(directory: Path) -> None:
    before = read(directory)
    change(directory / "networks.yml", "corporate", "isp")
    assert against(before, directory) == Difference(files=("networks.yml",))


def test_other_files_that_came_and_went_are_named(directory: Path) -> None:
    before = read(directory)
    (directory / "networks.yml").unlink()
    (directory / "lists.yml").write_text("known: [lisbon]\n", encoding="utf-8")
    found = Difference(files_added=("lists.yml",), files_removed=("networks.yml",))
    assert against(before, directory) == found
    assert difference(None, before[0], ({}, before[1])).files_added == ()  # then all would be new


def test_a_test_that_fails_is_named(directory: Path) -> None:
    assert read_candidate(directory).failed == ()
    change(directory / "rules/d17_denied_burst.yml", "{gte: 5}", "{gte: 2}")
    (failed, *_) = read_candidate(directory).failed
    assert "d17_denied_burst.yml:" in failed
    assert "failed: expected no" in failed
