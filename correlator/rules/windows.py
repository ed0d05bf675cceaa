"""Counting over a sliding window of event time: `event_count` and `value_count`.

A window is state of an entity: the newest entries of one correlation and group. It looks back from the
event that is folded, over `timespan`, both ends included: events exactly `timespan` apart count together.
Late events need no care here, the timeline folds again.

Bounded: as many entries as decide every threshold, the newest. For `value_count` an entry is kept per
distinct value (a tuple where there are several fields): the newest, which is the one that leaves last.
"""

from __future__ import annotations

from bisect import insort
from operator import eq, ge, gt, le, lt, ne

from correlator.rules.rule import Base, Correlation
from correlator.timeline.fields import value
from correlator.timeline.live import Entry, Scalar, Window
from correlator.timeline.observation import Observation

_ORDER = {"lt": lt, "lte": le, "gt": gt, "gte": ge, "eq": eq, "neq": ne}


def entry_of(base: Base, observation: Observation) -> tuple[tuple[Scalar, ...], Entry] | None:
    """Group and entry of an event that *base* holds of; None when a group-by or counted field is absent."""
    group = tuple(value(observation, name) for name in base.group)
    values = tuple(value(observation, name) for name in base.values)
    if None in group or None in values:
        return None
    event = observation.event
    return group, Entry(event.time_ms, event.id, values)


def enter(window: Window, entry: Entry, correlation: Correlation) -> Window:
    """*window* with *entry*, the newest so far, and without what is older than the timespan."""
    oldest_ms = entry.time_ms - correlation.timespan_ms
    distinct = correlation.type == "value_count"
    kept = [
        e for e in window.entries if e.time_ms >= oldest_ms and not (distinct and e.values == entry.values)
    ]
    insort(kept, entry, key=_order)
    return Window(window.rule, window.group, tuple(kept[-correlation.entries_max :]))


def is_reached(window: Window, correlation: Correlation) -> bool:
    """Does the number of entries satisfy every threshold?"""
    count = len(window.entries)
    return all(_ORDER[operator](count, number) for operator, number in correlation.thresholds)


def prune_window(window: Window, correlation: Correlation, time_ms: int) -> Window | None:
    """*window* without what cannot matter to an event at or after *time_ms*; None when nothing is left."""
    oldest_ms = time_ms - correlation.timespan_ms
    if window.entries and window.entries[0].time_ms >= oldest_ms:
        return window
    kept = tuple(e for e in window.entries if e.time_ms >= oldest_ms)
    return Window(window.rule, window.group, kept) if kept else None


def _order(entry: Entry) -> tuple[int, str]:
    return (entry.time_ms, entry.id)
