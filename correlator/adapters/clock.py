"""The clocks of intake and pacing: the machine's, and one that a simulation or a replay moves."""

from __future__ import annotations

import time


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def sleep_ms(self, duration_ms: int) -> None:
        time.sleep(max(duration_ms, 0) / 1_000)


class SteadyClock:
    """For pacing and durations: never set back, so its zero means nothing."""

    def now_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def sleep_ms(self, duration_ms: int) -> None:
        time.sleep(max(duration_ms, 0) / 1_000)


class SimulatedClock:
    """Stands still until it is moved; sleeping moves it."""

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def sleep_ms(self, duration_ms: int) -> None:
        self._now_ms += max(duration_ms, 0)

    def set(self, now_ms: int) -> None:
        """Move to *now_ms*; a simulated clock does not go back either."""
        self._now_ms = max(self._now_ms, now_ms)
