"""The simulated company's places: four sites in four time zones, their doors, readers, controllers and
networks.

Static: the same for every seed. Coordinates in degrees (WGS 84), minutes of travel door to door.
Addresses are private ones on site and of the benchmarking range (RFC 2544) outside, so that none belongs
to anybody.
"""

from __future__ import annotations

import msgspec


class Door(msgspec.Struct, frozen=True):
    id: str
    zone: str  # that is entered
    controller: str  # the source of its records
    criticality: int  # of the zone, 1 public .. 5 vital
    is_perimeter: bool = False
    has_exit_reader: bool = False
    has_contact: bool = (
        False  # reports opened, closed, held, forced, rex; its reads say whether they were taken
    )

    @property
    def reader_in(self) -> str:
        return f"{self.id}-in"

    @property
    def reader_out(self) -> str:
        return f"{self.id}-out"


class Zone(msgspec.Struct, frozen=True):
    id: str
    building: str
    criticality: int


class Site(msgspec.Struct, frozen=True):
    number: int
    id: str
    code: str
    country: str
    time_zone: str
    lat: float
    lon: float
    metro: str  # ISP where its people live
    share: float  # of the company's people
    opens: int  # local hour
    closes: int
    buildings: tuple[str, ...]
    zones: tuple[Zone, ...]
    doors: tuple[Door, ...]
    controllers: tuple[str, ...]
    holidays: frozenset[tuple[int, int]]  # (month, day)

    def door(self, short: str) -> Door:
        """The door `<code>-<short>`. Raises KeyError."""
        for door in self.doors:
            if door.id == f"{self.code}-{short}":
                return door
        raise KeyError(short)

    @property
    def main_doors(self) -> tuple[Door, ...]:
        return tuple(door for door in self.doors if "-main-" in door.id)

    @property
    def critical_doors(self) -> tuple[Door, ...]:
        return tuple(door for door in self.doors if door.criticality >= 3)


class Range(msgspec.Struct, frozen=True):
    """An address range of the networks file. *prefix* is the first two octets."""

    name: str
    prefix: str
    network_class: str
    site: str = ""
    lat: float | None = None
    lon: float | None = None
    radius_km: float = 0.0
    country: str = ""
    asn: int = 0

    @property
    def cidr(self) -> str:
        return f"{self.prefix}.0.0/16" if self.prefix.count(".") == 1 else f"{self.prefix}.0/24"

    def address(self, number: int) -> str:
        """The *number*-th host of the range, repeating after its size."""
        if self.prefix.count(".") == 1:
            return f"{self.prefix}.{number // 250 % 250 + 1}.{number % 250 + 2}"
        return f"{self.prefix}.{number % 250 + 2}"


# (id, code, country, zone, lat, lon, metro, share, opens, closes, exit readers at the perimeter, holidays)
_SITES = (
    ("lisbon", "lis", "PT", "Europe/Lisbon", 38.7223, -9.1393, "isp-lisbon", 0.40, 8, 19, False,
     {(1, 1), (4, 25), (5, 1), (6, 10), (8, 15), (10, 5), (11, 1), (12, 1), (12, 8), (12, 25)}),
    ("berlin", "ber", "DE", "Europe/Berlin", 52.5200, 13.4050, "isp-berlin", 0.25, 8, 18, True,
     {(1, 1), (3, 8), (5, 1), (10, 3), (12, 25), (12, 26)}),
    ("singapore", "sin", "SG", "Asia/Singapore", 1.3521, 103.8198, "isp-singapore", 0.20, 8, 19, False,
     {(1, 1), (2, 17), (2, 18), (5, 1), (8, 9), (12, 25)}),
    ("boston", "bos", "US", "America/New_York", 42.3601, -71.0589, "isp-boston", 0.15, 8, 18, False,
     {(1, 1), (1, 19), (5, 25), (7, 4), (9, 7), (11, 26), (12, 25)}),
)  # fmt: skip

