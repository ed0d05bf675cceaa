"""When the events of a timeline are final, and count for what reads teach of doors (`ways`)."""

from __future__ import annotations

from correlator.codec import Codes
from correlator.event import DAY_MS, FOREVER
from correlator.timeline import pack
from correlator.timeline.entity import Timeline
from correlator.timeline.ways import Ways


def is_to_teach(timeline: Timeline, edge_ms: int) -> bool:
    """Are there final events not counted yet (`ways`) that are about to go, or of a day that is over?"""
    blocks, counted_ms = timeline.blocks, timeline.trail.counted_ms
    if edge_ms <= counted_ms or not blocks or not timeline.entity.startswith("identity:"):
        return False
    if edge_ms // DAY_MS > counted_ms // DAY_MS or timeline.last[0] < edge_ms:
        return True
    return len(blocks) > 1 and blocks[1].first_ms < edge_ms


def teach(timeline: Timeline, edge_ms: int, ways: Ways, codes: Codes) -> None:
    """Count what is final by *edge_ms*."""
    owner, blocks, counted_ms = timeline.owner, timeline.blocks, timeline.trail.counted_ms
    ends = [*(block.first_ms for block in blocks[1:]), FOREVER]
    untold = [
        b for b, end_ms in zip(blocks, ends, strict=True) if b.first_ms < edge_ms and end_ms >= counted_ms
    ]
    events = (e for b in untold for e in pack.load_events(b.packed, b.count, codes, owner))
    timeline.trail = ways.count(timeline.trail, events, edge_ms, codes)
