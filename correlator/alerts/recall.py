"""An alert record read back: its events, as far as its evidence tells them, and what it says was decided.

The inverse of `evidence.evidence_of`: an event whose fields an alert can name comes back as it was. Pure.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from correlator.event import MINUTE_MS, SECOND_MS, Event, Kind, Network, Place, Score, make_event
from correlator.timeline.live import Scalar

Json = dict[str, Any]

_PLAIN = (  # of an event's data, under the same name in `Event`
    "kind", "source", "feed", "credential", "outcome", "reason", "reason_native", "activity", "logon_type",
    "mfa", "application", "session", "taken", "direction", "duress", "is_interactive", "is_business_hours",
    "sequence", "skew_s", "site_skew_s", "unread",
)  # fmt: skip


class _Data(msgspec.Struct):
    """The names of `Event`, but for those that are written otherwise."""

    event_id: str
    kind: Kind
    time: datetime
    source: str = ""
    feed: str = ""
    credential: str = ""
    outcome: str = ""
    reason: str = ""
    reason_native: str = ""
    activity: str = ""
    logon_type: str = ""
    mfa: str = ""
    application: str = ""
    session: str = ""
    taken: str = "unknown"
    direction: str = "unknown"
    duress: bool = False
    is_interactive: bool = False
    is_business_hours: bool | None = None
    sequence: int | None = None
    place: Json | None = None
    network: Json | None = None
    time_claimed: datetime | None = None
    skew_s: int = 0
    site_skew_s: int = 0
    ways: dict[str, int] = {}
    unread: int = 0
    score: Json | None = None


class _Evidence(msgspec.Struct):
    data: _Data
    actor: Json = {}
    src_endpoint: Json = {}
    device: Json = {}


class _Told(msgspec.Struct):
    entity: str
    rule_id: str
    rule_hash: str
    event_id: str
    decided_ms: int
    values: dict[str, Scalar]
    evidence: tuple[str, ...] = ()
    count: int = 1
    repeats: tuple[str, ...] = ()
    repeat_count: int = 0
    assumed_complete: tuple[str, ...] = ()
    because: tuple[str, ...] = ()
    superseded_by: str = ""


class _Unmapped(msgspec.Struct):
    correlator: _Told


class _Uid(msgspec.Struct):
    uid: str


class _Finding(msgspec.Struct):
    finding_info: _Uid
    unmapped: _Unmapped
    evidences: tuple[_Evidence, ...] = ()
    activity_name: str = ""
    status_detail: str = ""
    confidence: str = ""
    severity: str = ""


class Recalled(msgspec.Struct, frozen=True):
    """*events* by time; *identity_type* and *department* of the person, "" where the alert names none."""

    uid: str
    told: _Told
    events: tuple[Event, ...]
    identity_type: str
    department: str
    activity: str
    reason: str
    confidence: str
    severity: str


_decode = msgspec.json.Decoder(_Finding, strict=True).decode


def recall(value: bytes) -> Recalled:
    """The alert in a record of the alert topic. Raises msgspec.DecodeError where it is none of ours."""
    finding = _decode(value)
    users = [e.actor.get("user", {}) for e in finding.evidences]
    groups = [str(group.get("name", "")) for user in users for group in user.get("groups", ())]
    types = [str(user["type"]) for user in users if "type" in user]
    return Recalled(
        finding.finding_info.uid,
        finding.unmapped.correlator,
        tuple(sorted((_event(e) for e in finding.evidences), key=lambda event: event.order)),
        types[0] if types else "",
        groups[0] if groups else "",
        finding.activity_name.lower(),
        finding.status_detail,
        finding.confidence.lower(),
        finding.severity.lower(),
    )


def _event(evidence: _Evidence) -> Event:
    data = evidence.data
    offset = data.time.utcoffset()
    return make_event(
        _ms(data.time),
        data.event_id,
        identity_id=evidence.actor.get("user", {}).get("uid", ""),
        ip=evidence.src_endpoint.get("ip", ""),
        device=evidence.device.get("uid", ""),
        place=Place(**data.place) if data.place is not None else None,
        network=_network(data.network or {}, evidence.src_endpoint),
        offset_min=round(offset.total_seconds() * SECOND_MS / MINUTE_MS) if offset is not None else 0,
        time_claimed_ms=_ms(data.time_claimed) if data.time_claimed is not None else None,
        score=msgspec.convert(list(data.score.values()), Score) if data.score is not None else None,
        ways=tuple(sorted(data.ways.items())),
        **{name: getattr(data, name) for name in _PLAIN},
    )


def _network(data: Json, endpoint: Json) -> Network | None:
    asn = endpoint.get("autonomous_system", {}).get("number", 0)
    name = data.get("name") or endpoint.get("name", "")
    return Network(name, data.get("class", ""), asn) if name or asn or data else None


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * SECOND_MS)
