"""What a reviewer would say of rules that look for nothing, or for what is never there."""

from __future__ import annotations

import pytest

from correlator.rules.load import load_rules
from tests.rules.test_advice import ANY, BLOCK, EVENTS, advice, of_correlation, of_search
from tests.rules.writing import documents, rule


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("device.id|contains: ''", "the empty text is in every text: write device.id|exists: true"),
        ("device.id|endswith: [abc, '']", "the empty text is in every text"),
        ("device.id|re: ''", "the empty text is in every text"),
        ("device.id|contains|neq: ''", "the empty text is in every text: this never holds"),
    ],
)
def test_the_empty_text_is_in_every_text(search: str, expected: str) -> None:
    assert any(expected in said for said in of_search(search))


def test_keywords_that_look_for_nothing() -> None:
    (said,) = advice(rule("s: {event.kind: access}\nt: {'|contains': ''}\ncondition: s and t", BLOCK))
    assert (
        said
        == "detection.t.|contains: the empty text is in every text: these keywords are found in every event"
    )
    problems = load_rules(documents(rule("s: ['', a]\ncondition: s")))[1]
    assert [p.message for p in problems] == ["an empty keyword looks for nothing: leave it out"]
    assert of_search("device.id: ''") == [], "says never, on purpose or not: empty text is absent"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("{gte: 10, lte: 5}", "can never hold: no number is lte 5 and gte 10"),
        ("{eq: 0}", "can never hold: it is asked where an event is counted, so at least one is"),
    ],
)
def test_why_a_threshold_is_never_met(condition: str, expected: str) -> None:
    assert of_correlation(EVENTS.replace("{gte: 5}", condition)) == [f"correlation.condition: {expected}"]


def test_thresholds_of_more_rules_than_are_named() -> None:
    section = EVENTS.replace("event_count", "temporal").replace("gte: 5", "gte: 2")
    assert of_correlation(section) == ["correlation.condition: can never hold: only 1 rules are named"]


def test_what_is_counted_has_the_fields_that_it_is_counted_by() -> None:
    section = EVENTS.replace("event_count", "value_count").replace("gte: 5", "field: login.reason, gte: 5")
    assert of_correlation(section) == [
        "correlation.condition.field: access events have no login.reason: none is counted"
    ]
    (said,) = of_correlation(EVENTS.replace("[identity.id]", "[identity.id, door.activity]"))
    assert said == "correlation.group-by: access events have no door.activity: none is counted"
    assert of_correlation(EVENTS.replace("[identity.id]", "[identity.id, access.reason]")) == []


def test_keys_of_a_logsource() -> None:
    text = rule(ANY, BLOCK).replace("{product: x}", "{product: x, categry: y, definition: z, team: soc}")
    assert advice(text) == ["logsource.categry: unknown key 'categry': did you mean category?"]
