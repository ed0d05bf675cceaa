"""Who waits for which mark: visits exactly those entities when it passes, however quiet they are.

Keys are (feed, site) for completeness, `CLOCK` for *now*, `IDLE` for an entity that may have nothing left
to keep. Follows from the timelines and need not be saved.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

Key = tuple[str, str]
CLOCK: Key = ("", "clock")
IDLE: Key = ("", "idle")


class Wakes:
    __slots__ = ("_asked", "_heaps")

    def __init__(self) -> None:
        self._heaps: dict[Key, list[tuple[int, str]]] = {}
        self._asked: set[tuple[Key, int, str]] = set()

    def ask(self, key: Key, when_ms: int, entity: str) -> None:
        """Come back to *entity* when *key* has reached *when_ms*. Who asks for `IDLE` does so once."""
        if key == IDLE:  # one for each entity: they are not worth a set
            heappush(self._heaps.setdefault(key, []), (when_ms, entity))
            return
        if (key, when_ms, entity) not in self._asked:
            self._asked.add((key, when_ms, entity))
            heappush(self._heaps.setdefault(key, []), (when_ms, entity))

    def woken(self, reached: Callable[[Key], int]) -> list[tuple[str, Key, int]]:
        """(entity, key, when) of all whose mark has passed, sorted; they are forgotten here."""
        woken = []
        for key, heap in self._heaps.items():
            at_ms = reached(key)
            while heap and heap[0][0] <= at_ms:
                when_ms, entity = heappop(heap)
                self._asked.discard((key, when_ms, entity))
                woken.append((entity, key, when_ms))
        return sorted(woken)

    def forget(self, edge_ms: int) -> None:
        """Nobody waits any more for what a feed says of the time before *edge_ms*: it would be refused."""
        for key, heap in self._heaps.items():
            while key[0] and heap and heap[0][0] < edge_ms:
                when_ms, entity = heappop(heap)
                self._asked.discard((key, when_ms, entity))

    def count(self) -> dict[Key, int]:
        """How many decisions wait, by feed and site."""
        return {key: len(heap) for key, heap in self._heaps.items() if heap and key[0]}

    def oldest_ms(self, key: Key) -> int | None:
        heap = self._heaps.get(key)
        return heap[0][0] if heap else None
