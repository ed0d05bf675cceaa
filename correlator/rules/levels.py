"""The severity of a match: the rule's level, or that of the field that it goes by."""

from __future__ import annotations

from correlator.rules.rule import Rule, SeverityBy
from correlator.timeline.fields import value
from correlator.timeline.live import Scalar
from correlator.timeline.observation import Observation
from correlator.timeline.raw import as_text


def severity_of(rule: Rule, observation: Observation) -> str:
    """The rule's level, or that of the field that it goes by."""
    if rule.severity_by is None:
        return rule.severity
    found = value(observation, rule.severity_by.field)
    return _level(rule.severity_by, found) or rule.severity


def _level(by: SeverityBy, found: Scalar) -> str:
    if found is not None and isinstance(by.levels[0][0], str):  # a source's own record may say it as a number
        return next((level for text, level in by.levels if text == as_text(found).lower()), "")
    if isinstance(found, bool):
        return next((level for each, level in by.levels if each is found), "")
    level = ""
    if isinstance(found, int | float):
        for number, name in by.levels:
            if isinstance(number, int | float) and number <= found:
                level = name
    return level
