"""`correlator alerts`: read what was alerted, from Kafka or from a file that `replay` wrote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from textwrap import fill
from typing import Annotated, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from correlator.adapters.clock import SteadyClock
from correlator.adapters.kafka.client_logs import silence_client_logs
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.alerts.told import Told, read_told
from correlator.cli.connection import load_connection
from correlator.cli.exit_codes import FAILED, REFUSED
from correlator.cli.failing import reaching
from correlator.cli.topic_records import NoSuchTopic, records_of
from correlator.cli.view import STYLES
from correlator.problem import BadConfiguration

Found = tuple[bytes, Told]  # as published, and read

app = typer.Typer(help="Read alerts from Kafka, or from a file that replay wrote.", no_args_is_help=True)


@app.callback()
def alerts() -> None:
    """Read alerts from Kafka, or from a file that `replay` wrote."""


@app.command()
def tail(
    config: Annotated[
        Path | None, typer.Option("--config", help="Configuration directory, with correlator.yml.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Read this file, one alert a line, instead of Kafka.")
    ] = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Old alerts first.")] = False,
    follow: Annotated[
        bool | None,
        typer.Option(
            "--follow/--no-follow",
            help="Wait for new alerts, as Kafka is read; or show what is there, as a file is.",
            show_default=False,
        ),
    ] = None,
    is_open: Annotated[
        bool, typer.Option("--open", help="Only alerts that are not closed, as they stand now; then end.")
    ] = False,
    is_shadow: Annotated[
        bool, typer.Option("--shadow", help="Those of rules in shadow mode, which have a topic of their own.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One OCSF finding a line, as published.")] = False,
) -> None:
    """Show alerts as they are published (read committed), each with the paragraph that explains it.

    A record that is no alert is told of and left out.

    Exit codes: 0 done, 1 a record was no alert or the file cannot be read, 2 the configuration is wrong,
    3 Kafka cannot be reached.
    """
    if (config is None) == (file is None):
        raise typer.BadParameter("give either --config DIR or --file FILE")
    if is_shadow and file is not None:
        raise typer.BadParameter("--shadow is a topic of Kafka: of files name the one that has them")
    if follow and file is not None:
        raise typer.BadParameter("--follow waits for what comes on Kafka: a file is read to its end")
    if file is not None:
        records = _of_file(file)
    else:
        assert config is not None
        follows = follow is not False and not is_open
        records = _of_kafka(
            config, is_shadow=is_shadow, from_beginning=from_beginning or not follows, follows=follows
        )
    unread: list[str] = []
    found = _alerts_in(records, unread)
    count = _show(still_open(found) if is_open else found, Console(), as_json=as_json)
    if unread:
        raise typer.Exit(FAILED)
    if not count:
        typer.echo("no alert is open" if is_open else "no alerts", err=True)


def _alerts_in(records: Iterable[tuple[str, bytes]], unread: list[str]) -> Iterator[Found]:
    """One broken record must not hide those after it. *unread*: where what is no alert stands, added to."""
    for where, value in records:
        try:
            yield value, read_told(value)
        except msgspec.DecodeError as error:
            unread.append(where)
            typer.echo(f"alerts: {where}: a record is no alert: {error}", err=True)


def still_open(found: Iterable[Found]) -> Iterator[Found]:
    """The newest record of each alert that is not closed, in order of first appearance."""
    newest = {told.finding_info.uid: (value, told) for value, told in found}
    yield from (one for one in newest.values() if not one[1].is_closed)


def block(told: Told, width: int) -> Text:
    """One alert as a few lines: when and what, who and where, the paragraph."""
    head = Text(f"{told.when}  ")
    head.append(told.severity, style="dim" if told.is_closed else STYLES.get(told.severity, ""))
    head.append(f"  {told.message}\n", style="bold")
    facts = [
        ("person", told.person),
        ("place", told.place),
        ("rule", told.metadata.event_code),
        ("confidence", told.confidence.lower()),
        ("state", told.state),
        ("alert", told.finding_info.uid),
    ]
    head.append("  " + "  ".join(f"{name} {value}" for name, value in facts if value) + "\n", style="dim")
    paragraph = fill(
        told.finding_info.desc,
        width,
        initial_indent="  ",
        subsequent_indent="  ",
        break_on_hyphens=False,  # names of doors stay whole
    )
    head.append(paragraph + "\n")
    return head


def _show(found: Iterable[Found], console: Console, *, as_json: bool) -> int:
    """How many there were."""
    count = 0
    try:
        for count, (value, told) in enumerate(found, 1):  # noqa: B007 - the last one counts
            if as_json:
                typer.echo(value)
            else:
                console.print(block(told, max(40, min(console.width, 110))), soft_wrap=True)
    except NoSuchTopic as error:
        _end(str(error), REFUSED, error)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    return count


def _of_file(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with path.open("rb") as lines:
            numbered = enumerate(lines, 1)
            yield from ((f"{path}:{number}", line.rstrip(b"\n")) for number, line in numbered if line.strip())
    except OSError as error:
        _end(f"{path}: {error.strerror}", FAILED, error)


def _of_kafka(
    directory: Path, *, is_shadow: bool, from_beginning: bool, follows: bool
) -> Iterator[tuple[str, bytes]]:
    silence_client_logs()
    try:
        connection = load_connection(directory)
    except BadConfiguration as error:
        _end(str(error), REFUSED, error)
    topic = connection.topics.shadow if is_shadow else connection.topics.alerts
    with reaching(connection.kafka.bootstrap_servers), closing(KafkaLogReader(connection.kafka)) as reader:
        for record in records_of(
            reader, topic, SteadyClock(), from_beginning=from_beginning, follows=follows, is_in_time=True
        ):
            if record.value is not None:
                yield f"{record.topic}/{record.partition} offset {record.offset}", record.value


def _end(message: str, code: int, cause: BaseException) -> NoReturn:
    typer.echo(f"alerts: {message}", err=True)
    raise typer.Exit(code) from cause
