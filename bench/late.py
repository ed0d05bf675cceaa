"""What late events cost: throughput, a controller that uploads six hours at once, blocks of other sizes.

All times are CPU times of this process, which is the only one at work: what else runs on the machine does not
count. Inserts are timed on a timeline that was just loaded; latencies from the append of a raw record on the
embedded log to its alert, while other people's events keep coming by the same clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from time import process_time

import msgspec

from bench.embedded import Run, load
from bench.measure import json_us, own_collector
from bench.report import Cell, Report
from bench.stages import path_us
from bench.workload import (
    DIFFERS,
    SITES,
    TRAVEL_MS,
    Maker,
    Shape,
    identity_row,
    intake_of,
    leavers,
    make_workload,
    staying,
)
from correlator.alerts.told import read_told
from correlator.cli.embedded import CORRELATE_GROUP, INTAKE_GROUP
from correlator.codec import Codes
from correlator.engine.ports import TopicPartition
from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Event
from correlator.pipeline import Bundle
from correlator.record import Record
from correlator.rules.program import RuleProgram
from correlator.timeline.entity import Timeline
from correlator.timeline.state import dump_timeline, load_timeline

RUNS = 3
HISTORIES = (10, 100, 1_000, 2_000)
BLOCKS = (8, 16, 32, 64, 128)
INSERTS = 30  # of which the median counts
UPLOAD, UPLOADERS, UPLOADED_MS = 5_000, 500, 6 * HOUR_MS
RATE = 1_500  # live events a second meanwhile
SENTINEL_S = 0.03  # between two reads that alert
CALM_S = 6.0  # before the uploads
UPLOADS = (("at once", 0.0), ("over 4 s", 4.0))


def run(shape: Shape) -> list[Report]:
    return [_throughput(shape), _blocks(shape), _upload(shape)]


# ------------------------------------------------------------------ throughput


def _throughput(shape: Shape) -> Report:
    shares = (0.0, 0.01, 0.05)
    made = {share: make_workload(msgspec.structs.replace(shape, late_share=share)) for share in shares}
    bundle, found = load(shape), dict[float, list[float]]()
    for _ in range(RUNS):  # in turn, so that what else runs is spread over all
        for share in shares:
            found.setdefault(share, []).append(path_us(bundle, made[share], shape))
    base_us = median(found[0.0])
    rows: list[list[Cell]] = [
        [f"{share:.0%}", median(took), median(took) / base_us, f"{min(took):.1f} to {max(took):.1f}"]
        for share, took in found.items()
    ]
    columns = ["late by an hour", "CPU µs an event", "x in order", "spread"]
    of = f"{shape.events:,} events of {shape.identities:,} identities"
    how = f"the pipeline without a log; median of {RUNS}, in turn"
    note = f"W but for the share: {of}, {how}; json.loads {json_us(made[0.0].events):.2f} µs. {DIFFERS}."
    return Report("late-throughput", "Throughput with late events", columns, rows, [note])


# ---------------------------------------------------------------------- blocks


def _blocks(shape: Shape) -> Report:
    small = msgspec.structs.replace(shape, identities=1_000)
    bundle, rows = load(small), list[list[Cell]]()
    with own_collector():
        for history in HISTORIES:
            events = _events(small, history)
            for size in BLOCKS:
                rows.append([f"{history:,}", size, *_costs(_sized(bundle, size), events)])
    columns = ["history", "block", "late, µs", "in order, µs", "bytes an event"]
    how = f"CPU µs of one event an hour or more late, and of one in order: medians of {INSERTS}"
    note = f"One identity, its events within 20 hours, shipped rules. {how}. Bytes of the compressed record."
    return Report("late-blocks", "Size of blocks", columns, rows, [note])


def _sized(bundle: Bundle, size: int) -> RuleProgram:
    assert isinstance(bundle.program, RuleProgram)
    settings = msgspec.structs.replace(bundle.settings, block_size=size)
    return RuleProgram(list(bundle.program.loaded.values()), settings)


def _costs(program: RuleProgram, made: tuple[list[Event], list[Event], list[Event]]) -> list[Cell]:
    """µs of a late insert and of an append; bytes an event."""
    events, late, newer = made
    codes, timeline = Codes(), Timeline("identity:e0")
    for event in events:
        timeline.append(event, codes, program)
    raw = dump_timeline(timeline, codes)

    def took_us(event: Event, *, is_late: bool) -> float:
        fresh = load_timeline("identity:e0", raw, codes)
        fresh.touch(codes)
        began = process_time()
        if is_late:
            fresh.insert([event], codes, program)
        else:
            fresh.append(event, codes, program)
        return (process_time() - began) * 1e6

    inserts = [took_us(event, is_late=True) for event in late]
    appends = [took_us(event, is_late=False) for event in newer]
    return [median(inserts), median(appends), len(raw) / len(events)]


def _events(shape: Shape, history: int) -> tuple[list[Event], list[Event], list[Event]]:
    """Of one identity: so many within 20 hours; some an hour before their end, and before one of them; some
    after.
    """
    maker, bundle = Maker(shape), load(shape)
    span_ms = 20 * HOUR_MS
    every_ms = span_ms // history
    end_ms = shape.end_ms
    old = [end_ms - span_ms + number * every_ms for number in range(history)]
    late_ms = max(HOUR_MS, 3 * every_ms // 2)
    late = [end_ms - late_ms + number * SECOND_MS for number in range(INSERTS)]
    newer = [end_ms + number * SECOND_MS for number in range(INSERTS)]
    records = [maker.event(0, at_ms, end_ms + MINUTE_MS) for at_ms in (*old, *late, *newer)]
    intake = intake_of(bundle, shape)
    first_ms = end_ms - 2 * DAY_MS
    key, value = identity_row(0, first_ms, shape)
    intake.learn([Record("", 0, 0, first_ms, key.encode(), value)], end_ms)
    taken = intake.intake_step(records, end_ms + MINUTE_MS)
    found = {
        event.id: event
        for _, frame in taken.frames
        for entity, event in frame.rows
        if entity == "identity:e0"
    }
    ordered = sorted(found.values(), key=lambda event: event.time_ms)
    is_late = {at_ms for at_ms in late if at_ms not in old}
    return (
        [e for e in ordered if e.time_ms < end_ms and e.time_ms not in is_late][:history],
        [e for e in ordered if e.time_ms in is_late],
        [e for e in ordered if e.time_ms >= end_ms],
    )


# ---------------------------------------------------------------------- upload


class _Live:
    """A worker on the embedded log, in time with its own CPU; how long alerts take from append to topic."""

    def __init__(self, shape: Shape) -> None:
        self.shape, self.maker = shape, Maker(shape)
        self.staying = staying(shape)
        self.running = Run(shape)
        self.began_s = self.sentinel_s = process_time()
        self.latencies: list[float] = []
        self._appended = 0
        self._gone = iter(leavers(shape))
        self._waiting: dict[str, float] = {}

    def at_ms(self) -> int:
        return self.shape.end_ms + round((process_time() - self.began_s) * SECOND_MS)

    def turn(self) -> None:
        """Append what is due, step once."""
        now_ms, elapsed_s = self.at_ms(), process_time() - self.began_s
        self.running.clock.set(now_ms)
        while self._appended < elapsed_s * RATE:
            self._appended += 1
            person = self.maker._random.randrange(self.staying)
            self.running.embedded.append(self.maker.event(person, now_ms - TRAVEL_MS, now_ms))
        if process_time() - self.sentinel_s >= SENTINEL_S and (leaver := next(self._gone, None)) is not None:
            self.sentinel_s = self._waiting[f"identity:e{leaver}"] = process_time()
            self.running.embedded.append(self.maker.access(leaver, now_ms - TRAVEL_MS, now_ms))
        self.running.worker.step()
        embedded = self.running.embedded
        for record in embedded.news(embedded.topics.alerts):
            began_s = self._waiting.pop(read_told(record.value or b"").unmapped.correlator.entity, None)
            if began_s is not None:
                self.latencies.append((process_time() - began_s) * 1e3)

    def upload(self, records: Sequence[Record], over_s: float) -> None:
        """Append *records* evenly over so long, and go on until all is folded."""
        began_s, sent = process_time(), 0
        while sent < len(records):
            elapsed_s, now_ms = process_time() - began_s, self.at_ms()
            due = len(records) if elapsed_s >= over_s else int(len(records) * elapsed_s / over_s)
            for record in records[sent:due]:
                self.running.embedded.append(msgspec.structs.replace(record, timestamp_ms=now_ms))
            sent = due
            self.turn()
        self.absorb(INTAKE_GROUP, self.running.embedded.raw)
        self.absorb(CORRELATE_GROUP, [self.running.embedded.topics.keyed])

    def absorb(self, group: str, topics: Iterable[str]) -> None:
        """Until *group* has committed all that is there now."""
        log = self.running.embedded.log
        where = [TopicPartition(topic, q) for topic in topics for q in range(log.partitions(topic))]
        ends = {tp: log.partition(tp).next_offset for tp in where}
        while any(log.group(group).committed[tp].offset < end for tp, end in ends.items()):
            self.turn()

    def for_s(self, seconds: float) -> list[float]:
        until_s, self.latencies = process_time() + seconds, []
        while process_time() < until_s:
            self.turn()
        return self.latencies


def _upload(shape: Shape) -> Report:
    live = _Live(shape)
    made = make_workload(msgspec.structs.replace(shape, late_share=0.0))
    rows: list[list[Cell]] = []
    with own_collector():
        live.running.clock.set(made.history[0].timestamp_ms)
        live.running.embedded.load_identities(made.identities, live.running.clock.now_ms())
        live.running.append([r for r in made.events if _is_of_staying(r, live.staying)])
        live.running.drain()
        live.running.forget()
        live.began_s = process_time()
        live.for_s(1.0)
        rows.append(["nothing", "", *_delays(live.for_s(CALM_S))])
        for site, (name, over_s) in enumerate(UPLOADS):
            kept = _kept(live, site)
            live.latencies, began_s = [], process_time()
            live.upload(kept, over_s)
            absorbed_s = process_time() - began_s
            rows.append([name, absorbed_s, *_delays(live.latencies + live.for_s(1.0))])
            live.for_s(2.0)
    what = f"{UPLOAD:,} reads at ten doors by {UPLOADERS} people in six hours"
    how = f"{RATE:,} live events/s of others meanwhile, both stages in one process"
    note = f"{what}; {how}. Delays are from append to alert, of others. {DIFFERS}."
    columns = ["upload", "absorbed after, s", "others: p50, ms", "largest, ms", "alerts"]
    return Report("late-upload", "A controller uploads six hours", columns, rows, [note])


def _delays(latencies_ms: Sequence[float]) -> list[Cell]:
    return [median(latencies_ms), max(latencies_ms), len(latencies_ms)]


def _is_of_staying(record: Record, staying: int) -> bool:
    key = (record.key or b"").decode()
    return int(key.removeprefix("user.")) < staying


def _kept(live: _Live, site: int) -> Sequence[Record]:
    """What the first controller of a site kept: its ten doors, the site's people."""
    found: list[Record] = []
    end_ms = live.shape.end_ms
    while len(found) < UPLOAD:
        person = SITES * (len(found) % UPLOADERS) + site
        record = live.maker.access(person, end_ms - UPLOADED_MS + len(found) * UPLOADED_MS // UPLOAD, end_ms)
        if f'"s{site}-ctl-0"'.encode() in (record.value or b""):
            found.append(record)
    return found
