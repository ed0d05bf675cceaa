"""End to end on the embedded log: the production worker, both stages in one process."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, process_time

from bench.measure import PASSES, json_us, own_collector
from bench.report import Cell, Report
from bench.workload import DIFFERS, RAW_PARTITIONS, Shape, make_workload, topic_of, write_directory
from correlator.adapters.clock import SimulatedClock
from correlator.adapters.files import load_bundle
from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.embedded import Embedded
from correlator.engine.worker import Worker
from correlator.pipeline import Bundle
from correlator.record import Record


def load(shape: Shape) -> Bundle:
    with TemporaryDirectory() as name:
        write_directory(Path(name), shape)
        return load_bundle(Path(name))


class Run:
    """A worker on an embedded log, fed in parts."""

    def __init__(self, shape: Shape) -> None:
        self.meter = PrometheusMeter(has_process=False)
        raw = dict.fromkeys((topic_of("badge"), topic_of("login")), RAW_PARTITIONS)
        self.clock = SimulatedClock(0)
        self.embedded = Embedded(load(shape), self.clock, raw)
        self.worker: Worker = self.embedded.worker(self.meter)

    def append(self, records: Sequence[Record]) -> None:
        for record in records:
            self.embedded.append(record)
        self.clock.set(records[-1].timestamp_ms)

    def drain(self) -> None:
        """Step until everything that was appended is folded and committed."""
        while self.embedded.lag() or self.worker.step():
            self.worker.step()

    def forget(self) -> None:
        self.embedded.news(self.embedded.topics.alerts)
        self.embedded.news(self.embedded.topics.dead_letters)
        self.embedded.forget()
        gc.collect()
        gc.freeze()


def run(shape: Shape) -> list[Report]:
    made = make_workload(shape)
    running = Run(shape)
    running.clock.set(made.history[0].timestamp_ms)
    running.embedded.load_identities(made.identities, running.clock.now_ms())
    walls, cpus, yards = [], [], []
    with own_collector():
        for before_it in (made.history, made.morning):
            running.append(before_it)
            running.drain()
        before = _counts(running.meter)
        for part in _parts(made.events):
            running.forget()
            running.append(part)
            yards.append(json_us(part))
            wall, cpu = monotonic(), process_time()
            running.drain()
            walls.append((monotonic() - wall) / len(part) * 1e6)
            cpus.append((process_time() - cpu) / len(part) * 1e6)
    after = _counts(running.meter)
    wall_us, cpu_us, yard_us = median(walls), median(cpus), median(yards)
    rows: list[list[Cell]] = [
        ["events/s", 1e6 / wall_us],
        ["events per CPU-second", 1e6 / cpu_us],
        ["CPU µs an event", cpu_us],
        ["times json.loads of a record", cpu_us / yard_us],
    ]
    told = {name: after[name] - before[name] for name in after}
    size = sum(len(record.value or b"") for record in made.events) / len(made.events)
    run_of = f"{len(made.events):,} events of {shape.identities:,} identities, {size:.0f} bytes each"
    spread = f"median of {PASSES} parts (from {min(cpus):.1f} to {max(cpus):.1f} CPU µs)"
    found = ", ".join(f"{name} {count:,}" for name, count in told.items())
    notes = [
        f"W: {run_of}, {spread}. {DIFFERS}.",
        f"{found}; json.loads takes {yard_us:.2f} µs a record.",
    ]
    return [Report("embedded", "End to end on the embedded log", ["what", "value"], rows, notes)]


def _parts(records: Sequence[Record]) -> list[Sequence[Record]]:
    size = max(len(records) // PASSES, 1)
    return [records[start : start + size] for start in range(0, size * PASSES, size)]


def _counts(meter: PrometheusMeter) -> dict[str, int]:
    return {
        "late": int(meter.total("correlator_records_late_total")),
        "too late": int(meter.total("correlator_events_refused_total")),
        "alert records": int(meter.total("correlator_alerts_total")),
        "dead letters": int(meter.total("correlator_dead_letters_total")),
    }
