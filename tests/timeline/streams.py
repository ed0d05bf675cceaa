"""Streams of events and frames for property tests: clusters on a grid of minutes, so that equal times and
exact spans are common.
"""

from __future__ import annotations

from random import Random
from typing import Literal

from hypothesis import strategies as st

from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, Event, Person, Place, make_event
from correlator.frame import Arrival, Frame, SourceMark
from tests.timeline.toy import Toy

START_MS = 400 * DAY_MS + 22 * HOUR_MS  # streams run over midnight
SITES = ("a", "b")
SOURCES = {"a": ("a1",), "b": ("b1", "b2")}
ENTITIES = ("identity:u", "identity:v")

some_toys = st.builds(
    Toy,
    horizon_ms=st.sampled_from([10, 15, 30, 60, 180]).map(lambda m: m * MINUTE_MS),
    block_size=st.integers(1, 9),
    burst_min=st.integers(2, 4),
    burst_span_ms=st.integers(1, 8).map(lambda m: m * MINUTE_MS),
    grace_ms=st.integers(0, 8).map(lambda m: m * MINUTE_MS),
    max_wait_ms=st.sampled_from([0, 10, 30]).map(lambda m: m * MINUTE_MS),
    suppress_ms=st.sampled_from([1, 7, 60, 8 * 60]).map(lambda m: m * MINUTE_MS),
    fires_incomplete=st.booleans(),
    minutes_between=st.sampled_from([2.0, 30.0, 600.0]),
    presence_full_ms=st.sampled_from([0, 5, 60]).map(lambda m: m * MINUTE_MS),
    presence_half_life_ms=st.sampled_from([1, 20]).map(lambda m: m * MINUTE_MS),
)


@st.composite
def streams(draw: st.DrawFn, hours: int, size: int = 60) -> list[Event]:
    random = draw(st.randoms(use_true_random=False))
    width, clusters = draw(st.integers(1, 20)), draw(st.integers(1, 6))
    badges, good = draw(st.sampled_from([0.1, 0.3, 0.6])), draw(st.sampled_from([0.2, 0.5, 0.9]))
    starts = [random.randrange(hours * 60) for _ in range(clusters)]
    events: list[Event] = []
    for number in random.sample(range(1000), draw(st.integers(0, size))):
        minute = random.choice(starts) + random.randrange(width)
        kind: Literal["access", "login"] = "access" if random.random() < badges else "login"
        events.append(some_event(random, START_MS + minute * MINUTE_MS, number, kind, random.random() < good))
    return events


def some_event(
    random: Random, time_ms: int, number: int, kind: Literal["access", "login"], is_good: bool
) -> Event:
    place = Place(random.choice(SITES), is_perimeter=random.random() < 0.5)
    name, words = f"{number:016}", str(number // 3)  # shapes come and go
    if kind == "login":
        outcome = "success" if is_good else "failure"
        return make_event(
            time_ms,
            name,
            "login",
            outcome=outcome,
            place=place,
            is_interactive=random.random() < 0.5,
            application=words,
        )
    return make_event(
        time_ms,
        name,
        "access",
        outcome="granted" if is_good else "denied",
        taken=random.choice(["taken", "unknown", "not_taken"]),
        direction=random.choice(["in", "in", "out"]),
        place=place,
        reason_native=words,
    )


def hired(now_ms: int) -> Frame:
    """Everybody is known from the start: an entity without a person is dropped once it was quiet for the
    horizon.
    """
    rows = tuple(
        (entity, make_event(now_ms, f"{n:x}" * 16, "person", person=Person(entity, n)))
        for n, entity in enumerate(ENTITIES, 10)
    )
    return Frame("", rows, arrivals(now_ms))


def entity_of(event: Event) -> str:
    return ENTITIES[0] if int(event.id) % 4 else ENTITIES[1]


def arrivals(now_ms: int) -> tuple[Arrival, ...]:
    return (Arrival("badge-events", 0, 1, now_ms), Arrival("login-events", 0, 1, now_ms))


def heard(source: str, site: str, event_ms: int, now_ms: int) -> SourceMark:
    """From a clock that is right: what those that are not do to events is another matter (`test_clocks`)."""
    return SourceMark(source, "badge", site, "badge-events", 0, event_ms, 0, 1, now_ms - 1)


def everybody(event_ms: int, now_ms: int) -> tuple[SourceMark, ...]:
    return tuple(heard(source, site, event_ms, now_ms) for site, names in SOURCES.items() for source in names)


def some_marks(random: Random, low_ms: int, now_ms: int) -> tuple[SourceMark, ...]:
    rows = [
        heard(source, site, random.randint(low_ms, now_ms), now_ms)
        for site, names in SOURCES.items()
        for source in names
    ]
    return tuple(random.sample(rows, random.randint(0, len(rows))))


def last_frame(now_ms: int) -> Frame:
    """Every mark passes, and nothing that was decided gets too old."""
    return Frame("", (), arrivals(now_ms), everybody(now_ms, now_ms))


def live_frames(events: list[Event], toy: Toy, random: Random) -> list[Frame]:
    """Hours of frames: late up to exactly the horizon, times up to 5 minutes ahead, marks behind by less
    than it.
    """
    horizon = toy.horizon_ms // MINUTE_MS
    rows = [
        (e.time_ms + random.choice([0, 0, 0, -4, 7, horizon, random.randrange(horizon)]) * MINUTE_MS, e)
        for e in events
    ]
    rows += [(t + random.randrange(horizon) * MINUTE_MS, e) for t, e in rows if random.random() < 0.3]
    rows.sort(key=lambda row: (row[0], random.random()))
    now_ms = START_MS - HOUR_MS
    frames = [hired(now_ms)]
    lag_ms = toy.horizon_ms - MINUTE_MS
    most = random.choice([1, 2, 5])
    while rows:
        batch, rows = rows[: (size := random.randint(1, most))], rows[size:]
        now_ms = max(now_ms, batch[-1][0])
        marks = everybody(now_ms - lag_ms, now_ms) + some_marks(random, now_ms - lag_ms, now_ms)
        mail = tuple((entity_of(e), e) for _, e in batch)
        frames.append(Frame("", mail, arrivals(now_ms), marks))
        if rows and random.random() < 0.5:  # a tick: time passes and nothing is heard
            now_ms = random.randint(now_ms, max(now_ms, rows[0][0]))
            frames.append(Frame("", (), arrivals(now_ms)))
    newest_ms = max([now_ms, *(event.time_ms for event in events)])  # a clock may have been ahead
    end_ms = newest_ms + toy.grace_ms + 2 * MINUTE_MS
    return [*frames, last_frame(end_ms)]


def without(frames: list[Frame], site: str) -> list[Frame]:
    """*site* says nothing of itself until the last frame."""
    mute = [
        Frame(f.bundle, f.rows, f.arrivals, tuple(m for m in f.sources if m.site != site))
        for f in frames[:-1]
    ]
    return [*mute, *frames[-1:]]
