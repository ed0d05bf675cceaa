"""The scorer of a partition: who is scored, what is unusual, and that its bytes are all there is to it."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import msgspec
import pytest
from msgspec.structs import replace

from correlator.event import DAY_MS, HOUR_MS, Event, Person, Place, Score
from correlator.models.scorer import FORMAT, Scorer, decode
from correlator.models.state import StateFormatError
from correlator.timeline.habits import NO_HABITS
from correlator.timeline.live import Live
from tests.events import changed
from tests.models.people import HOME, MONDAY_MS, Worker, access, day_of, login, workers
from tests.timeline.learned import Learned

PEOPLE = 120
FIRST_JUDGED = 18  # day from which scores are judged: the models have been warm for some days


class Company:
    """Simulated people, what they did so far and one scorer, day by day."""

    def __init__(self, seed: int, people: int = PEOPLE) -> None:
        self.random = Random(seed)
        self.workers = workers(people, self.random)
        self.learned = {worker.id: Learned() for worker in self.workers}
        self.scorer = Scorer(seed)

    def live(self, day: int) -> Iterator[Score]:
        """Score and learn everything of *day*, in order of time."""
        events = [event for worker in self.workers for event in day_of(worker, day, self.random)]
        for event in sorted(events, key=lambda event: event.order):
            learned = self.learned[event.identity_id]
            score, x = self.scorer.score(event, "employee", learned.before(event))
            self.scorer.learn("employee", x)
            self.learned[event.identity_id] = learned.after(event)
            yield score

    def score_aside(self, event: Event) -> Score:
        """Score of *event* without leaving a trace."""
        score, _ = decode(self.scorer.encode()).score(
            event, "employee", self.learned[event.identity_id].before(event)
        )
        return score

    def office_workers(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.shift == "office" and not worker.is_on_call]


@pytest.fixture(scope="module")
def company() -> Company:
    company = Company(seed=11)
    for day in range(FIRST_JUDGED):
        for _ in company.live(day):
            pass
    return company


def at(day: int, hour: float) -> int:
    return MONDAY_MS + day * DAY_MS + int(hour * HOUR_MS)


def test_only_what_a_known_person_was_let_do_is_wanted(company: Company) -> None:
    worker, scorer = company.workers[0], company.scorer
    entered = access(worker, at(0, 9), worker.doors[0])
    logged_in = login(worker, at(0, 9), HOME)
    live = Live(person=Person(worker.id, 0), habits=company.learned[worker.id].habits)
    assert scorer.wants(entered, live)
    assert scorer.wants(logged_in, live)
    for other in (Live(habits=live.habits), Live(person=live.person)):
        assert not scorer.wants(entered, other)
    assert not scorer.wants(entered, replace(live, person=Person(worker.id, 0, "service")))
    for changes in ({"outcome": "denied"}, {"taken": "not_taken"}, {"kind": "door"}):
        assert not scorer.wants(changed(entered, **changes), live)
    for more in ({"outcome": "failure"}, {"is_interactive": False}):
        assert not scorer.wants(changed(logged_in, **more), live)


def test_a_person_of_office_hours_who_enters_at_night_stands_out(company: Company) -> None:
    scores = [
        company.score_aside(access(worker, at(FIRST_JUDGED, 3), worker.doors[-1]))
        for worker in company.office_workers()[:40]
        if company.learned[worker.id].habits.active_days >= 10
    ]
    assert len(scores) > 20
    assert sum(score.percentile >= 0.99 for score in scores) >= 0.95 * len(scores)
    assert all(score.is_warm and score.pushing[0] in ("hour", "off_hours") for score in scores)


def test_the_way_through_the_entrance_does_not_hide_the_vault() -> None:
    company = Company(seed=14)
    for day in range(FIRST_JUDGED):
        for _ in company.live(day):
            pass
    percentiles = []
    for worker in company.office_workers()[:12]:
        entered = access(worker, at(FIRST_JUDGED, 3), worker.doors[0])
        _, x = company.scorer.score(entered, "employee", company.learned[worker.id].before(entered))
        company.scorer.learn("employee", x)
        company.learned[worker.id] = company.learned[worker.id].after(entered)
        vault = access(worker, at(FIRST_JUDGED, 3.1), worker.doors[-1])
        percentiles.append(company.score_aside(vault).percentile)
    assert sum(value >= 0.99 for value in percentiles) >= 10


def test_usual_entries_do_not_stand_out() -> None:
    company = Company(seed=12)
    scores = [score for day in range(25) for score in company.live(day) if day >= FIRST_JUDGED]
    warm = [score.percentile for score in scores if score.is_warm]
    assert len(warm) > 3_000
    assert sum(value >= 0.95 for value in warm) < 0.07 * len(warm)
    assert sum(value >= 0.995 for value in warm) < 0.008 * len(warm)


def test_a_new_zone_names_the_zone(company: Company) -> None:
    worker = company.office_workers()[0]
    vault = Place("lis", "hq", "vault", "vault-1", criticality=5)
    score = company.score_aside(access(worker, at(FIRST_JUDGED, 3), vault))
    assert score.percentile >= 0.995
    assert {"zone", "hour"} <= set(score.pushing)


def test_scoring_is_a_function_of_partition_and_events() -> None:
    one, other = Company(seed=13, people=40), Company(seed=13, people=40)
    for day in range(16):
        assert list(one.live(day)) == list(other.live(day))
    assert one.scorer.encode() == other.scorer.encode()


def test_a_restored_scorer_goes_on_as_if_nothing_had_happened(company: Company) -> None:
    state = company.scorer.encode()
    one, other = decode(state), decode(state)
    assert one.encode() == state
    worker = company.office_workers()[1]
    past = company.learned[worker.id].habits
    for minute in range(600):
        event = access(worker, at(FIRST_JUDGED, 6) + minute * 60_000, worker.doors[0])
        (score, x), (same, y) = one.score(event, "employee", past), other.score(event, "employee", past)
        assert (score, x) == (same, y)
        one.learn("employee", x)
        other = decode(other.encode()) if minute % 150 == 0 else other
        other.learn("employee", y)
    assert one.encode() == other.encode()


def test_a_newcomer_is_neither_scored_nor_learned_from(company: Company) -> None:
    scorer = decode(company.scorer.encode())
    worker = company.workers[0]
    score, x = scorer.score(access(worker, at(0, 3), worker.doors[0]), "employee", NO_HABITS)
    assert (score, x) == (Score(0.0, is_warm=False), {})
    scorer.learn("employee", x)
    assert scorer.encode() == company.scorer.encode()


@pytest.mark.parametrize("identity_type", ["service", "shared", ""])
def test_what_is_no_person_is_not_scored(company: Company, identity_type: str) -> None:
    scorer = decode(company.scorer.encode())
    worker = company.workers[0]
    event = access(worker, at(FIRST_JUDGED, 3), worker.doors[0])
    assert scorer.score(event, identity_type, company.learned[worker.id].habits)[1] == {}


def test_classes_learn_apart_and_start_cold(company: Company) -> None:
    scorer = decode(company.scorer.encode())
    worker = company.office_workers()[0]
    event = access(worker, at(FIRST_JUDGED, 3), worker.doors[0])
    for _ in range(249 + 256):
        score, x = scorer.score(event, "contractor", company.learned[worker.id].habits)
        assert not score.is_warm
        scorer.learn("contractor", x)
    employees = msgspec.msgpack.decode(company.scorer.encode())[2][0]
    assert msgspec.msgpack.decode(scorer.encode())[2][1] == employees


def test_classes_that_nobody_named_share_one_model(company: Company) -> None:
    scorer = decode(company.scorer.encode())
    worker = company.office_workers()[0]
    event = access(worker, at(FIRST_JUDGED, 3), worker.doors[0])
    for i in range(50):
        scorer.learn(f"type {i}", scorer.score(event, f"type {i}", company.learned[worker.id].habits)[1])
    assert len(scorer.encode()) < 2 * len(company.scorer.encode()) + 16_000


def test_a_state_of_a_newer_version_is_refused(company: Company) -> None:
    state = msgspec.msgpack.decode(company.scorer.encode())
    newer = msgspec.msgpack.encode([FORMAT.number + 1, *state[1:], "something new"])
    with pytest.raises(StateFormatError, match=f"format {FORMAT.number + 1}.*newer"):
        decode(newer)


@pytest.mark.parametrize("state", [b"", b"\xff", b"\x90", b"\x91\x01", b"\x93\x01\x00\x91\x01", b"\x91\xa1x"])
def test_bytes_that_are_no_state_are_refused(state: bytes) -> None:
    with pytest.raises(StateFormatError, match="models"):
        decode(state)


def test_a_state_with_trees_cut_short_is_refused(company: Company) -> None:
    state = msgspec.msgpack.decode(company.scorer.encode())
    state[2][0][1][5] = state[2][0][1][5][:-1]
    with pytest.raises(StateFormatError, match=r"state of \d+ trees of height \d+ expected, found"):
        decode(msgspec.msgpack.encode(state))
