"""What a person's timeline tells of zones puts them into one at a time, wherever they go and log in."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from correlator.event import HOUR_MS, MINUTE_MS, Event, Place, make_event
from correlator.timeline.fold import fold_ways
from correlator.timeline.live import Live
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
