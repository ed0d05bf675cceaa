"""`correlator deploy` and `correlator rollback`: put a bundle into force, without a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getuser
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from correlator.adapters.clock import SystemClock
from correlator.adapters.kafka.client_logs import silence_client_logs
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.adapters.kafka.transactions import KafkaTransactionalWriter
from correlator.alerts.phrases import iso
from correlator.cli.as_json import AsJson
from correlator.cli.candidate import Candidate, Difference, alerting, difference, read_candidate
from correlator.cli.connection import Connection, load_connection
from correlator.cli.exit_codes import FAILED
from correlator.cli.failing import reaching, refusing
from correlator.cli.on_kafka import bundles_on, check_topics
from correlator.cli.screen import Screen, number_of
from correlator.cli.times import instant_ms
from correlator.engine.bundles import Activated, Bundles, Texts
from correlator.engine.deploy import LEAD_MS, Edges, Overtaken, deploy, previous
from correlator.engine.homes import closed, homeless
from correlator.engine.ports import LogUnavailable, TopicPartition
from correlator.engine.topics import EngineRefusal
from correlator.event import NEVER
from correlator.pipeline import Bundle

HOMELESS = (
    "their records are refused from then on, and their badges and accounts are nobody's. Publish them with "
    "another home_site first: docs/identities.md"
)

Directory = Annotated[Path, typer.Argument(help="Configuration directory.")]
Since = Annotated[
    str,
    typer.Option(
        help="Event time from which it is in force, such as 2026-11-25T08:00Z; default: in 5 s. What is "
        "known already and happened since is evaluated again, as far as the horizon reaches back."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check, test and compare; change nothing.")]
By = Annotated[str, typer.Option(help="Who deploys, for the history. Default: the user's name.")]


def deploy_command(
    directory: Directory, since: Since = "", is_dry: DryRun = False, by: By = "", as_json: AsJson = False
) -> None:
    """Check a directory, run all its tests, show what is different, store it and put it into force.

    Running processes switch at one frame of each partition, without a restart. A bundle with errors or a
    failed test is never activated.

    Exit codes: 0 it is active (or was already), 1 a test failed, 2 the configuration is wrong or was refused,
    3 Kafka cannot be reached. Nothing was changed unless it is 0.
    """
    silence_client_logs()
    since_ms = _since_ms(since)
    with refusing():
        candidate, connection = read_candidate(directory), load_connection(directory)
    if candidate.failed:
        for line in candidate.failed:
            typer.echo(line, err=True)
        typer.echo(f"{len(candidate.failed)} of the tests failed: nothing was changed", err=True)
        raise typer.Exit(FAILED)
    with refusing(), reaching(connection.kafka.bootstrap_servers), edges_on(connection) as edges:
        edges.bundles.look()
        before, was = _before(edges.bundles)
        check_partitions(before, candidate.bundle)
        check_topics(connection, candidate.bundle)
        found = difference(before, candidate.bundle, (was, candidate.texts))
        identities = TopicPartition(edges.topics.identities, 0)
        homes = homeless(edges.log, identities, closed(before, candidate.bundle))
        activated = Activated(candidate.bundle.hash, since_ms, SystemClock().now_ms(), by or somebody())
        is_new = False if is_dry else deploy(edges, activated, candidate.texts)
        active = edges.bundles.active
    told = activated if is_dry or active is None else active
    for site, people in homes.items():
        if people:
            typer.echo(f"site {site} is taken out, the home of {people} people: {HOMELESS}", err=True)
    _tell(candidate, found, told, is_new=is_new, is_dry=is_dry, as_json=as_json)


def _before(bundles: Bundles) -> tuple[Bundle | None, Texts]:
    """What is active. Nothing, with a line that says so, where it cannot be read: `deploy` mends that."""
    active = bundles.active
    if active is None:
        return None, {}
    try:
        return bundles.get(active.bundle), bundles.texts(active.bundle)
    except EngineRefusal as error:
        typer.echo(f"what is active cannot be compared with: {error}", err=True)
        return None, {}


def rollback_command(
    directory: Directory,
    to: Annotated[str, typer.Option(help="Hash, or how it begins; default: the one before.")] = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Put the bundle that was active before, or another one that was deployed once, into force again.

    DIR only says where Kafka is. `correlator rules status` lists what was deployed.

    Exit codes: 0 it is active, 2 there is no such bundle, 3 Kafka cannot be reached.
    """
    silence_client_logs()
    with refusing():
        connection = load_connection(directory)
    with refusing(), reaching(connection.kafka.bootstrap_servers), edges_on(connection) as edges:
        edges.bundles.look()
        bundle = _meant(edges.bundles, to, directory)
        edges.bundles.get(bundle)
        now_ms = SystemClock().now_ms()
        is_new = deploy(edges, Activated(bundle, now_ms + LEAD_MS, now_ms, by or somebody()))
        active = edges.bundles.active
    if as_json:
        typer.echo(json.dumps({"active": bundle, "changed": is_new}))
        return
    since = f" for what happens from {iso(active.since_ms)} on" if is_new and active is not None else ""
    typer.echo(f"bundle {bundle} is in force{since}" if is_new else f"bundle {bundle} is active already")


