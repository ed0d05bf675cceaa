"""What correlations and filters mean: a test for each row of docs/rules-semantics.md that has not one yet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from textwrap import indent

import pytest

from correlator.event import DAY_MS, MINUTE_MS, Event, Place
from correlator.rules.load import load_rules
from correlator.rules.program import PENDING_MAX, RuleProgram
from correlator.timeline.fold import fold, verdicts
from correlator.timeline.live import Live, Match
from tests.rules.writing import ID, SETTINGS, access, documents, load, rule


def base(name: str) -> str:
    return (
        f"title: {name}\nname: {name}\nlogsource: {{product: x}}\n"
        f"detection:\n  s: {{event.kind: access, credential.id: {name}}}\n  condition: s\n---\n"
    )


TEMPORAL = "type: temporal\nrules: [a, b]\ngroup-by: [identity.id]\ntimespan: 10m"
ORDERED = TEMPORAL.replace("temporal", "temporal_ordered")


def text(correlation: str, extra: str = "", more: str = "") -> str:
    lines = [line for line in (correlation + more).splitlines() if "rules:" in line]
    named = " ".join(lines).replace("[", " ").replace("]", " ").replace(",", " ").split()
    bases = "".join(base(name) for name in "abc" if name in named)
    head = f"title: Rule\nid: {ID.format(9)}\nname: rule_9\nlevel: low\n{extra}"
    return f"{bases}{head}correlation:\n{indent(correlation, '  ')}\n{more}"


def program(correlation: str, extra: str = "", more: str = "") -> RuleProgram:
    rules, problems = load(text(correlation, extra, more))
    assert not problems, problems
    return RuleProgram(rules, SETTINGS)


def events(*steps: tuple[str, float], **values: object) -> list[Event]:
    return [
        access(round(minute * MINUTE_MS), f"{at:03}", credential=name, **values)
        for at, (name, minute) in enumerate(steps)
    ]


def run(using: RuleProgram, told: Sequence[Event]) -> list[Match]:
    """Matches of all events and, since no more come, of all windows."""
    live, found = fold("identity:e1", Live(), sorted(told, key=lambda e: e.order), using)
    return [*found, *verdicts("identity:e1", live, live.waiting, using)]


def ids(matches: Sequence[Match]) -> list[str]:
    return [m.event_id for m in matches]


# ------------------------------------------------------------------------ windows


def test_temporal_needs_all_rules_in_any_order_unless_it_says() -> None:
    using = program(TEMPORAL)
    assert ids(run(using, events(("a", 0), ("b", 3)))) == ["001"]
    assert ids(run(using, events(("b", 0), ("a", 3)))) == ["001"]
    assert run(using, events(("a", 0), ("a", 3))) == []
    two_of_three = TEMPORAL.replace("[a, b]", "[a, b, c]") + "\ncondition: {gte: 2}"
    assert ids(run(program(two_of_three), events(("a", 0), ("c", 3)))) == ["001"]


def test_an_order_needs_all_its_steps() -> None:
    for condition in ("{gte: 1}", "{eq: 1}", "{neq: 2}"):
        problems = load(text(f"{ORDERED}\ncondition: {condition}"))[1]
        assert [p.message for p in problems] == [
            "of temporal_ordered every rule is needed: leave the condition out"
        ]
    assert load(text(f"{ORDERED}\ncondition: {{gte: 2}}"))[1] == []


def test_a_condition_of_steps_may_name_the_rules_by_itself() -> None:
    listed = TEMPORAL.replace("rules: [a, b]", "rules: [a, b, c]") + "\ncondition: a and (b or c)"
    using = program(listed.replace("rules: [a, b, c]\n", ""), more="# rules: [a, b, c]")
    assert ids(run(using, events(("c", 0), ("a", 3)))) == ["001"]
    assert run(using, events(("b", 0), ("c", 3))) == []
    ordered = program(ORDERED.replace("rules: [a, b]", "condition: a and b"), more="# rules: [a, b]")
    assert ids(run(ordered, events(("b", 0), ("a", 1), ("b", 2)))) == ["002"], "in the order of the condition"


def test_a_temporal_window_includes_both_ends() -> None:
    for using in (program(TEMPORAL), program(ORDERED)):
        assert ids(run(using, events(("a", 0), ("b", 10)))) == ["001"]
        assert run(using, events(("a", 0), ("b", 10.001))) == []


def test_equal_times_are_ordered_by_event_id() -> None:
    using = program(ORDERED)
    assert ids(run(using, events(("a", 5), ("b", 5)))) == ["001"]
    assert run(using, events(("b", 5), ("a", 5))) == []


def test_one_event_is_one_step_of_an_order_but_all_rules_that_hold_of_it_otherwise() -> None:
    both = "s: {event.kind: access}\n  condition: s"
    same = f"\n---\ntitle: any\nname: any\nlogsource: {{product: x}}\ndetection:\n  {both}\n"
    ordered = program(ORDERED.replace("[a, b]", "[a, any]"), more=same)
    assert run(ordered, events(("a", 0))) == []
    assert ids(run(ordered, events(("a", 0), ("c", 1)))) == ["001"]
    assert ids(run(program(TEMPORAL.replace("[a, b]", "[a, any]"), more=same), events(("a", 0)))) == ["000"]


def test_the_newest_beginning_counts_and_every_completion_matches() -> None:
    found = run(program(ORDERED), events(("a", 0), ("a", 8), ("b", 12), ("b", 13), ("b", 19)))
    assert [(m.event_id, m.evidence) for m in found] == [("002", ("001", "002")), ("003", ("001", "003"))]


def test_sums_and_averages_skip_what_is_no_number() -> None:
    def total(kind: str, condition: str) -> list[str]:
        section = (
            f"type: {kind}\nrules: [a]\ngroup-by: [identity.id]\ntimespan: 10m\ncondition: {{{condition}}}"
        )
        places = [Place("s", criticality=4), None, Place("s", criticality=1), Place("s", criticality=5)]
        told = [access(at * MINUTE_MS, f"{at}", credential="a", place=p) for at, p in enumerate(places)]
        return ids(run(program(section), told))

    assert total("value_sum", "field: place.criticality, gte: 10") == ["3"]
    assert total("value_avg", "field: place.criticality, lt: 3") == ["2"]
    assert total("value_avg", "field: place.criticality, gte: 2.5, lte: 3.5") == ["2", "3"]
    assert total("value_sum", "field: place.criticality, lt: 0") == []


def test_sums_need_a_number() -> None:
    section = TEMPORAL.replace("temporal", "value_sum") + "\ncondition: {field: place.site, gte: 1}"
    assert any("place.site is not a number" in p.message for p in load(text(section))[1])


# ------------------------------------------------------------------ what is missing


def test_a_negated_step_is_decided_where_the_window_closes() -> None:
    using = program(TEMPORAL + "\ncondition: a and not b")
    at = Place("lisbon")
    (match,) = run(using, events(("a", 0), ("c", 30), place=at))
    assert (match.event_id, match.decided_ms, match.evidence) == ("000", 10 * MINUTE_MS, ("000",))
    assert (match.feed, match.site) == ("access", "lisbon")
    assert run(using, events(("a", 0), ("b", 10), place=at)) == [], "the end belongs to the window"
    assert run(using, events(("a", 0), ("b", 0), place=at)) == [], "so does the beginning"
    assert len(run(using, events(("b", -1), ("a", 0), ("b", 10.001), place=at))) == 1, "it looks forward"


def test_a_negated_step_in_an_order_stands_between_its_neighbours() -> None:
    at = Place("lisbon")
    last = program(ORDERED + "\ncondition: a and not b")
    assert len(run(last, events(("b", 0), ("a", 0), place=at))) == 1, "b came before"
    assert run(last, events(("a", 0), ("b", 0), place=at)) == []
    between = program(ORDERED.replace("[a, b]", "[a, b, c]") + "\ncondition: a and not b and c")
    (match,) = run(between, events(("a", 0), ("c", 2), ("b", 3), place=at))
    assert (match.event_id, match.decided_ms, match.feed) == ("001", 2 * MINUTE_MS, "access")
    assert run(between, events(("a", 0), ("b", 1), ("c", 2), place=at)) == []
    assert len(run(between, events(("a", 0), ("b", 1), ("a", 1.5), ("c", 2), place=at))) == 1


def test_without_a_site_nothing_can_be_waited_for() -> None:
    assert run(program(TEMPORAL + "\ncondition: a and not b"), events(("a", 0))) == []


def test_open_windows_are_bounded() -> None:
    using = program(TEMPORAL + "\ncondition: a and not b")
    told = events(*[("a", at / 1000) for at in range(PENDING_MAX + 9)], place=Place("lisbon"))
    assert len(run(using, told)) == PENDING_MAX
    assert list(using.crowded.values()) == [9]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("not b", "does not say anything of 'a'"),
        ("not a and not b", "needs a rule that must happen"),
        ("a or (b and not b)", "does not say anything of 'b'"),
        ("a and not a and b", "can never hold"),
        ("a and d", "'d' is not one of the rules"),
        ("a and", "the name of a rule is missing"),
        ("(a or b", "a parenthesis is not closed"),
        ("a b", "cannot be read at 'b'"),
        ("a & b", "cannot be read at '&'"),
        (f"{'(' * 50}a{')' * 50} and b", "too deeply nested"),
    ],
)
def test_conditions_of_steps_that_cannot_be_read(condition: str, message: str) -> None:
    problems = [p.message for p in load(text(f"{TEMPORAL}\ncondition: '{condition}'"))[1]]
    assert any(message in p for p in problems), problems


def test_operators_and_names_of_steps() -> None:
    upper = program(TEMPORAL + "\ncondition: a AND (NOT b OR b)")
    assert upper.rules
    named = text(TEMPORAL + f"\ncondition: {ID.format(1)} and b").replace(
        "name: a\n", f"name: a\nid: {ID.format(1)}\n"
    )
    assert load(named)[1] == []


def test_an_order_cannot_begin_with_what_did_not_happen() -> None:
    problems = load(text(ORDERED + "\ncondition: not a and b"))[1]
    assert any("cannot begin with what did not happen ('a')" in p.message for p in problems)
    either = load(text(ORDERED + "\ncondition: a or b"))[1]
    assert any("joins its steps with and" in p.message for p in either)


def test_what_must_not_happen_is_of_one_feed() -> None:
    mixed = text(TEMPORAL.replace("[a, b]", "[a, b, c]") + "\ncondition: a and not b and not c")
    mixed = mixed.replace("event.kind: access, credential.id: c", "event.kind: login, credential.id: c")
    assert any("theirs are access, login" in p.message for p in load(mixed)[1])
    other = "correlator: {settle: {feed: login}}\n"
    problems = load(text(TEMPORAL + "\ncondition: a and not b", other))[1]
    assert any("the rules that must not happen are access events" in p.message for p in problems)


# ------------------------------------------------------------------------ nesting


BURST = (
    "\n---\ntitle: Burst\nname: burst\ncorrelation:\n  type: event_count\n  rules: [a]\n  timespan: 5m\n"
    "  group-by: [identity.id, place.door]\n  condition: {gte: 2}\n"
)


def test_a_counted_correlation_counts_where_it_becomes_true() -> None:
    section = "type: event_count\nrules: [burst]\ngroup-by: [identity.id]\ntimespan: 1h\ncondition: {gte: 2}"
    using = program(section, more=BURST)
    door = Place("lisbon", door="d")
    assert run(using, events(("a", 0), ("a", 1), ("a", 2), ("a", 3), place=door)) == []
    (match,) = run(using, events(("a", 0), ("a", 1), ("a", 2), ("a", 30), ("a", 31), place=door))
    assert match.evidence == ("000", "001", "003", "004"), "the evidence of both bursts is kept"


def test_a_counted_correlation_sees_every_event_also_those_that_count_for_another_rule() -> None:
    section = (
        "type: event_count\nrules: [a, pair]\ngroup-by: [identity.id]\ntimespan: 1h\ncondition: {gte: 2}"
    )
    pair = BURST.replace("burst", "pair").replace("[a]", "[a, b]").replace(", place.door]", "]")
    for rules in ("[a, pair]", "[pair, a]"):
        using = program(section.replace("[a, pair]", rules), more=pair)
        assert ids(run(using, events(("a", 0), ("b", 1)))) == ["001"], rules


def test_the_group_of_a_counted_correlation_is_its_own_business() -> None:
    section = "type: event_count\nrules: [burst]\ngroup-by: [identity.id]\ntimespan: 1h\ncondition: {gte: 2}"
    here, there = Place("lisbon", door="d"), Place("lisbon", door="e")
    told = [
        access(at * MINUTE_MS, f"{at}", credential="a", place=place)
        for at, place in enumerate([here, there, here, there])
    ]
    assert ids(run(program(section, more=BURST), told)) == ["3"]


def test_a_counted_correlation_is_silent_unless_it_is_generated() -> None:
    section = "type: event_count\nrules: [burst]\ngroup-by: [identity.id]\ntimespan: 1h\ncondition: {gte: 2}"
    assert len(program(section, more=BURST).rules) == 1
    loud = BURST.replace("name: burst", f"name: burst\nid: {ID.format(8)}\nlevel: low")
    using = program(section + "\ngenerate: true", more=loud)
    told = events(("a", 0), ("a", 1), ("a", 30), ("a", 31), place=Place("lisbon", door="d"))
    assert [m.rule[-1] for m in run(using, told)] == ["8", "8", "9"]


def test_what_cannot_be_nested() -> None:
    section = "type: event_count\nrules: [burst]\ngroup-by: [identity.id]\ntimespan: 1h\ncondition: {gte: 2}"
    on_door = BURST.replace("[identity.id, place.door]", "[place.door]")
    assert any(
        "'burst' is not grouped by identity.id" in p.message for p in load(text(section, more=on_door))[1]
    )
    waiting = (
        "\n---\ntitle: Burst\nname: burst\ncorrelation:\n  type: temporal\n  rules: [a, b]\n  timespan: 5m\n"
        "  group-by: [identity.id]\n  condition: a and not b\n"
    )
    assert any("waits for what does not happen" in p.message for p in load(text(section, more=waiting))[1])


# ------------------------------------------------------------------------ filters


def filtered(condition: str, rules: str = "[rule_1]", extra: str = "") -> str:
    one = rule("s: {event.kind: access}\ncondition: s")
    return (
        f"{one}---\ntitle: F\nlogsource: {{product: x}}\n{extra}filter:\n  rules: {rules}\n"
        f"  s: {{credential.id: guard}}\n  condition: {condition}\n"
    )


def hits(written: str, *told: Event) -> list[str]:
    rules, problems = load(written)
    assert all(p.severity == "warning" for p in problems), problems
    return ids(run(RuleProgram(rules, SETTINGS), told))


def test_a_filter_is_anded_as_written_and_one_without_not_is_warned_about() -> None:
    told = [access(0, "g", credential="guard"), access(1, "x", credential="x")]
    assert hits(filtered("not s"), *told) == ["x"]
    assert hits(filtered("s"), *told) == ["g"]
    assert [p.severity for p in load(filtered("s"))[1]] == ["warning"]
    for exception in ("not(s)", "(NOT s)", '"not\\n s"'):
        assert load(filtered(exception))[1] == [], exception


def test_a_filter_for_any_rule_is_for_those_of_its_logsource() -> None:
    told = [access(0, "g", credential="guard")]
    assert hits(filtered("not s", "any"), *told) == []
    elsewhere = filtered("not s", "any").replace(
        "title: F\nlogsource: {product: x}", "title: F\nlogsource: {product: y}"
    )
    assert hits(elsewhere, *told) == ["g"]
    assert [p.message for p in load(elsewhere)[1]] == ["is for no rule: none has its logsource"]


def test_a_filter_on_a_correlation_is_an_error() -> None:
    base = text(TEMPORAL) + "---\ntitle: F\nlogsource: {product: x}\nfilter:\n  rules: [rule_9]\n"
    problems = load(base + "  s: {device.id: x}\n  condition: not s\n")[1]
    assert [p.message for p in problems] == ["'rule_9' is a correlation: filter the rules that it counts"]


def test_a_filter_names_rules_that_are_there() -> None:
    for rules, message in {
        "[rule_2]": "there is no rule 'rule_2': did you mean rule_1?",
        "[]": "names the rules that the filter is for",
        "[rule_1, rule_1]": "is here twice",
    }.items():
        assert any(message in p.message for p in load(filtered("not s", rules))[1])
    other = filtered("not s").replace(
        "title: F\nlogsource: {product: x}", "title: F\nlogsource: {product: y}"
    )
    assert any("logsource is not that of 'rule_1'" in p.message for p in load(other)[1])


def test_an_exception_holds_to_the_end_of_its_day_by_event_time() -> None:
    extra = "correlator: {expires: {on: 1970-01-02, reason: works at the gate, owner: soc}}\n"
    told = [
        access(2 * DAY_MS - 1, "before", credential="guard"),
        access(2 * DAY_MS, "after", credential="guard"),
    ]
    assert hits(filtered("not s", extra=extra), *told) == ["after"]


def test_a_filter_is_reviewed_like_a_rule() -> None:
    late = filtered("not s", extra="correlator: {review_by: 2026-01-31, owner: soc}\n")
    said = load_rules(documents(late), today=date(2026, 2, 1))[1]
    assert "was to be reviewed by soc until 2026-01-31" in [p.message for p in said]
    assert not any("reviewed" in p.message for p in load_rules(documents(late), today=date(2026, 1, 31))[1])


def test_what_a_filter_says_is_checked_where_it_stands() -> None:
    wrong = filtered("not s").replace("credential.id: guard", "credential.ids: guard")
    (problem,) = load(wrong)[1]
    assert "unknown field 'credential.ids'" in problem.message
    assert problem.field == "filter.s.credential.ids"
    block = filtered("not s", extra="correlator: {any_age: true}\n")
    assert any("any_age is for rules" in p.message for p in load(block)[1])


@pytest.mark.parametrize("span", ["600s", "10m", "10h", "1d", "500ms"])
def test_units_of_a_window(span: str) -> None:
    assert load(text(TEMPORAL.replace("10m", span)))[1] == []


@pytest.mark.parametrize("span", ["10M", "1y", "1.5h", "1h30m", "10", "10 m", "10min"])
def test_what_is_no_length_of_a_window(span: str) -> None:
    problems = load(text(TEMPORAL.replace("10m", span)))[1]
    assert any("must be a duration such as" in p.message for p in problems)


def test_a_window_looks_back_no_further_than_the_horizon() -> None:
    long = text(TEMPORAL.replace("10m", "25h"))
    assert any("is longer than the horizon of 1d" in p.message for p in load(long)[1])
