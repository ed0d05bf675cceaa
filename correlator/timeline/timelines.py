"""The timelines of a partition by entity: at rest the bytes of their checkpoint record, a few of them open.

Most entities do nothing most of the time, and a timeline as objects takes twice the memory of its record. So
only those touched last stay open; `rest` packs the others. Whether one is open changes nothing about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from correlator.codec import Codes
from correlator.timeline import state
from correlator.timeline.entity import Timeline

OPEN_MAX = 500  # that stay open, the ones touched last


class Timelines(Mapping[str, Timeline]):
    """Asking for a timeline opens it; what is done to it then is kept."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes
        self._records: dict[str, bytes] = {}  # b"" of an open one
        self._open: dict[str, Timeline] = {}  # touched last at the end

    def __getitem__(self, entity: str) -> Timeline:
        timeline = self._open.pop(entity, None)
        if timeline is None:
            timeline = state.load_timeline(entity, self._records[entity])
            self._records[entity] = b""
        self._open[entity] = timeline
        return timeline

    def __contains__(self, entity: object) -> bool:
        return entity in self._records

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def touch(self, entity: str) -> Timeline:
        """The timeline of *entity*, a new one if it has none."""
        if entity not in self._records:
            self._records[entity] = b""
            self._open[entity] = Timeline(entity)
        return self[entity]

    def put(self, entity: str, record: bytes) -> None:
        """A timeline at rest. Raises `StateError` for a record of another format."""
        state.check(record)
        self._records[entity] = record

    def drop(self, entity: str) -> None:
        del self._records[entity]
        self._open.pop(entity, None)

    def record(self, entity: str) -> bytes | None:
        """The checkpoint record of *entity*; None where there is no timeline."""
        timeline = self._open.get(entity)
        if timeline is None:
            return self._records.get(entity)
        return state.dump_timeline(timeline, self._codes)

    def rest(self) -> None:
        """Pack those that were touched longest ago, so that no more than `OPEN_MAX` stay open."""
        while len(self._open) > OPEN_MAX:
            entity = next(iter(self._open))
            timeline = self._open.pop(entity)
            self._records[entity] = state.dump_timeline(timeline, self._codes)
