"""How far a stage is behind the log, told to the meter now and then: asking costs a round trip."""

from __future__ import annotations

from collections.abc import Iterable

from correlator.engine.ports import Clock, GroupReader, Meter, TopicPartition

EVERY_MS = 5_000
LAG = "correlator_consumer_lag_records"


class Lag:
    def __init__(self, stage: str, reader: GroupReader, steady: Clock, meter: Meter) -> None:
        self._stage, self._reader, self._steady, self._meter = stage, reader, steady, meter
        self._told_ms = steady.now_ms()
        self._told: set[TopicPartition] = set()

    def tell(self, positions: Iterable[tuple[TopicPartition, int]]) -> None:
        """*positions*: the next record that is not taken yet, of each owned partition."""
        now_ms = self._steady.now_ms()
        if now_ms - self._told_ms < EVERY_MS:
            return
        self._told_ms, known = now_ms, dict(positions)
        for tp in self._told - known.keys():  # another process has it now
            self._meter.forget(LAG, **self._labels(tp))
        self._told = set(known)
        for tp, end in self._reader.end_offsets(known).items():
            self._meter.set(LAG, max(0, end - known[tp]), **self._labels(tp))

    def _labels(self, tp: TopicPartition) -> dict[str, str]:
        return {"stage": self._stage, "topic": tp.topic, "partition": str(tp.partition)}
