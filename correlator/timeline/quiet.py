"""Is a silence quiet? What is believed of a feed at a site, and what follows for each of its sources there.

Believed alive is asked twice (decision 6): of the source, by its heartbeats or a silence short enough, and of
the site's whole feed. How long is short enough is configured for business hours and otherwise, and shorter
where more is usual (`silences`). One that comes back and sends what it kept is not quiet before it has been
silent for its quiet time.

May not know: frames, how marks are folded. Times in ms, UTC.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import msgspec

from correlator.event import NEVER
from correlator.spelling import utc
from correlator.timeline import week
from correlator.timeline.settings import FeedTiming, SiteTiming
from correlator.timeline.silences import Sums, is_missed

EVENING, MORNING = 8, 1.5  # times site_silence_max_business_hours, see `is_site_quiet`
BEATS_MISSED = 3  # in a row, by which a source that has beaten counts as silent


class SourceState(msgspec.Struct, array_like=True):
    """*counted_ms*: newest event that the feed has arrived past. *pending*: newer ones with their arrival,
    which wait for that: the source's older events may lie on another partition. *heard_ms*: newest record,
    *beat_ms*: newest heartbeat, *between_ms*: what usually passes between two, *back_ms*: since when it beats
    again after it did not.
    """

    counted_ms: int = NEVER
    heard_ms: int = NEVER
    pending: list[tuple[int, int]] = []
    count: int = 0
    beat_ms: int = NEVER
    between_ms: int = 0
    back_ms: int = NEVER

    @property
    def alive_ms(self) -> int:
        """The newest sign of life."""
        return max(self.heard_ms, self.beat_ms)

    @property
    def newest_ms(self) -> int:
        """Time of its newest event."""
        return max([self.counted_ms, *(event_ms for event_ms, _ in self.pending)])

    def count_to(self, arrived_ms: int) -> None:
        """The feed has arrived to *arrived_ms*."""
        while self.pending and self.pending[0][1] < arrived_ms:
            self.counted_ms = max(self.counted_ms, self.pending.pop(0)[0])

    def beat(self, heard_ms: int, quiet_ms: int) -> None:
        if self.beat_ms > NEVER:
            since_ms = heard_ms - self.beat_ms
            if self.between_ms and since_ms > BEATS_MISSED * self.between_ms + quiet_ms:
                self.back_ms = heard_ms
            else:
                self.between_ms = max(since_ms, self.between_ms * 7 // 8)
        self.beat_ms = max(heard_ms, self.beat_ms)


class Belief(NamedTuple):
    """What is believed of a feed at a site: how long its sources may be quiet, and whether it is alive."""

    where: SiteTiming | None
    arrived_ms: int
    quiet_ms: int
    is_alive: bool
    sums: Sums  # what it usually says there
    records: int  # of all its sources there
    sure_ms: int  # a silence that long at most is quiet, whenever it is
    listed: AbstractSet[str] = frozenset()  # of its sources that the site is known to have
    is_closed: bool = False  # there is no such site any more


def complete_ms(timing: FeedTiming, belief: Belief, state: SourceState) -> int:
    """Up to which event time everything that the source will say is in the log."""
    arrived_ms = belief.arrived_ms
    if arrived_ms == NEVER:
        return NEVER
    complete_ms = state.counted_ms - timing.bound_ms if state.counted_ms > NEVER else NEVER
    if belief.is_alive and is_source_quiet(timing, belief, state):
        complete_ms = max(complete_ms, arrived_ms - belief.quiet_ms)
    return min(complete_ms, arrived_ms)


def leapt_ms(
    timing: FeedTiming, sources: Mapping[str, SourceState], then: Callable[[int], Belief], way: range
) -> int:
    """To what all *sources* of a feed at a site were complete at the last time in *way* at which all of them
    were believed alive, where they are not any more at its end; else NEVER. *then*: what was believed.

    What a feed has arrived to may leap over hours: in a file, at its end, after an outage. Whoever had a tick
    every second was told what holds in between.
    """

    def waited_for(belief: Belief) -> list[SourceState]:
        return [state for name, state in sources.items() if not is_gone(timing, belief, name, state)]

    def is_dead(at_ms: int) -> bool:
        belief = then(at_ms)
        return not belief.is_alive or any(is_silent(timing, belief, s) for s in waited_for(belief))

    if not way or not is_dead(way.stop):
        return NEVER
    alive = bisect_left(way, True, key=is_dead)
    belief = then(way[alive - 1])
    return (
        min((complete_ms(timing, belief, s) for s in waited_for(belief)), default=NEVER) if alive else NEVER
    )


def is_source_quiet(timing: FeedTiming, belief: Belief, state: SourceState) -> bool:
    """Is it believed alive, and not under way with what it kept?"""
    return not is_catching_up(belief, state) and not is_silent(timing, belief, state)


def is_gone(timing: FeedTiming, belief: Belief, source: str, state: SourceState) -> bool:
    """Is it silent, and none of those that the site is known to have? Nobody waits for a controller that was
    taken out of service, nor for those of a site that was closed.
    """
    is_out = belief.is_closed or (bool(belief.listed) and source not in belief.listed)
    return is_out and is_silent(timing, belief, state)


def is_silent(timing: FeedTiming, belief: Belief, state: SourceState) -> bool:
    """Was nothing heard of it for so long that it may be dead?"""
    arrived_ms, where = belief.arrived_ms, belief.where
    if state.between_ms and arrived_ms - state.alive_ms > BEATS_MISSED * state.between_ms + belief.quiet_ms:
        return True
    if arrived_ms - state.alive_ms <= belief.sure_ms:
        return False
    most_ms, most_business_ms = timing.silence_max_ms, timing.silence_max_business_hours_ms
    if not is_quiet(where, state.alive_ms, arrived_ms, most_ms, most_business_ms):
        return True
    if state.alive_ms == state.beat_ms or not belief.records:
        return False
    share = (state.count, belief.records)
    return is_missed(belief.sums, zone(where), state.alive_ms, arrived_ms, share)


def is_catching_up(belief: Belief, state: SourceState) -> bool:
    """Does it beat again since just now, or was its newest event old when it was heard just now? A source
    that sends what it kept is not quiet.
    """
    arrived_ms, quiet_ms = belief.arrived_ms, belief.quiet_ms
    is_late = arrived_ms - state.heard_ms < quiet_ms and state.heard_ms - state.newest_ms > quiet_ms
    return arrived_ms - state.back_ms < quiet_ms or is_late


def quiet_ms(timing: FeedTiming, where: SiteTiming | None, at_ms: int) -> int:
    """How long after arrival a quiet source had nothing to say."""
    if where is not None and week.is_within(where.business_hours, where.time_zone, at_ms):
        return max(timing.quiet_ms, timing.site_silence_max_business_hours_ms)
    return timing.quiet_ms


def zone(where: SiteTiming | None) -> str:
    return "UTC" if where is None else where.time_zone


def is_quiet(
    site: SiteTiming | None, heard_ms: int, arrived_ms: int, most_ms: int, most_business_ms: int
) -> bool:
    """Is the silence since *heard_ms* short enough to believe that there was nothing to say?"""
    silence_ms = max(0, arrived_ms - heard_ms)
    if silence_ms <= min(most_ms, most_business_ms):  # whichever hours it falls into
        return True
    hours = site.business_hours if site is not None else ()
    within_ms = (
        week.business_ms(hours, site.time_zone, heard_ms, arrived_ms) if site is not None and hours else 0
    )
    return within_ms <= most_business_ms and silence_ms - within_ms <= most_ms


def is_site_quiet(site: SiteTiming | None, heard_ms: int, arrived_ms: int, timing: FeedTiming) -> bool:
    """Likewise of all sources of a site. Who works there leaves before closing time and comes after opening:
    a silence that begins in the last `EVENING` limits before the one may last for `MORNING` after the other.
    """
    most_ms, business_ms = timing.site_silence_max_ms, timing.site_silence_max_business_hours_ms
    if site is not None and business_ms > 0 and arrived_ms - heard_ms > min(most_ms, business_ms):
        evening_ms = week.rest_ms(site.business_hours, site.time_zone, heard_ms)
        if evening_ms <= EVENING * business_ms:
            business_ms = evening_ms + int(MORNING * business_ms)
    return is_quiet(site, heard_ms, arrived_ms, most_ms, business_ms)


def since(heard_ms: int, to_ms: int) -> str:
    """Why it is taken as complete to *to_ms*. What it said after that breaks no silence, but shows it alive.

    With the date: a verdict may be of another day than its event, and the reader's clock of a third one.
    """
    if heard_ms == NEVER:  # but for its heartbeats
        return "never reported anything"
    said = "quiet since" if heard_ms <= to_ms else "heard again at"
    return f"{said} {utc(heard_ms):%Y-%m-%d %H:%M} UTC"
