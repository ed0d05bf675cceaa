"""Alerts made by hand, held against a truth made by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from correlator.cli.evaluate import evaluate_command
from correlator.event import DAY_MS, HOUR_MS
from correlator.simulate.evaluate import Injected, RuleResult, Truth, evaluate, read_alerts
from correlator.simulate.scenario import RULES

T = 1_767_600_000_000
ATTACK = Injected("a", "attack", RULES["D12"], "D12", "identity:e1", ("01", "02"), T, T, also=(RULES["D01"],))
LIKE = Injected("l", "look-alike", RULES["D01"], "D01", "identity:e2", ("03",), T, T + HOUR_MS)
TRUTH = Truth(days=10, people=50, person_days=500, scenarios=(ATTACK, LIKE))


def line(
    name: str,
    entity: str,
    *events: str,
    uid: str = "u1",
    activity: int = 1,
    at_ms: int = T,
    told_ms: int = T + 5_000,
    reason: str = "",
) -> bytes:
    ours = {
        "entity": entity,
        "rule_id": RULES[name],
        "event_id": events[-1],
        "decided_ms": at_ms,
        "evidence": events,
    }
    record = {
        "activity_id": activity,
        "time": told_ms,
        "end_time": at_ms,
        "status_detail": reason,
        "finding_info": {"uid": uid, "analytic": {"uid": RULES[name]}, "title": "t"},
        "unmapped": {"correlator": ours, "physical_access": {}},
    }
    return json.dumps(record).encode()


def judged(*lines: bytes) -> dict[str, RuleResult]:
    return evaluate(TRUTH, read_alerts(lines))


def test_an_alert_that_names_an_event_of_the_attack_finds_it() -> None:
    result = judged(line("D12", "identity:e1", "00", "02"))["D12"]
    assert (result.injected, result.found, result.missed, result.delay_median_s) == (1, 1, [], 5.0)
    assert result.false_alarms == 0
    assert result.is_good


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [line("D12", "identity:e1", "77")],
        [line("D05", "identity:e1", "02")],
        [line("D12", "identity:e9", "02")],
        [line("D12", "identity:e1", "02"), line("D12", "identity:e1", "02", activity=3, reason="retracted")],
    ],
    ids=["nothing", "another event", "another rule", "another person", "closed again"],
)
def test_anything_else_misses_it(lines: Sequence[bytes]) -> None:
    result = judged(*lines)["D12"]
    assert [scenario.id for scenario in result.missed] == ["a"]
    assert not result.is_good


def test_a_look_alike_that_alerts_is_told_and_counts_as_false() -> None:
    result = judged(line("D01", "identity:e2", "03"))["D01"]
    assert (result.look_alikes, result.look_alikes_alerted, result.false_alarms) == (1, 1, 1)
    assert result.false_per_1000_person_days == 2.0
    assert not result.is_good


def test_a_look_alike_whose_alert_was_retracted_is_no_error() -> None:
    raised = line("D01", "identity:e2", "03")
    closed = line("D01", "identity:e2", "03", activity=3, reason="retracted")
    result = judged(raised, closed)["D01"]
    assert (result.look_alikes_alerted, result.false_alarms, result.retracted) == (0, 0, 1)
    assert result.is_good


def test_an_attack_explains_what_it_lists_and_what_follows_it_within_a_day() -> None:
    found = line("D12", "identity:e1", "02")
    also = line("D01", "identity:e1", "55", uid="u2", at_ms=T + HOUR_MS)
    later = line("D12", "identity:e1", "56", uid="u3", at_ms=T + 2 * DAY_MS)
    results = judged(found, also, later)
    assert (results["D01"].false_alarms, results["D01"].also_fired) == (0, 1)
    assert [alert.uid for alert in results["D12"].false] == ["u3"]


def test_events_of_updates_add_up_and_the_first_telling_gives_the_delay() -> None:
    first = line("D12", "identity:e1", "88", told_ms=T + 2_000)
    update = line("D12", "identity:e1", "88", "01", activity=2, told_ms=T + 900_000)
    result = judged(first, update)["D12"]
    assert (result.found, result.delay_median_s) == (1, 2.0)


def test_a_line_that_is_no_alert_is_named() -> None:
    with pytest.raises(ValueError, match="line 2"):
        read_alerts([line("D12", "identity:e1", "02"), b'{"time": 3}'])


@pytest.mark.parametrize(
    ("alerts", "code"),
    [([line("D12", "identity:e1", "02")], 0), ([], 1), ([b"not json"], 2)],
)
def test_exit_codes(tmp_path: Path, alerts: list[bytes], code: int) -> None:
    (tmp_path / "truth.json").write_bytes(msgspec.json.encode(TRUTH))
    (tmp_path / "alerts.jsonl").write_bytes(b"\n".join(alerts) + b"\n")
    app = typer.Typer()
    app.command()(evaluate_command)
    files = [str(tmp_path / "truth.json"), str(tmp_path / "alerts.jsonl")]
    assert CliRunner().invoke(app, files).exit_code == code
    assert CliRunner().invoke(app, [*files, "--json"]).exit_code == code
    listed = CliRunner().invoke(app, [*files, "--list"])
    assert listed.exit_code == code
    assert ("missed: D12 identity:e1" in listed.output) == (code == 1)


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(evaluate_command)
    assert CliRunner().invoke(app, [str(tmp_path / "no.json"), str(tmp_path / "no.jsonl")]).exit_code == 2
