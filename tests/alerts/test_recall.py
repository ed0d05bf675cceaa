"""An alert read back: its events are what they were, and the rule holds of what it quotes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.alerts.ocsf import Source, alert_record
from correlator.alerts.recall import Recalled, recall
from correlator.alerts.text import rule_text
from correlator.event import Event, Network, Place, Score, make_event
from correlator.rules.recollect import Recollection, explain_alert
from correlator.rules.rule import Rule
from correlator.rules.testing import alone, frames_of, play, zoned
from correlator.rules.watched import Watched
from correlator.timeline.alert import Alert, Change
from correlator.timeline.settings import Settings
from tests.alerts.shapes import ALL, Shape
from tests.alerts.test_nine import rules
from tests.rules.test_explain import CASES

SOURCE = Source("bundle", 0)
RULES = list(rules().values())


def recalled(change: Change, evidence: tuple[Event, ...], shape: Shape) -> Recalled:
    return recall(alert_record(change, evidence, shape.rule, shape.person, SOURCE).value)


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_events_come_back(make: Callable[[], Shape]) -> None:
    shape = make()
    found = recalled(shape.change, shape.evidence, shape)
    named = {*shape.change.alert.evidence, shape.change.alert.event_id}
    expected = sorted((e for e in shape.evidence if e.id in named), key=lambda e: e.order)
    assert list(found.events) == expected
    assert (found.uid, found.told.entity) == (shape.change.alert.uid, shape.change.alert.entity)


words = st.sampled_from(("", "a", "ß", "x y"))
times = st.integers(-(10**12), 4 * 10**12)
places = st.builds(
    Place, words, words, words, words, words, st.integers(0, 5), st.just(1.5), st.just(-2.0),
    st.sampled_from((0.0, 2.5)), st.booleans(), words,
)  # fmt: skip
shared = {
    "source": words, "feed": words, "identity_id": words, "credential": words, "outcome": words,
    "reason": words, "reason_native": words, "place": st.none() | places, "device": words, "session": words,
    "offset_min": st.sampled_from((0, 60, -210)), "is_business_hours": st.none() | st.booleans(),
    "sequence": st.none() | st.integers(0, 9), "time_claimed_ms": st.none() | times, "activity": words,
    "skew_s": st.sampled_from((0, 15, -3600)), "site_skew_s": st.sampled_from((0, 300)),
}  # fmt: skip
accesses = st.builds(
    make_event, times, st.just("i"), st.just("access"), taken=st.sampled_from(("taken", "unknown")),
    direction=st.sampled_from(("in", "unknown")), duress=st.booleans(), **shared,
)  # fmt: skip
logins = st.builds(
    make_event, times, st.just("i"), st.just("login"), logon_type=words, is_interactive=st.booleans(),
    mfa=words, application=words, ip=st.sampled_from(("192.0.2.1", "2001:db8::1")),
    network=st.none() | st.builds(Network, st.just("n"), st.sampled_from(("", "vpn")), st.integers(0, 3)),
    score=st.none() | st.builds(Score, st.floats(0, 1), st.booleans(), st.just(("a", "b"))), **shared,
)  # fmt: skip


@given(accesses | logins)
def test_any_event_comes_back(event: Event) -> None:
    alert = Alert("u", RULES[0].id, "identity:e1", "high", event.time_ms, event.id, (event.id,))
    record = alert_record(Change("create", alert, "u"), [event], rule_text(RULES[0]), None, SOURCE)
    (found,) = recall(record.value).events
    assert found == event


def alerts_of(shipped: Rule, number: int) -> list[bytes]:
    """Records of the alerts that are open at the end of a test of a shipped rule."""
    case = shipped.cases[number]
    program = Watched(*alone(shipped, zoned(Settings(), case)))
    played = play(program, frames_of(shipped, case, program.settings))
    partition, text = played.partition, rule_text(shipped)
    return [
        alert_record(
            Change("create", alert, alert.uid),
            partition.events(alert.entity, alert.evidence),
            text,
            partition.person(alert.entity),
            SOURCE,
        ).value
        for alert in played.alerts.values()
    ]


@pytest.mark.parametrize(
    ("shipped", "number"),
    [(r, r.cases.index(c)) for r, c in CASES if c.expects_match],
    ids=[f"{r.name}-{c.name}" for r, c in CASES if c.expects_match],
)
def test_the_rule_holds_of_what_its_alert_quotes(shipped: Rule, number: int) -> None:
    values = alerts_of(shipped, number)
    assert values
    for value in values:
        record = recall(value)
        told = record.told
        recollection = Recollection(told.entity, told.event_id, told.decided_ms, told.values, record.events)
        found = explain_alert(shipped, RULES, recollection, Settings(), str)
        assert found.state == "alert", found.looks
        changed = msgspec.structs.replace(recollection, values={}, events=record.events[-1:])
        assert explain_alert(shipped, RULES, changed, Settings(), str).state == "no match" or not told.values
