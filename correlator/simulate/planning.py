"""Chooses who carries which scenario on which day, before the first day is written.

Some scenarios change people (a termination, a lost badge, a late hire): that happens here, so that the
identities file knows it. Everything is drawn from the seed. Where a small company or a short run has
nobody suitable, fewer scenarios are planned, which the truth file shows; scenarios of D26 need fifteen
days before, for the model to know people.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from random import Random
from typing import Protocol
from zoneinfo import ZoneInfo

from correlator.simulate.emit import day_date, is_late_day
from correlator.simulate.geography import LATE_SITE, Site
from correlator.simulate.people import Badge, Person, Plan
from correlator.simulate.scenario import Diary, Directive, Label, Scenario

WARM_DAYS = 15
ACTIVE_DAYS = 11  # on which a person left traces before a scenario of D26
TRIES = 3_000


class Staff(Protocol):
    """What planning needs of the company."""

    people: list[Person]
    sites: tuple[Site, ...]
    directives: dict[tuple[int, int], Directive]

    def plan(self, person: Person, day: int) -> Plan: ...

    def start_day(self, day: int) -> datetime: ...


Fits = Callable[["Planner", Person, int], bool]
Prepare = Callable[["Planner", Person, int], None]


class Planner:
    def __init__(self, staff: Staff, rng: Random, days: int, per_rule: int) -> None:
        self.staff, self.rng, self.days, self.per_rule = staff, rng, days, per_rule
        self.diary = Diary()
        self.scenarios: list[Scenario] = []
        self.pool = [p for p in staff.people if p.role not in {"guard", "service"} and not p.is_on_call]

    def plan(self) -> list[Scenario]:
        """At most *per_rule* attacks and look-alikes of each rule; first those that change people."""
        for name, kind, variants in _PLAN:
            for n in range(self.per_rule):
                self._one(name, kind, variants[n % len(variants) :] + variants[: n % len(variants)])
        self._doors()
        return self.scenarios

    def _one(self, name: str, kind: Label, variants: tuple[str, ...]) -> None:
        """Plan one scenario in the first of *variants* that somebody fits."""
        any(self._try(name, kind, variant) for variant in variants)

    def _try(self, name: str, kind: Label, variant: str) -> bool:
        fits, prepare = _FITS[variant]
        pool = [p for p in self.staff.people if p.is_on_call] if variant == "on-call" else self.pool
        first = WARM_DAYS if name == "D26" else 2
        if not pool or self.days - 1 <= first:
            return False
        for _ in range(TRIES):
            person, day = self.rng.choice(pool), self.rng.randrange(first, self.days - 1)
            if self.diary.is_free("person", person.number, day) and fits(self, person, day):
                break
        else:
            return False
        scenario = Scenario(
            f"{name}-{kind}-{len(self.scenarios)}", kind, name, variant, day, person.number, person.home
        )
        scenario.also = _ALSO.get((name, kind), ())
        self.diary.take("person", person.number, day)
        prepare(self, person, day)
        self.scenarios.append(scenario)
        return True

    def _doors(self) -> None:
        for kind, variants in _DOOR_PLAN:
            for n in range(self.per_rule):
                self._one_door(kind, variants[n % len(variants)])

    def _one_door(self, kind: Label, variant: str) -> None:
        for _ in range(TRIES):
            site, day = self.rng.choice(self.staff.sites), self.rng.randrange(1, max(2, self.days - 1))
            door = self.rng.choice([d for d in site.doors if d.has_contact])
            if door.id == "sin-side" or (variant == "after-grant" and door.zone.endswith("-lab")):
                continue
            if self.diary.is_free("door", door.id, day):
                self.diary.take("door", door.id, day)
                name = f"D28-{kind}-{len(self.scenarios)}"
                self.scenarios.append(Scenario(name, kind, "D28", variant, day, -1, site.number, door.id))
                return

    # ------------------------------------------------------------- what is asked of people

    def stay(self, person: Person, day: int) -> str:
        return self.staff.plan(person, day).stay

    def is_at_home_site(self, person: Person, day: int) -> bool:
        plan = self.staff.plan(person, day)
        return plan.stay == "onsite" and plan.site == person.home

    def is_around(self, person: Person, *days: int) -> bool:
        """Not on the way, not on a trip, not gone."""
        return all(self.stay(person, day) in {"onsite", "remote", "off"} for day in days)

    def is_veteran(self, person: Person, day: int) -> bool:
        return (
            person.first_day < 0 and (day_date(self.staff.start_day(0).date(), day) - person.hired).days > 20
        )

    def is_spare(self, person: Person) -> bool:
        return (
            self.diary.is_untouched(person.number)
            and person.first_day < 0
            and person.role not in {"sales", "remote"}
        )

    def instant(self, person: Person, day: int, minute: int) -> int:
        """Local time at the person's home site, ms since the epoch, UTC."""
        zone = ZoneInfo(self.staff.sites[person.home].time_zone)
        today = self.staff.start_day(day)
        return round((today.replace(tzinfo=zone) + timedelta(minutes=minute)).timestamp()) * 1000

    def shape(self, person: Person, day: int, **changes: object) -> None:
        directive = self.staff.directives.setdefault((person.number, day), Directive())
        for name, value in changes.items():
            setattr(directive, name, value)


