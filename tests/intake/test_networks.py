from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlator.adapters.yaml_lines import load_yaml
from correlator.event import Network
from correlator.intake.networks import Networks, parse_networks
from tests.intake.company import networks, sites


def test_the_longest_prefix_counts() -> None:
    found = networks()
    assert [name_of(found, f"198.18.{n}.9") for n in (6, 7, 8)] == ["isp-wide", "isp-porto", "isp-wide"]


def test_a_range_of_a_site_gives_the_place_of_the_site() -> None:
    network, place = networks().lookup("10.1.2.3")
    assert network is not None
    assert place is not None
    assert (network.network_class, network.asn, place.site, place.country) == (
        "corporate",
        64496,
        "lisbon",
        "PT",
    )


def test_version_six_and_mapped_addresses() -> None:
    found = networks()
    assert name_of(found, "2001:db8::1") == "isp-wide"
    assert name_of(found, "2001:db9::1") is None
    assert name_of(found, "::ffff:10.1.2.3") == "lan-lisbon"


@pytest.mark.parametrize("ip", ["", "-", "LOCAL", "10.1.2", "1.2.3.4.5", "192.168.1.1", "::1", "999.1.1.1"])
def test_private_unknown_and_impossible_addresses_are_nowhere(ip: str) -> None:
    assert networks().lookup(ip) == (None, None)


@pytest.mark.parametrize("ip", ["10.200.1.1", "198.19.1.1"])
def test_a_vpn_or_mobile_address_keeps_its_class_and_is_no_place(ip: str) -> None:
    network, place = networks().lookup(ip)
    assert network is not None
    assert network.network_class in {"vpn", "mobile"}
    assert place is None


def test_a_geolocation_has_a_radius() -> None:
    _, wide = networks().lookup("198.18.0.1")
    _, porto = networks().lookup("198.18.7.1")
    assert wide is not None
    assert porto is not None
    assert (wide.radius_km, porto.radius_km) == (50.0, 30.0)


def test_every_error_is_found_at_once() -> None:
    text = """\
ranges:
  - {cidr: 10.1.2.0/16, name: a, class: corporate, site: lisbom}
  - {cidr: [10.2.0.0/16, nonsense], name: b, class: hostin}
  - {cidr: 10.2.0.0/16, class: isp, lat: 3}
  - {name: c, class: isp, site: lisbon, lat: 3, lon: 4, asn: many}
"""
    document, lines, _ = load_yaml(text, "networks.yml")
    found, problems = parse_networks(document, lines, sites())
    assert found is None
    told = {(p.line, p.field) for p in problems}
    assert told == {
        (2, "ranges[0].cidr"),
        (2, "ranges[0].site"),
        (3, "ranges[1].cidr[1]"),
        (3, "ranges[1].class"),
        (4, "ranges[2].cidr"),
        (4, "ranges[2].name"),
        (4, "ranges[2].lon"),
        (5, "ranges[3].cidr"),
        (5, "ranges[3].lat"),
        (5, "ranges[3].lon"),
        (5, "ranges[3].asn"),
    }


def name_of(found: Networks, ip: str) -> str | None:
    network, _ = found.lookup(ip)
    return network.name if network else None


# Addresses of a small corner, so that ranges nest, touch and share their ends.
RANGES = st.builds(
    lambda address, length: ip_network((0x0A000000 | address, length), strict=False),
    st.integers(0, 63),
    st.integers(25, 32),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(RANGES, unique=True, max_size=12))
def test_lookup_equals_trying_every_range(ranges: list[object]) -> None:
    nets = [ip_network(str(found)) for found in ranges]
    found = Networks((net, Network(str(net), "isp"), None) for net in nets)
    for last in range(70):
        ip = ip_address(0x0A000000 | last)
        within = sorted((net for net in nets if ip in net), key=lambda net: net.prefixlen)
        assert name_of(found, str(ip)) == (str(within[-1]) if within else None)


def test_ranges_of_version_four_written_as_of_six_are_those_of_version_four() -> None:
    text = 'ranges: [{cidr: "::ffff:10.1.0.0/112", name: lan, class: corporate}]'
    document, lines, _ = load_yaml(text, "networks.yml")
    found, problems = parse_networks(document, lines, None)
    assert found is not None, problems
    assert name_of(found, "10.1.2.3") == name_of(found, "::ffff:10.1.2.3") == "lan"
    assert name_of(found, "10.2.0.0") is None
