"""What a profile learns: hours, weekdays and things, once per day, in bounded bytes."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from correlator.event import DAY_MS, HOUR_MS, Event, Place, make_event
from correlator.timeline.profile import DAYS_MAX, Profile, learn_profile, times_seen, zone_key

MONDAY_MS = 1_790_553_600_000  # 2026-09-28 00:00 UTC


def access(day: int, hour: float, zone: str = "lab", *, offset_min: int = 0, taken: str = "taken") -> Event:
    return make_event(
        MONDAY_MS + day * DAY_MS + int(hour * HOUR_MS),
        f"{day}-{hour}-{zone}",
        "access",
        identity_id="e1",
        place=Place("lis", "hq", zone, f"door-{zone}"),
        outcome="granted",
        taken=taken,
        offset_min=offset_min,
    )


def login(day: int, hour: float, *, is_interactive: bool = True, outcome: str = "success") -> Event:
    return make_event(
        MONDAY_MS + day * DAY_MS + int(hour * HOUR_MS),
        f"{day}-{hour}-login",
        "login",
        identity_id="e1",
        outcome=outcome,
        is_interactive=is_interactive,
        device="laptop",
        ip="2001:db8:1::5",
    )


def learned(*events: Event) -> Profile:
    profile = Profile()
    for event in events:
        profile = learn_profile(profile, event)
    return profile


def test_an_hour_counts_once_a_day() -> None:
    profile = learned(access(0, 9), access(0, 9.2), access(0, 14), access(1, 9))
    assert (profile.active_days, profile.access.days) == (2, 2)
    assert (profile.access.hours[9], profile.access.hours[14]) == (2, 1)
    assert list(profile.weekdays) == [1, 1, 0, 0, 0, 0, 0]


def test_hours_are_local_to_the_place() -> None:
    profile = learned(access(0, 23, offset_min=120))
    assert profile.access.hours[1] == 1
    assert profile.weekdays[1] == 1


def test_logins_and_accesses_have_hours_of_their_own() -> None:
    profile = learned(access(0, 9), login(0, 21))
    assert (profile.access.hours[21], profile.login.hours[21]) == (0, 1)
    assert profile.active_days == 1


def test_what_shows_no_habit_is_not_learned() -> None:
    for event in (
        access(0, 9, taken="not_taken"),
        login(0, 9, is_interactive=False),
        login(0, 9, outcome="failure"),
    ):
        assert learned(event) == Profile()


def test_an_old_event_counts_for_the_newest_day() -> None:
    profile = learned(access(3, 9), access(1, 9), access(1, 11))
    assert profile.active_days == 1
    assert (profile.access.hours[9], profile.access.hours[11]) == (1, 1)
    assert profile.first_s == MONDAY_MS // 1000 + 24 * 3600 + 9 * 3600


def test_learning_never_changes_a_profile_in_place() -> None:
    profile = learned(access(0, 9), login(0, 10))
    before = msgspec.msgpack.encode(profile)
    learn_profile(profile, access(5, 3, "vault"))
    assert msgspec.msgpack.encode(profile) == before


def test_old_habits_fade() -> None:
    profile = learned(
        *[access(day, 9) for day in range(DAYS_MAX)], *[access(day, 22) for day in range(64, 192)]
    )
    assert profile.access.hours[9] < profile.access.hours[22] / 4
    assert profile.active_days == 192


def test_the_zone_used_daily_survives_a_hundred_others() -> None:
    events = [access(day, 9 + i, f"z{day}-{i}" if i else "lab") for day in range(25) for i in range(5)]
    profile = learned(*events)
    assert times_seen(profile.zones, zone_key(access(0, 9))) > 5


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 23), st.integers(0, 99), st.booleans()), max_size=300
    )
)
def test_it_is_bounded_and_survives_its_bytes(moves: list[tuple[int, int, int, bool]]) -> None:
    profile = learned(
        *[access(day, hour, f"z{zone}") if badge else login(day, hour) for day, hour, zone, badge in moves]
    )
    packed = msgspec.msgpack.encode(profile)
    assert len(packed) < 220
    assert msgspec.msgpack.decode(packed, type=Profile) == profile
    for habit in (profile.access, profile.login):
        assert habit.days <= DAYS_MAX
        assert max(habit.hours) <= habit.days
