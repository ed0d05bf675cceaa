"""`correlator rules backtest`: would these rules have told more, or less, than those?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from correlator.adapters.clock import SystemClock
from correlator.adapters.files import load_general, load_texts
from correlator.adapters.kafka.client_logs import silence_client_logs
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.adapters.record_files import identities_of, read_records
from correlator.alerts.phrases import iso
from correlator.cli.as_json import AsJson, as_text
from correlator.cli.backtest import (
    Alert,
    Compared,
    Source,
    changed_rules,
    compare,
    rate,
    run_both,
    span,
    with_rules,
)
from correlator.cli.connection import load_connection
from correlator.cli.exit_codes import DIED, FAILED
from correlator.cli.failing import reaching, refusing
from correlator.cli.on_kafka import bundles_on
from correlator.cli.rounds import processes_to_fold
from correlator.cli.screen import progress, wide_console
from correlator.cli.team import ProcessDied
from correlator.cli.times import duration_ms, instant_ms
from correlator.cli.topic_records import identities_in, partitions_of
from correlator.engine.bundles import Texts
from correlator.engine.ports import LogTruncated
from correlator.pipeline import Bundle
from correlator.record import Record

SHOWN = 20  # of the alerts that only one side tells
ACTIVE = "active"

Config = Annotated[
    Path, typer.Option("--config", help="Configuration directory: sites, feeds, settings, where Kafka is.")
]
Rules = Annotated[
    Path | None,
    typer.Option(
        "--rules", help="What is tried: a directory of rule files, or of a whole configuration; or one rule "
        "file, in place of the one of that name, or added. Default: the rules of --config."
    ),
]  # fmt: skip
Against = Annotated[
    str,
    typer.Option(
        help="What it is held against, likewise; or `active`: the bundle that is active on Kafka. Default: "
        "`active` on Kafka, else the rules of --config."
    ),
]
Records = Annotated[
    Path | None,
    typer.Option(
        "--records", help="Directory with records/ and identities.jsonl, instead of Kafka. Default: "
        "--config, if it has records/."
    ),
]  # fmt: skip
From = Annotated[
    str, typer.Option("--from", help="2026-10-01T00:00Z, or -30d of the newest record. Default: all.")
]
To = Annotated[str, typer.Option("--to", help="Likewise. Default: the end.")]
WarmUp = Annotated[
    str,
    typer.Option(help="How much before --from is read from Kafka, to learn from; its alerts do not count."),
]
List = Annotated[
    bool, typer.Option("--list", help=f"Every alert that only one tells, not the first {SHOWN}.")
]


def backtest_command(
    config: Config,
    rules: Rules = None,
    against: Against = "",
    records: Records = None,
    from_: From = "",
    to: To = "",
    warm_up: WarmUp = "14d",
    is_listing: List = False,
    as_json: AsJson = False,
) -> None:
    """Run two rule sets over the same records, as the live system would have, and say what is different.

    Nothing is published. Both run in full, from raw records to settled alerts, on all cores; time is that of
    the records. On Kafka the raw topics are read as far as they reach back. An alert counts once,
    whatever updates it had; one that late evidence closed counts as told, not as gained or lost.

    Exit codes: 0 the same alerts, 1 some are gained or lost, 2 a file or an argument is wrong, 3 Kafka cannot
    be reached, 4 a process of it died, as for want of memory, 130 interrupted.
    """
    records = records or (config if (config / "records").is_dir() else None)
    console = Console(stderr=True)
    with refusing():
        _, texts, _ = load_texts(config)
        prefix = load_general(config).prefix
        ours = with_rules(texts, rules or config, prefix, config)
        if records is not None:
            if against == ACTIVE:
                raise typer.BadParameter("there is no active bundle without Kafka: give --against FILES")
            theirs = with_rules(texts, Path(against) if against else config, prefix, config)
            with console.status("reading records"):
                source = _from_files(records, ours, from_, to)
        else:
            theirs, source = _on_kafka(config, texts, (against, from_, to, warm_up), ours, console)
    if ours.hash == theirs.hash:
        typer.echo("both sides are the same rules: --rules or --against names others", err=True)
    found = _run(ours, theirs, source, is_quiet=as_json)
    compared = compare(*found, changed_rules(ours, theirs))
    if as_json:
        typer.echo(as_text(_document(compared, source, (ours, theirs))))
    else:
        _print(compared, source, SHOWN if not is_listing else None)
    if any(rule.gained or rule.lost for rule in compared):
        raise typer.Exit(FAILED)


def _from_files(directory: Path, bundle: Bundle, from_: str, to: str) -> Source:
    found = list(read_records(directory))
    return _source(found, identities_of(directory, bundle.intake.sites), from_, to)


def _source(records: list[Record], identities: list[tuple[str, bytes]], from_: str, to: str) -> Source:
    if not records:
        raise typer.BadParameter("there are no records")
    first_ms, last_ms = span(records)
    if not last_ms and not (from_ and to):
        raise typer.BadParameter("the records do not say when they arrived: give --from and --to")
    from_ms = instant_ms(from_, last_ms) if from_ else first_ms
    to_ms = instant_ms(to, last_ms) if to else last_ms
    if from_ms >= to_ms:
        raise typer.BadParameter(
            f"--from is not before --to: {iso(from_ms)} and {iso(to_ms)}; "
            f"the records are of {iso(first_ms)} to {iso(last_ms)}"
        )
    return Source(records, identities, from_ms, to_ms)


def _on_kafka(
    config: Path, texts: Texts, asked: tuple[str, str, str, str], ours: Bundle, console: Console
) -> tuple[Bundle, Source]:
    """The bundle that ours is held against, and what both read."""
    against, from_, to, warm_up = asked
    silence_client_logs()
    connection, now_ms = load_connection(config), SystemClock().now_ms()
    servers = connection.kafka.bootstrap_servers
    with reaching(servers), closing(KafkaLogReader(connection.kafka)) as log:
        bundles = bundles_on(connection, log, is_looked_up=True)
        bundles.look()
        if against in ("", ACTIVE) and bundles.active is not None:
            theirs = bundles.get(bundles.active.bundle)
        elif against in ("", ACTIVE):
            raise typer.BadParameter("no bundle is active: give --against FILES")
        else:
            theirs = with_rules(texts, Path(against), connection.prefix, connection.directory)
        topics = sorted({*ours.intake.feeds, *theirs.intake.feeds})
        begin_ms = instant_ms(from_, now_ms) - duration_ms(warm_up) if from_ else 0
        end_ms = instant_ms(to, now_ms) if to else now_ms
        with console.status("reading records") as status:
            found = []
            for record in _between(log, topics, begin_ms, end_ms):
                found.append(record)
                if len(found) % 10_000 == 0:
                    status.update(f"reading records: {len(found):,} of {record.topic}")
            identities = list(identities_in(log, connection.topics.identities).items())
    return theirs, _source(found, identities, from_, to)


def _between(log: KafkaLogReader, topics: Iterable[str], begin_ms: int, end_ms: int) -> Iterator[Record]:
    """Raw records by broker timestamp. What retention takes away meanwhile is not missed."""
    for topic in topics:
        for where in partitions_of(log, topic):
            start, end = log.offset_at(where, begin_ms), log.offset_at(where, end_ms)
            try:
                yield from log.read(where, start, end)
            except LogTruncated:
                yield from log.read(where, log.begin_offset(where), end)


def _run(ours: Bundle, against: Bundle, source: Source, *, is_quiet: bool) -> tuple[list[Alert], list[Alert]]:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with progress(*columns, is_quiet=is_quiet) as shown:
        tasks: dict[str, TaskID] = {}

        def on_progress(name: str, taken: int) -> None:
            if name not in tasks:
                tasks[name] = shown.add_task(name, total=len(source.records))
            shown.update(tasks[name], completed=taken)

        try:
            return run_both(ours, against, source, on_progress, processes_to_fold())
        except ProcessDied as error:
            typer.echo(f"{error} With --from and --warm-up less is read.", err=True)
            raise typer.Exit(DIED) from error


def _print(compared: Sequence[Compared], source: Source, shown: int | None) -> None:
    console = wide_console()
    days = source.person_days
    table = Table(
        title=f"{len(source.records):,} records, {days:,.0f} person-days; rates per 1,000 person-days",
        title_justify="left",
    )
    table.add_column("rule")
    for name in ("told", "rate", "closed", "told against", "rate", "closed", "gained", "lost"):
        table.add_column(name, justify="right")
    for row in compared:
        sides = [
            (str(told), f"{rate(told, days):.2f}", str(closed))
            for told, closed in zip(row.told, row.closed, strict=True)
        ]
        table.add_row(row.rule, *sides[0], *sides[1], str(len(row.gained)), str(len(row.lost)))
    console.print(table)
    for name, alerts in (("gained", _all(compared, "gained")), ("lost", _all(compared, "lost"))):
        for alert in alerts[:shown]:
            where = " ".join(part for part in (alert.person, alert.place) if part)
            shadow = " (shadow)" if alert.is_shadow else ""
            console.print(
                f"{name}: {alert.when} {alert.rule}{shadow}, {where}: {alert.message}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
        if len(alerts) > len(alerts[:shown]):
            console.print(f"{name}: {len(alerts) - len(alerts[:shown]):,} more, with --list", highlight=False)
    if not any(row.gained or row.lost for row in compared):
        is_same = all(row.told[0] == row.told[1] for row in compared)
        said = "the same alerts" if is_same else "nothing is gained or lost: the same events in other alerts"
        console.print(said, highlight=False)


def _all(compared: Sequence[Compared], name: str) -> list[Alert]:
    return sorted((a for row in compared for a in getattr(row, name)), key=lambda a: (a.time_ms, a.uid))


def _title(rule: str, bundles: tuple[Bundle, Bundle]) -> str:
    """Of the rule named *rule*."""
    return next((text.title for b in bundles for text in b.texts.values() if text.name == rule), rule)


def _document(compared: Sequence[Compared], source: Source, bundles: tuple[Bundle, Bundle]) -> object:
    return {
        "rules": bundles[0].hash,
        "against": bundles[1].hash,
        "records": len(source.records),
        "from_ms": source.from_ms,
        "to_ms": source.to_ms,
        "person_days": source.person_days,
        "by_rule": [
            msgspec.to_builtins(row)
            | {
                "rates": [rate(told, source.person_days) for told in row.told],
                "title": _title(row.rule, bundles),
            }
            for row in compared
        ],
    }
