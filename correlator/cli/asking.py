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
from correlator.alerts.phrases import iso
from correlator.alerts.told import read_told
from correlator.cli.failing import refusing
from correlator.cli.looking import looking
from correlator.cli.replay import Replay
from correlator.cli.times import instant_ms
from correlator.event import HOUR_MS, NEVER, partition_of
from correlator.intake.arrival import NO_TIMESTAMP
from correlator.pipeline import Bundle
from correlator.timeline.answers import kept_from_ms
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


class Source(msgspec.Struct, frozen=True):
    """*partitions*: all, or that of one entity. *alerts*: records of the alerts of an entity, in order.
    *newest_ms*: of records the newest; partitions have gone on from there until all was settled.
    """

    bundle: Bundle
    partitions: Callable[[str | None], Iterable[Partition]]
    alerts: Callable[[str], list[bytes]]
    newest_ms: int | None = None

    def asked_ms(self, at: str, partitions: Iterable[Partition]) -> int:
        """The time that *at* stands for, "": the newest. Ends the program where it is not known any more, or
        not yet.
        """
        held = list(partitions)
        known_ms = min(partition.now_ms for partition in held)
        if known_ms == NEVER:
            raise typer.BadParameter("nothing has arrived yet, so nobody is known to be anywhere")
        newest_ms = known_ms if self.newest_ms is None else min(known_ms, self.newest_ms)
        at_ms = instant_ms(at, newest_ms) if at else newest_ms
        kept_ms = max(map(kept_from_ms, held))
        return _within(at, at_ms, kept_ms, newest_ms)


@contextmanager
def asking(
    config: Path | None, records: Path | None, at: str, *, is_of_before: bool = False
) -> Iterator[Source]:
    """Ends the program with 2 where the configuration is wrong, with 3 where Kafka does not answer.

    *is_of_before*: of records, what happened before *at* is asked for: about half a horizon of it, and what
    became known within an hour after it. Else who was where then, by what came within half a horizon.
    """
    if (config is None) == (records is None):
        raise typer.BadParameter("give either --config DIR or --records DIR")
    if records is not None:
        yield _recorded(records, at, is_of_before=is_of_before)
        return
    assert config is not None
    with looking(config) as look:

        def partitions(entity: str | None) -> Iterator[Partition]:
            found = look.partitions() if entity is None else iter([look.entity(entity)])
            return (restored.partition for restored in found)

        yield Source(look.bundle, partitions, look.alerts)


def _recorded(directory: Path, at: str, *, is_of_before: bool) -> Source:
    """What the live system would have known an hour after *at*, or half a horizon."""
    with refusing():
        bundle = load_bundle(directory)
        identities = identities_of(directory, bundle.intake.sites)
        with Console(stderr=True).status("reading records"):
            every = list(read_records(directory))
            times = [record.timestamp_ms for record in every] or [NO_TIMESTAMP]
            newest_ms = last_ms = max(times)
            if at:
                at_ms = _within(at, instant_ms(at, newest_ms), min(times), newest_ms)
                after_ms = HOUR_MS if is_of_before else bundle.settings.horizon_ms // 2 - HOUR_MS
                last_ms = at_ms + after_ms
            replay = Replay(bundle, [r for r in every if r.timestamp_ms <= last_ms], identities)
            replay.worker.run(lambda: False, replay.collect)
            replay.collect()
    live = {partition.number: partition for partition in replay.worker.partitions()}

    def partitions(entity: str | None) -> Iterable[Partition]:
        return live.values() if entity is None else [live[partition_of(entity, len(live))]]

    def alerts(entity: str) -> list[bytes]:
        return [value for value in replay.alerts if read_told(value).unmapped.correlator.entity == entity]

    return Source(bundle, partitions, alerts, newest_ms)


def _within(at: str, at_ms: int, first_ms: int, last_ms: int) -> int:
    if not first_ms <= at_ms <= last_ms:
        span = f"{iso(first_ms)} to {iso(last_ms)}"
        raise typer.BadParameter(f"--at {at} is {iso(at_ms)}: what is known is of {span}")
    return at_ms
