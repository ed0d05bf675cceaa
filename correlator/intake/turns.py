"""Local times that only more than their text can settle: of which site's zone, before or after the clocks
went back.

In autumn an hour of local time comes twice. A time within it is the later one where it has only just happened
when it arrives, or where the source's own counter says that its clock had gone back by then: a later number
with an earlier time. Else it is the first: an event that seems an hour too early is only late, which a
timeline can handle; one an hour ahead is not.

May not know: topics, records. What is remembered is lost with the process: then the first counts.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec

from correlator.event import HOUR_MS, MINUTE_MS
from correlator.intake.instants import Twice, Unfit, Wall, of_wall

FRESH_MS = 5 * MINUTE_MS  # what arrives within this time has only just happened
AHEAD_MS = MINUTE_MS  # what a source's clock may be ahead without that
NIGHT_MS = 12 * HOUR_MS  # further apart, two times are not of one night
SOURCES_MAX = 10_000


class _Turn(msgspec.Struct):
    """One source in the night in which its clock goes back. *turned*: a number after that."""

    newest: int
    newest_ms: int  # the first of its two instants
    turned: int | None = None

    def learn(self, sequence: int, first_ms: int, *, is_first: bool, is_second: bool) -> None:
        if is_first:
            if self.turned is not None and self.turned <= sequence:
                self.turned = None  # what seemed fresh was not
        elif is_second or (sequence > self.newest and first_ms < self.newest_ms):
            self.turned = sequence if self.turned is None else min(sequence, self.turned)
        elif sequence < self.newest and first_ms > self.newest_ms:
            self.turned = self.newest if self.turned is None else min(self.newest, self.turned)
        if sequence > self.newest:
            self.newest, self.newest_ms = sequence, first_ms


class Turns:
    """Of one intake."""

    def __init__(self) -> None:
        self._turns: dict[tuple[str, str], _Turn] = {}

    def settle(
        self, said: int, zone: str, source: tuple[str, str], sequence: int | None, arrival_ms: int
    ) -> int:
        """The instant, ms since the epoch, that *said* means; *zone*: that of the site, "" without one.

        *source*: feed and source. Raises `Unfit` for a time on the wall of no known site.
        """
        if isinstance(said, Wall):
            if not zone:
                raise Unfit("time_without_zone", "time: its zone is that of the site, and no site is known")
            said = of_wall(said, ZoneInfo(zone))
        if not isinstance(said, Twice):
            return said
        first_ms, second_ms = int(said), said.second_ms
        is_first = second_ms > arrival_ms + AHEAD_MS  # the other cannot have come yet
        is_second = not is_first and arrival_ms - second_ms <= FRESH_MS
        if sequence is not None:
            turn = self._turn(source, sequence, first_ms)
            turn.learn(sequence, first_ms, is_first=is_first, is_second=is_second)
            is_second = turn.turned is not None and sequence >= turn.turned
        return second_ms if is_second and not is_first else first_ms

    def _turn(self, source: tuple[str, str], sequence: int, first_ms: int) -> _Turn:
        turn = self._turns.get(source)
        if turn is None or abs(first_ms - turn.newest_ms) > NIGHT_MS:
            if len(self._turns) >= SOURCES_MAX:
                self._turns.clear()
            turn = self._turns[source] = _Turn(sequence, first_ms)
        return turn
