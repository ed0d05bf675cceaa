"""The simulated company as a whole: who there is, what happens on each day, and what truth says of it.

`simulate(settings, schemas)` makes one; `records()` yields what its systems send, in the order of
arrival, one day at a time, so that it may run for ever. Everything is a function of the settings: equal
settings, equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from random import Random

import msgspec

from correlator.event import SECOND_MS, entity_key
from correlator.record import Record
from correlator.simulate.days import Noise, live
from correlator.simulate.emit import DayLog, day_date, midnight_ms
from correlator.simulate.geography import (
    CLOCK_SKEW_MS,
    LATE_CONTROLLER,
    Range,
    Site,
    make_ranges,
    make_sites,
)
from correlator.simulate.inject import inject
from correlator.simulate.people import Badge, Person, Plan, make_people, plan_of
from correlator.simulate.planning import Planner
from correlator.simulate.scenario import RULES, Directive, Scenario
from correlator.simulate.scene import Scene
from correlator.simulate.wire import Encoder, Schemas

PLANNED_PEOPLE = 500  # that carry all scenarios; fewer people carry fewer
PLANNED_DAYS = 21
CALM = Noise(tailgating=0.0, missed_interior=0.0, double_read=0.0, not_taken=0.0, denied=0.0)
UNREAD = Noise(tailgating=1.0, missed_interior=1.0)
SERVICE_MINUTES = 30  # between two logins of a service account
REDELIVERED = 0.0005  # share of records that a connector delivers twice


class CompanySettings(msgspec.Struct, frozen=True):
    """*tailgating*: share of entries without a read. *scenarios*: attacks, and look-alikes, of each rule.

    *skews_ms*: clocks of more controllers that are off. *offline*: more controllers that upload late. *dead*:
    (site, day) on which all of the site do, where the day is one of those (`is_late_day`).
    *unread*: how many people come in where nothing reads their badge. *reissued*: badges that are handed to
    somebody else.
    """

    days: int = PLANNED_DAYS
    people: int = PLANNED_PEOPLE
    seed: int = 1
    start: date = date(2026, 1, 5)
    tailgating: float = 0.005
    scenarios: int = 20
    skews_ms: tuple[tuple[str, int], ...] = ()
    offline: tuple[str, ...] = ()
    dead: tuple[tuple[str, int], ...] = ()
    unread: int = 0
    reissued: int = 0


class Reissued(msgspec.Struct, frozen=True):
    """From *at_ms* on *badge* is no longer that of *old*, but of *new*."""

    at_ms: int
    old: Person
    new: Person
    badge: str


class Company:
    """Made by `simulate`. Truth is complete once `records` was read to its end."""

    def __init__(self, settings: CompanySettings, schemas: Schemas) -> None:
        self.settings = settings
        self.sites: tuple[Site, ...] = make_sites()
        self.ranges: dict[str, Range] = make_ranges(self.sites)
        self.people: list[Person] = make_people(settings.seed, settings.people, self.sites, settings.start)
        self.directives: dict[tuple[int, int], Directive] = {}
        self.person_days = 0
        self.counts: dict[str, int] = {}
        self._encoder = Encoder(schemas)
        self._noise = Noise(tailgating=settings.tailgating)
        rng = Random(f"{settings.seed}:plan")
        planner = Planner(self, rng, settings.days, _scaled(settings))
        self.scenarios: list[Scenario] = planner.plan()
        self._by_day: dict[int, list[Scenario]] = {}
        for scenario in self.scenarios:
            self._by_day.setdefault(scenario.day, []).append(scenario)
        ordinary = self._ordinary()
        self._unread = {person.number for person in ordinary[: settings.unread]}
        self.reissued: list[Reissued] = self._reissue(ordinary[settings.unread :])

    def _ordinary(self) -> list[Person]:
        """People of the offices who carry no scenario."""
        taken = {scenario.person for scenario in self.scenarios}
        known = (p for p in self.people if p.role == "office" and p.first_day < 0 < p.last_day)
        return [p for p in known if p.number not in taken and len(p.badges) == 1 and not p.carried]

    def _reissue(self, people: list[Person]) -> list[Reissued]:
        """In the middle of the run a badge goes to somebody else, and its holder gets a new one."""
        day, found = self.settings.days // 2, list[Reissued]()
        for old, new in zip(people[: self.settings.reissued], people[self.settings.reissued :], strict=False):
            at_ms = midnight_ms(day_date(self.settings.start, day), self.sites[old.home].time_zone)
            badge, fresh = old.badges[0], Badge(f"{800_000 + old.number * 7}", from_ms=at_ms)
            found.append(Reissued(at_ms, old, new, badge.id))
            badge.to_ms = new.badges[0].to_ms = at_ms
            old.badges.append(fresh)
            new.badges.append(Badge(badge.id, from_ms=at_ms))
            old.carried[day], new.carried[day] = fresh.id, badge.id
        return found

    def plan(self, person: Person, day: int) -> Plan:
        """Where *person* is on local *day*, counted from the first."""
        return plan_of(self.settings.seed, person, day, day_date(self.settings.start, day), self.sites)

    def start_day(self, day: int) -> datetime:
        """Midnight without zone at the beginning of *day*."""
        today = day_date(self.settings.start, day)
        return datetime(today.year, today.month, today.day)  # noqa: DTZ001 - the zone is the site's

    def records(self, *, is_endless: bool = False) -> Iterator[Record]:
        """What is sent, by arrival (the records' timestamp). Offsets count from 0 per topic and partition.

        With *is_endless* life goes on after the last day, without scenarios.
        """
        waiting: list[Record] = []
        offsets: dict[tuple[str, int], int] = {}
        day = 0
        while is_endless or day < self.settings.days:
            log = self._day(day)
            waiting.extend(self._encoder.encode(log.records))
            waiting.sort(key=_by_arrival)
            until_ms = min(log.midnights) + 24 * 3600 * SECOND_MS
            ready = sum(record.timestamp_ms < until_ms for record in waiting)
            yield from (self._numbered(record, offsets) for record in waiting[:ready])
            del waiting[:ready]
            day += 1
        yield from (self._numbered(record, offsets) for record in waiting)

    def _numbered(self, record: Record, offsets: dict[tuple[str, int], int]) -> Record:
        place = (record.topic, record.partition)
        offset = offsets.get(place, 0)
        offsets[place] = offset + 1
        self.counts[record.topic] = self.counts.get(record.topic, 0) + 1
        return msgspec.structs.replace(record, offset=offset)

    # ----------------------------------------------------------------------- one day

    def _day(self, day: int) -> DayLog:
        """Everything that is reported of local *day*."""
        seed = self.settings.seed
        log = DayLog(
            day, day_date(self.settings.start, day), self.sites, self.ranges, Random(f"{seed}:day:{day}"),
            skew_ms=CLOCK_SKEW_MS | dict(self.settings.skews_ms),
            offline=self._offline(day),
        )  # fmt: skip
        plans = {person.number: self.plan(person, day) for person in self.people}
        calm = {s.person for near in (day - 1, day, day + 1) for s in self._by_day.get(near, ())}
        spans: dict[int, tuple[int, int]] = {}
        for person in self.people:
            begin = len(log.records)
            noise = CALM if person.number in calm else self._noise
            if person.number in self._unread:
                noise = UNREAD
            self._live(log, person, plans[person.number], noise)
            spans[person.number] = (begin, len(log.records))
            self.person_days += person.is_human and plans[person.number].stay != "gone"
        for scenario in self._by_day.get(day, ()):
            inject(self._scene(log, scenario, plans, spans))
        _redeliver(log)
        return log

    def _offline(self, day: int) -> frozenset[str]:
        dead = [site for site in self.sites if (site.id, day) in self.settings.dead]
        return frozenset((LATE_CONTROLLER, *self.settings.offline, *(c for s in dead for c in s.controllers)))

    def _live(self, log: DayLog, person: Person, plan: Plan, noise: Noise) -> None:
        if person.role == "service":
            _serve(log, person)
            return
        directive = self.directives.get((person.number, log.day))
        rng = Random(f"{self.settings.seed}:life:{person.number}:{log.day}")
        if directive is None:
            live(log, person, plan, rng, noise)
        elif not directive.is_quiet:
            live(log, _shaped(person, directive), plan, rng, noise, is_called=directive.is_night_call)

    def _scene(
        self, log: DayLog, scenario: Scenario, plans: dict[int, Plan], spans: dict[int, tuple[int, int]]
    ) -> Scene:
        person = self.people[scenario.person] if scenario.person >= 0 else None
        begin, end = spans.get(scenario.person, (0, 0))
        site = self.sites[scenario.site]
        taken = {s.person for s in self.scenarios if abs(s.day - log.day) <= 1}
        crowd = [
            p for p in self.people
            if plans[p.number] == ("onsite", scenario.site, "") and p.number not in taken and not p.is_early
        ]  # fmt: skip
        guards = (p for p in self.people if p.slot == 0 and plans[p.number] == ("shift", scenario.site, ""))
        rng = Random(f"{self.settings.seed}:scenario:{scenario.id}")
        return Scene(log, scenario, person, site, rng, log.records[begin:end], crowd, next(guards, None))

    # ------------------------------------------------------------------------- truth

    def truth(self) -> dict[str, object]:
        """What was injected, as `evaluate` reads it. Times in ms since the epoch, UTC."""
        settings = self.settings
        return {
            "days": settings.days,
            "people": settings.people,
            "seed": settings.seed,
            "person_days": self.person_days,
            "records": dict(sorted(self.counts.items())),
            "scenarios": [self._told(scenario) for scenario in self.scenarios if scenario.event_ids],
        }

    def _told(self, scenario: Scenario) -> dict[str, object]:
        who: dict[str, object] = {"door": scenario.door, "entity": entity_key("door", scenario.door)}
        if scenario.person >= 0:
            identity = self.people[scenario.person].id
            who = {"identity": identity, "entity": entity_key("identity", identity)}
        return {
            "id": scenario.id,
            "kind": scenario.kind,
            "rule": RULES[scenario.name],
            "rule_name": scenario.name,
            **who,
            "also": [RULES[name] for name in scenario.also],
            "event_ids": scenario.event_ids,
            "from_ms": scenario.from_ms,
            "to_ms": scenario.to_ms,
            "note": scenario.variant.replace("-", " "),
        }


def simulate(settings: CompanySettings, schemas: Schemas) -> Company:
    """The company of *settings*. *schemas*: Avro schema by file name, with its id (`wire.read_schemas`)."""
    return Company(settings, schemas)


def _scaled(settings: CompanySettings) -> int:
    """Scenarios of each rule and kind that this many people can carry in this many days, at least one."""
    share = min(1.0, settings.people / PLANNED_PEOPLE) * min(1.0, settings.days / PLANNED_DAYS)
    return max(1, round(settings.scenarios * share)) if settings.scenarios else 0


def _by_arrival(record: Record) -> int:
    return record.timestamp_ms


def _shaped(person: Person, directive: Directive) -> Person:
    """*person* as on a day that a scenario needs to be so and not otherwise."""
    if directive.entrance:
        person = replace(person, entrance=directive.entrance, interior=directive.interior, doors=())
    if directive.arrives:
        person = replace(person, arrives=directive.arrives, leaves=directive.arrives + 520)
    return person


def _serve(log: DayLog, person: Person) -> None:
    """A service account logs in by itself, day and night."""
    ip = log.ranges["lan-lisbon"].address(40_000 + person.number)
    for minute in range(person.number % SERVICE_MINUTES, 24 * 60, SERVICE_MINUTES):
        log.login(
            log.at(log.sites[0], minute), person.account, ip, "service",
            device=f"SRV-{person.number}", application="backup", is_interactive=False,
        )  # fmt: skip


def _redeliver(log: DayLog) -> None:
    count = round(len(log.records) * REDELIVERED)
    for record in log.rng.sample(log.records, count):
        again = msgspec.structs.replace(record)
        again.arrival_ms = record.arrival_ms + log.rng.randrange(5, 60) * SECOND_MS
        log.records.append(again)
