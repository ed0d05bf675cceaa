"""The console that reports are printed on, the bars that say how far something is, and counts in words."""

from __future__ import annotations

import os

from rich.console import Console
from rich.progress import Progress, ProgressColumn

WIDE = 160  # columns where nobody looks: a file, a pipe


def number_of(count: int, what: str) -> str:
    """`1 rule`, `2,000 rules`: *what* takes an s."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def wide_console() -> Console:
    """The terminal, or something wide enough for a table where there is none. COLUMNS says otherwise.

    No markup: names that records, rules and people bring are shown as they are.
    """
    console = Console(markup=False)
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=WIDE, markup=False)


def progress(*columns: ProgressColumn, is_quiet: bool = False, is_transient: bool = False) -> Progress:
    """Bars on stderr, where that is a terminal and nobody asked for quiet."""
    console = Console(stderr=True)
    is_disabled = is_quiet or not console.is_terminal
    return Progress(*columns, console=console, transient=is_transient, disable=is_disabled)
