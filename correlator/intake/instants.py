"""Times as sources write them to milliseconds since the epoch, UTC.

A local time that daylight saving skips is that of a clock that had not gone forward yet. One that it repeats
is `Twice`, which `turns` settles, unless the feed says which of the two it is. A time of which only the site
knows the zone is on the `Wall`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Literal, Self, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from correlator.spelling import EPOCH

_MILLISECOND = timedelta(milliseconds=1)

Unit = Literal["s", "ms", "us", "ns"]
UNITS: tuple[Unit, ...] = get_args(Unit)
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}

Repeated = Literal["order", "first", "second", "reject"]
REPEATED: tuple[Repeated, ...] = get_args(Repeated)
SITE: Literal["site"] = "site"  # in place of a zone: that of the site where it happened
Zone = ZoneInfo | Literal["site"]


class Unfit(Exception):
    """A value cannot be what the feed says it is. *reason* is bounded, the text is for a person."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Wall(int):
    """What a clock on the wall showed, in ms as if it were UTC; `turns` makes an instant of it."""


class Twice(int):
    """An instant, ms, that a clock going back showed once more at *second_ms*."""

    second_ms: int

    def __new__(cls, first_ms: int, second_ms: int) -> Self:
        made = super().__new__(cls, first_ms)
        made.second_ms = second_ms
        return made


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
        if not isfinite(value * 1000):
            raise Unfit("bad_time", f"{value} is not a time")
        return int(value * 1000 // _PER_SECOND[unit])
    return value * 1000 // _PER_SECOND[unit]


def _number(text: str) -> int | float:
    try:
        return int(text) if len(text) < 30 and text.isdigit() else float(text)
    except ValueError:
        raise Unfit("bad_time", f"{text[:40]!r} is not a number") from None


def of_iso(value: object, zone: Zone | None, repeated: Repeated = "order") -> int:
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
        return of_local(found, zone, repeated)
    return _since_epoch(found)


def of_format(value: object, form: str, zone: Zone, repeated: Repeated = "order") -> int:
    """Local time in *zone*, written as the strptime format *form*."""
    if not isinstance(value, str):
        raise Unfit("wrong_type", f"a time is a {type(value).__name__}, expected text like {form}")
    try:
        found = datetime.strptime(value.strip(), form)  # noqa: DTZ007 - it has none
    except ValueError:
        raise Unfit("bad_time", f"{value[:40]!r} is not a time like {form}") from None
    return of_local(found, zone, repeated)


def of_wall(wall: Wall, zone: ZoneInfo, repeated: Repeated = "order") -> int:
    """The instant at which clocks in *zone* showed *wall*."""
    return of_local((EPOCH + wall * _MILLISECOND).replace(tzinfo=None), zone, repeated)


def of_local(local: datetime, zone: Zone, repeated: Repeated) -> int:
    """The instant at which clocks in *zone* showed *local*, which has no zone of its own."""
    if zone == SITE:
        return Wall(_since_epoch(local.replace(tzinfo=UTC)))
    assert isinstance(zone, ZoneInfo)
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    before, after = first.utcoffset(), second.utcoffset()
    assert before is not None
    assert after is not None
    if before <= after or repeated == "first":
        return _since_epoch(first)
    if repeated == "reject":
        raise Unfit(
            "time_repeated", f"{local:%Y-%m-%d %H:%M:%S} happened twice in {zone.key}: clocks went back"
        )
    if repeated == "second":
        return _since_epoch(second)
    return Twice(_since_epoch(first), _since_epoch(second))


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
