"""What operators are told of each source at each site, as the marks know it; no fold asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from correlator.event import NEVER
from correlator.timeline import quiet
from correlator.timeline.marks import Marks
from correlator.timeline.silences import is_missed


class Standing(msgspec.Struct, frozen=True):
    """What operators are told of a source at a site. Times in ms, UTC, NEVER for what never was."""

    feed: str  # feed file
    kind: str
    site: str
    source: str
    alive_ms: int = NEVER  # newest sign of life
    newest_ms: int = NEVER  # newest event
    complete_ms: int = NEVER
    skew_ms: int = 0  # of its clock, positive if ahead
    is_quarantined: bool = False
    is_catching_up: bool = False  # it sends what it kept, or had no time yet to do so
    is_silent: bool = False
    is_site_silent: bool = False  # the whole feed there
    is_missed: bool = False  # which is known to say more at such a time
    is_gone: bool = False  # silent, and taken out of `sources` of its site

    @property
    def state(self) -> str:
        """never_heard | silent | live."""
        if self.alive_ms == NEVER:
            return "never_heard"
        return "silent" if self.is_silent or self.is_site_silent else "live"


def standings(marks: Marks) -> list[Standing]:
    """Of every source that was heard or is configured, by feed, site and name; not of closed sites."""
    return sorted([*_heard(marks), *_never_heard(marks)], key=lambda s: (s.kind, s.site, s.feed, s.source))


def _heard(marks: Marks) -> Iterator[Standing]:
    for (feed, source, site), state in marks.sources.items():
        timing = marks.timing.get(feed)
        if timing is None:
            continue
        belief, skew_ms = marks.belief(timing, site), marks.clocks.skew_ms.get((feed, source), 0)
        is_gone = quiet.is_gone(timing, belief, source, state)
        if is_gone and belief.is_closed:
            continue
        heard_ms, arrived_ms = marks.heard[feed, site], belief.arrived_ms
        yield Standing(
            feed,
            timing.kind,
            site,
            source,
            state.alive_ms,
            state.newest_ms,
            quiet.complete_ms(timing, belief, state),
            skew_ms,
            is_quarantined=abs(skew_ms) > marks.settings.skew_max_ms and not is_gone,
            is_silent=quiet.is_silent(timing, belief, state),
            is_catching_up=arrived_ms > NEVER and quiet.is_catching_up(belief, state),
            is_site_silent=not marks.is_alive((feed, site), heard_ms, arrived_ms),
            is_missed=is_missed(belief.sums, quiet.zone(belief.where), heard_ms, arrived_ms),
            is_gone=is_gone,
        )


def _never_heard(marks: Marks) -> Iterator[Standing]:
    for where in marks.settings.sites:
        for feed, source in where.sources:
            if feed in marks.timing and (feed, source, where.site) not in marks.sources:
                yield Standing(feed, marks.timing[feed].kind, where.site, source)
