"""What an alert quotes of its rule: words for people, settled once when the rules are loaded."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from correlator.alerts.phrases import duration
from correlator.rules.asks import asks
from correlator.rules.rule import Rule, Severity

ALL = "*"


class RuleText(msgspec.Struct, frozen=True):
    """*hash* is the rule's fingerprint; *asks* says what a correlation asks for, "" for a single event.

    *retaken*: the feed whose fields are taken with the verdict, not with the event; `ALL` for those of every
    feed, "" for none. *names*: fields that the rule quotes or reads.
    """

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
    retaken: str = ""
    names: frozenset[str] = frozenset()


def rule_text(rule: Rule, titles: Mapping[str, str] | None = None) -> RuleText:
    """What alerts of *rule* quote. *titles*: of the rules that it may count, by id. Costs a fingerprint: call
    it once per rule and bundle.
    """
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
        f"{asks(c, titles)} within {duration(c.timespan_ms)}" if (c := rule.correlation) else "",
        _retaken(rule),
        frozenset((*rule.evidence, *rule.reads())),
    )


def _retaken(rule: Rule) -> str:
    if rule.settle is None:
        return ""
    return rule.settle.feed if rule.correlation is None else ALL


def _sentence(text: str) -> str:
    """*text* on one line, without the full stop that a sentence around it would double."""
    return " ".join(text.split()).rstrip(".")
