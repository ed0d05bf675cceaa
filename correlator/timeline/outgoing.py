"""What the entities of a partition have for others, until it is sent; and how far everything is told."""

from __future__ import annotations

from collections.abc import Iterable

from correlator.codec import owner_of
from correlator.event import NEVER, SECOND_MS
from correlator.frame import Binding, Fact
from correlator.timeline.marks import Marks
from correlator.timeline.occupancy import Passage, Zones, as_fact
from correlator.timeline.telling import Arrived, Told

Said = tuple[int, Arrived]  # now, when it was last told how far everything is told; what was told then


class Outgoing:
    __slots__ = ("_arrived", "_bindings", "_facts", "_told_ms")

    def __init__(self, said: Said = (NEVER, ())) -> None:
        self._facts: list[Fact] = []
        self._bindings: list[Binding] = []
        self._told_ms, self._arrived = said

    def add(self, facts: Iterable[Fact], bindings: Iterable[Binding] = ()) -> None:
        self._facts += facts
        self._bindings += bindings

    def went(self, entity: str, said: Iterable[tuple[Passage, bool]], zones: Zones) -> None:
        """Where the person went, to the zones."""
        who = owner_of(entity)
        self.add(as_fact(entity, who, passage, zones, is_held=is_held) for passage, is_held in said)

    def take(self, marks: Marks, zones: Zones) -> Told:
        """All of it, since this was last asked."""
        facts, self._facts = tuple(self._facts), []
        bindings, self._bindings = tuple(self._bindings), []
        return Told(facts, bindings, self._progress(marks) if zones else None)

    def said(self) -> Said:
        """State: whoever restores it says nothing twice."""
        return self._told_ms, self._arrived

    def _progress(self, marks: Marks) -> Arrived | None:
        """None where nobody needs to know again."""
        if marks.now_ms - self._told_ms < SECOND_MS:
            return None
        arrived = marks.arrived()
        if arrived == self._arrived:
            return None
        self._told_ms, self._arrived = marks.now_ms, arrived
        return arrived
