"""Workload W as records: what every speed figure refers to.

Half access, half login events of 20,000 identities as JSON of about 300 bytes. A badge read goes to its
identity and its door, a login to its identity: 1.5 copies an event. Of the events 1 % come an hour late,
1 % are reads of badges whose holders have left (they match before suppression), and 20 % are scored.

Three parts, in order of arrival. *history*: an event a day of those whose events are to be scored, until
their profiles are warm; *morning*: everybody comes in; *events*: what is measured. Equal shapes give equal
records.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from random import Random
from zlib import crc32

import msgspec

from correlator.adapters.documents import shipped
from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS
from correlator.intake.intake import Intake
from correlator.intake.people import People
from correlator.pipeline import Bundle
from correlator.record import Record

DIFFERS = "Differs from W: the nine shipped rules instead of 40. Ten sites, 400 doors and 51 sources"
END_MS = 1_780_000_000_000 // DAY_MS * DAY_MS + 18 * HOUR_MS
SITES, DOORS, CONTROLLERS = 10, 40, 4  # the last two a site
RAW_PARTITIONS = KEYED_PARTITIONS = 4
FEEDS = ("badge", "login")
HISTORY_DAYS = 12
WARM_SHARE = 0.26  # of the identities: of their events what they did and were let do is scored, 80 %
LEFT_SHARE = 0.02  # of the identities: their reads, half of their events, alert
TRAVEL_MS = 400  # from a source to the log

_DENIED, _NETWORK, _FAILED = 0.04, 0.30, 0.05  # shares of reads and logins that are not scored


class Shape(msgspec.Struct, frozen=True):
    """*span_ms*: of the measured events, by arrival."""

    events: int = 200_000
    identities: int = 20_000
    span_ms: int = 6 * HOUR_MS
    end_ms: int = END_MS
    prefix: str = ""  # of the raw topics
    late_share: float = 0.01  # of the events: they come an hour late


class Workload(msgspec.Struct, frozen=True):
    shape: Shape
    identities: list[tuple[str, bytes]]
    history: list[Record]
    morning: list[Record]
    events: list[Record]

    @property
    def before(self) -> list[Record]:
        return [*self.history, *self.morning]


class Maker:
    """Makes records one after the other; also used live, with the clock's times."""

    def __init__(self, shape: Shape, number: int = 0) -> None:
        """*number*: of events made before, since an id is not to come twice."""
        self._shape, self._random, self._number = shape, Random(1), number

    def any_event(self, arrival_ms: int) -> Record:
        random = self._random
        person = random.randrange(self._shape.identities)
        late_ms = HOUR_MS if random.random() < self._shape.late_share else 0
        return self.event(person, arrival_ms - TRAVEL_MS - late_ms, arrival_ms)

    def event(self, person: int, time_ms: int, arrival_ms: int) -> Record:
        make = self.access if self._random.random() < 0.5 else self.login
        return make(person, time_ms, arrival_ms)

    def access(self, person: int, time_ms: int, arrival_ms: int) -> Record:
        self._number += 1
        random, number = self._random, self._number
        site, door = person % SITES, random.randrange(DOORS)
        outcome, code, text, taken = "GRANTED", 1, "access granted", "TAKEN"
        if random.random() < _DENIED:
            outcome, code, text, taken = "DENIED", 138, "not allowed at this point", "NOT_TAKEN"
        value = (
            f'{{"event_id":"b{number:09}","controller_id":"s{site}-ctl-{door % CONTROLLERS}",'
            f'"sequence":{number},"occurred_at":{time_ms},"reader_id":"s{site}-d{door}-in",'
            f'"badge_id":"{person:07}","credential_class":"CARD","outcome":"{outcome}","reason_code":{code},'
            f'"reason_text":"{text}","taken":"{taken}","direction":"IN","duress":false,"panel":"panel-{site:02}"}}'
        )
        return self._record("badge", f"{person:07}", value, arrival_ms)

    def login(self, person: int, time_ms: int, arrival_ms: int) -> Record:
        self._number += 1
        random, number, site = self._random, self._number, person % SITES
        moment = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
        kind, source, ip = "CONSOLE", f"dc-{site}", f"10.{site}.{person >> 8 & 255}.{person & 255}"
        reached = random.random()
        if reached < _NETWORK:
            kind = "NETWORK"
        elif reached > 0.8:
            kind, source, ip = "WEB", "idp", f"100.64.{person >> 8 & 255}.{person & 255}"
        outcome = '"FAILURE","reason":"BAD_PASSWORD"' if random.random() < _FAILED else '"SUCCESS"'
        value = (
            f'{{"event_id":"l{number:09}","source_id":"{source}","occurred_at":"{moment}",'
            f'"account":"user.{person}","outcome":{outcome},"logon_type":"{kind}","mfa":"PUSH","ip":"{ip}",'
            f'"host":"ws-{person}","device_id":"lt-{person}","session_id":"0x{number:08x}",'
            f'"application":"windows","domain":"corp.example","ticket":"0x40810010"}}'
        )
        return self._record("login", f"user.{person}", value, arrival_ms)

    def _record(self, feed: str, key: str, value: str, arrival_ms: int) -> Record:
        topic, raw = topic_of(feed, self._shape.prefix), key.encode()
        return Record(topic, crc32(raw) % RAW_PARTITIONS, self._number, arrival_ms, raw, value.encode())