# ------------------------------------------------------------------------- who fits


def _on_site(p: Planner, person: Person, day: int) -> bool:
    return p.is_at_home_site(person, day) and not person.is_early


def _office_on_site(p: Planner, person: Person, day: int) -> bool:
    return _on_site(p, person, day) and person.role in {"office", "contractor"}


def _veteran_on_site(p: Planner, person: Person, day: int) -> bool:
    return _on_site(p, person, day) and p.is_veteran(person, day)


def _elsewhere(p: Planner, person: Person, day: int) -> bool:
    return p.is_around(person, day - 1, day) and p.stay(person, day) in {"remote", "off"}


def _remote(p: Planner, person: Person, day: int) -> bool:
    return p.is_around(person, day - 1, day) and p.stay(person, day) == "remote"


def _enters_late_side(p: Planner, person: Person, day: int) -> bool:
    at_site = p.staff.sites[person.home].id == LATE_SITE
    return at_site and is_late_day(day) and _office_on_site(p, person, day) and 500 <= person.arrives <= 560


def _stays_overnight(p: Planner, person: Person, day: int) -> bool:
    has_exits = p.staff.sites[person.home].doors[0].has_exit_reader
    return not has_exits and _office_on_site(p, person, day) and p.is_around(person, day + 1)


def _between_near_sites(p: Planner, person: Person, day: int) -> bool:
    return person.home in {0, 1} and _on_site(p, person, day) and p.is_around(person, day + 1)


def _may_leave(p: Planner, person: Person, day: int) -> bool:
    """Gone from some day before *day* on; nothing else happens to this person."""
    return p.is_spare(person) and day >= 4 and p.is_around(person, day)


def _last_day(p: Planner, person: Person, day: int) -> bool:
    return p.is_spare(person) and _office_on_site(p, person, day)


def _on_leave(p: Planner, person: Person, day: int) -> bool:
    return p.is_spare(person) and p.is_around(person, *range(day - 2, day + 3))


def _loses_badge(p: Planner, person: Person, day: int) -> bool:
    return p.is_spare(person) and day >= 4 and p.is_around(person, day - 2, day - 1, day, day + 1)


def _finds_badge(p: Planner, person: Person, day: int) -> bool:
    return p.is_spare(person) and p.is_around(person, day - 1) and _office_on_site(p, person, day)


def _joiner(p: Planner, person: Person, day: int) -> bool:
    return p.diary.is_untouched(person.number) and day >= 4 and _office_on_site(p, person, day)


def _is_known(p: Planner, person: Person, day: int) -> bool:
    active = sum(p.stay(person, d) in {"onsite", "remote", "trip", "away"} for d in range(day))
    return active >= ACTIVE_DAYS and p.is_around(person, day - 1, day)


def _has_critical_doors(p: Planner, person: Person, day: int) -> bool:
    return person.role in {"lab", "facility", "it"} and not person.is_early and _is_known(p, person, day)


