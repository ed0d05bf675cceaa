"""An alert as its readers get it: the fields of a finding that lists and terminals show. Pure.

Reads any finding of ours, also of older versions: what is missing is empty.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from correlator.alerts.phrases import local, place_short
from correlator.event import SECOND_MS, Place


class _Finding(msgspec.Struct):
    uid: str
    title: str = ""
    desc: str = ""


class _Analytic(msgspec.Struct):
    correlation_uid: str = ""
    event_code: str = ""
    original_time: datetime | None = None


class _Ours(msgspec.Struct):
    entity: str = ""
    decided_ms: int = 0
    rule_id: str = ""
    evidence: list[str] = []
    repeats: list[str] = []
    controls: list[str] = []
    repeat_count: int = 0
    supersedes: str = ""
    superseded_by: str = ""


class _Physical(msgspec.Struct):
    event: dict[str, Any] = {}


class _Unmapped(msgspec.Struct):
    correlator: _Ours = msgspec.field(default_factory=_Ours)
    physical_access: _Physical = msgspec.field(default_factory=_Physical)


class Told(msgspec.Struct):
    """One record of the alert topic. Times in ms, UTC; *timezone_offset* in minutes, of the place."""

    finding_info: _Finding
    activity_id: int = 0
    time: int = 0
    end_time: int = 0
    timezone_offset: int = 0
    message: str = ""
    severity: str = ""
    confidence: str = ""
    status: str = ""
    status_detail: str = ""
    metadata: _Analytic = msgspec.field(default_factory=_Analytic)
    unmapped: _Unmapped = msgspec.field(default_factory=_Unmapped)

    @property
    def is_closed(self) -> bool:
        return self.activity_id == 3

    @property
    def when(self) -> str:
        """Of the match that the message tells of, local: `2026-03-02 09:14:05 +01:00`."""
        return local(self.first_ms, self.timezone_offset)

    @property
    def first_ms(self) -> int:
        """When its first match was, whatever joined since; its event's time, where that is known."""
        event_at = self.metadata.original_time
        if event_at is not None:
            return round(event_at.timestamp() * SECOND_MS)
        return min(self.end_time, self.unmapped.correlator.decided_ms or self.end_time)

    @property
    def person(self) -> str:
        """The identity or the unresolved credential; "" where the alert is about a door."""
        kind, _, name = self.unmapped.correlator.entity.partition(":")
        return name if kind == "identity" else f"? {name.replace(':', ' ')}" if kind == "unresolved" else ""

    @property
    def place(self) -> str:
        """Door, else site, else country of the completing event; else the door that the alert is about."""
        at = self.unmapped.physical_access.event.get("place", {})
        door, site, country = (str(at.get(name, "")) for name in ("door", "site", "country"))
        known = Place(site=site, door=door, country=country)
        kind, _, name = self.unmapped.correlator.entity.partition(":")
        return place_short(known) or (name if kind == "door" else "")

    @property
    def subjects(self) -> set[str]:
        """By what it may be asked for: `e1001`, `identity:e1001`, `lis`, `lis-1-01`, `door:lis-1-01`."""
        entity, at = self.unmapped.correlator.entity, self.unmapped.physical_access.event.get("place", {})
        named = {f"{kind}:{at[kind]}" for kind in ("site", "zone", "door") if at.get(kind)} | {entity}
        return named | {name.partition(":")[2] for name in named}

    @property
    def state(self) -> str:
        """`new`, `updated`, `closed (retracted)`"""
        said = {1: "new", 2: "updated", 3: "closed"}.get(self.activity_id, "?")
        return f"{said} ({self.status_detail})" if self.status_detail else said


_decoder = msgspec.json.Decoder(Told)


def read_told(value: bytes | str) -> Told:
    """The finding in *value*. Raises msgspec.DecodeError when it is none of ours."""
    return _decoder.decode(value)
