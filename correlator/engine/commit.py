"""The commit protocol as a table: what a transaction can come to, and what the stage does then.

An `Outbox` is one transaction: outputs, and the offsets of the inputs they were made of. The stages are
deterministic and have already moved on, so after an abort the *same* outbox is sent again; only when
somebody else owns the partitions is it dropped, and with it everything that was derived from them. An
unknown outcome is settled by fencing our own transactional id and comparing what the group then has (offset
and stamp) with what we wrote.

May not know: Kafka. The guards around the client are the writer's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from correlator.engine.metrics import labelled
from correlator.engine.ports import (
    Clock,
    CommitAborted,
    CommitFenced,
    Committed,
    CommitUnknown,
    GroupReader,
    LogUnavailable,
    Membership,
    Meter,
    TopicPartition,
    TransactionalWriter,
)

State = Literal["idle", "unsent", "unknown"]
Event = Literal["ok", "aborted", "fenced", "unknown", "ours", "previous", "other"]
Action = Literal["apply", "resend", "drop", "settle"]

# state × what happened -> next state, what the stage does. `settle` is done here, at once or next time.
TABLE: Mapping[tuple[State, Event], tuple[State, Action]] = {
    ("unsent", "ok"): ("idle", "apply"),
    ("unsent", "aborted"): ("unsent", "resend"),
    ("unsent", "fenced"): ("idle", "drop"),
    ("unsent", "unknown"): ("unknown", "settle"),
    ("unknown", "unknown"): ("unknown", "settle"),  # the coordinator is still silent
    ("unknown", "aborted"): ("unknown", "settle"),  # the settling itself failed
    ("unknown", "fenced"): ("idle", "drop"),
    ("unknown", "ours"): ("idle", "apply"),
    ("unknown", "previous"): ("unsent", "resend"),
    ("unknown", "other"): ("idle", "drop"),
}
_RESULTS: Mapping[str, str] = {
    "ok": "committed",
    "aborted": "aborted",
    "fenced": "fenced",
    "unknown": "unknown",
}
FAILURES: Mapping[type[Exception], Event] = {
    CommitFenced: "fenced",
    CommitAborted: "aborted",
    CommitUnknown: "unknown",
    LogUnavailable: "unknown",  # while what became of it is asked
}
BACK_OFF_MAX_MS = 5_000
ATTEMPTS_QUIET = 2  # failures of one outbox before an operator is told


class Send(msgspec.Struct, frozen=True):
    """A record to be sent, by full topic name."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Outbox(msgspec.Struct):
    """One transaction. *previous* is what was committed for the same partitions before, *counters* (as of
    `metrics.labelled`) what is counted when it is committed: what comes to nothing is made once more.
    """

    sends: Sequence[Send]
    offsets: dict[TopicPartition, Committed]
    previous: dict[TopicPartition, Committed | None]
    counters: Mapping[tuple[str, ...], int] = {}


class Committer:
    """Holds at most one outbox until its fate is known. Only `attempt` talks to the log."""

    def __init__(
        self, stage: str, reader: GroupReader, writer: TransactionalWriter, clock: Clock, meter: Meter
    ) -> None:
        self.stage = stage
        self.outbox: Outbox | None = None
        self._state: State = "idle"
        self._reader, self._writer, self._clock, self._meter = reader, writer, clock, meter
        self._attempts, self._back_off_ms = 0, 0  # at the outbox so far
        self._error = ""  # what the last of them came to

    def waiting(self) -> tuple[str, ...]:
        """Why nothing is committed, for a person; () while all is well, and after a first failure."""
        if self._attempts < ATTEMPTS_QUIET:
            return ()
        return (f"{self.stage} cannot commit, tried {self._attempts} times: {self._error}",)

    def put(self, outbox: Outbox) -> None:
        """Take the next transaction. The one before must have come to an end."""
        assert self.outbox is None, "the last transaction has not ended"
        self.outbox, self._state = outbox, "unsent"

    def drop(self) -> None:
        """Forget the outbox: its partitions are not ours any more."""
        self.outbox, self._state = None, "idle"
        self._attempts = self._back_off_ms = 0

    def attempt(self, membership: Membership) -> Action:
        """Send the outbox, or find out what became of it. `settle`, `resend`: call again after a poll."""
        outbox = self.outbox
        assert outbox is not None, "nothing to commit"
        if self._back_off_ms:
            self._clock.sleep_ms(self._back_off_ms)
        action: Action = "settle"
        if self._state == "unsent":
            self._state, action = TABLE[self._state, self._send(outbox, membership)]
        if self._state == "unknown":
            self._state, action = TABLE[self._state, self._tried(lambda: self._settle(outbox))]
        if action == "apply":
            self._count(outbox)
        if action in ("apply", "drop"):
            self.drop()
        else:
            self._attempts += 1
            self._back_off_ms = min(BACK_OFF_MAX_MS, 2 * self._back_off_ms or 50)
        return action

    def last_attempts(self, most: int, within_ms: int) -> Iterator[None]:
        """On the way out: once per attempt that the outbox is to be given still. Each may take as long as the
        log is waited for, so none begins later than *within_ms* after the first.
        """
        began_ms = self._clock.now_ms()
        for _ in range(most):
            if self.outbox is None or self._clock.now_ms() - began_ms > within_ms:
                return
            yield

    def _count(self, outbox: Outbox) -> None:
        for key, count in outbox.counters.items():
            name, labels = labelled(key)
            self._meter.add(name, count, **labels)

    def _send(self, outbox: Outbox, membership: Membership) -> Event:
        started_ms = self._clock.now_ms()
        event = self._tried(lambda: self._transact(outbox, membership))
        self._meter.add("correlator_transactions_total", 1, stage=self.stage, result=_RESULTS[event])
        if event == "ok":
            seconds = (self._clock.now_ms() - started_ms) / 1_000
            self._meter.observe("correlator_transaction_seconds", [seconds], stage=self.stage)
            self._meter.observe("correlator_transaction_records", [len(outbox.sends)], stage=self.stage)
        return event

    def _tried(self, part: Callable[[], Event]) -> Event:
        try:
            return part()
        except tuple(FAILURES) as error:
            self._error = str(error)
            return FAILURES[type(error)]

    def _transact(self, outbox: Outbox, membership: Membership) -> Event:
        self._writer.begin()
        for s in outbox.sends:
            self._writer.send(s.topic, s.partition, s.key, s.value, s.headers)
        self._writer.commit(outbox.offsets, membership)
        return "ok"

    def _settle(self, outbox: Outbox) -> Event:
        self._writer.settle()
        return self._compare(outbox)

    def _compare(self, outbox: Outbox) -> Event:
        moved = [tp for tp, ours in outbox.offsets.items() if ours != outbox.previous.get(tp)]
        found = self._reader.committed_offsets(outbox.offsets)
        if all(found[tp] == outbox.previous.get(tp) for tp in outbox.offsets):
            return "previous"  # also when nothing was to move: then sending again changes nothing
        if moved and all(found[tp] == outbox.offsets[tp] for tp in outbox.offsets):
            return "ours"
        return "other"