def _known_office(p: Planner, person: Person, day: int) -> bool:
    return person.role == "office" and not person.is_early and _is_known(p, person, day)


def _on_call(p: Planner, person: Person, day: int) -> bool:
    return p.staff.start_day(day).weekday() in person.call_nights and _is_known(p, person, day)


def _early_in_lab(p: Planner, person: Person, day: int) -> bool:
    return (
        person.role == "lab"
        and person.is_early
        and p.is_at_home_site(person, day)
        and _is_known(p, person, day)
    )


# ------------------------------------------------------------- what is changed for it


def _nothing(p: Planner, person: Person, day: int) -> None:
    p.shape(person, day)


def _quiet(p: Planner, person: Person, day: int) -> None:
    p.shape(person, day, is_quiet=True)


def _by_the_late_side_door(p: Planner, person: Person, day: int) -> None:
    p.shape(person, day, entrance="side", interior="floor-3", arrives=510)


def _temporary_badge(p: Planner, person: Person, day: int) -> None:
    _hand_out_temporary(p, person, day)
    person.carried[day + 1] = person.badge_on(day - 1)


def _hand_out_temporary(p: Planner, person: Person, day: int) -> str:
    badge = f"{900_000 + person.number * 40 + day}"
    person.badges.append(Badge(badge, "temp", p.instant(person, day, 0), p.instant(person, day + 1, 0)))
    person.carried[day] = badge
    p.shape(person, day)
    return badge


def _replace_badge(p: Planner, person: Person, day: int) -> None:
    badge = f"{500_000 + person.number * 7}"
    person.badges.append(Badge(badge, "card", p.instant(person, day, 0)))
    person.carried[day] = badge


def _terminated_before(p: Planner, person: Person, day: int) -> None:
    person.last_day = day - 1 - p.rng.randrange(3)
    person.statuses.append((_date(p, person.last_day), "terminated"))


def _terminated_today(p: Planner, person: Person, day: int) -> None:
    person.last_day = day
    person.statuses += [(_date(p, day - 3), "notice"), (_date(p, day), "terminated")]
    p.shape(person, day)


def _on_leave_around(p: Planner, person: Person, day: int) -> None:
    person.leave_days = frozenset(range(day - 2, day + 3))
    person.statuses += [(_date(p, day - 2), "leave"), (_date(p, day + 3), "active")]


def _rehired(p: Planner, person: Person, day: int) -> None:
    person.first_day = day
    person.statuses += [(_date(p, -40), "terminated"), (_date(p, day), "active")]
    p.shape(person, day)


def _lost_before(p: Planner, person: Person, day: int) -> None:
    lost = day - 1 - p.rng.randrange(2)
    state = p.rng.choice(("lost", "stolen"))
    person.badges[0].states.append((p.instant(person, lost, 1320), state))
    _replace_badge(p, person, lost + 1)


def _lost_and_found(p: Planner, person: Person, day: int) -> None:
    card = person.badges[0]
    card.states += [(p.instant(person, day - 1, 1320), "lost"), (p.instant(person, day, 300), "active")]
    p.shape(person, day)


def _lost_in_the_evening(p: Planner, person: Person, day: int) -> None:
    person.badges[0].states.append((p.instant(person, day, 1380), "lost"))
    _replace_badge(p, person, day + 1)
    p.shape(person, day)


def _temporary_while_lost(p: Planner, person: Person, day: int) -> None:
    person.badges[0].states.append((p.instant(person, day - 1, 1380), "lost"))
    _hand_out_temporary(p, person, day)
    _replace_badge(p, person, day + 1)


def _hired_recently(p: Planner, person: Person, day: int) -> None:
    person.first_day = day - p.rng.randrange(1, min(9, day))
    person.hired = _date(p, person.first_day)
    p.shape(person, day)


def _night_call(p: Planner, person: Person, day: int) -> None:
    p.shape(person, day, is_night_call=True)


def _date(p: Planner, day: int) -> date:
    return day_date(p.staff.start_day(0).date(), day)


