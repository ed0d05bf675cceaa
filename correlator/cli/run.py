"""`correlator run`: the main job, on Kafka or embedded."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from time import monotonic
from typing import Annotated, Literal

import typer
from rich.console import Console

from correlator.adapters.clock import SteadyClock
from correlator.adapters.files import load_bundle
from correlator.adapters.http import HttpServer
from correlator.adapters.kafka.quiet import quiet_client_logs
from correlator.adapters.prometheus import PrometheusMeter
from correlator.adapters.record_files import IDENTITIES, read_identities, read_records
from correlator.cli.candidate import Candidate, read_candidate
from correlator.cli.company import DAY_TAKES_MS, HISTORY_DAYS, LiveCompany
from correlator.cli.connection import Connection, load_connection
from correlator.cli.deploy import bring
from correlator.cli.embedded import Embedded
from correlator.cli.on_kafka import check_topics, default_instance, kafka_worker
from correlator.cli.replay import Replay
from correlator.cli.stopping import STOPPING
from correlator.cli.telling import refusing
from correlator.cli.view import FeedState, Snapshot, View
from correlator.engine.options import Options
from correlator.engine.ports import LogUnavailable
from correlator.engine.topics import EngineRefusal
from correlator.engine.worker import Worker
from correlator.event import DAY_MS, NEVER
from correlator.problem import BadConfiguration

RETRY_MS = 2_000
SHOW_S = 0.25  # between two pictures
LIVE_STEP_MS = 100  # of real time
WATCH_S = 1.0  # between two looks at the files
HISTORY_SHOWN = 10  # alerts of the history that are shown when live begins
UNITS = {"s": 1, "m": 60, "h": 3600}


def _seconds(text: str) -> float:
    """`60s`, `5m`, `1h`, `60`. Raises typer.BadParameter."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no duration; write 60s, 5m or 1h")
    return float(found[1]) * UNITS[found[2] or "s"]


def run_command(
    config: Annotated[
        Path | None, typer.Option("--config", help="Configuration directory. Needed, unless --embedded.")
    ] = None,
    is_embedded: Annotated[
        bool,
        typer.Option(
            "--embedded", help="Without Kafka: on the records of --config, else on a simulated company."
        ),
    ] = False,
    stage: Annotated[
        Literal["intake", "correlate"] | None, typer.Option(help="Only this stage; else both.")
    ] = None,
    until_end: Annotated[
        bool,
        typer.Option("--until-end", help="Read what is there now, settle everything, commit, and end."),
    ] = False,
    is_deploying: Annotated[
        bool,
        typer.Option("--deploy", help="Activate the bundle of --config, whatever is active. See `deploy`."),
    ] = False,
    is_watching: Annotated[
        bool, typer.Option("--watch", help="--deploy, and again whenever a file of --config changes.")
    ] = False,
    duration: Annotated[str, typer.Option(help="End after this time: 60s, 5m, 1h. Default: never.")] = "",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of /metrics, /livez, /readyz; 0: any.")] = 0,
    host: Annotated[str, typer.Option(help="Address that serves them.")] = "127.0.0.1",
    instance: Annotated[
        str, typer.Option(help="Unique per process, the same after a restart. Default: the host's name.")
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Embedded: alerts as JSON lines. Kafka: a summary at the end.")
    ] = False,
) -> None:
    """Join badge and login events per identity and raise alerts, until Ctrl-C or SIGTERM.

    On Kafka the active bundle runs; the first process of all activates that of its directory.
    Stopping finishes what was begun, commits, writes checkpoints and leaves; a second signal ends at once.

    Exit codes: 0 ended in order, 2 the configuration is wrong or the state was made under another one,
    130 ended at once.
    """
    if config is None and not is_embedded:
        raise typer.BadParameter("give --config DIR, or --embedded for a simulated company")
    ends_s = monotonic() + _seconds(duration) if duration else float("inf")

    def is_stopping() -> bool:
        return STOPPING.is_asked or monotonic() >= ends_s

    with refusing():
        if config is not None and not is_embedded:
            _on_kafka(
                config,
                stage,
                instance,
                is_stopping,
                until_end=until_end,
                is_deploying=is_deploying or is_watching,
                is_watching=is_watching,
                http=(host, port),
                as_json=as_json,
            )
        elif config is not None:
            _on_records(config, is_stopping, http=(host, port), as_json=as_json)
        else:
            _on_company(is_stopping, http=(host, port), as_json=as_json)


# ------------------------------------------------------------------------ Kafka


