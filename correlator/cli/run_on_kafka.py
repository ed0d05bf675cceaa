"""`correlator run` on Kafka: what is brought along is activated or not, then the worker runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Literal

import msgspec
import typer
from rich.console import Console

from correlator.adapters.clock import SteadyClock
from correlator.adapters.kafka.client_logs import quiet_client_logs
from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.candidate import Candidate, read_candidate
from correlator.cli.connection import Connection, load_connection
from correlator.cli.deploy import Activating, bring
from correlator.cli.failing import unfailing
from correlator.cli.on_kafka import check_topics, default_instance, kafka_worker, wrong_policies
from correlator.cli.serving import served
from correlator.engine.health import Health
from correlator.engine.options import Options
from correlator.engine.ports import LogUnavailable
from correlator.engine.topics import EngineRefusal
from correlator.engine.worker import Worker
from correlator.problem import BadConfiguration

RETRY_MS = 2_000
WATCH_S = 1.0  # between two looks at the files


class Wanted(msgspec.Struct, frozen=True):
    """What the command line asks for. *instance* "": the host's name. *http*: host and port; 0: any."""

    config: Path
    stage: Literal["intake", "correlate"] | None
    instance: str
    until_end: bool
    is_deploying: bool
    is_watching: bool
    http: tuple[str, int]
    as_json: bool


def run_on_kafka(wanted: Wanted, is_stopping: Callable[[], bool]) -> None:
    """Raises `BadConfiguration`, `EngineRefusal`."""
    quiet_client_logs()
    candidate, connection = read_candidate(wanted.config), load_connection(wanted.config)
    meter, console = PrometheusMeter(), Console(file=unfailing(sys.stderr), soft_wrap=True)
    health = Health()
    with served(health, meter, wanted.http) as url:  # before Kafka answers: a probe must not restart it
        begun = _begun(wanted, candidate, connection, meter, health, console, is_stopping)
        if begun is None:
            return
        worker, active = begun
        if active != candidate.bundle.hash:
            console.print(
                f"{wanted.config} is bundle {candidate.bundle.hash}, but {active} is active, and runs: "
                f"`correlator deploy {wanted.config}` or `run --deploy` activates this one",
                highlight=False,
            )
        watching = (
            _watching(wanted.config, connection, candidate, console) if wanted.is_watching else _nothing
        )
        console.print(f"bundle {active}, {url}/metrics /livez /readyz", highlight=False)
        switching = _switching(worker, lambda line: console.print(line, highlight=False))

        def after_step() -> None:
            watching()
            switching()

        worker.run(is_stopping, after_step)
    taken = int(meter.total("correlator_records_consumed_total", stage="intake"))
    frames = int(meter.total("correlator_records_consumed_total", stage="correlate"))
    letters = int(meter.total("correlator_dead_letters_total"))
    if wanted.as_json:
        typer.echo(json.dumps({"records": taken, "frames": frames, "dead_letters": letters}))
    else:
        console.print(f"{taken:,} records, {frames:,} frames, {letters:,} dead letters", highlight=False)


def _begun(
    wanted: Wanted,
    candidate: Candidate,
    connection: Connection,
    meter: PrometheusMeter,
    health: Health,
    console: Console,
    is_stopping: Callable[[], bool],
) -> tuple[Worker, str] | None:
    """The worker and the active bundle, as soon as Kafka answers; None when asked to stop before."""
    options, instance = Options(is_bounded=wanted.until_end), wanted.instance or default_instance()
    servers = ", ".join(connection.kafka.bootstrap_servers)
    meter.set("correlator_ready", 0)
    while not is_stopping():
        try:
            check_topics(connection, candidate.bundle)
            active = bring(connection, candidate, is_first=not wanted.is_deploying)
            for line in wrong_policies(connection):
                console.print(f"{line}, or what is needed is deleted: change it", highlight=False)
            worker = kafka_worker(
                connection, wanted.stage, options, instance=instance, meter=meter, health=health
            )
            return worker, active
        except Activating as error:
            console.print(f"{error}: waiting for it", highlight=False)
            health.waiting = (str(error),)
        except LogUnavailable as error:
            unanswered = f"no answer from Kafka at {servers} (or it refused us)"
            console.print(f"{unanswered}, trying again: {error}", highlight=False)
            health.waiting = (f"{unanswered}: {error}",)
        SteadyClock().sleep_ms(RETRY_MS)
    return None


def _nothing() -> None:
    return


def _switching(worker: Worker, told: Callable[[str], None]) -> Callable[[], None]:
    """Called after each step: says when another bundle has come into force in all partitions of ours."""
    before = ""

    def look() -> None:
        nonlocal before
        now = worker.bundle
        if before and now and now != before:
            told(f"bundle {now} is in force; it was {before}")
        before = now or before

    return look


def _watching(
    config: Path, connection: Connection, candidate: Candidate, console: Console
) -> Callable[[], None]:
    """Called after each step: deploys the directory when a file of it has changed, and is good. Where the log
    does not answer it tries again; what is refused waits for another change.
    """
    seen, hash_now, looked_s = _modified(config), candidate.bundle.hash, monotonic()

    def look() -> None:
        nonlocal seen, hash_now, looked_s
        if monotonic() - looked_s < WATCH_S:
            return
        looked_s = monotonic()
        found = _modified(config)
        if found == seen:
            return
        before, seen = seen, found
        try:
            changed = read_candidate(config)
            if changed.bundle.hash != hash_now:
                hash_now = bring(connection, changed, is_first=False)
                console.print(f"deployed bundle {hash_now}", highlight=False)
        except BadConfiguration as error:
            problems = "\n".join(map(str, error.problems))
            console.print(f"{problems}\nnot deployed: the old bundle stays", highlight=False)
        except EngineRefusal as error:
            console.print(f"not deployed: {error}", highlight=False)
        except LogUnavailable as error:
            seen = before
            console.print(f"not deployed yet, trying again: {error}", highlight=False)

    return look


def _modified(directory: Path) -> dict[Path, int]:
    """When each file was changed last; records and identities aside, which are no part of a bundle."""
    globs = ("*.yml", "*.mmdb", "*/*.yml", "*/*.yaml", "schemas/*")
    files = [file for glob in globs for file in directory.glob(glob)]
    found: dict[Path, int] = {}
    for file in files:
        with suppress(FileNotFoundError):  # an editor is replacing it
            found[file] = file.stat().st_mtime_ns
    return found
