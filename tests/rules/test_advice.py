"""What a reviewer would say of rules that load: each warning, and what it must not be said of."""

from __future__ import annotations

from datetime import date
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.event import KINDS, NetworkClass
from correlator.intake import identity_record
from correlator.intake.canonical import CANONICAL
from correlator.rules.impossible import impossible, odd_values
from correlator.rules.interpret import holds
from correlator.rules.load import load_rules
from correlator.rules.rule import And, Compare, Condition, Exists, Leaf, Not, Null, Or, Same, Text
from correlator.rules.vocabulary import WORDS, numbers_of
from correlator.timeline.fields import FIELDS
from correlator.timeline.live import Live, Scalar
from correlator.timeline.observation import Observation
from tests.rules.writing import SETTINGS, access, counting, documents, rule

TODAY = date(2026, 11, 24)
ANY = "s: {event.kind: access}\ncondition: s"
YES = "{name: a, expect: match, events: [{event.kind: access}]}"
NO = "{name: b, expect: no-match, events: [{event.kind: login}]}"
TESTS = f"tests: [{YES}, {NO}]"
BLOCK = f"correlator: {{{TESTS}}}\n"
EVENTS = "type: event_count\nrules: [base]\ngroup-by: [identity.id]\ntimespan: 10m\ncondition: {gte: 5}"


def advice(text: str, today: date = TODAY) -> list[str]:
    problems = load_rules(documents(text), today=today)[1]
    assert all(p.severity == "warning" for p in problems), problems
    return [f"{p.field}: {p.message}" for p in problems]


def of_search(search: str, condition: str = "s") -> list[str]:
    return advice(rule(f"s:\n  event.kind: access\n  {search}\ncondition: {condition}", BLOCK))


def of_correlation(section: str, extra: str = "") -> list[str]:
    return advice(counting(section, BLOCK + extra))


def test_advice_is_given_only_when_asked_for() -> None:
    assert load_rules(documents(rule(ANY, "correlator: {review_by: 2020-01-01}\n")))[1] == []


# -------------------------------------------------------------------------- the block


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("", "correlator: has no tests: write at least one, from events"),
        (f"tests: [{NO}]", "correlator.tests: has no test that expects a match: it might never match"),
        (f"tests: [{YES}]", "correlator.tests: has no test that expects no match"),
        (f"suppress: {{for: 25h}}, {TESTS}", "correlator.suppress: is longer than a day"),
        (
            f"owner: soc, review_by: 2026-11-23, {TESTS}",
            "correlator.review_by: was to be reviewed by soc until 2026-11-23",
        ),
    ],
)
def test_what_is_said_of_a_block(block: str, expected: str) -> None:
    (said,) = advice(rule(ANY, f"correlator: {{{block}}}\n"))
    assert said.startswith(expected)


def test_nothing_is_said_of_a_rule_that_is_as_it_should_be() -> None:
    assert advice(rule(ANY, BLOCK)) == []
    assert advice(rule(ANY, f"correlator: {{suppress: {{for: 1d}}, review_by: 2026-11-24, {TESTS}}}\n")) == []
    assert of_correlation(EVENTS) == []


def test_an_expired_exception() -> None:
    text = rule(ANY, BLOCK) + (
        "---\ntitle: F\nlogsource: {product: x}\n"
        "filter: {rules: [rule_1], s: {device.id: x}, condition: not s}\n"
        "correlator: {expires: {on: 2026-11-23, reason: works at the gate, owner: soc}}\n"
    )
    (said,) = advice(text)
    assert said.startswith("correlator.expires: expired on 2026-11-23")
    assert "let soc renew it (works at the gate)" in said
    assert advice(text, date(2026, 11, 23)) == []


def test_keys_of_a_rule_that_is_only_counted() -> None:
    text = counting(EVENTS, BLOCK)
    said = advice(text.replace("---", "correlator: {suppress: {for: 1h}, evidence: [device.id]}\n---", 1))
    assert said == [
        f"correlator.{key}: {key} has no effect: the rule is only counted by a correlation"
        for key in ("suppress", "evidence")
    ]


# ------------------------------------------------------------------- documents as written


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "title:",
            "descripton: x\ntitle:",
            "descripton: unknown key 'descripton': did you mean desc",
        ),
        ("title:", "Tags: [x.y]\ntitle:", "Tags: unknown key 'Tags': did you mean tags?"),
        ("title:", "tags: [attack.t107]\ntitle:", "tags[0]: 'attack.t107' is no technique of ATT&CK"),
        ("title:", "tags: [attack.t1078.4]\ntitle:", "tags[0]: 'attack.t1078.4' is no technique"),
        (
            "title:",
            "tags: [attack.inital-access]\ntitle:",
            "tags[0]: 'attack.inital-access' is no tactic of ATT&CK: did you mean initial-access?",
        ),
        ("title:", "tags: [a.b, A.B]\ntitle:", "tags[1]: 'A.B' is here twice"),
        ("title:", "references: [x, x]\ntitle:", "references[1]: 'x' is here twice"),
        ("title:", "date: 2026-11-25\ntitle:", "date: 2026-11-25 is to come"),
        ("title:", "date: 2026-01-02\nmodified: 2026-01-01\ntitle:", "modified: is before date"),
    ],
)
def test_slips_at_the_top(old: str, new: str, expected: str) -> None:
    (said,) = advice(rule(ANY, BLOCK).replace(old, new, 1))
    assert said.startswith(expected)


