from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlator.event import DAY_MS, MINUTE_MS, Event, event_id
from correlator.intake.people import People
from correlator.record import Reject
from tests.intake.company import identity, ms, people, sites

NOW = ms("2026-01-20T12:00")


def test_a_badge_belongs_to_whoever_held_it_then() -> None:
    found = people(
        identity("e1", badges=[{"id": "17", "valid_to": "2026-01-10"}]),
        identity("e2", badges=[{"id": "17", "valid_from": "2026-01-12T08:00:00Z"}]),
    )
    assert found.resolve("card", "17", ms("2026-01-09T23:59")) == "e1"
    assert found.resolve("card", "17", ms("2026-01-10T00:00")) == ""
    assert found.resolve("card", "17", ms("2026-01-12T08:00")) == "e2"
    assert found.resolve("card", "18", ms("2026-01-12T08:00")) == ""


def test_several_badges_and_accounts_resolve_in_their_own_namespaces() -> None:
    found = people(
        identity(
            "e1", badges=[{"id": "ana"}, {"id": "70001", "class": "mobile"}], accounts=[{"name": "Ana@corp"}]
        ),
        identity("e2", accounts=[{"name": "ana"}]),
    )
    assert found.resolve("card", "ana", NOW) == "e1"
    assert found.resolve("temp", "70001", NOW) == "e1"  # a reader does not know what it reads
    assert found.resolve("account", "ana", NOW) == "e2"
    assert found.resolve("account", "ana@corp", NOW) == "e1"  # kept in lower case


def test_dates_hold_in_the_zone_of_the_home_site_and_a_termination_at_the_end_of_its_day() -> None:
    found = people(
        identity(
            "e1",
            home_site="boston",
            hired="2020-02-01",
            statuses=[
                {"status": "terminated", "from": "2026-01-09"},
                {"status": "notice", "from": "2025-12-01"},
                {"status": "leave", "from": "2026-01-02T10:00:00+01:00"},
            ],
            badges=[{"id": "1", "states": [{"state": "lost", "from": "2026-01-05"}]}],
        )
    )
    person = found.person("e1")
    assert person is not None
    assert person.statuses == (
        (ms("2025-12-01T05:00"), "notice"),
        (ms("2026-01-02T09:00"), "leave"),
        (ms("2026-01-10T05:00"), "terminated"),
    )
    assert person.hired_ms == ms("2020-02-01T05:00")
    assert person.credentials[0].states == ((ms("2026-01-05T05:00"), "lost"),)


@pytest.mark.parametrize("is_reversed", [False, True])
def test_who_is_taken_on_again_the_day_after_is_not_terminated(is_reversed: bool) -> None:
    """A contractor becomes an employee: one contract ends with its day, the next begins with the next one."""
    statuses = [{"status": "terminated", "from": "2026-01-09"}, {"status": "active", "from": "2026-01-10"}]
    found = people(identity("e1", home_site="boston", statuses=statuses[::-1] if is_reversed else statuses))
    person = found.person("e1")
    assert person is not None
    midnight_ms = ms("2026-01-10T05:00")
    assert person.statuses == ((midnight_ms, "terminated"), (midnight_ms, "active"))


def test_the_first_version_is_told_as_early_as_the_horizon_allows() -> None:
    [(entity, event)] = applied(People(sites()), 7, identity("e1", badges=[{"id": "1"}]))
    assert entity == "identity:e1"
    assert (event.kind, event.identity_id, event.source) == ("person", "e1", "identities")
    assert event.id == event_id("identities", "e1:7")
    assert event.person is not None
    assert event.person.version == 7
    assert event.time_ms == NOW - DAY_MS + MINUTE_MS


@pytest.mark.parametrize(
    ("since", "time_ms"),
    [
        ("2026-01-20T11:00:00Z", ms("2026-01-20T11:00")),  # an hour ago
        ("2026-01-01T00:00:00Z", NOW - DAY_MS + MINUTE_MS),  # beyond the horizon
        ("2026-02-01T00:00:00Z", NOW),  # known ahead of time
    ],
)
def test_a_later_version_is_told_when_it_first_differs(since: str, time_ms: int) -> None:
    found = people(identity("e1", badges=[{"id": "1"}]))
    statuses = [{"status": "terminated", "from": since}]
    [(_, event)] = applied(found, 9, identity("e1", badges=[{"id": "1"}], statuses=statuses))
    assert event.time_ms == time_ms
    [(_, again)] = applied(found, 10, identity("e1", badges=[{"id": "1"}], statuses=statuses, department="x"))
    assert again.time_ms == NOW  # nothing in the schedule differs