# (door, zone, building, criticality, controller, perimeter, exit reader, contact)
_DOORS = (
    ("main-1", "lobby", "hq", 1, 1, True, False, False),
    ("main-2", "lobby", "hq", 1, 1, True, False, False),
    ("garage", "lobby", "hq", 1, 2, True, False, True),
    ("side", "lobby", "hq", 1, 3, True, False, True),
    ("dock", "dock", "hq", 2, 2, True, False, True),
    ("floor-1", "office", "hq", 2, 1, False, False, False),
    ("floor-2", "office", "hq", 2, 2, False, False, False),
    ("floor-3", "office", "hq", 2, 3, False, False, False),
    ("store", "store", "hq", 2, 2, False, False, True),
    ("archive", "archive", "hq", 3, 2, False, False, False),
    ("security", "security", "hq", 4, 2, False, False, True),
    ("dc-1", "data-centre", "hq", 5, 2, False, True, True),
    ("dc-2", "data-centre", "hq", 5, 2, False, True, True),
    ("lab-main", "lab-lobby", "lab", 1, 4, True, False, True),
    ("lab-1", "lab", "lab", 3, 4, False, False, False),
    ("lab-2", "lab", "lab", 3, 4, False, False, True),
    ("lab-clean", "clean-room", "lab", 4, 4, False, True, True),
    ("lab-fire", "lab", "lab", 3, 4, False, False, True),
)

# (name, prefix, class, lat, lon, radius, country, asn)
_OUTSIDE = (
    ("isp-lisbon", "198.18", "isp", 38.74, -9.16, 40.0, "PT", 64500),
    ("isp-berlin", "198.18.1", "isp", 52.50, 13.42, 40.0, "DE", 64501),
    ("isp-singapore", "198.18.2", "isp", 1.34, 103.85, 30.0, "SG", 64502),
    ("isp-boston", "198.18.3", "isp", 42.35, -71.10, 40.0, "US", 64503),
    ("isp-porto", "198.18.4", "isp", 41.15, -8.61, 30.0, "PT", 64500),
    ("isp-hamburg", "198.18.5", "isp", 53.55, 9.99, 30.0, "DE", 64501),
    ("isp-tokyo", "198.18.10", "isp", 35.68, 139.69, 40.0, "JP", 64510),
    ("isp-sao-paulo", "198.18.11", "isp", -23.55, -46.63, 50.0, "BR", 64511),
    ("isp-lagos", "198.18.12", "isp", 6.52, 3.38, 50.0, "NG", 64512),
    ("isp-sydney", "198.18.13", "isp", -33.87, 151.21, 40.0, "AU", 64513),
    ("isp-johannesburg", "198.18.14", "isp", -26.20, 28.05, 60.0, "ZA", 64514),
    ("isp-nordic-wide", "198.18.20", "isp", 46.20, -1.50, 900.0, "FR", 64520),
    ("isp-java-wide", "198.18.21", "isp", -3.00, 109.00, 700.0, "ID", 64521),
    ("isp-atlantic-wide", "198.18.22", "isp", 45.00, -66.00, 400.0, "CA", 64522),
    ("hotel-madrid", "198.18.30", "isp", 40.42, -3.70, 20.0, "ES", 64530),
    ("hotel-london", "198.18.31", "isp", 51.51, -0.13, 20.0, "GB", 64531),
    ("hotel-chicago", "198.18.32", "isp", 41.88, -87.63, 30.0, "US", 64532),
    ("hotel-bangkok", "198.18.33", "isp", 13.76, 100.50, 30.0, "TH", 64533),
    ("mobile-carrier", "198.19.1", "mobile", 48.86, 2.35, 1000.0, "FR", 64540),
    ("cloud-hosting", "198.19.2", "hosting", 39.04, -77.49, 50.0, "US", 64541),
    ("private-relay", "198.19.3", "relay", 37.77, -122.42, 50.0, "US", 64542),
    ("vpn-egress", "198.19.4", "vpn", 50.11, 8.68, 20.0, "DE", 64543),
)

