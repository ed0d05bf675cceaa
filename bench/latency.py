"""How long an alert takes on Kafka: from the append of the raw record to a reader of committed alerts.

Events of W are written live, at a steady rate; one in a hundred is the first read of a badge whose holder has
left, and completes an alert. Half load is half of the rate that the run before it reached.

They are written by another client than the product's, which takes a tenth of its time of the same cores.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from threading import Event as Signal
from threading import Thread
from typing import NamedTuple

import msgspec
from confluent_kafka import KafkaError, Message, Producer
from kafka import KafkaConsumer

from bench.cluster import Cluster, bootstrap, now_ms, now_of, transaction_ms, watch
from bench.measure import load_average
from bench.report import Cell, Report
from bench.workload import DIFFERS, TRAVEL_MS, Maker, Shape, identity_row, leavers, staying, topic_of
from correlator.adapters.kafka.client import consumer_settings, to_kafka
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.engine.ports import TopicPartition
from correlator.event import DAY_MS, MINUTE_MS, event_id
from correlator.pipeline import ALERT_PARTITIONS
from correlator.record import Record

LIVE_S = 30.0
SLICE_S = 0.02
FILLING = 20_000  # events as fast as possible, which say what full load is
ALERT_EVERY = 100
HALF = 0  # a rate: half of what the processes can
CASES: Sequence[tuple[str, Sequence[str], int]] = (
    ("one process", [""], 200),
    ("one process", [""], HALF),
    ("one a stage", ["intake", "correlate"], 200),
    ("one a stage", ["intake", "correlate"], HALF),
    ("one a stage", ["intake", "correlate"], 10_000),
)


class Measured(NamedTuple):
    """*rate*: events/s that were written. *after_s*: from the last of them until it was folded."""

    rate: float
    after_s: float
    latencies_ms: list[int]
    commits_ms: list[float]  # median transaction: intake, correlate


def run(shape: Shape) -> list[Report]:
    rows: list[list[Cell]] = []
    before = load_average()
    with bootstrap() as servers:
        for layout, stages, rate in CASES:
            with TemporaryDirectory() as name:
                dated = msgspec.structs.replace(shape, end_ms=now_ms())
                found = _measure(Cluster(servers, Path(name), dated, "LogAppendTime"), stages, rate)
            cuts = quantiles(found.latencies_ms, n=100, method="inclusive")
            row = [found.rate, median(found.latencies_ms), cuts[98], max(found.latencies_ms)]
            rows.append([layout, *row, len(found.latencies_ms), *found.commits_ms, found.after_s])
    columns = ["layout", "events/s", "p50 ms", "p99 ms", "largest", "alerts"]
    columns += ["commit p50: intake", "correlate", "behind s"]
    notes = [
        f"From the append of the raw record to the read_committed reader, {LIVE_S:.0f} s each.",
        "Behind: until all was folded, after the last event. Of each layout the second line is half load.",
        f"{DIFFERS}. The broker and the writer share the machine. Before: {before}, after: {load_average()}.",
    ]
    return [Report("latency", "Latency of alerts", columns, rows, notes)]


def _measure(cluster: Cluster, stages: Sequence[str], rate: float) -> Measured:
    shape, maker = cluster.shape, Maker(cluster.shape)
    first_ms = shape.end_ms - DAY_MS
    everybody = [identity_row(person, first_ms, shape) for person in range(shape.identities)]
    calm = [maker.access(p % staying(shape), shape.end_ms - MINUTE_MS, shape.end_ms) for p in range(FILLING)]
    cluster.publish([], everybody)
    alerts = _Alerts(cluster)
    with cluster.processes(stages) as processes:
        watch(processes, lambda seen: sum(look.taken for look in seen) >= len(everybody))
        began_s = time.monotonic()
        cluster.publish(calm)
        filled_ms = now_ms()
        looks = watch(processes, lambda seen: now_of(seen) > filled_ms)
        rate = rate or FILLING / (looks[-1][0].at_s - began_s) / 2
        alerts.start()
        _live(cluster, maker, rate)
        sent_ms, sent_s = now_ms(), time.monotonic()
        looks = watch(processes, lambda seen: now_of(seen) > sent_ms)
        heard = alerts.stop()
        commits_ms = [transaction_ms(processes, stage) for stage in ("intake", "correlate")]
    appended = dict(_appended(cluster))
    latencies_ms = [heard[i] - appended[i] for i in heard.keys() & appended.keys()]
    return Measured(rate, looks[-1][0].at_s - sent_s, latencies_ms, commits_ms)


def _live(cluster: Cluster, maker: Maker, rate: float) -> None:
    """Each slice of time its events, whoever is slow."""
    shape, producer, failed = cluster.shape, Producer(_settings(cluster)), list[str]()

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(str(error))

    gone = iter(leavers(shape))
    began_s, sent = time.monotonic(), 0
    while (elapsed_s := time.monotonic() - began_s) < LIVE_S:
        while sent < elapsed_s * rate:
            at_ms, sent = now_ms(), sent + 1
            leaver = next(gone, None) if sent % ALERT_EVERY == 0 else None
            if leaver is None:
                record = maker.event(sent % staying(shape), at_ms - TRAVEL_MS, at_ms)
            else:
                record = maker.access(leaver, at_ms - TRAVEL_MS, at_ms)
            producer.produce(record.topic, record.value, record.key, record.partition, on_delivery=delivered)
        producer.poll(0)
        time.sleep(SLICE_S)
    producer.flush()
    assert not failed, failed[0]


def _settings(cluster: Cluster) -> dict[str, str | int | bool]:
    """As the product's publisher."""
    return {
        "bootstrap.servers": ",".join(cluster.kafka.bootstrap_servers),
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "zstd",
        "linger.ms": 20,
    }


def _appended(cluster: Cluster) -> Iterator[tuple[str, int]]:
    """Event id and broker's time of every read."""
    reader, topic = KafkaLogReader(cluster.kafka), topic_of("badge", cluster.shape.prefix)
    for number in range(reader.partitions(topic)):
        where = TopicPartition(topic, number)
        for record in reader.read(where, reader.begin_offset(where), reader.high_watermark(where)):
            yield _id_of(record), record.timestamp_ms
    reader.close()


def _id_of(record: Record) -> str:
    value = json.loads(record.value or b"")
    return event_id(value["controller_id"], value["event_id"])


class _Alerts:
    """Reads committed alerts on a thread: the last event of each alert's evidence, and when it was heard."""

    def __init__(self, cluster: Cluster) -> None:
        self._consumer = KafkaConsumer(**consumer_settings(cluster.kafka))
        where = [to_kafka(TopicPartition(cluster.topics.alerts, n)) for n in range(ALERT_PARTITIONS)]
        self._consumer.assign(where)
        self._consumer.seek_to_end(*where)
        self._heard: dict[str, int] = {}
        self._is_over = Signal()
        self._thread = Thread(target=self._read, name="alerts")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> dict[str, int]:
        self._is_over.set()
        self._thread.join()
        self._consumer.close()
        return self._heard

    def _read(self) -> None:
        while not self._is_over.is_set():
            for records in self._consumer.poll(timeout_ms=50).values():
                heard_ms = now_ms()
                for record in records:
                    ours = json.loads(record.value)["unmapped"]["correlator"]
                    self._heard.setdefault(ours["evidence"][-1], heard_ms)
