"""What is odd about the tests of a rule: a slip in a test that expects no match would never show."""

from __future__ import annotations

import pytest

from correlator.rules.load import load_rules
from tests.rules.test_advice import ANY, NO, TODAY, advice
from tests.rules.writing import documents, load, rule, run_cases

EVENT = "{event.kind: access, access.outcome: granted"


def of_test(event: str = f"{EVENT}}}", more: str = "") -> list[str]:
    test = f"{{name: a, expect: match{more}, events: [{event}]}}"
    return advice(rule(ANY, f"correlator: {{tests: [{test}, {NO}]}}\n"))


def test_what_feeds_can_say_is_not_odd() -> None:
    person = ", person: {type: contractor, hired: -90d, status: [{at: -1d, status: leave}], credentials: [c]}"
    person = person.replace("[c]", "[{id: c1, class: mobile, states: [{at: 1m, state: lost}]}]")
    assert of_test(f"{EVENT}, access.reason_native: KAPUTT, place.criticality: 5, offset: 1m}}", person) == []
    assert of_test(more=", person: {status: notice}") == []


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("access.direction: inn", "access.direction: access.direction is never inn: did you mean in?"),
        ("access.direction: In", "access.direction is never In: did you mean in?"),
        ("network.class: vnp", "network.class is never vnp: did you mean vpn?"),
        ("place.criticality: 9", "place.criticality: place.criticality is from 0 to 5"),
        ("login.outcome: success", "access events have no login.outcome: a feed never says it of them"),
        ("offset: 1m, arrives: 30s", "arrives: arrives 30s before it happens"),
    ],
)
def test_what_no_feed_says_of_such_an_event_is_told(field: str, expected: str) -> None:
    (said,) = of_test(f"{EVENT}, {field}}}")
    assert said.startswith("correlator.tests[0].events[0].")
    assert said.endswith(expected)


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        ("type: contracter", "type: type is never contracter: did you mean contractor?"),
        ("status: activ", "status: status is never activ: did you mean active?"),
        ("status: [{at: -1d, status: terminatd}]", "status[0].status: status is never terminatd"),
        ("hired: 90d", "hired: is after the start of the test: a day in the past is -90d"),
        ("credentials: [{id: c, class: crad}]", "credentials[0].class: class is never crad"),
        ("credentials: [{id: c, states: [{at: 1m, state: lots}]}]", "states[0].state: state is never lots"),
    ],
)
def test_what_the_identities_feed_never_says_is_told(person: str, expected: str) -> None:
    (said,) = of_test(more=f", person: {{{person}}}")
    assert expected in said


def test_tests_beside_a_rule_are_looked_at_too() -> None:
    test = f"{{name: c, expect: no-match, events: [{EVENT}, access.taken: taked}}]}}"
    text = rule(ANY, f"correlator: {{tests: [{NO}]}}\n") + f"---\nrule: rule_1\ntests: [{test}]\n"
    told = [str(p) for p in load_rules(documents(text), today=TODAY)[1]]
    assert any("tests[0].events[0].access.taken: access.taken is never taked" in p for p in told), told


def test_a_test_may_say_who_answers_for_a_visitor() -> None:
    tests = "correlator:\n  tests:\n    - name: a\n      expect: match\n"
    tests += f"      person: {{type: visitor, host: e7}}\n      events: [{EVENT}}}]\n"
    rules, problems = load(rule("s: {event.kind: access, identity.host: e7}\ncondition: s", tests))
    assert problems == []
    assert [result.message for result in run_cases(rules)] == [""]
