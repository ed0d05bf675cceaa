"""Times as sources write them to milliseconds since the epoch, UTC.

A local time that daylight saving skips did not happen: it is refused. One that it repeats is taken as the
first of the two, unless the feed says otherwise: an event that seems an hour too early is only late, which a
timeline can handle; one an hour ahead is not.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

Unit = Literal["s", "ms", "us", "ns"]
UNITS: tuple[Unit, ...] = get_args(Unit)
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}

Repeated = Literal["first", "second", "reject"]
REPEATED: tuple[Repeated, ...] = get_args(Repeated)


class Unfit(Exception):
    """A value cannot be what the feed says it is. *reason* is bounded, the text is for a person."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def parse_zone(name: str) -> ZoneInfo | None:
    """The time zone *name* of the IANA data base, None if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def of_epoch(value: object, unit: Unit) -> int:
    """A number of *unit* since the epoch, rounded down to ms. Digits in a text count as a number."""
    if isinstance(value, str):
        value = _number(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit("wrong_type", f"a time is a {type(value).__name__}, expected a number of {unit}")
    if isinstance(value, float):
        if not isfinite(value):
            raise Unfit("bad_time", f"{value} is not a time")
        return int(value * 1000 // _PER_SECOND[unit])
    return value * 1000 // _PER_SECOND[unit]


def _number(text: str) -> int | float:
    try:
        return int(text) if len(text) < 30 and text.isdigit() else float(text)
    except ValueError:
        raise Unfit("bad_time", f"{text[:40]!r} is not a number") from None


def of_iso(value: object, zone: ZoneInfo | None, repeated: Repeated = "first") -> int:
    """ISO 8601 with offset, or without it in *zone*. Without both it is refused: nobody knows when it was."""
    if not isinstance(value, str):
        raise Unfit(
            "wrong_type", f"a time is a {type(value).__name__}, expected text like 2026-01-09T08:31:02Z"
        )
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError:
        raise Unfit("bad_time", f"{value[:40]!r} is not a time like 2026-01-09T08:31:02Z") from None
    if found.tzinfo is None:
        if zone is None:
            raise Unfit("time_without_zone", f"{value[:40]!r} has no offset, and the feed names no zone")
        return of_local(found.replace(tzinfo=zone), zone, repeated)
    return _since_epoch(found)


def of_format(value: object, form: str, zone: ZoneInfo, repeated: Repeated = "first") -> int:
    """Local time in *zone*, written as the strptime format *form*."""
    if not isinstance(value, str):
        raise Unfit("wrong_type", f"a time is a {type(value).__name__}, expected text like {form}")
    try:
        found = datetime.strptime(value.strip(), form).replace(tzinfo=zone)
    except ValueError:
        raise Unfit("bad_time", f"{value[:40]!r} is not a time like {form}") from None
    return of_local(found, zone, repeated)


def of_local(local: datetime, zone: ZoneInfo, repeated: Repeated) -> int:
    """The instant at which clocks in *zone* showed *local*."""
    first, second = local.replace(fold=0), local.replace(fold=1)
    before, after = first.utcoffset(), second.utcoffset()
    assert before is not None
    assert after is not None
    if before == after:
        return _since_epoch(first)
    if before < after:
        raise Unfit(
            "time_skipped", f"{local:%Y-%m-%d %H:%M:%S} does not exist in {zone.key}: clocks went forward"
        )
    if repeated == "reject":
        raise Unfit(
            "time_repeated", f"{local:%Y-%m-%d %H:%M:%S} happened twice in {zone.key}: clocks went back"
        )
    return _since_epoch(first if repeated == "first" else second)


def _since_epoch(found: datetime) -> int:
    try:
        return (found - EPOCH) // _MILLISECOND
    except OverflowError:
        raise Unfit("bad_time", f"{found.isoformat()} is out of range") from None


def reads_back(form: str) -> str:
    """Why the strptime format *form* cannot say when something happened; "" if it can."""
    if "%z" in form.lower():
        return "the format reads an offset or a zone: use iso, or leave it out"
    probe = datetime(2026, 1, 9, 20, 31, 0, tzinfo=UTC)
    try:
        found = datetime.strptime(probe.strftime(form), form).replace(tzinfo=UTC)
    except ValueError as error:
        return f"not a time format: {error}"
    if found.date() != probe.date():
        return "the format does not say year, month and day"
    if (found.hour, found.minute) != (probe.hour, probe.minute):
        return "the format does not say hour and minute of 24 hours (a 12-hour clock needs %p)"
    return ""
