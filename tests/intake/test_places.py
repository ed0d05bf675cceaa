from __future__ import annotations

import pytest

from correlator.adapters.yaml_lines import load_yaml
from correlator.intake.places import parse_sites
from correlator.problem import Problem
from tests.intake.company import SITES, ms, sites


def problems_of(text: str, feeds: list[str] | None = None) -> list[Problem]:
    document, lines, problems = load_yaml(text, "sites.yml")
    found, more = parse_sites(document, lines, feeds)
    assert found is None or not more
    return problems + more


def test_reader_knows_its_door_zone_building_and_site() -> None:
    found = sites().reader("lis-main-in")
    assert found is not None
    place, direction = found
    assert direction == "in"
    assert (place.reader, place.door, place.zone, place.building, place.site) == (
        "lis-main-in",
        "lis-main",
        "lis-lobby",
        "lis-hq",
        "lisbon",
    )
    assert place.is_perimeter
    assert (place.criticality, place.country, place.lat) == (1, "PT", 38.72)


def test_numeric_ids_are_text_and_the_door_may_have_coordinates_of_its_own() -> None:
    found = sites().reader("4711")
    assert found is not None
    place, direction = found
    assert direction == "unknown"
    assert (place.lat, place.lon, place.radius_km, place.criticality) == (38.721, -9.141, 0.0, 5)


def test_places_are_shared_and_unknown_names_are_none() -> None:
    company = sites()
    assert company.door("lis-main") is company.door("lis-main")
    assert company.reader("nothing") is None
    assert company.door("nothing") is None
    assert company.host("nothing") is None
    assert company.site("nothing") is None


def test_hosts_stand_in_a_zone_or_at_a_site_whatever_the_case_of_their_name() -> None:
    company = sites()
    in_zone, at_site = company.host("ws-7"), company.host("WS-8")
    assert in_zone is not None
    assert at_site is not None
    assert (in_zone.zone, at_site.site, at_site.zone) == ("lis-vault", "boston", "")


def test_hours_and_sources_are_what_the_marks_need() -> None:
    lisbon, boston = sites().timing()
    assert (lisbon.site, lisbon.time_zone, lisbon.sources) == (
        "lisbon",
        "Europe/Lisbon",
        (("badge", "lis-1"),),
    )
    assert lisbon.business_hours[0] == (7 * 60, 19 * 60)
    assert lisbon.business_hours[-2:] == ((5 * 1440 + 480, 5 * 1440 + 720), (5 * 1440 + 780, 5 * 1440 + 840))
    assert boston.business_hours == ()


def test_local_time_follows_daylight_saving() -> None:
    lisbon, boston = sites().site("lisbon"), sites().site("boston")
    assert lisbon is not None
    assert boston is not None
    assert lisbon.local(ms("2026-01-09T12:00")) == (0, True)  # a Friday
    assert lisbon.local(ms("2026-07-10T06:30")) == (60, True)  # 07:30 in Lisbon
    assert lisbon.local(ms("2026-01-09T06:30")) == (0, False)
    assert boston.local(ms("2026-01-09T12:00")) == (-300, None)


def test_travel_times_are_given_as_written() -> None:
    assert sites().travel_minutes == (("lisbon", "boston", 540.0), ("lis-lobby", "lis-vault", 3.0))


@pytest.mark.parametrize(
    ("hours", "week"),
    [
        ("{mon: 07:00-19:00}", [(420, 1140)]),
        ("{mon-tue: 00:00-24:00}", [(0, 2880)]),
        ("{sun: 22:00-06:00}", [(0, 360), (6 * 1440 + 1320, 7 * 1440)]),
        (
            "{sat-mon: 10:00-11:00}",
            [(600, 660), (5 * 1440 + 600, 5 * 1440 + 660), (6 * 1440 + 600, 6 * 1440 + 660)],
        ),
        ("{mon: [07:00-12:00, 12:00-13:00]}", [(420, 780)]),
        ('{"mon,wed": 9:00-10:00}', [(540, 600), (2 * 1440 + 540, 2 * 1440 + 600)]),
    ],
)
def test_business_hours(hours: str, week: list[tuple[int, int]]) -> None:
    text = SITES.replace('{mon-fri: 07:00-19:00, sat: "08:00-12:00, 13:00-14:00"}', hours)
    document, lines, _ = load_yaml(text, "sites.yml")
    found, problems = parse_sites(document, lines)
    assert problems == []
    assert found is not None
    assert list(found.timing()[0].business_hours) == week


