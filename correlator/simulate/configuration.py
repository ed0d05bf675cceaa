"""Writes a simulated company as a configuration directory, with its records and its truth.

    correlator.yml  sites.yml  networks.yml  identities.jsonl  records/<topic>.jsonl  truth.json

Equal settings give equal bytes. Rules, feeds and schemas are the shipped ones, so the directory does not
hold them.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import yaml

from correlator.record import Record
from correlator.simulate.company import Company
from correlator.simulate.geography import CAMPUS_MINUTES, TRAVEL_MINUTES, Door, Range, Site
from correlator.simulate.people import Badge, Person
from correlator.simulate.wire import TOPICS
from correlator.spelling import utc

PARTITIONS = 4  # of the keyed topic: a small company

_IDENTITY_TYPES = {"service": "service", "contractor": "contractor"}


def write_directory(
    company: Company, out: Path, progress: Callable[[int], None] | None = None, bootstrap: str = ""
) -> None:
    """Write all files under *out*, which is made. *progress* is told each arrival. *bootstrap*: brokers that
    the configuration names. Raises OSError.
    """
    (out / "records").mkdir(parents=True, exist_ok=True)
    for name, document in documents(company, bootstrap).items():
        (out / name).write_text(_yaml(document), encoding="utf-8")
    (out / "identities.jsonl").write_text(
        "".join(f"{json.dumps(row)}\n" for row in identities(company)), encoding="utf-8"
    )
    with ExitStack() as stack:
        paths = {topic: out / "records" / f"{topic}.jsonl" for topic in TOPICS}
        files = {
            topic: stack.enter_context(path.open("w", encoding="utf-8")) for topic, path in paths.items()
        }
        write_records(company.records(), files, progress)
    (out / "truth.json").write_text(json.dumps(company.truth(), indent=1) + "\n", encoding="utf-8")


def write_records(
    records: Iterable[Record], files: Mapping[str, TextIO], progress: Callable[[int], None] | None = None
) -> None:
    """One line a record, by topic. Keys are ASCII words, so that nothing needs escaping."""
    for record in records:
        value = b64encode(record.value or b"").decode()
        key = (record.key or b"").decode()
        files[record.topic].write(
            f'{{"arrival_ms": {record.timestamp_ms}, "partition": {record.partition}, '
            f'"key": "{key}", "value_b64": "{value}"}}\n'
        )
        if progress is not None:
            progress(record.timestamp_ms)


def documents(company: Company, bootstrap: str = "") -> dict[str, object]:
    """The YAML files by name."""
    kafka = {"kafka": {"bootstrap_servers": bootstrap}} if bootstrap else {}
    return {
        "correlator.yml": {"partitions": PARTITIONS} | kafka,
        "sites.yml": sites_document(company.sites),
        "networks.yml": {"ranges": [_range(found) for found in company.ranges.values()]},
    }


def sites_document(sites: tuple[Site, ...]) -> dict[str, object]:
    doors = [door for site in sites for door in site.doors]
    return {
        "sites": [_site(site) for site in sites],
        "buildings": [{"id": building, "site": site.id} for site in sites for building in site.buildings],
        "zones": [
            {"id": zone.id, "site": site.id, "building": zone.building, "criticality": zone.criticality}
            for site in sites
            for zone in site.zones
        ],
        "doors": [{"id": door.id, "zone": door.zone, "is_perimeter": door.is_perimeter} for door in doors],
        "readers": [reader for door in doors for reader in _readers(door)],
        "travel": [{"between": [a, b], "minutes": minutes} for a, b, minutes in TRAVEL_MINUTES]
        + [{"between": [f"{s.code}-office", f"{s.code}-lab"], "minutes": CAMPUS_MINUTES} for s in sites],
    }


def identities(company: Company) -> list[dict[str, object]]:
    """One row a person, with everything known of badges, accounts and status, past and future."""
    return [_identity(person, company.sites) for person in company.people]


def _identity(person: Person, sites: tuple[Site, ...]) -> dict[str, object]:
    return {
        "identity_id": person.id,
        "type": _IDENTITY_TYPES.get(person.role, "employee"),
        "department": person.department,
        "home_site": sites[person.home].id,
        "hired": person.hired.isoformat(),
        "statuses": [{"status": status, "from": since.isoformat()} for since, status in person.statuses],
        "badges": [_badge(badge) for badge in person.badges],
        "accounts": [{"name": account} for account in person.accounts],
    }


def _badge(badge: Badge) -> dict[str, object]:
    return {
        "id": badge.id,
        "class": badge.credential_class,
        "valid_from": _instant(badge.from_ms),
        "valid_to": _instant(badge.to_ms),
        "states": [{"state": state, "from": _instant(since)} for since, state in badge.states],
    }


def _instant(time_ms: int | None) -> str | None:
    return None if time_ms is None else f"{utc(time_ms):%Y-%m-%dT%H:%M:%SZ}"


def _site(site: Site) -> dict[str, object]:
    sources = list(site.controllers)
    return {
        "id": site.id,
        "name": site.id.title(),
        "country": site.country,
        "lat": site.lat,
        "lon": site.lon,
        "time_zone": site.time_zone,
        "business_hours": {"mon-fri": f"{site.opens:02d}:00-{site.closes:02d}:00"},
        "sources": {
            "badge": sources,
            "door": [c for c in sources if any(d.has_contact for d in site.doors if d.controller == c)],
        },
    }


def _readers(door: Door) -> list[dict[str, object]]:
    readers: list[dict[str, object]] = [{"id": door.reader_in, "door": door.id, "direction": "in"}]
    if door.has_exit_reader:
        readers.append({"id": door.reader_out, "door": door.id, "direction": "out"})
    return readers


def _range(found: Range) -> dict[str, object]:
    row: dict[str, object] = {
        "cidr": found.cidr,
        "name": found.name,
        "class": found.network_class,
        "asn": found.asn,
    }
    if found.site:
        row["site"] = found.site
    elif found.lat is not None:
        row |= {"lat": found.lat, "lon": found.lon, "radius_km": found.radius_km, "country": found.country}
    return row


def _yaml(document: object) -> str:
    return yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=160)
