"""Single cases of the timeline: what the properties leave out, and what an operator will ask about."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, Event, Person, Place, Score, make_event
from correlator.frame import Arrival, Fact, Frame
from correlator.timeline import entity as entity_module
from correlator.timeline import fold
from correlator.timeline.alert import stamp
from correlator.timeline.habits import Habits
from correlator.timeline.live import Live, Match, ZoneState
from correlator.timeline.occupancy import Passage
from correlator.timeline.partition import Partition
from correlator.timeline.program import Program
from correlator.timeline.state import StateError, load_rest
from tests.events import changed
from tests.timeline.streams import START_MS, arrivals, everybody
from tests.timeline.toy import NoScorer, Toy, ToyProgram

WHO = "identity:u"


def partition(toy: Toy | None = None) -> Partition:
    return Partition(ToyProgram(toy or Toy()), NoScorer(), 3)


def read(minute: int, name: str, site: str = "a", *, outcome: str = "granted") -> Event:
    return make_event(
        START_MS + minute * MINUTE_MS, name * 16, "access", outcome=outcome, taken="taken", place=Place(site)
    )


def person(minute: int, name: str, *statuses: tuple[int, str], version: int = 1) -> Event:
    terms = tuple((START_MS + at * MINUTE_MS, status) for at, status in statuses)
    who = Person("u", version, statuses=terms)
    return make_event(START_MS + minute * MINUTE_MS, name * 16, "person", person=who)


def frame(now: int, *events: Event, entity: str = WHO) -> Frame:
    return Frame("", tuple((entity, e) for e in events), arrivals(START_MS + now * MINUTE_MS))


def test_a_late_read_between_two_explains_the_journey_away() -> None:
    p = partition(Toy(minutes_between=30))
    created = p.step(frame(20, read(0, "1"), read(15, "2", "b")))
    assert [(c.activity, c.alert.rule, c.alert.evidence) for c in created] == [
        ("create", "travel", ("1" * 16, "2" * 16))
    ]
    closed = p.step(frame(21, read(14, "3", "b")))  # the contradiction now lies between 1 and 3
    assert [(c.activity, c.reason) for c in closed] == [("close", "superseded"), ("create", "")]
    assert closed[0].superseded_by == closed[1].alert.uid
    assert closed[1].supersedes == created[0].alert.uid
    assert {c.correlation_uid for c in (*created, *closed)} == {created[0].alert.uid}
    assert closed[0].because == ("3" * 16,)


def test_a_duplicate_with_another_time_is_the_first_delivery() -> None:
    p = partition()
    p.step(frame(1, read(0, "1", outcome="denied"), read(1, "2", outcome="denied")))
    assert p.step(frame(2, read(2, "1", outcome="denied"))) == []
    assert p.take_counters()["correlator_duplicates_total", ""] == 1


def test_an_event_older_than_the_horizon_is_refused_and_counted() -> None:
    p = partition(Toy(horizon_ms=HOUR_MS))
    p.step(frame(0, read(0, "1")))
    p.step(frame(90))
    assert p.step(frame(91, read(20, "2", "b"))) == []
    assert p.take_counters()["correlator_events_refused_total", "too_late"] == 1
    assert [e.id for e in p.events(WHO, ["1" * 16, "2" * 16])] == ["1" * 16]


def test_a_frame_that_spans_more_than_the_horizon_refuses_nothing_that_came_in_time() -> None:
    """Each event is held against what was known before its frame: it may have arrived hours ago."""
    p = partition(Toy(horizon_ms=HOUR_MS))
    p.step(frame(0))
    p.step(frame(180, read(1, "1"), read(175, "2")))
    assert [e.id for e in p.events(WHO, ["1" * 16, "2" * 16])] == ["1" * 16, "2" * 16]


def test_rules_for_any_age_look_at_a_refused_event_once() -> None:
    p = partition(Toy(horizon_ms=HOUR_MS))
    p.step(frame(0, person(0, "9", (-600, "terminated"))))
    p.step(frame(90))
    told = p.step(frame(91, read(10, "1"), read(10, "1")))
    assert [(c.activity, c.alert.rule) for c in told] == [("create", "leaver")]
    assert p.step(frame(92, read(10, "1"))) == [], "a redelivery does not raise it again"


def test_a_match_that_was_told_is_not_told_again_when_its_event_comes_back_beyond_the_horizon() -> None:
    """A controller sends its memory again: neither the alert nor a repeat of it becomes a new alert."""
    p = partition(Toy(horizon_ms=HOUR_MS))
    p.step(frame(0, person(0, "9", (-600, "terminated"))))
    assert len(p.step(frame(2, read(1, "1"), read(2, "2")))) == 1
    p.step(frame(90))
    assert p.step(frame(91, read(1, "1"), read(2, "2"))) == []


def test_an_alert_on_a_refused_event_comes_with_it() -> None:
    p = partition(Toy(horizon_ms=HOUR_MS))
    p.step(frame(0, person(0, "9", (-600, "terminated"))))
    p.step(frame(90))
    told = p.step(frame(91, read(10, "1")))
    assert p.events(WHO, told[0].alert.evidence) == [read(10, "1")]


def test_rules_for_any_age_look_at_what_a_saturated_entity_refuses() -> None:
    p = partition(Toy(events_max=40, block_size=8))
    p.step(frame(0, person(0, "9", (30, "terminated"))))
    for minute in range(60):
        p.step(
            frame(
                minute, make_event(START_MS + minute * MINUTE_MS, f"{minute:016}", "login", outcome="failure")
            )
        )
    told = p.step(frame(60, read(31, "e")))
    assert p.take_counters()["correlator_events_refused_total", "saturated"] == 1
    assert [(c.activity, c.alert.rule) for c in told] == [("create", "leaver")]


def test_what_is_known_of_a_person_is_never_too_late() -> None:
    """An intake that was down reads an old record of HR's after *now* went on."""
    p = partition(Toy(horizon_ms=HOUR_MS))
    p.step(frame(62, read(1, "1"), read(3, "2")))
    told = p.step(frame(62, person(0, "9", (-600, "terminated"))))
    assert [(c.activity, c.alert.event_id) for c in told] == [("create", "2" * 16)], (
        "it holds from the horizon on"
    )


