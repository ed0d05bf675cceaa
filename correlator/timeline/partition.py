"""A partition of *keyed*: its timelines, marks, models and codes, fed by frames.

`step` folds one frame: inserts everything, then folds and publishes each entity concerned once. State is a
function of the frames folded, and nothing else: no clock, no randomness. `freeze` and `slice` give one
frozen cut of it between frames, for a checkpoint that is encoded while later frames are folded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from correlator.codec import Codes, load_shapes, pack_id
from correlator.event import FOREVER, NEVER, Event, Order, Person
from correlator.frame import Frame
from correlator.timeline import state
from correlator.timeline.alert import Change
from correlator.timeline.changed import Changed
from correlator.timeline.entity import Timeline
from correlator.timeline.habits import as_of
from correlator.timeline.live import Live, Match
from correlator.timeline.marks import Marks
from correlator.timeline.program import Program, Scorer
from correlator.timeline.refused import Refused
from correlator.timeline.timelines import Timelines
from correlator.timeline.wakes import CLOCK, IDLE, Key, Wakes

Learnt = tuple[Event, str, dict[str, float]]  # event, type of identity, features
_NOTHING: list[Change] = []  # to tell: never added to


class Partition:
    """Timelines of one partition. Counters are (metric, label value …) -> count since they were last
    taken.
    """

    def __init__(self, program: Program, scorer: Scorer, number: int) -> None:
        self.program, self.scorer, self.number = program, scorer, number
        self.marks = Marks(program.settings)
        self.codes = Codes()
        self.timelines = Timelines(self.codes)
        self.changed = Changed(self.timelines.record)
        self.refused = Refused()
        self.counters: dict[tuple[str, ...], int] = {}
        self.wakes = Wakes()
        self._before_ms = NEVER  # now of the frame before
        self._idle: dict[str, int] = {}  # entity -> when to look whether it can be dropped

    # ------------------------------------------------------------------- folding

    @property
    def now_ms(self) -> int:
        return self.marks.now_ms

    def step(self, frame: Frame) -> list[Change]:
        """Fold *frame*; returns what readers of the alert topic must be told, in order of entity."""
        horizon_ms = self.program.settings.horizon_ms
        final_ms = self.now_ms - horizon_ms if self.now_ms > NEVER else NEVER  # up to the last frame's now
        if went_back := self.marks.fold(frame.arrivals, frame.sources):
            self._add("correlator_marks_went_back_total", count=went_back)
        edge_ms = self.now_ms - horizon_ms if self.now_ms > NEVER else NEVER
        inbox: dict[str, list[Event]] = {
            e: [] for e, key, at_ms in self._woken() if self._is_awaited(e, key, at_ms)
        }
        woken = set(inbox)
        changes: list[Change] = []
        self.refused.begin()
        for entity, event in self.marks.clocks.dated(frame.rows, self.codes.known):
            if event.time_ms >= final_ms:  # a frame may span hours: its own marks are held against later ones
                inbox.setdefault(entity, []).append(event)
            elif event.kind == "person":  # what is known of a person holds from now on, however late it comes
                inbox.setdefault(entity, []).append(replace(event, time_ms=final_ms))
            else:
                changes += self._refuse(entity, event, "too_late")
        for entity, events in inbox.items():
            if len(events) == 1 and entity not in woken:
                changes += self._visit_one(entity, events[0], final_ms, edge_ms)
            else:
                changes += self._visit(entity, events, entity in woken, final_ms, edge_ms)
        self._before_ms = self.now_ms
        self.refused.forget(self.now_ms - self.program.settings.any_age_ms)
        self.timelines.rest()
        return changes

    def activate(self, program: Program, since_ms: int) -> list[Change]:
        """From here on *program* is in force. What happened since *since_ms* and is here already is folded
        again; alerts of rules that are not told of any more are closed. Returns what readers must be told.
        """
        is_told = program.rules.keys() ^ self.program.rules.keys()
        self.program = program
        self.marks.use(program.settings)
        changes: list[Change] = []
        self.refused.begin()
        final_ms = edge_ms = (
            self._before_ms - program.settings.horizon_ms if self._before_ms > NEVER else NEVER
        )
        for entity in sorted(self.timelines):
            timeline = self.timelines.peek(entity)
            if timeline.last[0] < since_ms and not (is_told and self._has_told(timeline)):
                continue
            self.changed.touch(entity)
            timeline = self.timelines.touch(entity)
            timeline.refold(since_ms, self.codes, program)
            self._tell(timeline, True, [], (final_ms, edge_ms), (), changes)
        self.timelines.rest()
        return changes

    def _has_told(self, timeline: Timeline) -> bool:
        """Is there anything that rules made of it, or may?"""
        if timeline.open or any(block.matches for block in timeline.blocks):
            return True
        return bool(timeline.touch(self.codes).waiting)

    def _woken(self) -> list[tuple[str, Key, int]]:
        woken = self.wakes.woken(lambda key: self.marks.complete_ms(*key) if key[0] else self.now_ms)
        if self.now_ms > NEVER:
            self.wakes.forget(self.now_ms - self.program.settings.horizon_ms)
        return woken

    def _is_awaited(self, entity: str, key: Key, at_ms: int) -> bool:
        """Is what was asked for still there? A visit for nothing would move the base at another frame than
        after a restore, which does not know of it.
        """
        timeline = self.timelines.get(entity)
        if timeline is None:
            return False
        horizon_ms = self.program.settings.horizon_ms
        if key == IDLE:
            if self._idle.get(entity) != at_ms:  # asked by a timeline that was dropped since
                return False
            del self._idle[entity]
            newest_ms = self._newest_ms(timeline)
            is_idle = newest_ms + horizon_ms < self.now_ms
            if not is_idle:
                self._ask_idle(timeline)
            return is_idle and newest_ms > NEVER
        matches = [match for match in timeline.matches(self.codes, self.program) if match.feed]
        if key == CLOCK:
            undecided = [match for match in matches if not self._is_complete(match)]
            return any(at_ms - m.decided_ms in (m.max_wait_ms, horizon_ms + 1) for m in undecided)
        return any((m.feed, m.site, m.decided_ms) == (*key, at_ms) for m in matches)

    def _visit(
        self, entity: str, events: list[Event], is_woken: bool, final_ms: int, edge_ms: int
    ) -> list[Change]:
        self.changed.touch(entity)
        timeline = self.timelines.touch(entity)
        changes: list[Change] = []
        fresh = self._fresh(timeline, events, changes)
        learnt: list[Learnt] = []
        scored = [self._score(timeline, event, learnt) for event in fresh]
        scored.sort(key=_order)
        moved, late = timeline.insert(scored, self.codes, self.program) if scored else (False, ())
        if late:
            self._add("correlator_records_late_total", count=len(late))
        self._tell(timeline, moved or is_woken, learnt, (final_ms, edge_ms), late, changes)
        return changes

    def _visit_one(self, entity: str, event: Event, final_ms: int, edge_ms: int) -> list[Change]:
        """`_visit` for the one event that an entity nearly always gets, in order: the short way."""
        self.changed.touch(entity)
        timeline = self.timelines.touch(entity)
        packed_id = pack_id(event.id)
        if (
            (event.time_ms, event.id) <= timeline.last
            or event.time_ms < timeline.tally.edge_ms
            or timeline.holds(event.id, packed_id)
        ):
            return self._visit(entity, [event], False, final_ms, edge_ms)
        learnt: list[Learnt] = []
        event = self._score(timeline, event, learnt)
        moved = timeline.append(event, self.codes, self.program, packed_id)
        if not moved and not learnt and self._is_tidy(timeline, edge_ms):
            return _NOTHING
        changes: list[Change] = []
        self._tell(timeline, moved, learnt, (final_ms, edge_ms), (), changes)
        return changes

    def _tell(  # noqa: PLR0917
        self,
        timeline: Timeline,
        moved: bool,
        learnt: list[Learnt],
        edges: tuple[int, int],
        late: tuple[str, ...],
        changes: list[Change],
    ) -> None:
        """After a fold: *changes* that it makes, what waits then, what is learnt; tidy up. *moved*: alerts
        may differ. *edges*: what is final was decided before the first, the base moves to the second.
        """
        final_ms, edge_ms = edges
        matches: list[Match] = []
        if moved:
            matches = timeline.matches(self.codes, self.program)
            changes += timeline.publish(matches, self.marks, self.program, final_ms, late)
            self._follow(timeline.entity, matches)
        if learnt:
            self._learn(learnt, matches)
        if moved or not self._is_tidy(timeline, edge_ms):
            self._tidy(timeline, moved, edge_ms)

    def _follow(self, entity: str, matches: Sequence[Match]) -> None:
        """Wait for what may still be believed of *matches*."""
        for match in matches:
            if not self._is_complete(match):
                self._wait(entity, match)
        self.refused.remember(entity, matches, self.program, self.now_ms)

    def _fresh(self, timeline: Timeline, events: Iterable[Event], changes: list[Change]) -> list[Event]:
        """Events that the entity does not hold yet and may still take; of two with one id the first wins.

        Those that a saturated entity refuses may be told of all the same, in *changes*.
        """
        fresh: dict[str, Event] = {}
        edge_ms = timeline.tally.edge_ms
        for event in events:
            if event.id in fresh or timeline.holds(event.id, pack_id(event.id)):
                self._add("correlator_duplicates_total", event.feed)
            elif event.time_ms < edge_ms and event.kind == "person":
                fresh[event.id] = replace(event, time_ms=edge_ms)
            elif event.time_ms < edge_ms:
                changes += self._refuse(timeline.entity, event, "saturated")
            else:
                fresh[event.id] = event
        return list(fresh.values())

    def _wait(self, entity: str, match: Match) -> None:
        """Come back when a mark can change what is believed of *match*."""
        due_ms, end_ms = (
            match.decided_ms + match.max_wait_ms,
            match.decided_ms + self.program.settings.horizon_ms,
        )
        if self.now_ms < due_ms:
            self.wakes.ask(CLOCK, due_ms, entity)
        elif self._before_ms < due_ms <= end_ms:
            self._add("correlator_rule_inconclusive_total", match.rule)
        if self.now_ms <= end_ms:
            self.wakes.ask((match.feed, match.site), match.decided_ms, entity)
            self.wakes.ask(CLOCK, end_ms + 1, entity)

    def _is_complete(self, match: Match) -> bool:
        return not match.feed or self.marks.complete_ms(match.feed, match.site) >= match.decided_ms

    def _newest_ms(self, timeline: Timeline) -> int:
        """Of its history, its open alerts and the verdicts that it waits for; NEVER without any.

        Late events may add to what has no person, but left windows or an episode: for a horizon more.
        """
        edge_ms, live = timeline.tally.edge_ms, timeline.touch(self.codes)
        newest_ms = max([timeline.newest_ms, *(w.due_ms for w in live.waiting if w.due_ms >= edge_ms)])
        if newest_ms == NEVER < edge_ms and _is_worthless(live) and _leaves_something(timeline, live):
            return edge_ms + self.program.settings.horizon_ms
        return newest_ms

    def _ask_idle(self, timeline: Timeline) -> None:
        """Look again when all it holds is older than the horizon: one wake an entity, not one an event."""
        newest_ms = self._newest_ms(timeline)
        when_ms = newest_ms + self.program.settings.horizon_ms + 1
        if newest_ms > NEVER and when_ms < self._idle.get(timeline.entity, FOREVER):
            self._idle[timeline.entity] = when_ms
            self.wakes.ask(IDLE, when_ms, timeline.entity)

    def _is_tidy(self, timeline: Timeline, edge_ms: int) -> bool:
        """Is there nothing for `_tidy` to do after a step that told nothing?

        Also when to look again must be known as a restore would: a later look moves the base later.
        """
        blocks, look_ms = timeline.blocks, self._idle.get(timeline.entity, FOREVER)
        return (
            bool(blocks)
            and (len(blocks) == 1 or blocks[1].first_ms >= edge_ms)
            and timeline.count <= self.program.settings.events_max
            and look_ms <= timeline.last[0] + self.program.settings.horizon_ms + 1
        )

    def _tidy(self, timeline: Timeline, was_published: bool, edge_ms: int) -> None:
        """Move the base, hold the cap, and drop what is not worth keeping."""
        settings, entity = self.program.settings, timeline.entity
        blocks = timeline.blocks
        rested_ms = 0 if blocks else edge_ms - timeline.tally.edge_ms
        if edge_ms > NEVER and (was_published or (len(blocks) > 1 and blocks[1].first_ms < edge_ms)):
            timeline.forget(edge_ms, self.marks, self.codes, self.program)
        if timeline.count > settings.events_max and len(blocks) > 1:
            timeline.saturate(self.marks, self.codes, self.program)
            self._add("correlator_entities_saturated_total")
        if timeline.newest_ms == NEVER and self._is_spent(timeline, rested_ms):
            self.timelines.drop(entity)
            self._idle.pop(entity, None)
        else:
            self._ask_idle(timeline)

    def _is_spent(self, timeline: Timeline, rested_ms: int) -> bool:
        """Can nothing that is still to come tell whether the timeline, empty for *rested_ms*, was kept?"""
        live = timeline.touch(self.codes)
        if not _is_worthless(live) or any(w.due_ms >= timeline.tally.edge_ms for w in live.waiting):
            return False
        return rested_ms > self.program.settings.horizon_ms or not _leaves_something(timeline, live)

    # ------------------------------------------------------------ scores, any age

    def _score(self, timeline: Timeline, event: Event, learnt: list[Learnt]) -> Event:
        """*event* with its score, taken once, on arrival."""
        if timeline.entity.startswith("door:"):
            return event
        live = timeline.touch(self.codes)
        if not self.scorer.wants(event, live):
            return event
        identity_type = live.person.identity_type if live.person is not None else ""
        score, features = self.scorer.score(event, identity_type, as_of(live.habits, live.today, event))
        learnt.append((event, identity_type, features))
        return replace(event, score=score)

    def _learn(self, learnt: Iterable[Learnt], matches: Iterable[Match]) -> None:
        """Models learn what no rule matched, told or a repeat of what was."""
        matched = {i for match in matches if not match.is_shadow for i in match.evidence}
        for event, identity_type, features in learnt:
            if event.id not in matched:
                self.scorer.learn(identity_type, features)

    def _refuse(self, entity: str, event: Event, reason: str) -> list[Change]:
        self._add("correlator_events_refused_total", reason)
        return self.refused.refuse(entity, event, self.person(entity), self.program, self.now_ms)

    # ----------------------------------------------------------------- asking

    def events(self, entity: str, ids: Sequence[str]) -> list[Event]:
        """Those of *ids* that the entity still holds, in order of time: the evidence of an alert."""
        timeline = self.timelines.get(entity)
        wanted = set(ids)
        held = {i: found for i in wanted if (found := self.refused.event(entity, i)) is not None}
        if timeline is None or not wanted - held.keys():
            return sorted(held.values(), key=lambda event: event.order)
        held |= {event.id: event for event in timeline.events(self.codes) if event.id in wanted}
        for event in timeline.touch(self.codes).events():
            if event.id in wanted:
                held.setdefault(event.id, event)
        return sorted(held.values(), key=lambda event: event.order)

    def person(self, entity: str) -> Person | None:
        timeline = self.timelines.get(entity)
        return None if timeline is None else timeline.touch(self.codes).person

    def take_counters(self) -> dict[tuple[str, ...], int]:
        taken, self.counters = self.counters, {}
        return taken

    def _add(self, *name: str, count: int = 1) -> None:
        self.counters[name] = self.counters.get(name, 0) + count

    # --------------------------------------------------------------- checkpoints

    def freeze(self) -> None:
        """Cut here, between two frames. `changed` gives the cut."""
        marks, scorer = self.marks.dump(), self.scorer.encode()
        self.changed.freeze(state.dump_rest(self.number, self.codes, self.refused.told, marks, scorer))

    @classmethod
    def restore(
        cls,
        program: Program,
        decode_scorer: Callable[[bytes], Scorer],
        rest: bytes,
        entities: Iterable[tuple[str, bytes]],
    ) -> Partition:
        """The partition as of the cut that *rest* and *entities* belong to. Raises `StateError`."""
        known = state.load_rest(rest)
        partition = cls(program, decode_scorer(known.scorer), known.number)
        partition.codes = Codes(load_shapes(known.shapes))
        partition.timelines = Timelines(partition.codes)
        partition.changed = Changed(partition.timelines.record)
        partition.marks = Marks.load(program.settings, known.marks)
        partition.refused.told = dict(sorted(known.any_age, key=lambda told: told[1]))
        partition._before_ms = partition.now_ms
        for entity, raw in entities:
            partition.timelines.put(entity, raw)
            partition._ask_again(state.load_timeline(entity, raw))
        return partition

    def _ask_again(self, timeline: Timeline) -> None:
        """Wakes follow from the timelines: ask as `_visit` and `_tidy` have asked."""
        for match in timeline.matches(self.codes, self.program):
            if not self._is_complete(match):
                self._wait(timeline.entity, match)
        self._ask_idle(timeline)


def _order(event: Event) -> Order:
    return event.order


def _is_worthless(live: Live) -> bool:
    """Nothing that a later event could see: an address or a stray card must not be kept for ever."""
    return live == Live() or (live.person is None and live.door is None and not live.badge_places)


def _leaves_something(timeline: Timeline, live: Live) -> bool:
    """Windows or an episode that a late event may add to."""
    return bool(live.windows or timeline.tally.episodes)
