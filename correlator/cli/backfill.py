"""`correlator backfill`: begin a deployment with what the raw topics still hold, and tell nobody of the past.

The bundle is put into force twice: with every rule in shadow from always on, and as it is from now on. In
between the production worker catches up as after an outage, in arrival time. So what is learned, and every
alert since, is what a deployment that had run all along would have.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from correlator.adapters.clock import SystemClock
from correlator.adapters.files import bundle_of
from correlator.adapters.kafka.client_logs import quiet_client_logs
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.as_json import as_text
from correlator.cli.backtest import rate
from correlator.cli.candidate import Candidate, alerting, read_candidate
from correlator.cli.connection import Connection, load_connection
from correlator.cli.deploy import edges_on, somebody
from correlator.cli.exit_codes import INTERRUPTED
from correlator.cli.failing import reaching, refusing
from correlator.cli.on_kafka import check_topics, default_instance, kafka_worker, sole_owner
from correlator.cli.rules_status import Hits, hits_of
from correlator.cli.screen import progress, wide_console
from correlator.cli.stopping import STOPPING
from correlator.cli.times import instant_ms
from correlator.cli.topic_records import identities_in, partitions_of
from correlator.engine.anew import person_events
from correlator.engine.bundles import Activated, Texts
from correlator.engine.commit import Send
from correlator.engine.deploy import LEAD_MS, deploy
from correlator.engine.options import Options
from correlator.engine.ports import (
    CommitAborted,
    Committed,
    CommitUnknown,
    LogReader,
    LogUnavailable,
    TopicPartition,
)
from correlator.engine.topics import EngineRefusal, Topics
from correlator.event import DAY_MS, FOREVER, NEVER, Event, partition_of
from correlator.frame import EVENTS_MAX, Frame, encode_frame
from correlator.pipeline import Bundle

BEGUN = (
    "this deployment has read records already: a backfill is how one begins, and one that was broken off "
    "goes on only with the configuration that it began with. To see what other rules would have told there "
    "is `correlator rules backtest`."
)
NOBODY = (
    "{topic} holds nobody, so that all that is read would be nobody's, and a deployment has one backfill "
    "only: load the identities first."
)
GENERAL = "correlator.yml"

Directory = Annotated[Path, typer.Argument(help="Configuration directory.")]
From = Annotated[
    str, typer.Option("--from", help="Begin with what arrived since: 2026-10-01T00:00Z, or -30d.")
]
Instance = Annotated[str, typer.Option(help="As of `run`. Default: the host's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


def backfill_command(
    directory: Directory, from_: From, instance: Instance = "", as_json: AsJson = False
) -> None:
    """Learn from the past before going live: presence, habits, models, open windows.

    Reads the raw topics from --from on as the live system would have, with every rule in shadow; then says
    what would have been told, and puts the bundle into force for what happens from now on. `run` goes on from
    there. Only where nothing was read yet; broken off, it goes on when it is called again.

    Exit codes: 0 done, 2 the configuration is wrong, a test failed, or there is a state already, 3 Kafka
    cannot be reached, 130 interrupted.
    """
    quiet_client_logs()
    with refusing():
        candidate, connection = read_candidate(directory), load_connection(directory)
        if candidate.failed:
            raise EngineRefusal("\n".join([*candidate.failed, "tests fail: nothing was changed"]))
    now_ms = SystemClock().now_ms()
    from_ms = instant_ms(from_, now_ms)
    if from_ms > now_ms:  # it would read nothing, and be the only one that a deployment has
        raise typer.BadParameter(f"--from {from_} is in the future")
    with refusing(), reaching(connection.kafka.bootstrap_servers):
        check_topics(connection, candidate.bundle)
        left = _begin(connection, candidate, from_ms)
        meter = PrometheusMeter()
        worker = kafka_worker(
            connection, None, Options(), instance=instance or default_instance(), meter=meter
        )
        with _progress(left, meter, is_quiet=as_json) as shown:
            worker.run(lambda: STOPPING.is_asked or worker.is_caught_up, shown)
        if STOPPING.is_asked:
            raise typer.Exit(INTERRUPTED)
        now_ms = SystemClock().now_ms()
        with edges_on(connection) as edges:
            live = Activated(candidate.bundle.hash, now_ms + LEAD_MS, now_ms, somebody())
            deploy(edges, live, candidate.texts)
            hits = hits_of(edges.log, connection.topics, lambda _: 0)
            people = len(identities_in(edges.log, connection.topics.identities))
            span_ms = now_ms - max(from_ms, min(now_ms, _first_ms(connection, candidate.bundle, from_ms)))
    _report(hits, people * span_ms / DAY_MS, candidate.bundle, as_json=as_json)


def _first_ms(connection: Connection, bundle: Bundle, from_ms: int) -> int:
    """When the first record that was read arrived: topics may begin later than what was asked for."""
    with closing(KafkaLogReader(connection.kafka)) as log:
        raw = [tp for topic in bundle.intake.feeds for tp in partitions_of(log, topic)]
        spans = [(tp, log.offset_at(tp, from_ms), log.high_watermark(tp)) for tp in raw]
        heads = [next(log.read(*span), None) for span in spans]
        return min((head.timestamp_ms for head in heads if head is not None), default=FOREVER)


def _begin(connection: Connection, candidate: Candidate, from_ms: int) -> int:
    """Everything that is to be there before a record is read. How many records are to be read.

    Raises `EngineRefusal` where something was read already, but by a backfill that was broken off.
    """
    texts = in_shadow(candidate.texts)
    tried = bundle_of(texts, connection.prefix, connection.directory)
    people = TopicPartition(connection.topics.identities, 0)
    try:
        with closing(KafkaLogReader(connection.kafka)) as log:
            raw = [tp for topic in tried.intake.feeds for tp in partitions_of(log, topic)]
            with sole_owner(connection, "intake", [*raw, people]) as owner:
                owner.take()
                known = {tp: owner.committed(tp) for tp in raw}
                is_fresh = not any(known.values())
                end = log.high_watermark(people)
                sends = _told(log, people, end, tried, from_ms, connection.topics) if is_fresh else []
                if is_fresh and not sends:
                    raise EngineRefusal(NOBODY.format(topic=people.topic))
                _put_in_shadow(connection, tried, texts, is_fresh=is_fresh)
                if is_fresh:
                    begin = {tp: Committed(log.offset_at(tp, from_ms)) for tp in raw}
                    owner.write(sends, {**begin, people: Committed(end)})
                    known = {**known, **begin}
            return sum(log.high_watermark(tp) - (c.offset if c else 0) for tp, c in known.items())
    except (CommitAborted, CommitUnknown) as error:
        raise LogUnavailable(f"{error}; done once more, nothing is done twice") from error


def _put_in_shadow(connection: Connection, tried: Bundle, texts: Texts, *, is_fresh: bool) -> None:
    """*tried* becomes the active bundle, the first of all. *is_fresh*: nothing was read yet."""
    with edges_on(connection) as edges:
        edges.bundles.look()
        active = edges.bundles.active
        is_ours = is_fresh if active is None else active.bundle == tried.hash
        if not is_ours:
            raise EngineRefusal(BEGUN)
        if active is None:
            deploy(edges, Activated(tried.hash, NEVER, SystemClock().now_ms(), somebody()), texts)


def _told(
    log: LogReader, people: TopicPartition, end: int, bundle: Bundle, from_ms: int, topics: Topics
) -> list[Send]:
    """Who everybody is, as of *from_ms*: identities may have been loaded long after what is read."""
    by_partition: dict[int, list[tuple[str, Event]]] = {}
    for entity, event in person_events(log, people, bundle.intake.sites, end, from_ms):
        by_partition.setdefault(partition_of(entity, bundle.intake.partitions), []).append((entity, event))
    return [
        Send(topics.keyed, number, None, encode_frame(Frame(bundle.hash, tuple(some[at : at + EVENTS_MAX]))))
        for number, some in by_partition.items()
        for at in range(0, len(some), EVENTS_MAX)
    ]


def in_shadow(texts: Texts) -> Texts:
    """The same configuration, with every alert told in shadow."""
    general = json.loads(texts.get(GENERAL, "{}")) | {"mode": "shadow"}
    return {**texts, GENERAL: json.dumps(general)}


@contextmanager
def _progress(left: int, meter: PrometheusMeter, *, is_quiet: bool) -> Iterator[Callable[[], None]]:
    columns = (TextColumn("reading the past"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with progress(*columns, is_quiet=is_quiet) as bar:
        task = bar.add_task("records", total=left)

        def shown() -> None:
            taken = meter.total("correlator_records_consumed_total", stage="intake")
            bar.update(task, completed=min(taken, left))

        yield shown


def _report(hits: Mapping[str, Hits], person_days: float, bundle: Bundle, *, as_json: bool) -> None:
    tried = {rule.name for rule in alerting(bundle) if rule.is_tried_out}
    names = [*(rule.name for rule in alerting(bundle)), *hits]  # of what adds up to a risk there is no rule
    counts = {name: hits[name].shadow if name in hits else 0 for name in names}
    if as_json:
        rows = {
            rule: {"told": n, "rate": rate(n, person_days), "mode": "shadow" if rule in tried else "alert"}
            for rule, n in counts.items()
        }
        typer.echo(as_text({"bundle": bundle.hash, "person_days": person_days, "rules": rows}))
        return
    table = Table(title="what would have been told", title_justify="left")
    table.add_column("rule")
    table.add_column("alerts", justify="right")
    table.add_column("per 1,000 person-days", justify="right")
    for rule, count in sorted(counts.items()):
        said = f"{rule} (in shadow)" if rule in tried else rule
        table.add_row(said, str(count), f"{rate(count, person_days):.2f}")
    console = wide_console()
    console.print(table)
    console.print(f"bundle {bundle.hash} is in force from now on; `correlator run` goes on from here")
