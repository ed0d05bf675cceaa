"""`correlator dead-letters`: what was refused, why, and its original bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from heapq import nlargest
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from correlator.adapters.clock import SteadyClock
from correlator.adapters.kafka.client_logs import silence_client_logs
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.alerts.phrases import iso
from correlator.cli.connection import Directory, load_connection
from correlator.cli.exit_codes import FAILED, REFUSED
from correlator.cli.failing import reaching
from correlator.cli.forward import forward
from correlator.cli.screen import wide_console
from correlator.cli.topic_records import NoSuchTopic, record_at, records_of
from correlator.engine.dead_letters import PREFIX
from correlator.engine.ports import LogReader, TopicPartition
from correlator.problem import BadConfiguration
from correlator.record import Record

BYTES_SHOWN = 4_096
PARTITION_OFFSET = re.compile(r"[0-9]+/[0-9]+")

app = typer.Typer(
    help="List refused records, show one with its bytes, send them back once they can be used.",
    no_args_is_help=True,
    add_completion=False,
)
forward(
    app,
    {
        "replay": (
            "dead_letters_replay",
            "replay",
            "Send refused records back, as far as they can be used now.",
        )
    },
    "correlator dead-letters",
)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


class DeadLetter(msgspec.Struct, frozen=True):
    """A record of the dead-letter topic, with what our headers say of it. "" where a header is missing."""

    record: Record
    stage: str = ""
    reason: str = ""
    message: str = ""
    topic: str = ""
    partition: str = ""
    offset: str = ""
    timestamp: str = ""
    schema_id: str = ""

    @property
    def id(self) -> str:
        """`0/17`: partition and offset of the dead letter itself, as `show` takes it."""
        return f"{self.record.partition}/{self.record.offset}"

    @property
    def origin(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


def dead_letter_of(record: Record) -> DeadLetter:
    """*record* with its headers read. Total: bytes that are no text are shown as such."""
    names = set(DeadLetter.__struct_fields__) - {"record"}
    said = {
        name.removeprefix(PREFIX): value.decode(errors="backslashreplace")
        for name, value in record.headers
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) in names
    }
    return DeadLetter(record, **said)


@app.command("list")
def list_command(
    directory: Directory,
    as_json: AsJson = False,
    reason: Annotated[str, typer.Option("--reason", help="Only these, e.g. unknown_schema.")] = "",
    most: Annotated[int, typer.Option("--max", min=1, help="The newest so many.")] = 100,
) -> None:
    """List the newest refused records with reason, origin and message.

    Exit codes: 0 done, 2 the configuration is wrong or there is no topic, 3 Kafka cannot be reached.
    """
    with _reading(directory) as (reader, topic):
        records = records_of(reader, topic, SteadyClock(), from_beginning=True, follows=False)
        letters = newest(map(dead_letter_of, records), reason, most)
    if as_json:
        for letter in letters:
            typer.echo(json.dumps(_as_json(letter)))
    else:
        wide_console().print(table(letters))


@app.command()
def show(
    directory: Directory,
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="PARTITION/OFFSET, as list shows it.")],
    as_json: AsJson = False,
) -> None:
    """Show one refused record: why, its headers, its bytes as hex, and as text or JSON where they are that.

    Exit codes: 0 done, 1 no such dead letter, 2 the configuration is wrong, 3 Kafka cannot be reached.
    """
    if PARTITION_OFFSET.fullmatch(letter_id) is None:
        raise typer.BadParameter(f"{letter_id!r} is not PARTITION/OFFSET, as list shows it")
    partition, _, offset = letter_id.partition("/")
    with _reading(directory) as (reader, topic):
        record = record_at(reader, TopicPartition(topic, int(partition)), int(offset))
    if record is None:
        _end(f"there is no dead letter {letter_id}", FAILED, None)
    found = dead_letter_of(record)
    typer.echo(json.dumps(_as_json(found) | _contents(found)) if as_json else described(found))


def newest(letters: Iterable[DeadLetter], reason: str, most: int) -> list[DeadLetter]:
    """The newest *most* of *reason*, "" of any, oldest first. Only these are held: a topic is long."""
    asked = (letter for letter in letters if not reason or letter.reason == reason)
    return nlargest(most, asked, key=_order)[::-1]


def _order(letter: DeadLetter) -> tuple[int, int, int]:
    return letter.record.timestamp_ms, letter.record.partition, letter.record.offset


def table(letters: list[DeadLetter]) -> Table:
    """One row per dead letter."""
    rows = Table("id", "stage", "reason", "origin", "message", box=None, pad_edge=False)
    for letter in letters:
        words = (letter.id, letter.stage, letter.reason, letter.origin, letter.message)
        rows.add_row(*(Text(word) for word in words))
    return rows


def _time(timestamp: str) -> str:
    return f"{iso(int(timestamp))} (arrival)" if timestamp.isdigit() else timestamp


def described(letter: DeadLetter) -> str:
    """What is known of *letter*, as lines: the headers, then the bytes."""
    lines = [
        f"{name:<10} {value}"
        for name, value in (
            ("id", letter.id),
            ("stage", letter.stage),
            ("reason", letter.reason),
            ("message", letter.message),
            ("origin", f"{letter.origin} (topic/partition/offset)"),
            ("timestamp", _time(letter.timestamp)),
            ("schema id", letter.schema_id),
            ("key", _readable(letter.record.key)),
        )
        if value
    ]
    lines += [
        f"header     {name}: {_readable(value)}"
        for name, value in letter.record.headers
        if not name.startswith(PREFIX)
    ]
    value = letter.record.value
    if value is None:
        return "\n".join([*lines, "value      none (a tombstone)"])
    lines.append(f"value      {len(value):,} bytes")
    lines += hexdump(value[:BYTES_SHOWN])
    if len(value) > BYTES_SHOWN:
        lines.append(f"           … and {len(value) - BYTES_SHOWN:,} more bytes")
    return "\n".join([*lines, f"decoded    {decoded(value)}"])


def hexdump(value: bytes) -> list[str]:
    """16 bytes a line: offset, hex, what of it is ASCII."""
    lines = []
    for start in range(0, len(value), 16):
        part = value[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"  {start:08x}  {part.hex(' '):<47}  {text}")
    return lines


def decoded(value: bytes) -> str:
    """An attempt: JSON, else text, else what the framing looks like."""
    try:
        return json.dumps(json.loads(value), ensure_ascii=False)[:BYTES_SHOWN]
    except (ValueError, RecursionError):
        pass
    if len(value) >= 5 and value[0] == 0:
        schema_id = int.from_bytes(value[1:5], "big")
        return (
            f"looks like Avro framed for a registry: schema id {schema_id}, {len(value) - 5} bytes after it"
        )
    try:
        return value.decode()[:BYTES_SHOWN]
    except UnicodeDecodeError as error:
        return f"neither JSON nor text: {error.reason} at byte {error.start}"


def _readable(value: bytes | None) -> str:
    return "" if value is None else value.decode(errors="backslashreplace")


def _as_json(letter: DeadLetter) -> dict[str, object]:
    names = [name for name in DeadLetter.__struct_fields__ if name != "record"]
    return {"id": letter.id, **{name: getattr(letter, name) for name in names}}


def _contents(letter: DeadLetter) -> dict[str, object]:
    value = letter.record.value
    return {
        "key": _readable(letter.record.key),
        "value_hex": None if value is None else value.hex(),
        "decoded": "" if value is None else decoded(value),
    }


@contextmanager
def _reading(directory: Path) -> Iterator[tuple[LogReader, str]]:
    """A reader and the name of the dead-letter topic; ends the program where it cannot be read."""
    silence_client_logs()
    try:
        connection = load_connection(directory)
        with (
            reaching(connection.kafka.bootstrap_servers),
            closing(KafkaLogReader(connection.kafka)) as reader,
        ):
            yield reader, connection.topics.dead_letters
    except (BadConfiguration, NoSuchTopic) as error:
        _end(str(error), REFUSED, error)


def _end(message: str, code: int, cause: BaseException | None) -> NoReturn:
    typer.echo(f"dead-letters: {message}", err=True)
    raise typer.Exit(code) from cause
