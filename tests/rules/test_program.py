"""What the timeline is told of rules: settled verdicts, evidence, values, events that are too old."""

from __future__ import annotations

from msgspec.structs import replace

from correlator.event import HOUR_MS, KINDS, MINUTE_MS, Event, Person, Place
from correlator.rules.check import kinds_of
from correlator.rules.program import RuleProgram
from correlator.timeline.fold import fold
from correlator.timeline.live import Live
from tests.rules.writing import (
    LISBON,
    SETTINGS,
    access,
    condition,
    counting,
    found_by,
    load,
    login,
    observe,
    rule,
)

SETTLED = rule(
    "s: {event.kind: login, presence.here|lt: 0.2, last_login.age_s|lt: 60}\ncondition: s",
    "correlator:\n  settle: {feed: access, at: place.site, grace: 2m, max_wait: 20m}\n"
    "  evidence: [identity.department]\n",
)


def program(*texts: str) -> RuleProgram:
    rules, problems = load("---\n".join(texts))
    assert not problems, problems
    return RuleProgram(rules, SETTINGS)


def test_kinds_that_a_condition_requires() -> None:
    def kinds(detection: str) -> set[str]:
        return set(kinds_of(condition(detection)))

    assert kinds("s: {event.kind: [login, access], place.site: x}\ncondition: s") == {"login", "access"}
    assert kinds("a: {event.kind: login}\nb: {event.kind: 'd*'}\ncondition: a or b") == {"login", "door"}
    assert kinds("a: {event.kind: login}\nb: {event.kind: door}\ncondition: a and b") == set()
    assert kinds("a: {event.kind: login}\ncondition: not a") == set(KINDS)
    assert kinds("a: {event.kind|neq: login}\ncondition: a") == set(KINDS)
    assert kinds("a: {place.site: x}\ncondition: a") == set(KINDS)


def test_a_rule_is_evaluated_on_its_entity_kind_only() -> None:
    using = program(rule("s: {event.kind: access}\ncondition: s", "correlator: {entity: door}\n"))
    event = access(place=LISBON)
    assert found_by(using, observe(event, entity="door:lis-1"), ()).matches
    assert not found_by(using, observe(event), ()).matches
    assert not found_by(using, observe(event, entity="unresolved:badge:4711"), ()).matches


def test_matches_come_in_order_of_rule_id() -> None:
    using = program(*(rule("s: {event.kind: access}\ncondition: s", number=n) for n in (3, 1, 2)))
    found = found_by(using, observe(access()), ()).matches
    assert [m.rule for m in found] == sorted(using.rules)


def test_a_settled_rule_waits_and_remembers_what_its_feed_does_not_say() -> None:
    using = program(SETTLED)
    event = login(place=LISBON)
    live = Live(last_login=replace(event, id="before", time_ms=-30_000))
    found = found_by(using, observe(event, live), ())
    assert found.matches == []
    (waiting,) = found.waiting
    assert waiting.due_ms == 2 * MINUTE_MS
    assert dict(waiting.seen) == {
        "event.kind": "login",
        "last_login.age_s": 30.0,
        "place.site": "lisbon",
        "identity.department": None,
    }


def test_the_verdict_is_taken_with_what_was_seen_and_the_feed_as_of_then() -> None:
    using = program(SETTLED)
    first, second = login(place=LISBON), replace(login(place=LISBON), time_ms=30_000, id="m")
    events = [first, second, access(3 * HOUR_MS, "z")]
    _, found = fold("identity:e1", Live(), events, using)
    (match,) = found
    assert (match.event_id, match.decided_ms) == ("m", 30_000 + 2 * MINUTE_MS)
    assert (match.feed, match.site, match.max_wait_ms) == ("access", "lisbon", 20 * MINUTE_MS)
    badged = access(MINUTE_MS, "b", place=LISBON)
    assert fold("identity:e1", Live(), sorted([*events, badged], key=lambda e: e.order), using)[1] == []


