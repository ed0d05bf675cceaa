"""The rules of one bundle, ready to evaluate: what the timeline asks of rules
(`timeline.program.Program`).

What rules ask of an event is asked by generated functions (`compile`), each condition once, however many
rules ask it; which conditions can hold at all is known by the event's shape. State (windows, waiting
verdicts) is received and given back, never held; what is counted here are only values of unexpected types.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple, get_args

from correlator.event import SECOND_MS, SHAPES_MAX, EntityKind, Event, Shape, entity_kind
from correlator.rules.check import TIME, kinds_of
from correlator.rules.compile import Ask, ByShape, interpreted
from correlator.rules.correlate import Evaluation, Firing, Plan, closed, plan_of, plans_in, wait_for
from correlator.rules.interpret import holds, witnesses
from correlator.rules.levels import severity_of
from correlator.rules.requires import inert_at, is_met
from correlator.rules.routes import routes_of
from correlator.rules.rule import And, Condition, Rule, Settle, leaves
from correlator.rules.windows import prune_window
from correlator.timeline.fields import FIELDS, value
from correlator.timeline.live import Live, Match, Scalar, Waiting, Window
from correlator.timeline.observation import Observation
from correlator.timeline.occupancy import NO_ZONES
from correlator.timeline.program import Found, RuleFacts, Warming
from correlator.timeline.risk import RISK
from correlator.timeline.settings import Settings
from correlator.timeline.telling import of_facts

RISK_TITLE = "Several rules add up on one entity"
QUOTED = (  # fields that every explanation has, where they are there
    "place.site", "place.door", "access.outcome", "access.reason_native",
    "login.logon_type", "source.ip", "device.id",
)  # fmt: skip


class _Single(NamedTuple):
    """A rule on one event."""

    rule: Rule
    condition: Condition
    settle: Settle | None
    later: tuple[str, ...]  # fields that a settled rule takes again when it is due
    asked_again: Condition  # what of the condition reads them: the rest held at the event, and is as it was


class _Book:
    """The rules of one kind of entity: what they ask of an event, each condition once, and who asks it.

    *is_interpreted*: ask the authority instead of generated functions.
    """

    def __init__(self, entries: Sequence[_Single | Plan], *, is_interpreted: bool) -> None:
        self.entries = tuple(entries)
        self.asking: list[list[int]] = []  # by condition: which entries ask it, ascending
        self.numbers: dict[Condition, int] = {}
        for at, entry in enumerate(self.entries):
            for condition in dict.fromkeys(_asked(entry)):
                number = self.numbers.setdefault(condition, len(self.numbers))
                if number == len(self.asking):
                    self.asking.append([])
                self.asking[number].append(at)
        conditions = tuple(self.numbers)
        self._functions = ByShape(conditions)
        self._interpreted = interpreted(conditions) if is_interpreted else None
        self.asks: dict[Shape, Ask | None] = {}  # what `ask` has said

    def ask(self, shape: Shape) -> Ask | None:
        """What finds the conditions that hold of an event of *shape*; None: none ever does."""
        if len(self.asks) >= SHAPES_MAX:
            self.asks.clear()
        ask = self.asks[shape] = self._interpreted or self._functions.ask(shape)
        return ask


PENDING_MAX = 64  # windows of one rule whose close an entity waits for at a time


class RuleProgram:
    """Implements `timeline.program.Program`. Total: no method raises, whatever the observation."""

    def __init__(self, rules: Sequence[Rule], settings: Settings, *, is_interpreted: bool = False) -> None:
        alerting = sorted((r for r in rules if r.is_alerting), key=lambda r: r.id)
        self.settings = settings
        self.rules = {rule.id: _facts(rule, settings) for rule in alerting}
        if adding := [rule for rule in alerting if rule.risk and not rule.is_tried_out]:
            is_shadow = all(rule.is_shadow for rule in adding)
            self.rules[RISK] = RuleFacts(
                RISK, RISK_TITLE, "identity", 0, True, False, "high", is_shadow=is_shadow
            )
        self.zones = settings.zones_by_name if any(rule.entity == "zone" for rule in alerting) else NO_ZONES
        self.routes = routes_of(alerting)
        self._inert = {rule: dict(facts.inert) for rule, facts in self.rules.items()}
        self.loaded = {rule.id: rule for rule in rules}
        self.mismatches: dict[str, int] = {}  # rule id -> tests of values of an unexpected type
        self.groupless: dict[str, int] = {}  # rule id -> events without a field that they are counted by
        self.inert: dict[str, int] = {}  # rule id -> events at which it held, but not what it requires
        self.crowded: dict[str, int] = {}  # rule id -> windows not opened, for too many were open
        self._plans = {rule.id: plan_of(rule) for rule in alerting if rule.correlation is not None}
        self._counted = {p.key: p.correlation for plan in self._plans.values() for p in plans_in(plan)}
        self._quoted = {rule.id: _quoted(rule) for rule in alerting}
        self._singles = {rule.id: _single(rule) for rule in alerting if rule.condition is not None}
        entries: dict[str, _Single | Plan] = {**self._plans, **self._singles}
        self._books = {
            entity: _Book(
                [entries[rule.id] for rule in alerting if rule.entity == entity],
                is_interpreted=is_interpreted,
            )
            for entity in get_args(EntityKind)
        }
        self._too_late = tuple(s for s in self._singles.values() if s.rule.is_any_age)

    def at(self, time_ms: int) -> RuleProgram:
        """Itself, whenever: one version."""
        return self

    def facts(self, rule: str, time_ms: int) -> RuleFacts | None:
        return self.rules.get(rule)

    def warming(self) -> dict[str, Warming]:
        return {
            rule: Warming(plan.key, span_ms)
            for rule, plan in self._plans.items()
            if (span_ms := _blind_ms(plan))
        }

    # -------------------------------------------------------------- evaluation

    def on_event(self, entity: str, event: Event, live: Live) -> Found | None:
        """Evaluate every rule of the entity's kind on *event*; *live* is the state before it."""
        book = self._books[entity_kind(entity)]
        try:
            ask = book.asks[event.shape]
        except KeyError:
            ask = book.ask(event.shape)
        if ask is None:
            return None
        odd: list[int] = []
        observation = Observation(entity, event, live, self.settings, event.time_ms)
        held = ask(observation, odd)
        if odd:
            self._count_odd(book, odd)
        return self._found(book, held, observation) if held else None

    def _found(self, book: _Book, held: Sequence[int], observation: Observation) -> Found:
        found = Found([], observation.live.windows, [])
        holding, numbers = frozenset(held), book.numbers
        evaluation = Evaluation(lambda condition: numbers[condition] in holding, observation, found.windows)
        for at in sorted({at for number in held for at in book.asking[number]}):
            entry = book.entries[at]
            if isinstance(entry, Plan):
                for firing in evaluation.fire(entry):
                    self._fired(entry, firing, observation, found)
            elif not self._is_met(entry.rule, observation):
                continue
            elif entry.settle is None:
                found.matches.append(self._match(entry.rule, observation))
            else:
                self._await(entry, entry.settle, observation, found)
        found.windows = evaluation.windows
        for rule, why in evaluation.skipped:
            _count(self.groupless if why == "group" else self.mismatches, rule)
        return found

    def _await(self, single: _Single, settle: Settle, observation: Observation, found: Found) -> None:
        """A settled rule holds at its event; an event without a site cannot be decided."""
        if value(observation, settle.at) is None:
            return
        named = (*(name for name in _named(single.rule) if name in FIELDS), settle.at)
        seen = {name: value(observation, name) for name in named if name not in single.later}
        margin_ms = observation.event.shape.site_skew_s * SECOND_MS  # what came before may be dated after
        due_ms = observation.event.time_ms + settle.grace_ms + margin_ms
        found.waiting.append(Waiting(due_ms, single.rule.id, observation.event, tuple(seen.items())))

    def _count_odd(self, book: _Book, odd: Sequence[int]) -> None:
        for number in odd:
            for at in book.asking[number]:
                _count(self.mismatches, book.entries[at].rule.id)

    def verdict(self, waiting: Waiting, observation: Observation) -> Match | None:
        """Does the settled rule still hold as of the observation's *as_of_ms*?"""
        single = self._singles.get(waiting.rule)
        if single is None:
            return self._closed(waiting, observation)
        if single.settle is None:
            return None
        if not self._holds(single.rule, single.asked_again, observation):
            return None
        site = value(observation, single.settle.at)
        return self._match(single.rule, observation, single.settle, site)

    def on_too_late(self, observation: Observation) -> list[Match]:
        """Rules with `any_age`, evaluated on an event that is refused as too old, alone."""
        entity, kind = entity_kind(observation.entity), observation.event.kind
        return [
            self._match(single.rule, observation)
            for single in self._too_late
            if single.rule.entity == entity
            and kind in kinds_of(single.condition)
            and self._holds(single.rule, single.condition, observation)
            and self._is_met(single.rule, observation)
        ]

    def _is_met(self, rule: Rule, observation: Observation) -> bool:
        """Is what *rule* requires there, where the event happened?"""
        if rule.requires is None or is_met(rule.requires, self._inert[rule.id], observation):
            return True
        _count(self.inert, rule.id)
        return False

    def _holds(self, rule: Rule, condition: Condition, observation: Observation) -> bool:
        mismatched: list[str] = []
        result = holds(condition, observation, mismatched)
        if mismatched:
            self.mismatches[rule.id] = self.mismatches.get(rule.id, 0) + len(mismatched)
        return result

    # ----------------------------------------------------------------- windows

    def _fired(self, plan: Plan, firing: Firing, observation: Observation, found: Found) -> None:
        """A correlation that is reached matches, unless it waits for the end of its window."""
        rule, event = plan.rule, observation.event
        if not self._is_met(rule, observation):
            return
        site = value(observation, rule.settle.at) if rule.settle is not None else None
        if rule.settle is None or (site is not None and not plan.waits):
            found.matches.append(self._match(rule, observation, rule.settle, site, firing=firing))
        elif site is not None:
            open_now = (*observation.live.waiting, *found.waiting)
            if sum(w.rule == rule.id and w.due_ms >= event.time_ms for w in open_now) >= PENDING_MAX:
                _count(self.crowded, rule.id)
                return
            due_ms = firing.start_ms + plan.correlation.timespan_ms
            seen = wait_for(firing, {rule.settle.at: site})
            found.waiting.append(Waiting(due_ms, rule.id, event, seen))

    def _closed(self, waiting: Waiting, observation: Observation) -> Match | None:
        """The verdict of a correlation whose window has closed."""
        plan = self._plans.get(waiting.rule)
        if plan is None or plan.rule.settle is None or not plan.waits:
            return None
        firing = closed(plan, waiting, observation.live.windows)
        if firing is None:
            return None
        settle = plan.rule.settle
        return self._match(plan.rule, observation, settle, value(observation, settle.at), firing=firing)

    def prune(self, windows: tuple[Window, ...], time_ms: int) -> tuple[Window, ...]:
        """*windows* without what cannot matter to an event at or after *time_ms*."""
        kept = []
        for window in windows:
            correlation = self._counted.get(window.rule)
            pruned = prune_window(window, correlation, time_ms) if correlation is not None else None
            if pruned is not None:
                kept.append(pruned)
        return tuple(kept)

    # ----------------------------------------------------------------- matches

    def _match(
        self,
        rule: Rule,
        observation: Observation,
        settle: Settle | None = None,
        site: Scalar = None,
        *,
        firing: Firing | None = None,
    ) -> Match:
        event = observation.event
        linked = _linked(witnesses(rule.condition, observation)) if rule.condition is not None else ()
        ids = [str(i) for name in linked if (i := value(observation, name)) is not None]
        ids += firing.evidence if firing is not None else ()
        quoted: list[tuple[str, Scalar]] = [
            (name, found) for name in self._quoted[rule.id] if (found := value(observation, name)) is not None
        ]
        return Match(
            decided_ms=observation.as_of_ms,
            event_id=event.id,
            rule=rule.id,
            severity=severity_of(rule, observation),
            evidence=(*dict.fromkeys(i for i in ids if i != event.id), event.id),
            values=tuple(quoted),
            feed=_settled_on(rule, settle),
            site="" if site is None else str(site),
            max_wait_ms=settle.max_wait_ms if settle is not None else 0,
            count=firing.events if firing is not None else 1,
            is_shadow=rule.is_shadow,
        )


