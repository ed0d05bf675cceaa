"""Evaluates correlations on one event: which rules hold, what their windows say then.

A correlation that others count is evaluated once an event, however many count it. For those it happens where
it becomes true: of `temporal_ordered` wherever it is completed, of others when it did not hold just before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import NamedTuple

from correlator.event import EntityKind
from correlator.rules.members import as_number
from correlator.rules.rule import Base, Condition, Correlation, Rule, fingerprint_of
from correlator.rules.windows import (
    SUMS,
    enter,
    enter_steps,
    is_over,
    is_reached,
    meets,
    of_group,
    recent,
    typed,
)
from correlator.timeline.fields import FIELDS, value
from correlator.timeline.live import Entry, Scalar, Waiting, Window
from correlator.timeline.observation import Observation

CARRIED_MAX = 20  # ids that an entry carries of a correlation that is counted
EVIDENCE_MAX = 1_000  # ids that a match names

Group = tuple[Scalar, ...]
Holds = Callable[[Condition], bool]  # of the event that is evaluated
Windows = dict[tuple[str, tuple[object, ...]], Window]


class Plan(NamedTuple):
    """A correlation, prepared."""

    rule: Rule  # the outermost, which skipped events are counted for
    key: str  # of its windows
    correlation: Correlation
    bases: tuple[tuple[int, Base, Plan | None], ...]  # position, base, nested plan

    @property
    def waits(self) -> bool:
        """Is the verdict taken where the window closes?"""
        asked = self.correlation.clauses
        if self.correlation.type == "temporal_ordered":
            return asked[0][-1] < 0
        return any(step < 0 for clause in asked for step in clause)


class Firing(NamedTuple):
    """*start_ms*: of the window in which it was decided, or is to be."""

    group: Group
    evidence: tuple[str, ...]  # ids, oldest first, without the event's own
    events: int  # how many decided it
    start_ms: int
    before: Window | None = None  # the window just before, where it tells whether this is new
    bases: tuple[int, ...] = ()  # positions of the rules that hold of the event, where a window begins


def plan_of(rule: Rule) -> Plan:
    """The plan of *rule*, a correlation."""
    assert rule.correlation is not None
    return _plan(rule, rule.fingerprint, rule.correlation, rule.entity)


def _plan(rule: Rule, key: str, correlation: Correlation, entity: EntityKind) -> Plan:
    bases: list[tuple[int, Base, Plan | None]] = []
    for at, base in enumerate(correlation.bases):
        nested = None
        if base.correlation is not None:
            inner = fingerprint_of(base.rule, entity, None, base.correlation, None)
            nested = _plan(rule, inner, base.correlation, entity)
        bases.append((at, base, nested))
    return Plan(rule, key, correlation, tuple(bases))


def plans_in(plan: Plan) -> list[Plan]:
    """*plan* and the plans of the correlations that it counts."""
    return [plan, *(found for _, _, nested in plan.bases if nested for found in plans_in(nested))]


class Evaluation:
    """One event against any number of plans. *windows* are what they were, and then what they are."""

    def __init__(self, holds: Holds, observation: Observation, windows: tuple[Window, ...]) -> None:
        self._holds = holds
        self._observation = observation
        self._given = windows
        self._windows: Windows | None = None
        self._fired: dict[str, list[Firing]] = {}
        self.skipped: list[tuple[str, str]] = []  # (rule id, why): "group" or "type"

    @property
    def windows(self) -> tuple[Window, ...]:
        if self._windows is None:
            return self._given
        return tuple(sorted(self._windows.values(), key=_window_order))

    def fire(self, plan: Plan) -> list[Firing]:
        """Where *plan* is reached by this event: at most once a group."""
        if plan.key not in self._fired:
            self._fired[plan.key] = self._fire(plan)
        return self._fired[plan.key]

    def _fire(self, plan: Plan) -> list[Firing]:
        is_temporal = plan.correlation.type in {"temporal", "temporal_ordered"}
        entered: dict[tuple[object, ...], tuple[Group, list[tuple[int, Entry]]]] = {}
        is_counted = False
        for at, base, nested in plan.bases:
            carried = self.happened(
                plan, base, nested
            )  # also of what is not counted: it has windows of its own
            if carried is None or (is_counted and not is_temporal):
                continue
            is_counted = True  # an event counts once, for the first rule that holds
            found = self.entry(plan, at, base, carried)
            if found is not None:
                entered.setdefault(typed(found[0]), (found[0], []))[1].append((at, found[1]))
        fired = [self._enter(plan, group, entries) for group, entries in entered.values()]
        return [firing for firing in fired if firing is not None]

    def happened(self, plan: Plan, base: Base, nested: Plan | None) -> tuple[str, ...] | None:
        """Ids of earlier events by which *base* holds of this one; None when it does not."""
        if nested is not None:
            edges = [firing for firing in self.fire(nested) if self._is_new(nested, firing)]
            ids = dict.fromkeys(i for firing in edges for i in firing.evidence)
            return tuple(ids)[-CARRIED_MAX:] if edges else None
        return () if base.condition is not None and self._holds(base.condition) else None

    def _is_new(self, plan: Plan, firing: Firing) -> bool:
        """Did *plan* not hold just before this event?"""
        if firing.before is None:
            return True
        entries = recent(firing.before, plan.correlation, self._observation.event.time_ms)
        return not is_reached(entries, plan.correlation)

    def entry(self, plan: Plan, at: int, base: Base, carried: tuple[str, ...]) -> tuple[Group, Entry] | None:
        """Group and entry of the event; None when a field is absent that it is counted by."""
        group = tuple(value(self._observation, name) for name in base.group)
        values: Group = tuple(value(self._observation, name) for name in base.values)
        if None in group:
            self.skipped.append((plan.rule.id, "group"))
            return None
        if None in values:
            return None
        if plan.correlation.type in SUMS:
            values = (_number(base.values[0], values[0]),)
            if values[0] is None:
                self.skipped.append((plan.rule.id, "type"))
                return None
        event = self._observation.event
        is_temporal = plan.correlation.type in {"temporal", "temporal_ordered"}
        return group, Entry(event.time_ms, event.id, (at,) if is_temporal else values, carried)

    def _enter(self, plan: Plan, group: Group, entries: list[tuple[int, Entry]]) -> Firing | None:
        if self._windows is None:
            self._windows = {(w.rule, typed(w.group)): w for w in self._given}
        key, correlation = (plan.key, typed(group)), plan.correlation
        time_ms = self._observation.event.time_ms
        window = self._windows.get(key) or Window(plan.key, group, ())
        if correlation.type == "temporal_ordered":
            steps, entry = [at for at, _ in entries], entries[0][1]
            after, chain = enter_steps(window, steps, entry, correlation)
            if after.entries:
                self._windows[key] = after
            else:
                self._windows.pop(key, None)
            return _firing(group, chain) if chain else None
        before = window
        for _, entry in entries:
            window = enter(window, entry, correlation)
        self._windows[key] = window
        if plan.waits:
            begins = not correlation.denied.issuperset(at for at, _ in entries)
            held = tuple(at for at, _ in entries)
            return Firing(group, (), 1, time_ms, bases=held) if begins else None
        return _firing(group, window.entries, before) if is_reached(window.entries, correlation) else None


def _number(name: str, found: Scalar) -> int | float | None:
    """The value of the field *name* as a finite number; text counts as one in a source's own record."""
    if found is None or (isinstance(found, str) and name in FIELDS):
        return None
    number = as_number(found)
    return number if number is not None and isfinite(number) else None


