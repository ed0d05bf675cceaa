"""A real Apache Kafka for tests: KRaft, loopback only, jars collected by Maven from pom.xml.

`Broker`, one process, has three listeners for clients, so that it serves nearly every kind of test:
`bootstrap` is plain, `proxied` sends clients to a port of the test's own (see proxy.py), `secure` wants TLS
and SCRAM. `Cluster` is for what one broker cannot do.

The jars, and a class-data archive that halves the start, are kept in `.cache/kafka` under the repository.
`KAFKA_LIBS` names a folder of jars to use instead (the `libs` of a Kafka download will do).
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.broker.certificates import Certificates, make_certificates

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "kafka"
ARCHIVE = CACHE / "kafka.jsa"
HOST = "127.0.0.1"
BROKERS = 3
USER, PASSWORD = "correlator", "correlator-secret"
COPY_JARS = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
JVM = [
    *("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:MaxDirectMemorySize=128m"),
    *("-Xss512k", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"),
    *("-Xlog:cds=off", "-Xlog:cds+dynamic=off"),
]
LOG4J = """rootLogger.level=warn
rootLogger.appenderRef.f.ref=F
appender.f.type=File
appender.f.name=F
appender.f.fileName=${sys:kafka.log}
appender.f.layout.type=PatternLayout
appender.f.layout.pattern=%d{HH:mm:ss.SSS} %p %c{1} %m%n
"""
SETTINGS: dict[str, object] = {
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "min.insync.replicas": 1,
    "default.replication.factor": 1,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    # one partition instead of 50: the saving shows when a coordinator loads
    "offsets.topic.num.partitions": 1,
    "transaction.state.log.num.partitions": 1,
    "share.coordinator.state.topic.num.partitions": 1,
    # waiting times that would only make tests slow
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
    "log.cleaner.backoff.ms": 500,
    "log.retention.check.interval.ms": 1000,
    # after kill -9 the old registration must time out before the broker may register again (default 9 s)
    "broker.session.timeout.ms": 1500,
    "broker.heartbeat.interval.ms": 300,
    # small
    "num.network.threads": 1,
    "num.io.threads": 2,
    "background.threads": 2,
    "log.cleaner.threads": 1,
    "num.recovery.threads.per.data.dir": 1,
    "log.cleaner.dedupe.buffer.size": 4 << 20,
    "log.index.size.max.bytes": 256 << 10,
    "metadata.log.segment.bytes": 8 << 20,
}
REPLICATED: dict[str, object] = {
    "inter.broker.listener.name": "PLAIN",
    "listener.security.protocol.map": "PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "default.replication.factor": 3,
    "min.insync.replicas": 2,
    "offsets.topic.replication.factor": 3,
    "transaction.state.log.replication.factor": 3,
    "transaction.state.log.min.isr": 2,
    "share.coordinator.state.topic.replication.factor": 3,
    "share.coordinator.state.topic.min.isr": 2,
}


class BrokerUnavailable(RuntimeError):
    """The tests' broker cannot be had: the tests that need it fail, they are never skipped."""


def class_path() -> str:
    """The jars, fetched once. Sorted, because a class-data archive is tied to exactly this string."""
    libs = Path(os.environ["KAFKA_LIBS"]) if "KAFKA_LIBS" in os.environ else CACHE / "libs"
    if not any(libs.glob("kafka_2.13-*.jar")):
        _fetch_jars(libs)
    return ":".join(sorted(str(jar) for jar in libs.glob("*.jar")))


