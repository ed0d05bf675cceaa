"""Every name that a rule may use, what it means and where it comes from: one table, from which the
reference is made.

A value is None where the event or its context does not say: to a rule the field is absent. Durations are
seconds (`_s`), unless the name says days. Context is as of the event (as of event time + grace for what a
settled rule takes again).
"""

from __future__ import annotations

from correlator.timeline.field import Field
from correlator.timeline.fields_event import ANOMALY, EVENT
from correlator.timeline.fields_habits import HABIT
from correlator.timeline.fields_person import CREDENTIAL, PERSON
from correlator.timeline.fields_presence import PASSBACK, PRESENCE
from correlator.timeline.fields_travel import TRAVEL
from correlator.timeline.fields_zone import ZONES
from correlator.timeline.live import Scalar
from correlator.timeline.observation import Observation
from correlator.timeline.raw import joined

FIELDS: dict[str, Field] = {
    field.name: field
    for table in (EVENT, ZONES, CREDENTIAL, PERSON, PRESENCE, PASSBACK, TRAVEL, HABIT, ANOMALY)
    for field in table
}


def value(observation: Observation, name: str) -> Scalar:
    """Value of field *name*; None when absent. A name that is not in the table is one of the source's own."""
    if name in observation.seen:
        return observation.seen[name]
    field = FIELDS.get(name)
    return joined(observation, name) if field is None else field.get(observation)
