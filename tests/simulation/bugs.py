"""Known ways to get exactly-once wrong, planted one at a time: the simulation must find each of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from correlator.adapters.memory.clients import MemoryGroupReader, MemoryLogReader
from correlator.adapters.memory.partition import PartitionLog
from correlator.engine import commit, restore
from correlator.engine.checkpoint import Cut
from correlator.engine.commit import Action, Committer, Outbox, Send
from correlator.engine.correlate_stage import CorrelateStage
from correlator.engine.ports import CommitAborted, CommitFenced, Committed, Membership, TopicPartition
from correlator.engine.tasks import Task, Tasks
from correlator.engine.topics import Topics
from correlator.frame import Frame, decode_frame, encode_frame
from correlator.intake.intake import Intake
from correlator.pipeline import Correlated, Folded, InForce, alert_partition, fold_step, only, to_say
from correlator.record import Record
from correlator.timeline import state
from correlator.timeline.alert import Change
from correlator.timeline.changed import Changed
from correlator.timeline.moving import Mover
from correlator.timeline.partition import Partition
from tests.simulation.clients import SimulatedWriter
from tests.simulation.small import bundle

Patch = pytest.MonkeyPatch


def restore_reads_to_the_stable_offset(patch: Patch) -> None:
    """The end of a restore is asked of a read_committed consumer: a checkpoint is missed."""

    def stable(self: MemoryLogReader, partition: TopicPartition) -> int:
        return self._log.partition(partition).stable_offset

    patch.setattr("tests.simulation.clients.SimulatedLogReader.high_watermark", stable)


def membership_is_asked_at_commit(patch: Patch) -> None:
    """After an eviction the client says generation -1, which the broker does not check (H3)."""
    attempt = Committer.attempt

    def late(self: Committer, membership: Membership) -> Action:
        return attempt(self, self._reader.membership())

    patch.setattr(Committer, "attempt", late)
    patch.setattr(Membership, "is_joined", True)  # nor does anybody else


def a_checkpoint_has_several_cuts(patch: Patch) -> None:
    """An entity that is touched between two slices is encoded as it is then, not as it was at the cut."""

    patch.setattr(Changed, "touch", lambda self, entity: self.since.add(entity))


def frames_are_folded_per_poll(patch: Patch) -> None:
    """One fold and one difference for all that a poll brought: publishes less than a replay by frame."""
    fold = CorrelateStage._fold

    def merged(
        self: CorrelateStage, records: Sequence[Record], positions: Mapping[TopicPartition, int]
    ) -> Outbox:
        by_partition: dict[int, list[Record]] = {}
        for record in records:
            by_partition.setdefault(record.partition, []).append(record)
        return fold(self, [_merge(some) for some in by_partition.values()], positions)

    patch.setattr(CorrelateStage, "_fold", merged)


def _merge(records: Sequence[Record]) -> Record:
    frames = [decode_frame(record.value or b"") for record in records]
    whole = msgspec.structs.replace(
        frames[-1],
        rows=tuple(row for frame in frames for row in frame.rows),
        arrivals=tuple(mark for frame in frames for mark in frame.arrivals),
        sources=tuple(mark for frame in frames for mark in frame.sources),
        bindings=tuple(binding for frame in frames for binding in frame.bindings),
        facts=tuple(fact for frame in frames for fact in frame.facts),
    )
    return msgspec.structs.replace(records[-1], value=encode_frame(whole))


def offsets_of_an_aborted_transaction_stay(patch: Patch) -> None:
    """The client's pending offsets outlive an abort and go out with the next transaction (H2)."""
    send = SimulatedWriter.commit
    stale: dict[int, dict[TopicPartition, Committed]] = {}

    def pending(
        self: SimulatedWriter, offsets: Mapping[TopicPartition, Committed], membership: Membership
    ) -> None:
        every = {**stale.pop(id(self), {}), **offsets}
        try:
            send(self, every, membership)
        except CommitFenced:
            raise
        except CommitAborted:
            stale[id(self)] = every
            raise

    patch.setattr(SimulatedWriter, "commit", pending)


