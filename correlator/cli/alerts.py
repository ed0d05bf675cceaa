"""`correlator alerts`: read what was alerted, from Kafka or from a file that `replay` wrote."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from fnmatch import fnmatchcase
from io import BufferedReader
from itertools import count
from pathlib import Path
from textwrap import fill
from typing import Annotated, NoReturn, get_args

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
from correlator.cli.screen import Screen
from correlator.cli.topic_records import NoSuchTopic, records_of
from correlator.cli.view import STYLES
from correlator.engine.ports import Clock
from correlator.problem import BadConfiguration
from correlator.rules.rule import Severity

Found = tuple[bytes, Told]  # as published, and read
LEVELS = get_args(Severity)
LOOK_MS = 500  # between two looks at the end of a file
REMEMBERED = 10_000  # alerts whose paragraph was shown, so that what comes of them says what is new
_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z])")

app = typer.Typer(
    help="Read alerts from Kafka, or from a file that replay wrote.",
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def alerts() -> None:
    """Read alerts from Kafka, or from a file that `replay` wrote."""


Config = Annotated[
    Path | None, typer.Option("--config", help="Configuration directory, with correlator.yml.")
]
File = Annotated[
    Path | None, typer.Option("--file", help="Read this file, one alert a line, instead of Kafka.")
]
FromBeginning = Annotated[bool, typer.Option("--from-beginning", help="Old alerts first.")]
Follow = Annotated[
    bool | None,
    typer.Option(
        "--follow/--no-follow",
        help="Wait for what comes, as Kafka is read; or show what is there, as a file is.",
        show_default=False,
    ),
]
IsOpen = Annotated[
    bool, typer.Option("--open", help="Only alerts that are not closed, as they stand now; then end.")
]
IsShadow = Annotated[
    bool, typer.Option("--shadow", help="Those of rules in shadow mode, which have a topic of their own.")
]
Level = Annotated[Severity | None, typer.Option("--severity", help="Only alerts of this level or above.")]
Rules = Annotated[
    list[str] | None,
    typer.Option("--rule", help="Only of this rule, `d05*` of several; may be given several times."),
]
About = Annotated[
    list[str] | None,
    typer.Option(
        "--about",
        help="Only of this person, door, zone or site, or this alert (its uid); may be given several times.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One OCSF finding a line, as published.")]


@app.command()
def tail(
    config: Config = None,
    file: File = None,
    from_beginning: FromBeginning = False,
    follow: Follow = None,
    is_open: IsOpen = False,
    is_shadow: IsShadow = False,
    severity: Level = None,
    rules: Rules = None,
    about: About = None,
    as_json: AsJson = False,
) -> None:
    """Show alerts as they are published (read committed), each with the paragraph that explains it; of one
    that was shown before, what is new of it.

    A record that is no alert is told of and left out.

    Exit codes: 0 done, 1 a record was no alert or the file cannot be read, 2 the configuration is wrong,
    3 Kafka cannot be reached.
    """
    if (config is None) == (file is None):
        raise typer.BadParameter("give either --config DIR or --file FILE")
    if is_shadow and file is not None:
        raise typer.BadParameter("--shadow is a topic of Kafka: of files name the one that has them")
    if follow and is_open:
        raise typer.BadParameter("--open shows what stands now, and ends")
    if file is not None:
        records = _of_file(file, follows=bool(follow))
    else:
        assert config is not None
        follows = follow is not False and not is_open
        records = _of_kafka(
            config, is_shadow=is_shadow, from_beginning=from_beginning or not follows, follows=follows
        )
    unread: list[str] = []
    found = _alerts_in(records, unread)
    wanted = Wanted(severity or LEVELS[0], rules or (), about or ())
    shown = (one for one in (still_open(found) if is_open else found) if wanted.has(one[1]))
    how_many = _show(shown, Screen(), as_json=as_json)
    if unread:
        raise typer.Exit(FAILED)
    if not how_many:
        kind = "open alerts" if is_open else "alerts"
        typer.echo(f"no {kind}{' like that' if wanted.is_choosy else ''}", err=True)


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


class Wanted(msgspec.Struct, frozen=True):
    """Which alerts are shown: of a level or above, of any of *rules* (patterns), about any of *about*."""

    severity: Severity
    rules: Sequence[str] = ()
    about: Sequence[str] = ()

    @property
    def is_choosy(self) -> bool:
        return bool(self.severity != LEVELS[0] or self.rules or self.about)

    def has(self, told: Told) -> bool:
        level, names = told.severity.lower(), (told.metadata.event_code, told.unmapped.correlator.rule_id)
        return (
            (level not in LEVELS or LEVELS.index(level) >= LEVELS.index(self.severity))
            and (not self.rules or any(fnmatchcase(name, rule) for name in names for rule in self.rules))
            and (not self.about or not {*told.subjects, told.finding_info.uid}.isdisjoint(self.about))
        )


def blocks(found: Iterable[Told], width: int) -> Iterator[Text]:
    """Each as `block`; of one that was there before, with the sentences that it did not have then."""
    said: dict[str, str] = {}
    for told in found:
        uid, paragraph = told.finding_info.uid, told.finding_info.desc
        before = _SENTENCE.split(said.pop(uid, ""))
        yield block(told, " ".join(s for s in _SENTENCE.split(paragraph) if s not in before), width)
        said[uid] = paragraph
        if len(said) > REMEMBERED:
            del said[next(iter(said))]


def block(told: Told, paragraph: str, width: int) -> Text:
    """One alert as a few lines: when and what, who and where, *paragraph*."""
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
    if paragraph:
        head.append(
            fill(
                paragraph,
                width,
                initial_indent="  ",
                subsequent_indent="  ",
                break_on_hyphens=False,  # names of doors stay whole
            )
            + "\n"
        )
    return head


def _show(found: Iterable[Found], console: Console, *, as_json: bool) -> int:
    """How many there were."""
    shown = count()
    try:
        if as_json:
            for value, _ in found:
                next(shown)
                typer.echo(value)
        else:
            for text in blocks((told for _, told in found), max(40, min(console.width, 110))):
                next(shown)
                console.print(text, soft_wrap=True)
    except NoSuchTopic as error:
        _end(str(error), REFUSED, error)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    return next(shown)


def _of_file(path: Path, *, follows: bool) -> Iterator[tuple[str, bytes]]:
    try:
        for number, line in lines_of(path, SteadyClock(), follows=follows):
            if line.strip():
                yield f"{path}:{number}", line.rstrip(b"\n")
    except OSError as error:
        _end(f"{path}: {error.strerror}", FAILED, error)


def lines_of(path: Path, clock: Clock, *, follows: bool) -> Iterator[tuple[int, bytes]]:
    """Each with its number. With *follows* also what is added, once a line is whole, and what another file
    has that takes its place. Raises OSError.
    """
    while True:
        with path.open("rb") as file:
            part, number = b"", 1
            while True:
                for piece in file:
                    part += piece
                    if part.endswith(b"\n"):
                        yield number, part
                        part, number = b"", number + 1
                if not follows:
                    if part:
                        yield number, part
                    return
                if _is_replaced(path, file):
                    break
                clock.sleep_ms(LOOK_MS)


def _is_replaced(path: Path, file: BufferedReader) -> bool:
    """By another one, or from its beginning on. One that is gone may come back."""
    try:
        there, ours = path.stat(), os.fstat(file.fileno())
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino) or there.st_size < file.tell()


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
