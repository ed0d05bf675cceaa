"""Who works at the simulated company: roles, habits, badges, accounts, and where they are on a given day.

Everything is a function of the seed and the person's number, so that any day can be generated alone.
Local days are counted from the company's first day. Scenarios change people only while the company is
being made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import Literal

from correlator.simulate.geography import HOTELS, Site

Role = Literal["office", "lab", "facility", "it", "guard", "contractor", "remote", "sales", "service"]
Stay = Literal["onsite", "remote", "off", "travel", "trip", "away", "leave", "gone", "shift"]

_FIRST = [
    "Ana", "Bruno", "Carla", "Daniel", "Elena", "Felix", "Grace", "Hugo", "Ines", "Jonas", "Katja",
    "Lena", "Marco", "Nadia", "Oscar", "Paula", "Quentin", "Rita", "Stefan", "Tania", "Uwe", "Vera",
    "Wei", "Xavier", "Yara", "Zoe", "Amir", "Bela", "Chen", "Dora",
]  # fmt: skip
_LAST = [
    "Almeida", "Becker", "Costa", "Dias", "Evans", "Fischer", "Gomes", "Huang", "Ito", "Jensen",
    "Keller", "Lim", "Moreira", "Novak", "Oliveira", "Pereira", "Quinn", "Ramos", "Santos", "Tan",
    "Ueda", "Vogel", "Walker", "Xu", "Young", "Zimmer", "Alves", "Brandt", "Cruz", "Doyle",
]  # fmt: skip
_ROLES: tuple[tuple[Role, float], ...] = (
    ("office", 0.50), ("lab", 0.13), ("facility", 0.05), ("it", 0.07),
    ("contractor", 0.08), ("remote", 0.09), ("sales", 0.08),
)  # fmt: skip
_DEPARTMENTS = {
    "office": ("finance", "people", "engineering", "legal", "marketing"), "lab": ("research",),
    "facility": ("facilities",), "it": ("operations",), "guard": ("security",),
    "contractor": ("engineering",),
    "remote": ("engineering", "support"), "sales": ("sales",), "service": ("operations",),
}  # fmt: skip
_TRIP_SHARE: dict[Role, float] = {"office": 0.03, "lab": 0.02, "it": 0.05, "sales": 0.35, "remote": 0.04}
GUARD_SLOTS = 3  # shifts of eight hours, two guards each
EVERY_DAY = -1  # team of guards who have no relief


class Plan(tuple[Stay, int, str]):
    """A person's day: stay, number of the site (-1: none), name of the address range away from sites."""

    __slots__ = ()

    @property
    def stay(self) -> Stay:
        return self[0]

    @property
    def site(self) -> int:
        return self[1]

    @property
    def network(self) -> str:
        return self[2]


@dataclass
class Badge:
    """A credential that was handed out. Times in ms since the epoch, UTC; None: open."""

    id: str
    credential_class: str = "card"
    from_ms: int | None = None
    to_ms: int | None = None
    states: list[tuple[int, str]] = field(default_factory=list)


@dataclass
class Person:
    """Habits are minutes of the local day. *carried* maps a day to the badge in use from then on."""

    number: int
    id: str
    name: str
    role: Role
    department: str
    home: int  # number of the home site
    metro: str  # address range at home
    hired: date
    arrives: int = 0
    leaves: int = 0
    remote_days: frozenset[int] = frozenset()
    takes_lunch_out: bool = True
    is_always_vpn: bool = False
    reads_mail_at_weekends: bool = False
    call_nights: frozenset[int] = frozenset()  # weekdays on which somebody on call comes after midnight
    is_early: bool = False  # always there long before the others
    slot: int = -1  # of a guard's shift
    team: int = 0
    entrance: str = "main-1"
    interior: str = "floor-1"
    doors: tuple[str, ...] = ()  # beyond entrance and interior, short names
    badges: list[Badge] = field(default_factory=list)
    carried: dict[int, str] = field(default_factory=dict)
    accounts: list[str] = field(default_factory=list)
    statuses: list[tuple[date, str]] = field(default_factory=list)
    first_day: int = -(1 << 30)
    last_day: int = 1 << 30
    leave_days: frozenset[int] = frozenset()

    @property
    def account(self) -> str:
        return self.accounts[0]

    @property
    def badge(self) -> str:
        return self.badges[0].id

    def badge_on(self, day: int) -> str:
        """The badge in this person's pocket on *day*."""
        found = self.badge
        for since, badge in sorted(self.carried.items()):
            if since <= day:
                found = badge
        return found

    @property
    def is_on_call(self) -> bool:
        return bool(self.call_nights)

    @property
    def is_human(self) -> bool:
        return self.role != "service"


