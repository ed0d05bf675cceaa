"""How far the clocks of sources are off, as marks show it, and what one that is off may still be used for.

What arrives before it happened comes from a clock that is ahead, by as much at least. What always takes
longer than with other sources of its feed comes from one that is behind; that can be told only where it is
known what the way takes: the feed says so (`delay`), or enough of its sources agree. Of each minute the least
lag counts, and of the minutes of an hour or two the third least: an odd record or two move no clock.

An event carries the skew of its source as known when it came (`Shape.skew_s`), and the most among the sources
of its site (`Shape.site_skew_s`). Like a score it is not taken again: folds stay pure. It widens what is
granted for clocks that differ. Beyond `Settings.skew_max_ms` a source is in quarantine: its events may
explain, and contradict nobody.

May not know: events' meaning, arrival of records. State: `dump` and `load`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter

import msgspec
from msgspec.structs import replace

from correlator.event import DAY_MS, FOREVER, HOUR_MS, MINUTE_MS, NEVER, SECOND_MS, Event, Shape
from correlator.timeline.settings import Settings

SPAN_MS = HOUR_MS  # of arrival that a span takes at least; two of them are looked at
MINUTES_MIN = 10  # with marks in a span, before it says anything
AGREE_MS = 30 * SECOND_MS  # within which the least lags of a clock that is behind lie
SOURCES_MIN = 3  # of a feed, before they tell what its way takes
SITE_MAX_MS = 5 * MINUTE_MS  # an event further ahead than this has the time of its arrival anyhow
FORGET_MS = 7 * DAY_MS  # a clock that was not heard for so long dates nothing at its sites any more
_KEPT = 3  # least lags of a span

SourceName = tuple[str, str]  # feed file, source
# Skew is told in steps, so that shapes do not multiply: (below this, step)
_STEPS = ((5 * MINUTE_MS, 5 * SECOND_MS), (HOUR_MS, MINUTE_MS), (FOREVER, HOUR_MS))


class Clock(msgspec.Struct, array_like=True):
    """Least lags (arrival less event time, ms), of one a minute, in the span since *since_ms* and in the one
    before. *minute_ms* and *minute_lag_ms* are those of the minute that is not over yet.
    """

    sites: list[str] = []  # that the source serves, sorted
    since_ms: int = NEVER
    minutes: int = 0
    least: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    minute_ms: int = NEVER
    minute_lag_ms: int = 0

    def hear(self, site: str, heard_ms: int, lag_ms: int) -> bool:
        """Whether a span has come to its end."""
        if site not in self.sites:
            self.sites = sorted([*self.sites, site])
        if heard_ms < self.minute_ms + MINUTE_MS:
            self.minute_lag_ms = min(lag_ms, self.minute_lag_ms)
            return False
        if self.minute_ms > NEVER:
            self.least = tuple(sorted((*self.least, self.minute_lag_ms))[:_KEPT])
            self.minutes += 1
        self.minute_ms, self.minute_lag_ms = heard_ms, lag_ms
        is_over = self.minutes >= MINUTES_MIN and heard_ms - self.since_ms >= SPAN_MS
        if is_over:
            self.before, self.least, self.minutes = self.least, (), 0
        if self.minutes == 0:
            self.since_ms = heard_ms
        return is_over

    @property
    def lags_ms(self) -> tuple[int, ...]:
        """The least few, the clock's error in them; () as long as too little was heard."""
        if not self.before and self.minutes < MINUTES_MIN:
            return ()
        return tuple(sorted((*self.before, *self.least))[:_KEPT])


