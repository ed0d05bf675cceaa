"""A member of a consumer group whose listener only pauses and records.

The client's rebalance callbacks run on its network thread, where most calls fail and every delay stops the
heartbeats; so what they hear is kept for the engine, which asks after each poll.

H6: the client throws a join away that finishes between two polls and joins again; two members can chase each
other so for ever. Hence a finished join is handed to the next poll; a poll lasts at least 500 ms, unless
there is data or the assignment is stable; a member without a stable assignment for 30 s is built anew.

H7: the client parks what it holds of a partition that is paused in the middle of a batch, and goes on with it
only when no other batch is in line; one that was read to its end still counts. Where nothing else is to be
fetched, the partition is silent for ever after it was resumed. Hence a batch that was read to its end is put
away before each poll.

H10: the client keeps to itself that its heartbeat was fenced by a member with the same instance id, stops the
heartbeats, and looks as stable as before: it never comes back, also when the other one has ended. Hence a
member whose heartbeats stopped says so instead of polling, and is built anew after 30 s.

H13: a join that began because topics or their partitions changed is forgotten when the poll that began it
ends first: its reason is gone when the next one asks, and what it assigned is read by nobody until H6's
watchdog comes. Hence a join that has begun is always gone on with.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from kafka import ConsumerRebalanceListener
from kafka import errors as kafka_errors
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.structs import MemberState
from kafka.structs import TopicPartition as KafkaPartition
from kafka.util import Timer

from correlator.adapters.kafka.client import (
    TIMEOUT_MS,
    ask_offsets,
    asking,
    consumer_settings,
    from_kafka,
    make_consumer,
    said,
    to_kafka,
)
from correlator.adapters.kafka.config import KafkaConfig
from correlator.engine.ports import (
    AssignmentChange,
    Committed,
    LogUnavailable,
    Membership,
    TopicPartition,
    truncated,
)
from correlator.record import Record

log = logging.getLogger(__name__)

POLL_MS = 500
POLL_INTERVAL_MS = 300_000
UNSTABLE_S = 30.0
SINCE_MS = 3  # for which a broker may take to answer with what it has
NOTHING_S = 2.0  # with nothing assigned in one generation, before that is the assignment


class KafkaGroupReader:
    """Implements `engine.ports.GroupReader`. *instance* makes the membership static."""

    def __init__(
        self,
        config: KafkaConfig,
        group: str,
        topics: Sequence[str],
        instance: str | None = None,
    ) -> None:
        self._group, self._instance, self._topics = group, instance, list(topics)
        self._settings = _settings(config, group, instance)
        self._changes: deque[AssignmentChange] = deque()
        self._membership = Membership(group, -1, "", instance)
        self._unstable_since_s: float | None = None
        self._nothing: tuple[int, float] = (-1, 0.0)  # generation with nothing assigned, and since when
        self._consumer: Any = None
        self._join()

    def poll(self, timeout_ms: int, records_max: int) -> list[Record]:
        """Lasts 500 ms at least while the group rebalances. Raises `LogTruncated` and `LogUnavailable`."""
        self._watch()
        consumer = self._joined()
        if self._unstable_since_s is not None or not self._membership.is_joined:
            timeout_ms = max(timeout_ms, POLL_MS)
        _put_read_batch_away(consumer._fetcher)
        try:
            records = self._poll(Timer(timeout_ms), records_max)
        except kafka_errors.NoOffsetForPartitionError as error:  # first start: from the beginning
            consumer.seek_to_beginning(*error.args[0])
            records = []
        except kafka_errors.OffsetOutOfRangeError as error:
            tp, wanted = next(iter(error.args[0].items()))
            partition = TopicPartition(tp.topic, tp.partition)
            raise truncated(partition, wanted, self.begin_offsets([partition])[partition]) from error
        except kafka_errors.FencedInstanceIdError as error:
            raise LogUnavailable(f"another process runs as instance {self._instance}") from error
        except kafka_errors.KafkaError as error:
            raise LogUnavailable(f"poll: {said(error)}") from error
        if timeout_ms == 0:
            records += self._since(records_max - len(records))
        self._note_membership()
        return records

    def membership(self) -> Membership:
        return self._membership

    def assignment_changes(self) -> list[AssignmentChange]:
        changes = []
        while self._changes:
            changes.append(self._changes.popleft())
        return changes

    def committed(self, partition: TopicPartition) -> Committed | None:
        return self.committed_offsets([partition])[partition]

    def committed_offsets(
        self, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, Committed | None]:
        asked = {tp: to_kafka(tp) for tp in partitions}
        with asking(f"committed offset of {', '.join(map(str, asked))}"):  # the client's own asks for one
            found = self._joined()._coordinator.fetch_committed_offsets(list(asked.values()), TIMEOUT_MS)
        known = {tp: found.get(kafka) for tp, kafka in asked.items()}
        return {tp: None if at is None else Committed(at.offset, at.metadata) for tp, at in known.items()}

    def position(self, partition: TopicPartition) -> int:
        with asking(f"position in {partition}"):
            try:
                offset = self._joined().position(to_kafka(partition), timeout_ms=TIMEOUT_MS)
            except kafka_errors.NoOffsetForPartitionError:
                self._joined().seek_to_beginning(to_kafka(partition))
                offset = self._joined().position(to_kafka(partition), timeout_ms=TIMEOUT_MS)
        if offset is None:
            raise LogUnavailable(f"no position in {partition} yet")
        return int(offset)

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return ask_offsets(self._joined().end_offsets, list(partitions))

    def begin_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return ask_offsets(self._joined().beginning_offsets, list(partitions))

    def missing(self) -> list[str]:
        """The client asks for them again and again by itself."""
        if self._consumer is None:
            return []
        partitions = self._consumer._cluster.partitions_for_topic
        return [topic for topic in self._topics if not partitions(topic)]

    def subscribe(self, topics: Sequence[str]) -> None:
        if set(topics) != set(self._topics):
            self._topics = list(topics)
            consumer = self._joined()
            consumer.subscribe(self._topics, listener=_PauseAndRecord(consumer, self._changes))

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Nothing happens if the partition is no longer ours: the next poll's changes will say so."""
        for tp in self._owned([partition]):
            self._joined().seek(tp, offset)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._joined().pause(*self._owned(partitions))

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._joined().resume(*self._owned(partitions))

    def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            _close(consumer)

    def _join(self) -> None:
        with asking("joining the group"):
            consumer = make_consumer(self._settings)
            _keep_finished_joins(consumer._coordinator)
            consumer.subscribe(self._topics, listener=_PauseAndRecord(consumer, self._changes))
        self._consumer = consumer

    def _joined(self) -> Any:
        if self._consumer is None:
            self._join()
        return self._consumer

    def _poll(self, timer: Timer, records_max: int) -> list[Record]:
        """The client's `poll`, but it ends with a new assignment too, which waits for the engine, paused."""
        while True:
            batches: dict[KafkaPartition, list[Record]] = self._consumer._poll_once(timer, records_max)
            if batches or self._changes or timer.expired:
                return [record for batch in batches.values() for record in batch]

    def _since(self, records_max: int) -> list[Record]:
        """What has come since. The client fetches ahead, as soon as a poll ends: what a poll that does not
        wait gives is all there was a round ago, or nothing yet.
        """
        if records_max <= 0 or self._changes:
            return []
        _put_read_batch_away(self._consumer._fetcher)
        try:
            return self._poll(Timer(SINCE_MS), records_max)
        except kafka_errors.KafkaError as error:  # the next poll says it: what is polled must not be lost
            log.debug("second poll: %s", said(error))
            return []

    def _watch(self) -> None:
        """Build the member anew when it has not been stable (H6), or was fenced (H10), for too long."""
        is_fenced = self._is_fenced()
        if is_fenced and self._unstable_since_s is None:
            self._unstable_since_s = time.monotonic()
        since_s = self._unstable_since_s
        if since_s is None or time.monotonic() - since_s < UNSTABLE_S or self._consumer is None:
            if is_fenced:
                raise LogUnavailable(f"another process runs as instance {self._instance}")
            return
        log.warning("group %s: no stable assignment for %d s, joining anew", self._group, UNSTABLE_S)
        consumer, self._consumer, self._unstable_since_s = self._consumer, None, None
        owned = from_kafka(consumer.assignment())
        _close(consumer)
        self._changes.clear()
        if owned:
            self._changes.append(AssignmentChange(lost=owned))
        self._membership = Membership(self._group, -1, "", self._instance)

    def _is_fenced(self) -> bool:
        if self._consumer is None:
            return False
        coordinator = self._consumer._coordinator
        has_stopped = not coordinator._heartbeat_enabled and not coordinator.rejoin_needed
        return has_stopped and coordinator.state == MemberState.STABLE

    def _note_membership(self) -> None:
        """Right after the poll, because heartbeat replies may reset it at any time (H3)."""
        found = self._consumer.group_metadata()
        self._membership = Membership(self._group, found.generation_id, found.member_id, self._instance)
        if found.state == MemberState.STABLE and self._membership.is_joined:
            self._unstable_since_s = None
            self._note_nothing(found.generation_id)
        elif self._unstable_since_s is None:
            self._unstable_since_s = time.monotonic()

    def _note_nothing(self, generation: int) -> None:
        """Record an assignment of nothing, once, when it has lasted."""
        now_s, (known, since_s) = time.monotonic(), self._nothing
        if self._consumer.assignment():
            return
        if generation != known:
            self._nothing = (generation, now_s)
        elif now_s - since_s >= NOTHING_S:
            self._nothing = (generation, float("inf"))
            self._changes.append(AssignmentChange())

    def _owned(self, partitions: Iterable[TopicPartition]) -> list[KafkaPartition]:
        assigned = self._joined().assignment()
        return [tp for tp in map(to_kafka, partitions) if tp in assigned]


