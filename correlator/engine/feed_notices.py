"""One notice a feed and site while verdicts wait for it longer than they should: which sources are missing.

Written to the notices topic with the frame that made it so, told again every minute while it lasts, and
closed when the feed is complete to all that waited, or nothing waits any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from correlator.engine.commit import Send
from correlator.event import MINUTE_MS, NEVER, SECOND_MS
from correlator.timeline.partition import Partition

OVERDUE_MS = 15 * MINUTE_MS  # of log time, behind the verdict: what `max_wait` is where a rule does not say
AGAIN_MS = MINUTE_MS  # of log time
SOURCES_MAX = 20

Key = tuple[str, str]  # feed, site
_encode = msgspec.json.Encoder(order="deterministic").encode


class FeedNotices:
    """What was told, by feed and site. *topic* is the notices topic."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._told: dict[Key, int] = {}  # now, when it was told last

    def due(self, partitions: Sequence[Partition]) -> list[Send]:
        """Notices to write now, given the state of all partitions that this process folds."""
        now_ms = max((partition.now_ms for partition in partitions), default=NEVER)
        late = _overdue(partitions)
        sends = []
        for key, (count, oldest_ms) in sorted(late.items()):
            if now_ms - self._told.get(key, NEVER) >= AGAIN_MS:
                self._told[key] = now_ms
                missing = partitions[0].marks.missing(*key, oldest_ms)
                sends.append(self._send(key, _open(key, count, oldest_ms, missing)))
        for key in sorted(self._told.keys() - late.keys()):
            del self._told[key]
            document = {"state": "closed", "message": f"Nothing waits for {key[0]} at {key[1]} any more."}
            sends.append(self._send(key, document))
        return sends

    def _send(self, key: Key, document: Mapping[str, object]) -> Send:
        feed, site = key
        told = {"kind": "feed_incomplete", "feed": feed, "site": site, **document}
        return Send(self._topic, 0, f"feed_incomplete:{feed}:{site}".encode(), _encode(told))


def _overdue(partitions: Sequence[Partition]) -> dict[Key, tuple[int, int]]:
    """Feed and site -> how many verdicts wait, and since which event time, where the oldest is overdue."""
    found: dict[Key, tuple[int, int]] = {}
    for partition in partitions:
        for key, count in partition.wakes.count().items():
            oldest_ms = partition.wakes.oldest_ms(key)
            if oldest_ms is not None and partition.now_ms - oldest_ms >= OVERDUE_MS:
                known, since_ms = found.get(key, (0, oldest_ms))
                found[key] = (known + count, min(since_ms, oldest_ms))
    return found


def _open(key: Key, count: int, oldest_ms: int, missing: Sequence[tuple[str, int]]) -> dict[str, object]:
    feed, site = key
    sources = [{"source": source, "heard_last": _utc(heard_ms)} for source, heard_ms in missing[:SOURCES_MAX]]
    names = ", ".join(f"{s['source']} (heard last {s['heard_last']})" for s in sources) or "every source"
    return {
        "state": "open",
        "waiting": count,
        "since": _utc(oldest_ms),
        "missing": sources,
        "message": f"{count} verdicts wait for {feed} records of {site}, the oldest of {_utc(oldest_ms)}. "
        f"Missing: {names}. They are told when the feed is back within the horizon, else never.",
    }


def _utc(time_ms: int) -> str:
    if time_ms == NEVER:
        return "never"
    return f"{datetime.fromtimestamp(time_ms // SECOND_MS, UTC):%Y-%m-%d %H:%M:%S} UTC"
