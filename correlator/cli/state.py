"""`correlator state`: keep what was learnt, begin anew with it, forget a checkpoint, set lost offsets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from correlator.adapters.files import load_bundle
from correlator.adapters.kafka.client_logs import silence_client_logs
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.cli.as_json import AsJson
from correlator.cli.connection import Connection, Directory, load_connection
from correlator.cli.exit_codes import FAILED, UNREACHABLE
from correlator.cli.failing import refusing, writing
from correlator.cli.learnt_file import read_file, write_file
from correlator.cli.on_kafka import bundles_on, check_topics, committed_of, sole_owner
from correlator.cli.topic_records import partitions_of
from correlator.engine import anew
from correlator.engine.learnt import FORMAT, Head
from correlator.engine.ports import (
    CommitAborted,
    CommitUnknown,
    LogReader,
    LogTruncated,
    LogUnavailable,
    TopicPartition,
)
from correlator.engine.sole_owner import SoleOwner
from correlator.engine.topics import EngineRefusal, Topics, missing

app = typer.Typer(
    help="Keep what was learnt, begin anew with it, forget a checkpoint, set lost offsets.",
    no_args_is_help=True,
    add_completion=False,
)
console = Console(stderr=True)


@app.command("export")
def export_command(
    directory: Directory,
    file: Annotated[Path, typer.Argument(help="Is written whole or not at all.")],
    as_json: AsJson = False,
) -> None:
    """Write what was learnt to FILE: habits of each person, what doors teach, models. Processes may run.

    It is read from the newest checkpoints, and names identities. Do it now and then, like any backup:
    `import` begins with it where checkpoints were lost, or topics made anew.

    Exit codes: 0 done, 1 done, but some records of the checkpoints cannot be read and are left out, or FILE
    cannot be written, 2 the configuration is wrong or another version wrote the checkpoints, 3 Kafka cannot
    be reached.
    """
    with _connected(directory) as (connection, topics, log):
        numbers = _track(_numbers(None, connection), "reading checkpoints", is_quiet=as_json)
        head = Head(FORMAT.number, topics.keyed, connection.partitions)
        with writing(file):
            end = write_file(file, head, (line for n in numbers for line in anew.export(log, topics, n)))
    if as_json:
        typer.echo(json.dumps({"file": str(file), "entities": end.entities, "unreadable": end.unreadable}))
    else:
        typer.echo(f"{file}: what {end.entities:,} entities have taught")
    if end.unreadable:
        typer.echo(f"{end.unreadable:,} records of the checkpoints cannot be read: left out", err=True)
        raise typer.Exit(FAILED)


@app.command("import")
def import_command(
    directory: Directory,
    file: Annotated[Path, typer.Argument(help="What `export` wrote.")],
    partitions: Annotated[
        list[int] | None, typer.Option("--partition", help="Only this one; may be given again. Default: all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Begin with FILE where there is no state. Every process that correlates must be stopped.

    Reading goes on where it stopped, or, where nothing was read, at the end of the keyed topic. What that
    holds of after the export is folded again without telling of it. Who everybody is comes from the
    identities topic; all else begins empty. Done once more it changes nothing.

    Exit codes: 0 done, 2 refused: the configuration or FILE is wrong, there is a state, or a process runs,
    3 Kafka cannot be reached.
    """
    with _connected(directory, partitions) as (connection, topics, log):
        bundle, found = load_bundle(directory), read_file(file)
        check_topics(connection, bundle)
        numbers = _numbers(partitions, connection)
        told_to = committed_of(connection, "intake", TopicPartition(topics.identities, 0))
        persons = anew.persons_told(
            log, topics, bundle.intake.sites, 0 if told_to is None else told_to.offset
        )
        force = bundles_on(connection, log).now()
        with _alone(connection, partitions_of(log, topics.keyed)) as owner:
            begin = anew.Begin(owner, log, topics, force, persons=persons, file=found)
            left = begin.check(numbers)
            entities = sum(begin.write(n) for n in _track(left, "writing states", is_quiet=as_json))
    if as_json:
        typer.echo(json.dumps({"partitions": left, "entities": entities}))
    else:
        typer.echo(f"{len(left)} partitions begin with what is known of {entities:,} entities")