@pytest.mark.parametrize(
    "line",
    [
        "tags: [attack.t1078, attack.t1078.004, attack.initial-access, attack.g0016, cve.2021-44228]",
        "date: 2026-11-24\nmodified: 2026-11-24",
        "x_team: soc",
        "custom_attributes: {a: b}",
    ],
)
def test_what_is_no_slip(line: str) -> None:
    assert advice(rule(ANY, f"{BLOCK}{line}\n")) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("device.id: [a, b, A]", "detection.s.device.id[2]: 'A' is here twice"),
        ("device.id|contains|all: a", "detection.s.device.id|contains|all: all is for several values"),
        ("device.id: '*'", "detection.s.device.id: any text: write device.id|exists: true"),
        ("device.id|re: .*ab", "detection.s.device.id|re: begins or ends with .*"),
        ("device.id|re: 'ab.*'", "detection.s.device.id|re: begins or ends with .*"),
    ],
)
def test_slips_in_a_line(line: str, expected: str) -> None:
    (said,) = of_search(line)
    assert expected in said


@pytest.mark.parametrize(
    "line",
    ["device.id|cased: [a, A]", "device.id|re: ['a', 'A']", r"device.id|re: 'ab\.*'", "device.id|re: a.*b"],
)
def test_what_is_no_slip_in_a_line(line: str) -> None:
    assert of_search(line) == []


def test_a_search_that_no_condition_uses() -> None:
    text = "s: {event.kind: access}\nt: {event.kind: access, place.site: x}\n"
    text += "_kept: {device.id: y}\ncondition: s"
    (said,) = advice(rule(text, BLOCK))
    assert said.startswith("detection.t: the search 't' is in no condition")
    for condition in ("s and not t", "all of them", "1 of t* or s"):
        assert advice(rule(text.replace("condition: s", f"condition: {condition}"), BLOCK)) == []


def test_a_timeframe_is_of_sigma_1() -> None:
    (said,) = advice(rule("s: {event.kind: access}\ntimeframe: 5m\ncondition: s", BLOCK))
    assert said.endswith("timeframe is of Sigma 1 and is not looked at: a correlation has a timespan")
    text = rule("s: {event.kind: access}\ntimeframe: 5m\ncondition: all of them")
    (one,), (other,) = (load_rules(documents(t))[0] for t in (text, text.replace("  timeframe: 5m\n", "")))
    assert one.condition == other.condition


def test_slips_in_a_filter() -> None:
    text = rule(ANY, BLOCK) + (
        "---\ntitle: F\nlevel: low\nlogsource: {product: x}\n"
        "filter: {rules: [rule_1], s: {device.id: [x, x]}, t: {device.id: y}, condition: not s}\n"
    )
    assert [said.partition(":")[0] for said in advice(text)] == [
        "level",
        "filter.s.device.id[1]",
        "filter.t",
    ]


def test_rules_that_do_the_same() -> None:
    one, other = rule(ANY, BLOCK), rule("t: {event.kind: access}\ncondition: t", BLOCK, number=2)
    (said,) = advice(f"{one}---\n{other}")
    assert said == "title: does the same as rule_1 in rule.yml, line 1: two alerts for each match"
    assert advice(f"{one}---\n{other.replace('access', 'door')}") == []


# -------------------------------------------------------------------------- conditions


