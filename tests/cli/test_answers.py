"""`correlator who` and `correlator timeline` on records, as an analyst asks them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.table import Table
from typer.testing import CliRunner

from correlator.adapters.record_files import read_records
from correlator.alerts.phrases import iso
from correlator.alerts.told import read_told
from correlator.cli.main import app
from correlator.cli.screen import wide_console
from correlator.cli.timeline import _print
from correlator.cli.timeline_events import as_events
from correlator.cli.timeline_page import Line, page
from correlator.cli.times import instant_ms
from correlator.event import DAY_MS, FOREVER, HOUR_MS, NEVER, Person, make_event
from correlator.simulate.company import CompanySettings
from tests.cli.companies import write_company

NOON, NOON_MS = "2026-01-06T12:00Z", 1_767_700_800_000


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("company")
    settings = CompanySettings(days=3, people=40, seed=1)
    write_company(settings, directory)
    return directory


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A company with some attacks, and all that was told of them."""
    directory = tmp_path_factory.mktemp("attacked")
    settings = CompanySettings(days=5, people=200, seed=1, scenarios=2)
    write_company(settings, directory)
    told = directory / "alerts.jsonl"
    assert call("replay", directory, "--out", told)[0] == 0
    return directory, told.read_text().splitlines()


@pytest.mark.parametrize(
    "rule", ["d28_door_forced", "d17_denied_burst", "d18_door_probing", "d05_badge_login_travel"]
)
def test_what_happened_can_be_explained_and_kept_as_a_test(
    attacked: tuple[Path, list[str]], tmp_path: Path, rule: str
) -> None:
    """The events of a timeline, written to a file, make the rule match as they did."""
    directory, lines = attacked
    events, number = tmp_path / "events.yml", f"-00{rule[1:3]}-"  # in the rule's id
    alert = next(read_told(line.encode()) for line in lines if number in line)
    at = datetime.fromtimestamp(alert.end_time / 1_000, UTC) + timedelta(hours=1)
    asked = ("--records", directory, "--at", at.isoformat(), "--events", events)
    assert call("timeline", alert.unmapped.correlator.entity, *asked)[0] == 0
    code, output = call("rules", "explain", rule, events)
    assert code == 0, output
    assert "\n→ alert " in output, output


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_who_is_at_a_site_at_noon_has_evidence_from_before(company: Path) -> None:
    code, output = call("who", "lisbon", "--records", company, "--at", NOON, "--json")
    assert code == 0, output
    document = json.loads(output)
    assert document["at"] == "2026-01-06T12:00:00.000+00:00"
    assert len(document["present"]) > 2
    for one in document["present"]:
        assert 0.2 < one["confidence"] <= 1
        assert one["since"] <= one["newest"]["time"] <= document["at"]
    in_zones = {one["zone"]: one["entity"] for one in document["present"] if one["zone"]}
    zone, entity = next(iter(in_zones.items()))
    code, output = call("who", zone, "--records", company, "--at", NOON, "--json")
    found = json.loads(output)["present"]
    assert entity in [one["entity"] for one in found]
    assert {one["zone"] for one in found} == {zone}
    at_site = {one["entity"]: one["since"] for one in document["present"]}
    assert any(one["since"] > at_site[one["entity"]] for one in found), "in the zone since, not at the site"


def test_a_table_for_people(company: Path) -> None:
    code, output = call("who", "lisbon", "--records", company, "--at", NOON)
    assert code == 0
    assert "believed present at 2026-01-06 12:00:00 +00:00" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("who", "lisbn", "--at", NOON), "no site or zone 'lisbn': did you mean lisbon?"),
        (("who", "lisbon", "--at", "2026-02-01T00:00Z"), "what is known is of 2026-01-0"),
        (("timeline", "e9999"), "nothing is known of identity:e9999"),
        (("timeline", "lis-main-1"), "did you mean door:lis-main-1?"),
        (("timeline", "lis-lab"), "did you mean zone:lis-lab?"),
        (("timeline", "100182"), "give the id of a person"),
        (("timeline", "e1001", "--at", "2027-01-01T00:00Z"), "what is known is of 2026-01-0"),
        (("who", "lisbon", "--at", "-300d"), "what is known is of 2026-01-0"),
        (("who", "lisbon", "--at", "0001-01-01T00:00+14:00"), "what is known is of 2026-01-0"),
        (("who", "lisbon", "--at", "9999-12-31T23:59-12:00"), "what is known is of 2026-01-0"),
        (("timeline", "e1001", "--at", f"-{'9' * 400}d"), "is longer than there was time"),
    ],
)
def test_what_is_not_known_is_said(company: Path, arguments: tuple[str, ...], message: str) -> None:
    code, output = call(*arguments, "--records", company)
    assert code == 2
    assert message in " ".join(output.replace("│", " ").split())


def test_a_page_begins_with_a_link_to_each_alert_as_it_stands() -> None:
    lines = [Line(NOON_MS, 0, "access", "a read")] * 3
    for state in ("new", "closed (retracted)"):
        lines.append(Line(NOON_MS, 0, "alert", f"<b>{state}", severity="High", state=state, uid="a1"))
    html = page("identity:<i>", lines, "now")
    (link,) = re.findall(r"<a class=closed href='#(line-\d+)'>(.*?)</a>", html)
    assert f'id="{link[0]}"' in html
    assert link[1].endswith("High &lt;b&gt;closed (retracted)")
    assert html.count("<a ") == 1
    assert "<a " not in page("identity:<i>", lines[:3], "now")


