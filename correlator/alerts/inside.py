"""Who is inside a zone, in words. Pure and total: what a rule does not quote is not spoken of."""

from __future__ import annotations

from correlator.alerts.phrases import duration, number
from correlator.alerts.story import Story
from correlator.timeline.occupancy import NOBODYS


def inside(told: Story) -> str:
    """`By the zone's readers nobody was inside, nor had been for 1 h 2 min.`"""
    count, others = told.number("zone.occupants"), told.number("zone.others")
    empty_ms, only = told.span_ms("zone.empty_s"), told.word("zone.occupant")
    parts = []
    if count is not None:
        who = f": {_name(only)}" if only else ""
        nor = "" if empty_ms is None else f", nor had been for {duration(empty_ms)}"
        parts.append(f"nobody was inside{nor}" if count == 0 else f"{_persons(count)} inside{who}")
    if others is not None:
        parts.append("nobody else was inside" if others == 0 else f"{_persons(others)} inside besides")
    if told.values.get("zone.is_inside") is not None:
        parts.append(f"the person was {'' if told.values['zone.is_inside'] else 'not '}inside")
    return f"By the zone's readers {'; '.join(parts)}." if parts else ""


def _name(occupant: str) -> str:
    badge = occupant.removeprefix(NOBODYS)
    return occupant if badge == occupant else f"badge {badge}, of nobody known"


def _persons(count: float) -> str:
    return "1 person was" if count == 1 else f"{number(count)} persons were"
