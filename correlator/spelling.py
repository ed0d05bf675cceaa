"""How times, durations, numbers, values and names are spelt: in files that people write, and in answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from math import isfinite

from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_MS, LAST_MS = -719_000 * DAY_MS, 2_932_000 * DAY_MS
UNITS_MS = {"ms": 1, "s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}
_DURATION = re.compile(rf"([+-]?)([0-9]{{1,9}})({'|'.join(UNITS_MS)})")
LONGEST_MS = 36_500 * DAY_MS  # what is longer is a slip, and no date can be told of it
VALUES_SHOWN = 5  # of a list, in texts for people
BEGUN_MIN = 3  # characters of a name that is not finished
TEXT_SHOWN = 60  # characters of a value


def utc(time_ms: int) -> datetime:
    """*time_ms* as a datetime, exact, of the years 1 to 9997 (an open interval has no end to print)."""
    return EPOCH + timedelta(milliseconds=min(max(time_ms, FIRST_MS), LAST_MS))


def duration_of(found: object, *, is_signed: bool = True) -> int | None:
    """Milliseconds of *found*, such as 30s, 5m or, if it may be signed, -1h; None where it is no duration."""
    parsed = _DURATION.fullmatch(found) if isinstance(found, str) else None
    if parsed is None or (parsed[1] and not is_signed):
        return None
    sign, number, unit = parsed.groups()
    return int(number) * UNITS_MS[unit] * (-1 if sign == "-" else 1)


def spell_number(number: float) -> str:
    """*number* for people: 1,000,000,000, not 1e+09."""
    if isfinite(number) and number == int(number):
        return f"{int(number):,}"
    return f"{number:,.6g}" if abs(number) < 1e6 or not isfinite(number) else f"{number:,.1f}"


def spell(duration_ms: int) -> str:
    """*duration_ms* as it is written in rules: 90s, 5m, 2d."""
    for unit in ("w", "d", "h", "m", "s"):
        if duration_ms and duration_ms % UNITS_MS[unit] == 0:
            return f"{duration_ms // UNITS_MS[unit]}{unit}"
    return f"{duration_ms}ms"


def spell_item(key: str, values: Sequence[object]) -> str:
    """`key: values` as it may stand in a rule, of many values the first; keywords have no key."""
    shown = [spell_value(value) for value in values[:VALUES_SHOWN]]
    if len(values) > VALUES_SHOWN:
        shown.append(f"… {len(values) - VALUES_SHOWN} more")
    text = shown[0] if len(values) == 1 else f"[{', '.join(shown)}]"
    return f"{key}: {text}" if key else f"keywords: {text}"


def spell_value(value: object) -> str:
    """*value* as it may stand in a rule."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = str(value)
    shown = text if len(text) <= TEXT_SHOWN else text[: TEXT_SHOWN - 1] + "…"
    is_plain = shown.strip() == shown != "" and (shown[0].isalnum() or shown[0] in "*./\\-_")
    return shown if is_plain or not isinstance(value, str) else f"'{shown}'"


def nearest(name: str, names: Sequence[str] | Mapping[str, object]) -> str:
    """`: did you mean X?`, or nothing."""
    meant = closest(name, names)
    return f": did you mean {meant}?" if meant else ""


def closest(name: str, names: Sequence[str] | Mapping[str, object]) -> str:
    """The one of *names* that *name* is a slip of, or that it begins, or nothing."""
    begun = [each for each in names if each.startswith(name)] if len(name) >= BEGUN_MIN else []
    if len(begun) == 1:
        return begun[0]
    return next(iter(get_close_matches(name, list(names), n=1, cutoff=0.6)), "")