@app.command()
def forget(
    directory: Directory,
    partitions: Annotated[list[int] | None, typer.Argument(metavar="PARTITION...")] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Every partition.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete the checkpoint of a partition. Every process that correlates must be stopped.

    The next process rebuilds the state from the keyed topic, if that still has its first record. If not, it
    refuses to start, and `import` says with what it begins.

    Exit codes: 0 done, 2 refused: the configuration or a partition is wrong, or a process runs, 3 Kafka
    cannot be reached.
    """
    if is_all == bool(partitions):
        raise typer.BadParameter("give partitions, or --all")
    with _connected(directory, partitions) as (connection, topics, log):
        numbers = _numbers(partitions, connection)
        with _alone(connection, partitions_of(log, topics.keyed)) as owner:
            counts = {number: anew.forget(owner, log, topics, number) for number in numbers}
    if as_json:
        typer.echo(json.dumps({"forgotten": {str(number): count for number, count in counts.items()}}))
        return
    for number, count in counts.items():
        typer.echo(f"{topics.checkpoints}/{number}: {count:,} records forgotten")


@app.command()
def offsets(directory: Directory, as_json: AsJson = False) -> None:
    """Set offsets of the correlating group that were lost, or that somebody set, to the newest checkpoints.
    Every process that correlates must be stopped.

    Of all partitions; the others are left as they are. Alerts of what was read since a checkpoint are told
    again, under the same uids.

    Exit codes: 0 done, 2 refused: the configuration is wrong, a checkpoint cannot be read, or a process runs,
    3 Kafka cannot be reached.
    """
    with _connected(directory) as (connection, topics, log):
        numbers = _numbers(None, connection)
        with _alone(connection, partitions_of(log, topics.keyed)) as owner:
            found = {number: anew.offset_again(owner, log, topics, number) for number in numbers}
    changed = {number: offset for number, offset in found.items() if offset is not None}
    if as_json:
        typer.echo(json.dumps({"offsets": {str(number): offset for number, offset in changed.items()}}))
        return
    for number, offset in changed.items():
        typer.echo(f"{topics.keyed}/{number}: the group goes on at offset {offset:,}")
    if not changed:
        typer.echo("nothing was changed: all offsets are those that were committed")


def _numbers(given: list[int] | None, connection: Connection) -> list[int]:
    numbers = sorted(set(given)) if given else list(range(connection.partitions))
    if not 0 <= numbers[0] <= numbers[-1] < connection.partitions:
        raise typer.BadParameter(f"partitions are 0 to {connection.partitions - 1}")
    return numbers


def _check(log: LogReader, connection: Connection) -> None:
    """Raises `EngineRefusal` where there are no checkpoints of so many partitions.

    *keyed* may have others, or be gone: then this is how to begin anew.
    """
    topic = connection.topics.checkpoints
    found = log.partitions(topic)
    if found == 0:
        raise missing(topic)
    if found != connection.partitions:
        raise EngineRefusal(
            f"{topic} has {found} partitions, the configuration says {connection.partitions}: set "
            "`partitions` in correlator.yml to the topic's."
        )


def _track(items: list[int], what: str, *, is_quiet: bool) -> Iterable[int]:
    """*items*, with a bar that says how many are done."""
    is_disabled = is_quiet or not console.is_terminal
    return track(items, what, console=console, disable=is_disabled)


@contextmanager
def _alone(connection: Connection, keyed: list[TopicPartition]) -> Iterator[SoleOwner]:
    """The only member of the correlating group."""
    with sole_owner(connection, "correlate", keyed) as owner:
        with console.status("waiting for the group") as status:
            owner.take(status.update)
        yield owner


@contextmanager
def _connected(
    directory: Path, partitions: list[int] | None = None
) -> Iterator[tuple[Connection, Topics, LogReader]]:
    """Ends the program with what is wrong where Kafka does not answer, or refuses. *partitions*: given."""
    silence_client_logs()
    with refusing():
        connection = load_connection(directory)
        _numbers(partitions, connection)
        try:
            log = KafkaLogReader(connection.kafka)
            try:
                _check(log, connection)
                yield connection, connection.topics, log
            finally:
                log.close()
        except (LogUnavailable, LogTruncated, CommitAborted, CommitUnknown) as error:
            typer.echo(
                f"Kafka: {error}. Done once more, this changes nothing that is done already.", err=True
            )
            raise typer.Exit(UNREACHABLE) from error
