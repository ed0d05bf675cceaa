"""How long a process with 100,000 identities takes to come back: as itself, after a kill, as another one.

Everybody came in, and as many events followed. Then the process is asked to leave and started again; then
events go on until its checkpoints are some way behind, it is killed and started again; then another process
joins, and the first one is killed while both work: the other has to notice, and to restore its half.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory

import msgspec

from bench.cluster import PATIENCE_S, TICK_S, Cluster, Process, bootstrap, now_ms, now_of, watch
from bench.measure import load_average
from bench.report import Cell, Report
from bench.workload import DIFFERS, KEYED_PARTITIONS, Maker, Shape, make_workload
from correlator.event import MINUTE_MS

IDENTITIES = 100_000
EVENTS = 100_000  # after everybody came in
UNCHECKED = 20_000  # events that follow a checkpoint, and are replayed
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
        rows.append(_row("asked to leave, until it has ended", *_leave(first), first))
    with cluster.process("a") as again:
        rows.append(_row("started again", *_come_back(again), again))
        _write(cluster, maker, UNCHECKED, [again])
        again.kill()
    with cluster.process("a") as revived:
        rows.append(_row("started again after kill -9", *_come_back(revived), revived))
        with cluster.process("b") as other:
            _until(lambda: other.is_ready() and _partitions(other) > 0)
            _write(cluster, maker, UNCHECKED, [revived, other])
            cpu_s, began_s = other.cpu_s(), time.monotonic()
            revived.kill()
            _until(lambda: _partitions(other) == KEYED_PARTITIONS and other.is_ready())
            rows.append(
                _row("taken over by another", time.monotonic() - began_s, other.cpu_s() - cpu_s, other)
            )
    return rows


def _row(what: str, wall_s: float, cpu_s: float, process: Process) -> list[Cell]:
    return [what, wall_s, cpu_s, process.entities]


def _write(cluster: Cluster, maker: Maker, count: int, processes: Sequence[Process]) -> None:
    """Events as of now, and wait until all of them are folded."""
    cluster.publish(maker.any_event(now_ms()) for _ in range(count))
    written_ms = now_ms()
    watch(processes, lambda seen: now_of(seen) > written_ms)
    for process in processes:
        process.entities = round(process.metric("correlator_state_entries"))


def _leave(process: Process) -> tuple[float, float]:
    before, began_s = getrusage(RUSAGE_CHILDREN), time.monotonic()
    spent_s = process.cpu_s()
    process.ask()
    process.wait()
    after = getrusage(RUSAGE_CHILDREN)  # of a child: when it has ended
    whole_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - began_s, whole_s - spent_s


def _come_back(process: Process) -> tuple[float, float]:
    began_s = time.monotonic()
    process.wait_until_ready()
    wall_s, cpu_s = time.monotonic() - began_s, process.cpu_s()
    process.entities = round(process.metric("correlator_state_entries"))
    return wall_s, cpu_s


def _partitions(process: Process) -> float:
    return process.metric('correlator_partitions_assigned{stage="correlate"')


def _until(is_so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > end_s:
            raise SystemExit("it does not come")
        time.sleep(TICK_S / 4)
