"""End to end through a real broker: raw topics to committed alerts, by the real command line.

Everybody came in and is folded before anything is measured. Then the processes are suspended while the events
are written with the time of day, and what is measured is how long they take from there until the log time of
every partition has passed the last event. That takes a tick, so up to a second too long.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from bench.cluster import Cluster, Process, bootstrap, now_ms, watch
from bench.measure import json_us
from bench.report import Cell, Report
from bench.workload import DIFFERS, Maker, Shape, make_workload
from correlator.event import MINUTE_MS
from correlator.record import Record

LAYOUTS: Sequence[Sequence[str]] = ([""], ["intake", "correlate"])
EVENTS_MAX = 60_000  # written within seconds, while the processes are suspended


def run(shape: Shape) -> list[Report]:
    count = min(shape.events, EVENTS_MAX)
    yard_us = json_us(list(_events(shape, 0, 20_000)))
    rows: list[list[Cell]] = []
    with bootstrap() as servers:
        for stages in LAYOUTS:
            with TemporaryDirectory() as name:
                wall_s, cpus_s = _measure(servers, Path(name), shape, stages)
            for process, cpu_s in cpus_s:
                cpu_us = cpu_s / count * 1e6
                rows.append([process, count / wall_s, count / cpu_s, cpu_us, cpu_us / yard_us])
    columns = ["process", "events/s", "per CPU-second", "CPU µs/event", "x json.loads"]
    how = f"{count:,} events of {shape.identities:,} identities, as a backlog of a few seconds"
    note = f"W: {how}; the broker shares the machine. {DIFFERS}."
    return [Report("kafka", "End to end through Kafka", columns, rows, [note])]


def _measure(
    servers: str, directory: Path, shape: Shape, stages: Sequence[str]
) -> tuple[float, list[tuple[str, float]]]:
    """Seconds, and CPU seconds of each process."""
    past = msgspec.structs.replace(shape, end_ms=now_ms(), span_ms=MINUTE_MS, events=0)
    cluster = Cluster(servers, directory, past, "CreateTime")
    made = make_workload(cluster.shape)
    cluster.publish(made.before, made.identities)
    with cluster.processes(stages) as processes:
        warmed_ms = now_ms()
        watch(processes, lambda seen: max(look.now_ms for look in seen) > warmed_ms)
        events = _events(cluster.shape, len(made.before), min(shape.events, EVENTS_MAX))
        with _suspended(processes):
            before = [process.cpu_s() for process in processes]
            cluster.publish(events)
            written_ms, began_s = now_ms(), time.monotonic()
        last = watch(processes, lambda seen: max(look.now_ms for look in seen) > written_ms)[-1]
    cpus = [look.cpu_s - cpu_s for look, cpu_s in zip(last, before, strict=True)]
    return last[0].at_s - began_s, [(p.name, cpu_s) for p, cpu_s in zip(processes, cpus, strict=True)]


def _events(shape: Shape, number: int, count: int) -> Iterator[Record]:
    """W, as of the moment at which each is asked for."""
    maker = Maker(shape, number)
    return (maker.any_event(now_ms()) for _ in range(count))


def _suspended(processes: Sequence[Process]) -> ExitStack:
    stack = ExitStack()
    for process in processes:
        stack.enter_context(process.suspended())
    return stack
