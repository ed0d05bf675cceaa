"""Transactions of somebody else that stay open: what lies behind them has arrived, and cannot be read yet."""

from __future__ import annotations

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.embedded import FAST, Embedded
from correlator.engine.ports import TopicPartition
from correlator.engine.worker import Worker
from correlator.event import SECOND_MS
from correlator.frame import decode_frame
from correlator.intake.arrival import STUCK_MS
from tests.engine.company import committed, company

NOW = 1_767_571_200_000
STEP_MS = 500


def _run(embedded: Embedded, process: Worker, seconds: int) -> None:
    for _ in range(seconds * SECOND_MS // STEP_MS):
        process.step()
        embedded.clock.sleep_ms(STEP_MS)
        process._steady.sleep_ms(STEP_MS)


def _arrived_ms(embedded: Embedded, where: TopicPartition) -> int:
    """To when *keyed* says that everything of an input has arrived."""
    frames = (decode_frame(r.value or b"") for r in committed(embedded, embedded.topics.keyed))
    arrivals = (arrival for frame in frames for arrival in frame.arrivals)
    return max(a.arrival_ms for a in arrivals if (a.topic, a.q) == (where.topic, where.partition))


def _waiting(process: Worker) -> tuple[str, ...]:
    return process.health.waiting


def _lag(meter: PrometheusMeter, where: TopicPartition) -> float:
    return meter.total("correlator_consumer_lag_records", topic=where.topic, partition=str(where.partition))


def test_an_input_is_not_complete_beyond_a_transaction_that_is_open() -> None:
    embedded = Embedded(company().bundle, SimulatedClock(NOW), {})
    where = TopicPartition(next(iter(embedded.raw)), 0)
    meter = PrometheusMeter(has_process=False)
    process = embedded.worker(meter, FAST, instance="a", steady=SimulatedClock(1))
    _run(embedded, process, 5)
    opened_ms = embedded.clock.now_ms()
    producer = embedded.log.init_producer("a connector")
    embedded.log.produce(producer, where, (None, b"junk", (), opened_ms))
    _run(embedded, process, 30)
    assert _arrived_ms(embedded, where) <= opened_ms, "what lies behind it could not be read"
    assert _waiting(process) == (), "a transaction may take a while"
    _run(embedded, process, 60)
    assert _lag(meter, where) == 1
    (reason,) = _waiting(process)
    assert reason.startswith(f"{where}: nothing can be read at offset 0 for ")
    assert f"describe-producers --topic {where.topic} --partition 0`" in reason
    embedded.log.end(producer, is_commit=True)
    _run(embedded, process, 10)
    assert _waiting(process) == ()
    assert _arrived_ms(embedded, where) > opened_ms
    assert _lag(meter, where) == 0


def test_an_input_that_gave_nothing_yet_holds_the_others_back_for_half_a_minute_only() -> None:
    """As after every restart and rebalance: what it gave before is not known to who reads it now."""
    embedded = Embedded(company().bundle, SimulatedClock(NOW), {})
    hung, other = (TopicPartition(topic, 0) for topic in list(embedded.raw)[:2])
    meter = PrometheusMeter(has_process=False)
    process = embedded.worker(meter, FAST, instance="a", steady=SimulatedClock(1))
    _run(embedded, process, 5)
    producer = embedded.log.init_producer("a connector")
    embedded.log.produce(producer, hung, (None, b"junk", (), embedded.clock.now_ms()))
    _run(embedded, process, 5)
    embedded.log.append(other, None, b"junk", (), embedded.clock.now_ms())
    _run(embedded, process, 10)
    assert _lag(meter, other) == 1, "its next record may come, and be older"
    _run(embedded, process, STUCK_MS // SECOND_MS)
    assert _lag(meter, other) == 0
    assert _lag(meter, hung) == 1


def test_who_correlates_says_that_it_cannot_read_on() -> None:
    embedded = Embedded(company().bundle, SimulatedClock(NOW), {})
    keyed = TopicPartition(embedded.topics.keyed, 0)
    meter = PrometheusMeter(has_process=False)
    process = embedded.worker(meter, FAST, instance="a", steady=SimulatedClock(1))
    _run(embedded, process, 5)
    producer = embedded.log.init_producer("somebody")
    embedded.log.produce(producer, keyed, (None, b"junk", (), None))
    _run(embedded, process, 70)
    (reason,) = _waiting(process)
    assert reason.startswith(f"{keyed}: nothing can be read at offset ")
    assert _lag(meter, keyed) > 1
    embedded.log.end(producer, is_commit=False)
    _run(embedded, process, 10)
    assert _waiting(process) == ()
