"""A partition of *keyed*: its timelines, marks, models and codes, fed by frames.

`step` folds one frame: inserts everything, then folds and publishes each entity concerned once. State is a
function of the frames folded, and nothing else: no clock, no randomness. `freeze` and `slice` give one
frozen cut of it between frames, for a checkpoint that is encoded while later frames are folded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from msgspec.structs import replace

from correlator.codec import load_codes, pack_id
from correlator.event import FOREVER, NEVER, Event, Order
from correlator.frame import Binding, Fact, Frame
from correlator.timeline import state
from correlator.timeline.alert import Change
from correlator.timeline.changed import Changed
from correlator.timeline.entity import Timeline
from correlator.timeline.holding import Holding
from correlator.timeline.idle import Idle, is_spent
from correlator.timeline.live import Match
from correlator.timeline.marks import Marks
from correlator.timeline.moving import Bound, Mover
from correlator.timeline.outgoing import Outgoing
from correlator.timeline.program import Program, Scorer
from correlator.timeline.publishing import Edges, Visit, join, publish
from correlator.timeline.scoring import Learnt, learn, score
from correlator.timeline.teaching import is_to_teach, teach
from correlator.timeline.telling import Told
from correlator.timeline.timelines import Timelines
from correlator.timeline.wakes import CLOCK, IDLE, Key, Wakes
from correlator.timeline.ways import Ways

_NOTHING: list[Change] = []  # to tell: never added to
News = dict[str, list[Binding | Fact]]  # by entity, bindings before facts


class Partition(Holding):
    """Timelines of one partition, and what becomes of them by frames."""

    # ------------------------------------------------------------------- folding

    def step(self, frame: Frame) -> list[Change]:
        """Fold *frame*; returns what readers of the alert topic must be told, in order of entity."""
        final_ms = self._edge_ms(self.now_ms)  # up to the last frame's now
        if went_back := self.marks.fold(frame.arrivals, frame.sources, frame.told):
            self._add("correlator_marks_went_back_total", count=went_back)
        edges = Edges(final_ms, self._edge_ms(self.now_ms))
        inbox: dict[str, list[Event]] = {
            e: [] for e, key, at_ms in self._woken() if self._is_awaited(e, key, at_ms)
        }
        woken, known = set(inbox), self.codes.known
        changes: list[Change] = []
        self.refused.begin()
        news = self._news(frame, inbox) if frame.bindings or frame.facts else {}
        for entity, event in self.ways.known(self.marks.clocks.dated(frame.rows, known), known):
            if event.time_ms >= final_ms:  # a frame may span hours: its own marks are held against later ones
                inbox.setdefault(entity, []).append(event)
            elif event.kind == "person":  # what is known of a person holds from now on, however late it comes
                inbox.setdefault(entity, []).append(replace(event, time_ms=final_ms))
            else:
                changes += self._refuse(entity, event, "too_late")
        for entity, events in inbox.items():
            if len(events) == 1 and entity not in woken and entity not in news:
                changes += self._visit_one(entity, events[0], edges)
            else:
                changes += self._visit(entity, events, edges, entity in woken, news.get(entity, ()))
        self._before_ms = self.now_ms
        self.ways.turn(self.now_ms, self.program.settings)
        self.bound.forget(self.now_ms)
        self.refused.forget(self.now_ms - self.program.settings.any_age_ms)
        self.timelines.rest()
        self.sweep()
        return changes + self.storms.tell()

    def activate(self, program: Program, since_ms: int) -> list[Change]:
        """From here on *program* is in force. What happened since *since_ms* and is here already is folded
        again; alerts of rules that are not told of any more are closed. Returns what readers must be told.
        """
        is_told = program.rules.keys() ^ self.program.rules.keys()
        is_other_horizon = program.settings.horizon_ms != self.program.settings.horizon_ms
        self.program = program
        self.marks.use(program.settings)
        self.marks.is_telling = bool(program.zones)
        changes: list[Change] = []
        self.refused.begin()
        edge_ms = self._edge_ms(self._before_ms)
        for entity in sorted(self.timelines):
            timeline = self.timelines.peek(entity)
            if timeline.last[0] < since_ms and not (is_told and self._has_told(timeline)):
                continue
            self.changed.touch(entity)
            timeline = self.timelines.touch(entity)
            timeline.refold(since_ms, self.codes, program)
            changes += self._tell(Visit(timeline, Edges(edge_ms, edge_ms), is_moved=True))
        self.timelines.rest()
        if is_other_horizon:
            self._ask_anew()
        return changes + self.storms.tell()

    def take_told(self) -> Told:
        """What entities tell others since this was last asked."""
        return self.outgoing.take(self.marks, self.program.zones)

    def _edge_ms(self, now_ms: int) -> int:
        """Older events are beyond the horizon."""
        return now_ms - self.program.settings.horizon_ms if now_ms > NEVER else NEVER

    def _news(self, frame: Frame, inbox: dict[str, list[Event]]) -> News:
        """What entities are told by others; those concerned are to be visited.

        One that has no timeline remembers a binding all the same.
        """
        news: News = {}
        for binding in frame.bindings:
            if self.bound.hear(binding) and binding.entity in self.timelines:
                news.setdefault(binding.entity, []).append(binding)
        for fact in frame.facts:
            news.setdefault(fact.entity, []).append(fact)
        for entity in news:
            inbox.setdefault(entity, [])
        return news

    def _has_told(self, timeline: Timeline) -> bool:
        """Is there anything that rules made of it, or may?"""
        if timeline.open or any(block.matches for block in timeline.blocks):
            return True
        return bool(timeline.waiting(self.codes))

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
            return self.idle.is_due(timeline, at_ms, self.now_ms, self.codes, horizon_ms)
        matches = [match for match in timeline.matches(self.codes, self.program) if match.feed]
        if key == CLOCK:
            undecided = [match for match in matches if not self._is_complete(match)]
            return any(at_ms - m.decided_ms in (m.max_wait_ms, horizon_ms + 1) for m in undecided)
        return any((m.feed, m.site, m.decided_ms) == (*key, at_ms) for m in matches)

    def _visit(
        self,
        entity: str,
        events: list[Event],
        edges: Edges,
        is_woken: bool = False,
        news: Sequence[Binding | Fact] = (),
    ) -> list[Change]:
        self.changed.touch(entity)
        timeline = self.timelines.touch(entity)
        visit = Visit(timeline, edges)
        fresh = self._fresh(visit, events)
        if news or entity in self.bound or timeline.moved is not None:
            fresh = self._move(visit, fresh, news)
        if visit.gone:
            timeline.remove(visit.gone, self.codes, self.program)
        scored = [score(self.scorer, timeline, event, self.codes, visit.learnt) for event in fresh]
        scored.sort(key=_order)
        moved, late = timeline.insert(scored, self.codes, self.program) if scored else (False, ())
        if late:
            self._add("correlator_records_late_total", count=len(late))
        visit.late = (*late, *sorted(visit.gone))
        visit.is_moved = moved or is_woken or bool(visit.gone)
        return self._tell(visit)

    def _move(self, visit: Visit, events: Iterable[Event], news: Sequence[Binding | Fact]) -> list[Event]:
        """Events to fold in, by what is known of whose they are; what is to be taken out is *gone*."""
        timeline = visit.timeline

        def holds(event_id: str) -> bool:
            return timeline.holds(event_id, pack_id(event_id))

        floor_ms = max(visit.edges.final_ms, timeline.tally.edge_ms)
        mover = Mover(timeline.entity, timeline.moved, holds, self.bound, floor_ms)
        for told in news:
            if isinstance(told, Binding):
                mover.bind(told, timeline.events(self.codes))
            elif not mover.take(told) and told.is_held:
                visit.changes += self._refuse(timeline.entity, told.event, "too_late")
        for event in events:
            if not mover.receive(event):
                self._add("correlator_duplicates_total", event.feed)
        outcome = mover.outcome()
        timeline.moved = outcome.moved
        self.outgoing.add(outcome.facts, outcome.bindings)
        if outcome.gone:
            self._add("correlator_events_moved_total", count=len(outcome.gone))
        visit.gone = outcome.gone
        return outcome.fresh

    def _visit_one(self, entity: str, event: Event, edges: Edges) -> list[Change]:
        """`_visit` for the one event that an entity nearly always gets, in order: the short way."""
        self.changed.touch(entity)
        timeline = self.timelines.touch(entity)
        packed_id = pack_id(event.id)
        if (
            (event.time_ms, event.id) <= timeline.last
            or event.time_ms < timeline.tally.edge_ms
            or timeline.holds(event.id, packed_id)
            or timeline.moved is not None
            or entity in self.bound
        ):
            return self._visit(entity, [event], edges)
        learnt: list[Learnt] = []
        event = score(self.scorer, timeline, event, self.codes, learnt)
        moved = timeline.append(event, self.codes, self.program, packed_id)
        if not moved and not learnt and not timeline.said and self._is_tidy(timeline, edges.base_ms):
            return _NOTHING
        return self._tell(Visit(timeline, edges, is_moved=moved, learnt=learnt))

    def _tell(self, visit: Visit) -> list[Change]:
        """After a fold: the changes that it makes, what waits then, what is learnt; tidy up."""
        timeline = visit.timeline
        if timeline.said:
            said, timeline.said = timeline.said, []
            self.outgoing.went(timeline.entity, said, self.program.zones)
        matches: list[Match] = []
        published = _NOTHING
        if visit.is_moved:
            matches = timeline.matches(self.codes, self.program)
            published = publish(visit, matches, self.marks, self.program)
            visit.changes += self.storms.divert(
                published, self.program, self.now_ms, self.events, partial(join, timeline)
            )
            self._follow(timeline.entity, matches)
        if visit.learnt:
            learn(self.scorer, visit.learnt, matches, self.program)
        if visit.is_moved or not self._is_tidy(timeline, visit.edges.base_ms):
            self._tidy(timeline, visit.is_moved, visit.edges.base_ms, published)
        return visit.changes

    def _follow(self, entity: str, matches: Sequence[Match]) -> None:
        """Wait for what may still be believed of *matches*."""
        for match in matches:
            if not self._is_complete(match):
                self._wait(entity, match)
        self.refused.remember(entity, matches, self.program, self.now_ms)

    def _fresh(self, visit: Visit, events: Iterable[Event]) -> list[Event]:
        """Events that the entity does not hold yet and may still take; of two with one id the first wins.

        Those that a saturated entity refuses may be told of all the same.
        """
        timeline, fresh = visit.timeline, dict[str, Event]()
        edge_ms = timeline.tally.edge_ms
        given = timeline.moved.given if timeline.moved is not None else {}  # may come directly, too
        for event in events:
            if event.id in fresh or (event.id not in given and timeline.holds(event.id, pack_id(event.id))):
                self._add("correlator_duplicates_total", event.feed)
            elif event.time_ms < edge_ms and event.kind == "person":
                fresh[event.id] = replace(event, time_ms=edge_ms)
            elif event.time_ms < edge_ms:
                visit.changes += self._refuse(timeline.entity, event, "saturated")
            else:
                fresh[event.id] = event
        return list(fresh.values())

    def _wait(self, entity: str, match: Match) -> None:
        """Come back when a mark can change what is believed of *match*."""
        due_ms = match.decided_ms + match.max_wait_ms
        end_ms = match.decided_ms + self.program.settings.horizon_ms
        if self.now_ms < due_ms:
            self.wakes.ask(CLOCK, due_ms, entity)
        elif self._before_ms < due_ms <= end_ms:
            self._add("correlator_rule_inconclusive_total", match.rule)
        if self.now_ms <= end_ms:
            self.wakes.ask((match.feed, match.site), match.decided_ms, entity)
            self.wakes.ask(CLOCK, end_ms + 1, entity)

    def _is_complete(self, match: Match) -> bool:
        return not match.feed or self.marks.complete_ms(match.feed, match.site) >= match.decided_ms

    def _is_tidy(self, timeline: Timeline, edge_ms: int) -> bool:
        """Is there nothing for `_tidy` to do after a step that told nothing?

        Also when to look again must be known as a restore would: a later look moves the base later.
        """
        blocks, look_ms = timeline.blocks, self.idle.when.get(timeline.entity, FOREVER)
        return (
            bool(blocks)
            and (len(blocks) == 1 or blocks[1].first_ms >= edge_ms)
            and timeline.count <= self.program.settings.events_max
            and look_ms <= timeline.last[0] + self.program.settings.horizon_ms + 1
            and not is_to_teach(timeline, edge_ms)
        )

    def _tidy(self, timeline: Timeline, was_published: bool, edge_ms: int, told: list[Change]) -> None:
        """Move the base, hold the cap, and drop what is not worth keeping. *told*: what is yet to be said."""
        settings, entity = self.program.settings, timeline.entity
        blocks = timeline.blocks
        rested_ms = 0 if blocks else edge_ms - timeline.tally.edge_ms
        if is_to_teach(timeline, edge_ms):
            teach(timeline, edge_ms, self.ways, self.codes)
        if edge_ms > NEVER and (was_published or (len(blocks) > 1 and blocks[1].first_ms < edge_ms)):
            timeline.forget(edge_ms, self.marks, self.codes, self.program, told)
        if timeline.count > settings.events_max and len(blocks) > 1:
            timeline.saturate(self.marks, self.codes, self.program, told)
            self._add("correlator_entities_saturated_total")
        horizon_ms = settings.horizon_ms
        if timeline.newest_ms == NEVER and is_spent(timeline, rested_ms, self.codes, horizon_ms):
            self.timelines.drop(entity)
            self.idle.forget(entity)
        else:
            self.idle.ask(timeline, self.codes, horizon_ms)

    # ------------------------------------------------------------------ any age

    def _refuse(self, entity: str, event: Event, reason: str) -> list[Change]:
        self._add("correlator_events_refused_total", reason)
        found = self.refused.refuse(entity, event, self.person(entity), self.program, self.now_ms)
        return self.storms.divert(found, self.program, self.now_ms, self.events)

    # ---------------------------------------------------------------- restoring

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
        partition.codes = load_codes(known.shapes)
        partition.timelines = Timelines(partition.codes)
        partition.changed = Changed(partition.timelines.record)
        partition.marks = Marks.load(program.settings, known.marks)
        partition.ways = Ways.load(known.ways)
        partition.marks.is_telling = bool(program.zones)
        partition.storms.load(known.storms)
        partition.refused.told = dict(sorted(known.any_age, key=lambda told: told[1]))
        partition.outgoing = Outgoing(known.said)
        partition.bound = Bound(known.bound, partition.now_ms)
        partition._before_ms = partition.now_ms
        for entity, raw in entities:
            record = partition.timelines.put(entity, raw)
            partition.changed.add([entity] if record is not raw else ())  # to be written in this format
            partition._ask_again(state.load_timeline(entity, record, partition.codes))
        return partition

    def _ask_anew(self) -> None:
        """What was asked for by another horizon would come at other frames than what a restore asks for."""
        self.wakes = Wakes()
        self.idle = Idle(self.wakes)
        for entity in self.timelines:
            self._ask_again(self.timelines[entity])
            self.timelines.rest()

    def _ask_again(self, timeline: Timeline) -> None:
        """Wakes follow from the timelines: ask as `_visit` and `_tidy` have asked."""
        for match in (m for m in timeline.matches(self.codes, self.program) if not self._is_complete(m)):
            self._wait(timeline.entity, match)
        self.idle.ask(timeline, self.codes, self.program.settings.horizon_ms)


def _order(event: Event) -> Order:
    return event.order
