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
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec

from bench.cluster import Cluster, Process, bootstrap, now_ms, now_of, transaction_ms, watch
from bench.measure import json_us, load_average
from bench.report import Cell, Report
from bench.workload import DIFFERS, Maker, Shape, make_workload
from correlator.event import MINUTE_MS
from correlator.record import Record

LAYOUTS: dict[str, Sequence[str]] = {
    "one process": [""],
    "one a stage": ["intake", "correlate"],
    "two a stage": ["intake", "correlate"] * 2,
}
EVENTS_MAX = 60_000  # written within seconds, while the processes are suspended
RUNS = 3


class Run(NamedTuple):
    """*cpus_s*: CPU seconds by stage, of all its processes. *commit_ms*: median of its transactions."""

    wall_s: float
    cpus_s: dict[str, float]
    commit_ms: dict[str, float]


def run(shape: Shape) -> list[Report]:
    count = min(shape.events, EVENTS_MAX)
    yard_us = json_us(list(_events(shape, 0, 20_000)))
    rows: list[list[Cell]] = []
    before = load_average()
    with bootstrap() as servers:
        for layout, stages in LAYOUTS.items():
            runs = []
            for _ in range(RUNS):
                with TemporaryDirectory() as name:
                    runs.append(_measure(servers, Path(name), shape, stages))
            rows += _rows(layout, runs, count, yard_us)
    columns = [
        "layout",
        "events/s",
        "from",
        "to",
        "per CPU-second",
        "CPU µs/event",
        "x json.loads",
        "commit p50 ms",
    ]
    how = f"{count:,} events of {shape.identities:,} identities, as a backlog of a few seconds"
    notes = [
        f"W: {how}; the broker shares the machine. {DIFFERS}.",
        f"Medians of {RUNS} runs, the slowest, the fastest. Before: {before}, after: {load_average()}.",
    ]
    return [Report("kafka", "End to end through Kafka", columns, rows, notes)]


def _rows(layout: str, runs: Sequence[Run], count: int, yard_us: float) -> list[list[Cell]]:
    """One for the whole, one a stage where each has processes of its own."""
    walls = [count / r.wall_s for r in runs]
    cpu_s = median(sum(r.cpus_s.values()) for r in runs)
    rows: list[list[Cell]] = [
        [layout, median(walls), min(walls), max(walls), count / cpu_s, *_cost(cpu_s, count, yard_us), ""]
    ]
    for stage in runs[0].cpus_s:
        commits = [r.commit_ms[part] for r in runs for part in r.commit_ms if stage in ("", part)]
        spent_s = median(r.cpus_s[stage] for r in runs)
        cost = _cost(spent_s, count, yard_us)
        rows.append([f"  {stage or 'both stages'}", "", "", "", count / spent_s, *cost, median(commits)])
    return rows


def _cost(cpu_s: float, count: int, yard_us: float) -> tuple[float, float]:
    cpu_us = cpu_s / count * 1e6
    return cpu_us, cpu_us / yard_us


def _measure(servers: str, directory: Path, shape: Shape, stages: Sequence[str]) -> Run:
    past = msgspec.structs.replace(shape, end_ms=now_ms(), span_ms=MINUTE_MS, events=0)
    cluster = Cluster(servers, directory, past, "CreateTime")
    made = make_workload(cluster.shape)
    cluster.publish(made.before, made.identities)
    with cluster.processes(stages) as processes:
        warmed_ms = now_ms()
        watch(processes, lambda seen: now_of(seen) > warmed_ms)
        events = _events(cluster.shape, len(made.before), min(shape.events, EVENTS_MAX))
        with _suspended(processes):
            before = [process.cpu_s() for process in processes]
            cluster.publish(events)
            written_ms, began_s = now_ms(), time.monotonic()
        last = watch(processes, lambda seen: now_of(seen) > written_ms)[-1]
        cpus_s: dict[str, float] = {}
        for process, look, cpu_s in zip(processes, last, before, strict=True):
            cpus_s[process.stage] = cpus_s.get(process.stage, 0.0) + look.cpu_s - cpu_s
        commits = {stage: transaction_ms(processes, stage) for stage in ("intake", "correlate")}
    return Run(last[0].at_s - began_s, cpus_s, commits)


def _events(shape: Shape, number: int, count: int) -> Iterator[Record]:
    """W, as of the moment at which each is asked for."""
    maker = Maker(shape, number)
    return (maker.any_event(now_ms()) for _ in range(count))


def _suspended(processes: Sequence[Process]) -> ExitStack:
    stack = ExitStack()
    for process in processes:
        stack.enter_context(process.suspended())
    return stack
