"""The correlating stage: owns partitions of *keyed*, folds their frames, publishes alerts, writes
checkpoints.

After each poll it folds what came and commits alerts and offsets in one transaction. It reads no clock for
anything that reaches an alert; the clock here paces checkpoints and measures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from correlator.engine.bundles import Bundles
from correlator.engine.checkpoint import Cut
from correlator.engine.commit import Committer, Outbox, Send
from correlator.engine.dead_letters import dead_letter
from correlator.engine.feed_notices import FeedNotices
from correlator.engine.frames import frame_in, wire_of
from correlator.engine.gauges import Gauges
from correlator.engine.lag import Lag
from correlator.engine.metrics import alert_counters
from correlator.engine.notices import replay_differs
from correlator.engine.options import Options, Ports
from correlator.engine.ports import Committed, LogUnavailable, Membership, TopicPartition
from correlator.engine.restore import Stamp
from correlator.engine.tasks import Task, Tasks
from correlator.engine.topics import Topics
from correlator.event import FOREVER
from correlator.frame import Frame, Wire, encode_frame
from correlator.pipeline import Correlated, InForce, alert_partition, correlate_step
from correlator.record import Record, Reject
from correlator.timeline.telling import Told, frames

IDLE_TIMES = 10  # as long between two checkpoints of a partition that took no events


class CorrelateStage:
    """`step` is one poll and at most two transactions: what was polled, and a checkpoint that is whole."""

    name = "correlate"

    def __init__(self, bundles: Bundles, topics: Topics, ports: Ports, options: Options) -> None:
        self.tasks = Tasks(bundles, topics, ports, options)
        self.clock = ports.clock
        self._bundles, self._topics, self._ports, self._options = bundles, topics, ports, options
        self._committer = Committer(self.name, ports.reader, ports.writer, ports.steady, ports.meter)
        self._lag = Lag(self.name, ports.reader, ports.steady, ports.meter)
        self._gauges = Gauges(ports)
        self._feed_notices = FeedNotices(topics.notices)
        self._turn: TopicPartition | None = None  # whose checkpoint is under way
        self._counters = Counter[tuple[str, ...]]()  # of the next outbox

    # -------------------------------------------------------------------- loop

    def step(self, wait_ms: int = 0) -> int:
        """Poll, at most *wait_ms* if nothing is there, fold, commit. How many frames were folded.

        Raises `EngineRefusal`.
        """
        reader, live = self._ports.reader, self.tasks.live
        timeout_ms = 0 if self.tasks.is_restoring else wait_ms
        records = reader.poll(timeout_ms, self._options.frames_max)
        membership = reader.membership()
        changes = reader.assignment_changes()
        moved = {tp for c in changes for tp in (*c.assigned, *c.revoked, *c.lost)}
        try:
            outbox = self._committer.outbox
            if self.tasks.apply(changes, outbox.offsets if outbox else ()):
                self._committer.drop()
                self._dropped()
            self._advance()
            records = [r for r in records if _where(r) in live and _where(r) not in moved]
            return self._react(records, membership)
        except LogUnavailable:
            self._rewind(records)
            raise

    def _advance(self) -> None:
        """Restore what is to be restored. What rules count meanwhile was counted when it happened."""
        if not self.tasks.is_restoring:
            return self.tasks.advance()
        self._gauges.tell_counted(self._bundles.programs)
        try:
            self.tasks.advance()
        finally:
            self._gauges.tell_counted(self._bundles.programs, by_replay=True)

    def _react(self, records: Sequence[Record], membership: Membership) -> int:
        if self._committer.outbox is not None or not membership.is_joined:
            self._rewind(records)
            if self._committer.outbox is not None and membership.is_joined:
                self._finish(membership)
            return 0
        if records:
            self._committer.put(self._fold(records, self._positions(records)))
            if not self._finish(membership):
                return 0
        self._checkpoint(membership)
        self._lag.tell((tp, task.offset) for tp, task in self.tasks.live.items())
        self._gauges.tell([(task.partition, task.force) for task in self.tasks.live.values()])
        return len(records)

    @property
    def is_caught_up(self) -> bool:
        """Everything readable of the owned partitions is folded and committed."""
        reader, tasks = self._ports.reader, self.tasks
        return (
            tasks.is_assigned
            and not tasks.is_restoring
            and self._committer.outbox is None
            and all(reader.position(tp) >= end for tp, end in reader.end_offsets(tasks.live).items())
        )

    @property
    def bundle(self) -> str:
        """That is in force in all owned partitions; "" while they differ, and where there are none."""
        found = {task.force.hash for task in self.tasks.live.values()}
        return found.pop() if len(found) == 1 else ""

    def waiting(self) -> tuple[str, ...]:
        """Why the stage is not ready, for a person."""
        if not self.tasks.is_assigned:
            return ("correlate has not joined its group",)
        return self._committer.waiting() + self.tasks.waiting() + self._lag.waiting()

    def finish(self) -> None:
        """Before leaving: commit what is folded, and, where checkpoints are written, one of every partition
        that changed.
        """
        for tp in list(self.tasks.live) if self._options.checkpoint_ms < FOREVER else ():
            if not self._settle():
                return
            task = self.tasks.live.get(tp)  # gone, if the checkpoint before was fenced
            if task is None or (task.cut is None and task.folded_frames == 0):
                continue
            cut = task.cut or self._begin_cut(tp, task)
            while not cut.advance(self._options.slice_entities):
                pass
            self._put_checkpoint(tp, task, cut)
        self._settle()

    def close(self) -> None:
        self._ports.writer.close()
        self._ports.reader.close()

    # ----------------------------------------------------------------- folding

    def _positions(self, records: Sequence[Record]) -> dict[TopicPartition, int]:
        """Behind trailing markers, so that lag reaches 0. Asked first: a fold is not left half way."""
        return {tp: self._ports.reader.position(tp) for tp in {_where(record) for record in records}}

    def _fold(self, records: Sequence[Record], positions: Mapping[TopicPartition, int]) -> Outbox:
        wires = [wire_of(record) for record in records]
        self._fetch_bundles(wires)
        partitions = [task.partition for task in self.tasks.live.values()]
        self._feed_notices.take_over(partitions)
        if not self.tasks.is_restoring:  # by the same reader
            self._feed_notices.adopt(self._ports.log)
        sends = self._differences()
        touched: dict[TopicPartition, Task] = {}
        told: list[tuple[int, Told]] = []
        started_ms, steady = self._ports.steady.now_ms(), self._ports.steady
        for record, wire in zip(records, wires, strict=True):
            tp = _where(record)
            task = touched[tp] = self.tasks.live[tp]
            frame = frame_in(wire, task.partition.codes)
            task.offset = record.offset + 1
            if isinstance(frame, Reject):
                sends.append(self._refuse(record, frame))
            else:
                correlated = self._fold_one(frame, task)
                sends += self._alerts(correlated)
                told.append((tp.partition, correlated.folded.told))
        sends += self._frames(told, next(reversed(touched.values())).force)
        sends += self._feed_notices.due(partitions)
        spent_ms = steady.now_ms() - started_ms
        for tp, task in touched.items():
            task.offset = max(task.offset, positions[tp])
            task.folded_ms += spent_ms / len(touched)
            self._counters.update(task.partition.take_counters())
        self._ports.meter.add(
            "correlator_records_consumed_total", len(records), stage=self.name, topic=self._topics.keyed
        )
        return self._outbox(sends, touched)

    def _fetch_bundles(self, wires: Iterable[Wire | Reject]) -> None:
        """Every bundle that they put into force: a fold is not left half way."""
        for wire in wires:
            if isinstance(wire, Wire) and wire.activate is not None:
                self._bundles.get(wire.activate.bundle)

    def _fold_one(self, frame: Frame, task: Task) -> Correlated:
        task.force = self._bundles.after(task.force, frame.activate, task.partition.now_ms)
        correlated = correlate_step(frame, task.partition, task.force, crc=task.crc)
        task.crc = correlated.folded.stamp(task.crc)
        task.folded_events += len(frame.rows) + len(frame.facts)
        task.folded_frames += 1
        self._gauges.folded(frame, correlated.folded.changes)
        self._counters.update(alert_counters(correlated.folded.changes))
        return correlated

    def _alerts(self, correlated: Correlated) -> list[Send]:
        sends = []
        for change, record in zip(correlated.folded.changes, correlated.alerts, strict=True):
            topic = self._topics.shadow if change.alert.is_shadow else self._topics.alerts
            where = alert_partition(change.alert.entity)
            sends.append(Send(topic, where, record.key, record.value, record.headers))
        return sends

    def _frames(self, told: Sequence[tuple[int, Told]], force: InForce) -> list[Send]:
        """What entities tell others goes through the log, as everything that a partition knows."""
        if not force.versions:  # then nothing has happened yet
            return []
        bundle = force.versions[-1][1]
        held = Counter(fact.is_held for _, each in told for fact in each.facts)
        for is_held, count in held.items():
            operation = "asserted" if is_held else "retracted"
            self._counters["correlator_facts_total", operation] += count
        made = frames(told, bundle.intake.partitions, bundle.hash)
        return [Send(self._topics.keyed, number, None, encode_frame(frame)) for number, frame in made]

    def _refuse(self, record: Record, reject: Reject) -> Send:
        self._counters["correlator_dead_letters_total", self.name, reject.reason] += 1
        return dead_letter(self._topics.dead_letters, record, reject)

    def _outbox(self, sends: Sequence[Send], touched: Mapping[TopicPartition, Task]) -> Outbox:
        stamps = {tp: Stamp(task.crc, task.force.hash).text() for tp, task in touched.items()}
        offsets = {tp: Committed(task.offset, stamps[tp]) for tp, task in touched.items()}
        counters, self._counters = self._counters, Counter()
        return Outbox(sends, offsets, {tp: task.committed for tp, task in touched.items()}, counters)

    def _differences(self) -> list[Send]:
        """Notices of restores that did not reproduce what was published."""
        differing, self.tasks.differing = self.tasks.differing, []
        for tp, _ in differing:
            self._counters["correlator_replay_differs_total", str(tp.partition)] += 1
        return [replay_differs(self._topics.notices, tp, restored) for tp, restored in differing]

    # -------------------------------------------------------------- committing

    def _finish(self, membership: Membership) -> bool:
        """Try to bring the outbox to its end; True when it is committed."""
        outbox = self._committer.outbox
        assert outbox is not None, "nothing to commit"
        action = self._committer.attempt(membership)
        if action == "apply":
            for tp, committed in outbox.offsets.items():
                self.tasks.live[tp].committed = committed
            self._gauges.committed()
        elif action == "drop":
            self.tasks.restart(list(self.tasks.live))
            self._dropped()
        return action == "apply"

    def _dropped(self) -> None:
        """Nobody was told what was in the last outbox: it will be folded again."""
        self._gauges.dropped()
        self._feed_notices.forget()
        self._turn = None

    def _settle(self) -> bool:
        """On the way out: a few attempts, then the successor finds out."""
        for _ in self._committer.last_attempts(self._options.attempts_max, self._options.leave_ms):
            self._finish(self._ports.reader.membership())
        return self._committer.outbox is None

    def _rewind(self, records: Sequence[Record]) -> None:
        """What was polled and not folded is to be polled again."""
        for tp in {_where(record) for record in records}:
            if tp in self.tasks.live:
                self._ports.reader.seek(tp, self.tasks.live[tp].offset)

    # ------------------------------------------------------------- checkpoints

    def _checkpoint(self, membership: Membership) -> None:
        """A slice of the checkpoint under way, or the next one that is due. One partition at a time."""
        live = self.tasks.live
        if self._turn not in live:
            self._turn = self._due()
        if self._turn is None:
            return
        tp, task = self._turn, live[self._turn]
        cut = task.cut or self._begin_cut(tp, task)
        if cut.advance(self._options.slice_entities):
            self._put_checkpoint(tp, task, cut)
            self._finish(membership)

    def _due(self) -> TopicPartition | None:
        """What a restart repeats is bounded over all partitions: the one with the most of it goes first."""
        live = self.tasks.live
        if sum(task.folded_ms for task in live.values()) >= self._options.replay_ms_max:
            return max(live, key=lambda tp: live[tp].folded_ms)
        return next((tp for tp, task in live.items() if self._is_due(task)), None)

    def _is_due(self, task: Task) -> bool:
        """Also now and then when nothing but time has passed: the log is deleted behind us."""
        options, age_ms = self._options, self._ports.steady.now_ms() - task.image_ms
        return task.folded_frames > 0 and (
            age_ms >= options.checkpoint_ms * (1 if task.folded_events else IDLE_TIMES)
            or task.folded_events >= options.checkpoint_events
        )

    def _begin_cut(self, tp: TopicPartition, task: Task) -> Cut:
        """All of it, where the checkpoints so far are gone: their topic was created anew."""
        end = self._ports.log.high_watermark(TopicPartition(self._topics.checkpoints, tp.partition))
        if end < task.image_end:
            task.partition.changed.add(task.partition.timelines)
        self._turn, task.image_end = tp, end
        task.cut = Cut(task.partition, task.offset, task.crc, task.force, self._ports.steady.now_ms())
        task.folded_events = task.folded_frames = task.folded_ms = 0
        return task.cut

    def _put_checkpoint(self, tp: TopicPartition, task: Task, cut: Cut) -> None:
        partitions = self._ports.log.partitions(self._topics.keyed)
        sends = cut.sends(self._topics, partitions)
        task.image_end += len(sends)
        task.cut, self._turn, task.image_ms = None, None, self._ports.steady.now_ms()
        number, seconds = str(tp.partition), (task.image_ms - cut.started_ms) / 1_000
        self._counters["correlator_checkpoints_total", number] += 1
        size = sum(len(send.value or b"") for send in sends)
        self._counters["correlator_checkpoint_bytes_total", number] += size
        self._committer.put(self._outbox(sends, {tp: task}))
        self._ports.meter.observe("correlator_checkpoint_seconds", [seconds], partition=number)


def _where(record: Record) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)
