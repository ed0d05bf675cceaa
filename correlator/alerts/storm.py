"""Words for storms (timeline/storms.py): alerts of one rule that are not told one by one. Pure."""

from __future__ import annotations

from correlator.alerts.phrases import number
from correlator.alerts.story import Story
from correlator.timeline.storms import STORM

COMMON_OF_MIN = 3  # alerts, before it is said what they have in common


def is_storm(told: Story) -> bool:
    return told.alert.entity.startswith(f"{STORM}:")


def storm_headline(told: Story) -> str:
    """`storm: 37 alerts of "Door forced" at once, 95 % of door lis-main-1`."""
    common = _common(told)
    said = f", {_share(told)} of {common}" if common else ""
    return f'storm: {_alerts(told)} of "{told.rule.title}" at once{said}'


def storm_opening(told: Story) -> str:
    """What is behind it, what they have in common, who the newest are."""
    budget, common, newest = told.number("storm.budget"), _common(told), told.word("storm.newest")
    said = (
        f"A storm: within an hour this rule spoke of more than {number(budget or 0)} different identities "
        f"or doors. Beyond these {_alerts(told)} {'is' if told.alert.count == 1 else 'are'} not told "
        "one by one, but counted here."
    )
    if common:
        said += f" {_share(told)} of them have {common} in common: look there first."
    return f"{said} The newest are of {newest}." if newest else said


def _alerts(told: Story) -> str:
    return f"{told.alert.count} alert{'' if told.alert.count == 1 else 's'}"


def _common(told: Story) -> str:
    """ "" of so few that half of them is one."""
    return told.word("storm.common") if told.alert.count >= COMMON_OF_MIN else ""


def _share(told: Story) -> str:
    return f"{round(100 * (told.number('storm.share') or 0))} %"