def _on_kafka(
    config: Path,
    stage: str | None,
    instance: str,
    is_stopping: Callable[[], bool],
    *,
    until_end: bool,
    is_deploying: bool,
    is_watching: bool,
    http: tuple[str, int],
    as_json: bool,
) -> None:
    quiet_client_logs()
    candidate, connection, meter = read_candidate(config), load_connection(config), PrometheusMeter()
    if candidate.failed:
        raise EngineRefusal("tests fail, so this is not run: " + "; ".join(candidate.failed))
    console = Console(stderr=True)
    options = Options(is_bounded=until_end)
    worker, active = None, ""
    while worker is None and not is_stopping():
        try:
            check_topics(connection, candidate.bundle)
            active = bring(connection, candidate, is_first=not is_deploying)
            worker = kafka_worker(
                connection, stage, options, instance=instance or default_instance(), meter=meter
            )
        except LogUnavailable as error:
            servers = ", ".join(connection.kafka.bootstrap_servers)
            console.print(f"no answer from Kafka at {servers}, trying again: {error}", highlight=False)
            SteadyClock().sleep_ms(RETRY_MS)
    if worker is None:
        return
    if active != candidate.bundle.hash:
        console.print(
            f"{config} is bundle {candidate.bundle.hash}, but {active} is active, and runs: "
            f"`correlator deploy {config}` or `run --deploy` activates this one",
            highlight=False,
        )
    with _served(worker, meter, http) as url:
        console.print(f"bundle {active}, {url}/metrics /livez /readyz", highlight=False)
        worker.run(
            is_stopping, _watching(config, connection, candidate, console) if is_watching else _nothing
        )
    taken = int(meter.total("correlator_records_consumed_total", stage="intake"))
    frames = int(meter.total("correlator_records_consumed_total", stage="correlate"))
    letters = int(meter.total("correlator_dead_letters_total"))
    if as_json:
        typer.echo(json.dumps({"records": taken, "frames": frames, "dead_letters": letters}))
    else:
        console.print(f"{taken:,} records, {frames:,} frames, {letters:,} dead letters", highlight=False)


def _nothing() -> None:
    return


def _watching(
    config: Path, connection: Connection, candidate: Candidate, console: Console
) -> Callable[[], None]:
    """Called after each step: deploys the directory when a file of it has changed, and is good."""
    seen, hash_now, looked_s = _modified(config), candidate.bundle.hash, monotonic()

    def look() -> None:
        nonlocal seen, hash_now, looked_s
        if monotonic() - looked_s < WATCH_S:
            return
        looked_s = monotonic()
        found = _modified(config)
        if found == seen:
            return
        seen = found
        try:
            changed = read_candidate(config)
            if changed.failed:
                console.print("\n".join([*changed.failed, "not deployed: tests fail"]), highlight=False)
            elif changed.bundle.hash != hash_now:
                hash_now = bring(connection, changed, is_first=False)
                console.print(f"deployed bundle {hash_now}", highlight=False)
        except BadConfiguration as error:
            problems = "\n".join(map(str, error.problems))
            console.print(f"{problems}\nnot deployed: the old bundle stays", highlight=False)
        except (EngineRefusal, LogUnavailable) as error:
            console.print(f"not deployed: {error}", highlight=False)

    return look


def _modified(directory: Path) -> dict[Path, int]:
    """When each file was changed last; records and identities aside, which are no part of a bundle."""
    files = [*directory.glob("*.yml"), *directory.glob("*/*.yml"), *directory.glob("schemas/*")]
    return {file: file.stat().st_mtime_ns for file in files if file.exists()}


@contextmanager
def _served(worker: Worker, meter: PrometheusMeter, http: tuple[str, int]) -> Iterator[str]:
    versions = {"version": version("correlator"), "kafka_python": version("kafka-python")}
    meter.set("correlator_build_info", 1, python=python_version(), **versions)
    host, port = http
    try:
        server = HttpServer(meter.exposition, worker.health, SteadyClock(), host=host, port=port)
    except OSError as error:
        typer.echo(f"port {port} of {host}: {error.strerror}", err=True)
        raise typer.Exit(2) from error
    try:
        yield server.url
    finally:
        server.close()


# --------------------------------------------------------------------- embedded


