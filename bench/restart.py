"""How long a process with 100,000 identities takes to come back: as itself, after a kill, as another one.

Everybody came in, and as many events followed. Then the process is asked to leave and started again; then
events go on until its checkpoints are some way behind, it is killed and started again; then another process
joins, and the first one is killed while both work: the other has to notice, and to restore its half.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory

import msgspec

from bench.cluster import OWNED, PATIENCE_S, TICK_S, Cluster, Process, bootstrap, now_ms, now_of, watch
from bench.measure import load_average
from bench.report import Cell, Report
from bench.workload import DIFFERS, KEYED_PARTITIONS, Maker, Shape, make_workload
from correlator.event import MINUTE_MS

IDENTITIES = 100_000
EVENTS = 100_000  # after everybody came in
UNCHECKED = 20_000  # events that follow a checkpoint, and are replayed
STEADY_S = 3.0  # for which it has to stay ready: a partition may begin to restore between two looks
SESSION_S = 15.0  # the default session timeout: until then nobody knows that a process is dead


def run(shape: Shape) -> list[Report]:
    before = load_average()
    many = msgspec.structs.replace(shape, identities=max(IDENTITIES, shape.identities), events=0)
    with bootstrap() as servers, TemporaryDirectory() as name:
        past = msgspec.structs.replace(many, end_ms=now_ms(), span_ms=MINUTE_MS)
        cluster = Cluster(servers, Path(name), past, "CreateTime")
        rows = _measure(cluster)
    notes = [
        f"{many.identities:,} identities, {EVENTS:,} events after they came in; both stages in one process.",
        "Until /readyz says so, from the start of the interpreter.",
        f"A takeover is of half of the partitions, from the kill; for {SESSION_S:.0f} s nobody knows of it.",
        f"{DIFFERS}. The broker shares the machine. Before: {before}, after: {load_average()}.",
    ]
    return [
        Report("restart", "Restart and takeover", ["what", "s to ready", "CPU s", "entities"], rows, notes)
    ]


def _measure(cluster: Cluster) -> list[list[Cell]]:
    made = make_workload(cluster.shape)
    maker = Maker(cluster.shape, len(made.before))
    cluster.publish(made.morning, made.identities)
    rows: list[list[Cell]] = []
    with cluster.process("a") as first:
        _write(cluster, maker, EVENTS, [first])
        rows.append(["asked to leave, until it has ended", *_leave(first)])
    with cluster.process("a") as again:
        rows.append(["started again", *_ready(again, KEYED_PARTITIONS)])
        _write(cluster, maker, UNCHECKED, [again])
        again.kill()
    with cluster.process("a") as revived:
        rows.append(["started again after kill -9", *_ready(revived, KEYED_PARTITIONS)])
        with cluster.process("b") as other:
            _ready(other, 1)
            _write(cluster, maker, UNCHECKED, [revived, other])
            spent_s = other.cpu_s()
            revived.kill()
            wall_s, cpu_s = _ready(other, KEYED_PARTITIONS)
            rows.append(["taken over by another", wall_s, cpu_s - spent_s])
    return rows


def _write(cluster: Cluster, maker: Maker, count: int, processes: Sequence[Process]) -> None:
    """Events as of now, and wait until all of them are folded."""
    cluster.publish(maker.any_event(now_ms()) for _ in range(count))
    written_ms = now_ms()
    watch(processes, lambda seen: now_of(seen) > written_ms)


def _leave(process: Process) -> tuple[float, float]:
    before, began_s = getrusage(RUSAGE_CHILDREN), time.monotonic()
    spent_s = process.cpu_s()
    process.ask()
    process.wait()
    after = getrusage(RUSAGE_CHILDREN)  # of a child: when it has ended
    whole_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - began_s, whole_s - spent_s


def _ready(process: Process, partitions: int) -> tuple[float, float]:
    """Seconds from now until it was ready with so many partitions, and stayed so for `STEADY_S`; of processor
    until then, since it was started.
    """
    began_s, ready_s, cpu_s = time.monotonic(), math.nan, 0.0
    while math.isnan(ready_s) or time.monotonic() - ready_s < STEADY_S:
        if time.monotonic() > began_s + PATIENCE_S:
            raise SystemExit(f"{process.name} does not come back")
        if not process.is_ready() or process.metric(OWNED) < partitions:
            ready_s = math.nan
        elif math.isnan(ready_s):
            ready_s, cpu_s = time.monotonic(), process.cpu_s()
        time.sleep(TICK_S / 4)
    return ready_s - began_s, cpu_s
