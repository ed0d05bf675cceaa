"""Answers from a partition that somebody looks at: who was where, and what one entity's day was like.

Asks the same events that rules are folded over, as of any time within the history. Changes nothing: an entity
is looked at in what it keeps, not touched. May not know: topics, how answers are shown.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from correlator.codec import owner_of
from correlator.event import Event, Person
from correlator.timeline import pack
from correlator.timeline.entity import Timeline
from correlator.timeline.fold import step
from correlator.timeline.live import Live, Stay
from correlator.timeline.partition import Partition
from correlator.timeline.presence import belief, believed, likeliest


class Present(msgspec.Struct, frozen=True):
    """*entity* is believed to be there, with *confidence* (0..1). *newest*: the last evidence of it."""

    entity: str
    person: Person | None
    stay: Stay
    confidence: float
    newest: Event | None


class Moment(msgspec.Struct, frozen=True):
    """*event*, and the *stays* believed after it, each with its confidence, the likeliest first."""

    event: Event
    stays: tuple[tuple[Stay, float], ...]


def kept_from_ms(partition: Partition) -> int:
    """Since when it can be asked what happened (event time, ms, UTC)."""
    return partition.now_ms - partition.program.settings.horizon_ms


def present(
    partition: Partition, at_ms: int, *, site: str, zone: str = "", least: float = 0.0
) -> Iterator[Present]:
    """Who is believed, by more than *least*, to be at *site* (in *zone*) at *at_ms*."""
    settings = partition.program.settings
    for entity in partition.timelines:
        if not entity.startswith("identity:"):
            continue
        timeline = partition.timelines.peek(entity)
        live = live_at(partition, timeline, at_ms)
        stay = likeliest(live.stays, at_ms, settings)
        if stay is None or stay.site != site or (zone and stay.zone != zone):
            continue
        confidence = belief(stay, at_ms, settings)
        if confidence > least:
            newest = next(iter(partition.events(entity, stay.evidence[-1:])), None)
            yield Present(entity, live.person or partition.person(entity), stay, confidence, newest)


def live_at(partition: Partition, timeline: Timeline, at_ms: int) -> Live:
    """What rules could have looked back on at *at_ms*, with all that is known now."""
    codes, owner = partition.codes, owner_of(timeline.entity)
    blocks = [block for block in timeline.blocks if block.first_ms <= at_ms]
    if not timeline.blocks or timeline.last[0] <= at_ms:
        raw = timeline.at_rest(codes)
        return pack.load_live(raw, codes, owner) if raw else Live()
    block = blocks[-1] if blocks else timeline.blocks[0]
    live = pack.load_live(block.entry, codes, owner) if block.entry else Live()
    for event in pack.load_events(block.packed, block.count, codes, owner):
        if event.time_ms <= at_ms:
            live, _ = step(timeline.entity, live, event, partition.program)
    return live


def moments(partition: Partition, entity: str) -> list[Moment]:
    """Every event that *entity* still holds, oldest first, with where it was believed to be then."""
    timeline, settings = partition.timelines.get(entity), partition.program.settings
    if timeline is None or not timeline.blocks:
        return []
    codes, owner = partition.codes, owner_of(entity)
    live = pack.load_live(timeline.blocks[0].entry, codes, owner) if timeline.blocks[0].entry else Live()
    found = []
    for event in timeline.events(codes):
        live, _ = step(entity, live, event, partition.program)
        stays = believed(live.stays, event.time_ms, settings)
        weighed = [(stay, belief(stay, event.time_ms, settings)) for stay in stays]
        weighed.sort(key=lambda pair: -pair[1])
        found.append(Moment(event, tuple(pair for pair in weighed if pair[1] > 0)))
    return found
