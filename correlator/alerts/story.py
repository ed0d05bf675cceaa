"""A change with what is needed to tell it: its events in order, its values by name, the person.

Pure. Evidence may be incomplete (an event can be older than the history): then ids stand where words would.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from correlator.alerts.text import ALL, RuleText
from correlator.event import SECOND_MS, Event, Person
from correlator.rules.check import UNTIL_NOW
from correlator.timeline.alert import Alert, Change
from correlator.timeline.fields import FIELDS
from correlator.timeline.live import Scalar

NUMBER_MAX = 1e15  # beyond it nothing is measured: infinities, and what makes them


class Story(msgspec.Struct, frozen=True):
    """*events*: those of the evidence that are known, in order of (time, id); *by_id* has late ones too."""

    change: Change
    alert: Alert
    rule: RuleText
    person: Person | None
    events: tuple[Event, ...]
    by_id: dict[str, Event]
    values: dict[str, Scalar]

    @property
    def last(self) -> Event | None:
        """The event that completed the match; the newest known one if that is not at hand."""
        return self.by_id.get(self.alert.event_id) or (self.events[-1] if self.events else None)

    @property
    def offset_min(self) -> int:
        """Offset from UTC where the alert's event happened."""
        return self.last.offset_min if self.last else 0

    def linked(self, group: str, kind: str, span_name: str) -> Event | None:
        """The earlier event that the context *group* comes from.

        By its id where that is quoted, else the evidence of *kind* that lies the quoted span before it.
        """
        quoted = self.by_id.get(self.word(f"{group}.event_id"))
        if quoted is not None:
            return quoted
        span_ms = self.span_ms(f"{group}.{span_name}")
        if span_ms is None or self.last is None:
            return None
        to_ms = self.last.time_ms
        earlier = [e for e in self.events if e.kind == kind and e.id != self.alert.event_id]
        return next((e for e in earlier if abs(to_ms - e.time_ms - span_ms) < SECOND_MS), None)

    def span_ms(self, name: str) -> float | None:
        """How long before the alert's event that was of which *name* says so in seconds; negative: after.

        Of a settled rule some spans end with the verdict, which comes after its event.
        """
        span_s = self.number(name)
        if span_s is None:
            return None
        event, feed = self.by_id.get(self.alert.event_id), self.rule.retaken
        is_retaken = name.endswith(UNTIL_NOW) and feed in {ALL, FIELDS[name].feed}
        waited_ms = self.alert.decided_ms - event.time_ms if event is not None and is_retaken else 0
        return span_s * SECOND_MS - waited_ms

    def number(self, name: str) -> float | None:
        """Value of *name* if it is a number that can be printed."""
        value = self.values.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < NUMBER_MAX:
            return None
        return float(value)

    def word(self, name: str) -> str:
        value = self.values.get(name)
        return value if isinstance(value, str) else ""


def story(change: Change, evidence: Sequence[Event], rule: RuleText, person: Person | None) -> Story:
    """*evidence*: events of `change.alert.evidence` and `change.because` as far as known, in any order."""
    alert = change.alert
    by_id = {event.id: event for event in evidence}
    known = {i: by_id[i] for i in (*alert.evidence, alert.event_id) if i in by_id}
    events = tuple(sorted(known.values(), key=lambda event: event.order))
    return Story(change, alert, rule, person, events, by_id, dict(alert.values))
