"""A group all to oneself, to change what its next members begin with: what `correlator state` stands on.

It joins when everybody else has left: a group that works is not disturbed. A member like any other, so what
it writes is fenced by its membership: where somebody else has joined since, nothing is changed. Dynamic, so
that it leaves no trace when it goes.

May not know: what is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from correlator.engine.commit import Send
from correlator.engine.ports import Clock, Committed, GroupReader, TopicPartition, TransactionalWriter
from correlator.engine.topics import EngineRefusal

POLL_MS, PAUSE_MS = 500, 100
PATIENCE_MS = 60_000  # longer than sessions: a process that ended is a member until its own times out


class SoleOwner:
    """Of all of *partitions*, once `take` has returned. *group* is the name, for messages; *members* says who
    belongs to it now, before we do.
    """

    def __init__(
        self,
        group: str,
        partitions: Sequence[TopicPartition],
        reader: GroupReader,
        writer: TransactionalWriter,
        steady: Clock,
        *,
        members: Callable[[], Sequence[str]],
    ) -> None:
        self._group, self._partitions = group, frozenset(partitions)
        self._reader, self._writer, self._steady, self._members = reader, writer, steady, members
        self._owned: set[TopicPartition] = set()

    def take(self, told: Callable[[str], None] = lambda _: None) -> None:
        """Join and wait until nobody else is left. *told* what is waited for.

        Raises `EngineRefusal` when others stay, `LogUnavailable`.
        """
        end_ms = self._steady.now_ms() + PATIENCE_MS
        while others := self._members():
            self._wait(f"{self._group} has members: {', '.join(others)}", end_ms, told)
        while not self._is_alone():
            left = len(self._partitions - self._owned)
            count = len(self._partitions)
            self._wait(f"{left} of {count} partitions belong to other members of {self._group}", end_ms, told)

    def _wait(self, what: str, end_ms: int, told: Callable[[str], None]) -> None:
        if self._steady.now_ms() > end_ms:
            raise EngineRefusal(
                f"{what}: nothing was changed. Stop these processes first; one that ended or was killed is a "
                "member until its session has timed out."
            )
        told(what)
        self._steady.sleep_ms(PAUSE_MS)

    def committed(self, partition: TopicPartition) -> Committed | None:
        return self._reader.committed(partition)

    def write(self, sends: Sequence[Send], offsets: Mapping[TopicPartition, Committed]) -> None:
        """One transaction. Raises `CommitAborted`, `CommitFenced` and `CommitUnknown`."""
        self._is_alone()  # and our heartbeat is heard
        self._writer.begin()
        for s in sends:
            self._writer.send(s.topic, s.partition, s.key, s.value, s.headers)
        self._writer.commit(offsets, self._reader.membership())

    def close(self) -> None:
        self._writer.close()
        self._reader.close()

    def _is_alone(self) -> bool:
        self._reader.poll(POLL_MS, 1)  # everything assigned is paused: nothing comes
        for change in self._reader.assignment_changes():
            self._owned -= {*change.revoked, *change.lost}
            self._owned |= {*change.assigned}
        return self._owned >= self._partitions