def test_every_error_is_found_at_once_with_its_place() -> None:
    text = """\
sites:
  - {id: lisbon, country: Portugal, lat: 38.72, time_zone: Europe/Lisbonne,
     business_hours: {mon-fri: 07:00-19:00, fri: 18:00-20:00, monday: 07:00-19:00, sat: 7-19}}
  - {id: lisbon, lat: 1, lon: 400, time_zone: UTC, radius: 3}
  - {lat: 1, lon: 2, time_zone: UTC, sources: {bagde: [x]}}
zones:
  - {id: lobby, site: lisboa, criticality: 9}
doors:
  - {id: main, zone: loby}
readers:
  - {id: r1, door: main, direction: inward}
  - {id: r1, door: main}
hosts:
  - {id: ws-1}
travel:
  - {between: [lisbon, lobby], minutes: 3}
  - {between: [lisbon], minutes: 3}
  - {between: [lisbon, nowhere]}
gates: []
"""
    told = {(p.line, p.field): p.message for p in problems_of(text, ["badge"])}
    expected = {
        (2, "sites[0].country"): "'Portugal' is no ISO",
        (2, "sites[0].lon"): "lon is missing",
        (2, "sites[0].time_zone"): "no time zone",
        (3, "sites[0].business_hours.fri"): "overlap others on fri",
        (3, "sites[0].business_hours.monday"): "no day of the week",
        (3, "sites[0].business_hours.sat"): "no span of time",
        (4, "sites[1].id"): "twice, first in line 2",
        (4, "sites[1].radius"): "did you mean 'radius_km'?",
        (5, "sites[2].id"): "id is missing",
        (5, "sites[2].sources.bagde"): "did you mean 'badge'?",
        (7, "zones[0].site"): "there is no site 'lisboa' (did you mean 'lisbon'?)",
        (7, "zones[0].criticality"): "from 0 to 5",
        (9, "doors[0].zone"): "there is no zone 'loby' (did you mean 'lobby'?)",
        (11, "readers[0].direction"): "one of in, out, unknown",
        (12, "readers[1].id"): "twice, first in line 11",
        (14, "hosts[0].site"): "site is missing",
        (16, "travel[0].between"): "joins two of one kind",
        (17, "travel[1].between"): "names two",
        (18, "travel[2].minutes"): "minutes is missing",
        (18, "travel[2].between[1]"): "there is no site, zone, door or reader 'nowhere'",
        (19, "gates"): "unknown key 'gates'",
    }
    assert set(told) == set(expected)
    for place, part in expected.items():
        assert part in told[place], place


@pytest.mark.parametrize("text", ["[]", "sites: 3", "sites: []", "zones: []", "sites: [3]", "x"])
def test_a_document_of_another_shape_is_a_problem(text: str) -> None:
    assert problems_of(text)


def test_a_building_of_another_site_is_refused() -> None:
    text = SITES.replace("{id: bos-floor, site: boston}", "{id: bos-floor, site: boston, building: lis-hq}")
    assert [problem.field for problem in problems_of(text)] == ["zones[2].building"]


def test_ways_count_in_both_directions() -> None:
    text = SITES + "  - {between: [boston, lisbon], minutes: 500}\n"
    [problem] = problems_of(text)
    assert "both directions" in problem.message


READERS = """
sites: [{id: a, lat: 1, lon: 1, time_zone: UTC}, {id: b, lat: 2, lon: 2, time_zone: UTC, exit_readers: true}]
buildings: [{id: a-hq, site: a}]
zones:
  - {id: a-hall, site: a, building: a-hq, floor: 0}
  - {id: a-lab, site: a, building: a-hq, floor: -1, passback: soft}
  - {id: b-hall, site: b}
doors:
  - {id: a-1, zone: a-hall, is_perimeter: true}
  - {id: a-2, zone: a-hall, is_perimeter: true}
  - {id: a-3, zone: a-lab}
  - {id: b-1, zone: b-hall}
readers:
  - {id: a-1-out, door: a-1, direction: out}
"""


def test_a_site_has_exit_readers_if_all_its_perimeter_doors_have_or_it_says_so() -> None:
    for more, has_exits in (("", False), ("  - {id: a-2-out, door: a-2, direction: out}\n", True)):
        document, lines, _ = load_yaml(READERS + more, "sites.yml")
        found, problems = parse_sites(document, lines)
        assert found is not None
        assert problems == []
        inside, there = found.door("a-3"), found.door("b-1")
        assert inside is not None
        assert there is not None
        assert (inside.has_entry_readers, inside.has_exit_readers) == (True, has_exits)
        assert (there.has_entry_readers, there.has_exit_readers) == (False, True)
        assert (inside.floor, inside.passback, there.floor, there.passback) == (-1, "soft", None, "")


def test_a_floor_that_is_none_and_an_unknown_passback_are_problems() -> None:
    text = READERS.replace("floor: -1", "floor: 1000").replace("passback: soft", "passback: firm")
    assert len(problems_of(text)) == 2


def test_a_source_of_a_feed_that_is_not_read_says_where_feeds_are_named() -> None:
    text = "sites: [{id: a, country: PT, lat: 1, lon: 1, time_zone: Europe/Lisbon, sources: {badge: [c1]}}]"
    (problem,) = problems_of(text, ["vendor"])
    assert problem.field == "sites[0].sources.badge"
    assert problem.message.startswith("no feed 'badge' is read: there are vendor; feeds: of correlator.yml")
    assert problems_of(text, ["badge"]) == []
    assert problems_of(text) == []
