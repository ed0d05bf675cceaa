"""What people complain of in products of this kind, each as events in and alerts out, by the shipped rules.

Journeys by VPN, vague or changed positions, clocks, controllers that upload late, doors held open, sites
without a reader on the way out, HR that is late. One person; all feeds are complete when nothing else is
said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from correlator.alerts.ocsf import Source, alert_record
from correlator.alerts.text import rule_text
from correlator.alerts.told import read_told
from correlator.event import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    Event,
    Network,
    NetworkClass,
    Person,
    Place,
    make_event,
)
from correlator.frame import Arrival, Frame, SourceMark
from correlator.timeline.alert import Change
from correlator.timeline.partition import Partition
from tests.events import GRANTED
from tests.promise.shipped import program
from tests.timeline.toy import NoScorer

WHO = "identity:e1"
MONDAY_MS = 20_003 * DAY_MS  # 2024-10-07
LISBON = Place(
    "lis", door="lis-1", lat=38.72, lon=-9.14, radius_km=0.5, is_perimeter=True, has_entry_readers=True
)
FLOOR = replace(LISBON, door="lis-2", is_perimeter=False)
BOSTON = Place("bos", door="bos-1", lat=42.36, lon=-71.06, radius_km=0.5, is_perimeter=True)
NOWHERE = Place("depot", door="dep-1")  # a site without coordinates
PORTO_HOME = Place(lat=41.15, lon=-8.61, radius_km=50.0, country="PT")
BOSTON_HOME = Place(lat=42.4, lon=-71.1, radius_km=50.0, country="US")
ISP = Network("", "isp", 64500)


def at(hour: float) -> int:
    return MONDAY_MS + round(hour * HOUR_MS)


def read(hour: float, place: Place, name: str = "", **said: Any) -> Event:
    words = GRANTED | said
    number = name or f"{round(hour * 3600):016}"
    return make_event(at(hour), number, "access", identity_id="e1", credential="c1", place=place, **words)


def login(hour: float, place: Place | None, **said: Any) -> Event:
    words: dict[str, Any] = {
        "outcome": "success",
        "logon_type": "web",
        "is_interactive": True,
        "network": ISP,
    } | said
    number = f"{round(hour * 3600):016}"
    return make_event(at(hour), number, "login", identity_id="e1", place=place, **words)


def desk(hour: float, logon_type: str = "console") -> Event:
    return login(hour, FLOOR, logon_type=logon_type, network=Network("lan", "corporate"))


def far(network_class: NetworkClass) -> Event:
    return login(10, BOSTON_HOME, network=Network("", network_class))


class Soc:
    """One partition, and what it told: alerts as they are now, by rule."""

    def __init__(self) -> None:
        self.partition = Partition(program(), NoScorer(), 0)
        self.told: list[Change] = []

    def hear(self, hour: float, *events: Event, is_complete: bool = True) -> list[Change]:
        """*events* arrive; then it is *hour*, and all readers have said everything, or nothing."""
        now_ms = at(hour)
        arrivals = (
            Arrival("badge-events", 0, 1, now_ms), Arrival("login-events", 0, 1, now_ms),
        )  # fmt: skip
        marks = tuple(
            SourceMark(f"{site}-c", "badge", site, "badge-events", 0, now_ms, 0, 1, now_ms - 1)
            for site in ("lis", "bos", "depot")
            if is_complete
        )
        told = self.partition.step(Frame("", tuple((WHO, event) for event in events), arrivals, marks))
        self.told += told
        return told

    def open(self) -> list[str]:
        alerts = [a for t in self.partition.timelines.values() for a in t.open.values()]
        return sorted(program().loaded[alert.rule].name[:3].upper() for alert in alerts)


# ---------------------------------------------------------------------- journeys

CLASSES: tuple[NetworkClass, ...] = ("vpn", "relay", "mobile", "satellite", "hosting", "proxy")
QUIET: dict[str, Sequence[Event]] = {
    "a VPN, of which nobody knows where it is used": (
        read(9, LISBON), login(10, None, network=Network("", "vpn")), read(11, LISBON, "a" * 16),
    ),
    **{f"an address of class {name} that has a position": (read(9, LISBON), far(name))
       for name in CLASSES},
    "a token that is refreshed": (read(9, LISBON), login(10, BOSTON_HOME, is_interactive=False)),
    "a login that failed": (read(9, LISBON), login(10, BOSTON_HOME, outcome="failure")),
    "a position that may be off by a continent": (
        read(9, LISBON), login(10, replace(BOSTON_HOME, radius_km=5_000.0)),
    ),
    "a short way": (read(9, LISBON), login(9.1, PORTO_HOME)),
    "a flight": (read(9, LISBON), read(18, BOSTON, "b" * 16)),
    "a door that was not opened": (read(9, LISBON), read(9.5, BOSTON, "b" * 16, taken="not_taken")),
    "somebody else's card of the same number": (
        read(9, LISBON),
        read(9.5, BOSTON, "b" * 16, outcome="denied", reason="unknown_credential", taken="unknown"),
    ),
    "a reader that reads twice": (read(9, LISBON), read(9.0005, LISBON, "b" * 16), desk(9.1)),
}  # fmt: skip


@pytest.mark.parametrize("complaint", QUIET)
def test_this_is_no_alert(complaint: str) -> None:
    soc = Soc()
    soc.hear(20, *QUIET[complaint])
    assert soc.open() == []
    assert soc.told == []


def test_a_place_without_position_hides_no_journey() -> None:
    """From Lisbon to Boston in twenty minutes, by a depot of which nobody knows where it is."""
    soc = Soc()
    soc.hear(20, read(9, LISBON), read(9.2, NOWHERE), read(9.4, BOSTON))
    assert soc.open() == ["D12"]
    (alert,) = (change.alert for change in soc.told)
    assert alert.evidence == (read(9, LISBON).id, read(9.4, BOSTON).id)
    values = dict(alert.values)
    assert (values["travel.card.site"], values["travel.card.way"]) == ("lis", "line")
    assert values["travel.card.distance_km"] == pytest.approx(5_120, abs=40)
    assert values["travel.card.minimum_s"] == pytest.approx(5_120 / 800 * 3_600, rel=0.01)
    assert values["travel.card.elapsed_s"] == pytest.approx(1_440)
    assert values["travel.card.margin_s"] == 120


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_order_of_arrival_changes_nothing(order: tuple[int, ...]) -> None:
    events = [read(9, LISBON), login(10, BOSTON_HOME), read(11, LISBON)]
    soc = Soc()
    for number, which in enumerate(order):
        soc.hear(12 + number / 10, events[which])
    assert soc.open() == ["D05"]


# ------------------------------------------------------------ presence, late uploads


def test_a_late_upload_explains_the_alert_away() -> None:
    soc = Soc()
    (told,) = soc.hear(9.2, desk(9))
    assert (told.activity, soc.open()) == ("create", ["D01"])
    (closed,) = soc.hear(12, read(8.9, LISBON))
    assert (closed.activity, closed.reason, closed.alert.uid) == ("close", "retracted", told.alert.uid)
    assert soc.open() == []


def test_nothing_is_said_while_readers_may_still_speak() -> None:
    soc = Soc()
    assert soc.hear(9.2, desk(9), is_complete=False) == []
    assert soc.hear(9.5, read(8.9, LISBON)) == []


def test_who_came_in_behind_a_colleague_and_is_read_inside_is_there() -> None:
    soc = Soc()
    soc.hear(10, read(9, FLOOR), desk(9.1))
    assert soc.open() == []


def test_no_reader_on_the_way_out_is_not_still_inside_for_ever() -> None:
    soc = Soc()
    assert soc.hear(20, read(8, LISBON), desk(17, "unlock")) == [], "a long day"
    (told,) = soc.hear(37, desk(36, "unlock"))
    assert told.alert.event_id == desk(36).id


def test_who_was_read_leaving_is_gone_and_a_card_at_another_site_moves_its_holder() -> None:
    for away in (read(12, LISBON, direction="out"), read(16, BOSTON)):
        soc = Soc()
        soc.hear(20, read(8, LISBON), away, desk(17, "unlock"))
        assert "D01" in soc.open()


def test_whom_readers_do_not_see_is_told_of_until_that_is_known() -> None:
    """Every working day from a door without a reader to the desk: a habit after ten of them."""
    soc, told = Soc(), list[int]()
    for day in range(14):
        told.append(len(soc.hear(24 * day + 18, desk(24 * day + 9))))
    assert told == [1] * 10 + [0] * 4


# ------------------------------------------------------------------------------ HR


def person(version: int, *statuses: tuple[int, str]) -> Event:
    who = Person("e1", version, statuses=((0, "active"), *statuses))
    return make_event(at(0) + version, f"{version:016x}", "person", person=who)


def test_hr_that_is_late_is_heard() -> None:
    soc = Soc()
    assert soc.hear(9, person(1), read(8, LISBON)) == []
    (told,) = soc.hear(15, person(2, (at(7), "terminated")))
    assert (told.activity, soc.open()) == ("create", ["D21"])


def test_hr_that_takes_it_back_is_heard_too_but_closes_nothing() -> None:
    """Whether the badge of somebody who has left was used is for people to say."""
    soc = Soc()
    soc.hear(9, person(1, (at(7), "terminated")), read(8, LISBON))
    (said,) = soc.hear(15, person(2))
    assert (said.activity, said.alert.is_refuted) == ("update", True)
    assert soc.open() == ["D21"]


def test_minutes_within_the_margin_of_clocks_are_no_journey() -> None:
    soc, berlin = Soc(), Place("ber", door="ber-1", lat=39.0, lon=-9.0, radius_km=0.5)
    soc.hear(20, read(9, LISBON), read(9 + MINUTE_MS / HOUR_MS, berlin))
    assert soc.open() == []


def test_the_alert_says_what_the_person_usually_does() -> None:
    soc = Soc()
    for day in range(12):
        soc.hear(24 * day + 18, read(24 * day + 8.9, LISBON), desk(24 * day + 9))
    (told,) = soc.hear(24 * 14 + 18, desk(24 * 14 + 9))
    values = dict(told.alert.values)
    assert (values["habit.unbadged"], values["habit.active_days"]) == (0.0, 12)
    record = alert_record(told, [], rule_text(program().loaded[told.alert.rule]), None, Source("b", at(1)))
    assert (
        "Of 12 active days: 0 % of days at a desk are without a read"
        in read_told(record.value).finding_info.desc
    )
