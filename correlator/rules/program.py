"""The rules of one bundle, ready to evaluate: what the timeline asks of rules
(`timeline.program.Program`).

Rules lie in buckets by entity kind and event kind, so a rule that requires `event.kind: login` is never
tried on a badge read. State (windows, waiting verdicts) is received and given back, never held; what is
counted here are only values of unexpected types.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, get_args

from correlator.event import KINDS, EntityKind, Kind, entity_kind
from correlator.rules.check import kinds_of
from correlator.rules.interpret import holds, witnesses
from correlator.rules.rule import Base, Condition, Correlation, Rule, Settle
from correlator.rules.windows import enter, entry_of, is_reached, prune_window
from correlator.timeline.fields import FIELDS, value
from correlator.timeline.live import Match, Scalar, Waiting, Window
from correlator.timeline.observation import Observation
from correlator.timeline.program import Found, RuleFacts
from correlator.timeline.settings import Settings

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


class _Counting(NamedTuple):
    rule: Rule
    correlation: Correlation
    bases: tuple[Base, ...]  # those that can hold of the bucket's kind of event
    key: str  # of its windows


_Bucket = tuple[_Single | _Counting, ...]


class RuleProgram:
    """Implements `timeline.program.Program`. Total: no method raises, whatever the observation."""

    def __init__(self, rules: Sequence[Rule], settings: Settings) -> None:
        alerting = sorted((r for r in rules if r.is_alerting), key=lambda r: r.id)
        self.settings = settings
        self.rules = {rule.id: _facts(rule) for rule in alerting}
        self.loaded = {rule.id: rule for rule in rules}
        self.mismatches: dict[str, int] = {}  # rule id -> tests of values of an unexpected type
        self.groupless: dict[str, int] = {}  # rule id -> events without a field that they are counted by
        self._counted = {r.fingerprint: r.correlation for r in alerting if r.correlation is not None}
        self._quoted = {rule.id: _quoted(rule) for rule in alerting}
        self._singles = {rule.id: _single(rule) for rule in alerting if rule.condition is not None}
        self._buckets: dict[tuple[EntityKind, Kind], _Bucket] = {
            (entity, kind): self._bucket(alerting, entity, kind)
            for entity in get_args(EntityKind)
            for kind in KINDS
        }
        self._too_late = tuple(s for s in self._singles.values() if s.rule.is_any_age)

    def _bucket(self, rules: Sequence[Rule], entity: EntityKind, kind: Kind) -> _Bucket:
        bucket: list[_Single | _Counting] = []
        for rule in rules:
            if rule.entity != entity:
                continue
            if rule.condition is not None and kind in kinds_of(rule.condition):
                bucket.append(self._singles[rule.id])
            elif rule.correlation is not None:
                bases = tuple(
                    b for b in rule.correlation.bases if b.condition and kind in kinds_of(b.condition)
                )
                if bases:
                    bucket.append(_Counting(rule, rule.correlation, bases, rule.fingerprint))
        return tuple(bucket)

    # -------------------------------------------------------------- evaluation

    def on_event(self, observation: Observation, windows: tuple[Window, ...]) -> Found:
        """Evaluate every rule of the observation's entity kind. Matches in order of rule id."""
        found = Found([], windows, [])
        event = observation.event
        for candidate in self._buckets[entity_kind(observation.entity), event.kind]:
            if isinstance(candidate, _Counting):
                self._count(candidate, observation, found)
            elif not self._holds(candidate.rule, candidate.condition, observation):
                continue
            elif candidate.settle is None:
                found.matches.append(self._match(candidate.rule, observation))
            elif value(observation, candidate.settle.at) is not None:
                seen = tuple(
                    (name, value(observation, name))
                    for name in (*candidate.rule.reads(), candidate.settle.at)
                    if name not in candidate.later
                )
                due_ms = event.time_ms + candidate.settle.grace_ms
                found.waiting.append(Waiting(due_ms, candidate.rule.id, event, tuple(dict(seen).items())))
        return found

    def verdict(self, waiting: Waiting, observation: Observation) -> Match | None:
        """Does the settled rule still hold as of the observation's *as_of_ms*?"""
        single = self._singles.get(waiting.rule)
        if single is None or single.settle is None:
            return None
        if not self._holds(single.rule, single.condition, observation):
            return None
        site = value(observation, single.settle.at)
        return self._match(single.rule, observation, single.settle, "" if site is None else str(site))

    def on_too_late(self, observation: Observation) -> list[Match]:
        """Rules with `any_age`, evaluated on an event that is refused as too old, alone."""
        entity, kind = entity_kind(observation.entity), observation.event.kind
        return [
            self._match(single.rule, observation)
            for single in self._too_late
            if single.rule.entity == entity
            and kind in kinds_of(single.condition)
            and self._holds(single.rule, single.condition, observation)
        ]

    def _holds(self, rule: Rule, condition: Condition, observation: Observation) -> bool:
        mismatched: list[str] = []
        result = holds(condition, observation, mismatched)
        if mismatched:
            self.mismatches[rule.id] = self.mismatches.get(rule.id, 0) + len(mismatched)
        return result

    # ----------------------------------------------------------------- windows

    def _count(self, candidate: _Counting, observation: Observation, found: Found) -> None:
        """An event counts once, for the first base that holds of it."""
        rule, correlation = candidate.rule, candidate.correlation
        bases = (b for b in candidate.bases if b.condition and self._holds(rule, b.condition, observation))
        base = next(bases, None)
        if base is None:
            return
        entered = entry_of(base, observation)
        if entered is None:
            self.groupless[rule.id] = self.groupless.get(rule.id, 0) + 1
            return
        group, entry = entered
        known = {(w.rule, w.group): w for w in found.windows}
        window = known.get((candidate.key, group)) or Window(candidate.key, group, ())
        window = enter(window, entry, correlation)
        known[candidate.key, group] = window
        found.windows = tuple(sorted(known.values(), key=_window_order))
        if is_reached(window, correlation):
            found.matches.append(self._match(rule, observation, window=window))

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
        site: str = "",
        *,
        window: Window | None = None,
    ) -> Match:
        event = observation.event
        linked = _linked(witnesses(rule.condition, observation)) if rule.condition is not None else ()
        ids = [str(i) for name in linked if (i := value(observation, name)) is not None]
        ids += [entry.id for entry in window.entries] if window is not None else []
        quoted: list[tuple[str, Scalar]] = [
            (name, found) for name in self._quoted[rule.id] if (found := value(observation, name)) is not None
        ]
        return Match(
            decided_ms=observation.as_of_ms,
            event_id=event.id,
            rule=rule.id,
            severity=rule.severity,
            evidence=(*dict.fromkeys(i for i in ids if i != event.id), event.id),
            values=tuple(quoted),
            feed=settle.feed if settle is not None else "",
            site=site,
            max_wait_ms=settle.max_wait_ms if settle is not None else 0,
            count=len(window.entries) if window is not None else 1,
        )


def _facts(rule: Rule) -> RuleFacts:
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
    )


def _single(rule: Rule) -> _Single:
    assert rule.condition is not None
    settle = rule.settle
    later = tuple(n for n in rule.reads() if settle is not None and FIELDS[n].feed == settle.feed)
    return _Single(rule, rule.condition, settle, later)


def _linked(names: Iterable[str]) -> tuple[str, ...]:
    """Ids of the earlier events that the context comes from: `X.event_id` of every group X among *names*."""
    linked = (f"{name.rpartition('.')[0]}.event_id" for name in names)
    return tuple(dict.fromkeys(name for name in linked if name in FIELDS))


def _quoted(rule: Rule) -> tuple[str, ...]:
    """Fields that the explanation quotes: those that the rule names, those it reads, and a few always."""
    names = dict.fromkeys((*rule.evidence, *rule.reads(), *QUOTED))
    return tuple(n for n in names if rule.entity in FIELDS[n].entities and not n.endswith(".event_id"))


def _window_order(window: Window) -> tuple[str, tuple[str, ...]]:
    return (window.rule, tuple(map(str, window.group)))
