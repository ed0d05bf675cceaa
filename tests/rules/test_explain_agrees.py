"""Whatever the rule and the events, an explanation says of each event what the run itself makes of it."""

from __future__ import annotations

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from correlator.rules.explain import explain
from correlator.rules.rule import Case, CaseEvent, CaseMark, Rule
from correlator.rules.testing import frames_of, run_case
from correlator.timeline.settings import Settings
from tests.rules.test_explain import (
    ABSENT,
    BETWEEN,
    BURST,
    EITHER,
    NESTED,
    ORDER,
    PAIR,
    PROBING,
    SETTLE,
    STAYED,
    STEPS,
    SUM,
    THEN_IN,
    correlation,
)
from tests.rules.writing import load, rule

START_MS = 1_772_528_400_000
MINUTE_MS = 60_000
OF_TWO = (
    PAIR.replace("14h", "10m").replace("[came, left]", "[came, left, logged_in]") + "\ncondition: {gte: 2}"
)
BESIDE = correlation(
    "type: event_count\nrules: [came, two]\ngroup-by: [identity.id]\n"
    "timespan: 10m\ncondition: {gte: 2, lte: 3}",
    *STEPS[:2],
    "title: Two\nname: two\ncorrelation:\n  type: event_count\n  rules: [came, left]\n  timespan: 5m\n"
    "  group-by: [identity.id]\n  condition: {gte: 2}\n---\n",
)
LAST = ORDER + "\ncondition: came and not left"
RULES = (
    rule("s: {event.kind: access, access.outcome: denied}\nt: {place.door: d1}\ncondition: s and not t"),
    rule("s: {event.kind: access}\ncondition: s", "correlator: {requires: {warm_model: true}}\n"),
    rule("s: {event.kind: access}\ncondition: s",
         "correlator: {suppress: {for: 0s}, budget: {alerts: 2, per: 1h}, risk: 60}\n"),
    ABSENT + f"correlator: {{{SETTLE.strip()}}}\n",
    ABSENT + f"correlator: {{on_incomplete: fire, {SETTLE.strip()}}}\n",
    BURST, PROBING, SUM, NESTED, THEN_IN, STAYED, BESIDE,
    correlation(ORDER, *STEPS[:2]), correlation(LAST, *STEPS[:2]), correlation(PAIR, *STEPS[:2]),
    correlation(BETWEEN, *STEPS), correlation(OF_TWO, *STEPS), correlation(EITHER, *STEPS),
)  # fmt: skip


@cache
def loaded(at: int) -> tuple[Rule, list[Rule]]:
    rules, problems = load(RULES[at])
    assert not problems, problems
    (alerting,) = (r for r in rules if r.is_alerting)
    return alerting, rules


def optional(name: str, *values: str | float) -> st.SearchStrategy[dict[str, str | float]]:
    return st.sampled_from([{}, *({name: value} for value in values)])


fields = st.tuples(
    st.sampled_from([{"event.kind": "access"}] * 3 + [{"event.kind": "login"}]),
    optional("access.outcome", "denied", "denied", "granted"),
    optional("access.direction", "in", "out"),
    optional("access.reason", "damaged", "other"),
    optional("login.outcome", "success", "success", "failure"),
    optional("place.door", "d1", "d1", "d2"),
    optional("place.site", "lisbon", "lisbon", "lisbon", "porto"),
    optional("place.criticality", 1, 2),
).map(lambda parts: {name: value for part in parts for name, value in part.items()})


@st.composite
def cases(draw: st.DrawFn) -> Case:
    events = []
    for _ in range(draw(st.integers(1, 9))):
        offset_ms = draw(st.integers(0, 30)) * MINUTE_MS
        late_ms = draw(st.sampled_from([0, 0, 0, 5, 20, 60])) * MINUTE_MS
        events.append(CaseEvent(offset_ms, offset_ms + late_ms, tuple(draw(fields).items())))
    marks = [
        CaseMark(at * MINUTE_MS, "access", "lisbon", (at - draw(st.integers(0, 10))) * MINUTE_MS)
        for at in draw(st.lists(st.integers(0, 60), max_size=3))
    ]
    at_ms = draw(st.none() | st.integers(0, 60).map(lambda minute: minute * MINUTE_MS))
    has_marks = draw(st.booleans())
    return Case("t", True, None, at_ms, START_MS, tuple(events), tuple(marks) if has_marks else None, None)


@given(st.integers(0, len(RULES) - 1), cases())
def test_an_explanation_says_of_each_event_what_the_run_made_of_it(at: int, case: Case) -> None:
    alerting, rules = loaded(at)
    told = [alert for alert in run_case(alerting, case).alerts if alert.rule == alerting.id]
    found = explain(alerting, rules, lambda s: frames_of(alerting, case, s), Settings(), str, which="all")
    states = {(look.entity, look.event.id): look.state for look in found.looks}
    assert {k for k, state in states.items() if state == "alert"} == {(a.entity, a.event_id) for a in told}
    repeats = {(a.entity, event_id) for a in told for event_id in a.repeats}
    assert {k for k, state in states.items() if state == "repeat"} == repeats
    assert (found.state == "alert") is bool(told)
    for look in found.looks:
        assert look.said, look
        if look.state == "no match" and alerting.requires is None and alerting.settle is None:
            assert not any(e.tree.holds for e in look.examined) or alerting.correlation is not None
        reached = [window for window in look.counted if window.rule == alerting.name]
        if look.state == "alert" and reached and alerting.settle is None:
            assert min(window.off for window in reached) == 0
