"""`correlator replay`: records of a directory through the production worker, on the embedded log."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from time import monotonic, process_time
from typing import Annotated, Literal

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.files import load_bundle
from correlator.adapters.prometheus import PrometheusMeter
from correlator.adapters.record_files import identities_of, read_records
from correlator.cli.embedded import FAST, Embedded, with_partitions
from correlator.cli.exit_codes import INTERRUPTED
from correlator.cli.failing import refusing, writing
from correlator.cli.screen import progress, wide_console
from correlator.cli.stopping import STOPPING
from correlator.engine.ports import TopicPartition
from correlator.event import FOREVER
from correlator.pipeline import Bundle
from correlator.record import Record

BOUNDED = msgspec.structs.replace(FAST, is_bounded=True, checkpoint_ms=FOREVER, replay_ms_max=FOREVER)


class _Uid(msgspec.Struct):
    uid: str


class _Ours(msgspec.Struct):
    rule_id: str


class _Unmapped(msgspec.Struct):
    correlator: _Ours


class _Finding(msgspec.Struct):
    """What the summary needs of an alert record."""

    activity_id: int
    finding_info: _Uid
    unmapped: _Unmapped


CLOSE = 3
_finding = msgspec.json.Decoder(_Finding).decode


class Summary(msgspec.Struct):
    """Of a replay. *alerts*, and those in *shadow*, by rule: open at the end, and closed."""

    events: int
    records: int
    seconds: float
    cpu_seconds: float
    alerts: dict[str, tuple[int, int]]
    shadow: dict[str, tuple[int, int]]
    dead_letters: dict[str, int]
    unresolved: int
    late: int
    too_late: int

    @property
    def events_per_s(self) -> float:
        return self.events / max(self.seconds, 1e-9)


class Replay:
    """A bounded read of *records*, step by step; every change published is given in `alerts`, or `shadow`.

    With *stage* intake somebody else folds what `take_keyed` gives.
    """

    def __init__(
        self,
        bundle: Bundle,
        records: list[Record],
        identities: list[tuple[str, bytes]],
        stage: Literal["intake"] | None = None,
    ) -> None:
        self.records, self.alerts, self.shadow = records, list[bytes](), list[bytes]()
        self.meter = PrometheusMeter(has_process=False)
        raw: dict[str, int] = {}
        for record in records:
            raw[record.topic] = max(raw.get(record.topic, 1), record.partition + 1)
        self.embedded = Embedded(bundle, SimulatedClock(FOREVER), raw)  # no clock is held against files
        unread = sorted(raw.keys() - bundle.intake.feeds.keys())
        self.unread = {topic: sum(r.topic == topic for r in records) for topic in unread}
        self.embedded.load_identities(identities, 0)
        for record in records:
            if record.topic not in self.unread:
                self.embedded.append(record)
        self.worker = self.embedded.worker(self.meter, BOUNDED, stage=stage)
        self.dead = Counter[str]()
        self._began_s, self._began_cpu_s = monotonic(), process_time()

    def taken(self) -> int:
        """Records read so far."""
        return int(self.meter.total("correlator_records_consumed_total", stage="intake"))

    def collect(self) -> None:
        """Take what was published, and let go of what nobody reads again."""
        topics = self.embedded.topics
        self.alerts += [record.value or b"" for record in self.embedded.news(topics.alerts)]
        self.shadow += [record.value or b"" for record in self.embedded.news(topics.shadow)]
        for record in self.embedded.news(topics.dead_letters):
            headers = dict(record.headers)
            self.dead[headers["correlator.errors.reason"].decode()] += 1
        self.embedded.forget()

    def take_keyed(self) -> list[tuple[int, bytes]]:
        """(partition, frame) of *keyed* since the last call; they are let go of."""
        keyed, log = self.embedded.topics.keyed, self.embedded.log
        found = self.embedded.news(keyed)
        for number in range(log.partitions(keyed)):
            where = TopicPartition(keyed, number)
            log.truncate(where, log.partition(where).next_offset)
        self.embedded.forget()
        return [(record.partition, record.value or b"") for record in found]

    def summary(self) -> Summary:
        seconds, meter = monotonic() - self._began_s, self.meter
        cpu_seconds = process_time() - self._began_cpu_s
        return Summary(
            int(meter.total("correlator_events_total")),
            len(self.records),
            seconds,
            cpu_seconds,
            _by_rule(self.alerts),
            _by_rule(self.shadow),
            dict(sorted(self.dead.items())),
            int(meter.total("correlator_identities_unresolved_total")),
            int(meter.total("correlator_records_late_total")),
            int(meter.total("correlator_events_refused_total", reason="too_late")),
        )


def _by_rule(told: list[bytes]) -> dict[str, tuple[int, int]]:
    """Alerts open at the end, and closed, by rule."""
    state: dict[str, tuple[str, bool]] = {}
    for value in told:
        finding = _finding(value)
        state[finding.finding_info.uid] = (finding.unmapped.correlator.rule_id, finding.activity_id == CLOSE)
    alerts: dict[str, tuple[int, int]] = {}
    for rule, is_closed in state.values():
        opened, closed = alerts.get(rule, (0, 0))
        alerts[rule] = (opened + (not is_closed), closed + is_closed)
    return dict(sorted(alerts.items()))


def replay_command(
    directory: Annotated[Path, typer.Argument(help="Configuration directory with records/.")],
    out: Annotated[Path, typer.Option("--out", help="Alert changes as JSON lines, in order of telling.")],
    shadow: Annotated[
        Path | None,
        typer.Option("--shadow", help="Likewise of rules in shadow mode; else they are counted only."),
    ] = None,
    partitions: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Of the keyed topic, instead of the configured number."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Read the records of DIRECTORY as the live system would have, and write every alert change.

    Everything settles: at the end every feed counts as arrived to half a horizon past the last record.

    Exit codes: 0 done, 1 a file cannot be written, 2 the configuration or a record is wrong, 130 interrupted.
    """
    console = Console(stderr=True)
    with refusing():
        bundle = load_bundle(directory)
        if partitions is not None:
            bundle = with_partitions(bundle, partitions)
        identities = identities_of(directory, bundle.intake.sites)
        with console.status("reading records"):
            records = list(read_records(directory))
        replay = Replay(bundle, records, identities)
        _run(replay, is_quiet=as_json)
    for path, told in ((out, replay.alerts), (shadow, replay.shadow)):
        if path is not None:
            with writing(path):
                path.write_bytes(b"".join(value + b"\n" for value in told))
    summary = replay.summary()
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(summary) | {"events_per_s": round(summary.events_per_s)}))
    else:
        _print(summary, replay, bundle)
    if STOPPING.is_asked:
        raise typer.Exit(INTERRUPTED)


