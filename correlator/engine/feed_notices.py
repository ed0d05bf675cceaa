"""What operators are told of feeds, on the notices topic: what is wrong now, and when it is over.

- `feed_incomplete`: verdicts wait for a feed at a site longer than they should, or all its sources there are
  silent, in spite of what is usual or for a day; and which sources are missing;
- `source_never_heard`: a source that is configured was never heard;
- `clock_off`: the clock of a source is off by so much that its events contradict nobody.

Written with the frame that made it so, told again while it lasts, and closed when it is over. What is the
same in every partition is told by who folds the first one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from correlator.engine.commit import Send
from correlator.engine.ports import LogReader, LogTruncated, LogUnavailable, TopicPartition
from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, NEVER, SECOND_MS
from correlator.spelling import utc
from correlator.timeline.partition import Partition
from correlator.timeline.standing import Standing, standings

OVERDUE_MS = 15 * MINUTE_MS  # of log time, behind the verdict: what `max_wait` is where a rule does not say
AGAIN_MS = {"feed_incomplete": HOUR_MS, "clock_off": HOUR_MS, "source_never_heard": DAY_MS}  # of log time
WAITING_AGAIN_MS = MINUTE_MS  # while verdicts wait
LOOK_MS = 10 * SECOND_MS  # of log time, between two looks at all sources
START_MS = HOUR_MS  # of log time since a process began, before it says that a source was never heard
SILENT_MS = DAY_MS  # of a feed at a site for which nothing waits, where nothing is known to be usual
SOURCES_MAX = 20

Key = tuple[str, str, str]  # kind, feed, site or source
Document = dict[str, object]
Live = dict[tuple[str, str, str], str]  # kind, site and source -> feed file that hears it
_encode = msgspec.json.Encoder(order="deterministic").encode


class _Said(msgspec.Struct):
    """A notice of these kinds, as far as it is read back."""

    kind: str
    feed: str = ""
    site: str = ""
    source: str = ""
    state: str = ""
    waiting: int = 0


_said = msgspec.json.Decoder(_Said).decode


class FeedNotices:
    """What was told, by kind, feed and site or source. *topic* is the notices topic."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._told: dict[Key, int] = {}  # now, when it was told last
        self._numbers: frozenset[int] = frozenset()
        self._began_ms = self._looked_ms = NEVER
        self._standing: dict[Key, Document] = {}
        self._live: Live = {}
        self._is_adopted = False
        self._next = 0  # offset in the topic, to which it was read
        self._open: set[Key] = set()  # by then, of what nothing waits for

    def take_over(self, partitions: Sequence[Partition]) -> None:
        """Before anything is folded. What is wrong with partitions that were somebody's else, who told of it,
        is ours to close; it is told again soon, should they have had no time for it.
        """
        numbers = frozenset(partition.number for partition in partitions)
        if numbers == self._numbers:
            return
        self._numbers, self._standing, self._looked_ms = numbers, {}, NEVER
        self._is_adopted = False
        now_ms, wrong = self._wrong(partitions)
        soon_ms = now_ms + WAITING_AGAIN_MS
        self._told = {
            key: soon_ms - _again_ms(key, document)
            for key, document in wrong.items()
            if key[0] != "source_never_heard"  # said only after a while: `adopt` knows whether it was
        }

    def adopt(self, log: LogReader) -> None:
        """What the topic says is open of sources and feeds themselves is ours to close, too, where we fold
        the first partition: it may have been over before it could be told. *log*: of which nothing else is
        being read. Where it cannot be read, alerts do not wait for it: the next one to take over tries again.
        """
        if self._is_adopted or 0 not in self._numbers:
            return
        self._is_adopted, where = True, TopicPartition(self._topic, 0)
        try:
            end = log.high_watermark(where)
            for record in log.read(where, max(self._next, log.begin_offset(where)), end):
                self._hear(record.value or b"")
        except (LogTruncated, LogUnavailable):
            return
        self._next = end
        for key in self._open:
            self._told.setdefault(key, self._looked_ms)

    def forget(self) -> None:
        """What was told last was in a transaction that came to nothing: take over what is restored."""
        self._numbers = frozenset()

    def _hear(self, raw: bytes) -> None:
        """What anybody said last; whatever is no notice of these kinds says nothing."""
        try:
            said = _said(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        key = (said.kind, said.feed, said.site or said.source)
        if said.kind not in AGAIN_MS:
            return
        if said.state == "open" and not said.waiting:
            self._open.add(key)
        else:
            self._open.discard(key)

    def due(self, partitions: Sequence[Partition]) -> list[Send]:
        """Notices to write now, given the state of all partitions that this process folds."""
        now_ms, wrong = self._wrong(partitions)
        sends = []
        for key, document in sorted(wrong.items()):
            is_early = key[0] == "source_never_heard" and now_ms - self._began_ms < START_MS
            if not is_early and now_ms - self._told.get(key, NEVER) >= _again_ms(key, document):
                self._told[key] = now_ms
                sends.append(self._send(key, {"state": "open", **document}))
        for key in sorted(self._told.keys() - wrong.keys()):
            del self._told[key]
            sends.append(self._send(key, {"state": "closed", "message": _OVER[key[0]].format(*_named(key))}))
        return sends

    def _wrong(self, partitions: Sequence[Partition]) -> tuple[int, dict[Key, Document]]:
        """*now*, and what is wrong by then."""
        now_ms = max((partition.now_ms for partition in partitions), default=NEVER)
        self._look(partitions, now_ms)
        return now_ms, self._standing | _incomplete(partitions, self._live)

    def _look(self, partitions: Sequence[Partition], now_ms: int) -> None:
        if now_ms - self._looked_ms < LOOK_MS:
            return
        self._looked_ms = now_ms
        self._began_ms = now_ms if self._began_ms == NEVER else self._began_ms
        first = next((partition for partition in partitions if partition.number == 0), None)
        if first is not None:
            found = standings(first.marks)
            self._live = {(s.kind, s.site, s.source): s.feed for s in found if s.state == "live"}
            self._standing = _standing(found, self._live, now_ms)

    def _send(self, key: Key, document: Mapping[str, object]) -> Send:
        kind, feed, name = key
        what = "site" if kind == "feed_incomplete" else "source"
        told = {"kind": kind, "feed": feed, what: name, **document}
        return Send(self._topic, 0, ":".join(key).encode(), _encode(told))


def _again_ms(key: Key, document: Document) -> int:
    return WAITING_AGAIN_MS if document.get("waiting") else AGAIN_MS[key[0]]


NO_SITE = "no site"  # of records whose place nobody knows: logins from anywhere
_OVER = {
    "feed_incomplete": "Records of {} at {} come or are not expected any more, and nothing waits for them.",
    "source_never_heard": "Feed {}: source {} was heard, or is not configured any more.",
    "clock_off": "Feed {}: the clock of {} is right again, or the source was taken out.",
}


def _incomplete(partitions: Sequence[Partition], live: Live) -> dict[Key, Document]:
    late = _overdue(partitions)
    marks = partitions[0].marks if partitions else None
    return {
        ("feed_incomplete", feed, site): _open(
            (feed, site), count, oldest_ms, marks.missing(feed, site, oldest_ms), live
        )
        for (feed, site), (count, oldest_ms) in late.items()
        if marks is not None
    }


def _standing(sources: Iterable[Standing], live: Live, now_ms: int) -> dict[Key, Document]:
    """What is wrong with feeds and sources themselves, whether anything waits for them or not."""
    wrong: dict[Key, Document] = {}
    silent: dict[tuple[str, str], list[Standing]] = {}
    alive: set[tuple[str, str]] = set()  # where one source at least may just be quiet
    for source in sources:
        if source.is_gone:  # nobody is to look for it
            continue
        if source.is_quarantined:
            wrong["clock_off", source.feed, source.source] = _clock_off(source)
        if source.state == "never_heard":
            message = (
                f"Source {source.source} of feed {source.feed} is configured at {source.site} and was never "
                "heard. Nothing waits for it. Connect it, or take it out of `sources` in sites.yml."
            )
            wrong["source_never_heard", source.feed, source.source] = {"message": message}
        place = (source.kind, source.site)
        if source.is_silent and source.is_site_silent:
            silent.setdefault(place, []).append(source)
        elif source.state != "never_heard":
            alive.add(place)
    for place, missing in silent.items():
        since_ms = max(source.alive_ms for source in missing)
        is_long = now_ms - since_ms >= SILENT_MS or any(source.is_missed for source in missing)
        if place not in alive and is_long:
            names = [(source.source, source.alive_ms) for source in missing]
            wrong["feed_incomplete", *place] = _open(place, 0, since_ms, names, live)
    return wrong


def _clock_off(source: Standing) -> Document:
    way = "ahead" if source.skew_ms > 0 else "behind"
    skew_s = source.skew_ms // SECOND_MS
    message = (
        f"The clock of {source.source} (feed {source.feed}) is about {abs(skew_s)} s {way}. As long as it "
        "is, its events contradict nobody: no impossible journey begins or ends there. Set the clock right."
    )
    return {"skew_s": skew_s, "message": message}


def _overdue(partitions: Sequence[Partition]) -> dict[tuple[str, str], tuple[int, int]]:
    """Feed and site -> how many verdicts wait, and since which event time, where the oldest is overdue."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for partition in partitions:
        for key, count in partition.wakes.count().items():
            oldest_ms = partition.wakes.oldest_ms(key)
            if oldest_ms is not None and partition.now_ms - oldest_ms >= OVERDUE_MS:
                known, since_ms = found.get(key, (0, oldest_ms))
                found[key] = (known + count, min(since_ms, oldest_ms))
    return found


def _open(
    place: tuple[str, str], count: int, since_ms: int, missing: Sequence[tuple[str, int]], live: Live
) -> Document:
    """*since_ms*: time of the oldest verdict that waits; where none does, since when nothing came."""
    feed, site = place
    sources = [{"source": source, "heard_last": _utc(heard_ms)} for source, heard_ms in missing[:SOURCES_MAX]]
    names = ", ".join(f"{s['source']} (heard last {s['heard_last']})" for s in sources) or "every source"
    records = f"{feed} records of {site or NO_SITE}"
    if count:
        waiting = f"{count} verdicts wait" if count > 1 else "1 verdict waits"
        said = f"{waiting} for {records}, the oldest of {_utc(since_ms)}."
        end = "What they find is told when the feed is back within the horizon, else never."
    else:
        said = f"No {records} came since {_utc(since_ms)}, longer than usual at this hour."
        end = "Verdicts that rest on them will wait."
    moved = [f"{name} in {live[feed, site, name]}" for name, _ in missing if (feed, site, name) in live]
    if moved:
        end += f" Heard in another feed: {', '.join(moved)}. If it has moved, deploy without its old feed."
    message = f"{said} Missing: {names}. {end}"
    return {"waiting": count, "since": _utc(since_ms), "missing": sources, "message": message}


def _named(key: Key) -> Iterator[str]:
    return (part or NO_SITE for part in key[1:])


def _utc(time_ms: int) -> str:
    if time_ms == NEVER:
        return "never"
    return f"{utc(time_ms):%Y-%m-%d %H:%M:%S} UTC"
