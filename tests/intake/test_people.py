from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlator.event import DAY_MS, FOREVER, MINUTE_MS, Event, event_id
from correlator.frame import Binding
from correlator.intake.people import People, Told
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
    assert found.apply(10, "nobody", None, NOW) == Told()


def test_an_older_record_changes_nothing() -> None:
    found = people(identity("e1", badges=[{"id": "1"}]), identity("e1", badges=[{"id": "2"}]))
    assert found.apply(1, "e1", identity("e1", badges=[{"id": "3"}]), NOW) == Told()
    assert found.resolve("card", "2", NOW) == "e1"
    assert found.resolve("card", "1", NOW) == ""


def test_who_began_last_holds_what_two_claim_and_it_is_said_until_they_agree() -> None:
    """HR gives a badge to somebody else and takes it from who had it a day later."""
    found = people(identity("e1", badges=[{"id": "17"}]))
    late = identity("e2", badges=[{"id": "17", "valid_from": "2026-01-05"}], accounts=[{"name": "ben"}])
    told = found.apply(5, "e2", late, NOW)
    assert isinstance(told, Told)
    assert [entity for entity, _ in told.events] == ["identity:e2"]
    assert found.resolve("card", "17", ms("2026-01-04T23:59")) == "e1"
    assert found.resolve("card", "17", NOW) == found.resolve("account", "ben", NOW) == "e2"
    holders = {binding.entity: [who for _, _, who in binding.holders] for binding in told.bindings}
    assert holders["identity:e1"] == holders["identity:e2"] == ["e1", "e2"]
    [contest] = told.contests
    assert contest.credential == ("badge", "17")
    assert contest.message == (
        "badge '17' is claimed by 'e1' always, 'e2' from 2026-01-05T00:00Z on. Taken as held by who began "
        "last, then by the smallest id: 'e1' until 2026-01-05T00:00Z; 'e2' from 2026-01-05T00:00Z on. End it "
        "in the record of who gave it up."
    )
    assert found.contested == 1
    over = found.apply(6, "e1", identity("e1", badges=[{"id": "17", "valid_to": "2026-01-05"}]), NOW)
    assert isinstance(over, Told)
    assert [(contest.credential, contest.message) for contest in over.contests] == [(("badge", "17"), "")]
    assert [binding for binding in over.bindings if binding.credential == "badge:17"] == []  # as it was
    assert (found.resolve("card", "17", NOW), found.contested) == ("e2", 0)


@pytest.mark.parametrize("always", ["0001-01-01", "0001-01-01T00:00:00+14:00"])
@pytest.mark.parametrize("for_good", ["9999-12-31", "9999-12-31T23:59:59-05:00"])
def test_the_first_and_the_last_date_there_is_are_always_and_until_further_notice(
    always: str, for_good: str
) -> None:
    """As many systems write them. Two who claim one badge so are told of, like any others."""
    dates = {"valid_from": always, "valid_to": for_good}
    found = people(*(identity(who, badges=[{"id": "17"} | dates], hired=always) for who in ("e1", "e2")))
    told = found.apply(3, "e3", identity("e3", badges=[{"id": "17"} | dates]), NOW)
    assert isinstance(told, Told)
    assert "claimed by 'e1' always, 'e2' always" in told.contests[0].message
    person = found.person("e1")
    assert person is not None
    assert person.hired_ms is None, "nobody knows"
    left = people(identity("e1", statuses=[{"status": "terminated", "from": for_good}])).person("e1")
    assert left is not None
    assert left.statuses == ((FOREVER, "terminated"),)


def test_what_two_claim_from_the_same_time_on_the_smaller_id_holds() -> None:
    for first, second in (("e1", "e2"), ("e2", "e1")):
        found = people(*(identity(who, accounts=[{"name": "admin"}]) for who in (first, second)))
        assert found.resolve("account", "admin", NOW) == "e1"
        assert found.contested == 1


def test_what_stands_for_no_badge_is_nobodys_until_only_some_claim_it() -> None:
    """`0` in the record of whoever has no badge. That many are learnt in no time, and told of a few times."""
    found, told = People(sites()), Counter[str]()
    for number in range(20_000):
        record = identity(f"e{number}", badges=[{"id": "0", "valid_from": date(number % 28)}])
        made = found.apply(number, f"e{number}", record, NOW)
        assert isinstance(made, Told)
        told.update(contest.message for contest in made.contests)
    assert found.resolve("card", "0", NOW) == ""
    assert found.contested == 1
    assert [message for message in told if "taken as nobody's" in message]
    assert len(told) < 50
    for number in range(100, 20_000):
        applied(found, 20_000 + number, identity(f"e{number}"), f"e{number}")
    again = people(*(identity(f"e{n}", badges=[{"id": "0", "valid_from": date(n % 28)}]) for n in range(100)))
    for day in range(30):
        at_ms = ms(f"{date(day)}T12:00")
        assert found.resolve("card", "0", at_ms) == again.resolve("card", "0", at_ms) != ""


def test_who_has_a_badge_for_a_while_gives_it_back() -> None:
    day = {"valid_from": "2026-01-05", "valid_to": "2026-01-06"}
    found = people(identity("e1", badges=[{"id": "17"}]), identity("e2", badges=[{"id": "17", **day}]))
    days = [ms(f"2026-01-0{day}T12:00") for day in (4, 5, 6)]
    assert [found.resolve("card", "17", day_ms) for day_ms in days] == ["e1", "e2", "e1"]
    applied(found, 7, None, "e2")
    assert [found.resolve("card", "17", day_ms) for day_ms in days] == ["e1", "e1", "e1"]


