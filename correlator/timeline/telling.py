"""What the entities of a partition tell each other, and how it gets there: frames of *keyed* (decision 8).

Facts take a hop more than events. How far a partition has got with telling them is told too, to all: what
follows from facts is complete where it is complete for whoever tells them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from correlator.event import NEVER, partition_of
from correlator.frame import EVENTS_MAX, Binding, Fact, FactMark, Frame

Arrived = tuple[tuple[str, int], ...]  # (topic, arrived to, ms), by topic


class Told(msgspec.Struct, frozen=True):
    """In the order in which it was folded.

    *arrived*: all that follows from what arrived before is told with it; None where that is no news.
    """

    facts: tuple[Fact, ...] = ()
    bindings: tuple[Binding, ...] = ()
    arrived: Arrived | None = None


def frames(told: Iterable[tuple[int, Told]], partitions: int, bundle: str) -> Iterator[tuple[int, Frame]]:
    """(partition of *keyed*, frame), of what some of the *partitions* tell: (number, told), oldest first."""
    facts: dict[int, list[Fact]] = {}
    bindings: dict[int, list[Binding]] = {}
    marks: dict[int, FactMark] = {}
    for number, each in told:
        for fact in each.facts:
            facts.setdefault(partition_of(fact.entity, partitions), []).append(fact)
        for binding in each.bindings:
            bindings.setdefault(partition_of(binding.entity, partitions), []).append(binding)
        if each.arrived is not None:
            marks[number] = FactMark(number, partitions, each.arrived)
    for partition in range(partitions) if marks else sorted(facts.keys() | bindings):
        some = facts.get(partition, [])
        chunks = [tuple(some[at : at + EVENTS_MAX]) for at in range(0, max(len(some), 1), EVENTS_MAX)]
        for chunk in chunks[:-1]:
            yield partition, Frame(bundle, facts=chunk)
        passed_on = tuple(bindings.get(partition, ()))
        yield partition, Frame(bundle, bindings=passed_on, facts=chunks[-1], told=tuple(marks.values()))


# ------------------------------------------------------------------- how far it has got

Key = tuple[str, str]  # feed and site, as in `marks`
_OF_FACTS = "facts:"
WAITING_MAX = 2  # cuts that wait to be reached: the last one waits for the newer, late and never wrong


def of_facts(feed: str) -> str:
    """What follows from *feed* by a hop more."""
    return f"{_OF_FACTS}{feed}"


def is_of_facts(feed: str) -> bool:
    return feed.startswith(_OF_FACTS)


def feed_of(feed: str) -> str:
    return feed.removeprefix(_OF_FACTS)


class _Cut(msgspec.Struct, array_like=True):
    """Who has told everything that arrived before *arrived* has told all that these are complete to."""

    arrived: Arrived
    complete: dict[Key, int]


class Telling:
    """To what all that follows from a feed has been told: *complete*, by feed (`of_facts`) and site.

    What a partition knows to be complete by its own marks is complete for facts, too, once every partition of
    *keyed* has told what follows from all that had arrived then. Running maxima, like all marks.
    """

    def __init__(self) -> None:
        self.complete: dict[Key, int] = {}
        self._fresh: dict[Key, int] = {}  # complete since the last cut
        self._cuts: list[_Cut] = []
        self._told: dict[int, dict[str, int]] = {}  # partition -> topic -> arrived to
        self._partitions = 0

    def wait(self, key: Key, complete_ms: int) -> None:
        """*key* is complete by our own marks."""
        self._fresh[key] = complete_ms

    def cut(self, arrived: Arrived) -> None:
        """What waits is reached when everybody has told what follows from *arrived*."""
        if not self._fresh:
            return
        fresh, self._fresh = self._fresh, {}
        if len(self._cuts) >= WAITING_MAX:
            last = self._cuts[-1]
            self._cuts[-1] = _Cut(arrived, last.complete | fresh)
        else:
            self._cuts.append(_Cut(arrived, fresh))

    def fold(self, told: Iterable[FactMark]) -> None:
        for mark in told:
            self._partitions = max(mark.partitions, self._partitions)
            known = self._told.setdefault(mark.number, {})
            for topic, at_ms in mark.arrived:
                known[topic] = max(at_ms, known.get(topic, NEVER))
        while self._cuts and self._is_reached(self._cuts[0].arrived):
            for (feed, site), complete_ms in self._cuts.pop(0).complete.items():
                key = (of_facts(feed), site)
                self.complete[key] = max(complete_ms, self.complete.get(key, NEVER))

    def _is_reached(self, arrived: Arrived) -> bool:
        return 0 < self._partitions == len(self._told) and all(
            known.get(topic, NEVER) >= at_ms for known in self._told.values() for topic, at_ms in arrived
        )

    def dump(self) -> bytes:
        if not (self.complete or self._fresh or self._cuts or self._told):
            return b""
        cuts = [(cut.arrived, sorted(cut.complete.items())) for cut in self._cuts]
        told = [(number, sorted(known.items())) for number, known in sorted(self._told.items())]
        complete, fresh = sorted(self.complete.items()), sorted(self._fresh.items())
        return _encode(_State(complete, fresh, cuts, told, self._partitions))

    @classmethod
    def load(cls, raw: bytes) -> Telling:
        telling = cls()
        if raw:
            state = _decode(raw)
            telling.complete, telling._fresh = dict(state.complete), dict(state.fresh)
            telling._cuts = [_Cut(arrived, dict(complete)) for arrived, complete in state.cuts]
            telling._told = {number: dict(known) for number, known in state.told}
            telling._partitions = state.partitions
        return telling


class _State(msgspec.Struct, array_like=True):
    """Part of the state format."""

    complete: list[tuple[Key, int]]
    fresh: list[tuple[Key, int]]
    cuts: list[tuple[Arrived, list[tuple[Key, int]]]]
    told: list[tuple[int, list[tuple[str, int]]]]
    partitions: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_State).decode
