"""What commands say of arguments, and of a deployment that is not there, instead of doing anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest
import typer
from rich.progress import Progress
from typer.testing import CliRunner

from correlator.adapters.memory.clients import MemoryLogReader, MemoryTransactionalWriter
from correlator.cli.deploy import check_partitions
from correlator.cli.embedded import Embedded, with_partitions
from correlator.cli.looking import Look
from correlator.cli.main import app
from correlator.cli.rules_status import hits_of
from correlator.codec import Codes
from correlator.engine.bundles import Activated, Bundles
from correlator.engine.deploy import Edges, deploy
from correlator.engine.ports import CommitAborted, Committed, LogUnavailable, Membership, TopicPartition
from correlator.engine.topics import EngineRefusal
from correlator.frame import FORMAT, FrameError, decode_frame
from correlator.models.percentile import PercentileState, percentile_from
from correlator.models.state import StateFormatError
from correlator.pipeline import alert_partition
from correlator.timeline import state
from tests.engine.company import system

USAGE = 2

ARGUMENTS = {
    ("dead-letters", "show", ".", "3-7"): "'3-7' is not PARTITION/OFFSET, as list shows it",
    ("dead-letters", "replay", ".", "3-7"): "'3-7' is not PARTITION/OFFSET, as list shows it",
    ("run", "--embedded", "--watch", "--stage", "intake"): "--stage, --watch: for Kafka only",
    ("alerts", "tail", "--file", "x", "--shadow"): "--shadow is a topic of Kafka",
    ("alerts", "tail", "--file", "x", "--open", "--follow"): "--open shows what stands now, and ends",
    (
        "simulate",
        "--out",
        "x",
        "--bootstrap",
        "localhost:1",
        "--start",
        "2999-01-01",
    ): "records of the future: --start",
    ("state", "forget", "."): "give partitions, or --all",
    ("state", "forget", ".", "9"): "partitions are 0 to 3",
    ("rules", "status", ".", "--since", "noon"): "'noon' is no time; write 2026-11-25T08:00Z or -30d",
    ("rules", "status", ".", "--since", "-3x"): "'3x' is no duration; write 60s, 5m, 1h, 14d or 2w",
}


@pytest.mark.parametrize(("words", "message"), ARGUMENTS.items(), ids=lambda part: " ".join(part)[:40])
def test_arguments(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    (tmp_path / "correlator.yml").write_text("kafka: {bootstrap_servers: localhost:1}\n")
    (tmp_path / "sites.yml").write_text("sites: [{id: a, lat: 1, lon: 1, time_zone: UTC}]\n")
    found = CliRunner().invoke(app, [str(tmp_path) if word == "." else word for word in words])
    assert found.exit_code == USAGE, found.output
    assert message in " ".join(found.output.replace("│", " ").split())


def test_another_number_of_partitions_than_that_of_the_active_bundle() -> None:
    bundle = system().bundle
    with pytest.raises(EngineRefusal, match="`partitions` is 8 here and 4 in the active bundle: "):
        check_partitions(bundle, with_partitions(bundle, 8))


def test_a_record_of_the_alerts_that_is_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    embedded, entity = system(), "identity:e1"
    log, topics = MemoryLogReader(embedded.log), embedded.topics
    where = TopicPartition(topics.alerts, alert_partition(entity))
    embedded.log.append(where, b"deleted", None)
    look = Look(log, topics, embedded.bundles(), Progress())
    assert look.alerts(entity) == []
    assert hits_of(log, topics, lambda _: 0) == {}
    embedded.log.append(where, b"key", b"hello")
    asked: list[Callable[[], object]] = [
        lambda: look.alerts(entity),
        lambda: hits_of(log, topics, lambda _: 0),
    ]
    for ask in asked:
        with pytest.raises(typer.Exit) as ended:
            ask()
        assert ended.value.exit_code == 1
        told = capsys.readouterr().err
        assert f"{where.topic}/{where.partition} offset 1: no alert: JSON is malformed" in told


def test_a_look_where_nothing_is_deployed() -> None:
    embedded = system()
    log = MemoryLogReader(embedded.log)
    embedded.log.create_topic("other.bundles", 1)
    look = Look(log, embedded.topics, Bundles(log, "other.bundles"), Progress())
    with pytest.raises(EngineRefusal, match="nothing is deployed yet: `correlator deploy DIR` does it"):
        _ = look.bundle


def test_a_deployment_that_is_aborted_says_that_nothing_was_done() -> None:
    class Aborted(MemoryTransactionalWriter):
        def commit(self, offsets: Mapping[TopicPartition, Committed], membership: Membership | None) -> None:
            self.abort()
            raise CommitAborted("a broker is away")

    embedded = system()
    before = embedded.bundles()
    before.look()
    with pytest.raises(LogUnavailable, match="nothing was activated: a broker is away"):
        _deploy(embedded, Aborted(embedded.log, "deploy"))
    after = embedded.bundles()
    after.look()
    assert after.history == before.history


def _deploy(embedded: Embedded, writer: MemoryTransactionalWriter) -> None:
    edges = Edges(embedded.bundles(), writer, MemoryLogReader(embedded.log), embedded.topics)
    deploy(edges, Activated("another", 1, 1), {})


def test_bytes_that_are_no_frame() -> None:
    raw = msgspec.msgpack.encode([FORMAT.number, "bundle", 3])
    with pytest.raises(FrameError, match="not a frame: "):
        decode_frame(raw)


def test_a_record_of_a_state_that_is_not_compressed() -> None:
    raw = msgspec.msgpack.encode([state.FORMAT, b"not LZ4"])
    with pytest.raises(state.StateError, match="a record cannot be decompressed: "):
        state.load_timeline("identity:e1", raw, Codes())


def test_a_histogram_of_scores_that_cannot_be() -> None:
    with pytest.raises(StateFormatError, match=r"bin 1000000 of \d+ cannot hold 3 scores"):
        percentile_from(PercentileState(((1_000_000, 3),)))


def test_a_transaction_that_was_never_begun() -> None:
    with pytest.raises(CommitAborted, match="no transaction is open"):
        MemoryTransactionalWriter(system().log, "x").send("correlator.keyed", 0, None, b"")