def _firing(group: Group, entries: tuple[Entry, ...], before: Window | None = None) -> Firing:
    """*entries*, at least one, oldest first."""
    ids: dict[str, None] = {}
    for entry in entries:
        ids |= dict.fromkeys(entry.evidence)
        ids[entry.id] = None
    events = len({entry.id for entry in entries})
    return Firing(group, tuple(ids)[-EVIDENCE_MAX:], events, entries[0].time_ms, before)


# --------------------------------------------------------- where windows close


def wait_for(firing: Firing, seen: Mapping[str, Scalar]) -> tuple[tuple[str, Scalar], ...]:
    """What `closed` must know of *firing*, and the fields *seen* at its event. `#` begins no field's name."""
    noted: dict[str, Scalar] = {"#from": firing.start_ms}
    noted |= {f"#group{at}": part for at, part in enumerate(firing.group)}
    noted |= {f"#id{at}": i for at, i in enumerate(firing.evidence)}
    noted |= {f"#base{base}": True for base in firing.bases}
    return tuple({**noted, **seen}.items())


def awaited(waiting: Waiting) -> tuple[int, Group, tuple[str, ...]]:
    """What `wait_for` noted: where the window begins, its group, ids of what has happened before."""
    seen = dict(waiting.seen)
    start_ms = seen["#from"]
    assert isinstance(start_ms, int)
    group = tuple(seen[f"#group{at}"] for at in range(sum(name.startswith("#group") for name in seen)))
    return start_ms, group, tuple(str(i) for name, i in seen.items() if name.startswith("#id"))


def closed(plan: Plan, waiting: Waiting, windows: tuple[Window, ...]) -> Firing | None:
    """What happened in the window of *waiting*, when it has closed; None when its condition does not hold.

    *windows* are those after all events to its end, so all they hold is within.
    """
    seen, (start_ms, group, ids) = dict(waiting.seen), awaited(waiting)
    window = of_group(windows, plan.key, group)
    if plan.correlation.type == "temporal_ordered":
        return None if is_over(window, waiting.event.order) else Firing(group, ids, len(ids), start_ms)
    within = tuple(entry for entry in window.entries if entry.time_ms >= start_ms)
    if not meets(plan.correlation, {entry.values[0] for entry in within}):
        return None
    own = plan.correlation.denied.union(
        at for at in range(len(plan.correlation.bases)) if f"#base{at}" in seen
    )
    others = tuple(entry for entry in within if entry.values[0] not in own)
    if not others:
        return Firing(group, (), 1, start_ms)
    firing = _firing(group, others)
    return firing._replace(events=firing.events + 1)  # and the event that the window begins with


def _window_order(window: Window) -> tuple[str, tuple[tuple[str, str], ...]]:
    return (window.rule, tuple((type(part).__name__, str(part)) for part in window.group))