@pytest.mark.parametrize(
    ("detection", "message"),
    [
        ("a: {event.kind: login}\nb: {event.kind: access}\ncondition: a and b", "one event.kind"),
        (
            "a: {event.kind: login, access.outcome: denied}\ncondition: a",
            "login events have no access.",
        ),
        ("a: {device.id: x}\nb: {device.id: y}\ncondition: a and b", "with the other lines on device.id"),
        ("a: {device.id: x*}\nb: {device.id: y}\ncondition: a and b", "device.id"),
        ("a: {device.id: [x, y]}\nb: {device.id: [x, y, z]}\ncondition: a and not b", "lines on device.id"),
        ("a: {place.criticality|gt: 4, place.criticality|lt: 3}\ncondition: a", "place.criticality"),
        ("a: {place.criticality|gt: 3, place.criticality|lt: 4}\ncondition: a", "place.criticality"),
        ("a: {access.duress: true}\nb: {access.duress: false}\ncondition: a and b", "access.duress"),
        (
            "a: {access.outcome: [granted, denied]}\nb: {access.outcome: '*'}\ncondition: a and not b",
            "outcome",
        ),
        ("a: {device.id: x, device.id|exists: false}\ncondition: a", "device.id"),
        ("a: {event.kind: login}\nb: {event.kind: access}\ncondition: a or (a and b)", "one event.kind"),
        (
            "a: {event.kind: login}\nb: {access.outcome: denied}\ncondition: a and (b or b)",
            "no access.outcome",
        ),
        ("a: {event.kind: login, device.id: x}\ncondition: a and not a", "must hold and must not"),
        ("a: {event.kind: login}\nb: {device.id|re: x}\ncondition: a and b and not (b or a)", "must not"),
        ("a: {device.id|all: [x, y]}\ncondition: a", "device.id has one value"),
        ("a: {event.kind: acess}\ncondition: a", "event.kind is never acess: did you mean access?"),
        ("a: {access.outcome: failure}\ncondition: a", "access.outcome is never failure: granted, denied"),
        ("a: {access.outcome|cased: Denied}\ncondition: a", "access.outcome is never Denied"),
        ("a: {login.logon_type: [console, unlok]}\ncondition: a", "is never unlok: did you mean unlock?"),
        ("a: {access.reason: gone}\ncondition: a", "access.reason is never gone: "),
        ("a: {network.class|startswith: w}\ncondition: a", "network.class is never w*"),
        ("a: {anomaly.percentile|gte: 99}\ncondition: a", "anomaly.percentile is from 0 to 1"),
        ("a: {time.hour: 24}\ncondition: a", "can never hold: time.hour is from 0 to 23"),
        ("a: {presence.here|gte: 0}\ncondition: a", "holds of every value: presence.here is from 0 to 1"),
        ("a: {last_badge.age_s|lt: 0}\ncondition: a", "last_badge.age_s is at least 0"),
        ("a: {event.time_ms|month: 13}\ncondition: a", "the month is from 1 to 12"),
        ("a: {device.id: x}\ncondition: a", "says no event.kind"),
    ],
)
def test_conditions_that_are_warned_about(detection: str, message: str) -> None:
    block = BLOCK.replace("{tests", "{settle: {feed: access, at: place.site, grace: 2m}, tests")
    assert any(message in said for said in advice(rule(detection, block))), advice(rule(detection, block))


@pytest.mark.parametrize(
    "detection",
    [
        "a: {place.criticality|gte: 4, place.criticality|lte: 4}\ncondition: a and k",
        "a: {place.criticality|gt: 3, place.criticality|lt: 5}\ncondition: a and k",
        "a: {device.id|startswith: x}\nb: {device.id|endswith: y}\ncondition: a and b and k",
        "a: {device.id: [x, y]}\nb: {device.id: [y, z]}\ncondition: a and b and k",
        "a: {device.id: [x, y]}\nb: {device.id: [y, z]}\ncondition: a and not b and k",
        "a: {device.id|cased: ABC}\nb: {device.id|cased: '*B*'}\ncondition: a and b and k",
        "a: {event.kind: login, access.outcome: null}\ncondition: a",
        "a: {event.kind: login}\nb: {access.outcome: denied}\ncondition: a and not b",
        "a: {access.outcome: Denied}\ncondition: a and k",
        "a: {access.outcome|neq: granted}\ncondition: a and k",
        "a: {access.reason|contains: rights}\ncondition: a and k",
        "a: {presence.here|gt: 0, presence.here|lt: 0.1}\ncondition: a and k",
        "a: {login.application: null}\nb: {login.application: ''}\ncondition: k and (a or b)",
        "a: {place.criticality: null}\nb: {place.criticality|exists: true}\ncondition: k and b and not a",
        "a: {place.criticality|neq: null}\nb: {place.criticality: null}\ncondition: k and a and not b",
    ],
)
def test_conditions_that_are_not(detection: str) -> None:
    block = BLOCK.replace("{tests", "{settle: {feed: access, at: place.site, grace: 2m}, tests")
    kind = "" if "k" not in detection.partition("condition")[2] else "k: {event.kind: [access, login]}\n"
    assert advice(rule(kind + detection, block)) == []


numbers = st.sampled_from((-1, 0, 0.5, 1, 2, 3, 5, 6, 24))
compares = st.builds(Compare, st.sampled_from(("lt", "lte", "gt", "gte")), numbers)
others = st.just(Null()) | st.builds(Exists, st.booleans())
plain = st.sampled_from(("x", "y", "Y", "xy")).map(lambda word: Text((word,)))
texts = plain | st.builds(Text, st.sampled_from((("x", 0), (0, "y"), (0,))), st.booleans())


