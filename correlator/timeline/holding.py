"""What a keyed partition holds: its timelines, marks, models and codes, and a frozen cut of them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from correlator.codec import Codes, dump_codes, owner_of
from correlator.event import NEVER, Event, Person
from correlator.timeline import kept, state
from correlator.timeline.changed import Changed
from correlator.timeline.idle import Idle
from correlator.timeline.marks import Marks
from correlator.timeline.moving import Bound
from correlator.timeline.outgoing import Outgoing
from correlator.timeline.program import Program, Scorer
from correlator.timeline.refused import Refused
from correlator.timeline.storms import STORM, Storms
from correlator.timeline.sweeping import used
from correlator.timeline.timelines import Timelines
from correlator.timeline.wakes import Wakes
from correlator.timeline.ways import Ways


class Holding:
    """Timelines of one partition. Counters are (metric, label value …) -> count since they were last
    taken.
    """

    def __init__(self, program: Program, scorer: Scorer, number: int) -> None:
        self.program, self.scorer, self.number = program, scorer, number
        self.marks = Marks(program.settings)
        self.marks.is_telling = bool(program.zones)
        self.codes = Codes()
        self.timelines = Timelines(self.codes)
        self.changed = Changed(self.timelines.record)
        self.refused = Refused()
        self.storms = Storms(number)
        self.bound = Bound()
        self.outgoing = Outgoing()
        self.counters: dict[tuple[str, ...], int] = {}
        self.wakes = Wakes()
        self.ways = Ways()
        self._before_ms = NEVER  # now of the frame before
        self.idle = Idle(self.wakes)

    @property
    def now_ms(self) -> int:
        return self.marks.now_ms

    def events(self, entity: str, ids: Sequence[str]) -> list[Event]:
        """Those of *ids* that are at hand, in order of time: the evidence of an alert.

        The same whatever left the history meanwhile, for those of alerts that may still change.
        """
        if entity.startswith(f"{STORM}:"):
            return self.storms.evidence(ids, self.events)
        timeline = self.timelines.get(entity)
        wanted = set(ids)
        held = {i: found for i in wanted if (found := self.refused.event(entity, i)) is not None}
        if timeline is None or not wanted - held.keys():
            return sorted(held.values(), key=lambda event: event.order)
        held |= {event.id: event for event in timeline.events(self.codes) if event.id in wanted}
        if timeline.moved is not None:  # events that are told of because they are not here any more
            away = ((e, to) for i, (e, to) in timeline.moved.away.items() if i in wanted)
            held |= {event.id: replace(event, identity_id=owner_of(to)) for event, to in away}
        older = kept.load(timeline.kept, self.codes, timeline.owner) if wanted - held.keys() else []
        if wanted - held.keys():
            older += kept.before(timeline.blocks, self.codes, timeline.owner)
        for event in (*older, *timeline.touch(self.codes).events()):
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

    def sweep(self) -> None:
        """When the table of shapes has doubled, forget those that no event has any more."""
        if len(self.codes) >= max(2 * self.codes.kept, self.program.settings.shapes_min):
            self.codes.keep(used(self.timelines, self.codes))
            self.ways.forget_stamps()

    def freeze(self) -> None:
        """Cut here, between two frames. `changed` gives the cut."""
        self.changed.freeze(self.rest())

    def rest(self) -> bytes:
        """What is no entity's."""
        return state.dump_rest(
            state.Rest(
                state.FORMAT,
                self.number,
                dump_codes(self.codes),
                sorted(self.refused.told.items()),
                self.marks.dump(),
                self.scorer.encode(),
                self.ways.dump(),
                self.bound.dump(),
                self.storms.dump(self.now_ms, self.program.settings.horizon_ms),
                self.outgoing.said(),
            )
        )