def _settled_on(rule: Rule, settle: Settle | None) -> str:
    """What a verdict waits for: of a zone, that what follows from the feed has been told to it."""
    if settle is None:
        return ""
    return of_facts(settle.feed) if rule.entity == "zone" else settle.feed


def _blind_ms(plan: Plan) -> int:
    """0 for a correlation that more events can only make truer."""
    inner_ms = max((_blind_ms(nested) for _, _, nested in plan.bases if nested), default=0)
    correlation = plan.correlation
    is_bounded = any(operator not in {"gt", "gte"} for operator, _ in correlation.thresholds)
    if is_bounded or plan.waits or inner_ms or correlation.type == "value_avg":
        return correlation.timespan_ms + inner_ms
    return 0


def _asked(entry: _Single | Plan) -> Iterable[Condition]:
    """Conditions that decide whether *entry* has anything to do with an event."""
    if isinstance(entry, _Single):
        return (entry.condition,)
    bases = (base for plan in plans_in(entry) for _, base, _ in plan.bases)
    return [base.condition for base in bases if base.condition is not None]


def _count(counts: dict[str, int], rule: str) -> None:
    counts[rule] = counts.get(rule, 0) + 1


def _facts(rule: Rule, settings: Settings) -> RuleFacts:
    fires = rule.settle is not None and rule.settle.fires_incomplete
    return RuleFacts(
        rule.id,
        rule.title,
        rule.entity,
        rule.suppress_ms,
        rule.may_retract,
        rule.is_any_age,
        rule.severity,
        fires,
        rule.is_shadow,
        rule.is_tried_out,
        rule.budget,
        rule.risk,
        rule.entities_max,
        tuple(inert_at(rule.requires, settings).items()) if rule.requires is not None else (),
    )


