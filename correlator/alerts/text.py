"""What an alert quotes of its rule: words for people, settled once when the rules are loaded."""

from __future__ import annotations

import msgspec

from correlator.alerts.phrases import duration
from correlator.rules.rule import Correlation, Rule, Severity

_OPERATORS = {
    "gte": "at least",
    "gt": "more than",
    "lte": "at most",
    "lt": "fewer than",
    "eq": "exactly",
    "neq": "not",
}


class RuleText(msgspec.Struct, frozen=True):
    """*hash* is the rule's fingerprint; *asks* says what a correlation asks for, "" for a single event."""

    id: str
    name: str
    title: str
    description: str = ""
    level: Severity = "medium"
    tags: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    falsepositives: tuple[str, ...] = ()
    hash: str = ""
    asks: str = ""


def rule_text(rule: Rule) -> RuleText:
    """What alerts of *rule* quote. Costs a fingerprint: call it once per rule and bundle."""
    return RuleText(
        rule.id,
        rule.name,
        _sentence(rule.title),
        _sentence(rule.description),
        rule.severity,
        rule.tags,
        rule.controls,
        tuple(_sentence(text) for text in rule.falsepositives),
        rule.fingerprint,
        _asks(rule.correlation) if rule.correlation else "",
    )


def _asks(correlation: Correlation) -> str:
    """`at least 3 different place.door within 15 min`."""
    limits = " and ".join(f"{_OPERATORS[op]} {number:g}" for op, number in correlation.thresholds)
    named = ", ".join(dict.fromkeys(v for b in correlation.bases for v in b.values))
    asked = {
        "event_count": f"{limits} events",
        "value_count": f"{limits} different {named}",
        "value_sum": f"a sum of {named} of {limits}",
        "value_avg": f"an average {named} of {limits}",
        "temporal": f"{limits} of {len(correlation.bases)} kinds of events",
        "temporal_ordered": "certain events in this order",
    }[correlation.type]
    if correlation.denied:
        asked = "certain events, and others not to happen,"
    elif correlation.clauses and correlation.type == "temporal":
        asked = "certain events together"
    return f"{asked} within {duration(correlation.timespan_ms)}"


def _sentence(text: str) -> str:
    """*text* on one line, without the full stop that a sentence around it would double."""
    return " ".join(text.split()).rstrip(".")