def make_people(seed: int, count: int, sites: tuple[Site, ...], start: date) -> list[Person]:
    """*count* people and, beyond them, one service account per 100 people (at least two)."""
    people = [_guard(n, seed, sites, start) for n in range(_guards(count, sites))]
    if len(people) <= GUARD_SLOTS * len(sites):
        for guard in people:
            guard.team = EVERY_DAY
    people += [_person(n, seed, sites, start) for n in range(len(people), count)]
    people += [_service(n, start) for n in range(count, count + max(2, count // 100))]
    return people


def _guards(count: int, sites: tuple[Site, ...]) -> int:
    """Two teams where there are people enough, else one that never has a day off."""
    teams = 2 if count >= 100 else 1
    return min(count // 2, GUARD_SLOTS * teams * len(sites))


def _named(number: int, role: Role, rng: Random, home: Site, hired: date) -> Person:
    first, last = rng.choice(_FIRST), rng.choice(_LAST)
    account = f"{first[0]}.{last}{number}".lower()
    person = Person(
        number, f"e{1001 + number}", f"{first} {last}", role, rng.choice(_DEPARTMENTS[role]),
        home.number, home.metro, hired,
    )  # fmt: skip
    person.badges.append(Badge(f"{100_000 + number * 7}"))
    person.accounts.append(f"{account}@northwind.example")
    return person


def _guard(number: int, seed: int, sites: tuple[Site, ...], start: date) -> Person:
    rng = Random(f"{seed}:person:{number}")
    home = sites[number % len(sites)]
    person = _named(number, "guard", rng, home, start - timedelta(rng.randrange(60, 2000)))
    person.slot, person.team = number // len(sites) % GUARD_SLOTS, number // len(sites) // GUARD_SLOTS
    return person


def _service(number: int, start: date) -> Person:
    person = Person(
        number, f"s{number}", f"Service {number}", "service", "operations", 0, "", start - timedelta(900)
    )
    person.accounts.append(f"svc-{number}@northwind.example")
    return person


def _person(number: int, seed: int, sites: tuple[Site, ...], start: date) -> Person:
    rng = Random(f"{seed}:person:{number}")
    role = rng.choices([r for r, _ in _ROLES], [w for _, w in _ROLES])[0]
    home = rng.choices(sites, [site.share for site in sites])[0]
    hired = start - timedelta(rng.randrange(30, 3000))
    person = _named(number, role, rng, home, hired)
    person.arrives = round(rng.gauss(525, 25))
    person.leaves = person.arrives + round(rng.gauss(520, 20))
    person.takes_lunch_out = rng.random() < 0.6
    person.is_always_vpn = rng.random() < 0.15
    person.reads_mail_at_weekends = rng.random() < 0.2
    person.remote_days = frozenset(rng.sample(range(5), rng.choice((0, 1, 1, 2))))
    person.entrance = rng.choices(("main-1", "main-2", "garage", "side"), (5, 3, 2, 1))[0]
    person.interior = rng.choice(("floor-1", "floor-2", "floor-3"))
    _by_role(person, rng)
    _extra_credentials(person, rng)
    if rng.random() < 0.03 and role == "office":
        person.first_day = rng.randrange(0, 15)
        person.hired = start + timedelta(person.first_day)
    return person


def _by_role(person: Person, rng: Random) -> None:
    match person.role:
        case "lab":
            person.entrance, person.interior, person.remote_days = "lab-main", "lab-1", frozenset()
            person.doors = ("lab-1", "lab-2", "lab-clean") if rng.random() < 0.4 else ("lab-1", "lab-2")
            person.is_early = rng.random() < 0.15
        case "facility":
            person.doors, person.remote_days = ("store", "archive", "dock", "security"), frozenset()
            person.is_early = rng.random() < 0.3
        case "it":
            person.doors = ("dc-1", "dc-2", "archive")
            person.call_nights = frozenset(rng.sample(range(7), 4)) if rng.random() < 0.25 else frozenset()
        case "contractor":
            person.remote_days = frozenset(rng.sample(range(5), 2))
        case "remote":
            person.remote_days = (
                frozenset(range(5)) - {rng.randrange(5)} if rng.random() < 0.5 else frozenset(range(5))
            )
            person.is_always_vpn = rng.random() < 0.5
    if person.is_early:
        person.arrives = round(rng.gauss(330, 8))  # half past five
        person.leaves = person.arrives + 500


def _extra_credentials(person: Person, rng: Random) -> None:
    """A phone as a second badge for some, an administrator's account for operations."""
    if rng.random() < 0.1:
        person.badges.append(Badge(f"{700_000 + person.number * 7}", "mobile"))
    if person.role == "it":
        person.accounts.append(f"adm-{person.account}")


def plan_of(seed: int, person: Person, day: int, today: date, sites: tuple[Site, ...]) -> Plan:
    """Where *person* is on local *day* (counted from the first), which is the date *today*."""
    if day < person.first_day or day > person.last_day:
        return Plan(("gone", -1, ""))
    if not person.is_human:
        return Plan(("off", -1, ""))
    if day in person.leave_days:
        return Plan(("leave", -1, person.metro))
    if person.role == "guard":
        return _guard_plan(person, today)
    weekday = today.weekday()
    trip = _trip(seed, person, day - weekday, sites) if person.role in _TRIP_SHARE else None
    if trip is not None and weekday <= 4:
        return _trip_plan(trip, weekday, today, sites)
    if weekday >= 5 or (today.month, today.day) in sites[person.home].holidays:
        return Plan(("off", -1, person.metro))
    if weekday in person.remote_days:
        return Plan(("remote", -1, person.metro))
    if Random(f"{seed}:sick:{person.number}:{day}").random() < 0.03:
        return Plan(("off", -1, person.metro))
    return Plan(("onsite", person.home, ""))


def _guard_plan(person: Person, today: date) -> Plan:
    is_on = person.team == (0 if today.weekday() < 4 else 1) or person.team == EVERY_DAY
    return Plan(("shift", person.home, "")) if is_on else Plan(("off", -1, ""))


def _trip(seed: int, person: Person, monday: int, sites: tuple[Site, ...]) -> tuple[int, str] | None:
    """Destination of the week that begins on day *monday*: another site, or a hotel's network."""
    rng = Random(f"{seed}:trip:{person.number}:{monday}")
    if rng.random() >= _TRIP_SHARE[person.role]:
        return None
    if rng.random() < (0.5 if person.role == "sales" else 0.0):
        return -1, rng.choice(HOTELS)
    return rng.choice([site.number for site in sites if site.number != person.home]), ""


def _trip_plan(trip: tuple[int, str], weekday: int, today: date, sites: tuple[Site, ...]) -> Plan:
    """Monday and Friday are for flying, with no trace; Tuesday to Thursday at the destination."""
    site, hotel = trip
    if weekday in {0, 4}:
        return Plan(("travel", -1, ""))
    if hotel:
        return Plan(("away", -1, hotel))
    if (today.month, today.day) in sites[site].holidays:
        return Plan(("travel", -1, ""))
    return Plan(("trip", site, sites[site].metro))