HOTELS = ("hotel-madrid", "hotel-london", "hotel-chicago", "hotel-bangkok")
FAR_ISPS = ("isp-tokyo", "isp-sao-paulo", "isp-lagos", "isp-sydney", "isp-johannesburg")
# An address whose radius reaches to within 500 km of the site, though its centre lies farther.
WIDE_ISPS = {"lisbon": "isp-nordic-wide", "berlin": "isp-nordic-wide",
             "singapore": "isp-java-wide", "boston": "isp-atlantic-wide"}  # fmt: skip
NEAR_ISPS = {
    "lisbon": "isp-porto",
    "berlin": "isp-hamburg",
    "singapore": "isp-singapore",
    "boston": "isp-boston",
}

# Least minutes from door to door between sites: flight, airports, taxi.
TRAVEL_MINUTES = (
    ("lisbon", "berlin", 300), ("lisbon", "singapore", 960), ("lisbon", "boston", 540),
    ("berlin", "singapore", 840), ("berlin", "boston", 600), ("singapore", "boston", 1260),
)  # fmt: skip
CAMPUS_MINUTES = 6  # between the offices and the laboratory building of one site

# Clocks that are off, in ms, and the controller that is offline now and then and uploads hours later.
CLOCK_SKEW_MS = {"lis-ctl-2": 25_000, "ber-ctl-4": -20_000, "bos-ctl-1": -35_000, "sin-ctl-2": 12_000}
LATE_CONTROLLER = "sin-ctl-3"
LATE_SITE = "singapore"


def make_sites() -> tuple[Site, ...]:
    """The four sites, largest first."""
    return tuple(_site(number, *row) for number, row in enumerate(_SITES))


def _site(number: int, *row: object) -> Site:
    site_id, code, country, zone, lat, lon, metro, share, opens, closes, has_exits, holidays = row
    doors = tuple(
        Door(
            f"{code}-{name}", f"{code}-{zone_name}", f"{code}-ctl-{controller}", criticality, is_perimeter,
            has_exit or (is_perimeter and bool(has_exits)), has_contact,
        )
        for name, zone_name, _, criticality, controller, is_perimeter, has_exit, has_contact in _DOORS
    )  # fmt: skip
    zones = {f"{code}-{d[1]}": Zone(f"{code}-{d[1]}", f"{code}-{d[2]}", d[3]) for d in _DOORS}
    return msgspec.convert(
        {
            "number": number, "id": site_id, "code": code, "country": country, "time_zone": zone,
            "lat": lat, "lon": lon, "metro": metro, "share": share, "opens": opens, "closes": closes,
            "buildings": (f"{code}-hq", f"{code}-lab"), "zones": tuple(zones.values()), "doors": doors,
            "controllers": tuple(f"{code}-ctl-{n}" for n in range(1, 5)), "holidays": frozenset(holidays),  # type: ignore[call-overload]
        },
        Site,
    )  # fmt: skip


def make_ranges(sites: tuple[Site, ...]) -> dict[str, Range]:
    """Every address range by name: each site's LAN and public address, the VPN pool, and the world."""
    ranges = [
        Range(f"lan-{site.id}", f"10.{site.number + 1}", "corporate", site.id, asn=64496) for site in sites
    ]
    ranges += [
        Range(f"egress-{site.id}", f"198.19.{100 + site.number}", "corporate", site.id, asn=64496)
        for site in sites
    ]
    ranges.append(Range("vpn-pool", "10.200", "vpn", asn=64496))
    ranges += [
        Range(
            name,
            prefix if prefix.count(".") == 2 else f"{prefix}.0",
            kind,
            "",
            lat,
            lon,
            radius,
            country,
            asn,
        )
        for name, prefix, kind, lat, lon, radius, country, asn in _OUTSIDE
    ]
    return {found.name: found for found in ranges}