def test_an_id_that_stands_in_another_field_is_no_duplicate() -> None:
    p = partition()
    p.step(frame(1, replace(read(0, "1"), device="\u0430" + "2" * 16)))
    p.step(frame(2, read(1, "2")))
    assert [e.id for e in p.events(WHO, ["2" * 16])] == ["2" * 16]


def test_nothing_is_learnt_from_a_repeat() -> None:
    class Memory(NoScorer):
        learnt: tuple[float, ...] = ()

        def wants(self, event: Event, live: Live) -> bool:
            return event.kind == "access"

        def score(self, event: Event, identity_type: str, habits: Habits) -> tuple[Score, dict[str, float]]:
            return Score(0.0, is_warm=False), {"at": float(event.time_ms - START_MS)}

        def learn(self, identity_type: str, features: dict[str, float]) -> None:
            self.learnt += (features["at"],)

    scorer = Memory()
    p = Partition(ToyProgram(Toy()), scorer, 3)
    p.step(frame(0, person(0, "9", (-600, "active"), (5, "terminated"))))
    for minute in (3, 6, 7):
        p.step(frame(minute, changed(read(minute, str(minute)), identity_id="u")))
    assert scorer.learnt == (3 * MINUTE_MS,)


def test_nobody_waits_for_what_would_be_refused() -> None:
    """A site whose feed was never heard: its undecided verdicts stay so, and leave nothing behind."""
    p = partition(Toy(horizon_ms=HOUR_MS))
    for minute in range(0, 300, 10):
        where = Place("nobody-badges-here")
        login = make_event(
            START_MS + minute * MINUTE_MS, f"{minute:016}", "login", outcome="success", place=where
        )
        p.step(frame(minute, login))
    assert 0 < p.wakes.count()["access", "nobody-badges-here"] <= 7


