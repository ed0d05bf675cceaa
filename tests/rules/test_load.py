"""Every mistake in a rule file is said at once, with its place; nothing written can break the loader."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.adapters.yaml_lines import load_yaml_all
from correlator.problem import Lines
from correlator.rules.load import load_rules
from correlator.timeline.fields import FIELDS
from tests.rules.writing import ID, counting, load, rule

EVENTS = "type: event_count\nrules: [base]\ngroup-by: [identity.id]\ntimespan: 10m\ncondition: {gte: 5}"
SETTLE = "correlator:\n  settle: {feed: access, at: place.site, grace: 2m}\n"
LOGIN = "s:\n  event.kind: login\n  "


def said(text: str) -> list[str]:
    return [f"{p.line}:{p.column} {p.field}: {p.message}" for p in load(text)[1]]


def assert_said(text: str, *expected: str) -> None:
    problems = said(text)
    for part in expected:
        assert any(part in problem for problem in problems), problems
    assert len(problems) == len(expected), problems


def test_a_rule_without_mistakes() -> None:
    rules, problems = load(rule("s: {event.kind: login}\ncondition: s", SETTLE))
    assert problems == []
    assert [(r.name, r.severity, r.entity, r.suppress_ms) for r in rules] == [
        ("rule_1", "low", "identity", 3_600_000)
    ]


def test_all_mistakes_are_said_at_once_each_with_its_place() -> None:
    detection = (
        "s:\n  login.outcom: success\n  place.criticality: high\n  source.ip|cidr: 10.0.0.300/8\n"
        "  device.id|regexp: x\n  credential.id|re: '('\ncondition: s and t"
    )
    text = rule(detection, "correlator: {entitty: door, suppress: {for: soon}}\n").replace("low", "lowish")
    assert_said(
        text,
        "4:1 level: must be one of: informational, low, medium, high, critical: did you mean low?",
        "8:5 detection.s.login.outcom: unknown field 'login.outcom': did you mean login.outcome?",
        "9:5 detection.s.place.criticality: place.criticality is a number",
        "10:5 detection.s.source.ip|cidr: '10.0.0.300/8' is no network such as 10.0.0.0/8",
        "11:5 detection.s.device.id|regexp: unknown modifier 'regexp'",
        "12:5 detection.s.credential.id|re: '(' is no regular expression: missing )",
        "13:3 detection.condition: 't' is not a search of this rule: s",
        "14:14 correlator.entitty: unknown key 'entitty': did you mean entity?",
        "14:40 correlator.suppress.for: must be a duration",
    )


def test_unknown_fields_name_the_nearest_known_one() -> None:
    text = rule("s:\n  login.outcom: success\n  place.criticality: high\ncondition: s")
    assert_said(
        text,
        "8:5 detection.s.login.outcom: unknown field 'login.outcom': did you mean login.outcome?",
        "9:5 detection.s.place.criticality: place.criticality is a number: write a number, without quotes",
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("device.id: 5", "write the value in quotes"),
        ("device.id|gt: 5", "are for numbers"),
        ("access.duress: 1", "write true or false"),
        ("access.duress: 'true'", "without quotes"),
        ("place.criticality: true", "not true or false"),
        ("place.criticality|fieldref: place.site", "never equal"),
        ("place.criticality|fieldref|startswith: place.lat", "are for text"),
        ("device.id|fieldref|neq: ''", "unknown field ''"),
        ("device.id|fieldref: place.such", "unknown field 'place.such'"),
        ("device.id|expand: '%list%'", "there is no value list 'list'"),
        ("device.id|expand: list", "between percent signs"),
        ("place.criticality|hour: 9", "not a time: |hour is for event.time_ms, in UTC"),
        ("event.time_ms|hour: nine", "is compared with whole numbers"),
        ("event.time_ms|hour: 9.5", "is compared with whole numbers"),
        ("device.id|fieldref|gt: session.id", "lt, lte, gt and gte are for numbers"),
        ("place.lat|fieldref|gt: session.id", "session.id is text: lt, lte, gt and gte are for numbers"),
        ("device.id|fieldref|gt|contains: session.id", "|gt and |contains do not go together"),
        ("'|cidr': 10.0.0.0/8", "keywords are texts or regular expressions"),
        ("'': [null]", "keywords are texts or regular expressions"),
        ("device.id|contains|base64: x", "|base64 comes before |contains"),
        ("device.id|base64: x*", "is for text without wildcards"),
        ("device.id|base64offset|contains|all|neq: [xx, yy]", "write one search per value"),
        ("door.forced_24h|gte: 1", "is a field of the entity door; this rule is evaluated on identity"),
        ("device.id: {a: b}", "takes a value or a list of values"),
    ],
)
def test_what_a_field_cannot_be_asked(line: str, message: str) -> None:
    assert_said(rule(f"s:\n  {line}\ncondition: s"), message)


@pytest.mark.parametrize(
    ("detection", "message"),
    [
        ("s: {device.id: x}", "has no condition"),
        ("condition: s", "has no search"),
        ("s: {device.id: x}\ncondition: s and", "cannot be read"),
        ("s: {device.id: x}\ncondition: 1 of t*", "names no search of this rule"),
        ("s: {device.id: x}\ncondition: t", "'t' is not a search of this rule: s"),
        ("s: {device.id: x}\ncondition: s | count() > 5", "counts nothing since Sigma 2"),
        ("s: []\ncondition: s", "is empty"),
        ("s: {}\ncondition: s", "is empty"),
        ("s: {device.id: x}\ncondition: {a: b}", "must be text"),
        (f"s: {{device.id: x}}\ncondition: {'(' * 50}s{')' * 50}", "too deeply nested"),
    ],
)
def test_detections_that_cannot_be_read(detection: str, message: str) -> None:
    assert_said(rule(detection), message)


# -------------------------------------------------------------------------- settle


@pytest.mark.parametrize(
    "line",
    [
        "presence.here|lt: 0.2",
        "presence.confidence|lte: 0.2",
        "presence.site: null",
        "presence.site|neq: lisbon",
        "presence.site|fieldref|neq: place.site",
        "place.site|fieldref|neq: presence.site",
        "presence.site|exists: false",
        "presence.confidence: 0",
        "last_badge.outcome: unknown",
        "presence.site|re|i: ^(Unknown|x)$",
        "travel.badge.is_impossible: false",
        "last_badge.age_s|gt: 3600",
        "presence.left_s|gte: 900",
    ],
)
def test_a_conclusion_from_what_another_feed_did_not_say_must_settle(line: str) -> None:
    assert_said(rule(f"{LOGIN}{line}\ncondition: s"), "concludes from what access events do not say")
    assert said(rule(f"{LOGIN}{line}\ncondition: s", SETTLE)) == []


def test_not_over_another_feeds_context_must_settle_however_it_is_nested() -> None:
    detection = "s: {event.kind: login}\nbadged: {presence.here|gte: 0.5}\ncondition: s and not badged"
    assert_said(rule(detection), "concludes from what access events do not say")
    twice = "s: {event.kind: login}\nno: {presence.here|lt: 0.5}\ncondition: s and not (not no)"
    assert_said(rule(twice), "concludes from what access events do not say")


@pytest.mark.parametrize(
    "line",
    ["presence.here|gte: 0.8", "travel.badge.speed_kmh|gt: 800", "presence.site: x", "presence.site|re: ^x"],
)
def test_upward_conclusions_need_not_settle(line: str) -> None:
    assert said(rule(f"{LOGIN}{line}\ncondition: s")) == []


def test_a_rule_may_conclude_from_the_feed_of_its_own_events_at_once() -> None:
    assert said(rule("s: {event.kind: access, last_badge.age_s|lt: 5}\ncondition: s")) == []


def test_settling_on_another_feed_than_the_one_concluded_from() -> None:
    text = rule(f"{LOGIN}presence.here|lt: 0.2\ncondition: s", SETTLE.replace("access", "login"))
    assert_said(text, "concludes from what access events do not say, but settles on login")


def test_settle_is_checked() -> None:
    text = rule(
        "s: {event.kind: login}\ncondition: s", "correlator: {settle: {feed: badge, at: x, grace: 2}}"
    )
    assert_said(
        text, "must be one of: access, door, login", "a field that holds a site", "must be a duration"
    )
    assert_said(rule("s: {event.kind: login}\ncondition: s", "correlator: {settle: {}}"), *["is missing"] * 3)
    odd = SETTLE.replace("place.site", "place.lat")
    assert_said(rule("s: {event.kind: login}\ncondition: s", odd), "a field that holds a site")


# -------------------------------------------------------------------- correlations


def test_a_correlation_finds_its_rule_by_name_or_id_and_the_base_alone_is_silent() -> None:
    for reference in ("base", ID.format(7), ID.format(7).upper()):
        text = counting(EVENTS.replace("base", f"'{reference}'")).replace(
            "name: base", f"name: base\nid: {ID.format(7)}"
        )
        rules, problems = load(text)
        assert problems == []
        assert [(r.name, r.is_alerting) for r in rules] == [("base", False), ("counting", True)]
        assert rules[1].suppress_ms == 600_000


@pytest.mark.parametrize("place", ["generate: true\ncorrelation:", "correlation:\n  generate: true"])
def test_generate_is_read_at_both_places(place: str) -> None:
    text = counting(EVENTS).replace("correlation:", place)
    text = text.replace("name: base", f"name: base\nid: {ID.format(7)}\nlevel: low")
    rules, problems = load(text)
    assert problems == []
    assert all(r.is_alerting for r in rules)


def test_generate_said_twice_differently() -> None:
    text = counting(EVENTS + "\ngenerate: false", "generate: true\n")
    assert_said(text, "differs from correlation.generate")


@pytest.mark.parametrize("name", ["value_percentile", "value_median"])
def test_types_that_the_standard_leaves_open(name: str) -> None:
    assert_said(counting(EVENTS.replace("event_count", name)), "the standard does not settle")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("event_count", "event_counts", "did you mean event_count?"),
        ("[base]", "[base, base]", "'base' is here twice"),
        ("[base]", "[bse]", "there is no rule 'bse': did you mean base?"),
        ("[base]", "[counting]", "leads back to this rule"),
        ("[base]", "[]", "must name at least one rule"),
        ("[identity.id]", "[place.site]", "must name one of identity.id, place.door, place.zone"),
        ("[identity.id]", "[identity.id, place.sit]", "unknown field 'place.sit'"),
        ("10m", "10", "must be a duration"),
        ("10m", "0s", "is too short"),
        ("{gte: 5}", "{gte: five}", "must be a number"),
        ("{gte: 5}", "{gte: 5000}", "from 0 to 1000: a window remembers no more"),
        ("{gte: 5}", "{}", "has no threshold"),
        ("{gte: 5}", "{gte: 5, field: place.door}", "leave the field out"),
        ("{gte: 5}", "a and not b", "must be a mapping"),
        ("{gte: 5}", "null", "must be a mapping"),
        ("event_count", "value_count", "name it, field: place.door"),
        ("timespan", "time-span", "unknown key 'time-span': did you mean timespan?"),
    ],
)
def test_correlations_that_cannot_be_counted(old: str, new: str, message: str) -> None:
    assert any(message in problem for problem in said(counting(EVENTS.replace(old, new))))


def test_a_circle_of_correlations() -> None:
    def over(number: int, other: int) -> str:
        section = EVENTS.replace("base", f"rule_{other}").replace("\n", "\n  ")
        return (
            f"title: t\nid: {ID.format(number)}\nname: rule_{number}\nlevel: low\ncorrelation:\n  {section}\n"
        )

    assert_said(f"{over(1, 2)}---\n{over(2, 1)}", "leads back to this rule", "leads back to this rule")


def test_aliases_give_each_rule_its_own_group_field() -> None:
    text = counting(
        EVENTS.replace("[identity.id]", "[identity.id, where]") + "\naliases:\n  where: {base: place.door}"
    )
    rules, problems = load(text)
    assert problems == []
    groups = [base.group for r in rules if r.correlation is not None for base in r.correlation.bases]
    assert groups == [("place.door",)]
    assert_said(
        text.replace("{base:", "{bse:"), "'bse' is not one of the rules", "names no field of the rule 'base'"
    )


def test_base_rules_are_checked_for_the_entity_of_the_correlation() -> None:
    on_door = EVENTS.replace("identity.id", "place.door")
    assert said(counting(on_door, base="s: {event.kind: door, door.held_gap_s|gte: 1}")) == []
    assert_said(counting(EVENTS, base="s: {door.held_gap_s|gte: 1}"), "is a field of the entity door")
    other = "correlator: {entity: identity}\n"
    assert_said(counting(on_door, other), "must name identity.id, since the rule's entity is identity")


def test_a_base_rule_cannot_conclude_from_what_was_not_seen() -> None:
    assert_said(counting(EVENTS, base="s: {event.kind: login, presence.here|lt: 0.1}"), "concludes from what")


# -------------------------------------------------------------------------- others


def test_names_and_ids_are_unique() -> None:
    one = rule("s: {device.id: x}\ncondition: s")
    assert_said(
        f"{one}---\n{one}", "is already used in rule.yml, line 2", "is already used in rule.yml, line 3"
    )


def test_documents_that_are_no_rules() -> None:
    assert_said("- 1\n", "must be a rule: a mapping")


def test_any_age_is_for_single_events() -> None:
    assert_said(counting(EVENTS, "correlator: {any_age: true}\n"), "is for rules on a single event")


def test_an_alerting_rule_has_an_id_and_a_level() -> None:
    text = (
        rule("s: {device.id: x}\ncondition: s")
        .replace(f"id: {ID.format(1)}\n", "")
        .replace("level: low\n", "")
    )
    assert_said(text, "id is missing", "level is missing")


def test_the_fingerprint_is_of_what_a_rule_does() -> None:
    (one,), _ = load(rule("s: {device.id: x}\ncondition: s"))
    (same,), _ = load(
        rule("named:   {device.id: [x]}\ncondition: (named)").replace("A rule", "Another title")
    )
    (other,), _ = load(rule("s: {device.id: y}\ncondition: s"))
    assert one.fingerprint == same.fingerprint != other.fingerprint


# ---------------------------------------------------------------------------- fuzz

_NAMES = st.sampled_from(
    [
        "title",
        "id",
        "name",
        "level",
        "tags",
        "date",
        "status",
        "related",
        "logsource",
        "detection",
        "condition",
    ]
    + ["correlation", "correlator", "filter", "generate", "type", "rules", "group-by", "timespan", "aliases"]
    + ["settle", "feed", "at", "grace", "suppress", "for", "tests", "events", "offset", "repeat", "every"]
    + ["person", "credentials", "states", "marks", "expect", "evidence", "s", "gte", "field", "event.kind"]
    + [f"{field}|{modifier}" for field in ("device.id", "place.lat") for modifier in ("re", "cidr", "gt")]
    + ["device.id|windash|base64offset|contains|all", "x|exists", "source.ip|fieldref|neq", "|", ""]
)
_WORDS = (
    st.sampled_from(["s", "not s", "1 of *", "((((", "event_count", "value_count", "temporal", "base", "10m"])
    | st.sampled_from(["match", "identity.id", "place.door", "access", "%x%", "[a-", "10.0.0.0/8"])
    | st.sampled_from(["-1h", "2026-01-01", "*?\\*", "\ud800"])
)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | _WORDS | st.text(max_size=5)
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=5),
    max_leaves=25,
)


def _is_answered(documents: list[tuple[object, Lines]]) -> None:
    rules, problems = load_rules(documents)
    assert len(rules) <= len(documents)
    assert all(problem.file == "f" for problem in problems)


@given(st.lists(_TREES, max_size=3))
def test_any_document_gives_rules_or_problems(trees: list[Any]) -> None:
    _is_answered([(tree, Lines("f")) for tree in trees])


_VALUES = _SCALARS | st.lists(_SCALARS, max_size=3)
_KEYS = st.builds(
    "|".join,
    st.tuples(
        st.sampled_from(["device.id", "place.lat", "access.duress", "presence.here", "no.field", ""]),
        st.sampled_from(
            ["contains", "re", "cidr", "gt", "exists", "neq", "fieldref", "windash", "wide", "all"]
        ),
        st.sampled_from(
            ["neq", "all", "i", "startswith", "base64", "base64offset", "cased", "utf16", "hour"]
        ),
    ),
)


@given(st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=4), _WORDS)
def test_any_detection_gives_a_rule_or_problems(search: dict[str, Any], condition: str) -> None:
    ((document, lines),) = load_yaml_all(rule("s: {device.id: x}\ncondition: s"), "f")[0]
    assert isinstance(document, dict)
    document["detection"] = {"s": search, "condition": condition}
    _is_answered([(document, lines)])


def test_every_field_of_the_reference_can_be_used() -> None:
    for field in FIELDS.values():
        entity = field.entities[0]
        text = rule(f"s: {{{field.name}|exists: true}}\ncondition: s", f"correlator: {{entity: {entity}}}\n")
        assert said(text) == []


def test_collections_of_the_first_sigma_are_refused_in_one_line() -> None:
    """Also where the documents behind lack what the collection gives them."""
    text = "action: global\nlogsource: {product: x}\n---\n" + rule("s: {event.kind: login}\ncondition: s")
    for more in ("", "---\ndetection: {s: {event.kind: login}}\n---\naction: reset\n"):
        assert [p.message for p in load(text + more)[1]] == [
            "collections of rules (action: global, repeat, reset) are not of Sigma 2: write each rule out"
        ]
