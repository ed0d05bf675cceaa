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
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.adapters.kafka.quiet import silence_client_logs
from correlator.alerts.told import Told, read_told
from correlator.cli.connection import load_connection
from correlator.cli.reading import NoSuchTopic, records_of
from correlator.cli.telling import reaching
from correlator.cli.view import STYLES
from correlator.problem import BadConfiguration

UNREADABLE = 1
INVALID = 2

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
        bool,
        typer.Option("--follow/--no-follow", help="Wait for new alerts; or show what is there."),
    ] = True,
    is_open: Annotated[
        bool, typer.Option("--open", help="Only alerts that are not closed, as they stand now; then end.")
    ] = False,
    is_shadow: Annotated[
        bool, typer.Option("--shadow", help="Those of rules in shadow mode, which have a topic of their own.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One OCSF finding a line, as published.")] = False,
) -> None:
    """Show alerts as they are published (read committed), each with the paragraph that explains it.

    Exit codes: 0 done, 1 a record is no alert or the file cannot be read, 2 the configuration is wrong,
    3 Kafka cannot be reached.
    """
    if (config is None) == (file is None):
        raise typer.BadParameter("give either --config DIR or --file FILE")
    if is_shadow and file is not None:
        raise typer.BadParameter("--shadow is a topic of Kafka: of files name the one that has them")
    if file is not None:
        values = _of_file(file)
    else:
        assert config is not None
        follows = follow and not is_open
        values = _of_kafka(
            config, is_shadow=is_shadow, from_beginning=from_beginning or not follows, follows=follows
        )
    count = _show(still_open(values) if is_open else values, Console(), as_json=as_json)
    if not count:
        typer.echo("no alert is open" if is_open else "no alerts", err=True)


def still_open(values: Iterable[bytes]) -> Iterator[bytes]:
    """The newest record of each alert that is not closed, in order of first appearance."""
    newest: dict[str, tuple[bytes, bool]] = {}
    for value in values:
        told = read_told(value)
        newest[told.finding_info.uid] = (value, told.is_closed)
    yield from (value for value, is_closed in newest.values() if not is_closed)


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


def _show(values: Iterable[bytes], console: Console, *, as_json: bool) -> int:
    """How many there were."""
    count = 0
    try:
        for count, value in enumerate(values, 1):  # noqa: B007 - the last one counts
            if as_json:
                typer.echo(value)
            else:
                console.print(block(read_told(value), max(40, min(console.width, 110))), soft_wrap=True)
    except msgspec.DecodeError as error:
        _end(f"a record is no alert: {error}", UNREADABLE, error)
    except NoSuchTopic as error:
        _end(str(error), INVALID, error)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    return count


def _of_file(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as lines:
            yield from (line.rstrip(b"\n") for line in lines if line.strip())
    except OSError as error:
        _end(f"{path}: {error.strerror}", UNREADABLE, error)


def _of_kafka(directory: Path, *, is_shadow: bool, from_beginning: bool, follows: bool) -> Iterator[bytes]:
    silence_client_logs()
    try:
        connection = load_connection(directory)
    except BadConfiguration as error:
        _end(str(error), INVALID, error)
    topic = connection.topics.shadow if is_shadow else connection.topics.alerts
    with reaching(connection.kafka.bootstrap_servers), closing(KafkaLogReader(connection.kafka)) as reader:
        for record in records_of(
            reader, topic, SteadyClock(), from_beginning=from_beginning, follows=follows, is_in_time=True
        ):
            if record.value is not None:
                yield record.value


def _end(message: str, code: int, cause: BaseException) -> NoReturn:
    typer.echo(f"alerts: {message}", err=True)
    raise typer.Exit(code) from cause
