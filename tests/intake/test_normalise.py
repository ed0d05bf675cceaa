from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, Event, Place, event_id
from correlator.intake.mapped import Mapped
from correlator.intake.normalise import normalise
from correlator.intake.people import People
from correlator.intake.route import route
from correlator.record import Reject
from tests.intake.company import identity, ms, networks, people, sites

NOW = ms("2026-01-09T08:30")  # a Friday
SITES, NETWORKS = sites(), networks()
PEOPLE = people(
    identity("e1", badges=[{"id": "17"}], accounts=[{"name": "ana@corp"}]),
    identity("e2", home_site="boston", accounts=[{"name": "bob"}]),
)
BADGE = Mapped(
    NOW,
    "901",
    "access",
    "lis-1",
    "badge",
    credential="17",
    credential_class="card",
    reader="lis-main-in",
    outcome="granted",
)
LOGIN = Mapped(
    NOW, "77", "login", "idp", "login", credential="ana@corp", credential_class="account", outcome="success"
)


def event_of(mapped: Mapped, arrival_ms: int = NOW) -> Event:
    found = normalise(mapped, arrival_ms, SITES, NETWORKS, PEOPLE)
    assert isinstance(found, Event), found
    return found


def reject_of(mapped: Mapped, arrival_ms: int = NOW) -> Reject:
    found = normalise(mapped, arrival_ms, SITES, NETWORKS, PEOPLE)
    assert isinstance(found, Reject), found
    assert found.stage == "normalise"
    return found


def change(mapped: Mapped, **fields: object) -> Mapped:
    return msgspec.structs.replace(mapped, **fields)


def place_of(mapped: Mapped) -> Place:
    place = event_of(mapped).place
    assert place is not None
    return place


def test_a_read_has_person_place_direction_and_local_time() -> None:
    event = event_of(BADGE)
    assert (event.id, event.identity_id, event.direction) == (event_id("lis-1", "901"), "e1", "in")
    found = SITES.reader("lis-main-in")
    assert found is not None
    assert event.place is found[0]
    assert (event.offset_min, event.is_business_hours) == (0, True)
    assert route(event, {}) == ("identity:e1", "door:lis-main")


def test_the_sources_direction_wins_over_the_readers() -> None:
    assert event_of(change(BADGE, direction="out")).direction == "out"


def test_the_most_exact_place_that_is_named_counts() -> None:
    assert place_of(change(BADGE, reader="", door="lis-vault-1")).zone == "lis-vault"
    assert place_of(change(BADGE, reader="", site="boston")).site == "boston"
    nowhere = event_of(change(BADGE, reader=""))
    assert nowhere.place is None
    assert route(nowhere, {}) == ("identity:e1",)


@pytest.mark.parametrize(
    ("fields", "reason", "name"),
    [
        ({"reader": "lis-back-in"}, "unknown_reader", "lis-back-in"),
        ({"reader": "", "door": "lis-back"}, "unknown_door", "lis-back"),
        ({"reader": "", "site": "porto"}, "unknown_site", "porto"),
        ({"reader": "", "credential": ""}, "missing_field", "badge"),
        ({"kind": "door", "reader": ""}, "missing_field", "door"),
    ],
)
def test_a_place_that_the_sites_file_does_not_have_is_refused_by_name(
    fields: dict[str, object], reason: str, name: str
) -> None:
    found = reject_of(change(BADGE, **fields))
    assert found.reason == reason
    assert name in found.message
    assert "901" in found.message


def test_an_unknown_badge_is_kept_under_its_own_key() -> None:
    event = event_of(change(BADGE, credential="999"))
    assert event.identity_id == ""
    assert route(event, {}) == ("unresolved:badge:999", "door:lis-main")
    assert route(event_of(change(LOGIN, credential="Eve")), {}) == ("unresolved:account:eve",)


def test_a_read_without_a_badge_belongs_to_its_door() -> None:
    assert route(event_of(change(BADGE, credential="")), {}) == ("door:lis-main",)
    assert reject_of(change(LOGIN, credential="")).reason == "missing_field"


def test_a_doors_own_event_belongs_to_the_door_alone() -> None:
    event = event_of(change(BADGE, kind="door", activity="forced"))
    assert route(event, {}) == ("door:lis-main",)
    assert event.identity_id == ""


def test_a_login_is_at_the_host_when_somebody_sits_there() -> None:
    at_desk = change(LOGIN, host="ws-7", logon_type="console", ip="198.18.7.1")
    assert place_of(at_desk).zone == "lis-vault"
    assert place_of(change(at_desk, logon_type="remote_interactive")).lat == 41.15
    assert place_of(change(at_desk, host="laptop-3")).lat == 41.15


def test_a_login_through_a_sites_network_is_at_the_site() -> None:
    event = event_of(change(LOGIN, ip="10.1.2.3", lat=1.0, lon=2.0))
    assert event.place is not None
    assert event.place.site == "lisbon"
    assert event.network is not None
    assert event.network.network_class == "corporate"