@pytest.mark.parametrize("may_retract", [True, False])
def test_an_alert_whose_first_match_goes_is_superseded_by_what_it_repeated(may_retract: bool) -> None:
    program = ToyProgram(Toy(presence_full_ms=0, presence_half_life_ms=MINUTE_MS, grace_ms=0))
    program.rules["unbadged"] = replace(program.rules["unbadged"], may_retract=may_retract)
    p = Partition(program, NoScorer(), 3)
    logins = [
        make_event(START_MS + m * MINUTE_MS, f"{m:016}", "login", outcome="success", place=Place("a"))
        for m in (0, 30)
    ]
    end_ms = START_MS + HOUR_MS
    created = p.step(Frame("", tuple((WHO, e) for e in logins), arrivals(end_ms), everybody(end_ms, end_ms)))
    assert [c.alert.repeats for c in created] == [(logins[1].id,)]
    closed, fresh = p.step(frame(61, read(-1, "3")))  # explains the first login
    assert (closed.reason, closed.superseded_by) == ("superseded", fresh.alert.uid)
    assert (fresh.supersedes, fresh.correlation_uid) == (created[0].alert.uid, created[0].alert.uid)
    back, again = p.step(frame(62, replace(logins[0], time_ms=START_MS + 20 * MINUTE_MS, id="4" * 16)))
    assert (back.superseded_by, again.supersedes) == (again.alert.uid, fresh.alert.uid)
    assert again.correlation_uid == created[0].alert.uid


def test_a_late_change_of_a_person_applies_to_what_is_not_final() -> None:
    p = partition()
    p.step(frame(30, person(0, "8", (-600, "active")), read(5, "1"), read(20, "2")))
    told = p.step(frame(31, person(10, "9", (-600, "active"), (10, "terminated"), version=2)))
    assert [(c.activity, c.alert.rule, c.alert.event_id) for c in told] == [("create", "leaver", "2" * 16)]


def test_an_older_version_of_a_person_does_not_replace_a_newer_one() -> None:
    p = partition()
    p.step(frame(0, person(0, "9", (-600, "terminated"), version=7)))
    p.step(frame(1, person(1, "8", (-600, "active"), version=6)))
    assert [c.alert.rule for c in p.step(frame(3, read(2, "1")))] == ["leaver"]


def test_what_must_not_be_retracted_stays_open_and_says_once_that_it_does_not_hold() -> None:
    p = partition()
    p.step(frame(0, person(0, "8", (-600, "terminated"), version=1)))
    p.step(frame(6, read(5, "1")))
    (said,) = p.step(frame(7, person(0, "9", (-600, "active"), version=2)))
    assert (said.activity, said.alert.is_refuted, said.because) == ("update", True, ("9" * 16,))
    assert p.step(frame(8, person(0, "7", (-500, "active"), version=3))) == []
    assert [a.rule for a in p.timelines[WHO].open.values()] == ["leaver"]
    (again,) = p.step(frame(9, person(0, "6", (-600, "terminated"), version=4)))
    assert (again.activity, again.alert.is_refuted) == ("update", False)


def test_since_when_a_zone_is_empty_is_known_after_any_silence() -> None:
    """Zones are as many as the sites file has: they need not be dropped, as people and doors."""
    p, vault = partition(Toy(horizon_ms=HOUR_MS)), Place("a", zone="vault", criticality=4)
    entered, left = (
        make_event(START_MS + n, f"{n:016}", "occupancy", activity=way, place=vault, identity_id="u")
        for n, way in enumerate(("entered", "left"))
    )
    facts = tuple(Fact("zone:vault", WHO, event) for event in (entered, left))
    p.step(Frame("", (), arrivals(START_MS), facts=facts))
    for hour in (2, 4, 8):
        p.step(frame(hour * 60))
    assert p.timelines["zone:vault"].touch(p.codes).zone == ZoneState((), left.time_ms, left.order)


def test_an_unresolved_credential_is_dropped_when_it_was_quiet_for_the_horizon() -> None:
    p = partition(Toy(horizon_ms=HOUR_MS))
    stray = "unresolved:badge:4711"
    p.step(frame(0, make_event(START_MS, "1" * 16, "login", outcome="failure"), entity=stray))
    assert stray in p.timelines
    p.step(frame(61))
    assert stray not in p.timelines
    p.freeze()
    assert p.changed.slice(10) == [(stray, None)], "a checkpoint has to say that it is gone"


def test_who_is_removed_is_dropped_when_it_was_quiet_for_the_horizon() -> None:
    """Visitors of a year would otherwise stay for ever, with all that was learnt of them."""
    p = partition(Toy(horizon_ms=HOUR_MS))
    p.step(frame(0, person(0, "8"), read(0, "1")))
    p.step(frame(90, person(90, "9", version=2)))
    p.step(frame(200))
    assert WHO in p.timelines, "people are kept, however long they are away"
    gone = make_event(START_MS + 200 * MINUTE_MS, "a" * 16, "person", person=Person("u", 3, is_removed=True))
    p.step(frame(200, gone))
    p.step(frame(259))
    assert WHO in p.timelines
    p.step(frame(400))
    assert WHO not in p.timelines
    p.freeze()
    assert p.changed.slice(10) == [(WHO, None)]


