"""Bytes per identity with 40 events in its history, as a partition holds it, by part.

A timeline at rest is its checkpoint record, so the parts are lengths within records. The total is what
restoring the same partition allocates; what it has beyond the records is objects: keys, dictionaries, wakes.
Those touched last are decoded, which takes more.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import NamedTuple

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
from correlator.timeline.state import dump_timeline, uncompressed
from correlator.timeline.timelines import OPEN_MAX

IDENTITIES, EVENTS = 1_000, 40
BEFORE = 32  # events before those: the base is as full as it gets
DAYS_BEFORE = 12  # that only the habits still know
EVERY_MS = DAY_MS // EVENTS + MINUTE_MS  # so that the first block has just been moved into the base
GOAL = 6 * 1024


class Allocated(NamedTuple):
    """Bytes an identity: of its record, and of all that the partition allocates for it, without the models,
    at rest and decoded. *shared*: in all.
    """

    records: float
    at_rest: float
    opened: float
    shared: int


_encode = msgspec.msgpack.Encoder().encode


def run(shape: Shape) -> list[Report]:
    small = msgspec.structs.replace(shape, identities=IDENTITIES)
    bundle = load(small)
    with own_collector():
        partition = _folded(bundle, small)
    timelines = list(partition.timelines.values())
    events = fmean(timeline.count for timeline in timelines)
    found = _allocated(partition, bundle)
    parts = {
        "history: packed events": fmean(_history(t) for t in timelines),
        "live: state after it, habits too": fmean(len(t.at_rest(partition.codes)) for t in timelines),
        "blocks: states before each, and matches": fmean(
            len(_encode(t.blocks)) - _history(t) for t in timelines
        ),
    }
    records = fmean(len(uncompressed(dump_timeline(t, partition.codes))) for t in timelines)
    parts["alerts and the rest of the record"] = records - sum(parts.values())
    parts["saved by compressing the record"] = found.records - sum(parts.values())
    parts["objects: keys, dictionaries, wakes"] = found.at_rest - found.records
    rows: list[list[Cell]] = [[name, size] for name, size in parts.items()]
    rows += [["total at rest", found.at_rest], ["share of 6 KiB", found.at_rest / GOAL]]
    rows += [["total while decoded", found.opened], ["shared by all: shapes", found.shared]]
    notes = [
        f"{len(timelines):,} identities of W: {events:.1f} events each, {DAYS_BEFORE} days of habits.",
        f"Decoded are those touched last, at most {OPEN_MAX:,} of a partition.",
    ]
    return [Report("memory", "Memory of an identity", ["part", "bytes"], rows, notes)]


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


def _allocated(partition: Partition, bundle: Bundle) -> Allocated:
    partition.freeze()
    raw = [(key, value) for key, value in partition.changed.slice(1 << 30) if value is not None]
    rest = partition.changed.rest()

    def restore(records: Iterable[tuple[str, bytes]]) -> Partition:
        return Partition.restore(bundle.program, lambda _: Scorer(0), rest, records)

    gc.collect()
    tracemalloc.start()
    nobody = restore([])
    shared = tracemalloc.get_traced_memory()[0]
    restored = restore((key[:1] + key[1:], bytes(bytearray(value))) for key, value in raw)
    gc.collect()
    at_rest = tracemalloc.get_traced_memory()[0] - 2 * shared
    for entity in restored.timelines:
        restored.timelines.touch(entity).touch(restored.codes)
    gc.collect()
    opened = tracemalloc.get_traced_memory()[0] - 2 * shared
    tracemalloc.stop()
    assert len(restored.timelines) == len(raw), "every timeline came back"
    assert not nobody.timelines
    records = fmean(len(value) for _, value in raw)
    return Allocated(records, at_rest / len(raw), opened / len(raw), shared)
