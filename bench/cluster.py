"""A real broker, our topics on it, and the real command line in processes of its own."""

from __future__ import annotations

import contextlib
import math
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
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
OWNED = 'correlator_partitions_assigned{stage="correlate"'
_BUCKET = re.compile(r'correlator_transaction_seconds_bucket\{le="([^"]+)",stage="(\w+)"\} (\S+)')
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
        with contextlib.ExitStack() as stack:
            names = [f"{stage or BOTH}-{number}" for number, stage in enumerate(stages)]
            yield [stack.enter_context(self.process(*named)) for named in zip(names, stages, strict=True)]

    @contextlib.contextmanager
    def process(self, instance: str, stage: str = "") -> Iterator[Process]:
        """One of them, stopped in the end where it still runs."""
        running = Process(self.directory, instance, stage)
        try:
            yield running
        finally:
            running.stop()


BOTH = "both"


class Seen(NamedTuple):
    """One look at a process. *now_ms*: log time of each partition of *keyed* that it owns, or owned once."""

    at_s: float
    cpu_s: float
    taken: int  # raw records
    now_ms: dict[str, int]


class Process:
    def __init__(self, directory: Path, instance: str, stage: str = "") -> None:
        self.stage, self.name = stage, instance
        options = ["--config", str(directory), "--instance", instance]
        options += ["--stage", stage] if stage else []
        self._path = directory / f"{instance}.log"
        with self._path.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", "correlator.cli.main", "run", *options],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._url = ""

    def look(self) -> Seen:
        """Also as a check that it still runs. Raises SystemExit with what it said if it does not."""
        taken, times = 0, dict[str, int]()
        for line in self.metrics().splitlines():
            name, _, value = line.rpartition(" ")
            if name.startswith("correlator_records_consumed_total") and 'stage="intake"' in name:
                taken += round(float(value))
            elif name.startswith("correlator_now_timestamp_seconds{"):
                times[name] = round(float(value) * 1_000)
        return Seen(time.monotonic(), self.cpu_s(), taken, times)

    def cpu_s(self) -> float:
        """That all its threads took so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_HZ

    def metrics(self) -> str:
        with urllib.request.urlopen(f"{self._address()}/metrics", timeout=60) as answer:  # noqa: S310 - our own
            return str(answer.read().decode())

    def metric(self, name: str) -> float:
        """The sum of *name* over its labels. With some of them, `name{label="value"`, over the rest."""
        lines = (line.rpartition(" ") for line in self.metrics().splitlines())
        return sum(float(value) for found, _, value in lines if found.startswith(name))

    def is_ready(self) -> bool:
        """False while it is being started, too."""
        if not re.search(r"http://[\d.:]+/metrics", self._path.read_text()):
            return False
        try:
            with urllib.request.urlopen(f"{self._address()}/readyz", timeout=60):  # noqa: S310 - our own
                return True
        except urllib.error.HTTPError:
            return False

    def _address(self) -> str:
        while not self._url:
            text = self._path.read_text()
            found = re.search(r"(http://[\d.:]+)/metrics", text)
            self._url = found[1] if found else ""
            if self._process.poll() is not None:
                raise SystemExit(f"correlator ended:\n{text}")
            time.sleep(TICK_S / 4)
        return self._url

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """Takes no part in what happens meanwhile, which must not be long: its group would miss it."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def ask(self) -> None:
        """To finish, checkpoint and leave."""
        self._process.terminate()

    def wait(self) -> None:
        self._process.wait(PATIENCE_S)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self.ask()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(30)
        self.kill()


def now_of(looks: Sequence[Seen]) -> int:
    """Log time of the slowest partition, whoever owns it; NEVER while one has none."""
    newest: dict[str, int] = {}
    for look in looks:
        for name, at_ms in look.now_ms.items():
            newest[name] = max(at_ms, newest.get(name, NEVER))
    return min(newest.values()) if len(newest) == KEYED_PARTITIONS else NEVER


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


def transaction_ms(processes: Sequence[Process], stage: str) -> float:
    """The median transaction of *stage* since they began, from the buckets of its histogram."""
    below: dict[float, float] = {}
    for process in processes:
        for line in process.metrics().splitlines():
            found = _BUCKET.match(line)
            if found is not None and found[2] == stage:
                below[float(found[1])] = below.get(float(found[1]), 0.0) + float(found[3])
    half, low_s, low = below.get(math.inf, 0.0) / 2, 0.0, 0.0
    for bound_s, count in sorted(below.items()):
        if count >= half > 0:
            return (low_s + (bound_s - low_s) * (half - low) / (count - low)) * 1_000
        low_s, low = bound_s, count
    return math.nan
