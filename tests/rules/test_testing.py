"""Tests in rule files: what can be written, and that a wrong expectation is told."""

from __future__ import annotations

from datetime import datetime
from textwrap import indent

import pytest

from correlator.rules.load import load_rules
from correlator.rules.program import RuleProgram
from correlator.rules.testing import CaseResult
from tests.rules.writing import (
    SETTINGS,
    access,
    documents,
    found_by,
    load,
    matches,
    observe,
    one,
    rule,
    run_cases,
)

READ = "{event.kind: access, access.outcome: granted, place.site: lisbon, place.door: lis-1}"
LOGIN = "{event.kind: login, login.outcome: success, place.site: lisbon}"
ABSENCE = "s: {event.kind: login, presence.here|lt: 0.2}\ncondition: s"
SETTLE = "  settle: {feed: access, at: place.site, grace: 2m}\n"
ANY = "s: {event.kind: access}\ncondition: s"


def written(detection: str, *cases: str, block: str = "") -> str:
    tests = "".join(indent(f"- {case.strip()}\n", "    ") for case in cases)
    return rule(detection, f"correlator:\n{block}  tests:\n{tests}")


def run(detection: str, *cases: str, block: str = "") -> list[CaseResult]:
    rules, problems = load(written(detection, *cases, block=block))
    assert not problems, problems
    return run_cases(rules)


def told(detection: str, *cases: str, block: str = "") -> list[str]:
    return [result.message for result in run(detection, *cases, block=block)]


def test_a_wrong_expectation_says_what_came_instead() -> None:
    match = f"{{name: a, expect: match, events: [{LOGIN}]}}"
    silent = f"{{name: b, expect: no-match, events: [{READ.replace('{', '{offset: 90s, ', 1)}]}}"
    nothing, something = told(ANY, match, silent)
    assert nothing == "expected a match, got none"
    assert something.startswith("expected no match, got 1: first as of 90s on identity:e1 (")


def test_what_was_retracted_is_told() -> None:
    late = READ.replace("{", "{offset: -1m, arrives: 1h, ", 1)
    marks = "marks: [{offset: 5m, feed: access, site: lisbon, complete_to: 3m}]"
    case = f"{{name: a, expect: match, events: [{LOGIN}, {late}], {marks}}}"
    assert told(ABSENCE, case, block=SETTLE) == ["expected a match, got none: an alert was retracted again"]


def test_without_marks_everything_is_delivered_in_the_end() -> None:
    assert told(ABSENCE, f"{{name: a, expect: match, events: [{LOGIN}]}}", block=SETTLE) == [""]


@pytest.mark.parametrize(
    ("at", "expected"), [("2m", "no-match"), ("4m", "no-match"), ("5m", "match"), ("9h", "match")]
)
def test_expect_at_looks_at_what_is_said_by_then(at: str, expected: str) -> None:
    marks = "[{offset: 5m, feed: access, site: lisbon, complete_to: 2m}]"
    case = f"{{name: a, expect: {expected}, expect_at: {at}, events: [{LOGIN}], marks: {marks}}}"
    assert told(ABSENCE, case, block=SETTLE) == [""]


def test_marks_of_another_site_decide_nothing() -> None:
    marks = "[{offset: 5m, feed: access, site: porto, complete_to: 5m}]"
    case = f"{{name: a, expect: no-match, events: [{LOGIN}], marks: {marks}}}"
    assert told(ABSENCE, case, block=SETTLE) == [""]


def test_expect_from_leaves_out_what_was_decided_before() -> None:
    early = READ.replace("{", "{offset: -2h, ", 1)
    assert told(ANY, f"{{name: a, expect: no-match, expect_from: -1h, events: [{early}]}}") == [""]
    assert told(ANY, f"{{name: a, expect: match, expect_from: -3h, events: [{early}]}}") == [""]


def test_repeat_makes_an_event_happen_again_and_again() -> None:
    often = READ.replace("{", "{repeat: {every: 1d, times: 12}, ", 1)
    (result,) = run(ANY, f"{{name: a, expect: match, events: [{often}]}}")
    assert len(result.alerts) == 12


@pytest.mark.parametrize(
    ("arrives", "expected"), [("24h", "match"), ("86401s", "no-match"), ("9d", "no-match")]
)
@pytest.mark.parametrize("block", ["", "  any_age: true\n"])
def test_what_arrives_after_the_horizon_is_refused_as_live(arrives: str, expected: str, block: str) -> None:
    read = READ.replace("{", f"{{arrives: {arrives}, ", 1)
    wanted = "match" if block else expected
    assert told(ANY, f"{{name: a, expect: {wanted}, events: [{read}]}}", block=block) == [""]


