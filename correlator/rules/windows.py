"""Windows of correlations: what is remembered of the last `timespan` of event time, per rule and group.

A window is state of an entity. It looks back from the event that is folded, over `timespan`, both ends
included: events exactly `timespan` apart count together. Late events need no care here, the timeline folds
again. What is kept is bounded, and is all that can decide:

- `event_count`, `value_sum`, `value_avg`: the newest entries, as many as decide every threshold (of sums the
  newest 1000); of `value_count` the newest of each value (a tuple where there are several fields).
- `temporal`: the newest entry of each rule, with the rule's position as value.
- `temporal_ordered`: how far each step got: for step i the chain of entries that ends there and began last,
  for no other can be completed later; each with i as value. Of a negated last step its newest entry, `~i`.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from math import fsum

from msgspec.structs import replace

from correlator.rules.correlation import ORDER
from correlator.rules.rule import Correlation
from correlator.timeline.live import Entry, Scalar, Window

SUMS = ("value_sum", "value_avg")


def enter(window: Window, entry: Entry, correlation: Correlation) -> Window:
    """*window* with *entry*, the newest so far, and without what is older than the timespan."""
    oldest_ms = entry.time_ms - correlation.timespan_ms
    distinct = correlation.type in {"value_count", "temporal"}
    kept = [
        e
        for e in window.entries
        if e.time_ms >= oldest_ms and not (distinct and _are_one(e.values, entry.values))
    ]
    insort(kept, entry, key=_order)
    most = len(correlation.bases) if correlation.type == "temporal" else correlation.entries_max
    return Window(window.rule, window.group, tuple(kept[-most:]))


def typed(values: tuple[Scalar, ...]) -> tuple[object, ...]:
    """What tells *values* from others: 1 and 1.0 are one number, true is none."""
    if True in values or False in values:  # or 1, or 0: most have none of these
        return tuple((v,) if isinstance(v, bool) else v for v in values)
    return values


def is_reached(entries: Sequence[Entry], correlation: Correlation) -> bool:
    """Do *entries* satisfy every threshold, or an alternative of the steps? Nothing satisfies nothing."""
    if correlation.clauses:
        return meets(correlation, {entry.values[0] for entry in entries})
    amount = amount_of(entries, correlation)
    return bool(entries) and all(
        ORDER[operator](amount, number) for operator, number in correlation.thresholds
    )


def amount_of(entries: Sequence[Entry], correlation: Correlation) -> float:
    """What thresholds are held against: how many entries, or their sum or average."""
    if correlation.type not in SUMS or not entries:
        return len(entries)
    numbers = [float(entry.values[0] or 0) for entry in entries]
    over = len(numbers) if correlation.type == "value_avg" else 1
    try:
        return fsum(numbers) / over
    except OverflowError:  # finite, but their sum is more than a float holds
        scale = 2 * len(numbers)
        return fsum(number / scale for number in numbers) / over * scale


def meets(correlation: Correlation, happened: Iterable[object]) -> bool:
    """Is there an alternative whose steps have happened, and none of those that must not?"""
    seen = set(happened)
    return any(
        all((step in seen) if step >= 0 else (~step not in seen) for step in c) for c in correlation.clauses
    )


def _are_one(values: tuple[Scalar, ...], others: tuple[Scalar, ...]) -> bool:
    return values == others and typed(values) == typed(others)


def of_group(windows: Iterable[Window], rule: str, group: tuple[Scalar, ...]) -> Window:
    """That one of *windows*, or one in which nothing has happened yet."""
    found = (w for w in windows if w.rule == rule and _are_one(w.group, group))
    return next(found, Window(rule, group, ()))


def recent(window: Window, correlation: Correlation, time_ms: int) -> tuple[Entry, ...]:
    """Entries of *window* that an event at *time_ms* looks back on."""
    oldest_ms = time_ms - correlation.timespan_ms
    return tuple(e for e in window.entries if e.time_ms >= oldest_ms)


# ---------------------------------------------------------------------- chains


def enter_steps(
    window: Window, steps: Iterable[int], entry: Entry, correlation: Correlation
) -> tuple[Window, tuple[Entry, ...]]:
    """*window* after an event of which the rules *steps* hold, and the chain that it completes, else ().

    A chain takes one event a step. An event of a step that must not happen ends the chains that got to the
    step before it.
    """
    asked, happened = correlation.clauses[0], set(steps)
    needed = [step for step in asked if step >= 0]
    chains, marks = _chains(window, entry.time_ms - correlation.timespan_ms)
    made: dict[int, tuple[Entry, ...]] = {}
    for at, step in enumerate(needed):
        before = () if at == 0 else chains.get(at - 1)
        if step in happened and before is not None:
            made[at] = (*before, entry)
    for step in asked:
        if step < 0 and ~step in happened:
            at = sum(other < ~step for other in needed) - 1
            chains.pop(at, None)
            if at == len(needed) - 1:
                marks[step] = entry
    complete = made.pop(len(needed) - 1, ())
    return _window(window, {**chains, **made}, marks), complete


def _chains(window: Window, oldest_ms: int) -> tuple[dict[int, tuple[Entry, ...]], dict[int, Entry]]:
    """Chains by the step that they got to, and newest entries of last steps that must not happen."""
    chains: dict[int, tuple[Entry, ...]] = {}
    marks: dict[int, Entry] = {}
    for entry in window.entries:
        at = entry.values[0]
        assert isinstance(at, int)
        if at >= 0:
            chains[at] = (*chains.get(at, ()), entry)
        elif entry.time_ms >= oldest_ms:
            marks[at] = entry
    return {at: chain for at, chain in chains.items() if chain[0].time_ms >= oldest_ms}, marks


def _window(window: Window, chains: dict[int, tuple[Entry, ...]], marks: dict[int, Entry]) -> Window:
    entries = [replace(entry, values=(at,)) for at, chain in sorted(chains.items()) for entry in chain]
    entries += [replace(entry, values=(at,)) for at, entry in sorted(marks.items())]
    return Window(window.rule, window.group, tuple(entries))


def is_over(window: Window, after: tuple[int, str]) -> bool:
    """Did a last step that must not happen do so after the event *after*?"""
    return any(
        isinstance(at := entry.values[0], int) and at < 0 and (entry.time_ms, entry.id) > after
        for entry in window.entries
    )


# --------------------------------------------------------------------- pruning


def prune_window(window: Window, correlation: Correlation, time_ms: int) -> Window | None:
    """*window* without what cannot matter to an event at or after *time_ms*; None when nothing is left."""
    oldest_ms = time_ms - correlation.timespan_ms
    if correlation.type == "temporal_ordered":
        pruned = _window(window, *_chains(window, oldest_ms))
        return None if not pruned.entries else window if pruned == window else pruned
    if window.entries and window.entries[0].time_ms >= oldest_ms:
        return window
    kept = tuple(e for e in window.entries if e.time_ms >= oldest_ms)
    return Window(window.rule, window.group, kept) if kept else None


def _order(entry: Entry) -> tuple[int, str]:
    return (entry.time_ms, entry.id)
