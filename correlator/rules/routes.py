"""Which entities need which events: those that only some rules speak of."""

from __future__ import annotations

from collections.abc import Iterable

from correlator.event import ALWAYS, EntityKind, Routes
from correlator.rules.check import kinds_of, kinds_of_correlation
from correlator.rules.rule import Rule


def routes_of(rules: Iterable[Rule]) -> Routes:
    """Which kinds of events the entities that only some rules need are to see."""
    routes: dict[EntityKind, frozenset[str]] = {}
    for rule in rules:
        if rule.entity not in ALWAYS:
            kinds = kinds_of(rule.condition) if rule.condition is not None else frozenset[str]()
            if rule.correlation is not None:
                kinds |= kinds_of_correlation(rule.correlation)
            routes[rule.entity] = routes.get(rule.entity, frozenset()) | kinds
    return routes