def test_a_tombstone_removes_and_tells_the_timeline() -> None:
    found = people(identity("e1", badges=[{"id": "1"}]))
    [(_, event)] = applied(found, 9, None, "e1")
    assert event.person is not None
    assert (event.person.version, event.person.credentials) == (9, ())
    assert found.resolve("card", "1", NOW) == ""
    assert found.person("e1") is None
    assert found.apply(10, "nobody", None, NOW) == []


def test_an_older_record_changes_nothing() -> None:
    found = people(identity("e1", badges=[{"id": "1"}]), identity("e1", badges=[{"id": "2"}]))
    assert found.apply(1, "e1", identity("e1", badges=[{"id": "3"}]), NOW) == []
    assert found.resolve("card", "2", NOW) == "e1"
    assert found.resolve("card", "1", NOW) == ""


def test_a_credential_that_somebody_else_holds_is_refused_with_both_names_and_times() -> None:
    found = people(identity("e1", badges=[{"id": "17"}]))
    told = found.apply(5, "e2", identity("e2", badges=[{"id": "17", "valid_from": "2026-01-05"}]), NOW)
    assert isinstance(told, Reject)
    assert (told.stage, told.reason) == ("resolve", "credential_taken")
    assert "'17'" in told.message
    assert "'e1'" in told.message
    assert "'e2'" in told.message
    assert "2026-01-05T00:00Z" in told.message
    assert found.resolve("card", "17", NOW) == "e1"


def test_who_was_refused_is_accepted_as_soon_as_the_other_lets_go() -> None:
    found = people(identity("e1", badges=[{"id": "17"}]))
    assert isinstance(
        found.apply(5, "e2", identity("e2", badges=[{"id": "17", "valid_from": "2026-01-05"}]), NOW), Reject
    )
    told = applied(found, 6, identity("e1", badges=[{"id": "17", "valid_to": "2026-01-05"}]))
    assert [(entity, event.person and event.person.version) for entity, event in told] == [
        ("identity:e1", 6),
        ("identity:e2", 5),
    ]
    assert found.resolve("card", "17", NOW) == "e2"


def test_two_who_swap_their_badges_are_accepted_together_whoever_comes_first() -> None:
    """Each is refused as long as the other's old record holds the badge: both would be for ever."""
    old, new = {"valid_to": "2026-01-05"}, {"valid_from": "2026-01-05"}
    swapped = {
        "e1": identity("e1", badges=[{"id": "17", **old}, {"id": "18", **new}]),
        "e2": identity("e2", badges=[{"id": "18", **old}, {"id": "17", **new}]),
    }
    for first, second in (("e1", "e2"), ("e2", "e1")):
        found = people(identity("e1", badges=[{"id": "17"}]), identity("e2", badges=[{"id": "18"}]))
        assert isinstance(found.apply(5, first, swapped[first], NOW), Reject)
        assert isinstance(found.apply(6, "e3", identity("e3", badges=[{"id": "17"}]), NOW), Reject)
        found.take_bindings()
        told = applied(found, 7, swapped[second], second)
        assert [entity for entity, _ in told] == [f"identity:{first}", f"identity:{second}"]
        assert [found.resolve("card", badge, NOW) for badge in ("17", "18")] == ["e2", "e1"]
        assert [found.resolve("card", badge, ms("2026-01-04T00:00")) for badge in ("17", "18")] == [
            "e1",
            "e2",
        ]
        bound = {(b.entity, b.credential): b.holders for b in found.take_bindings()}
        assert {(f"identity:{who}", f"badge:{n}") for who in ("e1", "e2") for n in (17, 18)} <= bound.keys()
        assert [who for _, _, who in bound["identity:e1", "badge:17"]] == ["e1", "e2"]


