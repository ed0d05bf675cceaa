"""Which numbers of the table of shapes a partition still uses: the others are given away again.

Numbers stand in what is packed: histories, the live states before their blocks, and those at rest.
May not know: frames, topics.
"""

from __future__ import annotations

from collections.abc import Iterator

from correlator.codec import Codes
from correlator.timeline import kept, pack
from correlator.timeline.entity import Timeline
from correlator.timeline.timelines import Timelines


def used(timelines: Timelines, codes: Codes) -> set[int]:
    """The numbers in the records that all *timelines* would have in a checkpoint."""
    return {code for entity in timelines for code in _numbers(timelines.peek(entity), codes)}


def _numbers(timeline: Timeline, codes: Codes) -> Iterator[int]:
    for live in (timeline.at_rest(codes), *(block.entry for block in timeline.blocks)):
        if live:
            yield from pack.numbers_in_live(live)
    for block in timeline.blocks:
        yield from pack.numbers_in(block.packed, block.count)
    yield from kept.numbers_in(timeline.kept)
    if timeline.moved is not None:
        yield from (codes.shape_codes[event.shape] for event in timeline.moved.events())
    if timeline.trail.shape >= 0:
        yield timeline.trail.shape
