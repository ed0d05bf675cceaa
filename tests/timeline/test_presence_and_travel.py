"""Presence and journeys as folded, against references that look at every earlier event for every question.

The references (`whereabouts`, `journeys`) share no code with `presence`, `travel`, `fold` or `fields`.
"""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.event import HOUR_MS, MINUTE_MS, Event, Network, Place, make_event
from correlator.timeline import fold
from correlator.timeline.fields import FIELDS, value
from correlator.timeline.live import Live, Scalar
from correlator.timeline.observation import Observation
from correlator.timeline.settings import Settings
from tests.timeline.journeys import far_km, least, margin_s, overflows, short_s, telling
from tests.timeline.toy import Toy, ToyProgram
from tests.timeline.whereabouts import entered, is_forgotten, is_undated, likeliest, site_of, spells, sure_of

WHO = "identity:u"
FULL, HALF = 30 * MINUTE_MS, 10 * MINUTE_MS
POINTS = {"a": (38.72, -9.14), "b": (41.15, -8.61), "c": (None, None)}
MINUTES = (("a", "b", 45.0), ("za", "zb", 5.0), ("da1", "da2", 2.0), ("ra1", "rb1", 9.0))
SETTINGS = Settings(
    presence_full_ms=FULL,
    presence_half_life_ms=HALF,
    presence_linger_ms=15 * MINUTE_MS,
    presence_exit_full_ms=50 * MINUTE_MS,
    presence_doubt_ms=HOUR_MS,
    travel_minutes=MINUTES,
)


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
        country=random.choice(["", "PT"]),
        building=random.choice(["", f"h{site}", f"h{site}"]),
        floor=random.choice([None, 0, 1, 40]),
        has_entry_readers=random.random() < 0.7,
        has_exit_readers=random.random() < 0.3,
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
                    skew_s=random.choice([0, 0, 0, 30, -50, 90]),
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
                    logon_type=random.choice(["console", "web", "vpn", ""]),
                    ip=random.choice(["", "192.0.2.1", "192.0.2.2", "198.51.100.9"]),
                    network=random.choice([None, Network("hq", "corporate"), Network("", "isp", 64500)]),
                    place=place,
                    skew_s=random.choice([0, 0, 0, 30, -50, 90]),
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


@given(days(), st.sampled_from([0, 2 * HOUR_MS, 30 * HOUR_MS, 60 * HOUR_MS]))
def test_what_is_pruned_nobody_sees(events: list[Event], later_ms: int) -> None:
    for o in observed(events):
        event = msgspec.structs.replace(o.event, time_ms=o.event.time_ms + later_ms)
        pruned = fold.prune(o.live, event.time_ms, Program())
        before, after = (Observation(WHO, event, live, SETTINGS, event.time_ms) for live in (o.live, pruned))
        for name in FIELDS:
            assert value(before, name) == value(after, name), name


# --------------------------------------------------------------------- presence


@given(days())
def test_presence_is_what_the_reads_say(events: list[Event]) -> None:
    for n, o in enumerate(observed(events)):
        earlier, at_ms, site = events[:n], o.event.time_ms, site_of(o.event)
        known, most = spells(earlier, SETTINGS), likeliest(earlier, at_ms, SETTINGS)
        names = ("site", "zone", "since_s", "zone_since_s", "age_s", "event_id", "left_zone")
        got = [value(o, f"presence.{name}") for name in names]
        if most is None:
            assert got == [None] * 7
        else:
            where, spell = most
            in_zone_s = (at_ms - spell.zone_ms) / 1_000 if spell.zone else None
            ages_s = [(at_ms - spell.since_ms) / 1_000, in_zone_s, (at_ms - spell.seen_ms) / 1_000]
            assert got == [where, spell.zone or None, *ages_s, spell.evidence[-1], spell.left or None]
        sure = sure_of(most[1], at_ms, SETTINGS) if most else 0.0
        assert value(o, "presence.confidence") == pytest.approx(sure)
        here = sure_of(known.get(site), at_ms, SETTINGS)
        assert value(o, "presence.here") == (pytest.approx(here) if site else None)
        left_s = (at_ms - known[site].seen_ms) / 1_000 if site in known and known[site].sure == 0 else None
        is_remembered = left_s is not None and not is_forgotten(known[site], at_ms, SETTINGS)
        assert value(o, "presence.left_s") == (left_s if is_remembered else None)
        place = o.event.place
        inside = entered(o.event) and place and not place.is_perimeter and place.has_entry_readers
        inside = inside and not is_undated(o.event, SETTINGS)
        assert value(o, "presence.is_tailgating") == (here < 0.2 if inside else None)


# ----------------------------------------------------------------------- travel


def shows_card(e: Event) -> bool:
    if e.kind != "access" or not site_of(e):
        return False
    ours = e.reason not in {"unknown_credential", "unassigned", "not_provisioned", "damaged", "factor_error"}
    return ours if e.outcome == "denied" else e.taken != "not_taken"


def logged_in(e: Event) -> bool:
    is_login = e.kind == "login" and e.outcome == "success" and e.is_interactive
    return is_login and e.place is not None and (bool(e.place.site) or e.place.lat is not None)


NAMES = (
    "event_id", "elapsed_s", "distance_km", "minimum_s", "margin_s", "speed_kmh", "is_impossible", "way",
    "site", "country", "time_ms",
)  # fmt: skip


def way(start: Event | None, e: Event) -> dict[str, Scalar]:
    """What the fields of a leg say; nothing where nothing is known about the pair."""
    if start is None or start.place is None or e.place is None:
        return dict.fromkeys(NAMES)
    p, q = start.place, e.place
    found = least(p, q, SETTINGS)
    assert found is not None
    km, gone_s = far_km(p, q), (e.time_ms - start.time_ms) / 1_000
    short, margin = short_s(start, e, SETTINGS), margin_s(start, e, SETTINGS)
    values: tuple[Scalar, ...] = (
        start.id, gone_s, km, found[1], margin, None if km is None else km / ((gone_s + margin) / 3_600),
        short is not None and short > 0, found[0], p.site or None, p.country or None, start.time_ms,
    )  # fmt: skip
    return dict(zip(NAMES, values, strict=True))


@given(days())
def test_journeys_are_from_the_place_of_their_kind_that_tells_most(events: list[Event]) -> None:
    for n, o in enumerate(observed(events)):
        e, earlier = o.event, events[:n]
        body = entered(e) or logged_in(e)
        kinds = {
            "badge": (body, [x for x in earlier if entered(x)]),
            "card": (shows_card(e), [x for x in earlier if shows_card(x)]),
            "login": (body, [x for x in earlier if logged_in(x)]),
        }
        for kind, (applies, starts) in kinds.items():
            if overflows(starts, SETTINGS):
                continue
            wanted = way(telling(starts, e, SETTINGS) if applies else None, e)
            got = {name: value(o, f"travel.{kind}.{name}") for name in NAMES}
            assert got == {
                name: pytest.approx(v, abs=1e-3) if isinstance(v, float) else v for name, v in wanted.items()
            }


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
