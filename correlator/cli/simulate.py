"""`correlator simulate`: a simulated company's configuration, records and truth, as files or into Kafka."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

from correlator.adapters.documents import shipped
from correlator.adapters.kafka.admin import Topic, kafka_topics
from correlator.adapters.kafka.client_logs import silence_client_logs
from correlator.adapters.kafka.config import KafkaConfig
from correlator.adapters.kafka.publisher import KafkaPublisher
from correlator.cli.exit_codes import FAILED, UNREACHABLE
from correlator.cli.screen import progress
from correlator.engine.ports import LogUnavailable
from correlator.event import DAY_MS
from correlator.simulate.company import Company, CompanySettings, simulate
from correlator.simulate.configuration import write_directory
from correlator.simulate.emit import midnight_ms
from correlator.simulate.wire import PARTITIONS, TOPICS, read_schemas

# Records keep the simulated time as theirs, however long ago, and are not deleted for it.
RAW_SETTINGS = {"retention.ms": "-1", "message.timestamp.type": "CreateTime"}
FLUSH_RECORDS = 20_000
START = datetime(2026, 1, 5)  # noqa: DTZ001 - a date: the zones are the sites'


def simulate_command(
    out: Annotated[Path, typer.Option("--out", help="Directory to write; made if missing.")],
    days: Annotated[int, typer.Option(min=1, max=366, help="Local days to simulate.")] = 21,
    people: Annotated[
        int, typer.Option(min=20, max=20_000, help="People; fewer than 500 carry fewer scenarios.")
    ] = 500,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal bytes.")] = 1,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First local day.")] = START,
    tailgating: Annotated[
        float, typer.Option(min=0, max=1, help="Share of entries that leave no read.")
    ] = 0.005,
    scenarios: Annotated[
        int, typer.Option(min=0, max=40, help="Attacks, and look-alikes, of each rule.")
    ] = 20,
    bootstrap: Annotated[
        str, typer.Option(help="Also produce the records to these brokers: host:port[,...].")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Make up a company, its badge, door and login records, and the truth about what was hidden in them.

    The directory can be given to `replay` and `run`; `evaluate` holds the alerts against its truth.json.
    With --bootstrap records go to badge-events, door-events and login-events, created where missing, with the
    simulated arrival as timestamp, and the directory names the brokers. `backfill` reads such a past.

    Exit codes: 0 done, 1 the directory cannot be written, 2 bad arguments, 3 Kafka cannot be reached.
    """
    settings = CompanySettings(days, people, seed, start.date(), tailgating, scenarios)
    today = datetime.now(UTC).date()
    latest = today - timedelta(days=days + 1)  # the last day has ended everywhere, and was delivered
    if bootstrap and settings.start > latest:
        raise typer.BadParameter(f"brokers refuse records of the future: --start {latest} or earlier")
    company = simulate(settings, read_schemas(shipped("schemas")))
    began = monotonic()
    with _progress(settings, is_quiet=as_json) as told:
        try:
            write_directory(company, out, told, bootstrap)
        except OSError as error:
            _fail(f"cannot write {out}: {error}")
    if bootstrap:
        again = simulate(settings, read_schemas(shipped("schemas")))
        try:
            with _progress(settings, is_quiet=as_json) as told:
                _produce(again, bootstrap, told)
        except LogUnavailable as error:
            _fail(f"{bootstrap}: {error}", UNREACHABLE)
    _report(company, out, monotonic() - began, as_json=as_json)


class _progress:  # noqa: N801 - reads as a `with` phrase
    """A bar over simulated days on a terminal; nothing otherwise."""

    def __init__(self, settings: CompanySettings, *, is_quiet: bool) -> None:
        self._start_ms = midnight_ms(settings.start, "UTC")
        days = TextColumn("day {task.completed:.0f} of {task.total:.0f}")
        columns = (TextColumn("simulating"), BarColumn(), days, TimeElapsedColumn())
        self._bar = progress(*columns, is_quiet=is_quiet)
        self._task = self._bar.add_task("days", total=settings.days)
        self._day = -1

    def __enter__(self) -> Callable[[int], None]:
        self._bar.start()
        return self._tell

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _tell(self, arrival_ms: int) -> None:
        day = (arrival_ms - self._start_ms) // DAY_MS
        if day != self._day:
            self._day = day
            self._bar.update(self._task, completed=day)


def _produce(company: Company, bootstrap: str, told: Callable[[int], None]) -> None:
    """Every record to its topic and partition. Raises `LogUnavailable`."""
    silence_client_logs()
    config = KafkaConfig(bootstrap_servers=tuple(bootstrap.split(",")))
    with kafka_topics(config) as topics:
        topics.create([Topic(name, PARTITIONS, RAW_SETTINGS) for name in TOPICS])
    publisher = KafkaPublisher(config)
    try:
        for number, record in enumerate(company.records(), 1):
            publisher.send(record.topic, record.partition, record.key, record.value, (), record.timestamp_ms)
            told(record.timestamp_ms)
            if number % FLUSH_RECORDS == 0:
                publisher.flush()
        publisher.flush()
    finally:
        publisher.close()


def _report(company: Company, out: Path, took_s: float, *, as_json: bool) -> None:
    records = sum(company.counts.values())
    found = {
        "out": str(out),
        "people": company.settings.people,
        "days": company.settings.days,
        "person_days": company.person_days,
        "records": dict(sorted(company.counts.items())),
        "records_per_person_day": round(records / max(1, company.person_days), 2),
        "scenarios": sum(bool(scenario.event_ids) for scenario in company.scenarios),
        "seconds": round(took_s, 2),
    }
    if as_json:
        typer.echo(json.dumps(found))
        return
    typer.echo(
        f"{out}: {records:,} records of {company.settings.people} people in {company.settings.days} days "
        f"({found['records_per_person_day']} per person-day), {found['scenarios']} scenarios, {took_s:.1f} s"
    )


def _fail(message: str, code: int = FAILED) -> None:
    typer.echo(f"simulate: {message}", err=True)
    raise typer.Exit(code)
