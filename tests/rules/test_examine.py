"""Conditions line by line: nothing is said of them but what the interpreter says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.event import Event, Person, make_event
from correlator.rules.absent import why_absent
from correlator.rules.examine import Line, Node, Texts, blame, cost, culprits, examine, texts_of
from correlator.rules.interpret import holds, leaf_holds
from correlator.rules.rule import And, Condition, Leaf, Not, Or
from correlator.timeline.fields import FIELDS, value
from correlator.timeline.live import Live
from correlator.timeline.observation import Observation
from tests.rules.test_compile import leaves, observations
from tests.rules.writing import LISBON, access, load, login, observe, rule

NO_TEXTS = Texts({}, {})


def branches(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(inner, min_size=1, max_size=4).map(tuple)
    return st.builds(And, several) | st.builds(Or, several) | st.builds(Not, inner)


conditions = st.recursive(leaves, branches, max_leaves=8)


def lines(node: Node) -> list[Line]:
    return [node] if isinstance(node, Line) else [line for part in node.parts for line in lines(part)]


def leaves_of(condition: Condition) -> list[Leaf]:
    if isinstance(condition, Leaf):
        return [condition]
    return [leaf for arg in getattr(condition, "args", None) or (condition.arg,) for leaf in leaves_of(arg)]  # type: ignore[union-attr] # a Not has an arg


@given(conditions, observations)
def test_a_tree_says_what_the_interpreter_says(condition: Condition, observation: Observation) -> None:
    tree = examine(condition, observation, NO_TEXTS)
    assert tree.holds is holds(condition, observation, [])
    for line, leaf in zip(lines(tree), leaves_of(condition), strict=True):
        assert line.holds is leaf_holds(leaf, observation, [])
        if leaf.field:
            found = value(observation, leaf.field)
            assert repr(line.found) == repr(found), "also where it is no number"
            assert line.note or found is not None, "what is absent has a reason"


@given(conditions, observations)
def test_a_miss_has_culprits_and_a_match_has_none(condition: Condition, observation: Observation) -> None:
    tree = examine(condition, observation, NO_TEXTS)
    found = culprits(tree)
    assert len(found) == cost(tree)
    assert (found == []) is tree.holds
    assert all(line.holds is not wanted for line, wanted in found)


def flipped(node: Node, blamed: set[int]) -> bool:
    """What *node* would be if the lines *blamed* were otherwise."""
    if isinstance(node, Line):
        return node.holds is not (id(node) in blamed)
    parts = [flipped(part, blamed) for part in node.parts]
    return all(parts) if node.how == "all" else any(parts) if node.how == "any" else not parts[0]


@given(conditions, observations)
def test_were_the_culprits_otherwise_it_would_match(condition: Condition, observation: Observation) -> None:
    tree = examine(condition, observation, NO_TEXTS)
    assert flipped(tree, {id(line) for line, _ in culprits(tree)})


def said(detection: str, event: Event, live: Live | None = None) -> tuple[str, ...]:
    (loaded,), problems = load(rule(detection))
    assert not problems, problems
    assert loaded.condition is not None
    return blame(examine(loaded.condition, observe(event, live), texts_of(loaded)))


@pytest.mark.parametrize(
    ("line", "event", "expected"),
    [
        ("access.outcome: denied", access(), "outcome: denied (rule.yml:7) does not hold: found granted"),
        ("place.criticality|gte: 4", access(place=LISBON), "does not hold: found 2, 2 too low"),
        ("place.criticality|lt: 1.5", access(place=LISBON), "found 2, 0.5 too high"),
        ("place.criticality|gt: 2", access(place=LISBON), "does not hold: found 2"),
        ("device.id|cased: abc", access(device="ABC"), "found ABC, differs only in upper and lower case"),
        (
            "device.id|neq: [abc, '']",
            access(device="abc"),
            "device.id|neq: [abc, ''] (rule.yml:7) does not hold",
        ),
        ("device.id|fieldref: session.id", access(device="a", session="b"), "found a, session.id is b"),
        (
            "device.id|fieldref: session.id",
            access(device="a"),
            "found a, session.id is absent, the source did not say",
        ),
        ("login.outcome: success", access(), "absent, events of kind access have no login.outcome"),
        ("access.duress: true", access(), "found false"),
        ("place.site: x", access(), "absent, the event has no place"),
        ("device.id: [a, b, c, d, e, f, g]", access(), "device.id: [a, b, c, d, e, … 2 more]"),
        ("anomaly.percentile|gte: 0.9", access(), "absent, the model has not scored the event"),
        ("presence.site: x", access(), "absent, no badge read before it let the person in"),
        ("last_login.device: x", access(), "absent, there is no successful login before it"),
        ("travel.badge.speed_kmh|gt: 1", login(), "absent, the event does not show where the person was"),
        ("identity.status: leave", access(), "absent, the identities feed does not know the person"),
        (
            "network.class: vpn",
            login(ip="192.0.2.1"),
            "absent, no range of the networks file and no database has the address",
        ),
    ],
)
def test_what_a_line_found(line: str, event: Event, expected: str) -> None:
    (blamed,) = said(f"s: {{{line}}}\ncondition: s", event)
    assert expected in blamed


def test_what_must_not_hold() -> None:
    (blamed,) = said("s: {event.kind: access}\nn: {device.id: x}\ncondition: s and not n", access(device="x"))
    assert blamed == "device.id: x (rule.yml:8) must not hold, but does: found x"


def test_keywords_name_the_texts_they_are_looked_for_in() -> None:
    (blamed,) = said("s: [kein, zutritt]\ncondition: s", access(device="window"))
    assert blamed.startswith(
        "keywords: [kein, zutritt] (rule.yml:7) does not hold: in none of 7 texts: event.kind"
    )
    (blamed,) = said("s: [window]\nk: {event.kind: access}\ncondition: k and not s", access(device="window"))
    assert blamed.endswith("must not hold, but does: found in device.id")


def test_of_alternatives_the_nearest_is_blamed() -> None:
    detection = (
        "a: {event.kind: login, device.id: x, place.site: y}\nb: {event.kind: access, device.id: z}\n"
        "condition: a or b"
    )
    (blamed,) = said(detection, access(device="w"))
    assert blamed.startswith("device.id: z")


def test_few_lines_are_blamed_one_by_one() -> None:
    places = [f"place.{level}" for level in ("site", "building", "zone", "door", "reader", "country")]
    names = ["device.id", "session.id", *places]
    wide = said(f"s: {{{', '.join(f'{name}: x' for name in names)}}}\ncondition: s", access())
    assert len(wide) == 7
    assert wide[-1] == "and 2 more lines"


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_says_why_it_is_absent(name: str) -> None:
    for event in (
        access(),
        login(),
        make_event(0, "d", "door"),
        make_event(0, "p", "person", person=Person("e1", 0)),
    ):
        for live in (Live(), Live(person=Person("e1", 0), last_badge=access(), last_login=login())):
            for entity in ("identity:e1", "unresolved:badge:1", "door:d"):
                assert why_absent(observe(event, live, entity), name)


def test_what_we_say_ourselves_is_not_followed_by_numbers() -> None:
    """A filter that expires compares times: that is in no file."""
    text = rule("s: {event.kind: login}\ncondition: s") + (
        "---\ntitle: F\nlogsource: {product: x}\n"
        "filter: {rules: [rule_1], f: {device.id: x}, condition: not f}\n"
        "correlator: {expires: {on: 2099-01-31, reason: r, owner: o}}\n"
    )
    (loaded,), problems = load(text)
    assert not problems
    assert loaded.condition is not None
    tree = examine(loaded.condition, observe(login(device="x")), texts_of(loaded))
    (line,) = [line for line in lines(tree) if "expired" in line.text]
    assert (line.text, line.field, line.found) == ("the filter 'F' has expired, on 2099-01-31", "", None)
    assert blame(line) == (f"{line.text} (rule.yml:13) does not hold",)
