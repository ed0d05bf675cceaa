"""What `run` shows: the newest alerts and how the process is doing. In place on a terminal, else lines."""

from __future__ import annotations

import math
from collections import deque
from types import TracebackType
from typing import Self

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from correlator.alerts.phrases import duration, local
from correlator.alerts.told import Told, read_told
from correlator.cli.screen import Screen

ROWS = 15
STATUS_EVERY_S = 10.0  # where there is no terminal

STYLES = {"Critical": "bold red", "High": "red", "Medium": "yellow", "Low": "cyan", "Informational": "dim"}


class FeedState(msgspec.Struct, frozen=True):
    """Event times in ms, UTC; None before the first event. *complete_ms*: of the site furthest behind."""

    name: str
    newest_ms: int | None = None
    complete_ms: int | None = None
    waiting: int = 0  # verdicts that wait for it


class Snapshot(msgspec.Struct, frozen=True):
    """How the process is doing. *now_ms* is log time: what arrived before it has been folded."""

    elapsed_s: float
    events: int = 0
    events_per_s: float = 0.0
    lag: int = 0
    now_ms: int | None = None
    feeds: tuple[FeedState, ...] = ()
    alerts_open: int = 0
    alerts_closed: int = 0
    dead_letters: int = 0
    url: str = ""  # of the HTTP server, without a path
    waiting: tuple[str, ...] = ()  # why it is not ready


class View:
    """Shows alerts and snapshots until it is left: in place on a terminal, else a line each as they come."""

    def __init__(self, console: Console | None = None, *, rows: int = ROWS) -> None:
        self._console = console or Screen()
        self._newest: deque[Told] = deque(maxlen=rows)
        self._snapshot = Snapshot(0.0)
        self._status_s = -math.inf
        self._live = (
            Live(console=self._console, auto_refresh=False, transient=False)
            if self._console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves the last picture; elsewhere prints the last status."""
        if self._live:
            self._live.update(self._picture(), refresh=True)
            self._live.stop()
        elif self._snapshot.elapsed_s > max(self._status_s, 0.0):
            self._print(status_line(self._snapshot))

    def alert(self, value: bytes | str) -> None:
        """A change as published on the alert topic. Raises msgspec.DecodeError for anything else."""
        told = read_told(value)
        if self._live:
            self._newest.appendleft(told)
        else:
            self._print(alert_line(told))

    def update(self, snapshot: Snapshot) -> None:
        """Show *snapshot*; where there is no terminal, every ten seconds."""
        self._snapshot = snapshot
        if self._live:
            self._live.update(self._picture(), refresh=True)
        elif snapshot.elapsed_s - self._status_s >= STATUS_EVERY_S:
            self._status_s = snapshot.elapsed_s
            self._print(status_line(snapshot))

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _picture(self) -> Group:
        snapshot = self._snapshot
        state = Group(_counts(snapshot), _feeds(snapshot))
        footer = Text(f"metrics {snapshot.url}/metrics   " if snapshot.url else "", style="dim")
        footer.append("Ctrl-C ends", style="dim")
        return Group(Panel(state, title="correlator", title_align="left"), _alerts(self._newest), footer)


def alert_line(told: Told) -> str:
    """Time, severity, person, place, reason and what became of it."""
    person, where = told.person or "-", told.place or "-"
    return f"{told.when}  {told.severity:<8}  {person:<10}  {where:<14}  {told.message}  [{told.state}]"


def status_line(snapshot: Snapshot) -> str:
    """The counts in one line."""
    said = [
        f"-- {duration(snapshot.elapsed_s * 1000)}",
        f"{snapshot.events:,} events ({snapshot.events_per_s:,.0f}/s)",
        f"lag {snapshot.lag:,}",
        f"{snapshot.alerts_open:,} open and {snapshot.alerts_closed:,} closed alerts",
        f"{snapshot.dead_letters:,} dead letters",
        *(_feed_words(feed) for feed in snapshot.feeds),
        *(f"waiting: {reason}" for reason in snapshot.waiting),
    ]
    if snapshot.url:
        said.append(f"{snapshot.url}/metrics")
    return ", ".join(said)


def _feed_words(feed: FeedState) -> str:
    newest = "nothing yet" if feed.newest_ms is None else f"to {local(feed.newest_ms, 0)}"
    return f"{feed.name} {newest}"


def _counts(snapshot: Snapshot) -> Table:
    grid = Table.grid(padding=(0, 3))
    grid.add_row(
        f"[bold]{snapshot.events:,}[/] events",
        f"[bold]{snapshot.events_per_s:,.0f}[/] a second",
        f"lag [bold]{snapshot.lag:,}[/]",
        f"[bold]{snapshot.alerts_open:,}[/] open, {snapshot.alerts_closed:,} closed alerts",
        f"{snapshot.dead_letters:,} dead letters",
        duration(snapshot.elapsed_s * 1000),
    )
    return grid


def _feeds(snapshot: Snapshot) -> Table:
    """One line per feed, and one per reason to wait."""
    grid = Table.grid(padding=(0, 3))
    for feed in snapshot.feeds:
        newest = "nothing yet" if feed.newest_ms is None else f"newest {local(feed.newest_ms, 0)}"
        complete = "" if feed.complete_ms is None else f"complete to {local(feed.complete_ms, 0)}"
        waiting = f"{feed.waiting:,} verdicts wait" if feed.waiting else ""
        grid.add_row(Text(feed.name), newest, complete, waiting)
    for reason in snapshot.waiting:
        grid.add_row(Text("waiting", style="yellow"), Text(reason, style="yellow"))
    return grid


def _alerts(newest: deque[Told]) -> Table:
    table = Table(expand=True, box=None, pad_edge=False, header_style="bold")
    table.add_column("time", no_wrap=True)
    table.add_column("severity", no_wrap=True)
    table.add_column("person", no_wrap=True)
    table.add_column("place", no_wrap=True)
    table.add_column("reason", ratio=1)
    for told in newest:
        plain = "dim" if told.is_closed else ""
        loud = plain or STYLES.get(told.severity, "")
        words = (told.when, told.severity, told.person or "-", told.place or "-", told.message)
        table.add_row(*(Text(word, style=loud if i == 1 else plain) for i, word in enumerate(words)))
    return table
