"""Features against habits of office hours: usual is low, never seen is 1, unknown is 0."""

from __future__ import annotations

from correlator.event import DAY_MS, HOUR_MS, Event, Network, Place, make_event
from correlator.models.features import AXES, FEATURES, axes, features
from correlator.timeline.habits import NO_HABITS
from tests.models.people import HOME, MONDAY_MS, OFFICE
from tests.timeline.learned import Learned


def access(day: int, hour: float, zone: str = "lab", door: str = "d1") -> Event:
    time_ms = MONDAY_MS + day * DAY_MS + int(hour * HOUR_MS)
    return make_event(
        time_ms,
        f"{time_ms}",
        "access",
        identity_id="e1",
        place=Place("lis", "hq", zone, door),
        outcome="granted",
    )


def login(day: int, hour: float, network: Network = OFFICE, device: str = "laptop") -> Event:
    time_ms = MONDAY_MS + day * DAY_MS + int(hour * HOUR_MS)
    return make_event(
        time_ms, f"{time_ms}", "login", identity_id="e1", outcome="success", is_interactive=True,
        network=network, device=device,
    )  # fmt: skip


def office() -> Learned:
    learned = Learned()
    for day in range(21):
        if day % 7 < 5:
            for hour in (8.5, 10, 12, 14, 16):
                learned = learned.after(access(day, hour), login(day, hour + 0.5))
    return learned


def against(learned: Learned, event: Event) -> dict[str, float]:
    return features(event, learned.before(event))


def test_a_usual_event_has_nothing_against_it() -> None:
    for event in (access(21, 10), login(21, 10.5)):
        assert max(against(office(), event).values()) < 0.1


def test_the_night_is_rare_and_far_from_usual_hours() -> None:
    x = against(office(), access(22, 3))
    assert x["hour"] == 1.0
    assert x["off_hours"] > 0.8
    assert x["zone"] < 0.1


def test_hours_are_compared_around_midnight() -> None:
    late = Learned().after(*[access(day, 23) for day in range(20)])
    assert against(late, access(20, 0.5))["off_hours"] < 0.2
    assert against(late, access(20, 12))["off_hours"] == 1.0


def test_saturday_is_rare_for_an_office_worker() -> None:
    assert against(office(), access(26, 10))["weekday"] == 1.0
    assert against(office(), access(25, 10))["weekday"] == 0.0


def test_what_was_done_earlier_the_same_day_is_no_habit_yet() -> None:
    before, at_entrance = office(), access(26, 3)
    after = before.after(at_entrance)
    for name in ("hour", "off_hours", "weekday"):
        assert against(after, access(26, 3.1))[name] == against(before, at_entrance)[name] > 0.8
    assert against(after, access(33, 3))["hour"] < 1.0


def test_each_unknown_thing_shows_under_its_own_name() -> None:
    assert against(office(), access(21, 10, zone="vault"))["zone"] == 1.0
    assert against(office(), access(21, 10, door="d9"))["door"] == 1.0
    assert against(office(), login(21, 10.5, network=HOME))["network"] == 1.0
    assert against(office(), login(21, 10.5, device="kiosk"))["device"] == 1.0


def test_nothing_is_held_against_a_person_of_whom_nothing_is_known() -> None:
    assert set(features(access(0, 3), NO_HABITS).values()) == {0.0}


def test_names_and_ranges_hold_for_every_hour() -> None:
    learned = office()
    for hour in range(7 * 24):
        for event in (access(21, hour, zone=f"z{hour}"), login(21, hour)):
            x = against(learned, event)
            cuts = axes(x)
            assert (tuple(x), tuple(cuts)) == (FEATURES, AXES)
            assert all(0.0 <= value <= 1.0 for value in [*x.values(), *cuts.values()])