class Clocks:
    """Of all sources. *skew_ms* has those that are off, positive if ahead; *site_skew_ms* the most of a site,
    either way. Both follow from what was heard.
    """

    def __init__(self, settings: Settings) -> None:
        self.skew_ms: dict[SourceName, int] = {}
        self.site_skew_ms: dict[str, int] = {}
        self._clocks: dict[SourceName, Clock] = {}
        self._delay_ms: dict[str, int | None] = {}  # what the way of a feed takes
        self._newest_ms = NEVER  # beginning of the newest span of any clock that has one behind it
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """From the next event on."""
        self._given_ms = {timing.feed: timing.delay_ms for timing in settings.feeds}
        for feed in sorted({feed for feed, _ in self._clocks}):
            self._ask_all(feed)

    def hear(self, name: SourceName, site: str, heard_ms: int, lag_ms: int) -> None:
        """One mark of a source that serves *site*."""
        clock = self._clocks.get(name)
        if clock is None:
            clock = self._clocks[name] = Clock()
        is_known = site in clock.sites and not self._is_forgotten(clock)
        least = clock.least
        if clock.hear(site, heard_ms, lag_ms):
            self._newest_ms = max(clock.since_ms, self._newest_ms)
            self._ask_all(name[0])
            return
        is_other = clock.least != least or clock.minutes == MINUTES_MIN
        if (is_other and self._ask(name, clock)) or (not is_known and name in self.skew_ms):
            self._ask_sites()

    def dated(
        self, rows: Sequence[tuple[str, Event]], known: Callable[[Shape], Shape]
    ) -> Iterable[tuple[str, Event]]:
        """*rows* of a frame, with what is known now of the clocks that dated them. *known*: see `codec`."""
        return [(entity, self._dated(event, known)) for entity, event in rows] if self.skew_ms else rows

    def _dated(self, event: Event, known: Callable[[Shape], Shape]) -> Event:
        shape, place = event.shape, event.shape.place
        skew_ms = self.skew_ms.get((shape.feed, shape.source), 0)
        site_ms = self.site_skew_ms.get(place.site, 0) if place is not None else 0
        if not skew_ms and not site_ms:
            return event
        off = replace(shape, skew_s=skew_ms // SECOND_MS, site_skew_s=site_ms // SECOND_MS)
        return replace(event, shape=known(off))

    def _ask_all(self, feed: str) -> None:
        """What the way of *feed* takes: given, or what half of its sources keep to; and what follows."""
        clocks = {name: clock for name, clock in self._clocks.items() if name[0] == feed}
        known = sorted(clock.before[-1] for clock in clocks.values() if clock.before)
        self._delay_ms[feed] = self._given_ms.get(feed)
        if self._delay_ms[feed] is None and len(known) >= SOURCES_MIN:
            self._delay_ms[feed] = max(0, known[len(known) // 2])
        for name, clock in clocks.items():
            self._ask(name, clock)
        self._ask_sites()

    def _ask(self, name: SourceName, clock: Clock) -> bool:
        """Whether the skew of the source is another than before."""
        skew_ms = _skew_ms(clock.lags_ms, self._delay_ms.get(name[0], self._given_ms.get(name[0])))
        if skew_ms == self.skew_ms.get(name, 0):
            return False
        if skew_ms:
            self.skew_ms[name] = skew_ms
        else:
            del self.skew_ms[name]
        return True

    def _ask_sites(self) -> None:
        self.site_skew_ms = {}
        for name, skew_ms in self.skew_ms.items():
            if self._is_forgotten(self._clocks[name]):
                continue
            most_ms = min(abs(skew_ms), SITE_MAX_MS)
            for site in self._clocks[name].sites:
                self.site_skew_ms[site] = max(most_ms, self.site_skew_ms.get(site, 0))

    def _is_forgotten(self, clock: Clock) -> bool:
        return self._newest_ms - clock.minute_ms > FORGET_MS

    # -------------------------------------------------------------------- state

    def dump(self) -> list[tuple[SourceName, Clock]]:
        return sorted(self._clocks.items(), key=itemgetter(0))

    def load(self, dumped: Iterable[tuple[SourceName, Clock]]) -> None:
        self._clocks = dict(dumped)
        self._newest_ms = max((c.since_ms for c in self._clocks.values() if c.before), default=NEVER)
        for feed in sorted({feed for feed, _ in self._clocks}):
            self._ask_all(feed)


def _skew_ms(lags_ms: Sequence[int], delay_ms: int | None) -> int:
    """In steps; 0 where nothing speaks against the clock. What an upload brings is late by less and less."""
    if not lags_ms:
        return 0
    lag_ms = lags_ms[-1]
    if lag_ms < 0:
        return _in_steps(-lag_ms)
    if delay_ms is None or lag_ms <= delay_ms or lag_ms - lags_ms[0] > AGREE_MS:
        return 0
    return -_in_steps(lag_ms - delay_ms)


def _in_steps(off_ms: int) -> int:
    step_ms = next(step_ms for below_ms, step_ms in _STEPS if off_ms < below_ms)
    return (off_ms + step_ms // 2) // step_ms * step_ms


def margin_ms(shape: Shape) -> int:
    """What the clock of the event's source may be off, either way."""
    return abs(shape.skew_s) * SECOND_MS if shape.skew_s else 0


def is_quarantined(shape: Shape, settings: Settings) -> bool:
    """Is the clock of the event's source off by so much that it contradicts nobody?"""
    return bool(shape.skew_s) and margin_ms(shape) > settings.skew_max_ms
