"""Until when a rule goes on matching is said of the alert that its matches join."""

from __future__ import annotations

import json

from msgspec.structs import replace

from correlator.alerts.ocsf import Source, alert_record
from correlator.alerts.told import read_told
from correlator.event import MINUTE_MS, Place, make_event
from correlator.frame import Frame
from correlator.pipeline import correlate_step, only
from correlator.timeline.partition import Partition
from tests.alerts import shapes
from tests.simulation.small import bundle
from tests.timeline.streams import START_MS, arrivals
from tests.timeline.toy import NoScorer, Toy, ToyProgram

DOOR = Place("lisbon", door="lis-1")


def test_the_newest_match_is_when_it_was_seen_last() -> None:
    """Three denied reads are a burst, the fourth and the fifth join it, each in a frame of its own."""
    program = ToyProgram(Toy())
    force = only(replace(bundle(), program=program, settings=program.settings))
    partition, told = Partition(force.program, NoScorer(), 0), list[bytes]()
    for minute in range(5):
        at_ms = START_MS + minute * MINUTE_MS
        read = make_event(
            at_ms, f"{minute:016}", "access", place=DOOR, outcome="denied", identity_id="e1", credential="7"
        )
        frame = Frame("", (("identity:e1", read),), arrivals(at_ms))
        told += [record.value for record in correlate_step(frame, partition, force, crc=0).alerts]
    assert [json.loads(value)["end_time"] for value in told] == [START_MS + n * MINUTE_MS for n in (2, 3, 4)]
    assert json.loads(told[-1])["finding_info"]["last_seen_time"] == START_MS + 4 * MINUTE_MS
    assert {read_told(value).first_ms for value in told} == {START_MS + 2 * MINUTE_MS}
    assert len({read_told(value).when for value in told}) == 1, "the message tells of the first match"


def test_a_settled_alert_is_listed_at_its_event_also_when_more_has_joined_it() -> None:
    """Not when its verdict was taken, which is 16 hours later where somebody did not leave."""
    shape = shapes.d01()
    alert = replace(shape.change.alert, repeats=("r",), repeat_count=1)
    more = (*shape.evidence, make_event(alert.decided_ms + 1, "r", "login"))
    for evidence, change in ((shape.evidence, shape.change), (more, replace(shape.change, alert=alert))):
        record = alert_record(
            change, evidence, shape.rule, shape.person, Source(shapes.BUNDLE, shapes.NOW_MS)
        )
        assert read_told(record.value).first_ms == shapes.T0 < alert.decided_ms
