"""A look at the state of keyed partitions: newest checkpoint and the tail of *keyed*, and nothing is written.

    for restored in view(log, topics, bundles, told=show):
        restored.partition ...                   # a `Partition`, as of `restored.offset`

No group is joined and no transaction begun, so whoever owns the partitions does not notice. Each is read to
the end that its log has when it is begun: further than its owner may have committed, never less far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from correlator.engine.bundles import Bundles
from correlator.engine.ports import Committed, LogReader, TopicPartition
from correlator.engine.restore import UNSTAMPED, Restore, Restored
from correlator.engine.topics import EngineRefusal, Topics, missing
from correlator.event import partition_of


class Progress(msgspec.Struct, frozen=True):
    """*done* of *total* partitions are there; of *partition*, so many records are left, as far as known."""

    partition: int
    done: int
    total: int
    remaining: int


def _tell_nobody(_progress: Progress) -> None:
    return


def view(
    log: LogReader,
    topics: Topics,
    bundles: Bundles,
    numbers: Iterable[int] | None = None,
    *,
    told: Callable[[Progress], None] = _tell_nobody,
) -> Iterator[Restored]:
    """Partitions *numbers* of *keyed* (None: all of them), one after another; keep what you need of each.

    *told* hears of progress, some times a second. Raises `EngineRefusal` for a state that this version must
    not read, `LogUnavailable` where the log does not answer.
    """
    if log.partitions(topics.keyed) == 0:
        raise missing(topics.keyed)
    wanted = list(range(log.partitions(topics.keyed)) if numbers is None else numbers)
    for done, number in enumerate(wanted):
        start = Progress(number, done, len(wanted), 0)
        yield _restored(log, topics, bundles, start, told)


def view_entity(
    log: LogReader,
    topics: Topics,
    bundles: Bundles,
    entity: str,
    *,
    told: Callable[[Progress], None] = _tell_nobody,
) -> Restored:
    """The partition that *entity* (`identity:e1007`, `door:…`) lives in, whether there is one or not.

    Raises as `view` does.
    """
    number = partition_of(entity, log.partitions(topics.keyed))
    return next(view(log, topics, bundles, [number], told=told))


def _restored(
    log: LogReader, topics: Topics, bundles: Bundles, start: Progress, told: Callable[[Progress], None]
) -> Restored:
    """A refusal counts when it comes again: a checkpoint may have been written after we asked for the end."""
    try:
        return _restore(log, topics, bundles, start, told)
    except EngineRefusal:
        return _restore(log, topics, bundles, start, told)


def _restore(
    log: LogReader, topics: Topics, bundles: Bundles, start: Progress, told: Callable[[Progress], None]
) -> Restored:
    end = Committed(log.high_watermark(TopicPartition(topics.keyed, start.partition)), UNSTAMPED)
    restore = Restore(log, topics, bundles, start.partition, end)
    while not restore.advance():
        told(msgspec.structs.replace(start, remaining=restore.remaining))
    assert restore.restored is not None, "a finished restore has its result"
    return restore.restored
