"""Which entities changed since the last checkpoint, and one frozen cut of them that is taken in slices.

Between frames the set of changed entities is frozen. Folding goes on meanwhile: an entity about to be touched
is encoded first, as it was at the cut. May not know: how a timeline is encoded, topics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

Record = bytes | None  # of an entity; None for one that was dropped


class Changed:
    """*record*: the checkpoint record of an entity as it is now."""

    __slots__ = ("_frozen", "_given", "_order", "_record", "_rest", "_thawed", "since")

    def __init__(self, record: Callable[[str], Record]) -> None:
        self.since: set[str] = set()  # that changed since the last cut
        self._record = record
        self._frozen: set[str] = set()  # of the cut, not taken yet and not touched since
        self._order: list[str] = []  # in which they are taken, the next one last
        self._thawed: list[tuple[str, Record]] = []
        self._given: list[str] = []  # that were taken already
        self._rest: bytes | None = None

    def touch(self, entity: str) -> None:
        """*entity* is about to be changed."""
        if entity in self._frozen:
            self._frozen.discard(entity)
            self._thawed.append((entity, self._record(entity)))
        self.since.add(entity)

    def freeze(self, rest: bytes) -> None:
        """Cut here. What was frozen before must have been taken whole. *rest*: what is no entity's."""
        assert not self._frozen, "the last cut was not taken whole"
        assert not self._thawed, "the last cut was not taken whole"
        self._frozen, self.since, self._given, self._rest = self.since, set(), [], rest
        self._order = sorted(self._frozen, reverse=True)

    def slice(self, count: int) -> list[tuple[str, Record]]:
        """At most about *count* entities of the cut; [] when all were given."""
        taken, self._thawed = self._thawed, []
        while self._order and len(taken) < count:
            entity = self._order.pop()
            if entity in self._frozen:
                self._frozen.discard(entity)
                taken.append((entity, self._record(entity)))
        self._given += [entity for entity, _ in taken]
        return taken

    def rest(self) -> bytes:
        """What is no entity's, as of the cut."""
        assert self._rest is not None, "nothing is frozen"
        return self._rest

    def unfreeze(self) -> None:
        """Give a cut up, also one that was taken whole: what it held has changed again."""
        self.add(self._frozen)
        self.add(self._given)
        self.add(entity for entity, _ in self._thawed)
        self._frozen, self._order, self._given, self._thawed, self._rest = set(), [], [], [], None

    def add(self, entities: Iterable[str]) -> None:
        """*entities* are to be in the next cut."""
        self.since.update(entities)
