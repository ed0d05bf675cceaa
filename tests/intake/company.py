"""A small company for the tests of intake: two sites, five doors, some networks, four people."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from correlator.adapters.yaml_lines import load_yaml
from correlator.event import SECOND_MS
from correlator.intake.networks import Networks, parse_networks
from correlator.intake.people import People, Told
from correlator.intake.places import Sites, parse_sites

SITES = """
sites:
  - {id: lisbon, name: Lisbon, country: PT, lat: 38.72, lon: -9.14, time_zone: Europe/Lisbon,
     business_hours: {mon-fri: 07:00-19:00, sat: "08:00-12:00, 13:00-14:00"}, sources: {badge: [lis-1]}}
  - {id: boston, country: US, lat: 42.36, lon: -71.06, radius_km: 2, time_zone: America/New_York}
buildings:
  - {id: lis-hq, site: lisbon}
zones:
  - {id: lis-lobby, site: lisbon, building: lis-hq, criticality: 1}
  - {id: lis-vault, site: lisbon, building: lis-hq, criticality: 5}
  - {id: bos-floor, site: boston}
doors:
  - {id: lis-main, zone: lis-lobby, is_perimeter: true}
  - {id: lis-vault-1, zone: lis-vault, lat: 38.721, lon: -9.141}
  - {id: bos-main, zone: bos-floor, is_perimeter: true}
readers:
  - {id: lis-main-in, door: lis-main, direction: in}
  - {id: lis-main-out, door: lis-main, direction: out}
  - {id: 4711, door: lis-vault-1}
  - {id: bos-main-in, door: bos-main, direction: in}
hosts:
  - {id: WS-7, zone: lis-vault}
  - {id: ws-8, site: boston}
travel:
  - {between: [lisbon, boston], minutes: 540}
  - {between: [lis-lobby, lis-vault], minutes: 3}
"""
NETWORKS = """
ranges:
  - {cidr: 10.1.0.0/16, name: lan-lisbon, class: corporate, site: lisbon, asn: 64496}
  - {cidr: 10.9.0.0/16, name: egress, class: corporate}
  - {cidr: 10.200.0.0/16, name: vpn-pool, class: vpn, country: DE}
  - {cidr: [198.18.0.0/16, "2001:db8::/32"], name: isp-wide, class: isp, lat: 38.7, lon: -9.1, country: PT}
  - {cidr: 198.18.7.0/24, name: isp-porto, class: isp, lat: 41.15, lon: -8.61, radius_km: 30, country: PT}
  - {cidr: 198.19.1.0/24, name: carrier, class: mobile, lat: 48.8, lon: 2.3}
"""


def sites() -> Sites:
    document, lines, problems = load_yaml(SITES, "sites.yml")
    found, more = parse_sites(document, lines)
    assert found is not None, problems + more
    return found


def networks() -> Networks:
    document, lines, problems = load_yaml(NETWORKS, "networks.yml")
    found, more = parse_networks(document, lines, sites())
    assert found is not None, problems + more
    return found


def identity(identity_id: str, **fields: object) -> bytes:
    """The record of an identity, home in Lisbon."""
    return json.dumps({"identity_id": identity_id, "home_site": "lisbon"} | fields).encode()


def people(*records: bytes, arrival_ms: int | None = None) -> People:
    """People who learnt *records*, given in order; offsets count from 1."""
    found = People(sites())
    for offset, record in enumerate(records, 1):
        key = json.loads(record)["identity_id"]
        told = found.apply(offset, key, record, ms("2026-01-01T00:00") if arrival_ms is None else arrival_ms)
        assert isinstance(told, Told), told
    return found


def ms(text: str) -> int:
    """`2026-01-09T08:30`, UTC, in ms."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * SECOND_MS)
