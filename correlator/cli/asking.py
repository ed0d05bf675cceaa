"""Where `who` and `timeline` get their answers from: a deployment that runs, or records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from correlator.adapters.files import load_bundle
from correlator.adapters.record_files import identities_of, read_records
from correlator.alerts.told import read_told
from correlator.cli.looking import looking
from correlator.cli.replay import Replay
from correlator.cli.telling import refusing
from correlator.cli.times import instant_ms
from correlator.event import HOUR_MS, partition_of
from correlator.intake.arrival import NO_TIMESTAMP
from correlator.pipeline import Bundle
from correlator.record import Record
from correlator.timeline.partition import Partition

Config = Annotated[
    Path | None, typer.Option("--config", help="Configuration directory: says where Kafka is.")
]
Records = Annotated[
    Path | None,
    typer.Option("--records", help="A configuration with records/, read up to --at, instead of Kafka."),
]
At = Annotated[
    str, typer.Option("--at", help="2026-11-25T08:00Z, or -30m before what is known. Default: the newest.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print everything as JSON.")]


class Source(msgspec.Struct, frozen=True):
    """*partitions*: all, or that of one entity. *alerts*: records of the alerts of an entity, in order."""

    bundle: Bundle
    partitions: Callable[[str | None], Iterable[Partition]]
    alerts: Callable[[str], list[bytes]]


@contextmanager
def asking(config: Path | None, records: Path | None, at: str) -> Iterator[Source]:
    """Ends the program with 2 where the configuration is wrong, with 3 where Kafka does not answer."""
    if (config is None) == (records is None):
        raise typer.BadParameter("give either --config DIR or --records DIR")
    if records is not None:
        yield _recorded(records, at)
        return
    assert config is not None
    with looking(config) as look:

        def partitions(entity: str | None) -> Iterator[Partition]:
            found = look.partitions() if entity is None else iter([look.entity(entity)])
            return (restored.partition for restored in found)

        yield Source(look.bundle, partitions, look.alerts)


def _recorded(directory: Path, at: str) -> Source:
    """What the live system would have known half a horizon after *at*."""
    with refusing():
        bundle = load_bundle(directory)
        identities = identities_of(directory, bundle.intake.sites)
        with Console(stderr=True).status("reading records"):
            replay = Replay(bundle, _until(list(read_records(directory)), at, bundle), identities)
            replay.worker.run(lambda: False, replay.collect)
            replay.collect()
    live = {partition.number: partition for partition in replay.worker.partitions()}

    def partitions(entity: str | None) -> Iterable[Partition]:
        return live.values() if entity is None else [live[partition_of(entity, len(live))]]

    def alerts(entity: str) -> list[bytes]:
        return [value for value in replay.alerts if read_told(value).unmapped.correlator.entity == entity]

    return Source(bundle, partitions, alerts)


def _until(records: list[Record], at: str, bundle: Bundle) -> list[Record]:
    """So few that the history still reaches back to *at* when they are read."""
    if not at:
        return records
    newest_ms = max((record.timestamp_ms for record in records), default=NO_TIMESTAMP)
    last_ms = instant_ms(at, newest_ms) + bundle.settings.horizon_ms // 2 - HOUR_MS
    return [record for record in records if record.timestamp_ms <= last_ms]