def test_two_who_swap_their_badges_have_each_others_whoever_comes_first() -> None:
    old, new = {"valid_to": "2026-01-05"}, {"valid_from": "2026-01-05"}
    swapped = {
        "e1": identity("e1", badges=[{"id": "17", **old}, {"id": "18", **new}]),
        "e2": identity("e2", badges=[{"id": "18", **old}, {"id": "17", **new}]),
    }
    for first, second in (("e1", "e2"), ("e2", "e1")):
        found = people(identity("e1", badges=[{"id": "17"}]), identity("e2", badges=[{"id": "18"}]))
        applied(found, 5, swapped[first], first)
        applied(found, 6, swapped[second], second)
        assert [found.resolve("card", badge, NOW) for badge in ("17", "18")] == ["e2", "e1"]
        assert [found.resolve("card", badge, ms("2026-01-04T00:00")) for badge in ("17", "18")] == [
            "e1",
            "e2",
        ]
        assert found.contested == 0


def test_an_identity_whose_newest_record_is_refused_is_counted_until_it_is_mended() -> None:
    found = people(identity("e1", badges=[{"id": "17"}]))
    for offset, record, refused in ((5, b"{", 1), (6, identity("e1", home_site="mars"), 1), (7, None, 0)):
        found.apply(offset, "e1", record, NOW)
        assert found.refused == refused


def test_only_who_may_have_read_a_badge_of_late_is_told_of_its_next_holder() -> None:
    """A visitors' badge has another holder every day: to tell all of each would be too much for a frame."""
    day = [{"id": "17", "valid_from": date(n), "valid_to": date(n + 1)} for n in range(20)]
    found = people(*(identity(f"v{n}", badges=[day[n]]) for n in range(18)))
    told = bound(found, 50, identity("v18", badges=[{**day[18], "valid_to": date(20)}]), "v18")
    assert {binding.entity for binding in told} == {"identity:v18", "unresolved:badge:17"}
    assert {len(binding.holders) for binding in told} == {19}
    applied(found, 51, identity("v18", badges=[{**day[18], "valid_to": date(19)}]), "v18")
    names = [binding.entity for binding in bound(found, 52, identity("v19", badges=[day[19]]), "v19")]
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


_CLAIMS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 9), st.integers(1, 6), st.booleans()), max_size=12
)


@settings(max_examples=200, deadline=None)
@given(_CLAIMS, st.randoms(use_true_random=False))
def test_who_holds_what_is_a_function_of_the_newest_records_alone(
    rows: list[tuple[str, int, int, bool]], random: Random
) -> None:
    """However they came, what compaction dropped, and by an obvious definition."""
    records: list[tuple[str, bytes | None]] = []
    for who, start, days, is_there in rows:
        badge = {"id": "1", "valid_from": date(start), "valid_to": date(start + days)}
        records.append((who, identity(who, badges=[badge]) if is_there else None))
    newest = {who: record for who, record in records if record}
    newest = {who: record for who, record in newest.items() if dict(records)[who] is not None}
    lived, compacted = People(sites()), People(sites())
    for offset, (who, record) in enumerate(records, 1):
        assert isinstance(lived.apply(offset, who, record, NOW), Told)
    for offset, (who, record) in enumerate(random.sample(sorted(newest.items()), len(newest)), 1):
        assert isinstance(compacted.apply(offset, who, record, NOW), Told)
    claims = [(c, who) for who in newest if (person := lived.person(who)) for c in person.credentials]
    for day in range(20):
        at_ms = ms("2026-01-01T12:00") + day * DAY_MS
        there = [(c.from_ms, who) for c, who in claims if c.from_ms <= at_ms < c.to_ms]
        wanted = min(there, key=lambda claim: (-claim[0], claim[1]))[1] if there else ""
        assert lived.resolve("card", "1", at_ms) == compacted.resolve("card", "1", at_ms) == wanted
    assert lived.contested == compacted.contested


@settings(max_examples=100, deadline=None)
@given(_CLAIMS)
def test_who_hears_each_change_knows_who_held_what_since_the_horizon(
    rows: list[tuple[str, int, int, bool]],
) -> None:
    """The timeline of events that are nobody's is told of all of them."""
    found, heard = People(sites()), dict[str, tuple[tuple[int, int, str], ...]]()
    since_ms = ms("2026-01-06T00:00")
    for offset, (who, start, days, is_there) in enumerate(rows, 1):
        badge = {"id": "1", "valid_from": date(start), "valid_to": date(start + days)}
        told = found.apply(
            offset, who, identity(who, badges=[badge]) if is_there else None, since_ms + DAY_MS
        )
        assert isinstance(told, Told)
        heard |= {binding.entity: binding.holders for binding in told.bindings}
        holders = heard.get("unresolved:badge:1", ())
        for at_ms in range(since_ms, since_ms + 12 * DAY_MS, DAY_MS // 2):
            known = [who for from_ms, to_ms, who in holders if from_ms <= at_ms < to_ms]
            assert "".join(known) == found.resolve("card", "1", at_ms)


def date(day: int) -> str:
    return f"2026-{1 + day // 28:02}-{1 + day % 28:02}"


def applied(found: People, offset: int, record: bytes | None, key: str = "e1") -> list[tuple[str, Event]]:
    told = found.apply(offset, key, record, NOW)
    assert isinstance(told, Told), told
    return told.events


def bound(found: People, offset: int, record: bytes | None, key: str) -> list[Binding]:
    told = found.apply(offset, key, record, NOW)
    assert isinstance(told, Told), told
    return told.bindings
