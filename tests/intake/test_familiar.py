"""The short way of intake says what the long way says, whatever was seen before."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.event import MINUTE_MS, Event
from correlator.intake.arrival import NO_TIMESTAMP, Timeliness
from correlator.intake.familiar import Familiar
from correlator.intake.feeds import Feed
from correlator.intake.intake import Intake, IntakeConfig
from correlator.intake.mapped import Heartbeat, Mapped
from correlator.intake.normalise import normalise, settled
from correlator.intake.people import People
from correlator.intake.turns import Turns
from correlator.record import Record, Reject
from correlator.timeline.raw import members
from tests.intake.company import identity, ms, networks, people, sites
from tests.intake.feed_files import ACCESS, RECORD, feed_of, shipped_feed
from tests.rules.writing import observe

SITES, NETWORKS = sites(), networks()
PEOPLE = people(
    identity("e1", badges=[{"id": "17"}], accounts=[{"name": "anna"}], home_site="lisbon"),
    identity("e2", badges=[{"id": "18", "valid_to": "2026-01-09T08:30:00Z"}], home_site="boston"),
    identity("e3", badges=[{"id": "18", "valid_from": "2026-01-09T08:30:00Z"}]),
)
NOW = ms("2026-01-09T08:30")
TIMELINESS = Timeliness()
PANEL = feed_of(
    """
name: panel
topic: panel-events
format: json
kind: access
id: [panel, serial]
source: panel
time: {path: at, convert: {epoch: ms}}
fields:
  credential.id: card
  credential.class: {path: class, convert: {enum: {"1": card, "true": mobile, "*": ""}}, default: card}
  place.reader: {path: reader, convert: strip}
  access.outcome: {path: ok, convert: {enum: {"true": granted, "1": denied, "false": denied}}}
  access.duress: duress
  access.reason: {path: code, convert: {bacnet: reason}}
  event.sequence: serial
"""
)
MIXED = feed_of(
    """
name: mixed
topic: mixed-log
format: json
kind: {path: type, convert: {enum: {in: login, read: access, door: door, "*": ignore}}}
id: serial
source: panel
time: {path: at, convert: {epoch: ms}}
fields:
  credential.id: {path: card, convert: lower}
  login.outcome: {path: ok, convert: {enum: {"true": success, "*": failure}}}
  access.outcome: {path: ok, convert: {enum: {"true": granted, "*": denied}}}
  login.logon_type: {path: logon, convert: {enum: {c: console, w: web}}}
  place.reader: reader
  place.site: site
  door.activity: {constant: forced}
  source.ip: net.ip
  device.host: host
  place.lat: lat
  place.lon: lon
  place.country: country
"""
)
NIGHT = ms("2026-10-25T00:00")  # in which the clocks of Lisbon go back
WALL = feed_of(
    """
name: wall
topic: wall-log
format: json
kind: {path: type, convert: {enum: {in: login, read: access, door: door}}}
id: [panel, serial]
source: panel
zone: site
time: {path: at, convert: {local: {format: "%Y-%m-%d %H:%M:%S"}}}
fields:
  credential.id: card
  place.reader: reader
  place.site: site
  door.activity: {constant: forced}
  login.outcome: {constant: success}
  access.outcome: {constant: granted}
  source.ip: net.ip
  event.sequence: {path: serial, convert: int}
