"""Databases of addresses: real files of MaxMind's format, made by a writer of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from correlator.adapters.files import DATABASES, bundle_of, load_bundle, load_texts
from correlator.event import Network, Place
from correlator.intake.networks import Networks
from correlator.intake.providers import GRID_KM
from correlator.problem import BadConfiguration
from correlator.timeline.settings import HALF_ROUND_KM
from tests.intake.company import NETWORKS, SITES

CITY, ASN = "GeoLite2-City", "GeoLite2-ASN"
NAMED = "databases: {city: city.mmdb, asn: asn.mmdb}\n"
PARIS = {
    "country": {"iso_code": "FR"},
    "city": {"names": {"en": "Paris"}},
    "location": {"latitude": 48.8534, "longitude": 2.3488, "accuracy_radius": 20},
}
Rows = dict[str, dict[str, object]]


def write(path: Path, kind: str, rows: Rows) -> None:
    """A database of both versions of addresses, as MaxMind's are."""
    writer = MMDBWriter(6, kind, ipv4_compatible=True, description="made for a test")
    for cidr, record in rows.items():
        writer.insert_network(IPSet([cidr]), record)
    writer.to_db_file(str(path))


def provider(number: int, name: str) -> dict[str, object]:
    return {"autonomous_system_number": number, "autonomous_system_organization": name}


@pytest.fixture
def company(tmp_path: Path) -> Path:
    (tmp_path / "sites.yml").write_text(SITES)
    (tmp_path / "networks.yml").write_text(NAMED + NETWORKS)
    cities: Rows = {
        "203.0.113.0/24": PARIS,
        "2001:db9::/32": {"country": {"iso_code": "SE"}},
        "192.0.2.0/25": PARIS,
        "192.0.2.128/25": PARIS | {"traits": {"is_anycast": True}},
        "10.1.2.0/24": PARIS,
        "100.64.0.0/24": {"location": {"latitude": "north", "longitude": True}, "country": {"iso_code": 7}},
        "100.64.1.0/24": {"location": {"latitude": 40.0, "longitude": -75.0}},
        "100.64.2.0/24": {"location": {"latitude": 40.0, "longitude": -75.0, "accuracy_radius": 10**9}},
    }
    write(tmp_path / "city.mmdb", CITY, cities)
    providers: Rows = {
        "203.0.113.0/24": provider(64501, "Example Telecom"),
        "192.0.2.0/24": provider(14061, "DIGITALOCEAN-ASN"),
        "198.51.100.0/24": {"autonomous_system_number": 64502},
        "10.1.2.0/24": provider(64501, "Example Telecom"),
    }
    write(tmp_path / "asn.mmdb", ASN, providers)
    return tmp_path


def networks(directory: Path) -> Networks:
    return load_bundle(directory).intake.networks


def problems_of(directory: Path) -> list[str]:
    with pytest.raises(BadConfiguration) as raised:
        load_bundle(directory)
    return [str(problem) for problem in raised.value.problems]


def test_an_address_that_no_range_has_is_where_the_database_says(company: Path) -> None:
    network, place = networks(company).lookup("203.0.113.9")
    assert network == Network("Example Telecom", "isp", 64501)
    assert place == Place(lat=48.75, lon=2.25, radius_km=20 + GRID_KM, country="FR")


def test_a_range_goes_before_the_database(company: Path) -> None:
    network, place = networks(company).lookup("10.1.2.3")
    assert network is not None
    assert place is not None
    assert (network.name, place.site) == ("lan-lisbon", "lisbon")


def test_who_hosts_machines_is_no_place(company: Path) -> None:
    assert networks(company).lookup("192.0.2.1") == (Network("DIGITALOCEAN-ASN", "hosting", 14061), None)


def test_what_the_networks_file_says_of_a_provider_goes_before_the_table(company: Path) -> None:
    (company / "networks.yml").write_text(NAMED + "classes: {isp: [14061], vpn: {64501: rented}}\n")
    found = networks(company)
    network, place = found.lookup("192.0.2.1")
    assert network is not None
    assert place is not None
    assert (network.network_class, place.country) == ("isp", "FR")
    network, place = found.lookup("203.0.113.9")
    assert network is not None
    assert (network.network_class, place) == ("vpn", None)


