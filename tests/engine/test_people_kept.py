"""Who everybody is: learnt once, whatever becomes of the assignment (docs/adr/0013)."""

from __future__ import annotations

from collections.abc import Iterable

from correlator.engine.ports import TopicPartition
from correlator.engine.worker import Worker
from correlator.record import Record
from tests.engine.company import company, open_at_end, run, system, worker


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
    while only._intake._known is None or only._intake._known.end == 0:
        only.step()
    embedded.log.group("correlator-intake").committed.clear()
    starts = _reads_of_people(only)
    only._intake._begin_again()
    run(only)
    assert starts[0] == 0
    calm = system()
    run(worker(calm))
    assert open_at_end(embedded) == open_at_end(calm)
