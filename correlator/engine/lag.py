"""How far a stage is behind the log, told to the meter now and then: asking costs a round trip.

And who waits in vain: records that have arrived and cannot be read, for a transaction before them is open.
Nothing fails then, and nothing moves.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from correlator.engine.ports import Clock, GroupReader, Meter, TopicPartition
from correlator.engine.shown import Shown

EVERY_MS = 5_000
VAIN_MS = 60_000  # longer than the broker needs to abort the transaction of a dead producer of ours


class Lag:
    def __init__(self, stage: str, reader: GroupReader, steady: Clock, meter: Meter) -> None:
        self._stage, self._reader, self._steady, self._shown = stage, reader, steady, Shown(meter)
        self._told_ms = steady.now_ms()
        self._ends: Mapping[TopicPartition, int] = {}
        self._stands: dict[TopicPartition, tuple[int, int]] = {}  # position, and since when it waits there

    def tell(
        self, positions: Iterable[tuple[TopicPartition, int]], full: Container[TopicPartition] = ()
    ) -> None:
        """*positions*: the next record that is not taken yet, of each owned partition. *full*: those of which
        no more is wanted now.
        """
        now_ms = self._steady.now_ms()
        if now_ms - self._told_ms < EVERY_MS:
            return
        self._told_ms, known = now_ms, dict(positions)
        ends = self._ends = self._reader.end_offsets(known)
        name = "correlator_consumer_lag_records"
        self._shown.tell(
            {
                (name, self._stage, tp.topic, str(tp.partition)): max(0, end - known[tp])
                for tp, end in ends.items()
            }
        )
        waiting = [tp for tp, at in known.items() if at < ends[tp] and tp not in full]
        self._stands = {tp: self._since(tp, known[tp], now_ms) for tp in waiting}

    def waiting(self) -> tuple[str, ...]:
        """Which partitions give nothing, though their log goes on, for a person."""
        now_ms = self._told_ms
        return tuple(
            unreadable(tp, position, self._ends[tp], now_ms - since_ms)
            for tp, (position, since_ms) in sorted(self._stands.items())
            if now_ms - since_ms >= VAIN_MS
        )

    def _since(self, tp: TopicPartition, position: int, now_ms: int) -> tuple[int, int]:
        before = self._stands.get(tp)
        return before if before is not None and before[0] == position else (position, now_ms)


def unreadable(tp: TopicPartition, position: int, end: int, stood_ms: int) -> str:
    who = f"kafka-transactions.sh … describe-producers --topic {tp.topic} --partition {tp.partition}"
    return (
        f"{tp}: nothing can be read at offset {position} for {stood_ms // 1_000} s, though the log goes on "
        f"to {end}: is a transaction open there (`{who}`)?"
    )