def _run(replay: Replay, *, is_quiet: bool) -> None:
    columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with progress(*columns, is_quiet=is_quiet) as shown:
        task = shown.add_task("records", total=len(replay.records))
        steps = 0

        def after_step() -> None:
            nonlocal steps
            steps += 1
            if steps % 20 == 0:
                shown.update(task, completed=replay.taken())
                replay.collect()

        replay.worker.run(lambda: STOPPING.is_asked, after_step)
        replay.collect()
        shown.update(task, completed=replay.taken())


def _print(summary: Summary, replay: Replay, bundle: Bundle) -> None:
    console = wide_console()
    console.print(
        f"{summary.events:,} events of {summary.records:,} records in {summary.seconds:.1f} s "
        f"({summary.events_per_s:,.0f}/s, {summary.events / summary.cpu_seconds:,.0f} per CPU-second), "
        f"{summary.late:,} late, {summary.too_late:,} too late, "
        f"{summary.unresolved:,} of nobody known",
        highlight=False,
    )
    for topic, count in replay.unread.items():
        console.print(f"no feed reads {topic}: {count:,} records left alone", highlight=False)
    for title, told in (("alerts", summary.alerts), ("alerts in shadow", summary.shadow)):
        if title != "alerts" and not told:
            continue
        alerts = Table("rule", "open", "closed", title=title, title_justify="left")
        for rule, (opened, closed) in told.items():
            alerts.add_row(
                bundle.texts[rule].title if rule in bundle.texts else rule, str(opened), str(closed)
            )
        console.print(alerts)
    if summary.dead_letters:
        letters = Table("reason", "records", title="dead letters", title_justify="left")
        for reason, count in summary.dead_letters.items():
            letters.add_row(reason, str(count))
        console.print(letters)
