"""`correlator feeds`: exit codes, output for people and for programs."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from pathlib import Path

import pytest
from typer.testing import CliRunner

from correlator.cli.feeds import app
from tests.intake.feed_files import ACCESS, RECORD

LINE = json.dumps(RECORD)


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    file = tmp_path / "panel.yml"
    file.write_text(ACCESS, encoding="utf-8")
    return file


def test_shipped_feeds_are_checked_and_tested_by_default() -> None:
    assert run("check")[0] == 0
    status, out, _ = run("test", "--json")
    assert status == 0
    assert all(sample["passed"] for sample in json.loads(out)["samples"])


def test_what_a_feed_may_use_is_listed() -> None:
    assert "access.outcome" in run("fields")[1]
    listed = json.loads(run("fields", "--json")[1])
    assert {"name": "lower", "doc": "Text in lower case."} in listed["converters"]


def test_errors_end_with_2_and_are_listed(feed: Path) -> None:
    feed.write_text(ACCESS.replace("kind: access", "kind: excess"), encoding="utf-8")
    status, out, err = run("check", feed)
    assert (status, out) == (2, "")
    assert f"{feed}:5:1: error: kind: expected one of access, login, door" in err
    status, out, _ = run("test", feed, "--json")
    assert status == 2
    assert any(problem["field"] == "kind" for problem in json.loads(out)["problems"])
    assert run("check", feed.parent / "absent.yml")[0] == 2


def test_a_failing_sample_ends_with_1(feed: Path) -> None:
    feed.write_text(ACCESS + "samples: [{value: {}, expect: {reject: bad_json}}]\n", encoding="utf-8")
    status, out, _ = run("test", feed)
    assert status == 1
    assert "0 passed, 1 failed" in out


def test_trying_a_feed_tells_events_reasons_and_counts(feed: Path, tmp_path: Path) -> None:
    envelope = {"arrival_ms": 5, "value_b64": b64encode(LINE.encode()).decode()}
    lines = [
        LINE,
        json.dumps(envelope),
        json.dumps({"value": RECORD}),
        "",
        "{",
        json.dumps(RECORD | {"reader": None}),
    ]
    records = tmp_path / "records.jsonl.gz"
    records.write_bytes(gzip.compress("\n".join(lines).encode()))
    status, out, _ = run("try", records, "--feed", feed, "--json")
    assert status == 1
    told = [json.loads(line) for line in out.splitlines()]
    assert told[-1] == {"feed": "panel", "counts": {"bad_json": 1, "mapped": 3, "missing_field": 1}}
    assert told[0]["events"] == told[1]["events"] == told[2]["events"]
    assert told[0]["events"][0]["credential.id"] == "4711"
    assert told[3]["reject"] == "bad_json"
    assert "place.reader is missing" in told[4]["message"]
    status, out, _ = run("try", records, "--feed", feed, "--rejects", "--limit", 4)
    assert status == 1
    assert out.startswith("4: bad_json: not JSON")


def test_a_file_called_by_its_topic_needs_no_feed_and_any_other_file_is_one_value(tmp_path: Path) -> None:
    records = tmp_path / "badge-sim.jsonl"
    at = "2026-01-09T08:31:02Z"
    line = {"timestamp": at, "user_id": "u", "room_id": "r", "location_id": "l", "success": True}
    records.write_text(json.dumps(line))
    assert run("try", records)[0] == 0
    value = tmp_path / "badge-events.bin"
    value.write_bytes(b"\0\0\0\0\1")
    status, out, _ = run("try", value)
    assert status == 1
    assert "1: truncated:" in out


def test_what_is_not_there_ends_with_2(feed: Path, tmp_path: Path) -> None:
    assert run("try", tmp_path / "absent.jsonl", "--feed", feed)[0] == 2
    broken = tmp_path / "broken.jsonl.gz"
    broken.write_bytes(b"no gzip")
    status, _, err = run("try", broken, "--feed", feed)
    assert status == 2
    assert "cannot be read" in err
    status, _, err = run("try", broken)
    assert status == 2
    assert "say --feed" in err


def test_a_sample_that_differs_says_so_in_words(feed: Path) -> None:
    sample = {"value": RECORD, "expect": {"time": "2026-01-09T08:31:02Z", "access.duress": True}}
    feed.write_text(f"{ACCESS}samples: [{json.dumps(sample)}]\n", encoding="utf-8")
    out = " ".join(run("test", feed)[1].replace("│", " ").split())
    assert "access.duress: expected true, found nothing" in out
    assert "access.outcome: expected nothing, found 'granted'" in out


def test_trying_a_feed_tells_what_rules_may_ask_of_the_record_itself(feed: Path, tmp_path: Path) -> None:
    feed.write_text(ACCESS + "raw: [card.number, ways]\n", encoding="utf-8")
    records = tmp_path / "records.jsonl"
    records.write_text(json.dumps(RECORD | {"ways": ["in", "out"]}), encoding="utf-8")
    assert (
        run("try", records, "--feed", feed)[1]
        .splitlines()[0]
        .endswith('; kept: card.number=4711 ways="in, out"')
    )
    told = json.loads(run("try", records, "--feed", feed, "--json")[1].splitlines()[0])
    assert told["kept"] == {"card.number": "4711", "ways": ["in", "out"]}
