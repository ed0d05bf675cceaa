"""What controllers, door contacts and login connectors report of one simulated day, and when it arrives.

A true time becomes a stated time (the source's clock may be off) and an arrival (connectors deliver in
batches, a controller may have been offline). All times in ms since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from correlator.event import HOUR_MS, MINUTE_MS, SECOND_MS
from correlator.simulate.geography import CLOCK_SKEW_MS, LATE_CONTROLLER, Door, Range, Site

CONNECTOR_POLL_MS = 10 * SECOND_MS  # of the identity provider's log
LATE_FROM_MS, LATE_TO_MS = (
    7 * HOUR_MS,
    10 * HOUR_MS,
)  # local time at the site of the controller that is offline


class BadgeRecord(msgspec.Struct):
    arrival_ms: int
    time_ms: int
    controller: str
    sequence: int
    badge: str
    door: str
    reader: str
    direction: str
    outcome: str
    reason: str
    taken: str
    id: str = ""  # event id, once the record is encoded


class DoorRecord(msgspec.Struct):
    arrival_ms: int
    time_ms: int
    controller: str
    sequence: int
    door: str
    activity: str
    id: str = ""


class LoginRecord(msgspec.Struct):
    arrival_ms: int
    time_ms: int
    source: str
    number: str
    account: str
    outcome: str
    reason: str
    ip: str
    logon_type: str
    is_interactive: bool
    mfa: str
    device: str
    session: str
    application: str
    id: str = ""


SimulatedRecord = BadgeRecord | DoorRecord | LoginRecord
Application = Literal["workstation", "mail", "wiki", "erp", "vpn", "backup"]


@dataclass
class DayLog:
    """One local day of the company: what is reported goes through `badge`, `door` and `login`."""

    day: int
    today: date
    sites: tuple[Site, ...]
    ranges: dict[str, Range]
    rng: Random
    records: list[SimulatedRecord] = field(default_factory=list)
    sequences: dict[str, int] = field(default_factory=dict)
    midnights: tuple[int, ...] = ()
    skew_ms: Mapping[str, int] = field(default_factory=lambda: CLOCK_SKEW_MS)  # by controller
    offline: frozenset[str] = frozenset((LATE_CONTROLLER,))  # controllers that are late on some mornings

    def __post_init__(self) -> None:
        self.midnights = tuple(midnight_ms(self.today, site.time_zone) for site in self.sites)

    def at(self, site: Site, minute: float) -> int:
        """The instant *minute* minutes after local midnight at *site*; beyond 1,440 it is the next day."""
        return self.midnights[site.number] + round(minute * MINUTE_MS)

    def badge(
        self, time_ms: int, badge: str, door: Door, direction: str = "in", outcome: str = "granted", *,
        reason: str = "", taken: str | None = None,
    ) -> BadgeRecord:  # fmt: skip
        """A read. *taken* None: what the door can tell; a contact reports that it was opened and closed."""
        if taken is None:
            taken = (
                "not_taken"
                if outcome == "denied"
                else "taken"
                if door.is_perimeter or door.has_contact
                else "unknown"
            )
        reader = door.reader_out if direction == "out" else door.reader_in
        arrival_ms, stated_ms, sequence = self._reported(time_ms, door.controller)
        record = BadgeRecord(
            arrival_ms,
            stated_ms,
            door.controller,
            sequence,
            badge,
            door.id,
            reader,
            direction,
            outcome,
            reason,
            taken,
        )
        self.records.append(record)
        if taken == "taken" and door.has_contact:
            self.door(time_ms + 1_200, door, "opened")
            self.door(time_ms + 5_700, door, "closed")
        return record

    def door(self, time_ms: int, door: Door, activity: str) -> DoorRecord:
        arrival_ms, stated_ms, sequence = self._reported(time_ms, door.controller)
        record = DoorRecord(arrival_ms, stated_ms, door.controller, sequence, door.id, activity)
        self.records.append(record)
        return record

    def login(
        self, time_ms: int, account: str, ip: str, logon_type: str, *,
        device: str = "", application: Application = "mail",
        outcome: str = "success", reason: str = "", mfa: str = "none", is_interactive: bool = True,
    ) -> LoginRecord:  # fmt: skip
        source = _login_source(logon_type)
        number = self._next(source)
        if source == "idp":
            arrival_ms = (time_ms + 500) // CONNECTOR_POLL_MS * CONNECTOR_POLL_MS + CONNECTOR_POLL_MS
        else:
            arrival_ms = time_ms + self.rng.randrange(200, 2_000)
        session = f"{source}-{self.day}-{number // 3}" if outcome == "success" else ""
        record = LoginRecord(
            arrival_ms, time_ms, source, f"{self.day}-{number}", account, outcome, reason, ip, logon_type,
            is_interactive, mfa, device, session, application,
        )  # fmt: skip
        self.records.append(record)
        return record

    def _reported(self, time_ms: int, controller: str) -> tuple[int, int, int]:
        """(arrival, stated time, sequence). Controllers send what they have every second."""
        arrival_ms = time_ms + self.rng.randrange(200, 1_800)
        if controller in self.offline:
            arrival_ms = max(arrival_ms, self._upload_ms(time_ms, controller))
        return (
            arrival_ms,
            time_ms + self.skew_ms.get(controller, 0),
            self.day * 1_000_000 + self._next(controller),
        )

    def _upload_ms(self, time_ms: int, controller: str) -> int:
        """When *controller*, if it was offline at *time_ms*, delivers; 0 if it was not."""
        if not is_late_day(self.day):
            return 0
        for site in self.sites:
            since_midnight_ms = time_ms - self.midnights[site.number]
            if controller in site.controllers and LATE_FROM_MS <= since_midnight_ms < LATE_TO_MS:
                return self.midnights[site.number] + LATE_TO_MS + (since_midnight_ms - LATE_FROM_MS) // 600
        return 0

    def _next(self, source: str) -> int:
        number = self.sequences.get(source, 0)
        self.sequences[source] = number + 1
        return number


def is_late_day(day: int) -> bool:
    """Is the late controller offline this morning?"""
    return day % 3 == 1


def midnight_ms(today: date, time_zone: str) -> int:
    """Local midnight at the beginning of *today*."""
    return (
        round(datetime(today.year, today.month, today.day, tzinfo=ZoneInfo(time_zone)).timestamp())
        * SECOND_MS
    )


def day_date(start: date, day: int) -> date:
    return start + timedelta(day)


def _login_source(logon_type: str) -> str:
    if logon_type == "vpn":
        return "vpn-gateway"
    if logon_type == "web":
        return "idp"
    return "directory"
