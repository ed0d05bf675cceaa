"""The networks file: which address ranges belong to a site, a provider, a VPN, and where that is.

    ranges:
      - {cidr: 10.1.0.0/16, name: lan-lisbon, class: corporate, site: lisbon, asn: 64496}
      - {cidr: [198.18.0.0/24, "2001:db8::/32"], name: isp-lisbon, class: isp,
         lat: 38.74, lon: -9.16, radius_km: 40, country: PT}

Ranges may lie within each other: the longest prefix counts. A VPN, relay, proxy, hosting, mobile or satellite
address is never a place, whatever the file says of it: only its class is kept. What no range has is looked up
in `databases`, if the file names any (`providers`).

May not know: files, feeds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import cast

from correlator.address import plain_address, plain_network
from correlator.event import Network, NetworkClass, Place
from correlator.intake.document import Fields, Report, nearest
from correlator.intake.places import Sites, country_of
from correlator.intake.providers import (
    ASN_MAX,
    CLASSES,
    KINDS,
    NOWHERE,
    UNKNOWN,
    Classes,
    Found,
    Lookup,
    Named,
    located_km,
    read_classes,
    read_named,
)
from correlator.problem import Lines, Path, Problem

_CACHE_MAX = 65_536  # addresses remembered; all are forgotten when there are more
_KEYS = ("cidr", "name", "class", "asn", "site", "lat", "lon", "radius_km", "country")

_Range = tuple[IPv4Network | IPv6Network, Network, Place | None]


class Networks:
    """Longest-prefix lookup over ranges that were flattened into disjoint pieces; what none of them has is
    asked of *beyond*. *named* and *classes* are what the file says of databases.
    """

    def __init__(
        self,
        ranges: Iterable[_Range] = (),
        named: tuple[Named, ...] = (),
        classes: Classes | None = None,
        beyond: Lookup | None = None,
    ) -> None:
        rows = list(ranges)
        self.named, self.classes, self.beyond = named, classes or {}, beyond
        self._starts: dict[int, list[int]] = {}  # version of IP -> where pieces begin
        self._found: dict[int, list[Found]] = {}
        for version in (4, 6):
            pieces = _flatten([row for row in rows if row[0].version == version])
            self._starts[version] = [start for start, _ in pieces]
            self._found[version] = [found for _, found in pieces]
        self._cache: dict[str, Found] = {}

    def lookup(self, ip: str) -> Found:
        """What is known of the address *ip*; (None, None) where no range has it, or it is no address."""
        found = self._cache.get(ip)
        if found is None:
            if len(self._cache) >= _CACHE_MAX:
                self._cache.clear()
            found = self._cache[ip] = self._search(ip)
        return found

    def _search(self, ip: str) -> Found:
        try:
            address = plain_address(ip)
        except ValueError:
            return UNKNOWN
        at = bisect_right(self._starts[address.version], int(address)) - 1
        found = self._found[address.version][at] if at >= 0 else UNKNOWN
        return found if found[0] is not None or self.beyond is None else self.beyond(str(address))


def _flatten(rows: list[_Range]) -> list[tuple[int, Found]]:
    """Disjoint pieces (start, what is known from there on), by start. Networks nest or are apart."""
    pieces: list[tuple[int, Found]] = []
    within: list[tuple[int, Found]] = []  # (first address beyond, found), outermost first
    for network, known, place in sorted(
        rows, key=lambda row: (int(row[0].network_address), row[0].prefixlen)
    ):
        start, beyond = int(network.network_address), int(network.broadcast_address) + 1
        _leave(within, pieces, start)
        pieces.append((start, (known, place)))
        within.append((beyond, (known, place)))
    _leave(within, pieces, 1 << 129)
    return sorted(dict(pieces).items())  # of pieces that begin at one address the last, innermost one counts


def _leave(within: list[tuple[int, Found]], pieces: list[tuple[int, Found]], start: int) -> None:
    while within and within[-1][0] <= start:
        beyond, _ = within.pop()
        pieces.append((beyond, within[-1][1] if within else UNKNOWN))


def parse_networks(
    document: object, lines: Lines, sites: Sites | None
) -> tuple[Networks | None, list[Problem]]:
    """The networks of a parsed networks file, or None and every problem that it has.

    Without *sites* (their file has errors) the names of sites are not checked.
    """
    report = Report(lines)
    ranges: list[_Range] = []
    first: dict[IPv4Network | IPv6Network, Path] = {}
    top = Fields(document, (), report, ("ranges", "databases", "classes"))
    named = read_named(top.part("databases", KINDS), lines)
    classes = read_classes(top.part("classes", CLASSES))
    for row in top.rows("ranges", _KEYS):
        network_class = row.choice("class", CLASSES)
        network = Network(
            row.text("name", required=True),
            cast("NetworkClass", network_class),
            row.whole("asn", 0, ASN_MAX, 0),
        )
        place = _place(row, sites)
        for path, cidr in _cidrs(row):
            if cidr in first:
                report.problem(path, f"{cidr} is here twice, first in line {report.line(first[cidr])}")
            first[cidr] = path
            ranges.append((cidr, network, None if network_class in NOWHERE else place))
    return (None if report.has_errors else Networks(ranges, named, classes)), report.problems


def _cidrs(row: Fields) -> list[tuple[Path, IPv4Network | IPv6Network]]:
    if not row.has("cidr"):
        row.problem("cidr", "cidr is missing")
    found = []
    for path, text in row.texts("cidr"):
        try:
            found.append((path, plain_network(ip_network(text, strict=False))))
        except ValueError:
            row.report.problem(path, f"{text!r} is no address range such as 10.1.0.0/16 or 2001:db8::/32")
            continue
        address = text.partition("/")[0]
        if plain_address(address) != found[-1][1].network_address:
            row.report.problem(path, f"{text} begins within a range: write {found[-1][1]}")
    return found


def _place(row: Fields, sites: Sites | None) -> Place | None:
    """Where the range is: a site, or coordinates, or only a country, or nothing."""
    lat, lon = row.number("lat", -90, 90), row.number("lon", -180, 180)
    radius_km, country = row.number("radius_km", 0, 20_100), country_of(row)
    if row.has("site"):
        for name in ("lat", "lon", "radius_km", "country"):
            if row.has(name):
                row.problem(name, f"{name} comes from the site: leave it out, or leave out the site")
        site_id = row.text("site")
        site = sites.site(site_id) if sites is not None else None
        if site is None and sites is not None:
            row.problem("site", f"there is no site {site_id!r}{nearest(site_id, sites.site_ids())}")
        return site.place if site else None
    if row.has("lat") != row.has("lon"):
        row.problem("lon" if row.has("lat") else "lat", "lat and lon are given together or not at all")
    if lat is None and not country:
        return None
    return Place(lat=lat, lon=lon, radius_km=located_km(lat, radius_km), country=country)
