"""Partitions of *keyed* that are folded in rounds, without a log: see `rounds`."""

from __future__ import annotations

from collections.abc import Iterable

from correlator.frame import decode_frame, encode_frame
from correlator.models.scorer import Scorer
from correlator.pipeline import Bundle, Saying, fold_step, only, to_say
from correlator.timeline.partition import Partition
from correlator.timeline.telling import Told, frames

Framed = list[tuple[int, bytes]]  # (partition of *keyed*, encoded frame), in order
Said = list[tuple[int, Told]]  # (partition, what its entities tell others), in order
Published = tuple[bytes, bool]  # alert record, whether in shadow


class Share:
    """Partitions *numbers* of *keyed*, and what they publish."""

    def __init__(self, bundle: Bundle, numbers: Iterable[int]) -> None:
        self._newest: dict[str, Saying] = {}  # by uid: only what is told last is written
        self._bundle, self._force = bundle, only(bundle)
        self._by_number = {number: Partition(bundle.program, Scorer(number), number) for number in numbers}

    @property
    def numbers(self) -> frozenset[int]:
        return frozenset(self._by_number)

    def fold(self, said: Said, made: Framed) -> Said:
        """A round: of what anybody's entities told in the last one, and what intake *made* for this share."""
        answer: Said = []
        for number, raw in self._told(said) + made:
            partition = self._by_number[number]
            folded = fold_step(decode_frame(raw, partition.codes), partition, self._force)
            answer.append((number, folded.told))
            for saying in to_say(folded.changes, partition, self._force, crc=0):
                self._newest[saying.change.alert.uid] = saying
        return answer

    def alerts(self) -> list[Published]:
        """Each as it was told last."""
        return [(said.record().value, said.change.alert.is_shadow) for said in self._newest.values()]

    def _told(self, said: Said) -> Framed:
        partitions, name = self._bundle.intake.partitions, self._bundle.hash
        told = frames(sorted(said, key=_number), partitions, name)  # whoever it was that folded it
        return [(number, encode_frame(frame)) for number, frame in told if number in self._by_number]


def _number(row: tuple[int, Told]) -> int:
    return row[0]
