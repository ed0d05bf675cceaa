"""One change of each shape that rules have now: what they match, quote and are about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from correlator.alerts.ocsf import Source, alert_record
from correlator.alerts.text import RuleText
from correlator.event import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    SECOND_MS,
    Credential,
    Event,
    Network,
    Person,
    Place,
    Score,
    event_id,
    make_event,
)
from correlator.timeline.alert import Alert, Change, alert_uid
from correlator.timeline.live import Scalar
from tests.events import changed

T0 = round(datetime(2026, 3, 2, 8, 14, 5, tzinfo=UTC).timestamp() * 1000)  # a Monday
NOW_MS = T0 + 20 * MINUTE_MS
BUNDLE = "00ff00ff00ff00ff"

LOBBY = Place("lis", "lis-1", "lis-office", "lis-1-01", "lis-1-01-in", 2, 38.7169, -9.1399, 0.05, True, "PT")
LAB = Place("lis", "lis-1", "lis-lab", "lis-1-07", "lis-1-07-in", 5, 38.7169, -9.1399, 0.05, False, "PT")
STORE = Place("lis", "lis-1", "lis-store", "lis-1-08", "lis-1-08-in", 3, 38.7169, -9.1399, 0.05, False, "PT")
ARCHIVE = Place(
    "lis", "lis-1", "lis-archive", "lis-1-09", "lis-1-09-in", 3, 38.7169, -9.1399, 0.05, False, "PT"
)
BERLIN = Place("ber", "ber-1", "ber-office", "ber-1-01", "ber-1-01-in", 2, 52.52, 13.405, 0.05, True, "DE")
DESK = Place(site="lis", building="lis-1", zone="lis-office", lat=38.7169, lon=-9.1399, country="PT")
PARIS = Place(lat=48.8566, lon=2.3522, radius_km=25.0, country="FR")
ORANGE = Network("orange", "isp", 3215)

PERSON = Person(
    "e1001",
    7,
    department="finance",
    home_site="lis",
    hired_ms=T0 - 900 * DAY_MS,
    credentials=(Credential("4711"), Credential("alice", "account")),
)


class Shape(msgspec.Struct, frozen=True):
    """A change with everything that `render` is given."""

    name: str
    change: Change
    evidence: tuple[Event, ...]
    rule: RuleText
    person: Person | None


def value(shape: Shape) -> bytes:
    """The record of the alert."""
    return alert_record(shape.change, shape.evidence, shape.rule, shape.person, Source(BUNDLE, NOW_MS)).value


def badge(native: str, at_ms: int, place: Place, **more: object) -> Event:
    """A badge read of e1001 that was let through, unless *more* says otherwise."""
    said = make_event(
        at_ms,
        event_id("acc", native),
        "access",
        "acc-lis",
        "badge",
        identity_id="e1001",
        credential="4711",
        place=place,
        outcome="granted",
        taken="taken",
        direction="in",
        is_business_hours=True,
    )
    return changed(said, **more)


def login(native: str, at_ms: int, place: Place | None, **more: object) -> Event:
    """A successful interactive login of e1001."""
    said = make_event(
        at_ms,
        event_id("idp", native),
        "login",
        "idp",
        "login",
        identity_id="e1001",
        credential="alice",
        place=place,
        outcome="success",
        activity="logon",
        is_interactive=True,
        logon_type="web",
        mfa="push",
    )
    return changed(said, **more)


def shape(name: str, rule: RuleText, events: list[Event], values: dict[str, Scalar], **more: object) -> Shape:
    """A created alert on *events*, the last of which completed it; *more* replaces fields of the alert."""
    entity = str(more.pop("entity", "identity:e1001"))
    person = more.pop("person", PERSON)
    last = events[-1]
    alert = Alert(
        alert_uid(rule.id, entity, last.id),
        rule.id,
        entity,
        rule.level,
        last.time_ms,
        last.id,
        tuple(event.id for event in events),
        tuple(sorted(values.items())),
    )
    alert = msgspec.structs.replace(alert, **more)
    change = Change("create", alert, alert.uid)
    assert person is None or isinstance(person, Person)
    return Shape(name, change, tuple(events), rule, person)


def rule(number: str, name: str, title: str, level: str = "high", **more: object) -> RuleText:
    said = RuleText(f"c0a80001-00{number}-4d{number}-8a{number}-0000000000{number}", name, title)
    said = msgspec.structs.replace(
        said, level=level, hash="5af0c1d2e3b4a596", controls=("nist-800-53:AU-6(6)",)
    )
    return msgspec.structs.replace(said, **more)


def d01() -> Shape:
    at = login("1", T0, DESK, logon_type="console", device="ws-0117", mfa="")
    return shape(
        "d01",
        rule(
            "01",
            "d01_onsite_login_without_badge",
            "On-site login without badge-in",
            "medium",
            description="Somebody logged in at a workstation of a site where the person never badged in",
            tags=("attack.t1078",),
            falsepositives=("tailgating", "a forgotten badge, replaced for the day"),
            names=frozenset({"presence.here", "last_badge.age_s"}),
        ),
        [at],
        {
            "presence.here": 0.0,
            "presence.site": "ber",
            "presence.confidence": 0.12,
            "last_badge.age_s": 61_200.0,
            "last_badge.site": "ber",
            "last_badge.outcome": "granted",
        },
        decided_ms=T0 + 15 * MINUTE_MS,
        assumed=("reader group 7 quiet since 19:02, taken as complete",),
    )


def d05() -> Shape:
    start = badge("1", T0 - 23 * MINUTE_MS - 4 * SECOND_MS, LOBBY)
    at = login(
        "2", T0, PARIS, ip="198.51.100.7", network=ORANGE, device="d-55", application="mail", offset_min=60
    )
    return shape(
        "d05",
        rule(
            "05",
            "d05_badge_login_travel",
            "Impossible travel from badge to login",
            description="A login from a place that the person cannot have reached since the last badge read",
            tags=("attack.initial-access", "attack.t1078.004"),
            falsepositives=("a VPN that the networks file does not know",),
        ),
        [start, at],
        {
            "travel.badge.event_id": start.id,
            "travel.badge.distance_km": 1427.6512,
            "travel.badge.elapsed_s": 1384.0,
            "travel.badge.minimum_s": 6424.4,
            "travel.badge.margin_s": 120.0,
            "travel.badge.speed_kmh": 3417.25,
            "travel.badge.is_impossible": True,
            "source.ip": "198.51.100.7",
        },
    )


def d12() -> Shape:
    start = badge("3", T0 - 40 * MINUTE_MS, LOBBY)
    at = badge("4", T0, BERLIN, source="acc-ber", offset_min=60)
    return shape(
        "d12",
        rule("12", "d12_badge_badge_travel", "One badge in two places", "critical", tags=("attack.t1078",)),
        [start, at],
        {
            "travel.badge.event_id": start.id,
            "travel.badge.elapsed_s": 2400.0,
            "travel.badge.minimum_s": 14400.0,
            "travel.badge.is_impossible": True,
        },
    )


def d17() -> Shape:
    denied = {"outcome": "denied", "reason": "no_access_rights", "taken": "not_taken", "direction": "unknown"}
    events = [badge(f"d17-{n}", T0 + n * 40 * SECOND_MS, LAB, **denied) for n in range(5)]
    asked = rule(
        "17",
        "d17_denied_burst",
        "Burst of denied reads at one door",
        "medium",
        asks="at least 5 events within 10 min",
        falsepositives=("a reader that fails for everybody",),
    )
    return shape("d17", asked, events, {"place.door": "lis-1-07"}, count=5)


def d18() -> Shape:
    places = (LAB, STORE, ARCHIVE)
    reasons = ("no_access_rights", "no_access_rights", "out_of_time_range")
    events = [
        badge(f"d18-{n}", T0 + n * 2 * MINUTE_MS, place, outcome="denied", reason=reason, taken="not_taken")
        for n, (place, reason) in enumerate(zip(places, reasons, strict=True))
    ]
    asked = rule(
        "18", "d18_door_probing", "Door probing", asks="at least 3 different place.door within 15 min"
    )
    return shape("d18", asked, events, {"identity.tenure_days": 900.0}, count=3)


def d21() -> Shape:
    person = msgspec.structs.replace(
        PERSON, statuses=((T0 - 900 * DAY_MS, "active"), (T0 - 3 * DAY_MS, "terminated"))
    )
    at = badge(
        "21", T0, LOBBY, outcome="denied", reason="disabled", reason_native="CARD VOID", taken="not_taken"
    )
    return shape(
        "d21",
        rule("21", "d21_terminated_badge", "Badge of somebody who has left", "critical"),
        [at],
        {"identity.status": "terminated", "access.outcome": "denied"},
        person=person,
    )


def d23() -> Shape:
    lost = Credential("4711", states=((T0 - 51 * HOUR_MS, "lost"),))
    person = msgspec.structs.replace(PERSON, credentials=(lost,))
    return shape(
        "d23",
        rule("23", "d23_lost_or_stolen_credential", "Lost or stolen badge used", "critical"),
        [badge("23", T0, LOBBY, duress=True)],
        {"credential.state": "lost", "credential.id": "4711"},
        person=person,
        repeats=(event_id("acc", "23b"),),
        repeat_count=1,
    )


def d26() -> Shape:
    night = T0 - 5 * HOUR_MS
    score = Score(0.9968, True, ("hour_of_week", "door_rarity"))
    at = badge("26", night, LAB, is_business_hours=False, score=score)
    return shape(
        "d26",
        rule("26", "d26_off_hours_restricted", "Unusual hour in a restricted zone", "medium"),
        [at],
        {
            "anomaly.percentile": 0.9968,
            "anomaly.is_warm": True,
            "anomaly.pushing": "hour_of_week,door_rarity",
            "time.is_business_hours": False,
            "place.criticality": 5,
        },
        confidence="low",
    )


def d28() -> Shape:
    at = make_event(T0, event_id("acc", "28"), "door", "acc-lis", "door", place=LAB, activity="forced")
    return shape(
        "d28",
        rule("28", "d28_door_forced", "Door forced"),
        [at],
        {
            "door.grant_gap_s": 11_020.0,
            "door.forced_24h": 1,
            "door.activity": "forced",
        },
        entity="door:lis-1-07",
        person=None,
    )


def retracted() -> Shape:
    """D01 after the missing badge read was uploaded late."""
    told, late = d01(), badge("late", T0 - 10 * MINUTE_MS, LOBBY)
    change = Change("close", told.change.alert, told.change.alert.uid, "retracted", because=(late.id,))
    return Shape("retracted", change, (*told.evidence, late), told.rule, told.person)


def superseded() -> Shape:
    told = d05()
    change = Change("close", told.change.alert, "c" * 16, "superseded", "5" * 16, because=("d" * 16,))
    return Shape("superseded", change, told.evidence, told.rule, told.person)


def unresolved() -> Shape:
    """An entity that belongs to nobody, and evidence that is older than the history."""
    told = d17()
    events = [msgspec.structs.replace(event, identity_id="", credential="9999") for event in told.evidence]
    first = shape("unresolved", told.rule, events, {}, count=5, entity="unresolved:badge:9999", person=None)
    change = msgspec.structs.replace(first.change, activity="update")
    return Shape("unresolved", change, first.evidence[3:], first.rule, None)


NINE: tuple[Callable[[], Shape], ...] = (d01, d05, d12, d17, d18, d21, d23, d26, d28)
ALL: tuple[Callable[[], Shape], ...] = (*NINE, retracted, superseded, unresolved)
