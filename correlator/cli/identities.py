"""`correlator identities`: publish who holds which badges and accounts."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from correlator.adapters.files import load_sites
from correlator.adapters.kafka.client_logs import silence_client_logs
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.adapters.kafka.publisher import KafkaPublisher
from correlator.adapters.record_files import read_identities
from correlator.cli.as_json import AsJson
from correlator.cli.connection import Connection, load_connection
from correlator.cli.failing import reaching, refusing
from correlator.cli.screen import number_of, progress
from correlator.engine.topics import EngineRefusal
from correlator.problem import BadConfiguration, Problem

FLUSH_RECORDS = 10_000

app = typer.Typer(
    help="Publish who holds which badges and accounts.", no_args_is_help=True, add_completion=False
)


@app.callback()
def callback() -> None:
    """A single command still has its name."""


@app.command()
def load(
    file: Annotated[Path, typer.Argument(help="One identity a line, as JSON: schemas/identity.avsc.")],
    config: Annotated[
        Path, typer.Option("--config", help="Configuration directory, with sites.yml and correlator.yml.")
    ],
    is_check: Annotated[
        bool, typer.Option("--check", help="Only say what is wrong; publish nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Publish the identities of FILE, each as the newest version of its person.

    Every line is checked first, as intake does: nothing is published unless all of them are right. Badges and
    accounts that several people claim for one time are named, and published. People who are not in FILE stay
    as they are.

    Exit codes: 0 published (or, with --check, nothing wrong), 2 the file or the configuration is wrong or the
    topic is not there, 3 Kafka cannot be reached.
    """
    silence_client_logs()
    began = monotonic()
    with refusing():
        connection, rows, warned = _read(file, config)
        topic = connection.topics.identities
        if not is_check:
            with reaching(connection.kafka.bootstrap_servers):
                _publish(connection, topic, rows, is_quiet=as_json)
    count = 0 if is_check else len(rows)
    if as_json:
        document = {"file": str(file), "identities": len(rows), "published": count, "topic": topic}
        typer.echo(json.dumps(document | {"seconds": round(monotonic() - began, 2)}))
    elif is_check:
        found = f"no errors, {number_of(warned, 'warning')}" if warned else "nothing is wrong"
        typer.echo(f"{file}: {len(rows)} identities, {found}")
    else:
        typer.echo(f"{count} identities published to {topic}")


def _read(file: Path, config: Path) -> tuple[Connection, list[tuple[str, bytes]], int]:
    """Where to, what, and how many warnings. Raises `BadConfiguration` with the errors of all files."""
    problems: list[Problem] = []
    warned: list[Problem] = []
    connection = rows = None
    try:
        connection = load_connection(config)
    except BadConfiguration as error:
        problems += error.problems
    try:
        rows = read_identities(file, load_sites(config), warned.append)
    except BadConfiguration as error:
        problems += error.problems
    for problem in warned:
        typer.echo(str(problem), err=True)
    if connection is None or rows is None:
        raise BadConfiguration(problems)
    return connection, rows, len(warned)


def _publish(connection: Connection, topic: str, rows: list[tuple[str, bytes]], *, is_quiet: bool) -> None:
    """Raises `EngineRefusal` where there is no such topic, `LogUnavailable`."""
    reader = KafkaLogReader(connection.kafka)
    try:
        if reader.partitions(topic) == 0:
            raise EngineRefusal(f"there is no topic {topic}; `correlator topics create` makes it")
    finally:
        reader.close()
    publisher = KafkaPublisher(connection.kafka)
    try:
        with _progress(is_quiet=is_quiet) as shown:
            task = shown.add_task("identities", total=len(rows))
            for number, (key, value) in enumerate(rows, 1):
                publisher.send(topic, 0, key.encode(), value)
                if number % FLUSH_RECORDS == 0:
                    publisher.flush()
                shown.update(task, completed=number)
            publisher.flush()
    finally:
        publisher.close()


def _progress(*, is_quiet: bool) -> Progress:
    columns = (TextColumn("publishing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return progress(*columns, is_quiet=is_quiet)