def _fetch_jars(libs: Path) -> None:
    if shutil.which("mvn") is None:
        raise BrokerUnavailable("Maven is needed once to fetch Kafka's jars; install it, or set KAFKA_LIBS")
    libs.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=libs.parent))
    command = ["mvn", "-B", "-q", "-f", str(HERE / "pom.xml"), COPY_JARS]
    done = subprocess.run(
        [*command, "-DincludeScope=runtime", f"-DoutputDirectory={part}"],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        shutil.rmtree(part)
        raise BrokerUnavailable(f"Maven could not fetch Kafka's jars:\n{done.stdout}{done.stderr}")
    try:
        part.rename(libs)
    except OSError:  # somebody else was faster
        shutil.rmtree(part)


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


class Node:
    """One Kafka process in *root*. `start` returns when clients can connect."""

    def __init__(self, root: Path, port: int, settings: dict[str, object]) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root, self.port = root, port
        self._log = root / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        (root / "log4j2.properties").write_text(LOG4J)
        properties = SETTINGS | settings | {"log.dirs": root / "data"}
        self._properties = root / "server.properties"
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))

    def format(self, cluster: str, *options: str) -> None:
        """Once, before the first start. *cluster* is the id of the cluster, equal for its nodes."""
        arguments = ["format", "-t", cluster, "-c", str(self._properties), *options]
        command = self._java(f"-XX:SharedArchiveFile={ARCHIVE}", "kafka.tools.StorageTool", *arguments)
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise BrokerUnavailable(f"Kafka could not format its storage:\n{done.stdout}{done.stderr}")

    def start(self) -> None:
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start without waiting."""
        archive = f"-XX:SharedArchiveFile={ARCHIVE}"
        if not ARCHIVE.exists() and CACHE.is_dir():  # written by a clean stop, then renamed
            archive = f"-XX:ArchiveClassesAtExit={self._new_archive()}"
        command = self._java(archive, "kafka.Kafka", str(self._properties))
        with (self.root / "stdout.log").open("ab") as out:
            self._process = subprocess.Popen(
                command,
                stdout=out,
                stderr=out,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - it only makes a system call
            )

    def wait_until_ready(self, timeout_s: float = 60.0) -> None:
        """The listener accepts only once the broker may serve, so a connection means ready."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and self._process is not None and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 1):
                return
            time.sleep(0.05)
        logs = [path.read_text()[-2000:] for path in (self.root / "stdout.log", self._log) if path.exists()]
        raise BrokerUnavailable("the Kafka broker did not start:\n" + "\n".join(logs))

    def stop(self) -> None:
        self._end(signal.SIGTERM)
        if (new := self._new_archive()).exists():
            new.rename(ARCHIVE)

    def kill(self) -> None:
        """As a power cut; `start` again uses the same ports and data."""
        self._end(signal.SIGKILL)

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """A broker that accepts connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _new_archive(self) -> Path:
        return CACHE / f"kafka-{os.getpid()}.jsa"

    def _java(self, archive: str, *args: str) -> list[str]:
        if shutil.which("java") is None:
            raise BrokerUnavailable("Java 17 or newer is needed to run the tests' Kafka broker")
        config = [
            f"-Dlog4j2.configurationFile=file:{self.root}/log4j2.properties",
            f"-Dkafka.log={self._log}",
        ]
        return ["java", *JVM, archive, *config, "-cp", class_path(), *args]


class Broker(Node):
    """The broker that most tests share: it is its own controller, and serves clients of every kind."""

    def __init__(self) -> None:
        plain, self.proxied_port, secure, internal, controller, self.proxy_port = free_ports(6)
        self.bootstrap = f"{HOST}:{plain}"
        self.proxied = f"{HOST}:{self.proxy_port}"
        self.secure = f"{HOST}:{secure}"
        root = new_root()
        self.certificates: Certificates = make_certificates(root)
        ports = {"PLAIN": plain, "PROXIED": self.proxied_port, "SECURE": secure, "INTERNAL": internal}
        super().__init__(root, plain, self._listeners(ports, controller) | self._security())
        scram = ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"]
        self.format(cluster_id(), "--standalone", *scram)

    def _listeners(self, ports: dict[str, int], controller: int) -> dict[str, object]:
        advertised = ports | {"PROXIED": self.proxy_port}
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "listeners": _addresses((ports | {"CONTROLLER": controller}).items()),
            "advertised.listeners": _addresses(advertised.items()),
            "listener.security.protocol.map": "PLAIN:PLAINTEXT,PROXIED:PLAINTEXT,INTERNAL:PLAINTEXT,"
            "CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
            # the broker's own requests must not meet the proxy's faults
            "inter.broker.listener.name": "INTERNAL",
            "controller.quorum.bootstrap.servers": f"{HOST}:{controller}",
        }

    def _security(self) -> dict[str, object]:
        module = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        return {
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.secure.scram-sha-512.sasl.jaas.config": module,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.certificates.server_keystore,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.certificates.authority,
        }

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.root, ignore_errors=True)


class Cluster:
    """Three brokers and a controller. What is in a topic is on all of them, a write needs two."""

    def __init__(self, settings: dict[str, object] | None = None) -> None:
        self.root = new_root()
        controller, *ports = free_ports(BROKERS + 1)
        self.bootstrap = ",".join(f"{HOST}:{port}" for port in ports)
        quorum = f"{HOST}:{controller}"
        common = REPLICATED | {"controller.quorum.bootstrap.servers": quorum} | (settings or {})
        controlling = {"node.id": 100, "process.roles": "controller", "listeners": f"CONTROLLER://{quorum}"}
        self.controller = Node(self.root / "controller", controller, common | controlling)
        self.brokers = {
            number: Node(self.root / str(number), port, common | _serving(number, port))
            for number, port in enumerate(ports, 1)
        }
        cluster = cluster_id()
        self.controller.format(cluster, "--standalone")
        for broker in self.brokers.values():
            broker.format(cluster)

    def start(self) -> None:
        nodes = (self.controller, *self.brokers.values())
        for node in nodes:
            node.launch()
        for node in nodes:
            node.wait_until_ready()

    def leader(self, topic: str) -> int:
        """Number of the broker that leads the first partition of *topic*, once there is one."""
        number, end = -1, time.monotonic() + 30
        while number not in self.brokers or not self.brokers[number].is_running:
            assert time.monotonic() < end, f"nobody leads {topic}"
            with contextlib.suppress(KafkaError):
                admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
                (found,) = admin.describe_topics([topic])
                admin.close()
                number = int(found["partitions"][0]["leader_id"])
        return number

    def close(self) -> None:
        for node in (*self.brokers.values(), self.controller):
            node.kill()
        shutil.rmtree(self.root, ignore_errors=True)


def _serving(number: int, port: int) -> dict[str, object]:
    address = f"PLAIN://{HOST}:{port}"
    roles = {"node.id": number, "process.roles": "broker"}
    return roles | {"listeners": address, "advertised.listeners": address}


def new_root() -> Path:
    shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="correlator-kafka-", dir=shm))


def cluster_id() -> str:
    """A leading "-" would be read as an option."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "x")


def _addresses(ports: Iterable[tuple[str, int]]) -> str:
    return ",".join(f"{name}://{HOST}:{port}" for name, port in ports)


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    if hasattr(_LIBC, "prctl"):  # Linux
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