def test_what_was_known_from_the_start_has_no_day_of_1969(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [Line(-DAY_MS, 0, "person", "who e1 is"), Line(NOON_MS, 0, "access", "a read")]
    _print("identity:e1", lines)
    for told in (capsys.readouterr().out, page("identity:e1", lines, "now")):
        assert "known before" in told
        assert "1969" not in told


def test_names_that_look_like_markup_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    _print("unresolved:badge:[/x]", [Line(NOON_MS, 0, "access", "badge [/x] was granted at door [red]lab")])
    shown = capsys.readouterr().out
    assert shown.startswith("unresolved:badge:[/x]: 1 line\n")
    assert "badge [/x] was granted at door [red]lab" in shown
    table = Table("who", "host")
    table.add_row("[/x]", "[bold]")
    wide_console().print(table)
    assert {"[/x]", "[bold]"} <= set(capsys.readouterr().out.split())


def test_events_of_a_person_with_dates_that_have_no_end_can_be_explained(tmp_path: Path) -> None:
    person = Person("e1", 1, hired_ms=-50_000 * DAY_MS, statuses=((NEVER, "active"), (FOREVER, "terminated")))
    read = make_event(NOON_MS, "1" * 16, "access", identity_id="e1", credential="7", outcome="granted")
    events = tmp_path / "events.yml"
    events.write_text(as_events("identity:e1", [read], person))
    code, output = call("rules", "explain", "d21_terminated_badge", events)
    assert code == 0, output


def test_a_timeline_has_events_alerts_and_presence_in_order(company: Path, tmp_path: Path) -> None:
    there = json.loads(call("who", "lisbon", "--records", company, "--at", NOON, "--json")[1])["present"]
    entity = next(one["entity"] for one in there if "logged in" in one["newest"]["what"])
    page = tmp_path / "page.html"
    who = entity.removeprefix("identity:")
    code, output = call("timeline", who, "--records", company, "--at", NOON, "--json", "--html", page)
    assert code == 0, output
    lines = json.loads(output[output.index("{") :])["lines"]
    assert [line["time_ms"] for line in lines] == sorted(line["time_ms"] for line in lines)
    assert {"access", "login"} <= {line["kind"] for line in lines}
    assert any(line["presence"] for line in lines)
    html = page.read_text(encoding="utf-8")
    assert html.count("<tr><td class=time") + html.count('<tr class="alert') == len(lines)
    assert "<script" not in html
    code, output = call("timeline", who, "--records", company, "--at", NOON)
    assert code == 0
    assert output.startswith(f"{entity}: {len(lines)} lines")


def test_the_newest_of_records_is_their_last_and_not_when_all_was_settled(company: Path) -> None:
    newest_ms = max(record.timestamp_ms for record in read_records(company))
    at = json.loads(call("who", "lisbon", "--records", company, "--json")[1])["at"]
    assert at == iso(newest_ms)
    early = json.loads(call("who", "lisbon", "--records", company, "--at", "-60m", "--json")[1])["at"]
    assert early == iso(newest_ms - HOUR_MS)


def test_a_timeline_ends_at_the_time_that_is_asked_for_and_has_hours_before_it(company: Path) -> None:
    for at in ("2026-01-06T12:00Z", "2026-01-06T15:00Z", "2026-01-06T17:30Z"):
        code, output = call("timeline", "door:lis-main-1", "--records", company, "--at", at, "--json")
        assert code == 0, output
        times = [line["time_ms"] for line in json.loads(output[output.index("{") :])["lines"]]
        at_ms = instant_ms(at, 0)
        assert at_ms - 10 * HOUR_MS <= max(times) <= at_ms
        assert min(times) < at_ms - 3 * HOUR_MS


def test_no_score_is_shown_before_a_model_knows_enough(company: Path) -> None:
    """It is 0 until then, which said that nothing was ever more usual."""
    code, output = call("timeline", "e1001", "--records", company, "--at", NOON, "--json")
    assert code == 0, output
    lines = json.loads(output)["lines"]
    assert {line["kind"] for line in lines} >= {"access", "login"}
    assert {line["score"] for line in lines} == {None}


def test_a_timeline_without_events_says_so(company: Path) -> None:
    code, output = call("timeline", "door:lis-dc-1", "--records", company)
    assert code == 0, output
    assert "0 lines" in output
    assert "events are held half a horizon back of records, and there is none" in output


def test_a_day_with_two_offsets_has_a_heading_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    noon = instant_ms(NOON, 0)
    lines = [
        Line(noon + n, offset_min, "access", "read", "") for n, offset_min in enumerate((0, 480, 480, 0))
    ]
    _print("identity:e1", lines)
    heads = [line for line in capsys.readouterr().out.splitlines() if line.startswith("2026")]
    assert heads == ["2026-01-06 +00:00", "2026-01-06 +08:00", "2026-01-06 +00:00"]


def test_a_narrow_terminal_gets_lines(company: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    output = call("who", "lisbon", "--records", company, "--at", NOON)[1]
    assert "\u2503" not in output
    assert "95%\n    " in output


def test_nobody_is_anywhere_before_anything_has_arrived(company: Path, tmp_path: Path) -> None:
    for name in ("correlator.yml", "sites.yml", "networks.yml"):
        (tmp_path / name).write_text((company / name).read_text())
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "badge-events.jsonl").write_text("")
    code, output = call("who", "lisbon", "--records", tmp_path)
    assert code == 2, output
    assert "nothing has arrived yet" in output


def test_evidence_of_the_day_before_is_told_with_its_date(company: Path) -> None:
    code, output = call("who", "lisbon", "--records", company, "--at", "2026-01-07T00:30Z", "--least", 0)
    assert code == 0, output
    newest = [line.split("│")[-2].strip() for line in output.splitlines() if "% " in line]
    assert any(said.startswith("2026-01-06 ") for said in newest), output
    assert all(said.startswith(("2026-01-0", "00:", "-")) for said in newest), output