def test_the_sources_geolocation_is_the_last_resort() -> None:
    place = place_of(change(LOGIN, ip="203.0.113.9", lat=40.4, lon=-3.7, country="ES"))
    assert (place.lat, place.lon, place.radius_km, place.country, place.site) == (40.5, -3.75, 70.0, "ES", "")
    assert place_of(change(LOGIN, lat=40.4, lon=-3.7, radius_km=4.1)).radius_km == 25.0
    assert place_of(change(LOGIN, lat=40.4, country="ES")).lat is None
    assert event_of(change(LOGIN, ip="203.0.113.9")).place is None


def test_places_that_sources_say_are_few_however_many_addresses_they_locate() -> None:
    """Each is part of a shape, which is kept for ever."""
    random = Random(7)
    rows = [
        (random.uniform(42.0, 43.0), random.uniform(-2.0, -1.0), random.uniform(0, 9)) for _ in range(5_000)
    ]
    found = {place_of(change(LOGIN, lat=lat, lon=lon, radius_km=km)) for lat, lon, km in rows}
    assert len(found) <= 5 * 5 * 10


@pytest.mark.parametrize("ip", ["10.200.1.1", "198.19.1.1", "10.9.1.1"])
def test_vpn_mobile_and_the_companys_way_out_are_never_a_place(ip: str) -> None:
    event = event_of(change(LOGIN, ip=ip, lat=40.4, lon=-3.7, country="ES"))
    assert event.place is None
    assert event.network is not None


def test_without_a_site_the_persons_home_says_the_local_time() -> None:
    event = event_of(change(LOGIN, credential="bob", ip="198.18.7.1"))
    assert (event.offset_min, event.is_business_hours) == (-300, None)
    unknown = event_of(change(LOGIN, credential="eve"))
    assert (unknown.offset_min, unknown.is_business_hours) == (0, None)


def test_five_minutes_ahead_of_arrival_is_skew_more_is_clamped_and_kept() -> None:
    skewed = event_of(change(BADGE, time_ms=NOW + 5 * MINUTE_MS))
    assert (skewed.time_ms, skewed.time_claimed_ms) == (NOW + 5 * MINUTE_MS, None)
    clamped = event_of(change(BADGE, time_ms=NOW + 5 * MINUTE_MS + 1))
    assert (clamped.time_ms, clamped.time_claimed_ms) == (NOW, NOW + 5 * MINUTE_MS + 1)
    assert clamped.id == skewed.id
    assert event_of(change(BADGE, time_ms=NOW + DAY_MS)).time_ms == NOW


@pytest.mark.parametrize(
    "time_ms", [NOW + DAY_MS + 1, ms("2027-01-09T08:30"), 0, 1_767_947, NOW * 1000, -(1 << 62)]
)
def test_a_time_that_cannot_be_is_refused(time_ms: int) -> None:
    found = reject_of(change(BADGE, time_ms=time_ms))
    assert found.reason == "time_out_of_range"
    assert "901" in found.message


def test_a_late_event_keeps_its_time_and_resolves_as_of_it() -> None:
    moved = people(
        identity("e1", badges=[{"id": "17", "valid_to": "2026-01-09T08:00:00Z"}]),
        identity("e2", badges=[{"id": "17", "valid_from": "2026-01-09T08:00:00Z"}]),
    )
    late = normalise(change(BADGE, time_ms=NOW - HOUR_MS), NOW, SITES, NETWORKS, moved)
    assert isinstance(late, Event)
    assert (late.time_ms, late.identity_id) == (NOW - HOUR_MS, "e1")
    on_time = normalise(BADGE, NOW, SITES, NETWORKS, moved)
    assert isinstance(on_time, Event)
    assert on_time.identity_id == "e2"


NAMES = st.sampled_from(["", "17", "lis-main-in", "lis-main", "lisbon", "WS-7", "ana@corp", "x"])
ANY = st.builds(
    Mapped,
    time_ms=st.integers(-(1 << 60), 1 << 60) | st.integers(NOW - DAY_MS, NOW + DAY_MS),
    native_id=st.text(max_size=3),
    kind=st.sampled_from(["access", "door", "login"]),
    source=st.just("s"),
    feed=st.just("f"),
    credential=NAMES,
    credential_class=st.sampled_from(["", "card", "account"]),
    site=NAMES,
    reader=NAMES,
    door=NAMES,
    host=NAMES,
    ip=st.sampled_from(["", "10.1.1.1", "2001:db8::1", "zz"]) | st.text(max_size=5),
    lat=st.none() | st.floats(-90, 90),
    lon=st.none() | st.floats(-180, 180),
)


@settings(max_examples=200, deadline=None)
@given(ANY)
def test_every_mapped_record_is_an_event_with_a_timeline_or_refused_with_a_reason(mapped: Mapped) -> None:
    found = normalise(mapped, NOW, SITES, NETWORKS, PEOPLE)
    if isinstance(found, Reject):
        assert found.reason
        assert found.message
    else:
        assert found == normalise(mapped, NOW, SITES, NETWORKS, PEOPLE)
        assert found.time_ms <= NOW + 5 * MINUTE_MS
        assert all(key.partition(":")[2] for key in route(found, {}))


def test_nobody_known_is_no_error() -> None:
    found = normalise(BADGE, NOW, SITES, NETWORKS, People(SITES))
    assert isinstance(found, Event)
    assert found.identity_id == ""
