"""Every number that can change an alert and is not written in a rule. Part of the bundle."""

from __future__ import annotations

import msgspec

from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Kind, Place

HALF_ROUND_KM = 20_015.1  # half the circumference of the earth: no place is farther


class FeedTiming(msgspec.Struct, frozen=True):
    """How a feed behaves in time (decision 6). Durations in ms."""

    feed: str
    kind: Kind
    topic: str
    bound_ms: int = 2 * MINUTE_MS  # how much older than its newest event a source may still deliver
    quiet_ms: int = MINUTE_MS  # how long after arrival a quiet source counts as having had nothing to say
    delay_ms: int | None = None  # what its transport takes at most; None: learned from its sources
    # a silence is believed to be quiet while its parts within and outside business hours are shorter than
    silence_max_ms: int = 4 * DAY_MS  # of one source, outside (a long weekend)
    silence_max_business_hours_ms: int = 4 * HOUR_MS  # of one source, within
    site_silence_max_ms: int = 4 * DAY_MS  # of all sources of a site together, outside
    site_silence_max_business_hours_ms: int = (
        15 * MINUTE_MS
    )  # of all together, within; also the least `quiet` then

    @property
    def late_ms(self) -> int:
        """Age on arrival from which on an event counts as late."""
        return self.bound_ms + (self.delay_ms or 0)

    @property
    def site_sure_ms(self) -> int:
        """A silence of a site that is quiet whenever it is, unless more is usual there."""
        return min(self.site_silence_max_ms, self.site_silence_max_business_hours_ms)


class SiteTiming(msgspec.Struct, frozen=True):
    """What the marks must know of a site: its zone, its week, which sources of which feed are configured
    there.
    """

    site: str
    time_zone: str  # IANA
    business_hours: tuple[
        tuple[int, int], ...
    ] = ()  # [from, to) in minutes of the local week, Monday 00:00 = 0
    sources: tuple[
        tuple[str, str], ...
    ] = ()  # (feed, source) configured; one never heard is listed, not waited for
    has_readers: bool = True
    has_exits: bool = True  # readers that see people leave


class Settings(msgspec.Struct, frozen=True):
    horizon_ms: int = DAY_MS
    ahead_ms: int = 5 * MINUTE_MS  # an event further ahead of its arrival is clamped by intake
    block_size: int = 32  # events between two checkpoints of a timeline
    shapes_min: int = 2_000  # kinds of events in a partition before it looks whether all are still needed
    events_max: int = 2_000  # an entity with more folds its oldest half into its base early
    skew_max_ms: int = (
        MINUTE_MS  # a source whose clock is off by more contradicts nobody (timeline/clocks.py)
    )
    risk_threshold: int = 100  # points of an entity and day from which on its risk is an alert
    storm_entities: int = 20  # of a rule, partition and hour that are told of; 0: all (timeline/storms.py)
    any_age_ms: int = 7 * DAY_MS  # how long uids of alerts on too-late events are remembered
    # presence (timeline/presence.py)
    presence_taken: float = 0.95
    presence_granted: float = 0.75
    presence_undated: float = 0.4  # a read whose time cannot be trusted: neither there nor absent
    presence_desk: float = 0.9  # of a login at a machine of the site, once a read has begun the stay
    presence_network: float = 0.5  # of one from the site's network
    presence_full_ms: int = (
        8 * HOUR_MS
    )  # how long a stay is believed in full, until the person's own is known
    presence_exit_full_ms: int = 14 * HOUR_MS  # at a site where every way out has a reader
    presence_linger_ms: int = 3 * HOUR_MS  # believed in full after the newest evidence at least
    presence_half_life_ms: int = 5 * HOUR_MS  # of belief after that
    presence_doubt_ms: int = 4 * HOUR_MS  # local time of day at which the day before becomes doubtful
    presence_arrivals_min: int = 100  # at a door or site, before it is said how many of them go unread
    presence_doubtful: float = 0.3  # most that is believed from then on without newer evidence
    passback_forget_ms: int = 16 * HOUR_MS  # how long a read into or out of an area says where the card is
    # travel (timeline/travel.py)
    travel_speed_kmh: float = 800.0
    travel_margin_ms: int = 2 * MINUTE_MS  # clock skew that is always granted
    travel_floor_ms: int = 8 * SECOND_MS  # least time for one floor up or down
    travel_trips_min: int = 200  # between two doors of a site, before their least time is learned
    travel_haste: float = 0.5  # share of a learned time that is granted to who hurries
    travel_clock_ms: int = 5 * SECOND_MS  # granted beside it where one clock dated both ends
    travel_minutes: tuple[
        tuple[str, str, float], ...
    ] = ()  # (site or zone or reader, same, minimum), symmetric
    feeds: tuple[FeedTiming, ...] = ()
    sites: tuple[SiteTiming, ...] = ()
    # occupancy (timeline/occupancy.py)
    occupancy_criticality: int = 3  # least criticality of a zone of which it is known who is inside
    zones: tuple[Place, ...] = ()  # these zones
    zones_by_name: dict[str, Place] = {}  # derived from `zones`; do not give it
    travel_ms: dict[
        tuple[str, str], int
    ] = {}  # derived from `travel_minutes`, both directions; do not give it
    travel_ends: frozenset[str] = frozenset()  # derived: every name in `travel_ms`; do not give it
    travel_reach_ms: int = 0  # derived: the longest way there can be; do not give it

    def __post_init__(self) -> None:
        table: dict[tuple[str, str], int] = {}
        for here, there, minutes in self.travel_minutes:
            table[here, there] = table[there, here] = round(minutes * MINUTE_MS)
        round_the_world_ms = round(HALF_ROUND_KM / self.travel_speed_kmh * HOUR_MS)
        msgspec.structs.force_setattr(self, "travel_ms", table)
        msgspec.structs.force_setattr(self, "zones_by_name", {place.zone: place for place in self.zones})
        msgspec.structs.force_setattr(self, "travel_ends", frozenset(end for pair in table for end in pair))
        msgspec.structs.force_setattr(self, "travel_reach_ms", max([round_the_world_ms, *table.values()]))
