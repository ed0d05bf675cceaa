"""Reading alerts and dead letters: from files and through the port that Kafka and the embedded log share."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest
from typer.testing import CliRunner

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.memory.clients import MemoryLogReader
from correlator.adapters.memory.log import MemoryLog
from correlator.alerts.told import read_told
from correlator.cli import alerts, dead_letters
from correlator.cli.dead_letters import dead_letter_of, decoded, described, hexdump, newest, table
from correlator.cli.topic_records import NoSuchTopic, record_at, records_of
from correlator.engine.dead_letters import dead_letter
from correlator.engine.ports import TopicPartition
from correlator.record import Record, Reject
from tests.alerts import shapes
from tests.alerts.shapes import value

RUNNER = CliRunner()


@pytest.fixture
def replayed(tmp_path: Path) -> Path:
    """A file as `replay` writes it: d01 opens and is retracted, d05 stays open."""
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(b"\n".join(value(make()) for make in (shapes.d01, shapes.d05, shapes.retracted)) + b"\n")
    return path


def test_tail_of_a_file_shows_blocks(replayed: Path) -> None:
    result = RUNNER.invoke(alerts.app, ["tail", "--file", str(replayed)])
    assert result.exit_code == 0
    assert "2026-03-02 09:14:05 +01:00  High  web login from FR: 23 min 4 s after" in result.output
    assert "person e1001  place FR  rule d05_badge_login_travel  confidence high  state new" in result.output
    assert "state closed (retracted)" in result.output
    assert max(map(len, result.output.splitlines())) < 170


def test_tail_as_json_is_what_was_published(replayed: Path) -> None:
    result = RUNNER.invoke(alerts.app, ["tail", "--file", str(replayed), "--json"])
    assert result.stdout_bytes == replayed.read_bytes()


def test_open_alerts_only(replayed: Path) -> None:
    result = RUNNER.invoke(alerts.app, ["tail", "--file", str(replayed), "--open", "--json"])
    assert [json.loads(line)["metadata"]["event_code"] for line in result.output.splitlines()] == [
        "d05_badge_login_travel"
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "either --config DIR or --file FILE"),
        (["--file", "nowhere.jsonl"], 1, "nowhere.jsonl: No such file"),
        (["--config", "nowhere"], 2, "nowhere: error: is not a directory"),
    ],
)
def test_what_cannot_be_read_ends_with_a_code(arguments: list[str], code: int, said: str) -> None:
    result = RUNNER.invoke(alerts.app, ["tail", *arguments])
    assert result.exit_code == code
    assert said in " ".join(result.output.replace("│", " ").split())


def test_a_line_that_is_no_alert(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("{}\n")
    for more in ([], ["--open"]):
        result = RUNNER.invoke(alerts.app, ["tail", "--file", str(path), *more])
        assert result.exit_code == 1
        assert "a record is no alert" in result.output


def test_one_broken_line_does_not_hide_the_alerts_after_it(replayed: Path) -> None:
    first, *others = replayed.read_bytes().splitlines()
    replayed.write_bytes(b"\n".join([first, b'{"finding_info": bro', b'{"finding_info":{}}', *others]))
    for more, shown in (["--json"], others[-1]), (["--open", "--json"], others[0]):
        result = RUNNER.invoke(alerts.app, ["tail", "--file", str(replayed), *more])
        assert result.exit_code == 1
        assert result.stdout_bytes.splitlines()[-1] == shown
        assert f"{replayed}:2: a record is no alert" in result.stderr
        assert f"{replayed}:3: a record is no alert" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--severity", "low"], ["d01", "d05", "d01"]),
        (["--severity", "critical"], []),
        (["--rule", "d05*"], ["d05"]),
        (["--rule", "nothing", "--rule", "*without_badge"], ["d01", "d01"]),
        (["--about", "e1001"], ["d01", "d05", "d01"]),
        (["--about", "lis", "--rule", "d0?_*"], ["d01", "d01"]),
        (["--about", shapes.d05().change.alert.uid], ["d05"]),
        (["--about", "e1"], []),
        (["--about", "lis", "--severity", "high", "--open"], []),
    ],
)
def test_some_alerts_only(replayed: Path, arguments: list[str], shown: list[str]) -> None:
    result = RUNNER.invoke(alerts.app, ["tail", "--file", str(replayed), "--json", *arguments])
    lines = result.stdout.splitlines()
    assert [json.loads(line)["metadata"]["event_code"][:3] for line in lines] == shown
    assert ("like that" in result.stderr) == (not shown)


def test_of_an_alert_that_was_shown_what_is_new_is_shown(replayed: Path) -> None:
    result = RUNNER.invoke(alerts.app, ["tail", "--file", str(replayed)], env={"COLUMNS": "200"})
    first, _, closed = result.output.strip().split("\n\n")
    assert "No badge read puts the person at site" in " ".join(first.split())
    head, facts, *paragraph = closed.splitlines()
    assert "retracted" in head
    assert "state closed (retracted)" in facts
    assert " ".join(paragraph).strip().startswith("Closed as retracted:")


def test_what_is_remembered_of_alerts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was shown too long ago is told of as if for the first time."""
    monkeypatch.setattr(alerts, "REMEMBERED", 1)
    told = [read_told(value(make())) for make in (shapes.d01, shapes.d05, shapes.retracted)]
    *_, closed = alerts.blocks(told, 100)
    assert "No badge read puts the person at site" in " ".join(closed.plain.split())


