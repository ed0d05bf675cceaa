"""The sites file: where readers, doors and hosts stand, when a site works, how long the ways between are.

    sites:
      - {id: lisbon, name: Lisbon, country: PT, lat: 38.7223, lon: -9.1393, radius_km: 0.3,
         time_zone: Europe/Lisbon, business_hours: {mon-fri: 07:00-19:00},
         sources: {badge: [lis-ctl-1]},                      # feed -> sources that serve the site, optional
         exit_readers: false}                                # optional, see below
    buildings:
      - {id: lis-hq, site: lisbon, name: Headquarters}
    zones:
      - {id: lis-lab, site: lisbon, building: lis-hq, criticality: 3,  # 0 unknown, 1 public .. 5 vital
         floor: 2, passback: soft}                           # anti-passback: soft | hard
    doors:
      - {id: lis-lab-1, zone: lis-lab, is_perimeter: false}  # zone that is entered; lat, lon optional
    readers:
      - {id: lis-lab-1-in, door: lis-lab-1, direction: in}   # in | out | unknown
    hosts:
      - {id: lis-ws-7, zone: lis-lab}                        # desktops that stay where they are; zone or site
    travel:
      - {between: [lisbon, berlin], minutes: 300}            # two sites, zones, doors or readers; both ways

Where no way is given, floors of one building and straight lines count (`timeline/travel.py`). A site whose
perimeter doors all have a reader on the way out has exit readers, unless `exit_readers` says otherwise: how
long somebody is believed to be there depends on it. Everything but `sites` may be absent.

May not know: files, events. A `Place` is built once and shared by all events there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from correlator.event import MINUTE_MS, Passback, Place
from correlator.intake.document import Fields, Report, nearest
from correlator.intake.hours import parse_hours
from correlator.problem import Lines, Path, Problem
from correlator.timeline import week
from correlator.timeline.settings import SiteTiming

Direction = Literal["in", "out", "unknown"]
DIRECTIONS: tuple[Direction, ...] = ("in", "out", "unknown")
PASSBACKS = tuple(name for name in get_args(Passback) if name)
RADIUS_KM = 0.5  # of a site that does not say how large it is

_TOP = ("sites", "buildings", "zones", "doors", "readers", "hosts", "travel")
_SITE = (
    "id",
    "name",
    "country",
    "lat",
    "lon",
    "radius_km",
    "time_zone",
    "business_hours",
    "sources",
    "exit_readers",
)
_LOCAL_MAX = 10_000  # minutes remembered per site
_MINUTES_MAX = 14 * 24 * 60  # of a way: two weeks

_Read = Callable[[Fields, str], None]


class Site:
    """A site as the file has it. *place* is that of the site as a whole.

    Hours are [from, to) in minutes of the local week, Monday 00:00 = 0; sources are (feed, source).
    """

    def __init__(
        self,
        name: str,
        place: Place,
        time_zone: str,
        business_hours: tuple[tuple[int, int], ...] = (),
        sources: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.id = place.site
        self.name = name
        self.place = place
        self.timing = SiteTiming(place.site, time_zone, business_hours, sources)
        self._local: dict[int, tuple[int, bool | None]] = {}  # by minute: most events are of the same few

    @property
    def time_zone(self) -> str:
        return self.timing.time_zone

    def local(self, time_ms: int) -> tuple[int, bool | None]:
        """Offset of local time from UTC in minutes; is it within business hours? None: nobody says."""
        minute = time_ms // MINUTE_MS
        found = self._local.get(minute)
        if found is None:
            if len(self._local) >= _LOCAL_MAX:
                self._local.clear()
            hours, zone = self.timing.business_hours, self.timing.time_zone
            is_within = week.is_within(hours, zone, time_ms) if hours else None
            found = self._local[minute] = (week.offset_min(zone, time_ms), is_within)
        return found


class Sites:
    """Places by the names that sources use. Lookups give None for a name that the file does not have."""

    def __init__(
        self,
        sites: Mapping[str, Site] | None = None,
        zones: Mapping[str, Place] | None = None,
        doors: Mapping[str, Place] | None = None,
        readers: Mapping[str, tuple[Place, Direction]] | None = None,
        *,
        hosts: Mapping[str, Place] | None = None,
        travel_minutes: tuple[tuple[str, str, float], ...] = (),
    ) -> None:
        self._sites = dict(sites or {})
        self._zones = dict(zones or {})
        self._doors = dict(doors or {})
        self._readers = dict(readers or {})
        self._hosts = dict(hosts or {})
        self.travel_minutes = travel_minutes

    def site(self, site_id: str) -> Site | None:
        return self._sites.get(site_id)

    def zone(self, zone_id: str) -> Place | None:
        return self._zones.get(zone_id)

    def door(self, door_id: str) -> Place | None:
        return self._doors.get(door_id)

    def reader(self, reader_id: str) -> tuple[Place, Direction] | None:
        return self._readers.get(reader_id)

    def host(self, host: str) -> Place | None:
        """Names of hosts compare without regard to case."""
        return self._hosts.get(host.casefold())

    def site_ids(self) -> list[str]:
        return list(self._sites)

    def critical(self, least: int) -> tuple[Place, ...]:
        """Zones of a criticality of *least* or more."""
        return tuple(place for place in self._zones.values() if place.criticality >= least)

    def names(self) -> dict[str, tuple[str, ...]]:
        """Of sites, buildings, zones, doors and readers, by what they are of: `site` and so on."""
        buildings = dict.fromkeys(zone.building for zone in self._zones.values() if zone.building)
        levels: tuple[Iterable[str], ...] = (self._sites, buildings, self._zones, self._doors, self._readers)
        return dict(zip(("site", "building", "zone", "door", "reader"), map(tuple, levels), strict=True))

    def offset_min(self, site_id: str, time_ms: int) -> int:
        """Of the local time of a site from UTC, in minutes; 0 where the site is not known."""
        site = self._sites.get(site_id)
        return 0 if site is None else site.local(time_ms)[0]

    def timing(self) -> tuple[SiteTiming, ...]:
        """What the timeline must know of each site, for `timeline.settings.Settings`."""
        readers = {place.site for place, _ in self._readers.values()}
        exits = {place.site for place, direction in self._readers.values() if direction == "out"}
        return tuple(
            msgspec.structs.replace(site.timing, has_readers=name in readers, has_exits=name in exits)
            for name, site in self._sites.items()
        )


def parse_sites(
    document: object, lines: Lines, feeds: Iterable[str] | None = None
) -> tuple[Sites | None, list[Problem]]:
    """The sites of a parsed sites file, or None and every problem that it has.

    Without *feeds*, the names of those in use, what `sources` names is not checked.
    """
    report = Report(lines)
    reader = _Reader(Fields(document, (), report, _TOP), report, feeds)
    sites = reader.read()
    return (None if report.has_errors else sites), report.problems


def is_zone(name: str) -> bool:
    """Is *name* a time zone of the IANA data base?"""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def country_of(row: Fields) -> str:
    """The field `country`: two capital letters, or "" where it is absent or wrong."""
    country = row.text("country")
    if country and not (len(country) == 2 and country.isascii() and country.isalpha() and country.isupper()):
        row.problem("country", f"{country!r} is no ISO 3166-1 code of two capital letters, such as PT")
        return ""
    return country


class _Reader:
    """Reads the lists of the file in the order in which they refer to each other."""

    def __init__(self, top: Fields, report: Report, feeds: Iterable[str] | None) -> None:
        self._top = top
        self._feeds = None if feeds is None else tuple(feeds)
        self._report = report
        self._sites: dict[str, Site] = {}
        self._buildings: dict[str, str] = {}  # -> site
        self._zones: dict[str, Place] = {}
        self._doors: dict[str, Place] = {}
        self._readers: dict[str, tuple[Place, Direction]] = {}
        self._hosts: dict[str, Place] = {}
        self._exit_readers: dict[str, bool] = {}  # site -> what the file says outright

    def read(self) -> Sites:
        if isinstance(self._top.value("sites"), list) and not self._top.value("sites"):
            self._top.problem("sites", "at least one site is needed")
        elif not self._top.has("sites"):
            self._top.problem("", "sites is missing")
        self._each("sites", _SITE, self._site)
        self._each("buildings", ("id", "site", "name"), self._building)
        self._each(
            "zones", ("id", "site", "building", "criticality", "floor", "passback", "name"), self._zone
        )
        self._each("doors", ("id", "zone", "is_perimeter", "lat", "lon", "name"), self._door)
        self._each("readers", ("id", "door", "direction", "name"), self._reader)
        self._each("hosts", ("id", "zone", "site", "name"), self._host)
        self._mark_readers()
        return Sites(
            self._sites,
            self._zones,
            self._doors,
            self._readers,
            hosts=self._hosts,
            travel_minutes=self._travel(),
        )

    def _mark_readers(self) -> None:
        """Every place says whether whoever comes into its site, and goes out of it, is read."""
        perimeter = [place for place in self._doors.values() if place.is_perimeter]
        entries = {place.site for place in perimeter}
        read_out = {place.door for place, direction in self._readers.values() if direction == "out"}
        exits = entries - {place.site for place in perimeter if place.door not in read_out}

        def marked(place: Place) -> Place:
            has_exits = self._exit_readers.get(place.site, place.site in exits)
            return msgspec.structs.replace(
                place, has_entry_readers=place.site in entries, has_exit_readers=has_exits
            )

        for site in self._sites.values():
            site.place = marked(site.place)
        for table in (self._zones, self._doors, self._hosts):
            table |= {name: marked(place) for name, place in table.items()}
        self._readers |= {name: (marked(place), way) for name, (place, way) in self._readers.items()}

    def _each(self, name: str, known: tuple[str, ...], read: _Read) -> None:
        """Read each row that has an id of its own."""
        first: dict[str, Path] = {}
        for row in self._top.rows(name, known):
            row_id = row.text("id", required=True)
            key = row_id.casefold() if name == "hosts" else row_id
            if not row_id:
                read(row, "")
            elif key in first:
                line = self._report.line(first[key])
                row.problem("id", f"{row_id!r} is here twice, first in line {line}")
            else:
                first[key] = (*row.path, "id")
                read(row, row_id)

    def _refer(self, row: Fields, name: str, known: Mapping[str, object], what: str) -> str:
        """The id that field *name* refers to, "" and a problem where nothing has it."""
        found = row.text(name, required=True)
        if found and found not in known:
            row.problem(name, f"there is no {what} {found!r}{nearest(found, known)}")
            return ""
        return found

    def _site(self, row: Fields, site_id: str) -> None:
        lat = row.number("lat", -90, 90, required=True)
        lon = row.number("lon", -180, 180, required=True)
        radius_km = row.number("radius_km", 0, 1_000)
        zone = row.text("time_zone", required=True)
        if zone and not is_zone(zone):
            row.problem("time_zone", f"{zone!r} is no time zone of the IANA data base, such as Europe/Lisbon")
        place = Place(
            site=site_id,
            lat=lat,
            lon=lon,
            radius_km=RADIUS_KM if radius_km is None else radius_km,
            country=country_of(row),
        )
        hours = parse_hours(row.part("business_hours"))
        self._sites[site_id] = Site(row.text("name") or site_id, place, zone, hours, self._sources(row))
        if row.has("exit_readers"):
            self._exit_readers[site_id] = row.flag("exit_readers")

    def _sources(self, row: Fields) -> tuple[tuple[str, str], ...]:
        part = row.part("sources")
        if part is None:
            return ()
        for feed in part.keys():  # noqa: SIM118 - no mapping
            if self._feeds is not None and feed not in self._feeds:
                read = f"there are {', '.join(self._feeds)}" if self._feeds else "there is none"
                hint = "feeds: of correlator.yml names shipped ones beside those in feeds/"
                part.problem(feed, f"no feed {feed!r} is read{nearest(feed, self._feeds)}: {read}; {hint}")
        return tuple((feed, source) for feed in part.keys() for _, source in part.texts(feed))  # noqa: SIM118

    def _building(self, row: Fields, building: str) -> None:
        self._buildings[building] = self._refer(row, "site", self._sites, "site")

    def _zone(self, row: Fields, zone: str) -> None:
        site_id = self._refer(row, "site", self._sites, "site")
        building = self._refer(row, "building", self._buildings, "building") if row.has("building") else ""
        if building and site_id and self._buildings[building] not in {site_id, ""}:
            other = self._buildings[building]
            message = f"building {building!r} belongs to site {other!r}, the zone to {site_id!r}"
            row.problem("building", message)
        criticality = row.whole("criticality", 0, 5, 0)
        base = self._sites[site_id].place if site_id else Place()
        self._zones[zone] = msgspec.structs.replace(
            base,
            building=building,
            zone=zone,
            criticality=criticality,
            floor=row.whole("floor", -20, 300, 0) if row.has("floor") else None,
            passback=cast("Passback", row.choice("passback", PASSBACKS)) if row.has("passback") else "",
        )

    def _door(self, row: Fields, door: str) -> None:
        zone = self._refer(row, "zone", self._zones, "zone")
        base = self._zones[zone] if zone else Place()
        lat, lon = row.number("lat", -90, 90), row.number("lon", -180, 180)
        if row.has("lat") != row.has("lon"):
            row.problem("lon" if row.has("lat") else "lat", "lat and lon are given together or not at all")
        place = msgspec.structs.replace(base, door=door, is_perimeter=row.flag("is_perimeter"))
        if lat is not None and lon is not None:
            place = msgspec.structs.replace(place, lat=lat, lon=lon, radius_km=0.0)
        self._doors[door] = place

    def _reader(self, row: Fields, reader: str) -> None:
        door = self._refer(row, "door", self._doors, "door")
        direction = row.choice("direction", DIRECTIONS, "unknown")
        base = self._doors[door] if door else Place()
        self._readers[reader] = (msgspec.structs.replace(base, reader=reader), cast("Direction", direction))

    def _host(self, row: Fields, host: str) -> None:
        if row.has("zone") and row.has("site"):
            row.problem("site", "a host has a zone or a site, not both: the zone says which site")
        if row.has("zone"):
            zone = self._refer(row, "zone", self._zones, "zone")
            self._hosts[host.casefold()] = self._zones[zone] if zone else Place()
        else:
            site_id = self._refer(row, "site", self._sites, "site")
            self._hosts[host.casefold()] = self._sites[site_id].place if site_id else Place()

    def _travel(self) -> tuple[tuple[str, str, float], ...]:
        found: dict[tuple[str, str], tuple[str, str, float]] = {}
        for row in self._top.rows("travel", ("between", "minutes")):
            ends = row.texts("between")
            minutes = row.number("minutes", 0, _MINUTES_MAX, required=True)
            if len(ends) != 2:
                row.problem("between", "between names two sites, zones, doors or readers: [lisbon, berlin]")
                continue
            here, there = ends[0][1], ends[1][1]
            pair = (min(here, there), max(here, there))
            if not self._are_alike(ends) or minutes is None:
                continue
            if pair in found:
                row.problem("between", f"{here} and {there} are here twice; a way counts in both directions")
            elif here == there:
                row.problem("between", f"{here} is named twice: a way has two ends")
            found[pair] = (here, there, minutes)
        return tuple(found.values())

    def _are_alike(self, ends: list[tuple[Path, str]]) -> bool:
        """Are both ends known, and of one kind?"""
        tables: dict[str, Mapping[str, object]] = {
            "reader": self._readers,
            "door": self._doors,
            "zone": self._zones,
            "site": self._sites,
        }
        kinds: list[set[str]] = []
        for path, end in ends:
            kinds.append({kind for kind, table in tables.items() if end in table})
            if not kinds[-1]:
                hint = nearest(end, [name for table in tables.values() for name in table])
                self._report.problem(path, f"there is no site, zone, door or reader {end!r}{hint}")
        if not all(kinds):
            return False
        if not kinds[0] & kinds[1]:
            words = [" and ".join(sorted(kind)) for kind in kinds]
            message = f"{ends[0][1]} is a {words[0]}, {ends[1][1]} a {words[1]}: a way joins two of one kind"
            self._report.problem(ends[0][0][:-1], message)
            return False
        return True
