"""Presence and journeys as folded, against references that look at every earlier event for every question.

Written from the docs of the fields, sharing no code with `presence`, `travel`, `fold` or `fields`.
"""

from __future__ import annotations

from math import atan2, cos, radians, sin, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.event import HOUR_MS, MINUTE_MS, Event, Place, make_event
from correlator.timeline import fold
from correlator.timeline.fields import value
from correlator.timeline.live import Live, Scalar
from correlator.timeline.observation import Observation
from correlator.timeline.settings import Settings
from tests.timeline.toy import Toy, ToyProgram

WHO = "identity:u"
FULL, HALF = 30 * MINUTE_MS, 10 * MINUTE_MS
POINTS = {"a": (38.72, -9.14), "b": (41.15, -8.61), "c": (None, None)}
MINUTES = (("a", "b", 45.0), ("za", "zb", 5.0), ("da1", "da2", 2.0), ("ra1", "rb1", 9.0))
SETTINGS = Settings(presence_full_ms=FULL, presence_half_life_ms=HALF, travel_minutes=MINUTES)


class Program(ToyProgram):
    """No rules; the settings of this file."""

    def __init__(self) -> None:
        super().__init__(Toy())
        self.settings = SETTINGS


def some_place(random: Random) -> Place:
    site = random.choice(["a", "b", "c", "c", ""])
    lat, lon = POINTS.get(site, (52.5 + random.random(), 13.4))
    number = random.randrange(3)
    return Place(
        site,
        zone=random.choice(["", f"z{site}"]),
        door=random.choice(["", f"d{site}{number}"]),
        reader=random.choice(["", f"r{site}{number}"]),
        lat=lat,
        lon=lon,
        radius_km=random.choice([0.0, 1.0, 400.0]),
        is_perimeter=random.random() < 0.5,
    )


@st.composite
def days(draw: st.DrawFn) -> list[Event]:
    random = draw(st.randoms(use_true_random=False))
    events = []
    for number in random.sample(range(1_000), draw(st.integers(1, 30))):
        time_ms, is_read = random.randrange(240) * MINUTE_MS, random.random() < 0.6
        place = some_place(random) if random.random() < 0.9 else None
        if is_read:
            events.append(
                make_event(
                    time_ms,
                    f"{number:016}",
                    "access",
                    outcome=random.choice(["granted", "granted", "denied"]),
                    reason=random.choice(["", "expired", "factor_error", "unknown_credential"]),
                    taken=random.choice(["taken", "unknown", "not_taken"]),
                    direction=random.choice(["in", "out", "unknown"]),
                    place=place,
                )
            )
        else:
            events.append(
                make_event(
                    time_ms,
                    f"{number:016}",
                    "login",
                    outcome=random.choice(["success", "success", "failure"]),
                    is_interactive=random.random() < 0.7,
                    ip=random.choice(["", "192.0.2.1", "192.0.2.2"]),
                    place=place,
                )
            )
    return sorted(events, key=lambda e: e.order)


def observed(events: list[Event]) -> list[Observation]:
    """What rules see at each event."""
    live, program, seen = Live(), Program(), list[Observation]()
    for event in events:
        seen.append(Observation(WHO, event, live, SETTINGS, event.time_ms))
        live, _ = fold.step(WHO, live, event, program)
    return seen


# --------------------------------------------------------------------- presence


def entered(e: Event) -> bool:
    return e.kind == "access" and e.outcome == "granted" and e.taken != "not_taken" and bool(site_of(e))


def site_of(e: Event) -> str:
    return "" if e.place is None else e.place.site


def left(e: Event) -> bool:
    return e.direction == "out" and e.place is not None and e.place.is_perimeter


def fading(ms: int) -> float:
    """Share of a belief that is left after *ms* without evidence: all, then halves, nothing after eight."""
    halves = (ms - FULL) / HALF
    return 1.0 if halves <= 0 else 0.0 if halves > 8 else 2.0**-halves


def surest(reads: list[Event], at_ms: int) -> tuple[float, int]:
    """Belief that the person is where the last of *reads* was, and since when: over the reads of one stay.

    A stay are the newest reads of one site, none of them an exit, none after the belief had gone. Each
    read is believed as such; every belief fades between two reads from the later of them on.
    """
    if left(reads[-1]):
        return 0.0, reads[-1].time_ms
    stay = [reads[-1]]
    for earlier in reversed(reads[:-1]):
        gap_ms = stay[0].time_ms - earlier.time_ms
        if left(earlier) or site_of(earlier) != site_of(stay[0]) or fading(gap_ms) == 0.0:
            break
        stay.insert(0, earlier)
    best = 0.0
    for n, read in enumerate(stay):
        share = 1.0
        for one, two in zip(stay[n:], stay[n + 1 :], strict=False):
            share *= fading(two.time_ms - one.time_ms)
        best = max(best, (0.95 if read.taken == "taken" else 0.75) * share)
    return best * fading(at_ms - stay[-1].time_ms), stay[0].time_ms


