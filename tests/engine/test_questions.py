"""What a process asks of the log, one question after the other: over a long way each of them is a wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.embedded import FAST, Embedded
from correlator.engine.worker import Worker
from correlator.event import SECOND_MS
from correlator.simulate.wire import TOPICS
from tests.engine.company import company

NOW = 1_767_571_200_000
OF_GROUPS = ("committed", "committed_offsets", "begin_offsets", "end_offsets")
OF_LOGS = ("begin_offset", "high_watermark")


def _process(partitions: int) -> tuple[Embedded, Worker]:
    """On inputs with nothing in them, of so many partitions each."""
    embedded = Embedded(company().bundle, SimulatedClock(NOW), dict.fromkeys(TOPICS, partitions))
    meter = PrometheusMeter(has_process=False)
    return embedded, embedded.worker(meter, FAST, instance="a", steady=SimulatedClock(1))


def _counted(target: object, names: tuple[str, ...]) -> Counter[str]:
    """How often each of *names* of *target* is called from now on, but by another one of them."""
    counts, inside = Counter[str](), list[str]()

    def counting(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*arguments: Any) -> Any:
            counts[name] += not inside
            inside.append(name)
            try:
                return call(*arguments)
            finally:
                inside.pop()

        return asked

    for name in names:
        setattr(target, name, counting(name, getattr(target, name)))
    return counts


def _asked_to_take_up(partitions: int) -> Counter[str]:
    _, process = _process(partitions)
    assert process._intake is not None
    counts = _counted(process._intake._ports.reader, OF_GROUPS)
    while not process._intake.inputs.by_key:
        process._intake.step()
    assert len(process._intake.inputs.by_key) == len(TOPICS) * partitions + 1
    return +counts


def test_many_inputs_are_taken_up_with_as_many_questions_as_few() -> None:
    assert _asked_to_take_up(8) == _asked_to_take_up(1)


def test_where_nothing_is_new_only_the_end_of_the_bundles_is_asked_for() -> None:
    embedded, process = _process(1)
    intake = process._intake
    assert intake is not None
    for _ in range(5):
        process.step()
    of_stage = _counted(intake._ports.log, OF_LOGS)
    of_bundles = _counted(intake._bundles._log, OF_LOGS)
    for _ in range(10):
        embedded.clock.sleep_ms(SECOND_MS)
        process._steady.sleep_ms(SECOND_MS)
        process.step()
    assert of_bundles == {"high_watermark": 10}
    assert not of_stage
