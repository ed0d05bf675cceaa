"""Where the time goes: the functions of the path, each timed while the real path runs through them.

Wrappers around the functions keep a stack, so that a stage's time is without that of the stages it calls;
what the wrappers cost is measured first and taken off. A run without them says how far to trust the sum.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from operator import attrgetter
from time import process_time, thread_time_ns
from typing import Any

import msgspec

from bench.embedded import load
from bench.measure import json_us, own_collector
from bench.report import Cell, Report
from bench.workload import DIFFERS, KEYED_PARTITIONS, Shape, Workload, intake_of, make_workload
from correlator.frame import decode_frame, encode_frame
from correlator.models.scorer import Scorer
from correlator.pipeline import Bundle, correlate_step, only
from correlator.record import Record
from correlator.timeline.partition import Partition

BATCH = 2_000  # raw records a transaction, as the worker takes them
EVENTS_MAX = 20_000
CALIBRATION = 50_000  # calls

MADE = {  # stage -> function that makes the function to be timed, when the feeds are loaded
    "decode": ("correlator.intake.feeds", "make_decoder"),
}
STAGES = {  # stage -> functions: module, path in it
    "map, normalise, resolve": [("correlator.intake.intake", "Familiar.event")],
    "route": [("correlator.intake.intake", "route")],
    "intake: rows, sources, frames": [("correlator.intake.intake", "Intake.intake_step")],
    "frame encode": [("bench.stages", "encode_frame")],
    "frame decode": [("bench.stages", "decode_frame")],
    "marks and wakes": [
        ("correlator.timeline.partition", "Marks.fold"),
        ("correlator.timeline.wakes", "Wakes.woken"),
    ],
    "open and pack timelines": [
        ("correlator.timeline.partition", "Timelines.touch"),
        ("correlator.timeline.partition", "Timelines.rest"),
    ],
    "unpack live states": [("correlator.timeline.pack", "load_live")],
    "pack live states": [("correlator.timeline.pack", "dump_live")],
    "pack history": [("correlator.timeline.pack", "dump_event")],
    "unpack history": [
        ("correlator.timeline.pack", "load_events"),
        ("correlator.timeline.pack", "load_orders"),
    ],
    "rules": [
        ("correlator.rules.program", "RuleProgram.on_event"),
        ("correlator.rules.program", "RuleProgram.verdict"),
    ],
    "remember and step": [
        ("correlator.timeline.entity", "step"),
        ("correlator.timeline.entity", "fold_ways"),
    ],
    "habits": [("correlator.timeline.fold", "learn"), ("correlator.timeline.scoring", "as_of")],
    "insert and tidy": [
        ("correlator.timeline.entity", "Timeline.append"),
        ("correlator.timeline.entity", "Timeline.insert"),
        ("correlator.timeline.entity", "Timeline.forget"),
    ],
    "publish": [
        ("correlator.timeline.partition", "publish"),
        ("correlator.timeline.entity", "Timeline.matches"),
    ],
    "score": [("correlator.timeline.partition", "score")],
    "learn": [("correlator.timeline.partition", "learn")],
    "visits": [("correlator.timeline.partition", "Partition.step")],
    "render alerts": [("bench.stages", "correlate_step")],
    "collect garbage": [("bench.stages", "collect")],
}


class Times:
    """CPU time by stage, without that of the stages it calls."""

    def __init__(self) -> None:
        self.is_on = False
        self.ns: dict[str, int] = {}
        self.calls: dict[str, int] = {}
        self.nested: dict[str, int] = {}  # calls made from within a stage to other stages
        self._inner: list[list[Any]] = []

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        inner, now = self._inner, thread_time_ns

        def call(*args: Any, **named: Any) -> Any:
            if not self.is_on:
                return function(*args, **named)
            frame: list[Any] = [stage, 0]
            inner.append(frame)
            began = now()
            try:
                return function(*args, **named)
            finally:
                spent = now() - began
                inner.pop()
                self.ns[stage] = self.ns.get(stage, 0) + spent - frame[1]
                self.calls[stage] = self.calls.get(stage, 0) + 1
                if inner:
                    inner[-1][1] += spent
                    outer = inner[-1][0]
                    self.nested[outer] = self.nested.get(outer, 0) + 1

        return call

    def cost_us(self) -> dict[str, float]:
        """µs by stage, without what the wrappers cost."""
        own, outside = _cost_of_a_wrapper()
        return {
            stage: max(ns - self.calls[stage] * own - self.nested.get(stage, 0) * outside, 0) / 1_000
            for stage, ns in self.ns.items()
        }


def _cost_of_a_wrapper() -> tuple[float, float]:
    """ns that a call adds to its own stage, and to the stage that calls it."""
    times = Times()
    times.is_on = True
    empty = times.timed("inner", lambda: None)

    def many() -> None:
        for _ in range(CALIBRATION):
            empty()

    times.timed("outer", many)()
    return times.ns["inner"] / CALIBRATION, times.ns["outer"] / CALIBRATION


@contextmanager
def wrapped(times: Times) -> Iterator[None]:
    """Every function of `STAGES` and `MADE` behind a wrapper; put back at the end."""
    undo: list[tuple[Any, str, Any]] = []

    def put(module: str, path: str, wrap: Callable[[Callable[..., Any]], Any]) -> None:
        found: Any = import_module(module)
        within, _, name = path.rpartition(".")
        if within:
            found = attrgetter(within)(found)
        original = getattr(found, name)
        undo.append((found, name, original))
        setattr(found, name, wrap(original))

    def made(stage: str) -> Callable[[Callable[..., Any]], Any]:
        return lambda make: lambda *args: times.timed(stage, make(*args))

    def called(stage: str) -> Callable[[Callable[..., Any]], Any]:
        return lambda function: times.timed(stage, function)

    try:
        for stage, (module, path) in MADE.items():
            put(module, path, made(stage))
        for stage, functions in STAGES.items():
            for module, path in functions:
                put(module, path, called(stage))
        yield
    finally:
        for owner, name, original in reversed(undo):
            setattr(owner, name, original)


def collect() -> None:
    gc.collect(1)


def run(shape: Shape) -> list[Report]:
    small = msgspec.structs.replace(shape, events=min(shape.events, EVENTS_MAX))
    made, times = make_workload(small), Times()
    plain_us = path_us(load(small), made, small)
    with wrapped(times):
        path_us(load(small), made, small, times)
    count = len(made.events)
    costs = {stage: spent / count for stage, spent in times.cost_us().items()}
    yard_us, total_us = json_us(made.events), sum(costs.values())
    order = [*MADE, *STAGES]
    dearest = sorted(costs, key=lambda stage: -costs[stage])[:3]
    rows: list[list[Cell]] = [
        [stage, costs[stage], costs[stage] / yard_us, f"{costs[stage] / total_us:.0%}"]
        for stage in order
        if stage in costs
    ]
    rows.append(["sum", total_us, total_us / yard_us, ""])
    rows.append(["the same without wrappers", plain_us, plain_us / yard_us, ""])
    how = f"CPU µs an event (1.5 copies); the ratio is to json.loads of the same records ({yard_us:.2f} µs)"
    notes = [
        f"Dearest: {', '.join(dearest)}.",
        f"{how}. {count:,} events, one log transaction of intake each {BATCH:,}. {DIFFERS}.",
    ]
    columns = ["stage", "µs/event", "x json.loads", "share"]
    return [Report("stages", "Cost of each stage", columns, rows, notes)]


def path_us(bundle: Bundle, made: Workload, shape: Shape, times: Times | None = None) -> float:
    """CPU µs an event of the pipeline's two functions and the frames between them."""
    intake = intake_of(bundle, shape)
    partitions = [Partition(bundle.program, Scorer(number), number) for number in range(KEYED_PARTITIONS)]

    force = only(bundle)

    def fold(frames: Sequence[tuple[int, Any]]) -> None:
        for number, frame in frames:
            partition = partitions[number]
            correlate_step(decode_frame(encode_frame(frame), partition.codes), partition, force, crc=0)

    def take(records: Sequence[Record]) -> None:
        for start in range(0, len(records), BATCH):
            batch = records[start : start + BATCH]
            fold(intake.intake_step(batch, batch[-1].timestamp_ms).frames)
            collect()

    first_ms = made.history[0].timestamp_ms
    rows = [Record("", 0, at, first_ms, k.encode(), value) for at, (k, value) in enumerate(made.identities)]
    with own_collector():
        fold(intake.learn(rows, first_ms).frames)
        take(made.before)
        gc.collect()
        gc.freeze()
        if times is not None:
            times.is_on = True
        began = process_time()
        take(made.events)
        spent = process_time() - began
        if times is not None:
            times.is_on = False
    return spent / len(made.events) * 1e6