def _put_read_batch_away(fetcher: Any) -> None:
    """So that batches of partitions that were paused and resumed get their turn (H7)."""
    if fetcher._next_partition_records is not None and not fetcher._next_partition_records:
        fetcher._next_partition_records = None


class _PauseAndRecord(ConsumerRebalanceListener):
    """Runs on the client's network thread: pauses what is assigned, records, and does nothing else."""

    def __init__(self, consumer: Any, changes: deque[AssignmentChange]) -> None:
        self._consumer, self._changes = consumer, changes

    def on_partitions_assigned(self, assigned: Iterable[KafkaPartition]) -> None:
        self._consumer.pause(*assigned)
        self._record(AssignmentChange(assigned=from_kafka(assigned)))

    def on_partitions_revoked(self, revoked: Iterable[KafkaPartition]) -> None:
        self._record(AssignmentChange(revoked=from_kafka(revoked)))

    def on_partitions_lost(self, lost: Iterable[KafkaPartition]) -> None:
        self._record(AssignmentChange(lost=from_kafka(lost)))

    def _record(self, change: AssignmentChange) -> None:
        if change != AssignmentChange():  # a first assignment made before the topics are known is empty
            self._changes.append(change)


def _keep_finished_joins(coordinator: Any) -> None:
    """Make the client wait for a join that is done, where it would begin another (H6)."""
    join = coordinator.join_group_async

    async def join_group(timeout_ms: float | None = None) -> Any:
        finished = coordinator._join_task
        if (
            finished is not None and finished.is_done
        ):  # give it out anew: done only after the client has looked
            coordinator._join_task = coordinator._manager.call_soon(_result_of, finished)
        return await join(timeout_ms=timeout_ms)

    coordinator.join_group_async = join_group
    needs = coordinator.need_rejoin
    coordinator.need_rejoin = lambda: coordinator.rejoining or needs()  # H13


async def _result_of(finished: Any) -> Any:
    return await finished


def _settings(config: KafkaConfig, group: str, instance: str | None) -> dict[str, Any]:
    return consumer_settings(config) | {
        "group_id": group,
        "group_instance_id": instance,
        "partition_assignment_strategy": [StickyPartitionAssignor],
        "session_timeout_ms": config.session_timeout_ms,
        "heartbeat_interval_ms": min(3_000, config.session_timeout_ms // 4),
        "max_poll_interval_ms": POLL_INTERVAL_MS,
    }


def _close(consumer: Any) -> None:
    try:
        consumer.close(timeout_ms=2_000)
    except kafka_errors.KafkaError as error:
        log.info("consumer did not close: %r", error)
