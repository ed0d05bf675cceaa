"""The console that reports are printed on."""

from __future__ import annotations

import os

from rich.console import Console

WIDE = 120  # columns where nobody looks: a file, a pipe


def wide_console() -> Console:
    """The terminal, or something wide enough for a table where there is none. COLUMNS says otherwise."""
    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=WIDE)