def _single(rule: Rule) -> _Single:
    assert rule.condition is not None
    settle = rule.settle
    later = tuple(n for n in _named(rule) if settle is not None and _feed(n) == settle.feed)
    return _Single(rule, rule.condition, settle, later, _reading(rule.condition, later))


def _reading(condition: Condition, names: Collection[str]) -> Condition:
    """What of *condition*, all of which holds, reads any of *names*."""
    if not isinstance(condition, And):
        return condition
    return And(
        tuple(arg for arg in condition.args if any(set(leaf.reads()) & set(names) for leaf in leaves(arg)))
    )


def _feed(name: str) -> str:
    """Whose feed *name* concludes from; "" for what the event itself says."""
    return FIELDS[name].feed if name in FIELDS else ""


def _behind(name: str) -> tuple[str, ...]:
    """Fields without which the value says little."""
    return FIELDS[name].behind if name in FIELDS else ()


def _linked(names: Iterable[str]) -> tuple[str, ...]:
    """Ids of the earlier events that the context comes from: `X.event_id` of every group X among *names*."""
    linked = (f"{name.rpartition('.')[0]}.event_id" for name in names)
    return tuple(dict.fromkeys(name for name in linked if name in FIELDS))


def _named(rule: Rule) -> tuple[str, ...]:
    """Fields that the rule names or reads, each with those behind it."""
    named = (*rule.evidence, *rule.reads())
    return tuple(dict.fromkeys(n for name in named for n in (name, *_behind(name))))


def _quoted(rule: Rule) -> tuple[str, ...]:
    """Fields that the explanation quotes: those that the rule names, those it reads, and a few always."""
    names = dict.fromkeys((*_named(rule), *QUOTED))
    silent = (TIME,)  # an alert says when, anyhow
    return tuple(
        n
        for n in names
        if (n not in FIELDS or rule.entity in FIELDS[n].entities)
        and not n.endswith(".event_id")
        and n not in silent
    )
