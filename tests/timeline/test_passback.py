"""Anti-passback against a reference that looks at every earlier read, and the fields of people and hosts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from correlator.event import HOUR_MS, MINUTE_MS, SECOND_MS, Credential, Event, Kind, Person, Place, make_event
from correlator.timeline import fold
from correlator.timeline.fields import value
from correlator.timeline.live import Live
from correlator.timeline.observation import Observation
from tests.timeline.toy import Toy, ToyProgram

WHO, PROGRAM = "identity:u", ToyProgram(Toy())
AREAS = [Place("a", zone="lab", reader=f"lab-{n}", passback="soft") for n in (1, 2)]
AREAS += [
    Place("a", zone="vault", reader="vault-1", passback="hard"),
    Place("a", zone="hall", reader="hall-1"),
]

reads = st.lists(
    st.builds(
        lambda gap_ms, place, way, outcome, taken: (gap_ms, place, way, outcome, taken),
        st.sampled_from([0, 2 * SECOND_MS, 5 * SECOND_MS, 6 * SECOND_MS, HOUR_MS, 20 * HOUR_MS]),
        st.sampled_from(AREAS),
        st.sampled_from(["in", "in", "out", "unknown"]),
        st.sampled_from(["granted", "granted", "passback", "expired"]),
        st.sampled_from(["taken", "unknown", "not_taken"]),
    ),
    max_size=12,
)


def events_of(drawn: list[tuple[int, Place, str, str, str]]) -> list[Event]:
    found, at_ms = list[Event](), 0
    for number, (gap_ms, place, way, outcome, taken) in enumerate(drawn):
        at_ms += gap_ms
        is_let = outcome == "granted"
        found.append(
            make_event(
                at_ms, f"{number:016}", "access", place=place, direction=way, taken=taken,
                outcome="granted" if is_let else "denied", reason="" if is_let else outcome,
            )
        )  # fmt: skip
    return found


def area(e: Event) -> str:
    """Where the person passed, or was refused for passing twice."""
    if e.place is None or not e.place.passback or e.direction not in ("in", "out"):
        return ""
    passed = e.taken != "not_taken" if e.outcome == "granted" else e.reason == "passback"
    return e.place.zone if passed else ""


def wanted(earlier: list[Event], e: Event) -> bool | None:
    before = [x for x in earlier if area(x) == area(e) != "" and x.outcome == "granted"]
    if not before or e.time_ms - before[-1].time_ms > 16 * HOUR_MS:
        return None
    last = before[-1]
    assert last.place is not None
    assert e.place is not None
    is_double = last.place.reader == e.place.reader and e.time_ms - last.time_ms <= 5 * SECOND_MS
    return last.direction == e.direction and not is_double


@given(reads)
def test_whoever_is_read_in_twice_without_a_read_out_has_passed_the_card_back(
    drawn: list[tuple[int, Place, str, str, str]],
) -> None:
    events, live = events_of(drawn), Live()
    for n, event in enumerate(events):
        observation = Observation(WHO, event, live, PROGRAM.settings, event.time_ms)
        assert value(observation, "passback.area") == (area(event) or None)
        assert value(observation, "passback.is_violated") == wanted(events[:n], event)
        live, _ = fold.step(WHO, live, event, PROGRAM)


def seen(person: Person, time_ms: int, name: str) -> object:
    event = make_event(time_ms, "1" * 16, "access", credential="t1", place=Place("a"))
    return value(Observation(WHO, event, Live(person=person), PROGRAM.settings, time_ms), name)


def test_a_visitor_has_a_host_and_a_temporary_badge_is_held_for_its_day_only() -> None:
    day = Credential("t1", "temp", HOUR_MS, 9 * HOUR_MS)
    visitor = Person("v1", 1, "visitor", credentials=(day,), host_id="e7")
    assert seen(visitor, 2 * HOUR_MS, "identity.host") == "e7"
    assert seen(Person("v1", 1), 2 * HOUR_MS, "identity.host") is None
    for at_ms, badge in ((HOUR_MS - 1, None), (HOUR_MS, "t1"), (9 * HOUR_MS - 1, "t1"), (9 * HOUR_MS, None)):
        assert seen(visitor, at_ms, "identity.temporary_badge") == badge


def test_of_a_newer_badge_of_its_class_is_told_how_long_ago_it_was_given() -> None:
    holds = (
        Credential("t1", "card"),
        Credential("t2", "card", HOUR_MS),
        Credential("car", "mobile", HOUR_MS),
    )
    person = Person("e1", 1, credentials=holds)
    assert seen(person, HOUR_MS + MINUTE_MS, "credential.replaced_s") == 60.0
    assert seen(person, HOUR_MS - 1, "credential.replaced_s") is None
    returned = Person("e1", 1, credentials=(holds[0], Credential("t2", "card", HOUR_MS, 2 * HOUR_MS)))
    assert seen(returned, 2 * HOUR_MS - 1, "credential.replaced_s") is not None
    assert seen(returned, 2 * HOUR_MS, "credential.replaced_s") is None, "the old one is the only one again"


def test_an_account_and_a_badge_of_one_number_are_two_credentials() -> None:
    """Both are the number of the person in many companies."""
    lost = Credential("70001", "card", states=((HOUR_MS, "lost"),))
    person = Person("e1", 1, credentials=(lost, Credential("70001", "account")))
    wanted: dict[Kind, tuple[str, str]] = {"access": ("card", "lost"), "login": ("account", "active")}
    for kind, known in wanted.items():
        event = make_event(2 * HOUR_MS, "1" * 16, kind, credential="70001", place=Place("a"))
        observation = Observation(WHO, event, Live(person=person), PROGRAM.settings, event.time_ms)
        assert (value(observation, "credential.class"), value(observation, "credential.state")) == known