@given(days())
def test_presence_is_what_the_reads_of_the_stay_say(events: list[Event]) -> None:
    for n, o in enumerate(observed(events)):
        reads, at_ms = [e for e in events[:n] if entered(e)], o.event.time_ms
        got = [value(o, f"presence.{name}") for name in ("site", "zone", "since_s", "age_s", "event_id")]
        sure, since_ms = surest(reads, at_ms) if reads else (0.0, 0)
        if not reads or fading(at_ms - reads[-1].time_ms) == 0.0:
            assert got == [None] * 5
        else:
            last = reads[-1]
            zone = last.place.zone if last.place is not None and last.direction != "out" else ""
            age_s = (at_ms - last.time_ms) / 1_000
            assert got == [site_of(last), zone or None, (at_ms - since_ms) / 1_000, age_s, last.id]
        assert value(o, "presence.confidence") == pytest.approx(sure)
        here = sure if reads and site_of(reads[-1]) == site_of(o.event) else 0.0
        assert value(o, "presence.here") == (pytest.approx(here) if site_of(o.event) else None)


# ----------------------------------------------------------------------- travel


def shows_card(e: Event) -> bool:
    if e.kind != "access" or not site_of(e):
        return False
    ours = e.reason not in {"unknown_credential", "unassigned", "not_provisioned", "damaged", "factor_error"}
    return ours if e.outcome == "denied" else e.taken != "not_taken"


def logged_in(e: Event) -> bool:
    is_login = e.kind == "login" and e.outcome == "success" and e.is_interactive
    return is_login and e.place is not None and (bool(e.place.site) or e.place.lat is not None)


def arrow(p: Place) -> tuple[float, float, float] | None:
    """Where *p* is on a sphere of radius 1."""
    if p.lat is None or p.lon is None:
        return None
    up, round_ = radians(p.lat), radians(p.lon)
    return cos(up) * cos(round_), cos(up) * sin(round_), sin(up)


def far_km(p: Place, q: Place) -> float | None:
    """By vectors: the chord between two points of a sphere, and the angle over it."""
    one, two = arrow(p), arrow(q)
    if one is None or two is None:
        return None
    half = sqrt(sum((x - y) ** 2 for x, y in zip(one, two, strict=True))) / 2
    return max(0.0, 6371.0088 * 2 * atan2(half, sqrt(1 - half * half)) - p.radius_km - q.radius_km)


def way(start: Event, e: Event) -> dict[str, Scalar] | None:
    """What the fields of a leg say; None where nothing is known about the pair."""
    p, q = start.place, e.place
    if p is None or q is None or (e.ip and e.ip == start.ip):
        return None
    km = far_km(p, q)
    table = {frozenset(row[:2]): row[2] * 60 for row in MINUTES}
    pairs = [(p.reader, q.reader), (p.door, q.door), (p.zone, q.zone), (p.site, q.site)]
    configured = [table[frozenset(pair)] for pair in pairs if frozenset(pair) in table]
    least_s = None if km is None else km / 800 * 3_600
    least_s = configured[0] if configured else 0.0 if p.site and p.site == q.site else least_s
    if least_s is None:
        return None
    gone_s = (e.time_ms - start.time_ms) / 1_000
    return {
        "event_id": start.id,
        "elapsed_s": gone_s,
        "distance_km": km,
        "minimum_s": least_s,
        "speed_kmh": None if km is None else km / ((gone_s + 120) / 3_600),
        "is_impossible": gone_s + 120 < least_s,
    }


@given(days())
def test_journeys_are_from_the_last_place_of_their_kind(events: list[Event]) -> None:
    for n, o in enumerate(observed(events)):
        e, earlier = o.event, events[:n]
        body = entered(e) or logged_in(e)
        kinds = {
            "badge": (body, [x for x in earlier if entered(x)]),
            "card": (shows_card(e), [x for x in earlier if shows_card(x)]),
            "login": (body, [x for x in earlier if logged_in(x)]),
        }
        for kind, (applies, starts) in kinds.items():
            wanted = way(starts[-1], e) if applies and starts else None
            names = ("event_id", "elapsed_s", "distance_km", "minimum_s", "speed_kmh", "is_impossible")
            got = {name: value(o, f"travel.{kind}.{name}") for name in names}
            assert got == pytest.approx(wanted or dict.fromkeys(names), abs=1e-3)


def test_a_settled_verdict_sees_a_read_after_its_event_as_a_journey_of_that_time() -> None:
    """Six minutes either way: whoever logs in at a and badges at b six minutes later cannot have gone."""
    login = make_event(HOUR_MS, "1" * 16, "login", outcome="success", is_interactive=True, place=Place("a"))
    for minutes, is_impossible in ((6, True), (44, False), (42, True)):
        read = make_event(
            HOUR_MS + minutes * MINUTE_MS, "2" * 16, "access", outcome="granted", place=Place("b")
        )
        o = Observation(WHO, login, Live(badge_places=(read,)), SETTINGS, HOUR_MS + HOUR_MS)
        assert value(o, "travel.badge.elapsed_s") == minutes * 60
        assert value(o, "travel.badge.is_impossible") is is_impossible


def test_of_two_badge_reads_at_one_moment_the_one_with_the_higher_id_is_later() -> None:
    reads = [
        make_event(
            HOUR_MS,
            name * 16,
            "access",
            outcome="granted",
            taken="taken",
            place=Place(site, lat=0.0, lon=0.0),
        )
        for name, site in (("1", "a"), ("2", "b"))
    ]
    o = observed([*reads, make_event(HOUR_MS, "3" * 16, "login", outcome="success", place=Place("b"))])[-1]
    assert (value(o, "presence.site"), value(o, "presence.here")) == ("b", 0.95)