"""
)
ODD: tuple[object, ...] = (
    True,
    False,
    1,
    0,
    1.0,
    0.0,
    "1",
    "true",
    None,
    "",
    " ",
    [],
    {},
    [1],
    "a\x00b",
    "x" * 300,
    1 << 70,
)
VALUES: dict[str, tuple[object, ...]] = {
    "type": ("in", "read", "door", "other"),
    "panel": ("lis-1", "bos-1"),
    "serial": (1, 2, 3, "4"),
    "card": ("17", "18", "19", " 17 ", 17, "ANNA"),
    "class": ("1", 1, True, "x"),
    "reader": ("lis-main-in", " lis-main-in", "bos-main-in", "nowhere", 4711, "4711"),
    "ok": (True, False, 1, "true", "1"),
    "duress": (False, True),
    "code": (1, 138, 4, "duress", True),
    "logon": ("c", "w"),
    "site": ("lisbon", "boston", "atlantis"),
    "net": ({"ip": "10.1.2.3"}, {"ip": "198.18.7.1"}, {"ip": "10.200.0.1"}, {"ip": "203.0.113.9"}, {}),
    "host": ("WS-7", "ws-8", "ws-99"),
    "lat": (38.7, 10, 91),
    "lon": (-9.1, 20),
    "country": ("PT", "pt", "x"),
}
some_values = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(found) | st.sampled_from(ODD) for name, found in VALUES.items()}
)
usual_values = st.fixed_dictionaries({name: st.sampled_from(found[:3]) for name, found in VALUES.items()})
times = st.sampled_from([0, 0, -1, 3 * MINUTE_MS, 6 * MINUTE_MS, 30 * 60 * MINUTE_MS, -90 * 60 * MINUTE_MS])
records = st.lists(st.tuples(usual_values | some_values, times), max_size=12)


def long_way(feed: Feed, record: Record, turns: Turns) -> Event | Heartbeat | Reject | None:
    mapped = feed.map(record)
    if isinstance(mapped, Mapped):
        mapped = settled(mapped, record.timestamp_ms, SITES, NETWORKS, turns)
    if not isinstance(mapped, Mapped):
        return mapped
    return normalise(mapped, record.timestamp_ms, SITES, NETWORKS, PEOPLE, timeliness=TIMELINESS)


def compare(feed: Feed, values: list[dict[str, Any]], arrival_ms: int = NOW) -> None:
    familiar, turns = Familiar(feed, SITES, NETWORKS, PEOPLE, TIMELINESS), Turns()
    for number, value in enumerate(values):
        record = Record(feed.topic, 0, number, arrival_ms, None, msgspec.json.encode(value))
        assert familiar.event(record, arrival_ms) == long_way(feed, record, turns), value


@given(st.sampled_from([PANEL, MIXED]), records)
def test_any_record_after_any_others(feed: Feed, drawn: list[tuple[dict[str, Any], int]]) -> None:
    compare(feed, [{"at": NOW + ahead_ms, **value} for value, ahead_ms in drawn])


@given(
    st.lists(st.tuples(usual_values | some_values, st.integers(0, 150)), max_size=12),
    st.sampled_from([0, 90, 600]),
)
def test_local_times_of_which_only_the_site_knows_the_zone(
    drawn: list[tuple[dict[str, Any], int]], minutes: int
) -> None:
    values = []
    for number, (value, at_min) in enumerate(drawn):
        local = f"2026-10-25 {at_min // 60:02}:{at_min % 60:02}:00"
        values.append({"at": local, "serial": number, **value})
    compare(WALL, values, NIGHT + minutes * MINUTE_MS)


def test_the_short_way_is_taken_by_local_times_too() -> None:
    """One that fell back to the long way each time would pass all the above."""
    familiar = Familiar(WALL, SITES, NETWORKS, PEOPLE, TIMELINESS)
    value = {"type": "read", "panel": "lis-1", "card": "17", "reader": "lis-main-in"}
    found = []
    for number, at in enumerate(("01:10:00", "01:50:00", "01:20:00")):
        record = {"at": f"2026-10-25 {at}", "serial": number, **value}
        raw = Record(WALL.topic, 0, number, NOW, None, msgspec.json.encode(record))
        event = familiar.event(raw, NIGHT + 600 * MINUTE_MS)
        assert isinstance(event, Event)
        found.append((event.time_ms - NIGHT) // MINUTE_MS)
        familiar._normalised = None  # type: ignore[assignment]  # from now on there is no long way
    assert found == [10, 50, 80]


LOGIN: dict[str, object] = {
    "event_id": "1", "source_id": "dc-1", "occurred_at": "2026-01-09T08:30:00Z", "account": "anna",
    "outcome": "SUCCESS", "logon_type": "CONSOLE", "ip": "10.1.2.3", "host": "WS-7", "device_id": "lt-1",
}  # fmt: skip
logins = st.fixed_dictionaries(
    {}, optional={
        "account": st.sampled_from(["anna", "Anna ", "bert", ""]), "host": st.sampled_from(["WS-7", "x", ""]),
        "ip": st.sampled_from(["10.1.2.3", "198.18.7.1", "203.0.113.9", "-", "x", ""]),
        "logon_type": st.sampled_from(["CONSOLE", "WEB", "VPN", "ODD"]), "latitude": st.just(40.5),
        "longitude": st.just(3.25), "occurred_at": st.sampled_from(["2026-01-09T08:29:00+01:00", "x", None]),
    },
)  # fmt: skip


@given(st.lists(logins, max_size=10))
def test_logins_are_placed_each_for_itself(drawn: list[dict[str, object]]) -> None:
    compare(shipped_feed("login-json"), [LOGIN | values for values in drawn])


@pytest.mark.parametrize("timestamp_ms", [NOW, NO_TIMESTAMP])
@pytest.mark.parametrize(
    ("raw", "kept"), [("raw: true", True), ("raw: [net.ip]", False), ("raw: false", None)]
)
def test_what_a_feed_keeps_of_records_comes_with_their_events(
    timestamp_ms: int, raw: str, kept: bool | None
) -> None:
    feed = feed_of(f"{ACCESS}{raw}\n")
    intake = Intake(IntakeConfig({feed.topic: feed}, SITES, NETWORKS, 4), PEOPLE)
    intake.assign(feed.topic, 0, 1)
    value = {**RECORD, "net": {"ip": "10.1.2.3"}, "reader": "lis-main-in", "panel": "lis-1"}
    for offset in range(2):  # first the long way, then the short one
        value["serial"] = offset
        record = Record(feed.topic, 0, offset, timestamp_ms, None, msgspec.json.encode(value))
        frames = intake.intake_step([record], NOW).frames
        found = observe(next(event for _, frame in frames for _, event in frame.rows))
        assert members(found, "net.ip") == (None if kept is None else ("10.1.2.3",))
        assert members(found, "serial") == ((offset,) if kept else None)


def test_one_and_true_are_not_taken_for_each_other() -> None:
    base = {"at": NOW, "panel": "lis-1", "serial": 1, "card": "17", "reader": "lis-main-in"}
    compare(PANEL, [{**base, "ok": ok} for ok in (True, 1, True, "1", "true", False, 0)])


def test_what_was_learned_about_people_counts_at_once() -> None:
    feed, learning = PANEL, People(SITES)
    familiar = Familiar(feed, SITES, NETWORKS, learning, TIMELINESS)
    value = {"at": NOW, "panel": "lis-1", "serial": 1, "card": "17", "reader": "lis-main-in", "ok": True}
    record = Record(feed.topic, 0, 0, NOW, None, msgspec.json.encode(value))
    for expected in ("", "", "e1"):
        if expected:
            learning.apply(0, "e1", identity("e1", badges=[{"id": "17"}]), NOW)
        found = familiar.event(record, NOW)
        assert isinstance(found, Event)
        assert found.identity_id == expected
