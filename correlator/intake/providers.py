"""What databases of addresses say, as a network and a place: MaxMind's city and ASN files, and the like.

    # networks.yml                       what no range has is looked up in
    databases: {city: GeoLite2-City.mmdb, asn: GeoLite2-ASN.mmdb}   # files beside it, or absolute paths
    classes: {vpn: [64500], isp: [9009]}                             # of providers, before providers.yml

    # providers.yml                      class -> number of an autonomous system -> its name, for people
    hosting: {14618: Amazon, 24940: Hetzner}

A provider that no class names is an isp. Places lie on a grid of a quarter of a degree, and their radius says
so: a neighbourhood is enough to judge journeys between towns, what many addresses share stays few, and a
database that moves an address by a street moves nobody.

May not know: files, the format of a database. Total: a database may hold anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, inf
from typing import Literal, cast, get_args

import msgspec

from correlator.event import Network, NetworkClass, Place
from correlator.intake.document import Fields, Report
from correlator.problem import Lines, Problem

CLASSES: tuple[str, ...] = tuple(name for name in get_args(NetworkClass) if name)
# where such an address is says nothing of the person
NOWHERE = frozenset({"vpn", "relay", "proxy", "hosting", "mobile", "satellite"})
RADIUS_KM = 50.0  # of a geolocation that does not say how exact it is
GRID = 4  # steps of a degree
GRID_KM = 20.0  # that a place may be off by, for lying on the grid
ASN_MAX = (1 << 32) - 1
_NAME_MAX = 60
_FAR_KM = 20_100  # half way round the earth: nothing is farther

Kind = Literal["city", "asn"]
KINDS: tuple[Kind, ...] = ("city", "asn")
Found = tuple[Network | None, Place | None]
Classes = Mapping[int, NetworkClass]
Read = Callable[[str], object]  # an address, as text -> the record of a database; None where it has none
Lookup = Callable[[str], Found]
UNKNOWN: Found = (None, None)


class Named(msgspec.Struct, frozen=True):
    """A database that the networks file names; *place*: where, as a problem without a message."""

    kind: Kind
    file: str
    place: Problem


def parse_providers(document: object, lines: Lines) -> tuple[dict[int, NetworkClass] | None, list[Problem]]:
    """Classes by number of a parsed providers file, or None and every problem that it has."""
    report = Report(lines)
    found = read_classes(Fields(document, (), report, CLASSES))
    return (None if report.has_errors else found), report.problems


def read_classes(fields: Fields | None) -> dict[int, NetworkClass]:
    """Of each class a list of numbers, or numbers with names."""
    found: dict[int, NetworkClass] = {}
    for name in fields.keys() if fields is not None else ():
        assert fields is not None, "has keys"
        value = fields.value(name)
        keys = [((*fields.path, name, key), key) for key in value] if isinstance(value, dict) else None
        for path, text in fields.texts(name) if keys is None else keys:
            asn = int(text) if text.isascii() and text.isdigit() and len(text) < 11 else 0
            if not 0 < asn <= ASN_MAX:
                fields.report.problem(path, f"{text!r} is no number of an autonomous system")
            elif asn in found:
                fields.report.problem(path, f"{asn} has a class already: {found[asn]}")
            else:
                found[asn] = cast("NetworkClass", name)
    return found


def read_named(fields: Fields | None, lines: Lines) -> tuple[Named, ...]:
    """The section `databases` of the networks file."""
    if fields is None:
        return ()
    return tuple(
        Named(kind, fields.text(kind, required=True), lines.problem((*fields.path, kind), ""))
        for kind in KINDS
        if fields.has(kind)
    )


def lookup_in(reads: Mapping[Kind, Read], classes: Classes) -> Lookup:
    """Asks the databases of *reads* for an address, and says what they know of it."""

    def lookup(ip: str) -> Found:
        city, asn = (reads[kind](ip) if kind in reads else None for kind in KINDS)
        if city is None and asn is None:
            return UNKNOWN
        network = _network(asn, classes)
        return network, None if network.network_class in NOWHERE else _place(city)

    return lookup


def located_km(lat: float | None, radius_km: float | None) -> float:
    """Radius of a geolocation: `RADIUS_KM` where it says nothing, 0 where there are no coordinates."""
    if lat is None:
        return 0.0
    return RADIUS_KM if radius_km is None else radius_km


def on_grid(lat: float | None, lon: float | None, radius_km: float | None, country: str) -> Place:
    """Where a geolocation puts an address; only the country where it has no coordinates."""
    if lat is None or lon is None:
        return Place(country=country)
    near_km = float(ceil(located_km(lat, radius_km))) + GRID_KM
    return Place(
        lat=round(lat * GRID) / GRID, lon=round(lon * GRID) / GRID, radius_km=near_km, country=country
    )


def _network(record: object, classes: Classes) -> Network:
    number, name = _at(record, "autonomous_system_number"), _at(record, "autonomous_system_organization")
    asn = number if isinstance(number, int) and 0 < number <= ASN_MAX else 0
    if not (isinstance(name, str) and name):
        name = f"AS{asn}" if asn else ""
    return Network(name[:_NAME_MAX], classes.get(asn, "isp"), asn)


def _place(record: object) -> Place | None:
    """Without coordinates only the country. An address that is in many places is in none."""
    if _at(record, "traits", "is_anycast") is True:
        return None
    code = _at(record, "country", "iso_code")
    country = code if isinstance(code, str) and len(code) == 2 and code.isascii() else ""
    lat, lon = _number(record, "latitude", 90), _number(record, "longitude", 180)
    if (lat is None or lon is None) and not country:
        return None
    radius_km = _number(record, "accuracy_radius", inf)
    if radius_km is not None:  # more than round the world is anywhere, not nowhere near
        radius_km = min(radius_km, _FAR_KM) if radius_km >= 0 else None
    return on_grid(lat, lon, radius_km, country)


def _number(record: object, name: str, most: float) -> float | None:
    found = _at(record, "location", name)
    if not isinstance(found, int | float) or isinstance(found, bool) or not abs(found) <= most:
        return None
    return float(found)


def _at(record: object, *path: str) -> object:
    for name in path:
        record = record.get(name) if isinstance(record, Mapping) else None
    return record