def test_an_unresolved_credential_is_kept_while_late_events_may_add_to_what_it_left() -> None:
    p = partition(Toy(horizon_ms=HOUR_MS, burst_min=3))
    stray = "unresolved:badge:4711"
    p.step(frame(1, read(0, "1", outcome="denied"), read(1, "2", outcome="denied"), entity=stray))
    p.step(frame(62))
    assert p.timelines[stray].count == 0
    told = p.step(frame(62, read(2, "3", outcome="denied"), entity=stray))
    assert [(c.activity, c.alert.rule) for c in told] == [("create", "burst")]
    p.step(frame(63))
    p.step(frame(200))
    p.step(frame(262))
    assert stray not in p.timelines


def test_an_entity_whose_clock_stands_still_is_held_below_its_cap_too() -> None:
    p = partition(Toy(events_max=40, block_size=8))
    p.step(frame(0, read(-1, "f")))
    for number in range(200):
        event = make_event(START_MS, f"{number:016}", "access", outcome="granted", place=Place("a"))
        p.step(frame(number // 10, event))
        assert p.timelines[WHO].count <= 42
    counters = p.take_counters()
    assert counters["correlator_entities_saturated_total",] == 2
    assert counters["correlator_events_refused_total", "saturated"] == 200 - 41


def test_an_entity_above_its_cap_gets_a_shorter_horizon() -> None:
    p = partition(Toy(events_max=40, block_size=8))
    for minute in range(60):
        p.step(frame(minute, read(minute, f"{minute:02}"[-1] + "abcdef"[minute // 10])))
    timeline = p.timelines[WHO]
    assert timeline.is_saturated
    assert timeline.count <= 40
    p.take_counters()
    p.step(frame(60, make_event(START_MS, "late" * 4, "access", place=Place("a"))))
    assert p.take_counters()["correlator_events_refused_total", "saturated"] == 1


@pytest.mark.parametrize("gap_ms", [8_000, 5 * MINUTE_MS])
def test_a_late_insert_costs_its_neighbourhood(gap_ms: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 3,000 events in a history only those near a late one are folded again."""
    toy = Toy(horizon_ms=60 * DAY_MS, events_max=10_000)
    p, steps = partition(toy), list[Event]()
    events = [
        make_event(
            START_MS + i * gap_ms,
            f"{i:016}",
            "access",
            outcome="granted" if i % 3 else "denied",
            taken="taken",
            place=Place("ab"[i % 2]),
        )
        for i in range(3_000)
    ]
    now = Arrival("badge-events", 0, 1, events[-1].time_ms), Arrival("login-events", 0, 1, events[-1].time_ms)
    p.step(Frame("", tuple((WHO, e) for e in events), now))

    def counted(entity: str, live: Live, event: Event, program: Program) -> tuple[Live, list[Match]]:
        steps.append(event)
        return fold.step(entity, live, event, program)

    def fold_counted(
        entity: str, live: Live, events: list[Event], program: Program
    ) -> tuple[Live, list[Match], tuple[Passage, ...]]:
        matches: list[Match] = []
        for event in events:
            live, found = counted(entity, live, event, program)
            matches += found
        return live, matches, ()

    monkeypatch.setattr(entity_module, "fold_ways", fold_counted)
    late = make_event(START_MS + 1_500 * gap_ms + 1, "f" * 16, "access", outcome="denied", place=Place("a"))
    p.step(Frame("", ((WHO, late),), now))
    assert 0 < len(steps) <= 12 * toy.block_size


def test_the_stamp_of_what_was_published_tells_one_history_from_another() -> None:
    changes = partition().step(frame(20, read(0, "1"), read(15, "2", "b")))
    assert stamp(0, changes) == stamp(0, changes) != stamp(0, [])


def test_state_of_a_newer_format_is_refused_with_advice() -> None:
    with pytest.raises(StateError, match="newer correlator wrote it: upgrade"):
        load_rest(b"\x91\x63")
