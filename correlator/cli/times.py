"""Times and durations as they are written on a command line."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import typer

from correlator.event import DAY_MS
from correlator.spelling import EPOCH, UNITS_MS

LONGEST_MS = 1_000_000 * DAY_MS


def duration_ms(text: str) -> int:
    """`60s`, `5m`, `1h`, `14d`, `2w`, `60` (seconds). Raises typer.BadParameter."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw]?)", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no duration; write 60s, 5m, 1h, 14d or 2w")
    span_ms = float(found[1]) * UNITS_MS[found[2] or "s"]
    if span_ms > LONGEST_MS:
        raise typer.BadParameter(f"{text[:40]!r} is longer than there was time")
    return round(span_ms)


def instant_ms(text: str, now_ms: int) -> int:
    """`2026-11-25T08:00Z`, or `-30d`: that long before *now_ms*. Raises typer.BadParameter."""
    if text.startswith("-"):
        return now_ms - duration_ms(text[1:])
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time; write 2026-11-25T08:00Z or -30d") from error
    if at.tzinfo is None:
        raise typer.BadParameter(f"{text!r} does not say in which zone: 2026-11-25T08:00Z, or +01:00")
    return (at - EPOCH) // timedelta(milliseconds=1)
