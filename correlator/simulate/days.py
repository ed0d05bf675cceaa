"""Ordinary life: what one person leaves behind on one day, with the small imperfections that every building
has.

Minutes are of the local day at the site. `Noise` says how often reads are missed and doors tailgated.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import msgspec

from correlator.event import SECOND_MS
from correlator.simulate.emit import DayLog
from correlator.simulate.geography import Door, Site
from correlator.simulate.people import GUARD_SLOTS, Person, Plan

PATROL_MINUTES = 20  # between two reads of one guard's tour: no controller is silent for long
CALL_SHARE = 0.85  # of the nights of the rota on which somebody on call has to come


class Noise(msgspec.Struct, frozen=True):
    """Shares, 0..1."""

    tailgating: float = 0.003  # of entries through a perimeter door that leave no read
    missed_interior: float = 0.15  # many walk through behind a colleague
    double_read: float = 0.01
    not_taken: float = 0.004
    denied: float = 0.006  # of working days on which a person tries a wrong door once or twice


class Visit(NamedTuple):
    """Somebody at a site: what every read of the day needs."""

    log: DayLog
    person: Person
    site: Site
    rng: Random
    noise: Noise
    badge: str

    def read(self, minute: float, door: Door, direction: str = "in") -> None:
        """A read that succeeds, now and then twice, now and then without going through at first."""
        time_ms = self.log.at(self.site, minute)
        if self.rng.random() < self.noise.not_taken and door.is_perimeter:
            self.log.badge(time_ms - 25 * SECOND_MS, self.badge, door, direction, taken="not_taken")
        self.log.badge(time_ms, self.badge, door, direction)
        if self.rng.random() < self.noise.double_read:
            self.log.badge(time_ms + self.rng.randrange(900, 2_500), self.badge, door, direction)

    def door(self, short: str) -> Door:
        return self.site.door(short)


def live(
    log: DayLog, person: Person, plan: Plan, rng: Random, noise: Noise, *, is_called: bool = False
) -> None:
    """Write what *person* does on the day of *log*. Nothing for those who are away without trace.

    *is_called*: somebody on call who comes this night for certain.
    """
    match plan.stay:
        case "onsite" | "trip":
            visit = Visit(log, person, log.sites[plan.site], rng, noise, person.badge_on(log.day))
            _work_on_site(visit)
            if plan.stay == "trip":
                _evening(log, person, log.sites[plan.site], plan.network, rng)
        case "shift":
            _patrol(Visit(log, person, log.sites[plan.site], rng, noise, person.badge_on(log.day)))
        case "remote" | "away":
            _work_elsewhere(log, person, plan.network, rng)
        case "off" if person.reads_mail_at_weekends and rng.random() < 0.6:
            _evening(log, person, log.sites[person.home], person.metro, rng)
    is_on_rota = log.today.weekday() in person.call_nights and plan.stay in {"onsite", "remote", "off"}
    if is_on_rota and (is_called or rng.random() < CALL_SHARE):
        _night_call(log, person, rng, noise)


def _work_on_site(visit: Visit) -> None:
    person, rng = visit.person, visit.rng
    arrives = person.arrives + rng.gauss(0, 10)
    leaves = max(arrives + 420, person.leaves + rng.gauss(0, 18))
    entrance = visit.door(person.entrance)
    inside = _enter(visit, arrives, entrance)
    _first_logins(visit, inside + rng.uniform(2, 8))
    lunch = (arrives + leaves) / 2 + rng.uniform(-70, 0)
    back = lunch
    if person.takes_lunch_out:
        _leave(visit, lunch, entrance)
        back = _enter(visit, lunch + rng.uniform(30, 50), entrance)
        _unlock(visit, back + rng.uniform(2, 6))
    spans = ((inside + 10, lunch - 10), (back + 15, leaves - 15))
    for start, end in spans:
        _roam(visit, start, end)
    for _ in range(rng.choice((1, 2, 2, 3))):
        _unlock(visit, rng.uniform(*rng.choice(spans)))
    _web(visit, spans, rng.choice((1, 2, 3)))
    if rng.random() < visit.noise.denied:
        _wrong_door(visit, rng.uniform(*rng.choice(spans)))
    _leave(visit, leaves, entrance)


def _leave(visit: Visit, minute: float, entrance: Door) -> None:
    if entrance.has_exit_reader:
        visit.read(minute, entrance, "out")
    elif entrance.has_contact:
        _leave_by_button(visit, minute, entrance)


def _enter(visit: Visit, minute: float, entrance: Door) -> float:
    """Through the entrance, unless somebody holds the door. The minute at which the desk is reached."""
    if visit.rng.random() >= visit.noise.tailgating:
        visit.read(minute, entrance)
    at_desk = minute + visit.rng.uniform(1.0, 3.0)
    if visit.rng.random() >= visit.noise.missed_interior:
        visit.read(at_desk, visit.door(visit.person.interior))
    return at_desk


def _roam(visit: Visit, start: float, end: float) -> None:
    """Doors that the job needs, at least eight minutes apart: nobody is in two buildings at once."""
    person, rng = visit.person, visit.rng
    doors = person.doors or (person.interior,)
    count = rng.choice((1, 2, 2)) if person.doors else rng.choice((0, 0, 1))
    minute = start
    for _ in range(count):
        minute += 8 + rng.expovariate(1 / max(10.0, (end - start) / (count + 1)))
        if minute >= end:
            return
        door = visit.door(rng.choice(doors))
        there, back = ("out", "in") if door.is_perimeter else ("in", "out")
        visit.read(minute, door, there if door.has_exit_reader else "in")
        if door.has_exit_reader:
            visit.read(minute + rng.uniform(3, 7), door, back)


def _wrong_door(visit: Visit, minute: float) -> None:
    candidates = [
        d
        for d in visit.site.critical_doors
        if d.id.removeprefix(f"{visit.site.code}-") not in visit.person.doors
    ]
    door = visit.rng.choice(candidates or list(visit.site.critical_doors))
    for n in range(visit.rng.choice((1, 1, 2))):
        time_ms = visit.log.at(visit.site, minute) + n * 4 * SECOND_MS
        visit.log.badge(time_ms, visit.badge, door, outcome="denied", reason="no_access_rights")


def _leave_by_button(visit: Visit, minute: float, door: Door) -> None:
    time_ms = visit.log.at(visit.site, minute)
    visit.log.door(time_ms, door, "rex")
    visit.log.door(time_ms + 1_500, door, "opened")
    if visit.rng.random() < 0.01:
        visit.log.door(time_ms + 45_000, door, "held")
    visit.log.door(time_ms + 7_000, door, "closed")


# ------------------------------------------------------------------------ logins


def lan_address(log: DayLog, person: Person, site: Site) -> str:
    return log.ranges[f"lan-{site.id}"].address(person.number * 3)


def workstation(person: Person, site: Site) -> str:
    return f"{site.code.upper()}-WS-{person.number:04d}"


def _desktop(visit: Visit, minute: float, logon_type: str) -> None:
    log, person = visit.log, visit.person
    log.login(
        log.at(visit.site, minute), person.account, lan_address(log, person, visit.site), logon_type,
        device=workstation(person, visit.site), application="workstation",
    )  # fmt: skip


def _first_logins(visit: Visit, minute: float) -> None:
    if visit.rng.random() < 0.03:
        visit.log.login(
            visit.log.at(visit.site, minute) - 20_000, visit.person.account,
            lan_address(visit.log, visit.person, visit.site), "console",
            outcome="failure", reason="bad_password",
            device=workstation(visit.person, visit.site), application="workstation",
        )  # fmt: skip
    _desktop(visit, minute, "console")
    if visit.person.is_always_vpn:
        _vpn(
            visit.log,
            visit.person,
            visit.log.at(visit.site, minute + 0.5),
            lan_address(visit.log, visit.person, visit.site),
        )


def _unlock(visit: Visit, minute: float) -> None:
    _desktop(visit, minute, "unlock")


def _web(visit: Visit, spans: tuple[tuple[float, float], ...], count: int) -> None:
    log, person, rng = visit.log, visit.person, visit.rng
    egress = "vpn-egress" if person.is_always_vpn else f"egress-{visit.site.id}"
    for _ in range(count):
        time_ms = log.at(visit.site, rng.uniform(*rng.choice(spans)))
        _sign_in(log, person, time_ms, log.ranges[egress].address(person.number), rng)
    _phone(log, person, log.at(visit.site, rng.uniform(*rng.choice(spans))), rng)


def _sign_in(log: DayLog, person: Person, time_ms: int, ip: str, rng: Random) -> None:
    mfa = rng.choice(("push", "push", "fido", "otp"))
    if rng.random() < 0.02:
        log.login(
            time_ms - 30_000, person.account, ip, "web", outcome="failure", reason="mfa_timeout", mfa=mfa
        )
    log.login(
        time_ms,
        person.account,
        ip,
        "web",
        mfa=mfa,
        device=f"LT-{person.number:04d}",
        application=rng.choice(("mail", "wiki", "erp")),
    )


def _phone(log: DayLog, person: Person, time_ms: int, rng: Random) -> None:
    """The phone refreshes its token through the carrier: no location, and nobody is there."""
    ip = log.ranges["mobile-carrier"].address(rng.randrange(5_000))
    log.login(time_ms, person.account, ip, "web", device=f"PH-{person.number:04d}", is_interactive=False)


def _vpn(log: DayLog, person: Person, time_ms: int, ip: str) -> None:
    log.login(
        time_ms, person.account, ip, "vpn", device=f"LT-{person.number:04d}", application="vpn", mfa="push"
    )


def _work_elsewhere(log: DayLog, person: Person, network: str, rng: Random) -> None:
    """A day at home or in a hotel: VPN in the morning, a laptop behind it, the web whichever way is open."""
    site = log.sites[person.home]
    address = log.ranges[network].address(person.number * 7)
    start = person.arrives + rng.gauss(10, 15)
    _vpn(log, person, log.at(site, start), address)
    behind = log.ranges["vpn-pool"].address(person.number)
    for minute in (start + 1, *(rng.uniform(start + 30, start + 480) for _ in range(rng.choice((1, 2, 3))))):
        log.login(
            log.at(site, minute),
            person.account,
            behind,
            "unlock",
            device=f"LT-{person.number:04d}",
            application="workstation",
        )
    way_out = log.ranges["vpn-egress"].address(person.number) if person.is_always_vpn else address
    for _ in range(rng.choice((2, 3, 4))):
        _sign_in(log, person, log.at(site, rng.uniform(start + 5, start + 500)), way_out, rng)
    _phone(log, person, log.at(site, rng.uniform(start, start + 500)), rng)


def _evening(log: DayLog, person: Person, site: Site, network: str, rng: Random) -> None:
    time_ms = log.at(site, rng.uniform(1220, 1300))
    _sign_in(log, person, time_ms, log.ranges[network].address(person.number * 7), rng)


# ------------------------------------------------------------------ nights and tours


def _night_call(log: DayLog, person: Person, rng: Random, noise: Noise) -> None:
    """Somebody on call comes to the data centre after midnight."""
    visit = Visit(log, person, log.sites[person.home], rng, noise, person.badge_on(log.day))
    minute = rng.uniform(120, 190)
    log.badge(log.at(visit.site, minute), visit.badge, visit.door("main-1"))
    inside = visit.door("dc-1")
    log.badge(log.at(visit.site, minute + 4), visit.badge, inside)
    log.badge(log.at(visit.site, minute + 35), visit.badge, inside, "out")
    if visit.door("main-1").has_exit_reader:
        log.badge(log.at(visit.site, minute + 39), visit.badge, visit.door("main-1"), "out")


def _patrol(visit: Visit) -> None:
    """A shift of eight hours, a read every twenty minutes, each controller in turn."""
    shift = 24 * 60 // GUARD_SLOTS
    start = 360 + visit.person.slot * shift
    stops = [d for d in visit.site.doors if not d.is_perimeter and "clean" not in d.id and "dc-" not in d.id]
    by_controller = [[d for d in stops if d.controller == name] for name in visit.site.controllers]
    visit.log.badge(visit.log.at(visit.site, start - 6), visit.badge, visit.door("main-1"), taken="taken")
    _desktop(visit, start - 1, "console")
    for n in range(1, shift // PATROL_MINUTES):
        doors = by_controller[n % len(by_controller)]
        visit.read(start + n * PATROL_MINUTES + visit.rng.uniform(-2, 2), visit.rng.choice(doors))
    if visit.door("main-1").has_exit_reader:
        visit.log.badge(visit.log.at(visit.site, start + shift + 5), visit.badge, visit.door("main-1"), "out")
