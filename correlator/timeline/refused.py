"""Events beyond the horizon: not inserted, but rules for any age are evaluated on each of them alone.

A terminated badge is news even if late. Alerts that such events raise are remembered by uid, so that a
redelivered event cannot raise them again. State is `told`; the events of the last frame are kept for their
alerts' evidence.
"""

from __future__ import annotations

from collections.abc import Iterable

from correlator.event import Event, Person
from correlator.timeline.alert import Alert, Change, alert_uid
from correlator.timeline.fold import observe
from correlator.timeline.live import Live, Match
from correlator.timeline.program import Program


class Refused:
    __slots__ = ("_events", "told")

    def __init__(self) -> None:
        self.told: dict[str, int] = {}  # uid of a match of a rule for any age -> now when it was told
        self._events: dict[tuple[str, str], Event] = {}  # (entity, id): of the last frame, told of

    def begin(self) -> None:
        """A new frame: nobody asks for the evidence of the last one any more."""
        self._events.clear()

    def event(self, entity: str, event_id: str) -> Event | None:
        return self._events.get((entity, event_id))

    def refuse(
        self, entity: str, event: Event, person: Person | None, program: Program, now_ms: int
    ) -> list[Change]:
        """What is told of an event that is not inserted."""
        changes = []
        for match in program.on_too_late(observe(entity, Live(person=person), event, program)):
            uid = alert_uid(match.rule, entity, match.event_id)
            if uid in self.told:
                continue
            self.told[uid] = now_ms
            self._events[entity, event.id] = event
            alert = Alert(
                uid,
                match.rule,
                entity,
                match.severity,
                match.decided_ms,
                match.event_id,
                match.evidence,
                match.values,
                is_shadow=match.is_shadow,
            )
            changes.append(Change("create", alert, uid))
        return changes

    def remember(self, entity: str, matches: Iterable[Match], program: Program, now_ms: int) -> None:
        """*matches* are known of already, should their events come again when they are too old."""
        for match in matches:
            rule = program.facts(match.rule, match.decided_ms)
            if rule is not None and rule.is_any_age:
                self.told.setdefault(alert_uid(match.rule, entity, match.event_id), now_ms)

    def forget(self, oldest_ms: int) -> None:
        """Uids that were told before *oldest_ms*; the dict is in order of telling."""
        while self.told:
            uid, told_ms = next(iter(self.told.items()))
            if told_ms >= oldest_ms:
                return
            del self.told[uid]
