"""The edges the engine talks to: a log with groups and transactions, a clock, a meter.

`adapters.kafka` and `adapters.memory` implement the first three, and both pass `tests/log_conformance.py`.
Kafka's words and Kafka's promises; nothing here that Kafka does not have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from correlator.record import Record


class TopicPartition(msgspec.Struct, frozen=True, order=True):
    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


class Committed(msgspec.Struct, frozen=True):
    """A committed offset: the next record to read, and what its committer wrote beside it."""

    offset: int
    metadata: str = ""


class Membership(msgspec.Struct, frozen=True):
    """Who we were in the group when the last poll returned. A commit is fenced with exactly this (H3)."""

    group: str
    generation: int
    member: str
    instance: str | None

    @property
    def is_joined(self) -> bool:
        return self.generation >= 0 and bool(self.member)


class AssignmentChange(msgspec.Struct, frozen=True):
    """Recorded by the rebalance listener, which does nothing else but pause what was assigned."""

    assigned: tuple[TopicPartition, ...] = ()
    revoked: tuple[TopicPartition, ...] = ()
    lost: tuple[TopicPartition, ...] = ()


class CommitAborted(Exception):
    """Nothing of this transaction is visible: rewind the inputs to the committed offsets and try again."""


class CommitFenced(CommitAborted):
    """Somebody else owns the partitions or the transactional id: drop the tasks and rejoin."""


class CommitUnknown(Exception):
    """The coordinator may have committed: `settle()`, then compare the committed offset and stamp with
    ours.
    """


class LogUnavailable(Exception):
    """The log does not answer in time. Nothing is known to be wrong with it: wait and ask again."""


class LogTruncated(Exception):
    """The log no longer reaches back to the position asked for. Names topic, partition, wanted and first
    offset.
    """


def truncated(partition: TopicPartition, wanted: int, first: int) -> LogTruncated:
    return LogTruncated(
        f"{partition.topic}/{partition.partition}: offset {wanted} is gone, the log begins at {first}"
    )


class GroupReader(Protocol):
    """A member of a consumer group. Assigned partitions start *paused*; not thread-safe."""

    def poll(self, timeout_ms: int, records_max: int) -> list[Record]:
        """Records of resumed partitions, read committed, in offset order per partition.

        Returns as soon as there is data, at the latest after *timeout_ms*, and never later than needed for
        the group.
        """

    def membership(self) -> Membership:
        """Snapshot to be taken right after `poll`."""

    def assignment_changes(self) -> list[AssignmentChange]:
        """What the listener recorded since the last call, oldest first."""

    def committed(self, partition: TopicPartition) -> Committed | None:
        """The group's stable committed offset (pending transactions are waited for)."""

    def committed_offsets(
        self, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, Committed | None]:
        """The same of several, asked for together: over a long way each question costs."""

    def position(self, partition: TopicPartition) -> int:
        """Next offset `poll` would return from: behind trailing transaction markers, so lag can reach 0."""

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """High watermarks, asked for together: where a caught-up position is. Before them lie also records of
        transactions that are still open, which have arrived, and cannot be read yet.
        """

    def begin_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """First offsets that are left, asked for together."""

    def missing(self) -> Sequence[str]:
        """Subscribed topics that are not there, as far as is known: nobody is asked."""

    def subscribe(self, topics: Sequence[str]) -> None:
        """Read these topics instead. Nothing happens if they are those that are read; else it rebalances."""

    def seek(self, partition: TopicPartition, offset: int) -> None: ...

    def pause(self, partitions: Iterable[TopicPartition]) -> None: ...

    def resume(self, partitions: Iterable[TopicPartition]) -> None: ...

    def close(self) -> None:
        """Leave without triggering a rebalance where membership is static."""


class TransactionalWriter(Protocol):
    """One transactional producer behind the guards H1 to H6. Any failure discards the producer inside."""

    def begin(self) -> None: ...

    def send(  # noqa: PLR0917  a Kafka record has six parts
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
    ) -> None: ...

    def commit(self, offsets: Mapping[TopicPartition, Committed], membership: Membership | None) -> None:
        """Flush, check every send, send the offsets, commit. Raises `CommitAborted`, `CommitFenced`,
        `CommitUnknown`. Only who has no offsets to send needs no *membership*.
        """

    def abort(self) -> None: ...

    def settle(self) -> None:
        """After `CommitUnknown`: finish or abort whatever our transactional id had open. Then `committed`
        is final.
        """

    def close(self) -> None: ...


class LogReader(Protocol):
    """Reads partitions outside any group: restore, identities, alerts tail. Read committed unless said
    otherwise.
    """

    def partitions(self, topic: str) -> int:
        """How many partitions *topic* has; 0 if it does not exist."""

    def begin_offset(self, partition: TopicPartition) -> int: ...

    def high_watermark(self, partition: TopicPartition) -> int:
        """End of the log including open transactions (read uncommitted): what a restore reads up to."""

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterable[Record]:
        """Committed records with start <= offset < end, waiting for open transactions below *end* to finish.

        Raises `LogTruncated` when *start* is no longer there.
        """

    def close(self) -> None: ...


class Clock(Protocol):
    """Wall clock of intake and pacing. The correlating stage never sees it."""

    def now_ms(self) -> int: ...

    def sleep_ms(self, duration_ms: int) -> None: ...


class Meter(Protocol):
    """Metrics, flushed once per batch. Names and labels are those of the catalogue (`engine.metrics`)."""

    def add(self, name: str, value: float, **labels: str) -> None: ...

    def set(self, name: str, value: float, **labels: str) -> None: ...

    def remove(self, name: str, **labels: str) -> None:
        """What a gauge was set to for *labels*, if it was."""

    def observe(self, name: str, values: Sequence[float], **labels: str) -> None: ...