def test_a_file_is_followed(tmp_path: Path) -> None:
    """What is added, once a line is whole; and the file that takes its place, as when it is written anew."""
    path, clock = tmp_path / "alerts.jsonl", SimulatedClock()
    path.write_bytes(b"1\n2")
    lines = alerts.lines_of(path, clock, follows=True)
    assert next(lines) == (1, b"1\n")
    with path.open("ab") as file:
        file.write(b"2\n3\n")
    assert [next(lines), next(lines)] == [(2, b"22\n"), (3, b"3\n")]
    path.write_bytes(b"4\n")
    assert next(lines) == (1, b"4\n")
    (tmp_path / "other").write_bytes(b"five\n")
    (tmp_path / "other").replace(path)
    assert next(lines) == (1, b"five\n")


def test_a_file_that_is_not_followed_ends_in_a_line_that_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(b"1\n2")
    assert list(alerts.lines_of(path, SimulatedClock(), follows=False)) == [(1, b"1\n"), (2, b"2")]


def log(*, values: int = 0) -> tuple[MemoryLog, MemoryLogReader]:
    memory = MemoryLog(SimulatedClock(1_000))
    memory.create_topic("t", 2)
    for n in range(values):
        memory.append(TopicPartition("t", n % 2), None, b"%d" % n)
    return memory, MemoryLogReader(memory)


def test_reading_from_the_beginning_or_the_end() -> None:
    memory, reader = log(values=4)
    clock = SimulatedClock()
    once = records_of(reader, "t", clock, from_beginning=True, follows=False)
    assert [record.value for record in once] == [b"0", b"2", b"1", b"3"]
    assert list(records_of(reader, "t", clock, from_beginning=False, follows=False)) == []
    follower = records_of(reader, "t", clock, from_beginning=True, follows=True)
    assert len(list(islice(follower, 4))) == 4
    memory.append(TopicPartition("t", 1), None, b"new")
    assert next(follower).value == b"new"


def test_a_missing_topic_says_what_makes_it() -> None:
    _, reader = log()
    with pytest.raises(NoSuchTopic, match="topics create"):
        next(records_of(reader, "other", SimulatedClock(), from_beginning=True, follows=False))


def test_one_record() -> None:
    _, reader = log(values=4)
    found = record_at(reader, TopicPartition("t", 1), 1)
    assert found is not None
    assert found.value == b"3"
    missing = [(TopicPartition("t", 1), 2), (TopicPartition("t", 7), 0), (TopicPartition("x", 0), 0)]
    assert [record_at(reader, *place) for place in missing] == [None, None, None]


def refused(content: bytes | None) -> dead_letters.DeadLetter:
    record = Record("badge-events", 2, 17, 5, b"k", content, (("trace", b"\xff1"),))
    sent = dead_letter("dead", record, Reject("decode", "unknown_schema", "schema id 9 is not in ids.yml"))
    return dead_letter_of(Record("dead", 1, 4, 6, sent.key, sent.value, tuple(sent.headers)))


def test_a_dead_letter_says_why_and_whence() -> None:
    letter = refused(b"\0\0\0\0\x09abc")
    assert (letter.stage, letter.reason, letter.origin) == ("decode", "unknown_schema", "badge-events/2/17")
    said = described(letter)
    assert "schema id 9 is not in ids.yml" in said
    assert "header     trace: \\xff1" in said
    assert "00000000  00 00 00 00 09 61 62 63                          .....abc" in said
    assert "looks like Avro framed for a registry: schema id 9, 3 bytes after it" in said
    assert table([letter]).row_count == 1
    assert "none (a tombstone)" in described(refused(None))


def test_the_newest_dead_letters_are_listed_in_order() -> None:
    """A batch has one time for all of its records: their offsets are numbers, 9 is before 10."""
    places = [(1, 4), (0, 10), (0, 9), (0, 11)]
    letters = [dead_letter_of(Record("dead", p, offset, 6, None, b"")) for p, offset in places]
    assert [letter.id for letter in newest(letters, "", 3)] == ["0/10", "0/11", "1/4"]
    assert newest(letters, "unknown_schema", 3) == []


def test_large_values_are_cut() -> None:
    said = described(refused(b"\xff" * 10_000))
    assert "… and 5,904 more bytes" in said
    assert "neither JSON nor text" in said


def test_decoding_is_an_attempt() -> None:
    assert decoded(b'{"a": 1}') == '{"a": 1}'
    assert decoded("grüß".encode()) == "grüß"
    assert decoded(b"[" * 100_000)
    assert decoded(b"") == ""
    assert hexdump(b"") == []


def test_a_record_that_is_no_dead_letter_of_ours() -> None:
    letter = dead_letter_of(Record("dead", 0, 0, 0, None, b"x", (("correlator.errors.other", b"1"),)))
    assert letter.reason == ""


def test_ids_of_dead_letters_are_checked(tmp_path: Path) -> None:
    result = RUNNER.invoke(dead_letters.app, ["show", str(tmp_path), "17"])
    assert result.exit_code == 2
    assert "PARTITION/OFFSET" in result.output
