"""Habits in tests: what a person did so far, learned as the fold does."""

from __future__ import annotations

import msgspec

from correlator.event import Event
from correlator.timeline.habits import NO_HABITS, Day, Habits, as_of, learn, shows_habit


class Learned(msgspec.Struct, frozen=True):
    habits: Habits = NO_HABITS
    today: Day | None = None

    def after(self, *events: Event) -> Learned:
        habits, today = self.habits, self.today
        for event in events:
            if shows_habit(event.shape):
                habits, today = learn(habits, today, event)
        return Learned(habits, today)

    def before(self, event: Event) -> Habits:
        """What *event* is held against."""
        return as_of(self.habits, self.today, event)