def an_expired_batch_counts_as_sent(patch: Patch) -> None:
    """Futures of sends are not looked at before the commit (H1)."""
    patch.setattr(SimulatedWriter, "flush", lambda self: None)


def a_replay_publishes(patch: Patch) -> None:
    """What a restore folds again is told again."""
    replayed: list[Change] = []
    fold, fold_frame = CorrelateStage._fold, fold_step

    def noted(frame: Frame, partition: Partition, force: InForce) -> Folded:
        folded = fold_frame(frame, partition, force)
        replayed.extend(folded.changes)
        return folded

    def loud(
        self: CorrelateStage, records: Sequence[Record], positions: Mapping[TopicPartition, int]
    ) -> Outbox:
        outbox = fold(self, records, positions)
        again = [_send(self, change) for change in replayed]
        replayed.clear()
        return msgspec.structs.replace(outbox, sends=[*again, *outbox.sends])

    patch.setattr(restore, "fold_step", noted)
    patch.setattr(CorrelateStage, "_fold", loud)


def _send(stage: CorrelateStage, change: Change) -> Send:
    partition = next(iter(stage.tasks.live.values())).partition
    made = to_say([change], partition, only(bundle()), crc=0)[0].record()
    where = alert_partition(change.alert.entity)
    return Send(stage._topics.alerts, where, made.key, made.value, made.headers)


def an_unknown_commit_counts_as_aborted(patch: Patch) -> None:
    """Without a reply the transaction is sent again, though the first one may have been committed (H4)."""
    patch.setitem(commit.TABLE, ("unsent", "unknown"), ("unsent", "resend"))


def what_was_stated_of_an_input_is_forgotten(patch: Patch) -> None:
    """The next owner of an input begins its arrival clock anew."""
    assign = Intake.assign

    def forgetful(self: Intake, topic: str, q: int, partitions: int, metadata: str = "") -> None:
        assign(self, topic, q, partitions)

    patch.setattr(Intake, "assign", forgetful)


def a_checkpoint_keeps_only_the_newest_bundle(patch: Patch) -> None:
    """After a restore, what happened before its time is evaluated by it too."""
    encode = Cut.sends

    def newest(self: Cut, topics: Topics, partitions: int) -> list[Send]:
        self._versions = self._versions[-1:]
        return encode(self, topics, partitions)

    patch.setattr(Cut, "sends", newest)


def a_replay_does_not_activate(patch: Patch) -> None:
    """What a restore folds again is folded under what is in force at its checkpoint."""

    def held(frame: Frame, partition: Partition, force: InForce) -> Folded:
        return Folded(partition.step(frame), partition.take_told())

    patch.setattr(restore, "fold_step", held)


def a_bundle_is_activated_partition_by_partition(patch: Patch) -> None:
    """Not in one transaction: who dies half way leaves some of them behind."""
    send = SimulatedWriter.send

    def one(self: SimulatedWriter, topic: str, partition: int, *rest: Any) -> None:
        send(self, topic, partition, *rest)
        if self._transactional_id == "deploy":
            self.commit({}, None)
            self.begin()

    patch.setattr(SimulatedWriter, "send", one)


def facts_are_told_beside_the_transaction(patch: Patch) -> None:
    """What one entity tells another is sent at once: after an abort it is sent again."""
    send = SimulatedWriter.send

    def one(self: SimulatedWriter, topic: str, partition: int, *rest: Any) -> None:
        send(self, topic, partition, *rest)
        if topic == "correlator.keyed" and self._transactional_id.startswith("correlate"):
            self.commit({}, None)
            self.begin()

    patch.setattr(SimulatedWriter, "send", one)


