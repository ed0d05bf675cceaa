"""What a person's timeline tells of zones puts them into one at a time, wherever they go and log in."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from correlator.codec import owner_of
from correlator.event import HOUR_MS, MINUTE_MS, Event, Place, make_event
from correlator.timeline.fold import fold_ways, step
from correlator.timeline.live import Live, ZoneState
from correlator.timeline.occupancy import Passage, as_fact, believed
from correlator.timeline.settings import Settings
from tests.timeline.toy import Toy, ToyProgram

ZONES = {name: Place(site=name[0], zone=name, door=f"{name}-1") for name in ("a1", "a2", "b1", "b2")}
READS: dict[str, dict[str, Any]] = {
    "in": {"direction": "in"},
    "out": {"direction": "out"},
    "undated": {"skew_s": 600},
}
Step = tuple[int, str, str, str]  # minute, what happens, zone, was the door opened

some_steps = st.lists(
    st.tuples(
        st.integers(0, 3_000),
        st.sampled_from([*READS, "login"]),
        st.sampled_from(sorted(ZONES)),
        st.sampled_from(["taken", "unknown"]),
    ),
    max_size=8,
)


def event_of(number: int, step: Step) -> Event:
    minute, what, zone, taken = step
    time_ms, place = 1_000 * HOUR_MS + minute * MINUTE_MS, ZONES[zone]
    if what == "login":
        words: dict[str, Any] = {"logon_type": "console", "is_interactive": True, "outcome": "success"}
        return make_event(time_ms, f"{number:016x}", "login", identity_id="e1", place=place, **words)
    place = replace(place, is_perimeter=what == "out")
    words = {"outcome": "granted", "taken": taken} | READS[what]
    return make_event(time_ms, f"{number:016x}", "access", identity_id="e1", place=place, **words)


@given(some_steps)
@example(
    [(0, "in", "b1", "taken"), (1, "in", "a1", "unknown"), (2, "login", "b1", ""), (3, "in", "a2", "taken")]
)
def test_nobody_is_told_to_be_in_two_zones(steps: list[Step]) -> None:
    """A login where somebody was read before moves them nowhere: the last read counts."""
    program = ToyProgram(Toy(has_zones=True))
    program.settings = settings = Settings(zones=tuple(ZONES.values()))
    events = [event_of(number, step) for number, step in enumerate(sorted(steps))]
    _, _, ways = fold_ways("identity:e1", Live(), events, program)
    until_ms: dict[str, int] = {}
    for way in ways:
        until_ms = {zone: at_ms for zone, at_ms in until_ms.items() if at_ms > way.time_ms}
        until_ms.pop(way.zone, None)
        if way.activity == "entered":
            until_ms[way.zone] = way.time_ms + settings.presence_full_ms
        assert len(until_ms) <= 1, (until_ms, ways)


def inside(*events: tuple[int, str, str], at_minute: int) -> list[str]:
    """Who is inside a2 at that minute; events are (minute, who, what happens): a badge of nobody, or e1."""
    program = ToyProgram(Toy(has_zones=True))
    program.settings, live = Settings(), Live()
    for number, (minute, who, what) in enumerate(events):
        read = replace(event_of(number, (minute, what, "a2", "taken")), identity_id="", credential=who)
        if what == "login":
            live, _ = step("zone:a2", live, replace(read, identity_id=who, credential=""), program)
            continue
        home = who if who.startswith("identity:") else f"unresolved:badge:{who}"
        passage = Passage(read.time_ms, read.id, "entered" if what == "in" else "left", "a2", 0)
        fact = as_fact(home, owner_of(home), passage, ZONES, is_held=True)
        live, _ = step("zone:a2", live, fact.event, program)
    zone = believed(live.zone or ZoneState(), 1_000 * HOUR_MS + at_minute * MINUTE_MS)
    return [occupant.identity_id for occupant in zone.occupants]


def test_badges_of_nobody_are_as_many_people_as_there_are_badges() -> None:
    both = ((0, "v1", "in"), (1, "v2", "in"))
    assert inside(*both, at_minute=5) == ["unresolved:badge:v1", "unresolved:badge:v2"]
    assert inside(*both, (2, "v1", "out"), at_minute=5) == ["unresolved:badge:v2"]


def test_who_works_at_a_machine_of_the_zone_is_still_inside() -> None:
    """At most a while longer, and nobody comes in by a login."""
    came_in = (0, "identity:e1", "in")
    assert inside(came_in, at_minute=8 * 60 + 1) == []
    assert inside(came_in, (7 * 60, "e1", "login"), at_minute=8 * 60 + 1) == ["e1"]
    assert inside(came_in, (7 * 60, "e1", "login"), at_minute=10 * 60 + 1) == []
    assert inside(came_in, (7 * 60, "e2", "login"), at_minute=8 * 60 + 1) == []
    assert inside(came_in, (9 * 60, "e1", "login"), at_minute=9 * 60 + 1) == []
    assert inside((0, "e1", "login"), at_minute=1) == []
