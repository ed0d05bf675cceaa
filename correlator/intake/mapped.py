"""What a feed file makes of a source's record: canonical words, the source's own names of places and people.

The next step (`normalise`) looks these up in sites, networks and people and yields an `Event`.
"""

from __future__ import annotations

import msgspec

from correlator.event import Kind


class Heartbeat(msgspec.Struct, frozen=True):
    """A record by which a source says that it is alive, and nothing else."""

    source: str
    feed: str


class Mapped(msgspec.Struct, frozen=True):
    """Times in ms since the epoch, UTC. "" and None: the source did not say."""

    time_ms: int
    native_id: str  # what the feed declares an event's id to be made of, joined
    kind: Kind
    source: str
    feed: str
    credential: str = ""
    credential_class: str = ""  # card | account | …: which namespace `credential` is looked up in
    site: str = ""
    reader: str = ""
    door: str = ""
    host: str = ""
    outcome: str = ""
    reason: str = ""
    reason_native: str = ""
    taken: str = "unknown"
    direction: str = "unknown"
    duress: bool = False
    activity: str = ""
    ip: str = ""
    lat: float | None = None
    lon: float | None = None
    radius_km: float | None = None
    country: str = ""
    logon_type: str = ""
    is_interactive: bool = False
    mfa: str = ""
    device: str = ""
    session: str = ""
    application: str = ""
    sequence: int | None = None
