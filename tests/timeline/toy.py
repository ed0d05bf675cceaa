"""Four small rules behind the `Program` protocol, so that the timeline is tested without the rule language.

travel: a badge read that cannot follow from the one before. burst: *n* denied reads within a span.
unbadged: a login at a site where the person is not believed to be, settled on the badge feed. leaver: any
read of a terminated person. empty: a login in a zone with nobody inside, settled on what that is told.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from correlator.event import HOUR_MS, MINUTE_MS, NEVER, Event, Score, entity_kind
from correlator.timeline.alert import Alert, Change
from correlator.timeline.fields import value
from correlator.timeline.habits import Habits
from correlator.timeline.live import Entry, Live, Match, Waiting, Window
from correlator.timeline.observation import Observation
from correlator.timeline.occupancy import NO_ZONES, Zones
from correlator.timeline.partition import Partition
from correlator.timeline.program import Found, Program, RuleFacts, Warming
from correlator.timeline.settings import FeedTiming, Settings
from correlator.timeline.telling import of_facts

FEEDS = (
    FeedTiming("badge", "access", "badge-events", bound_ms=0, quiet_ms=MINUTE_MS),
    FeedTiming("login", "login", "login-events", bound_ms=0, quiet_ms=MINUTE_MS),
)


class Toy(msgspec.Struct, frozen=True):
    """Numbers of the rules and of the timeline."""

    horizon_ms: int = 24 * HOUR_MS
    block_size: int = 32
    burst_min: int = 3
    burst_span_ms: int = 10 * MINUTE_MS
    grace_ms: int = 2 * MINUTE_MS
    max_wait_ms: int = 15 * MINUTE_MS
    suppress_ms: int = HOUR_MS
    fires_incomplete: bool = False
    minutes_between: float = 60.0  # sites a and b
    presence_full_ms: int = 20 * MINUTE_MS
    presence_half_life_ms: int = 5 * MINUTE_MS
    events_max: int = 2_000
    shapes_min: int = 2  # so few that the table is looked at all the time
    has_zones: bool = False


class ToyProgram:
    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        self.settings = Settings(
            horizon_ms=toy.horizon_ms,
            block_size=toy.block_size,
            events_max=toy.events_max,
            shapes_min=toy.shapes_min,
            presence_full_ms=toy.presence_full_ms,
            presence_half_life_ms=toy.presence_half_life_ms,
            presence_linger_ms=toy.presence_full_ms,
            travel_margin_ms=0,
            travel_minutes=(("a", "b", toy.minutes_between),),
            feeds=FEEDS,
        )
        self.rules = {
            name: RuleFacts(
                name,
                name,
                "identity",
                toy.suppress_ms,
                name != "leaver",
                name == "leaver",
                "high",
                toy.fires_incomplete,
            )
            for name in ("burst", "leaver", "travel", "unbadged")
        }
        if toy.has_zones:
            self.rules["empty"] = RuleFacts(
                "empty", "empty", "zone", toy.suppress_ms, True, False, "high", toy.fires_incomplete
            )

    @property
    def zones(self) -> Zones:
        return self.settings.zones_by_name if "empty" in self.rules else NO_ZONES

    def at(self, time_ms: int) -> ToyProgram:
        return self

    def facts(self, rule: str, time_ms: int) -> RuleFacts | None:
        return self.rules.get(rule)

    def warming(self) -> dict[str, Warming]:
        return {}

    def on_event(self, entity: str, event: Event, live: Live) -> Found | None:
        observation = Observation(entity, event, live, self.settings, event.time_ms)
        windows, matches, waiting = live.windows, list[Match](), list[Waiting]()
        if entity_kind(entity) == "zone" and event.kind == "login" and event.outcome == "success":
            return Found([], windows, [Waiting(event.time_ms + self.toy.grace_ms, "empty", event)])
        if entity_kind(entity) != "identity":
            return None
        if event.kind == "access" and event.outcome == "denied":
            windows, found = self._burst(event, windows)
            matches += found
        matches += self.on_too_late(observation)
        if event.kind == "access" and value(observation, "travel.badge.is_impossible"):
            start = str(value(observation, "travel.badge.event_id"))
            matches.append(Match(event.time_ms, event.id, "travel", "high", (start, event.id)))
        if self._is_unbadged(observation):
            waiting.append(Waiting(event.time_ms + self.toy.grace_ms, "unbadged", event))
        return Found(matches, windows, waiting)

    def _burst(self, event: Event, windows: tuple[Window, ...]) -> tuple[tuple[Window, ...], list[Match]]:
        entries = windows[0].entries if windows else ()
        entries = (*entries, Entry(event.time_ms, event.id))[-self.toy.burst_min :]
        full = len(entries) == self.toy.burst_min
        found = []
        if full and event.time_ms - entries[0].time_ms <= self.toy.burst_span_ms:
            found = [
                Match(
                    event.time_ms,
                    event.id,
                    "burst",
                    "medium",
                    tuple(e.id for e in entries),
                    count=len(entries),
                )
            ]
        return (Window("burst", (), entries),), found

    def _is_unbadged(self, observation: Observation) -> bool:
        event = observation.event
        if event.kind != "login" or event.outcome != "success" or event.place is None:
            return False
        here = value(observation, "presence.here")
        return isinstance(here, float) and here < 0.2

    def verdict(self, waiting: Waiting, observation: Observation) -> Match | None:
        event = waiting.event
        if waiting.rule == "empty":
            return self._empty(waiting, observation)
        if not self._is_unbadged(observation) or event.place is None:
            return None
        return Match(
            waiting.due_ms,
            event.id,
            "unbadged",
            "high",
            (event.id,),
            feed="access",
            site=event.place.site,
            max_wait_ms=self.toy.max_wait_ms,
        )

    def _empty(self, waiting: Waiting, observation: Observation) -> Match | None:
        event = waiting.event
        if event.place is None or value(observation, "zone.occupants") != 0:
            return None
        feed = of_facts("access")
        return Match(
            waiting.due_ms,
            event.id,
            "empty",
            "high",
            (event.id,),
            feed=feed,
            site=event.place.site,
            max_wait_ms=self.toy.max_wait_ms,
        )

    def prune(self, windows: tuple[Window, ...], time_ms: int) -> tuple[Window, ...]:
        kept = []
        for window in windows:
            entries = tuple(e for e in window.entries if time_ms - e.time_ms <= self.toy.burst_span_ms)
            if entries:
                kept.append(Window(window.rule, window.group, entries))
        return tuple(kept)

    def on_too_late(self, observation: Observation) -> list[Match]:
        event = observation.event
        if event.kind == "access" and value(observation, "identity.status") == "terminated":
            return [Match(event.time_ms, event.id, "leaver", "high", (event.id,))]
        return []


class SomeRules(ToyProgram):
    """The rules named *told*, those of *shadow* in shadow."""

    def __init__(self, toy: Toy, told: frozenset[str], shadow: frozenset[str]) -> None:
        super().__init__(toy)
        self.rules = {name: rule for name, rule in self.rules.items() if name in told}
        self.shadow = shadow

    def at(self, time_ms: int) -> SomeRules:
        return self

    def on_event(self, entity: str, event: Event, live: Live) -> Found | None:
        found = super().on_event(entity, event, live)
        if found is not None:
            found.matches = [self._marked(match) for match in found.matches if match.rule in self.rules]
            found.waiting = [w for w in found.waiting if w.rule in self.rules]
        return found

    def verdict(self, waiting: Waiting, observation: Observation) -> Match | None:
        match = super().verdict(waiting, observation)
        return None if match is None else self._marked(match)

    def _marked(self, match: Match) -> Match:
        return msgspec.structs.replace(match, is_shadow=match.rule in self.shadow)


class NoScorer:
    """Scores nothing."""

    def wants(self, event: Event, live: Live) -> bool:
        return False

    def score(self, event: Event, identity_type: str, habits: Habits) -> tuple[Score, dict[str, float]]:
        raise AssertionError(event.id)

    def learn(self, identity_type: str, features: dict[str, float]) -> None:
        raise AssertionError(identity_type)

    def encode(self) -> bytes:
        return b""


def newest(times: Iterable[int]) -> int:
    return max(times, default=NEVER)


def saved(partition: Partition, program: Program) -> Partition:
    """Through the bytes of a checkpoint of everything, in slices."""
    partition.changed.unfreeze()
    partition.changed.add(partition.timelines.keys())
    partition.freeze()
    entities: dict[str, bytes] = {}
    while piece := partition.changed.slice(1):
        entities |= {key: raw for key, raw in piece if raw is not None}
    return Partition.restore(program, lambda _: NoScorer(), partition.changed.rest(), entities.items())


def hear(held: dict[str, Alert], changes: Iterable[Change]) -> None:
    """What readers of the alerts do: they hold those that are open, by uid. Each is created first of all."""
    for change in changes:
        assert (change.alert.uid in held) == (change.activity != "create"), change
        if change.activity == "close":
            del held[change.alert.uid]
        else:
            held[change.alert.uid] = change.alert
