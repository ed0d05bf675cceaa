"""`correlator rules status`: which bundle is in force, which before it, and what its rules are doing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from correlator.adapters.clock import SystemClock
from correlator.alerts.phrases import iso
from correlator.cli.as_json import AsJson, as_text
from correlator.cli.candidate import mode, rules_of
from correlator.cli.looking import deployment
from correlator.cli.screen import wide_console
from correlator.cli.times import instant_ms
from correlator.cli.topic_records import partitions_of, told_in
from correlator.engine.bundles import Activated, Bundles
from correlator.engine.ports import LogReader, TopicPartition
from correlator.engine.topics import EngineRefusal, Topics
from correlator.event import NEVER
from correlator.pipeline import HORIZONS_KEPT, InForce
from correlator.rules.versions import reaching_back

HISTORY = 10  # activations shown

Directory = Annotated[Path, typer.Argument(help="Configuration directory: says where Kafka is.")]
Since = Annotated[str, typer.Option(help="Count alerts published since: 2026-11-25T08:00Z, or -7d.")]


class Hits(msgspec.Struct):
    """Alerts of a rule, each counted once. *open*, *closed* now; *last_ms*: when the newest was told."""

    open: int = 0
    closed: int = 0
    shadow: int = 0
    last_ms: int | None = None


class Status(msgspec.Struct, frozen=True):
    """Of one rule of the active bundle. *warming_until_ms*: what did not happen is not said before."""

    rule: str
    mode: str
    warming_until_ms: int | None
    inert: tuple[tuple[str, tuple[str, ...]], ...]  # sites, and what the rule requires that is not there
    hits: Hits


def status_command(directory: Directory, since: Since = "-7d", as_json: AsJson = False) -> None:
    """Say which bundle is in force and since when, and of each rule its mode, whether it is still warming,
    and how many alerts it told.

    Exit codes: 0 done, 1 a record of the alert topics is none, 2 the configuration is wrong or nothing is
    deployed, 3 Kafka cannot be reached.
    """
    now_ms = SystemClock().now_ms()
    since_ms = instant_ms(since, now_ms)
    with deployment(directory) as (connection, log, bundles):
        if bundles.active is None:
            raise EngineRefusal(f"nothing is deployed: `correlator deploy {directory}` does it")
        force = in_force_by_history(bundles)
        with Console(stderr=True).status("reading alerts"):
            hits = hits_of(log, connection.topics, lambda where: log.offset_at(where, since_ms))
    found = _statuses(force, hits, now_ms)
    if as_json:
        history = [
            msgspec.to_builtins(each) | ({"since_ms": None} if each.since_ms == NEVER else {})
            for each in bundles.history
        ]
        typer.echo(as_text({"history": history, "rules": found, "since_ms": since_ms}))
    else:
        _print(found, bundles.history, iso(since_ms))


def in_force_by_history(bundles: Bundles) -> InForce:
    """As each partition has it once it has read the newest activation."""
    versions: list[tuple[int, str]] = []
    for activated in reversed(bundles.history):
        versions = reaching_back(versions, activated.since_ms, activated.bundle)
    newest_ms, newest = versions[-1]
    edge_ms = newest_ms - HORIZONS_KEPT * bundles.get(newest).settings.horizon_ms
    first = max((at for at, (since_ms, _) in enumerate(versions) if since_ms <= edge_ms), default=0)
    return bundles.in_force(versions[first:])


def hits_of(log: LogReader, topics: Topics, begin: Callable[[TopicPartition], int]) -> dict[str, Hits]:
    """Of each rule, by name. *begin*: the first offset that counts. Ends the program at what is no alert."""
    newest: dict[tuple[str, str], tuple[int, bool, bool]] = {}  # rule, uid -> time, closed, shadow
    for topic in (topics.alerts, topics.shadow):
        for where in partitions_of(log, topic):
            for record in log.read(
                where, max(begin(where), log.begin_offset(where)), log.high_watermark(where)
            ):
                if (told := told_in(record)) is None:
                    continue
                key = (told.metadata.event_code, told.finding_info.uid)
                is_shadow = topic == topics.shadow
                if is_shadow and key in newest and newest[key][0] >= told.time:
                    continue  # it was told live since, so it is no more in shadow
                newest[key] = (told.time, told.is_closed, is_shadow)
    found: dict[str, Hits] = {}
    for (rule, _), (time_ms, is_closed, is_shadow) in newest.items():
        hits = found.setdefault(rule, Hits())
        hits.shadow += is_shadow
        hits.open += not is_shadow and not is_closed
        hits.closed += not is_shadow and is_closed
        hits.last_ms = time_ms if hits.last_ms is None else max(hits.last_ms, time_ms)
    return found


def _statuses(force: InForce, hits: dict[str, Hits], now_ms: int) -> list[Status]:
    bundle, warming = force.versions[-1][1], force.warming(now_ms)
    rules, program = rules_of(bundle), bundle.program
    return sorted(
        (
            Status(
                rule.name,
                mode(rule),
                warming.get(rule.id),
                program.rules[rule.id].inert if rule.id in program.rules else (),
                hits.get(rule.name, Hits()),
            )
            for rule in rules.values()
        ),
        key=lambda status: status.rule,
    )


def _print(found: Sequence[Status], history: Sequence[Activated], since: str) -> None:
    console = wide_console()
    bundles = Table(title="bundles, the active one first", title_justify="left")
    for head in ("bundle", "in force for events since", "deployed", "by"):
        bundles.add_column(head)
    for activated in history[:HISTORY]:
        begin = "always" if activated.since_ms == NEVER else iso(activated.since_ms)
        bundles.add_row(activated.bundle, begin, iso(activated.at_ms), activated.by)
    console.print(bundles)
    rules = Table(title=f"rules; alerts published since {since}", title_justify="left")
    for head in ("rule", "mode", "state"):
        rules.add_column(head)
    for head in ("open", "closed", "shadow", "last told"):
        rules.add_column(head, justify="right")
    for status in found:
        until_ms, hits = status.warming_until_ms, status.hits
        state = "in force" if until_ms is None else f"warming until {iso(until_ms)}"
        if status.inert:
            state += "; inert at " + ", ".join(f"{site} ({', '.join(why)})" for site, why in status.inert)
        last = "-" if hits.last_ms is None else iso(hits.last_ms)
        counts = (str(hits.open), str(hits.closed), str(hits.shadow), last)
        rules.add_row(status.rule, status.mode, state, *counts)
    console.print(rules)
