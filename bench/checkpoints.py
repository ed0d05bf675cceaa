"""What checkpoints cost at full load: the share of time that the correlating stage spends on them.

Intake fills *keyed* first. Then one correlating stage, in this process, reads it as fast as it can, with the
product's own pace: a checkpoint is due when a restart would have to repeat more folding than it may.
Every round's checkpoint part is timed, its transaction too. Processor time is of all threads: the client's
send meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, process_time

import msgspec

from bench.cluster import Cluster, bootstrap, now_ms, watch
from bench.measure import load_average, own_collector
from bench.report import Cell, Report
from bench.workload import DIFFERS, Maker, Shape, make_workload
from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.connection import load_connection
from correlator.cli.on_kafka import kafka_worker
from correlator.engine.options import Options
from correlator.engine.worker import Worker
from correlator.event import HOUR_MS

EVENTS_MIN = 300_000  # so that every partition has some


class Timed:
    """Wall and processor time of a function's calls, in seconds."""

    def __init__(self) -> None:
        self.wall_s = self.cpu_s = 0.0
        self.longest_s = 0.0

    def __call__(self, function: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: object) -> None:
            began_s, spent_s = monotonic(), process_time()
            function(*arguments)
            wall_s = monotonic() - began_s
            self.wall_s += wall_s
            self.cpu_s += process_time() - spent_s
            self.longest_s = max(self.longest_s, wall_s)

        return call


def run(shape: Shape) -> list[Report]:
    before = load_average()
    count = max(EVENTS_MIN, shape.events)
    with bootstrap() as servers, TemporaryDirectory() as name:
        past = msgspec.structs.replace(shape, events=0, end_ms=now_ms(), span_ms=HOUR_MS)
        cluster = Cluster(servers, Path(name), past, "CreateTime")
        rows = _measure(cluster, count)
    notes = [
        f"One correlating stage: {count:,} events of {shape.identities:,} identities, and what came before.",
        f"{DIFFERS}. The broker shares the machine. Before: {before}, after: {load_average()}.",
    ]
    return [Report("checkpoints", "Cost of checkpoints", ["what", "value"], rows, notes)]


def _measure(cluster: Cluster, count: int) -> list[list[Cell]]:
    made = make_workload(cluster.shape)
    cluster.publish(made.before, made.identities)
    maker = Maker(cluster.shape, len(made.before))
    with cluster.process("i", "intake") as intake:
        whole = len(made.before) + len(made.identities) + count
        cluster.publish(maker.any_event(now_ms()) for _ in range(count))
        watch([intake], lambda seen: seen[0].taken >= whole)
    meter = PrometheusMeter(has_process=False)
    connection = load_connection(cluster.directory)
    worker = kafka_worker(connection, "correlate", Options(), instance="c", meter=meter)
    try:
        return _drained(worker, meter)
    finally:
        worker.close()


def _drained(worker: Worker, meter: PrometheusMeter) -> list[list[Cell]]:
    stage, timed = worker._correlate, Timed()
    assert stage is not None, "it was asked for"
    with own_collector():
        while not stage.tasks.live:
            worker.step()
        stage._checkpoint = timed(stage._checkpoint)  # type: ignore[method-assign]
        began_s, spent_s = monotonic(), process_time()
        while not worker.is_caught_up:
            worker.step()
        wall_s, cpu_s = monotonic() - began_s, process_time() - spent_s
    checkpoints = meter.total("correlator_checkpoints_total")
    size = meter.total("correlator_checkpoint_bytes_total")
    return [
        ["checkpoints", int(checkpoints)],
        ["entities held", sum(len(p.timelines) for p in worker.partitions())],
        ["MB a checkpoint", size / checkpoints / 1e6],
        ["CPU ms a checkpoint", timed.cpu_s / checkpoints * 1e3],
        ["share of time", timed.wall_s / wall_s],
        ["share of CPU time", timed.cpu_s / cpu_s],
        ["longest pause ms", timed.longest_s * 1e3],
    ]
