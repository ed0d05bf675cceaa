"""What habits learn: hours, weekdays and things, once a day, in bounded bytes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlator.event import DAY_MS, HOUR_MS, Event, Place, make_event
from correlator.rules.program import RuleProgram
from correlator.timeline.entity import NO_LIVE
from correlator.timeline.fold import fold
from correlator.timeline.habits import (
    BADGED,
    DAYS_MAX,
    NO_HABITS,
    VPN_ON_SITE,
    Habits,
    Known,
    door_of,
    known,
    learn,
    merged,
    shows_habit,
    zone_of,
)
from correlator.timeline.settings import Settings
from tests.timeline.learned import Learned

MONDAY_MS = 1_790_553_600_000  # 2026-09-28 00:00 UTC
DAY = MONDAY_MS // DAY_MS


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


def habits(*events: Event) -> Habits:
    """Of everything that happened, as seen from the year after."""
    return Learned().after(*events).before(access(500, 12))


def test_an_hour_counts_once_a_day() -> None:
    found = habits(access(0, 9), access(0, 9.2), access(0, 14), access(1, 9))
    assert (found.active_days, found.access.days) == (2, 2)
    assert (found.access.hours[9], found.access.hours[14]) == (2, 1)
    assert list(found.weekdays) == [1, 1, 0, 0, 0, 0, 0]


def test_hours_are_local_to_the_place() -> None:
    found = habits(access(0, 23, offset_min=120))
    assert found.access.hours[1] == 1
    assert found.weekdays[1] == 1


def test_logins_and_accesses_have_hours_of_their_own() -> None:
    found = habits(access(0, 9), login(0, 21))
    assert (found.access.hours[21], found.login.hours[21]) == (0, 1)
    assert found.active_days == 1


def test_what_shows_no_habit_is_not_learned() -> None:
    for event in (
        access(0, 9, taken="not_taken"),
        login(0, 9, is_interactive=False),
        login(0, 9, outcome="failure"),
    ):
        assert not shows_habit(event.shape)


@pytest.mark.parametrize("entity", ["door:door-lab", "zone:lab", "host:ws-1", "source:203.0.113.7"])
def test_what_is_nobody_learns_no_habits(entity: str) -> None:
    program = RuleProgram((), Settings())
    events = [access(day, 9) for day in range(3)]
    assert fold("identity:e1", NO_LIVE, events, program)[0].today
    live, _ = fold(entity, NO_LIVE, events, program)
    assert (live.habits, live.today) == (NO_LIVE.habits, NO_LIVE.today)


def test_today_is_no_habit_yet() -> None:
    learned = Learned().after(access(0, 9), access(1, 9), access(1, 14))
    assert learned.before(access(1, 15)).active_days == 1
    assert learned.before(access(2, 9)).active_days == 2
    assert known(learned.before(access(1, 15)), door_of(access(1, 9).shape)) == Known(1, DAY, DAY)


def test_a_clock_that_goes_back_counts_for_the_newest_day() -> None:
    found = habits(access(3, 9), access(1, 9), access(1, 11))
    assert found.active_days == 1
    assert (found.access.hours[9], found.access.hours[11]) == (1, 1)


def test_things_are_counted_by_day_with_the_first_and_the_last() -> None:
    found = habits(access(0, 9), access(0, 10), access(3, 9), access(3, 9, "vault"), access(5, 9))
    assert known(found, door_of(access(0, 9).shape)) == Known(3, DAY, DAY + 5)
    assert known(found, door_of(access(0, 9, "vault").shape)) == Known(1, DAY + 3, DAY + 3)
    assert known(found, door_of(access(0, 9, "roof").shape)) is None
    assert known(found, BADGED) == Known(3, DAY, DAY + 5)


def test_a_vpn_from_a_desk_is_remembered_and_one_from_home_is_not() -> None:
    vpn = make_event(MONDAY_MS, "v", "login", outcome="success", is_interactive=True, logon_type="vpn")
    for is_on_site in (True, False):
        past, today = learn(NO_HABITS, None, vpn, circumstances=(VPN_ON_SITE,) if is_on_site else ())
        assert (known(merged(past, today), VPN_ON_SITE) is not None) == is_on_site


def test_learning_never_changes_a_value_in_place() -> None:
    learned = Learned().after(access(0, 9), login(0, 10))
    before = msgspec.msgpack.encode(learned)
    learned.after(access(5, 3, "vault"))
    assert msgspec.msgpack.encode(learned) == before


def test_old_habits_fade() -> None:
    found = habits(*[access(day, 9) for day in range(DAYS_MAX)], *[access(day, 22) for day in range(64, 192)])
    assert found.access.hours[9] < found.access.hours[22] / 4
    assert found.active_days == 192


def test_the_zone_used_daily_survives_a_hundred_others() -> None:
    events = [access(day, 9 + i, f"z{day}-{i}" if i else "lab") for day in range(25) for i in range(5)]
    found = known(habits(*events), zone_of(access(0, 9).shape))
    assert found is not None
    assert found.days == 25


def test_a_thing_is_found_only_where_an_entry_begins() -> None:
    whole = habits(*[access(day, 9, f"z{day}") for day in range(6)])
    for at in range(len(whole.things) - 3):
        what = int.from_bytes(whole.things[at : at + 4], "big")
        assert (known(whole, what) is not None) == (at % 9 == 0)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 23), st.integers(0, 99), st.booleans()), max_size=300
    )
)
def test_it_is_bounded_and_survives_its_bytes(moves: list[tuple[int, int, int, bool]]) -> None:
    learned = Learned().after(
        *[access(day, hour, f"z{zone}") if badge else login(day, hour) for day, hour, zone, badge in moves]
    )
    packed = msgspec.msgpack.encode(learned.habits)
    assert len(packed) < 400
    assert msgspec.msgpack.decode(packed, type=Habits) == learned.habits
    for seen in (learned.habits.access, learned.habits.login):
        assert seen.days <= DAYS_MAX
        assert max(seen.hours) <= seen.days
