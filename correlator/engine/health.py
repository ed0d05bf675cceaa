"""What the worker says about itself, for whoever asks on another thread.

The worker assigns whole values, readers read them once: no lock is needed. Live does not depend on Kafka (a
broker that is down is no reason to restart this process); ready does.
"""

from __future__ import annotations

import msgspec

LOOP_AGE_MAX_MS = 60_000


class Health(msgspec.Struct):
    """*loop_ms*: the worker's clock when its loop last came round; 0 before the first round (counts as live).

    *waiting*: why the process is not ready, for a person, e.g. `partition 3 restores: 1200 records left`;
    empty when ready. *failed*: why it will never be again; "" while all is well.
    """

    loop_ms: int = 0
    waiting: tuple[str, ...] = ("starting",)
    failed: str = ""

    def live_reasons(self, now_ms: int) -> list[str]:
        """Why the process should be restarted; empty when it is live."""
        if self.failed:
            return [self.failed]
        age_ms = now_ms - self.loop_ms
        if self.loop_ms and age_ms > LOOP_AGE_MAX_MS:
            return [f"the main loop has not come round for {age_ms // 1000} s"]
        return []

    def ready_reasons(self, now_ms: int) -> list[str]:
        """Why the process is not ready; empty when it is."""
        return self.live_reasons(now_ms) + list(self.waiting)