def what_was_moved_is_not_kept(patch: Patch) -> None:
    """A checkpoint forgets which events belong elsewhere."""
    patch.setattr(state, "dump_moved", lambda moved, codes, owner: b"")


def a_receiver_does_not_pass_on(patch: Patch) -> None:
    """Whoever was given an event keeps to himself what he hears of its credential."""
    patch.setattr(Mover, "_pass_on", lambda self, home, binding: None)


def what_was_polled_and_not_folded_is_not_read_again(patch: Patch) -> None:
    """While an outbox waits, what a poll brings is passed over."""
    patch.setattr(CorrelateStage, "_rewind", lambda self, records: None)


def frames_of_an_aborted_transaction_are_taken(patch: Patch) -> None:
    """The group's reader reads uncommitted, up to the stable offset."""
    fetch, poll = PartitionLog.fetch, MemoryGroupReader.poll.__code__

    def uncommitted(self: PartitionLog, start: int, end: int, records_max: int) -> tuple[list[Record], int]:
        aborted = self._aborted
        self._aborted = set() if sys._getframe(1).f_code is poll else aborted
        try:
            return fetch(self, start, end, records_max)
        finally:
            self._aborted = aborted

    patch.setattr(PartitionLog, "fetch", uncommitted)


def facts_are_not_stamped(patch: Patch) -> None:
    """The running stamp is that of alerts only."""
    fold = CorrelateStage._fold_one

    def forgetful(self: CorrelateStage, frame: Frame, task: Task) -> Correlated:
        before, correlated = task.crc, fold(self, frame, task)
        task.crc = task.crc if correlated.folded.changes else before
        return correlated

    patch.setattr(CorrelateStage, "_fold_one", forgetful)


def what_a_replay_counts_is_counted(patch: Patch) -> None:
    """A restored partition keeps what was counted before it came back, and counts it with its next frame."""
    take = Partition.take_counters

    def kept(self: Partition) -> dict[tuple[str, ...], int]:
        is_restore = sys._getframe(1).f_globals["__name__"] == restore.__name__
        return {} if is_restore else take(self)

    patch.setattr(Partition, "take_counters", kept)


def what_was_dropped_is_counted(patch: Patch) -> None:
    """An outbox counts when it ends, however: what comes to nothing is made, and counted, once more."""
    drop = Committer.drop

    def counting(self: Committer) -> None:
        if self.outbox is not None and self._state != "idle":
            self._count(self.outbox)
        drop(self)

    patch.setattr(Committer, "drop", counting)


def what_is_parked_is_taken_back_unasked(patch: Patch) -> None:
    """Although somebody else may have owned and moved it meanwhile."""
    take = Tasks._take

    def unasked(self: Tasks, tp: TopicPartition) -> None:
        if tp in self._parked:
            self._ports.reader.committed(tp)
            self._run(tp, self._parked.pop(tp))
        else:
            take(self, tp)

    patch.setattr(Tasks, "_take", unasked)


BUGS: tuple[Callable[[Patch], None], ...] = (
    restore_reads_to_the_stable_offset,
    membership_is_asked_at_commit,
    a_checkpoint_has_several_cuts,
    frames_are_folded_per_poll,
    offsets_of_an_aborted_transaction_stay,
    an_expired_batch_counts_as_sent,
    a_replay_publishes,
    an_unknown_commit_counts_as_aborted,
    what_was_stated_of_an_input_is_forgotten,
    a_checkpoint_keeps_only_the_newest_bundle,
    a_replay_does_not_activate,
    a_bundle_is_activated_partition_by_partition,
    facts_are_told_beside_the_transaction,
    what_was_moved_is_not_kept,
    a_receiver_does_not_pass_on,
    what_was_polled_and_not_folded_is_not_read_again,
    frames_of_an_aborted_transaction_are_taken,
    facts_are_not_stamped,
    what_a_replay_counts_is_counted,
    what_was_dropped_is_counted,
    what_is_parked_is_taken_back_unasked,
)
