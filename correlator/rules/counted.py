"""What a correlation counted: which events entered which window, how far that is from what is asked, and
what stood outside.

Everything is asked of `correlate` and `windows`, on the events as the fold saw them. Times in ms, UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from correlator.rules.asks import asks
from correlator.rules.correlate import Evaluation, Group, Plan, awaited
from correlator.rules.interpret import holds
from correlator.rules.rule import Base
from correlator.rules.watched import Seen, Settled
from correlator.rules.windows import SUMS, amount_of, enter_steps, of_group, recent, typed
from correlator.spelling import spell, spell_number
from correlator.timeline.fields import value
from correlator.timeline.live import Entry, Scalar

OUTSIDE_MAX = 10  # events that the window no longer holds that are named


When = Callable[[int], str]


class Entered(NamedTuple):
    """A rule that a correlation counts held of an event. *absent*: fields without which it is not counted;
    *odd*: one that is no number where numbers are added up; *chain*: the order of steps that the event
    completed.
    """

    seen: Seen
    at: int
    base: Base
    group: Group
    absent: tuple[str, ...]
    chain: tuple[Entry, ...] = ()
    odd: str = ""

    @property
    def is_counted(self) -> bool:
        return not self.absent and not self.odd

    @property
    def time_ms(self) -> int:
        return self.seen.observation.event.time_ms

    @property
    def id(self) -> str:
        return self.seen.observation.event.id

    @property
    def entity(self) -> str:
        return self.seen.observation.entity


class CountedEvent(msgspec.Struct, frozen=True):
    """*what*: the step that it is, the value that counts, or why it does not count."""

    event_id: str
    time_ms: int
    what: str


class Counted(msgspec.Struct, frozen=True):
    """One window of a correlation. *rule*: whose; *off*: how far it is from what is asked; *missing*: which
    steps; *outside*: what it no longer holds; *absent*: what must not happen, and did not to its end.
    """

    rule: str
    group: tuple[tuple[str, Scalar], ...]
    reached: str
    off: float
    events: tuple[CountedEvent, ...]
    missing: tuple[str, ...] = ()
    outside: tuple[CountedEvent, ...] = ()
    absent: tuple[str, ...] = ()


class Counting:
    """Of the correlation *name*. *names* of rules by id; *when*: a time in words; *seen*: all events, by
    time.
    """

    def __init__(
        self, name: str, plan: Plan, seen: Iterable[Seen], names: Mapping[str, str], when: When
    ) -> None:
        self._name, self.plan, self._names, self._when = name, plan, names, when
        self._by_event: dict[tuple[str, str], list[Entered]] = {}
        self._by_group: dict[tuple[str, tuple[object, ...]], list[Entered]] = {}
        for one in (found for each in seen for found in _entered(plan, each)):
            self._by_event.setdefault((one.entity, one.id), []).append(one)
            if one.is_counted:
                self._by_group.setdefault((one.entity, typed(one.group)), []).append(one)

    @property
    def entered(self) -> Iterator[Entered]:
        """What is counted, group by group."""
        return (one for group in self._by_group.values() for one in group)

    def of_event(self, seen: Seen) -> list[Entered]:
        return self._by_event.get((seen.observation.entity, seen.observation.event.id), [])

    def off(self, one: Entered) -> float:
        """How far the window of *one* is from what is asked, as of its event."""
        return self._progress(self._entries(one), 0)[1]

    def furthest(self, seen: Seen) -> Counted | None:
        """The window of the entity of *seen* that got furthest up to its event, the newest of those."""
        before = [
            one
            for one in self.entered
            if one.entity == seen.observation.entity
            and one.seen.observation.event.order <= seen.observation.event.order
        ]
        best = min(reversed(before), key=self.off, default=None)
        return None if best is None else self.window(best)

    def name_of(self, base: Base) -> str:
        return self._names.get(base.rule, base.rule)

    # ------------------------------------------------------------------ at an event

    def window(self, one: Entered) -> Counted:
        """The window of *one*, as of its event."""
        correlation, entries = self.plan.correlation, self._entries(one)
        same = self._by_group[one.entity, typed(one.group)]
        oldest_ms = one.time_ms - correlation.timespan_ms
        reached, off = self._progress(entries, sum(oldest_ms <= o.time_ms <= one.time_ms for o in same))
        return Counted(
            self._name,
            tuple(zip(one.base.group, one.group, strict=True)),
            f"{reached}, within {spell(correlation.timespan_ms)}",
            off,
            self._events(entries),
            self._missing(entries, same, (oldest_ms, one.time_ms)),
            () if correlation.clauses else _too_early(same, oldest_ms),
        )

    def _entries(self, one: Entered) -> Sequence[Entry]:
        window = of_group(one.seen.found.windows, self.plan.key, one.group)
        entries = recent(window, self.plan.correlation, one.time_ms)
        if self.plan.correlation.type != "temporal_ordered":
            return entries
        chain = one.chain or _longest(entries)  # whose entries all say how far it got
        return [replace(entry, values=(step,)) for step, entry in enumerate(chain)]

    def _progress(self, entries: Sequence[Entry], events: int) -> tuple[str, float]:
        """`4 of at least 5`, of values also in how many events; and how far off that is."""
        correlation = self.plan.correlation
        if correlation.clauses:
            clause, met = self._nearest(entries)
            return f"{len(met)} of {len(clause)} steps", len(clause) - len(met)
        amount = amount_of(entries, correlation)
        text = f"{spell_number(amount)} of {asks(correlation)}"
        if correlation.type in SUMS:
            text = f"{spell_number(amount)} for {asks(correlation)}"
        if correlation.type not in {"event_count", "temporal"}:
            text += f", in {events} event{'s' if events != 1 else ''}"
        return text, sum(_off(operator, number, amount) for operator, number in correlation.thresholds)

    def _nearest(self, entries: Sequence[Entry]) -> tuple[tuple[int, ...], set[int]]:
        """The alternative that lacks least, and its steps that are as they should be."""
        happened = {self._step(entry) for entry in entries}
        met = {c: {s for s in c if (s in happened if s >= 0 else ~s not in happened)} for c in self._clauses}
        clause = min(self._clauses, key=lambda c: len(c) - len(met[c]))
        return clause, met[clause]

    @property
    def _clauses(self) -> tuple[tuple[int, ...], ...]:
        return self.plan.correlation.clauses

    def _step(self, entry: Entry) -> int:
        """Position of the rule that *entry* is a step of; in an order it counts those that must happen."""
        at = entry.values[0]
        assert isinstance(at, int)
        if self.plan.correlation.type != "temporal_ordered":
            return at
        return [step for step in self._clauses[0] if step >= 0][at] if at >= 0 else ~at

    def _events(self, entries: Sequence[Entry]) -> tuple[CountedEvent, ...]:
        return tuple(CountedEvent(e.id, e.time_ms, self._what(e)) for e in entries)

    def _what(self, entry: Entry) -> str:
        if self.plan.correlation.type in {"temporal", "temporal_ordered"}:
            return self.name_of(self.plan.correlation.bases[self._step(entry)])
        return ", ".join(map(str, entry.values))

    def _missing(
        self, entries: Sequence[Entry], same: Sequence[Entered], window: tuple[int, int]
    ) -> tuple[str, ...]:
        """What steps lack, and when else they happened. *window*: first and last time in it."""
        if not self._clauses:
            return ()
        clause, met = self._nearest(entries)
        said, is_gap = [], False
        for step in clause:
            at = step if step >= 0 else ~step
            name = self.name_of(self.plan.correlation.bases[at])
            happened = [one.time_ms for one in same if one.at == at]
            times = ", ".join(map(self._when, happened))
            if step < 0 and times:
                said.append(f"{name} happened at {times}, where it must not")
            elif step not in met and any(window[0] <= time_ms <= window[1] for time_ms in happened):
                why = "and nothing of what comes before it did" if is_gap else "but not in this order"
                said.append(f"{name} happened at {times}, {why}")
            elif step not in met:
                is_gap = is_gap or (step >= 0 and not times)
                where = f" in the window, but at {times}" if times else self._elsewhere(at, same[0])
                said.append(f"{name} did not happen{where}")
        return tuple(said)

    def _elsewhere(self, at: int, here: Entered) -> str:
        """Where else rule *at* held, of the entity of *here*: in other groups, or in none."""
        told = []
        for one in (found for each in self._by_event.values() for found in each):
            if one.at == at and one.entity == here.entity:
                named = zip(one.base.group, one.group, strict=True)
                group = ", ".join(f"{n} {'absent' if v is None else v}" for n, v in named)
                told.append(f"{self._when(one.time_ms)} ({group})")
        return f" in this group, but at {', '.join(told[:OUTSIDE_MAX])}" if told else ""

    # -------------------------------------------------------------- where it closes

    def closing(self, settled: Settled) -> Counted:
        """The window that *settled* waited for the end of."""
        start_ms, group, _ = awaited(settled.waiting)
        correlation = self.plan.correlation
        window = of_group(settled.observation.live.windows, self.plan.key, group)
        entries = [e for e in window.entries if e.time_ms >= start_ms]
        begun = settled.waiting.event
        if correlation.type == "temporal_ordered":
            entries = [e for e in entries if isinstance(e.values[0], int) and e.values[0] < 0]
            entries = [e for e in entries if (e.time_ms, e.id) > begun.order]
        lacking = self._lacking(entries)
        steps = [CountedEvent(begun.id, begun.time_ms, "begins the window")]
        steps += [event for event in self._events(entries) if event.event_id != begun.id]
        missing = [self._broken(step, entries) for step in lacking]
        reached = f"window from {self._when(start_ms)} to {self._when(settled.waiting.due_ms)}"
        named = self.plan.correlation.bases[0].group
        return Counted(
            self._name,
            tuple(zip(named, group, strict=True)),
            reached,
            len(lacking),
            tuple(steps),
            tuple(missing),
            absent=() if lacking else self._absent(entries),
        )

    def _absent(self, entries: Sequence[Entry]) -> tuple[str, ...]:
        """What the alternative that holds asks not to happen."""
        if self.plan.correlation.type == "temporal_ordered":
            clause = self._clauses[0]
        else:
            clause = self._nearest(entries)[0]
        names = [self.name_of(self.plan.correlation.bases[~step]) for step in clause if step < 0]
        return tuple(f"{name} did not happen" for name in names)

    def _lacking(self, entries: Sequence[Entry]) -> list[int]:
        """Steps that were not as they should be where the window closed; of an order that it waited for."""
        if self.plan.correlation.type == "temporal_ordered":
            happened = {self._step(entry) for entry in entries}
            return [step for step in self._clauses[0] if step < 0 and ~step in happened]
        clause, met = self._nearest(entries)
        return [step for step in clause if step not in met]

    def _broken(self, step: int, entries: Sequence[Entry]) -> str:
        if step >= 0:
            return f"{self.name_of(self.plan.correlation.bases[step])} did not happen within the window"
        at = ", ".join(self._when(e.time_ms) for e in entries if self._step(e) == ~step)
        name = self.name_of(self.plan.correlation.bases[~step])
        return f"{name} happened at {at}, within the window, and must not"


def _entered(plan: Plan, seen: Seen) -> list[Entered]:
    """What *plan* counts of one event."""
    observation, windows = seen.observation, seen.observation.live.windows
    evaluation = Evaluation(lambda c: holds(c, observation, []), observation, windows)
    found: list[Entered] = []
    entries: dict[tuple[object, ...], tuple[Group, Entry]] = {}
    for at, base, nested in plan.bases:
        carried = evaluation.happened(plan, base, nested)
        if carried is None:
            continue
        group = tuple(value(seen.observation, name) for name in base.group)
        absent = tuple(n for n in (*base.group, *base.values) if value(seen.observation, n) is None)
        entry = evaluation.entry(plan, at, base, carried)
        odd = base.values[0] if entry is None and not absent else ""
        found.append(Entered(seen, at, base, group, absent, odd=odd))
        if entry is not None:
            entries.setdefault(typed(group), entry)
        if plan.correlation.type not in {"temporal", "temporal_ordered"}:  # counts once, as the first
            break
    if plan.correlation.type != "temporal_ordered":
        return found
    chains = {
        key: enter_steps(
            of_group(windows, plan.key, group),
            [one.at for one in found if typed(one.group) == key],
            entry,
            plan.correlation,
        )[1]
        for key, (group, entry) in entries.items()
    }
    return [one._replace(chain=chains.get(typed(one.group), ())) for one in found]


def _longest(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Of the chains of an order, the one that got furthest."""
    furthest = max((e.values[0] for e in entries if isinstance(e.values[0], int)), default=-1)
    return tuple(e for e in entries if e.values[0] == furthest) if furthest >= 0 else ()


def _off(operator: str, number: float, amount: float) -> float:
    off = amount - number
    table = {
        "gte": -off,
        "gt": 0.5 - off,
        "lte": off,
        "lt": off + 0.5,
        "eq": abs(off),
        "neq": float(off == 0),
    }
    return max(0.0, table[operator])


def _too_early(same: Iterable[Entered], oldest_ms: int) -> tuple[CountedEvent, ...]:
    """Events of the group that the window no longer holds, the newest of them."""
    early = [one for one in same if one.time_ms < oldest_ms]
    return tuple(
        CountedEvent(one.id, one.time_ms, f"{spell(oldest_ms - one.time_ms)} too early for the window")
        for one in early[-OUTSIDE_MAX:]
    )