def test_a_person_has_a_status_a_type_and_credentials() -> None:
    detection = (
        "s: {event.kind: access, identity.status: notice, identity.type: contractor, credential.state: lost,"
        " identity.tenure_days|gte: 9, identity.tenure_days|lte: 11}\ncondition: s"
    )
    person = (
        "{type: contractor, hired: -10d, status: [{at: 1d, status: terminated}, {at: -1d, status: notice}],"
        " credentials: [{id: '4711', states: [{at: -1h, state: lost}]}]}"
    )
    card = READ.replace("{", "{credential.id: '4711', ", 1)
    assert told(detection, f"{{name: a, expect: match, person: {person}, events: [{card}]}}") == [""]


def test_a_score_may_be_preset() -> None:
    detection = "s: {anomaly.percentile|gte: 0.9, anomaly.is_warm: true, anomaly.pushing: hour}\ncondition: s"
    scored = READ.replace("{", "{anomaly.percentile: 0.95, anomaly.is_warm: true, anomaly.pushing: hour, ", 1)
    assert told(detection, f"{{name: a, expect: match, events: [{scored}]}}") == [""]


def test_the_start_sets_the_local_hour() -> None:
    detection = "s: {time.hour: 3, time.weekday: 7}\ncondition: s"
    case = f"{{name: a, expect: match, start: '2026-03-08T03:00:00Z', events: [{READ}]}}"
    assert told(detection, case) == [""]


@pytest.mark.parametrize(
    ("time", "offset_min", "expected"),
    [
        ("2026-12-24T23:30:00Z", 0, "2026-12-24"),
        ("2026-12-24T23:30:00Z", 60, "2026-12-25"),
        ("2026-12-25T00:30:00Z", -60, "2026-12-24"),
        ("1969-12-31T23:00:00Z", 0, "1969-12-31"),
    ],
)
def test_the_local_day(time: str, offset_min: int, expected: str) -> None:
    event = access(_ms(time), offset_min=offset_min)
    assert matches(one(f"time.date: '{expected}'"), event)
    assert not matches(one(f"time.date|neq: '{expected}'"), event)


def test_a_day_that_no_calendar_has() -> None:
    assert matches(one("time.date: null"), access(1 << 60))


def test_holidays_are_a_list() -> None:
    lists = {"closed": ("*-12-25", "2026-04-03")}
    text = rule("s: {event.kind: access, time.date|expand: '%closed%'}\ncondition: s")
    (loaded,), problems = load_rules(documents(text), lists=lists)
    assert problems == []
    program = RuleProgram([loaded], SETTINGS)
    for day, is_closed in {"2027-12-25": True, "2026-04-03": True, "2027-04-03": False}.items():
        found = found_by(program, observe(access(_ms(f"{day}T10:00:00Z"))))
        assert bool(found.matches) is is_closed, day


def _ms(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp()) * 1000


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("{name: a, expect: maybe, events: [{event.kind: access}]}", "must be one of: match, no-match"),
        ("{expect: match, events: [{event.kind: access}]}", "a test has a name"),
        ("{name: a, expect: match}", "must be a list of events"),
        (
            "{name: a, expect: match, events: [{event.kind: acess}]}",
            "event.kind: must be one of: access, door, login: did you mean access?",
        ),
        (
            "{name: a, expect: match, events: [{event.kind: access, presence.here: 1}]}",
            "is derived from events",
        ),
        (
            "{name: a, expect: match, events: [{event.kind: access, place.sit: x}]}",
            "did you mean place.site?",
        ),
        (
            "{name: a, expect: match, events: [{event.kind: access, place.lat: x}]}",
            "place.lat must be a number",
        ),
        ("{name: a, expect: match, events: [{event.kind: access, offset: 5}]}", "must be a duration"),
        ("{name: a, expect: match, start: soon, events: [{event.kind: access}]}", "must be a time"),
        ("{name: a, expect: match, events: [{event.kind: access, repeat: {every: 1d}}]}", "must be a number"),
        ("{name: a, expect: match, person: {stat: x}, events: [{event.kind: access}]}", "unknown key 'stat'"),
        (
            "{name: a, expect: match, marks: [{feed: x}], events: [{event.kind: access}]}",
            "feed must be access",
        ),
    ],
)
def test_mistakes_in_tests_are_said(case: str, message: str) -> None:
    problems = [str(p) for p in load(written(ANY, case))[1]]
    assert any(message in problem for problem in problems), problems
