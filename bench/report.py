"""What a benchmark says: tables for people, the same as JSON for machines."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table

Cell = str | int | float


class Report(msgspec.Struct):
    """*notes*: what the figures refer to and how they were taken."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()


def show(report: Report) -> None:
    console = Console(highlight=False)
    table = Table(title=report.title, title_justify="left")
    for place, column in enumerate(report.columns):
        table.add_column(column, justify="right" if place else "left")
    for row in report.rows:
        table.add_row(*[_text(cell) for cell in row])
    console.print(table)
    for note in report.notes:
        console.print(note, soft_wrap=True)
    console.print()


def _text(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1_000 else f"{cell:,.3g}"
    return f"{cell:,}" if isinstance(cell, int) else cell