def test_a_settled_rule_needs_a_site_to_settle_at() -> None:
    using = program(
        rule(
            "s: {event.kind: login, presence.confidence|lt: 0.2}\ncondition: s",
            "correlator: {settle: {feed: access, at: place.site, grace: 1m}}\n",
        )
    )
    assert not found_by(using, observe(login()), ()).waiting
    assert found_by(using, observe(login(place=LISBON)), ()).waiting


def test_evidence_names_the_earlier_events_that_the_context_comes_from() -> None:
    using = program(
        rule(
            "s: {event.kind: login, travel.badge.distance_km|gte: 500, last_badge.outcome: granted}\n"
            "condition: s",
            "correlator: {evidence: [last_badge.age_s]}\n",
        )
    )
    here = login(place=Place(country="US", lat=40.7, lon=-74.0), is_interactive=True)
    before = access(-HOUR_MS, "badge", place=LISBON)
    (match,) = found_by(using, observe(here, Live(badge_places=(before,), last_badge=before)), ()).matches
    assert match.evidence == ("badge", "l")
    values = dict(match.values)
    assert values["last_badge.age_s"] == 3600.0
    assert isinstance(values["travel.badge.distance_km"], float)


def test_values_quote_the_rules_evidence_first_and_leave_out_what_is_absent() -> None:
    extra = "correlator: {evidence: [credential.id, place.zone]}\n"
    using = program(rule("s: {event.kind: access}\ncondition: s", extra))
    (match,) = found_by(using, observe(access(place=LISBON)), ()).matches
    assert [name for name, _ in match.values] == [
        "credential.id", "event.kind", "place.site", "place.door", "access.outcome",
    ]  # fmt: skip


def test_rules_of_any_age_are_evaluated_on_a_late_event_alone() -> None:
    detection = "s: {event.kind: access, identity.status: terminated}\ncondition: s"
    using = program(rule(detection, "correlator: {any_age: true}\n", 1), rule(detection, "", 2))
    live = Live(person=Person("e1", 0, statuses=((-1, "terminated"),)))
    assert [m.rule[-1] for m in using.on_too_late(observe(access(), live))] == ["1"]
    assert using.on_too_late(observe(login(), live)) == []


def test_what_publishing_must_know() -> None:
    extra = "correlator: {retract: never, suppress: {for: 5m}}\n"
    (facts,) = program(rule("s: {event.kind: access}\ncondition: s", extra)).rules.values()
    assert (facts.suppress_ms, facts.may_retract, facts.severity) == (5 * MINUTE_MS, False, "low")


def test_only_alerting_rules_are_in_force() -> None:
    section = "type: event_count\nrules: [base]\ngroup-by: [identity.id]\ntimespan: 10m\ncondition: {gte: 1}"
    using = program(counting(section))
    assert [m.rule[-1] for m in found_by(using, observe(access()), ()).matches] == ["9"]


def test_windows_of_rules_that_are_gone_are_dropped() -> None:
    section = (
        "type: event_count\nrules: [base]\ngroup-by: [identity.id]\ntimespan: {}m\ncondition: {{gte: 2}}"
    )
    windows = found_by(program(counting(section.format(10))), observe(access()), ()).windows
    assert program(counting(section.format(20))).prune(windows, 0) == ()


def test_unexpected_types_are_counted_and_match_nothing() -> None:
    using = program(rule("s: {event.kind: access, place.criticality|gte: 1}\ncondition: s"))
    odd = access(place=Place(criticality="high"))  # type: ignore[arg-type] # what a broken sites file would be
    assert found_by(using, observe(odd), ()).matches == []
    assert sum(using.mismatches.values()) == 1


def test_events_in_order_do_not_change_what_was_received() -> None:
    section = "type: event_count\nrules: [base]\ngroup-by: [identity.id]\ntimespan: 10m\ncondition: {gte: 2}"
    using = program(counting(section))
    events: list[Event] = [access(at, str(at)) for at in range(3)]
    windows = found_by(using, observe(events[0]), ()).windows
    before = windows
    found_by(using, observe(events[1]), windows)
    assert windows == before
