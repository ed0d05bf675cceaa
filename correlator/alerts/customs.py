"""What a person usually does, as a rule quotes it, in words: with the days that it rests on.

Pure and total: what a rule does not quote is not spoken of.
"""

from __future__ import annotations

from correlator.alerts.phrases import number, several
from correlator.alerts.story import Story
from correlator.timeline.habits import WARM_DAYS

SAID = ("habit.", "first_seen.", "days_since.")  # beginnings of the fields that are spoken of here

_SHARES = (
    ("habit.badges_on_workdays", "a badge is read on {} of working days"),
    ("habit.unbadged", "{} of days at a desk are without a read that let the person in"),
    ("habit.missed_reads", "{} of days at the site have reads inside only"),
    ("habit.vpn_on_site", "a VPN is used on site on {} of days"),
    ("habit.hour", "{} of days have such activity at about this hour"),
    ("habit.weekday", "{} of weeks are worked on this weekday"),
)
_THINGS = (
    ("site", "at this site"),
    ("zone", "in this zone"),
    ("door", "at this door"),
    ("device", "on this device"),
    ("network", "from this network"),
    ("country", "in this country"),
)


def customs(told: Story) -> str:
    """`Of 42 active days: a badge is read on 96 % of working days, never before at this door.`"""
    if not any(name.startswith(SAID) for name in told.values):
        return ""
    days = told.number("habit.active_days")
    if days is not None and days < WARM_DAYS:
        return (
            f"What the person usually does is not known yet: {days:.0f} of {WARM_DAYS} active days were seen."
        )
    parts = [said.format(_share(share)) for name, said in _SHARES if (share := told.number(name)) is not None]
    parts += [part for name, where in _THINGS if (part := _thing(told, name, where))]
    parts += [
        f"the last {what} was {_days(since)} before"
        for name, what in (("badge", "read"), ("login", "login"))
        if (since := told.number(f"days_since.{name}")) is not None
    ]
    if not parts:
        return ""
    resting = "What is usual" if days is None else f"Of {number(days)} active days"
    return f"{resting}: {several(parts, 12)}."


def _thing(told: Story, name: str, where: str) -> str:
    if told.values.get(f"first_seen.{name}") is True:
        return f"never before {where}"
    seen, since = told.number(f"habit.{name}_days"), told.number(f"days_since.{name}")
    of = told.number("habit.counted_days")
    parts = [
        "" if seen is None else f"{number(seen)}{'' if of is None else f' of {number(of)}'} days {where}",
        "" if since is None else f"last {where} {_days(since)} before",
    ]
    return ", ".join(part for part in parts if part)


def _share(share: float) -> str:
    return f"{share * 100:.0f} %"


def _days(days: float) -> str:
    return "a day" if days == 1 else f"{number(days)} days"
