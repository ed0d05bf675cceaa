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


def test_fields_with_a_word_in_their_name_or_meaning() -> None:
    found = json.loads(call("fields", "VPN", "--json")[1])["fields"]
    assert {field["name"] for field in found} == {"login.logon_type", "network.class", "habit.vpn_on_site"}
    code, output = call("fields", "presence.her")
    assert (code, "presence.here" in output) == (0, True)
    code, output = call("fields", "presense.here")
    assert (code, "did you mean presence.here?" in output) == (2, True)
