"""How far a stage is behind the log, told to the meter now and then: asking costs a round trip."""

from __future__ import annotations

from collections.abc import Iterable

from correlator.engine.ports import Clock, GroupReader, Meter, TopicPartition
from correlator.engine.shown import Shown

EVERY_MS = 5_000


class Lag:
    def __init__(self, stage: str, reader: GroupReader, steady: Clock, meter: Meter) -> None:
        self._stage, self._reader, self._steady, self._shown = stage, reader, steady, Shown(meter)
        self._told_ms = steady.now_ms()

    def tell(self, positions: Iterable[tuple[TopicPartition, int]]) -> None:
        """*positions*: the next record that is not taken yet, of each owned partition."""
        now_ms = self._steady.now_ms()
        if now_ms - self._told_ms < EVERY_MS:
            return
        self._told_ms, known = now_ms, dict(positions)
        ends = self._reader.end_offsets(known)
        name = "correlator_consumer_lag_records"
        self._shown.tell(
            {
                (name, self._stage, tp.topic, str(tp.partition)): max(0, end - known[tp])
                for tp, end in ends.items()
            }
        )
