"""A real broker, our topics on it, and the real command line in processes of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import msgspec

from bench.workload import FEEDS, KEYED_PARTITIONS, RAW_PARTITIONS, Shape, topic_of, write_directory
from correlator.adapters.kafka.admin import Topic, kafka_topics, own_topics
from correlator.adapters.kafka.config import KafkaConfig
from correlator.adapters.kafka.publisher import KafkaPublisher
from correlator.engine.topics import Topics
from correlator.event import NEVER
from correlator.record import Record
from tests.broker.broker import Broker

PATIENCE_S = 600.0
TICK_S = 0.1
CLOCK_HZ = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def bootstrap() -> Iterator[str]:
    """`CORRELATOR_TEST_BOOTSTRAP` if it is set, else a broker of our own on this machine."""
    given = os.environ.get("CORRELATOR_TEST_BOOTSTRAP")
    if given:
        yield given
        return
    broker = Broker()
    try:
        broker.start()
        yield broker.bootstrap
    finally:
        broker.close()


class Cluster:
    """Topics of one benchmark, under a prefix of their own. *timestamps*: of the raw topics."""

    def __init__(self, servers: str, directory: Path, shape: Shape, timestamps: str) -> None:
        prefix = f"bench-{uuid4().hex[:8]}."
        self.shape = msgspec.structs.replace(shape, prefix=prefix)
        self.topics, self.kafka = Topics(prefix), KafkaConfig(bootstrap_servers=(servers,))
        self.directory = directory
        general: dict[str, object] = {"topics": {"prefix": prefix}, "kafka": {"bootstrap_servers": servers}}
        write_directory(directory, self.shape, general)
        settings = {"retention.ms": "-1", "message.timestamp.type": timestamps}
        raw = [Topic(topic_of(feed, prefix), RAW_PARTITIONS, settings) for feed in FEEDS]
        with kafka_topics(self.kafka) as topics:
            topics.create([*own_topics(prefix, KEYED_PARTITIONS), *raw])

    def publish(self, records: Iterable[Record], identities: Sequence[tuple[str, bytes]] = ()) -> None:
        publisher = KafkaPublisher(self.kafka)
        for key, value in identities:
            publisher.send(self.topics.identities, 0, key.encode(), value)
        for record in records:
            where = (record.topic, record.partition)
            publisher.send(*where, record.key, record.value, (), record.timestamp_ms)
        publisher.flush()
        publisher.close()

    @contextlib.contextmanager
    def processes(self, stages: Sequence[str]) -> Iterator[list[Process]]:
        """`correlator run`, one process a stage; "" for both stages in one."""
        running = [Process(self.directory, stage) for stage in stages]
        try:
            yield running
        finally:
            for process in running:
                process.stop()


class Seen(NamedTuple):
    """One look at a process. *now_ms*: log time of its slowest partition, NEVER without one."""

    at_s: float
    cpu_s: float
    taken: int  # raw records
    now_ms: int


class Process:
    def __init__(self, directory: Path, stage: str) -> None:
        self.name = stage or "both stages"
        options = ["--config", str(directory), "--instance", stage or "both"]
        options += ["--stage", stage] if stage else []
        self._path = directory / f"{stage or 'both'}.log"
        with self._path.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", "correlator.cli.main", "run", *options],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._url = ""

    def look(self) -> Seen:
        """Also as a check that it still runs. Raises SystemExit with what it said if it does not."""
        taken, times = 0, list[int]()
        for line in self._metrics().splitlines():
            name, _, value = line.rpartition(" ")
            if name.startswith("correlator_records_consumed_total") and 'stage="intake"' in name:
                taken += round(float(value))
            elif name.startswith("correlator_now_timestamp_seconds{"):
                times.append(round(float(value) * 1_000))
        slowest_ms = min(times) if len(times) == KEYED_PARTITIONS else NEVER
        return Seen(time.monotonic(), self.cpu_s(), taken, slowest_ms)

    def cpu_s(self) -> float:
        """That all its threads took so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_HZ

    def _metrics(self) -> str:
        while not self._url:
            text = self._path.read_text()
            found = re.search(r"(http://[\d.:]+)/metrics", text)
            self._url = found[1] if found else ""
            if self._process.poll() is not None:
                raise SystemExit(f"correlator ended:\n{text}")
            time.sleep(TICK_S)
        with urllib.request.urlopen(f"{self._url}/metrics", timeout=60) as answer:  # noqa: S310 - our own
            return str(answer.read().decode())

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """Takes no part in what happens meanwhile, which must not be long: its group would miss it."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(30)
        self._process.kill()
        self._process.wait()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def watch(processes: Sequence[Process], is_done: Callable[[Sequence[Seen]], bool]) -> list[list[Seen]]:
    """Looks at the processes, ten a second, until *is_done* of the newest."""
    looks: list[list[Seen]] = []
    end_s = time.monotonic() + PATIENCE_S
    while not looks or not is_done(looks[-1]):
        if time.monotonic() > end_s:
            raise SystemExit(f"not done after {PATIENCE_S:.0f} s: {looks[-1]}")
        time.sleep(TICK_S)
        looks.append([process.look() for process in processes])
    return looks
