"""What operators are told on the notices topic, by the stages on the embedded log."""

from __future__ import annotations

import json

import msgspec
import pytest

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.embedded import FAST, Embedded
from correlator.engine.ports import TopicPartition
from correlator.engine.worker import Worker
from tests.engine.company import committed, company, run, system, worker

CONTESTED = "credential_contested:badge:70001"


def states(embedded: Embedded) -> dict[str, str]:
    """By key, what the newest notice says."""
    notices = committed(embedded, embedded.topics.notices)
    return {(r.key or b"").decode(): json.loads(r.value or b"{}").get("state", "") for r in notices}


@pytest.mark.parametrize("nth", range(4))
def test_a_notice_in_a_transaction_that_came_to_nothing_is_told_with_the_next(nth: int) -> None:
    """Fenced, its partitions are restored, and fold the same frames again."""
    calm, embedded = system(), system()
    run(worker(calm))
    notices = embedded.log.partition(TopicPartition(embedded.topics.notices, 0))
    written, left = 0, nth

    def fence(name: str) -> None:
        nonlocal written, left
        if name == "send_offsets" and notices.next_offset > written:
            written, left = notices.next_offset, left - 1
            if left == -1:
                embedded.log.clock.sleep_ms(11_000)
                embedded.log.expire_transactions()

    embedded.log.on_effect = fence
    run(worker(embedded))
    assert left < 0, "there was such a transaction"
    assert states(embedded) == states(calm)


def test_that_an_input_is_stopped_is_closed_when_it_is_read_on() -> None:
    """By whom, and why it is taken up again, is all the same: here the process starts anew."""
    embedded = Embedded(company().bundle, SimulatedClock(1_767_571_200_000), {})
    where = TopicPartition(next(iter(embedded.raw)), 0)
    key = f"input_stopped:{where.topic}:0"
    options = msgspec.structs.replace(FAST, bad_in_a_row_max=3)

    def lives(*values: bytes) -> list[str]:
        """Of what a process says of the input in its life, in which *values* come."""
        meter = PrometheusMeter(has_process=False)
        process = embedded.worker(meter, options, instance="a", steady=SimulatedClock(1))
        for value in values:
            embedded.log.append(where, None, value)
        for _ in range(30):
            process.step()
            embedded.clock.sleep_ms(100)
            process._steady.sleep_ms(100)
        process.finish()
        process.close()
        news = embedded.news(embedded.topics.notices)
        return [json.loads(r.value or b"{}")["state"] for r in news if r.key == key.encode()]

    assert lives(*[b"junk"] * 3) == []
    assert lives(*[b"junk"] * 4) == ["open"]
    assert lives() == ["closed"]
    assert lives() == [], "once"
    assert lives(*[b"junk"] * 9) == ["open"]
    assert lives(*[b"junk"] * 9) == ["closed", "open"]


def test_that_an_input_is_stopped_is_closed_when_its_feed_is_taken_out() -> None:
    bundle = company().bundle
    embedded = Embedded(bundle, SimulatedClock(1_767_571_200_000), {})
    where = TopicPartition(next(iter(embedded.raw)), 0)
    feeds = {topic: feed for topic, feed in bundle.intake.feeds.items() if topic != where.topic}
    other = msgspec.structs.replace(
        bundle, hash="other", intake=msgspec.structs.replace(bundle.intake, bundle="other", feeds=feeds)
    )
    embedded._known[other.hash] = other
    options = msgspec.structs.replace(FAST, bad_in_a_row_max=3)
    meter = PrometheusMeter(has_process=False)
    process = embedded.worker(meter, options, instance="a", steady=SimulatedClock(1))

    def says() -> str | None:
        for _ in range(30):
            process.step()
            embedded.clock.sleep_ms(100)
            process._steady.sleep_ms(100)
        return states(embedded).get(f"input_stopped:{where.topic}:0")

    for _ in range(4):
        embedded.log.append(where, None, b"junk")
    assert says() == "open"
    embedded.deploy(other, embedded.clock.now_ms())
    assert says() == "closed"


class People:
    """Identities, published one after the other, and a process that tells of them."""

    def __init__(self) -> None:
        self.embedded = Embedded(company().bundle, SimulatedClock(1_767_571_200_000), {})
        self.process = self._started()

    def holds(self, identity: str, since: str, until: str | None = None) -> None:
        badge = {"id": "70001", "valid_from": since, "valid_to": until}
        row = {"identity_id": identity, "type": "employee", "badges": [badge]}
        self.embedded.load_identities([(identity, json.dumps(row).encode())], self.embedded.clock.now_ms())

    def told(self) -> list[tuple[str, str]]:
        """State and message of each notice of the badge since this was asked last."""
        for _ in range(30):
            self.process.step()
        news = self.embedded.news(self.embedded.topics.notices)
        found = [json.loads(r.value or b"{}") for r in news if r.key == CONTESTED.encode()]
        return [(each["state"], each["message"]) for each in found]

    def restart(self) -> None:
        self.process.finish()
        self.process.close()
        self.process = self._started()

    def _started(self) -> Worker:
        meter = PrometheusMeter(has_process=False)
        return self.embedded.worker(meter, FAST, instance="a", steady=SimulatedClock(1))


def test_a_contested_badge_is_told_of_when_it_is_when_others_claim_it_and_when_nobody_does() -> None:
    people = People()
    people.holds("e1", "2025-01-01")
    assert people.told() == [], "one holder"
    people.holds("e2", "2025-06-01")
    ((state, message),) = people.told()
    assert state == "open"
    assert "badge '70001' is claimed by 'e1'" in message
    people.holds("e2", "2025-06-01")
    assert people.told() == [], "as before"
    people.holds("e3", "2025-07-01")
    ((state, message),) = people.told()
    assert (state, "'e3'" in message) == ("open", True), "by one more"
    people.holds("e3", "2025-07-01", "2025-07-02")
    people.holds("e2", "2025-06-01", "2025-06-02")
    assert [state for state, _ in people.told()] == ["open", "open"], "e1 still claims those days"
    people.holds("e1", "2025-08-01")
    assert people.told() == [("closed", "badge '70001' is claimed by one person at a time again.")]


def test_a_contested_badge_is_not_told_of_again_after_a_restart_and_is_closed_all_the_same() -> None:
    people = People()
    people.holds("e1", "2025-01-01")
    people.holds("e2", "2025-06-01")
    assert [state for state, _ in people.told()] == ["open"]
    people.restart()
    assert people.told() == []
    people.restart()
    people.holds("e1", "2025-01-01", "2025-06-01")
    assert [state for state, _ in people.told()] == ["closed"]
    people.restart()
    assert people.told() == []


def test_a_contest_in_a_transaction_that_came_to_nothing_is_told_with_the_next() -> None:
    people = People()
    people.holds("e1", "2025-01-01")
    assert people.told() == []
    log, topics = people.embedded.log, people.embedded.topics
    notices, fenced = log.partition(TopicPartition(topics.notices, 0)), list[int]()

    def fence(name: str) -> None:
        if name == "send_offsets" and notices.next_offset and not fenced:
            fenced.append(notices.next_offset)
            log.clock.sleep_ms(11_000)
            log.expire_transactions()

    log.on_effect = fence
    people.holds("e2", "2025-06-01")
    assert [state for state, _ in people.told()] == ["open"]
    assert fenced