def leaf(name: str) -> st.SearchStrategy[Leaf]:
    tests = {
        "device.id": texts,
        "access.duress": st.booleans().map(Same),
        "access.outcome": st.sampled_from((*WORDS["access.outcome"], "x")).map(lambda word: Text((word,))),
    }.get(name, compares | numbers.map(Same))
    some = st.lists(tests | others, min_size=1, max_size=2).map(tuple)
    return st.builds(Leaf, st.just(name), some, st.booleans(), st.booleans())


asked = st.sampled_from(
    ("device.id", "access.duress", "access.outcome", "place.criticality", "presence.here")
)
lines = asked.flatmap(leaf)
needed: st.SearchStrategy[Condition] = (
    lines | lines.map(Not) | st.lists(lines, max_size=2).map(lambda args: Not(Or(tuple(args))))
)


@given(st.lists(needed, min_size=1, max_size=4).map(tuple), st.data())
def test_nothing_is_called_impossible_that_holds(args: tuple[Condition, ...], data: st.DataObject) -> None:
    values: dict[str, Scalar] = {
        "device.id": data.draw(st.sampled_from((None, "x", "y", "X", "xy", "xay", "z"))),
        "access.duress": data.draw(st.none() | st.booleans()),
        "access.outcome": data.draw(st.none() | st.sampled_from(WORDS["access.outcome"])),
        "place.criticality": data.draw(st.none() | st.integers(0, 5)),
        "presence.here": data.draw(st.none() | st.floats(0, 1)),
    }
    observation = Observation("identity:e1", access(), Live(), SETTINGS, 0, values)
    condition = And(args)
    if impossible(condition):
        assert not holds(condition, observation, [])
    for said, message in odd_values(condition):
        if said is not None and message.startswith("can never hold") and len(said.tests) == 1:
            assert said.is_negated or not holds(said, observation, [])


# ------------------------------------------------------------------------ correlations


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "{gte: 5}",
            "{eq: 0}",
            "correlation.condition: can never hold: it is asked where an event is counted",
        ),
        ("{gte: 5}", "{lt: 1}", "correlation.condition: can never hold"),
        ("{gte: 5}", "{gt: 5, lt: 3}", "correlation.condition: can never hold"),
        ("{gte: 5}", "{gte: 1}", "correlation.condition: holds of any event that is counted"),
        ("{gte: 5}", "{neq: 0}", "correlation.condition: holds of any event"),
        (
            "[identity.id]",
            "[identity.id, identity.id]",
            "correlation.group-by[1]: 'identity.id' is here twice",
        ),
        (
            "{gte: 5}",
            "{gte: 5}\naliases: {where: {base: place.door}}",
            "correlation.aliases.where: 'where' is used",
        ),
        (
            "{gte: 5}",
            "{gte: 5}\naliases: {identity.id: {base: place.door}}",
            "correlation.aliases.identity.id: identity.id is whose timeline it is",
        ),
    ],
)
def test_correlations_that_are_warned_about(old: str, new: str, expected: str) -> None:
    (said,) = of_correlation(EVENTS.replace(old, new))
    assert said.startswith(expected)


def test_counted_rules_that_say_the_same() -> None:
    two = EVENTS.replace("event_count", "temporal").replace("[base]", "[base, other]")
    text = counting(two.replace("\ncondition: {gte: 5}", ""), BLOCK)
    base = text.partition("---\n")[0]
    (said,) = advice(f"{base.replace('base', 'other')}---\n{text}")
    assert said == "correlation.rules[1]: 'other' says the same as 'base'"


# -------------------------------------------------------------------------- vocabulary


def test_words_are_those_that_intake_lets_through() -> None:
    for name, canonical in CANONICAL.items():
        if name in FIELDS:
            known = WORDS.get(name, ())
            assert set(canonical.words) == set(known) - ({"account"} if name == "credential.class" else set())
    assert get_args(identity_record.IdentityType) == WORDS["identity.type"]
    for name, holder in {
        "identity.status": identity_record._Status,
        "credential.state": identity_record._State,
    }.items():
        literal = get_type_hints(holder)[name.partition(".")[2]]
        assert get_args(literal) == WORDS[name]
    assert WORDS["event.kind"] == KINDS
    assert set(WORDS["network.class"]) == {*get_args(NetworkClass)} - {""}


def test_words_and_numbers_are_of_fields_of_that_type() -> None:
    assert all(FIELDS[name].value_type == "str" for name in WORDS)
    bounded = {name: numbers_of(name) for name in FIELDS if numbers_of(name) is not None}
    assert all(FIELDS[name].value_type in {"int", "float"} for name in bounded)
    assert {"place.criticality", "travel.badge.speed_kmh", "door.forced_24h"} <= bounded.keys()
