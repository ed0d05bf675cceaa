"""One mistake does not hide another, and a word that is none names the nearest one."""

from __future__ import annotations

import pytest

from tests.rules.test_load import LOGIN, assert_said
from tests.rules.writing import counting, rule


def test_mistakes_beside_a_mistake_are_said_too() -> None:
    """Of a correlation the rules and fields that it names, of a block the fields that it settles at."""
    section = (
        "type: event_counts\nrules: [base, bas]\ngroup-by: [identity.ids]\ntimespan: 10m\ncondition: {gte: 5}"
    )
    assert_said(
        counting(section),
        "correlation.type: must be one of",
        "correlation.rules[1]: there is no rule 'bas': did you mean base?",
        "correlation.group-by[0]: unknown field 'identity.ids': did you mean identity.id?",
    )
    assert_said(
        rule("s: {event.kind: login}\ncondition: s", "correlator: {settle: {at: place.sit}}\n"),
        "correlator.settle: feed is missing",
        "correlator.settle: grace is missing",
        "correlator.settle.at: unknown field 'place.sit': did you mean place.site?",
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("status: expermental\n", "status: must be one of: stable, test, experimental"),
        ("tags: [attack.t1078, t1078]\n", "tags[1]: 't1078' has no namespace, as in attack.t1078"),
        ("correlator: {mode: shadwo}\n", "mode: must be one of: alert, shadow, off: did you mean shadow?"),
    ],
)
def test_words_that_are_none(line: str, message: str) -> None:
    assert_said(rule("s: {event.kind: login}\ncondition: s", line), message)


def test_look_around_is_beyond_re2() -> None:
    assert_said(rule(f"{LOGIN}device.id|re: '(?=x)'\ncondition: s"), "RE2 has no look-around")
