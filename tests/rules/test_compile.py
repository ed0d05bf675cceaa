"""Generated functions say and count what the interpreter does, of any conditions and any event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from correlator.event import KINDS, Credential, Event, Kind, Network, Person, Place, Score, Shape, make_event
from correlator.rules.compile import ByShape, compiled
from correlator.rules.interpret import compile_regex, holds
from correlator.rules.loads import EASY, GUARDED, HELPERS, NO_NETWORK, NO_PLACE, sort_of
from correlator.rules.needle import needle_of
from correlator.rules.rule import (
    DASH,
    KEYWORDS,
    MANY,
    ONE,
    And,
    Cidr,
    Compare,
    Condition,
    Exists,
    Leaf,
    Not,
    Null,
    Or,
    Refers,
    Regex,
    Same,
    Test,
    Text,
    TimePart,
)
from correlator.timeline.fields import FIELDS
from correlator.timeline.habits import NO_HABITS, Habits
from correlator.timeline.live import DoorState, Live, Passed, Scalar, Stay
from correlator.timeline.observation import Observation
from correlator.timeline.raw import ALL, pack_raw
from correlator.timeline.settings import Settings
from tests.rules.writing import access, login, observe

SETTINGS = Settings()
WORDS = (
    "", "a", "A", "ab", "aB-c", "granted", "İ", "ß", "ΑΣ", "ασ", "ΑΣΑ", "ſ", "K", "-a", "a\x00b", "\ud800",
    "a\udfff", "a\nb",
)  # fmt: skip
ADDRESSES = (
    "192.0.2.7", "10.1.2.3", "::FFFF:10.1.2.3", "010.1.2.3", "2001:db8::7", "fe80::1%eth0", "%",
    "no address", "",
)  # fmt: skip

words = st.sampled_from(WORDS)
odd = st.sampled_from((0, 1, 2.5, True, False, "a", "", float("nan"), 3, None))


def mostly(
    values: st.SearchStrategy[object], others: st.SearchStrategy[object] = odd
) -> st.SearchStrategy[object]:
    """Values of the right type, and now and then another."""
    return st.integers(0, 30).flatmap(lambda n: others if n == 30 else values)


text, flag = mostly(words), mostly(st.booleans())
number = mostly(st.sampled_from((0, 1, 2, 5, -1, 2.5, 0.0)))
times = st.integers(-(10**9), 10**9)
places = st.builds(
    Place, text, text, text, text, text, criticality=number,
    lat=mostly(st.none() | st.floats(-80, 80)).filter(lambda lat: not isinstance(lat, str)),
    lon=st.none() | st.floats(-170, 170), is_perimeter=flag, country=text,
)  # fmt: skip
shapes = st.builds(
    Shape, st.sampled_from(KINDS), text, text, st.none() | places, text, text, text, text, text, flag, text,
    st.none() | st.builds(Network, text, text, number), text, flag, text, text,
    st.sampled_from((0, 60, -300)), mostly(st.none() | st.booleans()),
)  # fmt: skip
own_names = st.sampled_from(("EventID", "Image", "user.name", "gone", "user"))
members = st.one_of(
    st.none(),
    words,
    st.booleans(),
    st.sampled_from((1, 4625, 2.0, "4625", "2.5", "TRUE", "2026-01-09T08:31:02Z")),
)
records = st.dictionaries(
    st.sampled_from(("EventID", "Image")), members | st.lists(members, max_size=3), max_size=2
).flatmap(lambda found: st.just(found) | st.just({**found, "user": {"name": "aB-c"}}))
raws = st.none() | records.map(lambda found: pack_raw(found, (ALL,))) | st.just(b"no record")
events = st.builds(
    Event, times, words, shapes, text, text, mostly(st.sampled_from(ADDRESSES)), text, text,
    time_claimed_ms=st.none() | times,
    score=st.none() | st.builds(Score, number, flag, st.just(("a", "ab"))), raw=raws,
)  # fmt: skip
people = st.builds(
    Person, st.just("e1"), st.just(0), text, text, text, st.none() | times,
    st.just(()) | st.tuples(st.tuples(times, text)),
    st.just(()) | st.tuples(st.builds(Credential, words, text, states=st.tuples(st.tuples(times, text)))),
)  # fmt: skip
orders = st.none() | st.tuples(times, words)
some_places = st.lists(events, max_size=2).map(tuple)
lives = st.builds(
    Live, st.none() | events, st.none() | events, some_places, some_places, some_places,
    st.just(())
    | st.tuples(
        st.builds(Stay, text, text, times, times, times, st.floats(0, 1), times, times, st.tuples(words))
    ),
    st.none() | people,
    st.none()
    | st.builds(DoorState, orders, orders, st.just(()) | st.tuples(st.tuples(times, words)), orders),
    habits=st.just(NO_HABITS) | st.builds(Habits, st.integers(0, 64), st.integers(0, 200), times),
    passed=st.just(())
    | st.tuples(st.builds(Passed, words, st.sampled_from(("in", "out")), times, words, words)),
)  # fmt: skip
names = st.sampled_from(sorted(FIELDS))
scalars = st.none() | words | st.booleans() | st.integers(-2, 3)
observations = st.builds(
    Observation, st.just("identity:e1"), events, lives, st.just(SETTINGS), times,
    mostly(st.just({}), st.dictionaries(names, scalars, max_size=2)),
)  # fmt: skip

parts = st.lists(st.sampled_from((*WORDS[1:], MANY, ONE, DASH)), max_size=3).map(tuple)
whole = st.sampled_from(WORDS[1:]).map(lambda word: (word,))
operators = st.sampled_from(("lt", "lte", "gt", "gte"))
numbers = st.sampled_from((0, 1, 2, 2.5, 1000, float("nan")))
tests = st.one_of(
    st.builds(Text, whole, st.booleans()),
    st.builds(Text, parts, st.booleans()),
    st.builds(Same, numbers | st.booleans()),
    st.builds(Compare, operators, numbers),
    st.builds(Exists, st.booleans()),
    st.just(Null()),
    st.builds(Regex, st.sampled_from(("^a", "b$", "[A-Z]", "^$")), st.sampled_from(("", "i", "ms"))),
    st.builds(Cidr, st.sampled_from(("192.0.2.0/24", "10.0.0.0/8", "2001:db8::/32"))),
    st.builds(Refers, names, st.sampled_from(("equal", "starts", "ends", "contains", "lt", "gte"))),
    st.builds(TimePart, st.sampled_from(("hour", "week")), operators, st.integers(0, 3)),
)
keywords = st.builds(Text, parts, st.booleans()) | st.builds(Text, whole) | st.builds(Regex, st.just("a.b"))


def fitting(name: str) -> st.SearchStrategy[Test]:
    """Tests that a checked rule may do of the field."""
    value_type = FIELDS[name].value_type
    if name == "source.ip":
        return tests.filter(lambda test: isinstance(test, Cidr | Text | Exists))
    if value_type == "str":
        others = st.sampled_from([n for n, field in FIELDS.items() if field.value_type == "str"])
        return st.one_of(
            tests.filter(lambda test: isinstance(test, Text | Regex | Exists | Null)),
            st.builds(Text, whole),
            st.builds(Refers, others, st.sampled_from(("equal", "starts", "ends", "contains"))),
        )
    wanted = bool if value_type == "bool" else (int, float)
    return tests.filter(
        lambda test: (
            isinstance(test, Exists | Null)
            or (isinstance(test, Compare) and value_type != "bool")
            or (isinstance(test, Same) and isinstance(test.value, wanted))
        )
    )


def some(of: st.SearchStrategy[Test]) -> st.SearchStrategy[tuple[Test, ...]]:
    return st.lists(of, min_size=1, max_size=3).map(tuple)


kinds = st.lists(st.sampled_from(KINDS), min_size=1, max_size=2).map(
    lambda found: tuple(Text((k,)) for k in found)
)
leaves: st.SearchStrategy[Condition] = st.one_of(
    names.flatmap(
        lambda name: st.builds(Leaf, st.just(name), some(fitting(name)), st.booleans(), st.booleans())
    ),
    names.flatmap(lambda name: st.builds(Leaf, st.just(name), some(fitting(name)))),
    st.builds(Leaf, names, some(tests), st.booleans(), st.booleans()),
    st.builds(Leaf, own_names, some(tests | st.builds(Refers, own_names)), st.booleans(), st.booleans()),
    st.builds(Leaf, names, some(st.builds(Refers, own_names)), st.booleans(), st.booleans()),
    st.builds(Leaf, st.just("event.kind"), kinds, is_negated=st.booleans()),
    st.builds(Leaf, st.just(KEYWORDS), some(keywords), st.booleans(), st.booleans()),
    st.builds(Leaf, st.sampled_from(("place.site", "access.outcome")), some(st.builds(Text, whole))),
)


def branches(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(inner, max_size=4).map(tuple)
    return st.builds(And, several) | st.builds(Or, several) | st.builds(Not, inner)


conditions = st.recursive(leaves, branches, max_leaves=8)


def interpreted(wanted: Sequence[Condition], observation: Observation) -> tuple[list[int], Counter[int]]:
    found, counts = [], Counter[int]()
    for number, condition in enumerate(wanted):
        mismatched: list[str] = []
        if holds(condition, observation, mismatched):
            found.append(number)
        if mismatched:
            counts[number] = len(mismatched)
    return found, counts


def generated(wanted: Sequence[Condition], observation: Observation) -> tuple[list[int], Counter[int]]:
    """By the function for the kind, and by that for the shape, which say the same."""
    counted: list[int] = []
    found = compiled(wanted, observation.event.kind).ask(observation, counted)
    by_shape: list[int] = []
    ask = ByShape(wanted).ask(observation.event.shape)
    assert (ask(observation, by_shape) if ask is not None else []) == found
    assert sorted(by_shape) == sorted(counted)
    return found, Counter(counted)


@given(st.lists(conditions, max_size=5), st.lists(observations, min_size=1, max_size=4))
def test_generated_functions_say_and_count_what_the_interpreter_does(
    wanted: list[Condition], seen: list[Observation]
) -> None:
    for observation in seen:
        assert generated(wanted, observation) == interpreted(wanted, observation)


SHORT = (
    Leaf("access.outcome", (Text(("GRANTED",)),)),
    Leaf("access.outcome", (Text(("granted",)), Text(("a",)))),
    Leaf("device.id", (Text(("a", MANY)), Text((MANY, "b", MANY)))),
    Leaf("source.ip", (Cidr("10.0.0.0/8"),)),
    Leaf("presence.here", (Compare("lt", 0.2),)),
)
sites = st.sampled_from([f"site-{number}" for number in range(30)])
at_sites = st.builds(
    lambda texts, more: And((Leaf("place.site", tuple(Text((t,)) for t in texts)), *more)),
    st.lists(sites, min_size=1, max_size=3),
    st.lists(st.sampled_from(SHORT), max_size=2),
)


@given(st.lists(at_sites, min_size=20, max_size=30), sites, st.sampled_from(("granted", 5)), words)
def test_many_conditions_are_found_by_the_text_that_they_demand(
    wanted: list[Condition], site: str, outcome: object, device: str
) -> None:
    observation = observe(access(place=Place(site.upper()), outcome=outcome, device=device, ip="-"))
    assert generated(wanted, observation) == interpreted(wanted, observation)


OF_TYPE = {"text": (str,), "number": (int, float, type(None)), "flag": (bool, type(None))}


@given(observations.filter(lambda o: not o.seen))
def test_fields_are_read_as_the_table_of_fields_says(observation: Observation) -> None:
    event, live = observation.event, observation.live
    scope: dict[str, object] = HELPERS | {
        "observation": observation,
        "event": event,
        "shape": event.shape,
        "live": live,
        "place": event.place or NO_PLACE,
        "network": event.network or NO_NETWORK,
    }
    for name, source in {**{n: load.source for n, load in GUARDED.items()}, **EASY}.items():
        if name in GUARDED and GUARDED[name].kind not in {None, event.kind}:
            assert FIELDS[name].get(observation) is None
            continue
        found: Scalar = eval(source, scope)
        wanted = OF_TYPE[GUARDED[name].holds] if name in GUARDED else (object,)
        if isinstance(found, wanted):  # else the interpreter is asked
            is_text = name in GUARDED and GUARDED[name].holds == "text"
            expected = FIELDS[name].get(observation)
            assert repr(found or None if is_text else found) == repr(expected), name


def test_computed_numbers_are_sure_and_what_events_bring_is_not() -> None:
    sure = {name for name in FIELDS if sort_of(name) == "sure"}
    assert {"presence.here", "travel.badge.speed_kmh", "last_login.age_s", "time.hour"} <= sure
    assert not sure & {"last_badge.site", "anomaly.percentile", "identity.type", "event.id"}
    assert set(GUARDED) <= set(FIELDS)
    assert set(EASY) <= set(FIELDS)


def within(network: str) -> Leaf:
    return Leaf("source.ip", (Cidr(network),))


def test_what_is_no_address_is_counted_for_each_condition_that_asks() -> None:
    wanted = (within("10.0.0.0/8"), And((Leaf("login.outcome", (Text(("failure",)),)), within("10.0.0.0/8"))))
    assert generated(wanted, observe(login(ip="-"))) == ([], Counter({0: 1}))
    assert generated(wanted, observe(login(ip="10.1.2.3"))) == ([0], Counter())


def test_an_address_is_not_looked_for_where_there_is_no_text() -> None:
    wanted = (Leaf("access.duress", (Cidr("192.0.2.0/24"),)),)
    assert generated(wanted, observe(access(duress=True))) == interpreted(
        wanted, observe(access(duress=True))
    )


def test_a_dear_field_is_read_once_and_only_if_it_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    field, calls = FIELDS["presence.here"], list[Observation]()

    def get(observation: Observation) -> Scalar:
        calls.append(observation)
        return 0.5

    monkeypatch.setitem(
        FIELDS, "presence.here", type(field)("presence.here", "float", field.entities, "access", "", get)
    )
    asked = Leaf("presence.here", (Compare("lt", 0.6),))
    denied = Leaf("access.outcome", (Text(("denied",)),))
    ask = compiled([And((asked, denied)), And((denied, Not(asked)))], "access").ask
    assert ask(observe(access()), []) == []
    assert calls == []
    assert ask(observe(access(outcome="denied")), []) == [0]
    assert len(calls) == 1


pieces = st.sampled_from(
    ("abc", "Ks", "s", "ſk", "K", "a b", "x?", "y*", "z+", "q{0,2}", "[a-c]", "[]x]", "[^]a]b", "[[:alpha:]]",
     ".", "(de)?", "(?:f|g)", "(?i:hij)", "|", "^", "$", r"\d", r"\.", r"\]", r"\x41", r"\pN", r"\Qa.b\E")
)  # fmt: skip
haystacks = st.lists(
    st.sampled_from(["abc", "ABC", "K", "ſ", "s", "ks", "a b", "de", "hij", "1", "A", ".", "-", "é"])
)


@given(st.lists(pieces, max_size=6).map("".join), st.sampled_from(("", "i", "s")), haystacks.map("".join))
def test_no_regex_matches_without_its_needle(pattern: str, flags: str, found: str) -> None:
    try:
        matches = compile_regex(pattern, flags).search(found) is not None
    except re2.error:
        return
    assert not matches or needle_of(pattern, flags) in found.lower()


def test_needles() -> None:
    assert needle_of(r"^adm[0-9]+-root$", "") == "-root"
    assert needle_of(r"Program Files\\(a|b)", "i") == "program file"
    assert needle_of("colou?r of", "") == "colo"
    assert needle_of("colou?r of|x", "") == ""


def test_fields_of_another_kind_of_event_are_absent_wherever_they_are_named() -> None:
    wanted = (
        Leaf(KEYWORDS, (Text(("granted",)),)),
        Leaf(KEYWORDS, (Text(("not_taken",)),)),
        Leaf("access.outcome", (Refers("login.outcome"),)),
        Leaf("access.outcome", (Refers("login.outcome"),), is_negated=True),
        Leaf("device.id", (Refers("access.taken"),)),
        Leaf("door.activity", (Refers("access.taken"),)),
    )
    for kind in KINDS:
        event = make_event(
            0, "x", kind, outcome="granted", taken="not_taken", activity="not_taken", device="not_taken"
        )
        assert generated(wanted, observe(event)) == interpreted(wanted, observe(event))


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_of_a_rule_gets_into_the_source(kind: Kind) -> None:
    evil = "') or __import__('os').system('true') or ('"
    leaf = Leaf("device.id", (Text((evil,)), Text((MANY, evil)), Regex(r"\Qx\E')"), Same(7)))
    source = compiled([leaf, Leaf("place.site", (Text((evil,), is_cased=True),))], kind).source
    assert "import" not in source
    assert "system" not in source


def test_conditions_as_deep_as_they_may_be() -> None:
    deep: Condition = Leaf("access.outcome", (Text(("granted",)),))
    for _ in range(150):
        deep = Not(And((deep, Leaf("device.id", (Exists(is_present=False),)))))
    wanted = [deep, And((deep, Leaf("place.site", (Null(),))))]
    assert generated(wanted, observe(access())) == interpreted(wanted, observe(access()))
