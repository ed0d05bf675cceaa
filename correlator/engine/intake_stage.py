"""The intake stage: owns input partitions, merges them by arrival, writes frames to *keyed*.

Everything of one step is one transaction: frames, dead letters, and the offsets of the inputs with the
arrival that was stated for each. So what an intake knows of an input is recovered from its committed
offset, by whoever owns it next. The identities topic is an input like the others, and read to its end
before anything else is taken: its owner tells the timelines concerned, everybody else only learns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from correlator.engine.bundles import Bundles
from correlator.engine.commit import Committer, Outbox, Send
from correlator.engine.dead_letters import dead_letter
from correlator.engine.inputs import CLOSED, STOPPED, Input, Inputs, Key, plain
from correlator.engine.known_people import KnownPeople
from correlator.engine.lag import Lag
from correlator.engine.notices import (
    credential_contested,
    input_given_up,
    input_read_on,
    input_stopped,
    records_lost,
)
from correlator.engine.options import Options, Ports
from correlator.engine.ports import (
    AssignmentChange,
    Committed,
    LogTruncated,
    LogUnavailable,
    Membership,
    TopicPartition,
)
from correlator.engine.topics import Topics
from correlator.event import NEVER, SECOND_MS
from correlator.frame import encode_frame
from correlator.intake.intake import Intake, Taken
from correlator.pipeline import Bundle, intake_step
from correlator.record import Record

FIRST_MS = 5 * SECOND_MS  # for which identities wait for the first record of each input


class IntakeStage:
    """`step` is one poll and at most one transaction."""

    name = "intake"

    def __init__(self, bundles: Bundles, topics: Topics, ports: Ports, options: Options) -> None:
        self.is_finished = False  # of a bounded read: the closing mark is committed
        self.inputs = Inputs()
        self.clock = ports.clock
        self._bundles, self._topics, self._ports, self._options = bundles, topics, ports, options
        self._bundle: Bundle | None = None  # that is routed by; None before any is active
        self._committer = Committer(self.name, ports.reader, ports.writer, ports.steady, ports.meter)
        self._lag = Lag(self.name, ports.reader, ports.steady, ports.meter)
        self._people = TopicPartition(topics.identities, 0)
        self._owned: set[TopicPartition] | None = None  # None before the first assignment
        self._intake: Intake | None = None  # None: to be built from what is committed
        self._known = KnownPeople(ports.log, self._people)
        self._paced_ms = self._ticked_ms = self._looked_ms = self._built_ms = 0
        self._notices: list[Send] = []
        self._counters = Counter[tuple[str, ...]]()  # of the next outbox
        self._is_closing = False
        self._knows_people = False  # the identities were read to their end since we began

    # -------------------------------------------------------------------- loop

    def step(self, wait_ms: int = 0) -> int:
        """Poll, at most *wait_ms* if nothing is there, take, commit. How many raw records were taken.

        Raises `EngineRefusal`.
        """
        self._pace()
        clock_ms = self._ports.clock.now_ms()  # before the poll: a tick must not claim what came after it
        timeout_ms = 0 if self.inputs.has_records else wait_ms
        try:
            records = self._ports.reader.poll(timeout_ms, self._options.records_max)
        except LogTruncated:
            self._begin_again()  # the inputs are opened anew, where they begin now, and a notice says so
            return 0
        membership = self._ports.reader.membership()
        self.inputs.receive(records)
        self._follow(self._ports.reader.assignment_changes())
        if self._committer.outbox is not None:
            if membership.is_joined:
                self._finish(membership)
            return 0
        if self._follow_bundle() or self._owned is None or not membership.is_joined or self._bundle is None:
            return 0
        if self._intake is None:
            self._intake = self._build(self._owned, self._bundle)
            return 0
        self._look_ahead()
        inputs = self.inputs.by_key.values()
        full = {found.where for found in inputs if found.buffer or found.is_stopped}
        self._lag.tell(((found.where, found.next_offset) for found in inputs), full)
        try:
            taken, count = self._take(self._intake, clock_ms)
        except LogUnavailable:
            self._begin_again()  # what was taken is in no transaction: read it again
            raise
        outbox = self._outbox(taken)
        if outbox.sends or outbox.offsets:
            self._committer.put(outbox)
            self._finish(membership)
        else:
            self.is_finished = self.is_finished or self._is_closing
        return count

    @property
    def bundle(self) -> str:
        """That is routed by; "" before any is active."""
        return self._bundle.hash if self._bundle is not None else ""

    def waiting(self) -> tuple[str, ...]:
        """Why the stage is not ready, for a person."""
        if self._bundle is None:
            return (f"no bundle is active on {self._topics.bundles}: `correlator deploy` activates one",)
        if self._intake is None:
            return ("intake has not joined its group",)
        stopped = tuple(
            f"{i.where.topic}/{i.where.partition} is stopped: {i.bad_in_a_row} dead letters in a row"
            for i in self.inputs.by_key.values()
            if i.is_stopped
        )
        missing = tuple(
            f"the topic {topic} is not there, or hidden from us: nothing is read of it "
            "(`correlator topics check`)"
            for topic in self._ports.reader.missing()
        )
        return self._committer.waiting() + stopped + missing + self._lag.waiting()

    def finish(self) -> None:
        """Before leaving: settle what was sent."""
        for _ in self._committer.last_attempts(self._options.attempts_max, self._options.leave_ms):
            self._finish(self._ports.reader.membership())

    def close(self) -> None:
        self._ports.writer.close()
        self._ports.reader.close()

    @property
    def is_caught_up(self) -> bool:
        """Everything that was in the owned inputs when they were last looked at is in *keyed*."""
        inputs = self.inputs.by_key.values()
        is_looked_at = all(found.end_at_ms > NEVER and found.is_drained for found in inputs)
        return bool(inputs) and is_looked_at and self._committer.outbox is None

    def _pace(self) -> None:
        """Sleep before the poll, never shorten it (H6)."""
        steady = self._ports.steady
        left_ms = self._paced_ms + self._options.pace_ms - steady.now_ms()
        if 0 < left_ms <= self._options.pace_ms:
            steady.sleep_ms(left_ms)
        self._paced_ms = steady.now_ms()

    # -------------------------------------------------------------- assignment

    def _follow(self, changes: Sequence[AssignmentChange]) -> None:
        """Any change: begin again from what is committed. There is no state to lose."""
        for change in changes:
            gone = {*change.revoked, *change.lost}
            self._owned = ((self._owned or set()) - gone) | set(change.assigned)
            self._begin_again()
            for kind in ("assigned", "revoked", "lost"):
                if getattr(change, kind):
                    meter = self._ports.meter
                    meter.add("correlator_rebalances_total", 1, stage=self.name, kind=kind)
        if changes:
            owned = len(self._owned or ())
            self._ports.meter.set("correlator_partitions_assigned", owned, stage=self.name)

    def _begin_again(self) -> None:
        self._intake, self.inputs = None, Inputs()
        self._committer.drop()
        self._is_closing = self._knows_people = False
        if self._owned:
            self._ports.reader.pause(self._owned)

    def _follow_bundle(self) -> bool:
        """Route by the bundle that is active. True when that is another one: everything is taken up anew."""
        now_ms = self._ports.steady.now_ms()
        if self._bundle is None or self._is_look_due(now_ms):
            self._looked_ms = now_ms
            self._bundles.look()
        active, before = self._bundles.active, self._bundle
        if active is None or (before is not None and active.bundle == before.hash):
            return False
        self._bundle = self._bundles.get(active.bundle)
        self._notices += [
            input_given_up(self._topics.notices, found.where)
            for found in self.inputs.by_key.values()
            if found.is_stopped and found.where.topic not in self._bundle.intake.feeds
        ]
        self._ports.reader.subscribe([*self._bundle.intake.feeds, self._topics.identities])
        if before is not None:
            self._ports.meter.set("correlator_bundle_info", 0, stage=self.name, bundle=before.hash)
        self._ports.meter.set("correlator_bundle_info", 1, stage=self.name, bundle=active.bundle)
        self._begin_again()
        return True

    def _is_look_due(self, now_ms: int) -> bool:
        return not self._options.is_bounded and now_ms - self._looked_ms >= self._options.tick_ms

    def _build(self, owned: set[TopicPartition], bundle: Bundle) -> Intake:
        """Learn the people, then take every owned input up where its committed offset says."""
        reader = self._ports.reader
        committed = reader.committed_offsets(sorted(owned))
        begins, ends = reader.begin_offsets(committed), reader.end_offsets(committed)
        if self._people in owned:
            mine = committed.get(self._people)
            end = mine.offset if mine else 0
        else:
            end = self._ports.log.high_watermark(self._people)
        intake = Intake(bundle.intake, self._known.as_of(bundle, end), is_replay=self._options.is_bounded)
        inputs = Inputs()
        for tp, found in committed.items():
            inputs.by_key[tp.topic, tp.partition] = self._open(tp, found, begins[tp], ends[tp])
            if tp != self._people:
                metadata = plain(found.metadata) if found else ""
                partitions = self._ports.log.partitions(tp.topic)
                intake.assign(tp.topic, tp.partition, partitions, metadata)
        self.inputs = inputs
        self._built_ms = self._ports.steady.now_ms()
        raw = [found for tp, found in committed.items() if tp != self._people]
        is_closed = bool(raw) and all(found is not None and found.metadata.endswith(CLOSED) for found in raw)
        has_news = bool(self._notices) or any(not i.is_drained for i in inputs.by_key.values())
        self.is_finished = self._options.is_bounded and is_closed and not has_news
        return intake

    def _open(self, tp: TopicPartition, committed: Committed | None, begin: int, end: int) -> Input:
        start = committed.offset if committed else begin
        if not begin <= start <= end:
            self._notices.append(records_lost(self._topics.notices, tp, start, begin, end))
            self._counters["correlator_records_lost_total", tp.topic] += max(begin - start, 1)
            start = begin
        self._ports.reader.seek(tp, start)
        metadata = committed.metadata if committed else ""
        if metadata.endswith(STOPPED):
            self._notices.append(input_read_on(self._topics.notices, tp))
        metadata = metadata.removesuffix(STOPPED)
        return Input(tp, committed, start, end, self._ports.steady.now_ms(), metadata=metadata)

    # ------------------------------------------------------------------ taking

    def _look_ahead(self) -> None:
        """Where each input stands, asked before anything is taken; who is read on, and who is not."""
        reader, now_ms = self._ports.reader, self._ports.steady.now_ms()
        paused: list[TopicPartition] = []
        resumed: list[TopicPartition] = []
        inputs = self.inputs.by_key.values()
        for found in inputs:
            found.position = reader.position(found.where)
        ends = reader.end_offsets([found.where for found in inputs if self._is_end_due(found, now_ms)])
        for found in inputs:
            if found.where in ends:
                found.end, found.end_at_ms = ends[found.where], now_ms
            is_full = len(found.buffer) >= self._options.records_max
            is_read = self._options.is_bounded and found.position >= found.end
            (paused if is_full or is_read or found.is_stopped else resumed).append(found.where)
        reader.pause(paused)
        reader.resume(resumed)
        people = self.inputs.by_key.get((self._people.topic, 0))
        self._knows_people = self._knows_people or people is None or people.is_drained

    def _is_end_due(self, found: Input, now_ms: int) -> bool:
        is_old = now_ms - found.end_at_ms >= self._options.look_ms
        return not found.buffer and not self._options.is_bounded and (is_old or self._is_tick_due(now_ms))

    def _is_tick_due(self, now_ms: int) -> bool:
        return now_ms - self._ticked_ms >= self._options.tick_ms

    def _take(self, intake: Intake, clock_ms: int) -> tuple[list[Taken], int]:
        """What this step makes, in order: identities, records, a tick or its place in a bounded read."""
        if not self._knows_people:
            return self._take_people(intake, clock_ms)
        now_ms = self._ports.steady.now_ms()
        span_ms = intake.config.horizon_ms // self._options.spans
        records = self.inputs.take(self._options.records_max, span_ms, clock_ms, now_ms)
        people = [r for r in records if r.topic == self._people.topic]
        rest = [r for r in records if r.topic != self._people.topic]
        taken = []
        if people:
            taken.append(self._tell(intake, people, clock_ms))
        if rest:
            taken.append(intake_step(rest, clock_ms, intake))
        self._judge(records, taken)
        taken += self._marks(intake, clock_ms, now_ms, has_taken=bool(rest))
        self._count(records)
        return taken, len(records)

    def _take_people(self, intake: Intake, clock_ms: int) -> tuple[list[Taken], int]:
        """The identities alone, before anything else is taken.

        Records may be of the past, whenever the identities were published, and those of a bounded read are:
        they count as known when the first record arrived.
        """
        raw = [i for i in self.inputs.by_key.values() if i.where != self._people]
        is_patient = self._options.is_bounded or self._ports.steady.now_ms() - self._built_ms < FIRST_MS
        if is_patient and any(not i.buffer and not i.is_drained for i in raw):
            return [], 0
        clock_ms = min([clock_ms, *(i.buffer[0].timestamp_ms for i in raw if i.buffer)])
        records = self.inputs.take_all((self._people.topic, 0), self._options.records_max)
        self._count(records)
        return ([self._tell(intake, records, clock_ms)] if records else []), len(records)

    def _tell(self, intake: Intake, people: Sequence[Record], clock_ms: int) -> Taken:
        """Learn *people*, and tell the timelines concerned."""
        self._known.told(people)
        return intake.learn(people, clock_ms)

    def _marks(self, intake: Intake, clock_ms: int, now_ms: int, *, has_taken: bool) -> list[Taken]:
        keys = {key for key in self.inputs.by_key if key[0] != self._people.topic}
        drained = self.inputs.drained() & keys
        stopped = {key for key in keys if self.inputs.by_key[key].is_stopped}
        if self._options.is_bounded:
            if drained == keys and not self.is_finished:
                self._is_closing = True
                return [intake.close_mark()]
            return [intake.advance_drained(drained)] if has_taken else []
        if not self._is_tick_due(now_ms):
            return []
        self._ticked_ms = now_ms
        self._ports.meter.set("correlator_inputs_stopped", len(stopped))
        self._ports.meter.set("correlator_identities_refused", intake.people.refused)
        self._ports.meter.set("correlator_credentials_contested", intake.people.contested)
        if self._people not in (self._owned or ()):
            self._known.catch_up()
        return [intake.tick(clock_ms, drained, stopped)]

    def _judge(self, records: Sequence[Record], taken: Sequence[Taken]) -> None:
        """Stop an input whose records are all refused: better to say so than to drain the topic."""
        if self._options.is_bounded:
            return
        refused = [letter for t in taken for letter in t.dead_letters]
        for found in self.inputs.judge(records, refused, self._options.bad_in_a_row_max):
            why = f"{found.bad_in_a_row} records in a row could not be used"
            self._notices.append(input_stopped(self._topics.notices, found.where, why))

    def _count(self, records: Sequence[Record]) -> None:
        by_topic: dict[str, int] = {}
        for record in records:
            by_topic[record.topic] = by_topic.get(record.topic, 0) + 1
        for topic, count in by_topic.items():
            self._ports.meter.add("correlator_records_consumed_total", count, stage=self.name, topic=topic)

    # -------------------------------------------------------------- committing

    def _outbox(self, taken: Sequence[Taken]) -> Outbox:
        sends, self._notices = self._notices, []
        metadata: dict[Key, str] = {}
        counters, self._counters = self._counters, Counter()
        for part in taken:
            sends += [Send(self._topics.keyed, p, None, encode_frame(frame)) for p, frame in part.frames]
            sends += [dead_letter(self._topics.dead_letters, r, reject) for r, reject in part.dead_letters]
            sends += [credential_contested(self._topics.notices, contest) for contest in part.contests]
            metadata |= part.metadata
            counters.update(part.counters)
        suffix = CLOSED if self._is_closing else ""
        offsets, previous = {}, {}
        for key, found in self.inputs.by_key.items():
            found.metadata = metadata[key] + suffix if key in metadata else found.metadata
            committed = found.to_commit
            if committed != found.committed:
                offsets[found.where], previous[found.where] = committed, found.committed
        return Outbox(sends, offsets, previous, counters)

    def _finish(self, membership: Membership) -> None:
        outbox = self._committer.outbox
        assert outbox is not None, "nothing to commit"
        action = self._committer.attempt(membership)
        if action == "apply":
            for tp, committed in outbox.offsets.items():
                self.inputs.by_key[tp.topic, tp.partition].committed = committed
            self.is_finished = self._is_closing
        elif action == "drop":
            self._begin_again()