_FITS: dict[str, tuple[Fits, Prepare]] = {
    "while-elsewhere": (_elsewhere, _nothing),
    "late-upload": (_enters_late_side, _by_the_late_side_door),
    "remote-desktop": (_remote, _nothing),
    "temp-badge": (_office_on_site, _temporary_badge),
    "overnight": (_stays_overnight, _nothing),
    "behind-vpn": (_remote, _nothing),
    "failed": (_remote, _nothing),
    "far-login": (_on_site, _nothing),
    "vpn-abroad": (_on_site, _nothing),
    "relay": (_on_site, _nothing),
    "mobile": (_on_site, _nothing),
    "hosting": (_on_site, _nothing),
    "near": (_on_site, _nothing),
    "wide-radius": (_on_site, _nothing),
    "far-failure": (_on_site, _nothing),
    "far-token": (_on_site, _nothing),
    "clone-far": (_on_site, _nothing),
    "clone-campus": (_office_on_site, _nothing),
    "flight": (_between_near_sites, _quiet),
    "not-taken": (_on_site, _nothing),
    "skew": (_office_on_site, _nothing),
    "vestibule": (_on_site, _nothing),
    "burst": (_on_site, _nothing),
    "four-denials": (_on_site, _nothing),
    "faulty-reader": (_on_site, _nothing),
    "slow-denials": (_on_site, _nothing),
    "probing": (_veteran_on_site, _nothing),
    "joiner": (_joiner, _hired_recently),
    "two-doors": (_veteran_on_site, _nothing),
    "slow-doors": (_veteran_on_site, _nothing),
    "one-door": (_veteran_on_site, _nothing),
    "terminated-denied": (_may_leave, _terminated_before),
    "terminated-granted": (_may_leave, _terminated_before),
    "last-day": (_last_day, _terminated_today),
    "on-leave": (_on_leave, _on_leave_around),
    "rehired": (_last_day, _rehired),
    "lost-denied": (_loses_badge, _lost_before),
    "lost-granted": (_loses_badge, _lost_before),
    "found": (_finds_badge, _lost_and_found),
    "before-lost": (_last_day, _lost_in_the_evening),
    "temp-while-lost": (_finds_badge, _temporary_while_lost),
    "night-visit": (_has_critical_doors, _nothing),
    "on-call": (_on_call, _night_call),
    "early-bird": (_early_in_lab, _nothing),
    "night-office": (_known_office, _nothing),
}

_PLAN: tuple[tuple[str, Label, tuple[str, ...]], ...] = (
    ("D21", "attack", ("terminated-denied", "terminated-denied", "terminated-granted")),
    ("D21", "look-alike", ("last-day", "on-leave", "rehired")),
    ("D23", "attack", ("lost-denied", "lost-granted")),
    ("D23", "look-alike", ("found", "before-lost", "temp-while-lost")),
    ("D18", "look-alike", ("joiner", "two-doors", "slow-doors", "one-door")),
    ("D26", "attack", ("night-visit",)),
    ("D26", "look-alike", ("on-call", "early-bird", "night-office")),
    ("D01", "attack", ("while-elsewhere",)),
    ("D01", "look-alike", ("late-upload", "remote-desktop", "temp-badge",
                            "overnight", "behind-vpn", "failed")),
    ("D12", "attack", ("clone-far", "clone-far", "clone-far", "clone-campus")),
    ("D12", "look-alike", ("flight", "not-taken", "skew", "vestibule")),
    ("D05", "attack", ("far-login",)),
    ("D05", "look-alike", (
        "vpn-abroad", "relay", "mobile", "hosting", "near", "wide-radius", "far-failure", "far-token",
    )),
    ("D17", "attack", ("burst",)),
    ("D17", "look-alike", ("four-denials", "faulty-reader", "slow-denials")),
    ("D18", "attack", ("probing",)),
)  # fmt: skip
_DOOR_PLAN: tuple[tuple[Label, tuple[str, ...]], ...] = (
    ("attack", ("forced",)),
    ("look-alike", ("after-grant", "after-rex", "held", "faulty-contact")),
)
# A clone moves the person: the owner's next login then looks like one from afar, without a badge.
_ALSO = {("D12", "attack"): ("D01", "D05")}
