"""`correlator feeds status`: what each feed is complete to at each site, what waits for it, its sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from correlator.alerts.phrases import duration
from correlator.cli.as_json import as_text
from correlator.cli.looking import looking
from correlator.cli.screen import wide_console
from correlator.event import NEVER, SECOND_MS
from correlator.spelling import utc
from correlator.timeline.partition import Partition
from correlator.timeline.standing import Standing, standings

Directory = Annotated[Path, typer.Argument(help="Configuration directory: says where Kafka is.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print everything as JSON; times in ms, UTC.")]


class SiteStatus(msgspec.Struct):
    """A feed, by its kind, at a site. *complete_ms*: of the partition that is least far; None: to nothing.

    *waiting* verdicts rest on what it has not delivered, the oldest on what was so at *oldest_ms*. A site
    with readers is listed also where no source of it is known.
    """

    feed: str
    site: str
    complete_ms: int | None = None
    waiting: int = 0
    oldest_ms: int | None = None
    live: int = 0
    silent: int = 0
    never_heard: int = 0


class SourceStatus(msgspec.Struct, frozen=True):
    """A source at a site. *heard_ms*: newest sign of life; None for what never was. *is_catching_up*: it is
    live, and sends what it kept.
    """

    feed: str
    source: str
    site: str
    state: str  # live | silent | never_heard
    heard_ms: int | None
    newest_event_ms: int | None
    skew_s: int
    is_quarantined: bool
    is_catching_up: bool


class Status(msgspec.Struct, frozen=True):
    """*now_ms*: everything that arrived before it is in this; None where nothing has arrived."""

    now_ms: int | None
    sites: list[SiteStatus]
    sources: list[SourceStatus]


def status_command(directory: Directory, as_json: AsJson = False) -> None:
    """Say what each feed is complete to at each site, how many decisions wait for it, and of each source when
    it was heard, whether it is silent, and what its clock is off.

    Read from the newest checkpoints and what came since; nothing is changed, and nobody has to stop for it.

    Exit codes: 0 done, 2 the configuration is wrong or nothing is deployed, 3 Kafka cannot be reached.
    """
    with looking(directory) as look:
        _ = look.bundle  # refuses where there is none
        status = status_of(restored.partition for restored in look.partitions())
    if as_json:
        typer.echo(as_text(status))
    else:
        _print(status)


def status_of(partitions: Iterable[Partition]) -> Status:
    """Of all partitions of *keyed*. What each knows of sources is the same; their verdicts differ."""
    sites: dict[tuple[str, str], SiteStatus] = {}
    sources: list[Standing] = []
    nows: list[int] = []
    for partition in partitions:
        nows.append(partition.now_ms)
        known = standings(partition.marks)
        sources = max(sources, known, key=len)
        with_readers = {("access", s.site) for s in partition.marks.settings.sites if s.has_readers}
        for key in {(s.kind, s.site) for s in known} | partition.wakes.count().keys() | with_readers:
            is_first = key not in sites
            site = sites.setdefault(key, SiteStatus(*key))
            complete_ms = _none(partition.marks.complete_ms(*key))
            if is_first:
                site.complete_ms = complete_ms
            elif site.complete_ms is not None:
                site.complete_ms = None if complete_ms is None else min(complete_ms, site.complete_ms)
            site.waiting += partition.wakes.count().get(key, 0)
            oldest_ms = partition.wakes.oldest_ms(key)
            if oldest_ms is not None:
                site.oldest_ms = min(oldest_ms, site.oldest_ms or oldest_ms)
    for source in sources:
        site = sites[source.kind, source.site]
        setattr(site, source.state, getattr(site, source.state) + 1)
    now_ms = _none(min(nows, default=NEVER))
    return Status(now_ms, [sites[key] for key in sorted(sites)], [_source(source) for source in sources])


def _source(source: Standing) -> SourceStatus:
    return SourceStatus(
        source.feed,
        source.source,
        source.site,
        source.state,
        _none(source.alive_ms),
        _none(source.newest_ms),
        source.skew_ms // SECOND_MS,
        source.is_quarantined,
        source.state == "live" and source.is_catching_up,
    )


def _none(time_ms: int) -> int | None:
    return None if time_ms == NEVER else time_ms


# ---------------------------------------------------------------------- output


def _print(status: Status) -> None:
    console = wide_console()
    if status.now_ms is None:
        console.print("nothing has arrived yet")
    else:
        console.print(f"everything is folded that arrived before {_when(status.now_ms)} UTC", highlight=False)
    console.print(_sites(status.sites, status.now_ms), _sources(status.sources, status.now_ms))


def _sites(sites: Sequence[SiteStatus], now_ms: int | None) -> Table:
    table = Table(title="feeds at sites; times in UTC", title_justify="left")
    for head in ("feed", "site", "complete to", "behind"):
        table.add_column(head)
    for head in ("decisions waiting", "oldest", "live", "silent", "never heard"):
        table.add_column(head, justify="right")
    for site in sites:
        counts = (str(site.live), str(site.silent), str(site.never_heard))
        behind = _ago(site.complete_ms, now_ms)
        waiting = Text(str(site.waiting), style="yellow" if site.waiting else "")
        table.add_row(
            site.feed,
            site.site or "-",
            _when(site.complete_ms),
            behind,
            waiting,
            _when(site.oldest_ms),
            *counts,
        )
    return table


def _sources(sources: Sequence[SourceStatus], now_ms: int | None) -> Table:
    table = Table(title="sources; times in UTC", title_justify="left")
    for head in ("feed", "site", "source", "state", "heard last", "silent for", "newest event", "clock"):
        table.add_column(head)
    for source in sources:
        table.add_row(
            source.feed,
            source.site or "-",
            source.source,
            _state(source),
            _when(source.heard_ms),
            _ago(source.heard_ms, now_ms) if source.state == "silent" else "",
            _when(source.newest_event_ms),
            _clock(source),
        )
    return table


def _state(source: SourceStatus) -> Text:
    if source.is_catching_up:
        return Text("catching up", style="yellow")
    return Text(source.state.replace("_", " "), style="" if source.state == "live" else "yellow")


def _clock(source: SourceStatus) -> Text:
    if not source.skew_s:
        return Text("")
    way = "ahead" if source.skew_s > 0 else "behind"
    said = f"{abs(source.skew_s)} s {way}"
    return Text(f"{said}, quarantined", style="yellow") if source.is_quarantined else Text(said)


def _when(time_ms: int | None) -> str:
    return "-" if time_ms is None else f"{utc(time_ms):%Y-%m-%d %H:%M:%S}"


def _ago(time_ms: int | None, now_ms: int | None) -> str:
    return "-" if time_ms is None or now_ms is None else duration(max(0, now_ms - time_ms))
