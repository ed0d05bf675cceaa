"""Partitions of *keyed* that this process owns: live, restoring, or parked over a rebalance.

Assigned: take back what nobody touched since (offset and stamp equal what we last committed), restore the
rest. Revoked: park, since often it comes back at once. Lost: drop. A partition that is restoring stays
paused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from correlator.engine.bundles import Bundles
from correlator.engine.checkpoint import Cut
from correlator.engine.options import Options, Ports
from correlator.engine.ports import AssignmentChange, Committed, TopicPartition
from correlator.engine.restore import Restore, Restored
from correlator.engine.shown import Shown
from correlator.engine.topics import EngineRefusal, Topics
from correlator.pipeline import InForce
from correlator.timeline.partition import Partition


class Task(msgspec.Struct):
    """A partition that is live: folded up to *offset*, and what is committed of that."""

    partition: Partition
    force: InForce
    offset: int
    crc: int
    committed: Committed | None
    image_ms: int  # when the last checkpoint was written, or the task began
    folded_ms: float = 0.0  # time spent folding since then: what a replay would cost
    folded_events: int = 0
    folded_frames: int = 0
    cut: Cut | None = None
    image_end: int = 0  # where its partition of the checkpoint topic ends, at least


class _Restoring(msgspec.Struct):
    restore: Restore
    committed: Committed | None
    started_ms: int
    spent_ms: int = 0


class Tasks:
    def __init__(self, bundles: Bundles, topics: Topics, ports: Ports, options: Options) -> None:
        self.live: dict[TopicPartition, Task] = {}
        self.differing: list[tuple[TopicPartition, Restored]] = []  # replays that did not reproduce the stamp
        self.is_assigned = False
        self._parked: dict[TopicPartition, Task] = {}
        self._restoring: dict[TopicPartition, _Restoring] = {}
        self._assigned: dict[TopicPartition, None] = {}  # ours, and nothing is done about it yet
        self._doubted: set[TopicPartition] = set()  # refused once
        self._bundles, self._topics, self._ports, self._options = bundles, topics, ports, options
        self._shown = Shown(ports.meter)

    @property
    def is_restoring(self) -> bool:
        return bool(self._restoring or self._assigned)

    def waiting(self) -> tuple[str, ...]:
        return tuple(state.restore.waiting for _, state in sorted(self._restoring.items()))

    def apply(self, changes: Sequence[AssignmentChange], unsettled: Collection[TopicPartition]) -> bool:
        """Follow what the listener recorded. *unsettled* are partitions with an outbox whose fate is open.

        True when one of these went away: the outbox is void, and the others in it are restored again.
        """
        is_void = False
        for change in changes:
            gone = (*change.revoked, *change.lost)
            self._give_up(change.revoked, unsettled)
            self._drop(change.lost)
            is_void = is_void or any(tp in unsettled for tp in gone)
            self._assigned.update(dict.fromkeys(change.assigned))
            self.is_assigned = not gone
            self._count(change)
        if is_void:
            self.restart(unsettled)
        return is_void

    def restart(self, partitions: Iterable[TopicPartition]) -> None:
        """Restore again what is still ours: its state is ahead of what was committed."""
        for tp in partitions:
            if self.live.pop(tp, None) is not None:
                self._ports.reader.pause([tp])
                self._assigned[tp] = None

    def advance(self) -> None:
        """Slices of restoring within the time budget; then the group must hear of us again."""
        for tp in list(self._assigned):
            self._take(tp)
            del self._assigned[tp]
        if self.is_assigned:
            self._parked.clear()  # what did not come back with the assignment belongs to somebody else
        steady, options = self._ports.steady, self._options
        budget_ms = options.restore_ms if self.live else options.restore_alone_ms
        until_ms = steady.now_ms() + budget_ms
        while self._restoring and steady.now_ms() <= until_ms:
            tp, state = next(iter(self._restoring.items()))
            began_ms = steady.now_ms()
            is_back = self._advance(tp, state.restore)
            state.spent_ms += steady.now_ms() - began_ms
            if is_back:
                del self._restoring[tp]
                self._finish(tp, state)
        self._shown.tell(
            {
                ("correlator_restore_remaining_records", str(tp.partition)): state.restore.remaining
                for tp, state in self._restoring.items()
            }
        )

    def _advance(self, tp: TopicPartition, restore: Restore) -> bool:
        """A slice. A refusal counts when it comes again after a poll.

        The partition may be somebody else's since, who writes checkpoints that do not fit our offset.
        """
        try:
            return restore.advance()
        except EngineRefusal:
            if tp in self._doubted:
                raise
            self._doubted.add(tp)
            del self._restoring[tp]
            self._assigned[tp] = None
            return False

    def _finish(self, tp: TopicPartition, state: _Restoring) -> None:
        self._doubted.discard(tp)
        restored, now_ms = state.restore.restored, self._ports.steady.now_ms()
        assert restored is not None, "a finished restore has its result"
        if restored.crc != restored.expected_crc:
            self.differing.append((tp, restored))
        task = Task(
            restored.partition, restored.force, restored.offset, restored.crc, state.committed, now_ms
        )
        task.folded_frames, task.folded_events = restored.replayed, restored.events  # since its checkpoint
        task.folded_ms = state.spent_ms if restored.replayed else 0  # and would be again
        task.image_end = state.restore.image_end
        self._run(tp, task)
        seconds = (now_ms - state.started_ms) / 1_000
        self._ports.meter.observe("correlator_restore_seconds", [seconds], partition=str(tp.partition))
        self._ports.restored()

    def _take(self, tp: TopicPartition) -> None:
        committed = self._ports.reader.committed(tp)
        parked = self._parked.pop(tp, None)
        if parked is not None and committed is not None and parked.committed == committed:
            self._run(tp, parked)
        else:
            self._begin(tp, committed)

    def _begin(self, tp: TopicPartition, committed: Committed | None) -> None:
        restore = Restore(self._ports.log, self._topics, self._bundles, tp.partition, committed)
        begun = {tp: _Restoring(restore, committed, self._ports.steady.now_ms())}
        if tp in self._doubted:  # whoever waits for the refusal is not to wait for all the others first
            self._restoring = begun | self._restoring
        else:
            self._restoring |= begun

    def _run(self, tp: TopicPartition, task: Task) -> None:
        self.live[tp] = task
        self._ports.reader.seek(tp, task.offset)
        self._ports.reader.resume([tp])

    def _give_up(self, revoked: Iterable[TopicPartition], unsettled: Collection[TopicPartition]) -> None:
        """Park what is clean. Half a checkpoint could be overtaken by another owner's."""
        for tp in revoked:
            task = self.live.pop(tp, None)
            self._restoring.pop(tp, None)
            self._assigned.pop(tp, None)
            self._doubted.discard(tp)
            if task is not None and task.cut is None and tp not in unsettled:
                self._parked[tp] = task

    def _drop(self, lost: Iterable[TopicPartition]) -> None:
        self._doubted.difference_update(lost)
        for tp in lost:
            for held in (self.live, self._restoring, self._parked, self._assigned):
                held.pop(tp, None)

    def _count(self, change: AssignmentChange) -> None:
        meter = self._ports.meter
        for kind in ("assigned", "revoked", "lost"):
            if getattr(change, kind):
                meter.add("correlator_rebalances_total", 1, stage="correlate", kind=kind)
        owned = len(self.live) + len(self._restoring) + len(self._assigned)
        meter.set("correlator_partitions_assigned", owned, stage="correlate")
