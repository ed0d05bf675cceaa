"""`correlator rules backtest` on records: what one rule set tells and another one does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from correlator.adapters.documents import shipped
from correlator.adapters.files import load_texts
from correlator.cli.backtest import Alert, compare, with_rules
from correlator.cli.candidate import rules_of
from correlator.simulate.company import CompanySettings
from tests.cli.companies import company_of
from tests.cli.rules_app import call

BURST = "d17_denied_burst.yml"


@pytest.fixture(scope="module")
def company() -> Iterator[Path]:
    with company_of(CompanySettings(days=4, people=100, seed=1)) as directory:
        yield directory


def lowered(directory: Path) -> Path:
    """The rule of denied bursts, with two instead of five reads."""
    text = (shipped("rules") / BURST).read_text(encoding="utf-8")
    directory.joinpath(BURST).write_text(text.replace("{gte: 5}", "{gte: 3}"), encoding="utf-8")
    return directory / BURST


def test_a_rule_set_against_itself_tells_the_same(company: Path) -> None:
    code, output = call("backtest", "--config", company)
    assert code == 0, output
    assert "the same alerts" in output
    assert "both sides are the same rules" in output


def test_a_rule_that_is_tried_is_named_also_where_it_tells_nothing(company: Path, tmp_path: Path) -> None:
    rule = tmp_path / "never.yml"
    text = (shipped("rules") / BURST).read_text(encoding="utf-8").replace("{gte: 5}", "{gte: 500}")
    text = text.replace("d17_denied_burst", "never").replace("badge_denied_to_holder", "never_base")
    rule.write_text(text.replace("000000000017", "999999999999"), encoding="utf-8")
    code, output = call("backtest", "--config", company, "--rules", rule, "--json")
    assert code == 0, output
    rows = {row["rule"]: row["told"] for row in json.loads(output)["by_rule"]}
    assert rows["never"] == [0, 0]
    assert rows["d17_denied_burst"][0] > 0


def test_a_file_that_is_tried_takes_the_place_of_the_one_of_that_name_however_that_ends(
    company: Path, tmp_path: Path
) -> None:
    texts = dict(load_texts(company)[1])
    texts["rules/burst.yaml"] = texts.pop(f"rules/{BURST}")
    assert texts["rules/burst.yaml"] == (shipped("rules") / BURST).read_text(encoding="utf-8")
    tried = lowered(tmp_path).rename(tmp_path / "burst.yml")
    tried_rules = rules_of(with_rules(texts, tried, "correlator.", company))
    (rule,) = (rule for rule in tried_rules.values() if rule.name == "d17_denied_burst")
    assert rule.correlation is not None
    assert rule.correlation.thresholds == (("gte", 3),)


@pytest.fixture(scope="module")
def whole(company: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """All of the time, against a lowered rule."""
    rules = lowered(tmp_path_factory.mktemp("rules"))
    code, output = call("backtest", "--config", company, "--rules", rules, "--json")
    assert code == 1, output
    return json.loads(output)


def test_what_a_changed_rule_gains_is_named_and_others_stay(whole: Any) -> None:
    by_rule = {row["rule"]: row for row in whole["by_rule"]}
    burst = by_rule.pop("d17_denied_burst")
    assert burst["told"][0] > burst["told"][1]
    assert burst["lost"] == []
    assert burst["title"] == "Burst of denied reads at one door"
    assert len(burst["gained"]) >= burst["told"][0] - burst["told"][1]
    assert burst["rates"] == [told * 1_000 / whole["person_days"] for told in burst["told"]]
    assert by_rule
    assert all(row["gained"] == row["lost"] == [] for row in by_rule.values())


def test_only_the_time_asked_for_counts(company: Path, whole: Any, tmp_path: Path) -> None:
    arguments = ("backtest", "--config", company, "--rules", lowered(tmp_path), "--json")
    last = json.loads(call(*arguments, "--from", "-2d")[1])
    first = json.loads(call(*arguments, "--to", "-2d")[1])
    assert last["from_ms"] == first["to_ms"]
    assert first["person_days"] + last["person_days"] == pytest.approx(whole["person_days"])

    def told(document: dict[str, list[dict[str, list[int]]]]) -> int:
        return sum(sum(row["told"]) for row in document["by_rule"])

    assert told(first) + told(last) == told(whole)
    assert 0 < told(last) < told(whole)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rules", "/nowhere"), "/nowhere: error: there is no such file"),
        (("--against", "active"), "no active bundle without Kafka"),
        (("--from", "yesterday"), "'yesterday' is no time"),
        (("--from", "2026-01-07T00:00"), "does not say in which zone"),
        (("--from", "-1d", "--to", "-2d"), "--from is not before --to"),
        (("--from", "2030-01-01T00:00Z"), "--from is not before --to: 2030-01-01T00:00:00.000+00:00 and 20"),
    ],
)
def test_what_cannot_be_meant_is_refused(company: Path, arguments: tuple[str, ...], message: str) -> None:
    code, output = call("backtest", "--config", company, *arguments)
    assert code == 2
    assert message in " ".join(output.replace("│", " ").split())


def test_a_directory_without_a_record_is_named_so(company: Path, tmp_path: Path) -> None:
    for name in ("sites.yml", "networks.yml", "identities.jsonl"):
        (tmp_path / name).write_bytes((company / name).read_bytes())
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "badge-events.jsonl").touch()
    code, output = call("backtest", "--config", tmp_path)
    assert (code, "there are no records" in output) == (2, True)


def alert(uid: str, *evidence: str, is_closed: bool = False) -> Alert:
    return Alert(uid, "r", "identity:e1", 0, "", "e1", "", "", False, is_closed, evidence)


def test_alerts_of_a_rule_that_share_an_event_are_the_same() -> None:
    (same,) = compare([alert("1", "a", "b")], [alert("2", "b", "c")])
    assert (same.gained, same.lost) == ((), ())
    (other,) = compare([alert("1", "a")], [alert("2", "b")])
    assert ([a.uid for a in other.gained], [a.uid for a in other.lost]) == (["1"], ["2"])


def test_an_alert_that_is_a_repeat_on_the_other_side_is_not_lost() -> None:
    """A rule that asks for less begins an episode earlier."""
    wider = replace(alert("1", "a"), repeats=("b",))
    (row,) = compare([wider], [alert("2", "b")])
    assert (row.gained, row.lost) == ((), ())


def test_an_alert_that_the_other_side_told_just_before_the_time_asked_for_is_not_gained() -> None:
    before = replace(alert("1", "a", "b"), is_counted=False)
    (row,) = compare([alert("2", "b", "c")], [before])
    assert (row.told, row.gained, row.lost) == ((1, 0), (), ())
    assert compare([before], [before]) == []


def test_a_rule_that_was_renamed_is_the_same() -> None:
    (row,) = compare(
        [replace(alert("1", "a"), rule="new", rule_id="i")], [replace(alert("1", "a"), rule_id="i")]
    )
    assert (row.rule, row.told, row.gained, row.lost) == ("new", (1, 1), (), ())


def test_an_alert_that_was_closed_is_neither_gained_nor_lost() -> None:
    (closed,) = compare([alert("1", "a", is_closed=True)], [])
    assert (closed.told, closed.closed, closed.gained, closed.lost) == ((1, 0), (1, 0), (), ())
    (lost,) = compare([alert("1", "a", is_closed=True)], [alert("1", "a")])
    assert [a.uid for a in lost.lost] == ["1"]
