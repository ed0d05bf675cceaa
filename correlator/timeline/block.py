"""A block of a timeline: some 32 packed events, and the live state before the first of them."""

from __future__ import annotations

import msgspec

from correlator.event import Order
from correlator.timeline.live import Match
from correlator.timeline.occupancy import Passage


class Block(msgspec.Struct, array_like=True, gc=False):
    """*entry*: the live state before the first event. *packed*: the events, one after the other."""

    entry: bytes
    first_ms: int
    first_id: str
    count: int
    packed: bytes
    matches: tuple[Match, ...] = ()
    passages: tuple[Passage, ...] = ()

    @property
    def first(self) -> Order:
        return (self.first_ms, self.first_id)
