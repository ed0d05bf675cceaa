"""Only the owner of a partition tells of it: old figures in another process would look like a standstill."""

from __future__ import annotations

from collections.abc import Iterator

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.embedded import Embedded
from correlator.engine.ports import LogUnavailable
from correlator.engine.worker import Worker
from correlator.record import Record
from tests.engine.company import BOUNDED, system

OF_OWNED = ("correlator_now_timestamp_seconds", "correlator_state_entries")
STEP_MS = 3_000  # more than the gauges' and the lag's pauses, in two steps


class Process:
    """A worker, its meter, and its clock: gauges are told now and then."""

    def __init__(self, embedded: Embedded, instance: str) -> None:
        self.meter, self.steady = PrometheusMeter(has_process=False), SimulatedClock(1)
        self.worker: Worker = embedded.worker(self.meter, BOUNDED, instance=instance, steady=self.steady)

    def step(self) -> None:
        self.steady.sleep_ms(STEP_MS)
        self.worker.step()

    def told(self, name: str, label: str = "partition") -> dict[str, float]:
        """Value by *label* of the series of the correlating stage."""
        return {labels[label]: value for labels, value in self._series(name)}

    def owns(self) -> float:
        return self.meter.value("correlator_partitions_assigned", stage="correlate")

    def _series(self, name: str) -> Iterator[tuple[dict[str, str], float]]:
        for family in self.meter._metrics[name].collect():
            for sample in family.samples:
                if sample.labels.get("stage", "correlate") == "correlate":
                    yield sample.labels, sample.value


def both(*processes: Process, steps: int = 40) -> None:
    for _ in range(steps):
        for each in processes:
            each.step()


def test_who_gives_partitions_up_tells_no_more_of_them() -> None:
    embedded = system()
    first = Process(embedded, "a")
    both(first)
    every = set(first.told("correlator_now_timestamp_seconds"))
    assert len(every) == first.owns() == embedded.bundle.intake.partitions
    assert first.meter.value("correlator_partitions") == first.owns()
    second = Process(embedded, "b")
    both(first, second)
    for name in (*OF_OWNED, "correlator_consumer_lag_records"):
        mine, others = set(first.told(name)), set(second.told(name))
        assert not mine & others, name
        assert len(others) == second.owns(), name
    assert set(first.told("correlator_consumer_lag_records")) < every


def test_a_restore_that_is_done_has_nothing_left() -> None:
    embedded = system()
    first = Process(embedded, "a")
    both(first)
    again = Process(embedded, "a")  # as after kill -9: it replays from the checkpoint
    both(again)
    assert not any(again.told("correlator_restore_remaining_records").values())


def test_who_has_no_partition_tells_of_no_source() -> None:
    embedded = system()
    first = Process(embedded, "a")
    both(first)
    assert first.told("correlator_feed_sources", "state")
    assert first.worker._correlate is not None
    first.worker._correlate.tasks.live.clear()
    first.steady.sleep_ms(STEP_MS)
    first.worker._correlate._gauges.tell([])
    assert not first.told("correlator_feed_sources", "state")
    assert not first.told("correlator_feed_silence_seconds", "site")


def test_a_log_that_does_not_answer_makes_a_process_unready_and_its_loop_goes_on() -> None:
    embedded = system()
    first = Process(embedded, "a")
    both(first)
    assert first.meter.value("correlator_ready") == 1
    assert first.worker._intake is not None

    def silent(timeout_ms: int, records_max: int) -> list[Record]:
        raise LogUnavailable("no answer")

    first.worker._intake._ports.reader.poll = silent  # type: ignore[method-assign]
    assert isinstance(embedded.clock, SimulatedClock)
    embedded.clock.set(embedded.clock.now_ms() + 90_000)
    first.step()
    assert first.meter.value("correlator_ready") == 0
    now_s = embedded.clock.now_ms() / 1_000
    assert first.told("correlator_main_loop_timestamp_seconds", "stage") == {"correlate": now_s}
