"""The console that reports are printed on, the bars that say how far something is, and counts in words."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import Progress, ProgressColumn
from rich.segment import Segment

WIDE = 160  # columns where nobody looks: a file, a pipe

# Controls but tabs and ends of lines, halves of characters, other ends of lines, directions of writing.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def number_of(count: int, what: str) -> str:
    """`1 rule`, `2,000 rules`: *what* takes an s."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


class Screen(Console):
    """A console that no text can steer: names that records, rules and people bring may hold anything, also
    what clears a terminal, or writes over what was told before. It is shown as U+001B, ….
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or not _STEERING.search(segment.text):
                yield segment
            else:
                yield Segment(_STEERING.sub(_told, segment.text), segment.style)


def _told(found: re.Match[str]) -> str:
    return f"U+{ord(found.group()):04X}"


def wide_console() -> Console:
    """The terminal, or something wide enough for a table where there is none. COLUMNS says otherwise.

    No markup: names that records, rules and people bring are shown as they are.
    """
    console = Screen(markup=False)
    return console if console.is_terminal or "COLUMNS" in os.environ else Screen(width=WIDE, markup=False)


def progress(*columns: ProgressColumn, is_quiet: bool = False, is_transient: bool = False) -> Progress:
    """Bars on stderr, where that is a terminal and nobody asked for quiet."""
    console = Console(stderr=True)
    is_disabled = is_quiet or not console.is_terminal
    return Progress(*columns, console=console, transient=is_transient, disable=is_disabled)