def test_who_was_refused_is_accepted_though_who_lets_go_was_refused_later() -> None:
    found = people(identity("e1", badges=[{"id": "17"}]), identity("e2", badges=[{"id": "18"}]))
    assert isinstance(found.apply(5, "e3", identity("e3", badges=[{"id": "18"}]), NOW), Reject)
    assert isinstance(found.apply(6, "e2", identity("e2", badges=[{"id": "17"}]), NOW), Reject)
    told = applied(found, 7, identity("e1"))
    assert [entity for entity, _ in told] == ["identity:e1", "identity:e2", "identity:e3"]
    assert [found.resolve("card", badge, NOW) for badge in ("17", "18")] == ["e2", "e3"]


def test_only_who_may_have_read_a_badge_of_late_is_told_of_its_next_holder() -> None:
    """A visitors' badge has another holder every day: to tell all of each would be too much for a frame."""
    day = [{"id": "17", "valid_from": date(n), "valid_to": date(n + 1)} for n in range(20)]
    found = people(*(identity(f"v{n}", badges=[day[n]]) for n in range(18)))
    found.take_bindings()
    applied(found, 50, identity("v18", badges=[{**day[18], "valid_to": date(20)}]), "v18")
    told = found.take_bindings()
    assert {binding.entity for binding in told} == {"identity:v18", "unresolved:badge:17"}
    assert {len(binding.holders) for binding in told} == {19}
    applied(found, 51, identity("v18", badges=[{**day[18], "valid_to": date(19)}]), "v18")
    applied(found, 52, identity("v19", badges=[day[19]]), "v19")
    names = [binding.entity for binding in found.take_bindings() if binding.version == 52]
    assert names == ["identity:v18", "identity:v19", "unresolved:badge:17"]


@pytest.mark.parametrize(
    ("record", "reason", "part"),
    [
        (b"{", "bad_identity", "e1"),
        (b'{"identity_id": "e2"}', "key_differs", "'e2'"),
        (identity("e1", home_site="mars"), "unknown_site", "mars"),
        (identity("e1", type="robot"), "bad_identity", "robot"),
        (identity("e1", hired="soon"), "bad_identity", "hired: 'soon'"),
        (identity("e1", hired="2026-01-09T08:30:00"), "bad_identity", "no offset"),
        (identity("e1", statuses=[{"status": "active", "from": "9999-99-99"}]), "bad_identity", "9999-99-99"),
        (identity("e1", badges=[{"id": "1", "valid_from": "2026-01-09", "valid_to": "2026-01-08"}]),
         "bad_identity", "ends"),
        (identity("e1", badges=[{"id": "1"}, {"id": "1", "class": "temp"}]), "bad_identity", "twice"),
        (identity("e1", accounts=[{"name": " "}]), "bad_identity", "no name"),
    ],
)  # fmt: skip
def test_a_record_that_is_no_identity_is_refused_with_a_reason(record: bytes, reason: str, part: str) -> None:
    told = People(sites()).apply(1, "e1", record, NOW)
    assert isinstance(told, Reject)
    assert told.reason == reason
    assert part in told.message


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.integers(1, 6)), max_size=12),
    st.integers(0, 30),
)
def test_resolving_equals_looking_at_every_accepted_record(
    rows: list[tuple[str, int, int]], day: int
) -> None:
    found, held = People(sites()), {}
    for offset, (who, start, days) in enumerate(rows, 1):
        badge = {"id": "1", "valid_from": date(start), "valid_to": date(start + days)}
        if isinstance(found.apply(offset, who, identity(who, badges=[badge]), NOW), list):
            held = {key: found.person(key) for key in "abc"}
    at_ms = ms("2026-01-01T12:00") + day * DAY_MS
    holders = [
        key
        for key, person in held.items()
        if person is not None
        for c in person.credentials
        if c.from_ms <= at_ms < c.to_ms
    ]
    assert len(holders) <= 1
    assert found.resolve("card", "1", at_ms) == "".join(holders)


def date(day: int) -> str:
    return f"2026-{1 + day // 28:02}-{1 + day % 28:02}"


def applied(found: People, offset: int, record: bytes | None, key: str = "e1") -> list[tuple[str, Event]]:
    told = found.apply(offset, key, record, NOW)
    assert isinstance(told, list), told
    return told
