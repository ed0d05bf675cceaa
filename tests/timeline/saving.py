"""A partition through the bytes of a checkpoint."""

from __future__ import annotations

from correlator.timeline.partition import Partition
from correlator.timeline.program import Program
from tests.timeline.toy import NoScorer


def saved_and_loaded(partition: Partition, program: Program) -> Partition:
    """Of everything, in slices."""
    partition.changed.unfreeze()
    partition.changed.add(partition.timelines.keys())
    partition.freeze()
    entities: dict[str, bytes] = {}
    while piece := partition.changed.slice(1):
        entities |= {key: raw for key, raw in piece if raw is not None}
    return Partition.restore(program, lambda _: NoScorer(), partition.changed.rest(), entities.items())
