"""`correlator rules fields`: the table, as text, JSON and the reference page."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.rules_app import call


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
