"""When to look whether a timeline can be dropped: who has nothing worth keeping must not stay for ever.

One wake an entity. What is asked follows from the timeline, as a restore finds it.
"""

from __future__ import annotations

from correlator.codec import Codes
from correlator.event import FOREVER, NEVER
from correlator.timeline.entity import Timeline
from correlator.timeline.live import Live
from correlator.timeline.wakes import IDLE, Wakes


class Idle:
    __slots__ = ("_wakes", "when")

    def __init__(self, wakes: Wakes) -> None:
        self._wakes = wakes
        self.when: dict[str, int] = {}  # entity -> time of *now*

    def look_ms(self, entity: str) -> int:
        return self.when.get(entity, FOREVER)

    def ask(self, timeline: Timeline, codes: Codes, horizon_ms: int) -> None:
        """Look again when all it holds is older than the horizon."""
        newest_ms = newest(timeline, codes, horizon_ms)
        when_ms = newest_ms + horizon_ms + 1
        if newest_ms > NEVER and when_ms < self.look_ms(timeline.entity):
            self.when[timeline.entity] = when_ms
            self._wakes.ask(IDLE, when_ms, timeline.entity)

    def is_due(self, timeline: Timeline, at_ms: int, now_ms: int, codes: Codes, horizon_ms: int) -> bool:
        """Is the look that was asked for *at_ms* still to be taken? Else it is asked for again."""
        if self.when.get(timeline.entity) != at_ms:  # asked by a timeline that was dropped since
            return False
        del self.when[timeline.entity]
        newest_ms = newest(timeline, codes, horizon_ms)
        is_idle = newest_ms + horizon_ms < now_ms
        if not is_idle:
            self.ask(timeline, codes, horizon_ms)
        return is_idle and newest_ms > NEVER

    def forget(self, entity: str) -> None:
        self.when.pop(entity, None)


def newest(timeline: Timeline, codes: Codes, horizon_ms: int) -> int:
    """Time (ms) of its newest event, open alert or verdict that it waits for; NEVER without any.

    Late events may add to what has no person, but left windows or an episode: for a horizon more.
    """
    edge_ms, waiting = timeline.tally.edge_ms, timeline.waiting(codes)
    newest_ms = timeline.newest_ms
    if waiting:
        newest_ms = max([newest_ms, *(w.due_ms for w in waiting if w.due_ms >= edge_ms)])
    if newest_ms == NEVER < edge_ms and (live := timeline.touch(codes)).is_worthless:
        return edge_ms + horizon_ms if leaves_something(timeline, live) else NEVER
    return newest_ms


def is_spent(timeline: Timeline, rested_ms: int, codes: Codes, horizon_ms: int) -> bool:
    """Can nothing that is still to come tell whether the timeline, empty for *rested_ms*, was kept?"""
    live = timeline.touch(codes)
    if not live.is_worthless or any(w.due_ms >= timeline.tally.edge_ms for w in live.waiting):
        return False
    return rested_ms > horizon_ms or not leaves_something(timeline, live)


def leaves_something(timeline: Timeline, live: Live) -> bool:
    """Windows or an episode that a late event may add to."""
    return bool(live.windows or timeline.tally.episodes)
