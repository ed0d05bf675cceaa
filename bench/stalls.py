"""How long partitions stand still whom what happens does not concern: the longest time without a commit.

Two processes work on a steady load. Then another one joins, is asked to leave, joins again, is killed, and
one of the first is started again under its name. Of each the committed offsets of *keyed* are watched, some
fifty times a second, until everything is owned and ready.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event as Signal
from threading import Thread

import msgspec
from kafka import KafkaConsumer

from bench.cluster import OWNED, PATIENCE_S, TICK_S, Cluster, Process, bootstrap, now_ms, now_of, watch
from bench.measure import load_average
from bench.report import Cell, Report
from bench.workload import DIFFERS, KEYED_PARTITIONS, Maker, Shape, make_workload
from correlator.adapters.kafka.client import consumer_settings, to_kafka
from correlator.adapters.kafka.publisher import KafkaPublisher
from correlator.engine.ports import TopicPartition
from correlator.event import MINUTE_MS

PER_S = 500
SLICE_S = 0.02
AFTER_S = 3.0  # that is watched after everything is back

Owners = dict[str, str]  # partition as its metric is labelled -> process


def run(shape: Shape) -> list[Report]:
    before = load_average()
    with bootstrap() as servers, TemporaryDirectory() as name, ExitStack() as stack:
        past = msgspec.structs.replace(shape, events=0, end_ms=now_ms(), span_ms=MINUTE_MS)
        cluster = Cluster(servers, Path(name), past, "CreateTime")
        made = make_workload(cluster.shape)
        cluster.publish(made.morning, made.identities)
        scene = _Scene(cluster, stack, Maker(cluster.shape, len(made.before)))
        rows = scene.play()
    notes = [
        f"{PER_S} events/s, {shape.identities:,} identities, {KEYED_PARTITIONS} partitions.",
        "Kept: partitions whose owner stays. Of a kill nobody knows for the session timeout, 15 s.",
        f"{DIFFERS}. The broker shares the machine. Before: {before}, after: {load_average()}.",
    ]
    columns = ["what happens", "s until all is well", "longest s: kept", "moved"]
    return [Report("stalls", "Longest stall of partitions", columns, rows, notes)]


class _Scene:
    def __init__(self, cluster: Cluster, stack: ExitStack, maker: Maker) -> None:
        self._cluster, self._stack = cluster, stack
        self._maker = maker
        self._processes = {name: self._started(name) for name in ("a", "b")}
        self._is_over = Signal()

    def play(self) -> list[list[Cell]]:
        begun_ms = now_ms()
        watch(list(self._processes.values()), lambda seen: now_of(seen) > begun_ms)
        writer = Thread(target=self._write, name="writer")
        writer.start()
        try:
            self._wait_until_shared()
            return [
                self._watched("nothing", lambda: time.sleep(AFTER_S)),
                self._watched("another process joins", lambda: self._start("c")),
                self._watched("it is asked to leave", lambda: self._leave("c")),
                self._watched("one is restarted in turn", lambda: self._restart("b"), "b"),
                self._watched("another joins again", lambda: self._start("c")),
                self._watched("it is killed", lambda: self._kill("c")),
            ]
        finally:
            self._is_over.set()
            writer.join()

    def _started(self, name: str) -> Process:
        return self._stack.enter_context(self._cluster.process(name))

    def _start(self, name: str) -> None:
        self._processes[name] = self._started(name)

    def _leave(self, name: str) -> None:
        process = self._processes.pop(name)
        process.ask()
        process.wait()

    def _restart(self, name: str) -> None:
        self._leave(name)
        self._start(name)

    def _kill(self, name: str) -> None:
        self._processes.pop(name).kill()

    def _watched(self, what: str, does: Callable[[], None], whose: str = "") -> list[Cell]:
        """Kept are partitions that have the same owner after, without those of the process *whose* it is."""
        before, gaps = self._owners(), _Gaps(self._cluster)
        began_s = time.monotonic()
        does()
        self._wait_until_shared()
        spent_s = time.monotonic() - began_s
        time.sleep(AFTER_S)
        longest_s, after = gaps.end(), self._owners()
        kept = [
            p
            for p in range(KEYED_PARTITIONS)
            if before.get(str(p)) == after.get(str(p)) and before.get(str(p)) != whose
        ]
        moved = [longest_s[p] for p in range(KEYED_PARTITIONS) if p not in kept]
        return [what, spent_s, max((longest_s[p] for p in kept), default=0.0), max(moved, default=0.0)]

    def _owners(self) -> Owners:
        """Who has got furthest in a partition has it."""
        best: dict[str, tuple[int, str]] = {}
        for name, process in self._processes.items():
            for label, at_ms in process.look().now_ms.items():
                number = label.split('"')[1]
                best[number] = max((at_ms, name), best.get(number, (0, "")))
        return {number: name for number, (_, name) in best.items()}

    def _wait_until_shared(self) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not self._is_shared():
            if time.monotonic() > end_s:
                said = {name: (p.is_ready(), p.metric(OWNED)) for name, p in self._processes.items()}
                raise SystemExit(f"the processes do not share all partitions: {said}")
            time.sleep(TICK_S)

    def _is_shared(self) -> bool:
        processes = self._processes.values()
        if not all(process.is_ready() for process in processes):
            return False
        owned = [process.metric(OWNED) for process in processes]
        return 0 not in owned and sum(owned) == KEYED_PARTITIONS

    def _write(self) -> None:
        publisher, due_s = KafkaPublisher(self._cluster.kafka), time.monotonic()
        while not self._is_over.is_set():
            for _ in range(round(PER_S * SLICE_S)):
                record = self._maker.any_event(now_ms())
                where = (record.topic, record.partition)
                publisher.send(*where, record.key, record.value, (), record.timestamp_ms)
            due_s += SLICE_S
            time.sleep(max(0.0, due_s - time.monotonic()))
        publisher.flush()
        publisher.close()


class _Gaps:
    """Watches on a thread when the committed offset of each partition changes, until `end`."""

    def __init__(self, cluster: Cluster) -> None:
        settings = consumer_settings(cluster.kafka) | {"isolation_level": "read_uncommitted"}
        self._consumer = KafkaConsumer(**settings, group_id=cluster.topics.group("correlate"))
        self._where = [TopicPartition(cluster.topics.keyed, n) for n in range(KEYED_PARTITIONS)]
        self._is_over = Signal()
        self._longest_s = [0.0] * KEYED_PARTITIONS
        self._thread = Thread(target=self._watch, name="gaps")
        self._thread.start()

    def end(self) -> list[float]:
        """The longest of each partition, in seconds."""
        self._is_over.set()
        self._thread.join()
        self._consumer.close()
        return self._longest_s

    def _watch(self) -> None:
        offsets, since_s = dict[int, object](), [time.monotonic()] * KEYED_PARTITIONS
        while not self._is_over.is_set():
            for number, where in enumerate(self._where):
                found, now_s = self._consumer.committed(to_kafka(where)), time.monotonic()
                self._longest_s[number] = max(self._longest_s[number], now_s - since_s[number])
                if found != offsets.get(number):
                    offsets[number], since_s[number] = found, now_s
            time.sleep(SLICE_S / 2)
