"""One scenario on its day: what those who write it into the day need to know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from correlator.simulate.days import lan_address, workstation
from correlator.simulate.emit import BadgeRecord, DayLog, LoginRecord, SimulatedRecord
from correlator.simulate.geography import Door, Site
from correlator.simulate.people import Person
from correlator.simulate.scenario import Scenario


class Scene(NamedTuple):
    """*own* is what the person left behind on that day; *crowd* is whoever else is on site."""

    log: DayLog
    scenario: Scenario
    person: Person | None
    site: Site
    rng: Random
    own: list[SimulatedRecord]
    crowd: list[Person]
    guard: Person | None

    @property
    def who(self) -> Person:
        assert self.person is not None, self.scenario.id
        return self.person

    @property
    def badge(self) -> str:
        return self.who.badge_on(self.scenario.day)

    @property
    def reads(self) -> list[BadgeRecord]:
        """The person's reads of the day that let somebody through, oldest first."""
        found = [
            r
            for r in self.own
            if isinstance(r, BadgeRecord) and r.outcome == "granted" and r.taken != "not_taken"
        ]
        return sorted(found, key=lambda r: r.time_ms)

    def at(self, first: float, last: float) -> int:
        return self.log.at(self.site, self.rng.uniform(first, last))

    def address(self, network: str) -> str:
        return self.log.ranges[network].address(self.rng.randrange(200))

    def foreign_door(self) -> Door:
        """A door of the site that is not for this person."""
        own = {f"{self.site.code}-{short}" for short in self.who.doors}
        return self.rng.choice([d for d in self.site.critical_doors if d.id not in own])

    def console(self, time_ms: int, logon_type: str, site: Site | None = None) -> LoginRecord:
        where = site or self.site
        return self.log.login(
            time_ms, self.who.account, lan_address(self.log, self.who, where), logon_type,
            device=workstation(self.who, where), application="workstation",
        )  # fmt: skip

    def denied(self, time_ms: int, door: Door, reason: str = "no_access_rights") -> BadgeRecord:
        return self.log.badge(time_ms, self.badge, door, outcome="denied", reason=reason)


Write = Callable[[Scene], Sequence[SimulatedRecord]]
