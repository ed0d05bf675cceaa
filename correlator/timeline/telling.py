"""What the entities of a partition tell each other, and how it gets there: frames of *keyed* (decision 8).

Facts take a hop more than events. How far a partition has got with telling them is told too, to all: what
follows from facts is complete where it is complete for whoever tells them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from correlator.event import partition_of
from correlator.frame import EVENTS_MAX, Binding, Fact, FactMark, Frame

Arrived = tuple[tuple[str, int], ...]  # (topic, arrived to, ms), by topic


class Told(msgspec.Struct, frozen=True):
    """In the order in which it was folded.

    *arrived*: all that follows from what arrived before is told with it; None where that is no news.
    """

    facts: tuple[Fact, ...] = ()
    bindings: tuple[Binding, ...] = ()
    arrived: Arrived | None = None


def frames(told: Iterable[Told], number: int, partitions: int, bundle: str) -> Iterator[tuple[int, Frame]]:
    """(partition of *keyed*, frame), of what partition *number* of *partitions* tells, oldest first."""
    facts: dict[int, list[Fact]] = {}
    bindings: dict[int, list[Binding]] = {}
    arrived: Arrived | None = None
    for each in told:
        for fact in each.facts:
            facts.setdefault(partition_of(fact.entity, partitions), []).append(fact)
        for binding in each.bindings:
            bindings.setdefault(partition_of(binding.entity, partitions), []).append(binding)
        arrived = each.arrived if each.arrived is not None else arrived
    marks = () if arrived is None else (FactMark(number, partitions, arrived),)
    for partition in range(partitions) if marks else sorted(facts.keys() | bindings):
        some = facts.get(partition, [])
        chunks = [tuple(some[at : at + EVENTS_MAX]) for at in range(0, max(len(some), 1), EVENTS_MAX)]
        for chunk in chunks[:-1]:
            yield partition, Frame(bundle, facts=chunk)
        passed_on = tuple(bindings.get(partition, ()))
        yield partition, Frame(bundle, bindings=passed_on, facts=chunks[-1], told=marks)
