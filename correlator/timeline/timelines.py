"""The timelines of a partition by entity: those restored and not asked for yet are the bytes of their record.

Most entities do nothing most of the time. Their live state, as objects, takes several times the memory of
its bytes: only that of those touched lately stays decoded, `rest` packs the others. It changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from correlator.codec import Codes
from correlator.timeline import state
from correlator.timeline.entity import Timeline

OPEN_MAX = 5_000  # of a partition that stay decoded


class Timelines(Mapping[str, Timeline]):
    """Asking for a timeline makes it one; what is done to it then is kept."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes
        self._held: dict[str, Timeline | bytes] = {}
        self._open: dict[str, Timeline] = {}  # whose live state may be decoded; the one opened first is first

    def __getitem__(self, entity: str) -> Timeline:
        timeline = self._held[entity]
        if isinstance(timeline, bytes):
            timeline = self._held[entity] = state.load_timeline(entity, timeline, self._codes)
        self._open[entity] = timeline
        timeline.is_open = timeline.is_recent = True
        return timeline

    def __contains__(self, entity: object) -> bool:
        return entity in self._held

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def peek(self, entity: str) -> Timeline:
        """The timeline of *entity*, to look at: one at rest stays so."""
        timeline = self._held[entity]
        return state.load_timeline(entity, timeline, self._codes) if isinstance(timeline, bytes) else timeline

    def touch(self, entity: str) -> Timeline:
        """The timeline of *entity*, a new one if it has none."""
        found = self._held.get(entity)
        if isinstance(found, Timeline) and found.is_open:
            found.is_recent = True
            return found
        if found is None:
            self._held[entity] = Timeline(entity)
        return self[entity]

    def put(self, entity: str, record: bytes) -> bytes:
        """A timeline at rest: *record* as `state.current` has it, which is returned. Raises `StateError`."""
        self._held[entity] = record = state.current(record)
        return record

    def drop(self, entity: str) -> None:
        del self._held[entity]
        self._open.pop(entity, None)

    def record(self, entity: str) -> bytes | None:
        """The checkpoint record of *entity*; None where there is no timeline."""
        held = self._held.get(entity)
        return held if held is None or isinstance(held, bytes) else state.dump_timeline(held, self._codes)

    def rest(self) -> None:
        """Pack those that were not touched for longest, about, so that no more than `OPEN_MAX` stay open.

        One that was touched since it was looked at last gets another round.
        """
        while len(self._open) > OPEN_MAX:
            entity = next(iter(self._open))
            timeline = self._open.pop(entity)
            if timeline.is_recent:
                timeline.is_recent = False
                self._open[entity] = timeline
            else:
                timeline.is_open = False
                timeline.rest(self._codes)
