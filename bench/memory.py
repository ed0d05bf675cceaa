"""Bytes per identity with 40 events in its history, as a partition holds it, by part.

A timeline at rest is its checkpoint record, so the parts are lengths within records. The total is what
restoring the same partition allocates; what it has beyond the records is objects: keys, dictionaries, wakes.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Sequence
from statistics import fmean

import msgspec

from bench.embedded import load
from bench.measure import own_collector
from bench.report import Cell, Report
from bench.workload import END_MS, Maker, Shape, identity_row, intake_of
from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS
from correlator.frame import Frame
from correlator.models.scorer import Scorer
from correlator.pipeline import Bundle
from correlator.record import Record
from correlator.timeline.entity import Timeline
from correlator.timeline.partition import Partition

IDENTITIES, EVENTS = 1_000, 40
BEFORE = 32  # events before those: the base is as full as it gets
DAYS_BEFORE = 12  # that only the habits still know
EVERY_MS = DAY_MS // EVENTS + MINUTE_MS  # so that the first block has just been moved into the base
GOAL = 6 * 1024

_encode = msgspec.msgpack.Encoder().encode


def run(shape: Shape) -> list[Report]:
    small = msgspec.structs.replace(shape, identities=IDENTITIES)
    bundle = load(small)
    with own_collector():
        partition = _folded(bundle, small)
    timelines = list(partition.timelines.values())
    events = fmean(timeline.count for timeline in timelines)
    records, total = _restored(partition, bundle)
    parts = {
        "history: packed events": fmean(_history(t) for t in timelines),
        "live: state after it, habits too": fmean(len(t.at_rest(partition.codes)) for t in timelines),
        "blocks: states before each, and matches": fmean(
            len(_encode(t.blocks)) - _history(t) for t in timelines
        ),
    }
    parts["alerts and the rest of the record"] = records - sum(parts.values())
    parts["objects: keys, dictionaries, wakes"] = total - records
    rows: list[list[Cell]] = [[name, size] for name, size in parts.items()]
    rows += [["total", total], ["share of 6 KiB", total / GOAL]]
    who = f"{len(timelines):,} identities of workload W"
    note = f"{who} with {events:.1f} events each and habits of {DAYS_BEFORE} days, at rest."
    return [Report("memory", "Memory of an identity", ["part", "bytes"], rows, [note])]


def _history(timeline: Timeline) -> int:
    return sum(len(block.packed) for block in timeline.blocks)


def _folded(bundle: Bundle, shape: Shape) -> Partition:
    """Identities only: doors have their own timelines, which are few."""
    partition = Partition(bundle.program, Scorer(0), 0)
    intake, maker = intake_of(bundle, shape), Maker(shape)
    rounds = BEFORE + EVENTS
    start_ms = END_MS - rounds * EVERY_MS
    first_ms = start_ms - (DAYS_BEFORE + 1) * DAY_MS
    rows = [identity_row(person, first_ms, shape) for person in range(shape.identities)]
    people = [Record("", 0, at, first_ms, key.encode(), value) for at, (key, value) in enumerate(rows)]
    _fold(intake.learn(people, first_ms).frames, partition)
    days = [
        start_ms - day * DAY_MS + hour * HOUR_MS for day in range(DAYS_BEFORE, 0, -1) for hour in (0, 1, 8)
    ]
    for number, at_ms in enumerate([*days, *(start_ms + n * EVERY_MS for n in range(1, rounds))]):
        make = maker.access if number % EVENTS == 1 or at_ms < start_ms else maker.event  # comes in, mornings
        for first in range(0, shape.identities, 250):
            persons = range(first, min(first + 250, shape.identities))
            made = [make(person, at_ms - MINUTE_MS, at_ms) for person in persons]
            _fold(intake.intake_step(made, at_ms).frames, partition)
    return partition


def _fold(frames: Sequence[tuple[int, Frame]], partition: Partition) -> None:
    for _, frame in frames:
        rows = tuple(row for row in frame.rows if row[0].startswith("identity:"))
        partition.step(msgspec.structs.replace(frame, rows=rows))


def _restored(partition: Partition, bundle: Bundle) -> tuple[float, float]:
    """Bytes an identity of the records, and of all that the partition allocates for it, without models."""
    partition.freeze()
    raw = [(key, value) for key, value in partition.changed.slice(1 << 30) if value is not None]
    rest = partition.changed.rest()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    copies = ((key[:1] + key[1:], bytes(bytearray(value))) for key, value in raw)
    restored = Partition.restore(bundle.program, lambda _: Scorer(0), rest, copies)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(restored.timelines) == len(raw), "every timeline came back"
    return fmean(len(value) for _, value in raw), grown / len(raw)
