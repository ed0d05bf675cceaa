"""Who everybody is: learnt once, whatever becomes of the assignment (docs/adr/0013)."""

from __future__ import annotations

import json
from collections.abc import Iterable

import msgspec

from correlator.adapters.clock import SimulatedClock
from correlator.cli.embedded import Embedded
from correlator.engine.ports import TopicPartition
from correlator.engine.worker import Worker
from correlator.event import DAY_MS
from correlator.record import Record
from correlator.simulate.wire import PARTITIONS, TOPICS
from tests.engine.company import BOUNDED, company, open_at_end, run, system, told, worker
from tests.findings import read_finding


def _reads_of_people(of: Worker) -> list[int]:
    """From which offset on *of* reads identities from now on, each time."""
    assert of._intake is not None
    log, people = of._intake._ports.log, of._intake._people
    read, starts = log.read, list[int]()

    def noted(partition: TopicPartition, start: int, end: int) -> Iterable[Record]:
        if partition == people:
            starts.append(start)
        return read(partition, start, end)

    log.read = noted  # type: ignore[method-assign]
    return starts


def test_a_rebalance_makes_nobody_read_everybody_again() -> None:
    embedded = system()
    first = worker(embedded, instance=None)
    for _ in range(20):
        first.step()
    starts = _reads_of_people(first)
    second = worker(embedded, instance=None)
    run(first, second)
    assert set(starts) == {len(company().identities)}
    calm = system()
    run(worker(calm))
    assert open_at_end(embedded) == open_at_end(calm)


def test_who_knows_more_than_was_told_begins_anew() -> None:
    """A commit of identities that did not happen: they are to be told of, so they must not be known."""
    embedded = system()
    only = worker(embedded, instance=None)
    assert only._intake is not None
    while only._intake._known.end == 0:
        only.step()
    embedded.log.group("correlator-intake").committed.clear()
    starts = _reads_of_people(only)
    only._intake._begin_again()
    run(only)
    assert starts[0] == 0
    calm = system()
    run(worker(calm))
    assert open_at_end(embedded) == open_at_end(calm)


def test_who_was_published_after_what_they_did_is_known_when_they_did_it() -> None:
    """A deployment begins with what raw topics hold of days, and with identities published today."""
    of_records = badges_of_those_who_left(is_bounded=True)
    assert of_records
    assert badges_of_those_who_left(is_bounded=False) == of_records


def badges_of_those_who_left(*, is_bounded: bool) -> set[str]:
    """Whom D21 speaks of, if everybody had left before all records, and this is published a month later."""
    made = company()
    today_ms = max(record.timestamp_ms for record in made.records) + 30 * DAY_MS
    left = [{"status": "terminated", "from": "2026-01-01"}]
    begun = Embedded(made.bundle, SimulatedClock(today_ms), dict.fromkeys(TOPICS, PARTITIONS))
    rows = [(who, json.dumps(json.loads(row) | {"statuses": left}).encode()) for who, row in made.identities]
    begun.load_identities(rows, today_ms)
    for record in made.records:
        begun.append(record)
    only = worker(begun, msgspec.structs.replace(BOUNDED, is_bounded=is_bounded))
    for _ in range(1_000):
        only.step()
    only.finish()
    only.close()
    rules = {entity: {_rule(value) for value in values} for entity, values in told(begun).items()}
    return {entity for entity, found in rules.items() if any("-0021-" in rule for rule in found)}


def _rule(value: bytes) -> str:
    return read_finding(value).unmapped.correlator.rule_id