def _meant(bundles: Bundles, to: str, directory: Path) -> str:
    """The hash that begins with *to*, "": of the bundle before. Raises `EngineRefusal`."""
    if to:
        found = bundles.begin_so(to)
        if len(found) != 1:
            what = f"{len(found)} bundles begin" if found else "no bundle begins"
            raise EngineRefusal(f"{what} with {to!r}: `correlator rules status {directory}` lists them")
        return found[0]
    before = previous(bundles)
    if before is None:
        raise EngineRefusal("there is no bundle before the active one: nothing to go back to")
    return before.bundle


@contextmanager
def edges_on(connection: Connection) -> Iterator[Edges]:
    topics, log = connection.topics, KafkaLogReader(connection.kafka)
    writer = KafkaTransactionalWriter(connection.kafka, f"{connection.prefix}deploy")
    try:
        yield Edges(bundles_on(connection, log), writer, log, topics)
    finally:
        writer.close()
        log.close()


def check_partitions(before: Bundle | None, after: Bundle) -> None:
    """Raises `EngineRefusal`: their number is fixed for life."""
    if before is not None and before.intake.partitions != after.intake.partitions:
        raise EngineRefusal(
            f"`partitions` is {after.intake.partitions} here and {before.intake.partitions} in the active "
            "bundle: every entity would change its owner. Their number is fixed for life."
        )


def somebody() -> str:
    """Who runs this, as far as the machine knows."""
    try:
        return getuser()
    except (KeyError, OSError):
        return ""


def _since_ms(text: str) -> int:
    now_ms = SystemClock().now_ms()
    return instant_ms(text, now_ms) if text else now_ms + LEAD_MS


def _tell(
    candidate: Candidate,
    found: Difference,
    activated: Activated,
    *,
    is_new: bool,
    is_dry: bool,
    as_json: bool,
) -> None:
    bundle = candidate.bundle
    if as_json:
        document = {
            "bundle": bundle.hash,
            "activated": is_new,
            "since": None if activated.since_ms == NEVER else iso(activated.since_ms),
            "tests": candidate.tests,
            **msgspec.to_builtins(found),
        }
        typer.echo(json.dumps(document, indent=2))
        return
    console = Screen(highlight=False, soft_wrap=True)
    for problem in candidate.warnings:
        Console(stderr=True, highlight=False).print(str(problem), soft_wrap=True)
    console.print(
        f"{number_of(len(bundle.program.rules), 'rule')}, {number_of(candidate.tests, 'test')} passed"
    )
    marked = (
        ("+", (*found.added, *found.files_added)),
        ("-", (*found.removed, *found.files_removed)),
        ("~", (*found.changed, *found.files)),
    )
    for mark, names in marked:
        for name in names:
            console.print(f"  {mark} {name}", markup=False)
    if untested := [rule.name for rule in alerting(bundle) if not rule.cases]:
        console.print(f"without a test: {', '.join(untested)}", markup=False)
    if is_dry:
        console.print(f"bundle {bundle.hash}: nothing was changed (--dry-run)")
    elif not is_new:
        console.print(
            f"bundle {bundle.hash} is active already, {_since(activated.since_ms)}: nothing was changed"
        )
    else:
        console.print(f"bundle {bundle.hash} is in force {_since(activated.since_ms)}")


def _since(since_ms: int) -> str:
    return "from the first record on" if since_ms == NEVER else f"for what happens from {iso(since_ms)} on"


class Activating(LogUnavailable):
    """Another process is about to activate the first bundle."""


def bring(connection: Connection, candidate: Candidate, *, is_first: bool) -> str:
    """Activate what a process brings with it. *is_first*: only where nothing is active. The active bundle.

    Raises `EngineRefusal`, also for failed tests; `Activating`, `LogUnavailable`.
    """
    with edges_on(connection) as edges:
        edges.bundles.look()
        active = edges.bundles.active
        if active is not None and is_first:
            return active.bundle
        if candidate.failed:
            raise EngineRefusal("\n".join([*candidate.failed, "tests fail: it was not activated"]))
        if active is not None:
            check_partitions(edges.bundles.get(active.bundle), candidate.bundle)
        now_ms = SystemClock().now_ms()
        activated = Activated(candidate.bundle.hash, now_ms + LEAD_MS, now_ms, somebody())
        try:
            deploy(edges, activated, candidate.texts, is_first=is_first)
        except Overtaken as error:  # processes that start at once bring the first bundle all together
            edges.bundles.look()
            active = edges.bundles.active
            if active is None:
                raise Activating("another process activates the first bundle") from error
            if not (is_first or active.bundle == candidate.bundle.hash):
                raise
        active = edges.bundles.active
        return candidate.bundle.hash if active is None else active.bundle
