"""What a correlation asks for, in words: for alerts and for whoever explains a rule."""

from __future__ import annotations

from collections.abc import Mapping

from correlator.rules.rule import Correlation
from correlator.spelling import spell_number

_OPERATORS = {
    "gte": "at least",
    "gt": "more than",
    "lte": "at most",
    "lt": "fewer than",
    "eq": "exactly",
    "neq": "not",
}


def asks(correlation: Correlation, titles: Mapping[str, str] | None = None) -> str:
    """`at least 3 different place.door`; of events that must happen or must not, by their rules' *titles*:
    `"Badged in" and not "Badged out"`.
    """
    limits = " and ".join(f"{_OPERATORS[op]} {spell_number(number)}" for op, number in correlation.thresholds)
    named = ", ".join(dict.fromkeys(v for b in correlation.bases for v in b.values))
    if titles and (correlation.clauses or correlation.type == "temporal_ordered"):
        return _steps(correlation, titles)
    if correlation.denied:
        return "certain events, and others not to happen,"
    if correlation.clauses and correlation.type == "temporal":
        return "certain events together"
    return {
        "event_count": f"{limits} events",
        "value_count": f"{limits} different {named}",
        "value_sum": f"a sum of {named} of {limits}",
        "value_avg": f"an average {named} of {limits}",
        "temporal": f"{limits} of {len(correlation.bases)} kinds of events",
        "temporal_ordered": "certain events in this order",
    }[correlation.type]


def _steps(correlation: Correlation, titles: Mapping[str, str]) -> str:
    def step(number: int) -> str:
        base = correlation.bases[number if number >= 0 else ~number].rule
        return f'{"" if number >= 0 else "not "}"{titles.get(base, base)}"'

    joint = ", then " if correlation.type == "temporal_ordered" else " and "
    clauses = correlation.clauses or (tuple(range(len(correlation.bases))),)
    return ", or ".join(joint.join(map(step, clause)) for clause in clauses)