def test_an_own_table_of_providers_is_read_instead_of_the_shipped_one(company: Path) -> None:
    before = load_bundle(company).hash
    (company / "providers.yml").write_text("relay: {64501: a relay}\n")
    bundle = load_bundle(company)
    classes = [bundle.intake.networks.lookup(ip)[0] for ip in ("203.0.113.9", "192.0.2.1")]
    assert [found.network_class for found in classes if found is not None] == ["relay", "isp"]
    assert bundle.hash != before


def test_what_is_in_many_places_is_in_none(company: Path) -> None:
    (company / "networks.yml").write_text("databases: {city: city.mmdb}\n")
    assert networks(company).lookup("192.0.2.200") == (Network("", "isp", 0), None)


def test_a_record_may_say_little_or_nonsense(company: Path) -> None:
    found = networks(company)
    assert found.lookup("2001:db9::1") == (Network("", "isp", 0), Place(country="SE"))
    assert found.lookup("198.51.100.7") == (Network("AS64502", "isp", 64502), None)
    assert found.lookup("100.64.0.1") == (Network("", "isp", 0), None)
    anywhere = found.lookup("100.64.2.1")[1]
    assert anywhere is not None
    assert anywhere.radius_km > HALF_ROUND_KM, "who may be anywhere has travelled nowhere"
    assert found.lookup("100.64.1.1")[1] == Place(lat=40.0, lon=-75.0, radius_km=50 + GRID_KM)
    assert found.lookup("8.8.8.8") == (None, None)
    assert found.lookup("LOCAL") == (None, None)


def test_another_database_is_another_configuration(company: Path) -> None:
    first = load_bundle(company).hash
    assert load_bundle(company).hash == first
    write(company / "city.mmdb", CITY, {"203.0.113.0/24": PARIS | {"country": {"iso_code": "BE"}}})
    assert load_bundle(company).hash != first


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: path.unlink(), r"there is no file .*city\.mmdb"),
        (lambda path: path.write_bytes(b"not a database"), r"city\.mmdb is damaged, or no MaxMind database"),
        (lambda path: path.write_bytes(path.read_bytes()[:90]), r"city\.mmdb is damaged"),
        (lambda path: write(path, ASN, {}), r"city\.mmdb is a database 'GeoLite2-ASN': expected one of City"),
    ],
    ids=["missing", "no database", "cut off", "of another kind"],
)
def test_what_is_wrong_with_a_database_is_told_with_the_line_that_names_it(
    company: Path, spoil: Callable[[Path], object], told: str
) -> None:
    spoil(company / "city.mmdb")
    (problem,) = problems_of(company)
    assert problem.startswith(f"{company}/networks.yml:1:13: error: databases.city: ")
    assert re.search(told, problem)


def test_what_is_wrong_with_classes_is_told_with_its_line(company: Path) -> None:
    (company / "networks.yml").write_text(
        NAMED + "classes: {vpn: [64501, many, 0], isp: {64501: twice}, hostin: [1]}\n"
    )
    told = "\n".join(problems_of(company))
    assert "classes.vpn[1]: 'many' is no number of an autonomous system" in told
    assert "classes.vpn[2]: '0' is no number" in told
    assert "64501 has a class already: vpn" in told
    assert "did you mean 'hosting'?" in told


# ------------------------------------------------------------------- from the topic


def test_a_bundle_of_the_topic_takes_the_database_from_beside_the_process(company: Path) -> None:
    bundle, texts, _ = load_texts(company)
    found = bundle_of(texts, "correlator.", company, is_looked_up=True)
    assert found.hash == bundle.hash
    assert found.intake.networks.lookup("203.0.113.9") == bundle.intake.networks.lookup("203.0.113.9")


def test_who_looks_nothing_up_needs_no_database(company: Path, tmp_path: Path) -> None:
    bundle, texts, _ = load_texts(company)
    (company / "city.mmdb").unlink()
    assert bundle_of(texts, "correlator.", tmp_path / "elsewhere").hash == bundle.hash


def test_a_database_that_was_replaced_is_refused_until_it_is_deployed(company: Path) -> None:
    _, texts, _ = load_texts(company)
    assert DATABASES in texts
    write(company / "city.mmdb", CITY, {})
    with pytest.raises(BadConfiguration, match=r"is not the file that was deployed: .*`correlator deploy`"):
        bundle_of(texts, "correlator.", company, is_looked_up=True)
    late = bundle_of(texts, "correlator.", company)
    with pytest.raises(BadConfiguration, match="is not the file that was deployed"):
        late.intake.networks.lookup("203.0.113.9")