class _Show:
    """Feeds the view, or prints alerts as JSON lines."""

    def __init__(self, embedded: Embedded, worker: Worker, meter: PrometheusMeter, *, as_json: bool) -> None:
        self._embedded, self._worker, self._meter = embedded, worker, meter
        self.view = None if as_json else View()
        self.url = ""
        self._began_s = self._shown_s = monotonic()
        self._events = 0

    def alerts(self, newest: int | None = None) -> None:
        """Show what was published since the last call, or only the *newest* of it."""
        values = [record.value or b"" for record in self._embedded.news(self._embedded.topics.alerts)]
        if newest is not None:
            values = values[-newest:]
        for value in values:
            if self.view is None:
                sys.stdout.write(f"{value.decode()}\n")
            else:
                self.view.alert(value)
        self._embedded.news(self._embedded.topics.dead_letters)

    def status(self) -> None:
        """A new picture, a few times a second."""
        now_s = monotonic()
        if self.view is None or now_s - self._shown_s < SHOW_S:
            return
        events = int(self._meter.total("correlator_events_total"))
        rate = (events - self._events) / (now_s - self._shown_s)
        self._shown_s, self._events = now_s, events
        self._embedded.forget()
        self.view.update(self._snapshot(now_s, events, rate))

    def _snapshot(self, now_s: float, events: int, rate: float) -> Snapshot:
        opened = int(self._meter.total("correlator_alerts_total", activity="create"))
        closed = int(self._meter.total("correlator_alerts_total", activity="close"))
        partitions = self._worker.partitions()
        return Snapshot(
            elapsed_s=now_s - self._began_s,
            events=events,
            events_per_s=rate,
            lag=self._embedded.lag(),
            now_ms=max((p.now_ms for p in partitions if p.now_ms > NEVER), default=None),
            feeds=_feeds(self._worker),
            alerts_open=opened - closed,
            alerts_closed=closed,
            dead_letters=int(self._meter.total("correlator_dead_letters_total")),
            url=self.url,
            waiting=self._worker.health.waiting,
        )


def _feeds(worker: Worker) -> tuple[FeedState, ...]:
    """Newest event and completeness by feed, as the partitions believe it."""
    newest: dict[str, int] = {}
    complete: dict[str, int] = {}
    for partition in worker.partitions():
        marks = partition.marks
        kinds = {timing.feed: timing.kind for timing in marks.settings.feeds}
        for (feed, _, _), state in marks.sources.items():
            if state.counted_ms > NEVER:
                newest[feed] = max(newest.get(feed, NEVER), state.counted_ms)
        for feed, kind in kinds.items():
            for (of, _), at_ms in marks.complete.items():
                if of == kind and at_ms > NEVER:
                    complete[feed] = min(complete.get(feed, at_ms), at_ms)
    return tuple(FeedState(feed, newest[feed], complete.get(feed)) for feed in sorted(newest))


def _on_company(is_stopping: Callable[[], bool], *, http: tuple[str, int], as_json: bool) -> None:
    console = Console(stderr=True)
    meter = PrometheusMeter()
    console.print("simulating a company of 200 people", highlight=False)
    company = LiveCompany(meter)
    show = _Show(company.embedded, company.worker, meter, as_json=as_json)
    with _served(company.worker, meter, http) as show.url:
        console.print(f"{show.url}/metrics /livez /readyz", highlight=False)
        with console.status("history") as status:

            def told(now_ms: int) -> None:
                day = (now_ms - company.start_ms) // DAY_MS + 1
                events = int(meter.total("correlator_events_total"))
                status.update(f"history: day {min(day, HISTORY_DAYS)} of {HISTORY_DAYS}, {events:,} events")

            company.history(HISTORY_DAYS, is_stopping, told)
        with show.view or nullcontext():
            show.alerts(HISTORY_SHOWN)
            _live(company, show, is_stopping)
            company.worker.finish()
            show.alerts()


def _live(company: LiveCompany, show: _Show, is_stopping: Callable[[], bool]) -> None:
    """Simulated time passes at a fixed rate, as long as the worker keeps up."""
    steady = SteadyClock()
    before_ms = steady.now_ms()
    while not is_stopping():
        steady.sleep_ms(LIVE_STEP_MS)
        now_ms = steady.now_ms()
        passed_ms = min(now_ms - before_ms, 10 * LIVE_STEP_MS) * DAY_MS // DAY_TAKES_MS
        before_ms = now_ms
        company.advance(company.clock.now_ms() + passed_ms)
        show.alerts()
        show.status()


def _on_records(
    config: Path, is_stopping: Callable[[], bool], *, http: tuple[str, int], as_json: bool
) -> None:
    """The records of a directory, to their end: `replay` with a view."""
    bundle, path = load_bundle(config), config / IDENTITIES
    rows = read_identities(path, bundle.intake.sites) if path.exists() else []
    replay = Replay(bundle, list(read_records(config)), rows)
    show = _Show(replay.embedded, replay.worker, replay.meter, as_json=as_json)
    served = _served(replay.worker, replay.meter, http)
    with served as show.url, show.view or nullcontext():

        def after_step() -> None:
            show.alerts()
            show.status()

        replay.worker.run(is_stopping, after_step)
        show.alerts()
