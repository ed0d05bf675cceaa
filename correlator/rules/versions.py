"""Several versions of the rules at once: an event is evaluated by those in force at its event time.

So a late event folds yesterday under the rules of yesterday, and a replay that meets the activation again
decides as the live run did. What is told of is up to the newest version: alerts of rules that it does not
have are closed.

A correlation that is new or changed has not seen the time before. It may say that something happened, but
not that something did not: for its timespan it is *warming*, and silent.

Implements `timeline.program.Program`, and is total like it. May not know: where versions come from.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from correlator.event import NEVER, Event
from correlator.timeline.live import Live, Match, Waiting, Window
from correlator.timeline.observation import Observation
from correlator.timeline.program import Found, Program, RuleFacts, Warming

T = TypeVar("T")


class Version(NamedTuple):
    """In force from *since_ms* of event time to that of the next one."""

    since_ms: int
    program: Program


class Versions:
    """*versions*: at least one, by time; the first is in force before its time, too."""

    def __init__(self, versions: Sequence[Version]) -> None:
        self.versions = tuple(versions)
        self.newest = self.versions[-1].program
        self.settings, self.rules = self.newest.settings, self.newest.rules
        self.zones = {name: at for v in self.versions for name, at in v.program.zones.items()}
        self.warm_ms = _warm_ms(self.versions)
        self._programs = [
            _Warming(version.program, warm) if warm else version.program
            for version, warm in zip(self.versions, self.warm_ms, strict=True)
        ]
        self._sinces = [version.since_ms for version in self.versions]
        newest_warm = max(self.warm_ms[-1].values(), default=NEVER)
        self._plain_ms = max(self._sinces[-1], newest_warm) if len(self.versions) > 1 else NEVER

    def at(self, time_ms: int) -> Program:
        if time_ms >= self._plain_ms:
            return self.newest
        return self._programs[max(bisect_right(self._sinces, time_ms) - 1, 0)]

    def facts(self, rule: str, time_ms: int) -> RuleFacts | None:
        """A verdict may be taken when its rule is gone: the newest version that has it, of those by then."""
        last = max(bisect_right(self._sinces, time_ms), 1)
        return next(
            (f for v in reversed(self.versions[:last]) if (f := v.program.facts(rule, time_ms))), None
        )

    def on_event(self, entity: str, event: Event, live: Live) -> Found | None:
        return self.at(event.time_ms).on_event(entity, event, live)

    def verdict(self, waiting: Waiting, observation: Observation) -> Match | None:
        return self.at(waiting.event.time_ms).verdict(waiting, observation)

    def prune(self, windows: tuple[Window, ...], time_ms: int) -> tuple[Window, ...]:
        """What any version may still look at."""
        if time_ms >= self._plain_ms:
            return self.newest.prune(windows, time_ms)
        kept: dict[tuple[object, ...], Window] = {}
        for version in self.versions:
            kept |= {(w.rule, w.group): w for w in version.program.prune(windows, time_ms)}
        return tuple([kept[key] for w in windows if (key := (w.rule, w.group)) in kept])

    def warming(self) -> Mapping[str, Warming]:
        return self.newest.warming()

    def on_too_late(self, observation: Observation) -> list[Match]:
        return self.newest.on_too_late(observation)


class _Warming:
    """*program* without what its rules say before they may: *warm_ms* by rule."""

    def __init__(self, program: Program, warm_ms: Mapping[str, int]) -> None:
        self._program, self._warm_ms = program, warm_ms
        self.settings, self.rules, self.zones = program.settings, program.rules, program.zones
        self.facts, self.prune, self.warming = program.facts, program.prune, program.warming
        self.on_too_late = program.on_too_late

    def at(self, time_ms: int) -> Program:
        return self

    def on_event(self, entity: str, event: Event, live: Live) -> Found | None:
        found = self._program.on_event(entity, event, live)
        if found is not None:
            found.matches = [match for match in found.matches if self._is_warm(match)]
        return found

    def verdict(self, waiting: Waiting, observation: Observation) -> Match | None:
        match = self._program.verdict(waiting, observation)
        return match if match is not None and self._is_warm(match) else None

    def _is_warm(self, match: Match) -> bool:
        return match.decided_ms >= self._warm_ms.get(match.rule, NEVER)


def reaching_back(before: Iterable[tuple[int, T]], since_ms: int, newest: T) -> list[tuple[int, T]]:
    """*before*, each from its time on, and *newest* from *since_ms* on, whatever was in force there. What it
    takes the place of stays, in force for no time, since alerts that it told of are closed in its words.
    """
    return [*((min(before_ms, since_ms), one) for before_ms, one in before), (since_ms, newest)]


def _warm_ms(versions: Sequence[Version]) -> list[dict[str, int]]:
    """Of each version from when on its rules may conclude from what is not there; those that always may are
    not in it.
    """
    found: list[dict[str, int]] = []
    keys: dict[str, int] = {}  # key of windows -> since when without a gap
    for at, version in enumerate(versions):
        asked = version.program.warming()
        began_ms = NEVER if at == 0 else version.since_ms
        keys = {w.key: keys.get(w.key, began_ms) for w in asked.values()}
        found.append({r: keys[w.key] + w.span_ms for r, w in asked.items() if keys[w.key] > NEVER})
    return found