def make_workload(shape: Shape) -> Workload:
    maker = Maker(shape)
    start_ms = shape.end_ms - shape.span_ms
    warm = range(round(shape.identities * WARM_SHARE))
    history = [
        (maker.access if (person + day) % 2 else maker.login)(person, at_ms - TRAVEL_MS, at_ms)
        for day in range(HISTORY_DAYS, 0, -1)
        for person, at_ms in _spread(warm, start_ms - day * DAY_MS, 10 * MINUTE_MS)
    ]
    everybody = range(shape.identities)
    morning = [
        maker.access(person, at_ms - TRAVEL_MS, at_ms)
        for person, at_ms in _spread(everybody, start_ms - 10 * MINUTE_MS, 10 * MINUTE_MS)
    ]
    step = shape.span_ms / max(shape.events, 1)
    events = [maker.any_event(start_ms + round(number * step)) for number in range(shape.events)]
    first_ms = start_ms - (HISTORY_DAYS + 1) * DAY_MS
    people = [identity_row(person, first_ms, shape) for person in everybody]
    return Workload(shape, people, history, morning, events)


def _spread(people: range, start_ms: int, span_ms: int) -> Iterator[tuple[int, int]]:
    for place, person in enumerate(people):
        yield person, start_ms + place * span_ms // len(people)


def leavers(shape: Shape) -> range:
    return range(ceil(shape.identities * (1 - LEFT_SHARE)), shape.identities)


def staying(shape: Shape) -> int:
    """How many of the first are seen before a live part, so that in it the first read of a leaver alerts."""
    return round(shape.identities * 0.9)


def identity_row(person: int, first_ms: int, shape: Shape) -> tuple[str, bytes]:
    since = datetime.fromtimestamp(first_ms / 1000, UTC).isoformat()
    statuses = [{"status": "active", "from": "2020-01-01"}]
    if person in leavers(shape):
        statuses.append({"status": "disabled", "from": since})
    row = {
        "identity_id": f"e{person}",
        "department": f"dep-{person % 30}",
        "home_site": f"s{person % SITES}",
        "hired": "2020-01-01",
        "statuses": statuses,
        "badges": [{"id": f"{person:07}"}],
        "accounts": [{"name": f"user.{person}"}],
    }
    return f"e{person}", json.dumps(row).encode()


def intake_of(bundle: Bundle, shape: Shape) -> Intake:
    """An intake that owns every raw partition."""
    intake = Intake(bundle.intake, People(bundle.intake.sites))
    for feed in FEEDS:
        for q in range(RAW_PARTITIONS):
            intake.assign(topic_of(feed, shape.prefix), q, RAW_PARTITIONS)
    return intake


# ------------------------------------------------------------------- configuration


def topic_of(feed: str, prefix: str = "") -> str:
    return f"{prefix}{feed}-events-json"


def write_directory(directory: Path, shape: Shape, general: dict[str, object] | None = None) -> None:
    """The configuration of the company; JSON is YAML. Rules are the shipped ones."""
    feeds = directory / "feeds"
    feeds.mkdir()
    login = (shipped("feeds") / "login-json.yml").read_text()
    (feeds / "login-json.yml").write_text(login.replace("login-events-json", topic_of("login", shape.prefix)))
    (feeds / "badge-json.yml").write_text(json.dumps(_badge_feed(topic_of("badge", shape.prefix))))
    settings = {"storm_entities": 0}  # each alert costs what it costs
    common: dict[str, object] = {"partitions": KEYED_PARTITIONS, "settings": settings}
    (directory / "correlator.yml").write_text(json.dumps(common | (general or {})))
    (directory / "sites.yml").write_text(json.dumps(_sites()))
    (directory / "networks.yml").write_text(json.dumps({"ranges": _ranges()}))


def _badge_feed(topic: str) -> dict[str, object]:
    """The fields of the shipped badge feed, as JSON."""

    def words(path: str, *names: str) -> dict[str, object]:
        return {"path": path, "convert": {"enum": {name.upper(): name for name in names}}}

    return {
        "name": "badge-json",
        "topic": topic,
        "format": "json",
        "kind": "access",
        "id": "event_id",
        "source": "controller_id",
        "time": {"path": "occurred_at", "convert": {"epoch": "ms"}},
        "fields": {
            "event.sequence": "sequence",
            "credential.id": "badge_id",
            "credential.class": words("credential_class", "card", "mobile", "pin", "temp", "visitor"),
            "place.reader": "reader_id",
            "access.outcome": words("outcome", "granted", "denied"),
            "access.reason": {"path": "reason_code", "convert": {"bacnet": "reason"}},
            "access.reason_native": "reason_text",
            "access.taken": words("taken", "taken", "not_taken", "unknown"),
            "access.direction": words("direction", "in", "out", "unknown"),
            "access.duress": "duress",
        },
    }


def _sites() -> dict[str, object]:
    sites, doors = range(SITES), range(DOORS)
    each = [(site, door) for site in sites for door in doors]
    return {
        "sites": [
            {
                "id": f"s{site}",
                "name": f"Site {site}",
                "country": "DE",
                "lat": 47.0 + site,
                "lon": 8.0 + site,
                "time_zone": "Europe/Berlin",
                "business_hours": {"mon-fri": "07:00-19:00"},
            }
            for site in sites
        ],
        "zones": [{"id": f"s{site}-z{door}", "site": f"s{site}", "criticality": 2} for site, door in each],
        "doors": [{"id": f"s{s}-d{d}", "zone": f"s{s}-z{d}", "is_perimeter": d < 2} for s, d in each],
        "readers": [{"id": f"s{s}-d{d}-in", "door": f"s{s}-d{d}", "direction": "in"} for s, d in each],
    }


def _ranges() -> list[dict[str, object]]:
    lans: list[dict[str, object]] = [
        {"cidr": f"10.{site}.0.0/16", "name": f"lan-{site}", "class": "corporate", "site": f"s{site}"}
        for site in range(SITES)
    ]
    return [*lans, {"cidr": "100.64.0.0/16", "name": "vpn", "class": "vpn"}]
