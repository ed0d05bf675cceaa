"""A small simulated company on a real broker, under topic names of its own, and as files for `replay`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
from kafka import KafkaAdminClient
from typer.testing import CliRunner, Result

from correlator.adapters.documents import shipped
from correlator.adapters.files import load_bundle
from correlator.adapters.kafka.admin import Topic, kafka_topics, own_topics
from correlator.adapters.kafka.config import KafkaConfig
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.adapters.kafka.publisher import KafkaPublisher
from correlator.adapters.record_files import IDENTITIES, read_identities, read_records
from correlator.cli.connection import load_connection
from correlator.cli.main import app
from correlator.cli.on_kafka import bundles_on
from correlator.cli.replay import Replay
from correlator.engine.bundles import Bundles
from correlator.engine.ports import TopicPartition
from correlator.engine.topics import Topics
from correlator.pipeline import Bundle
from correlator.record import Record
from correlator.simulate.company import CompanySettings, simulate
from correlator.simulate.configuration import documents, identities, write_records
from correlator.simulate.wire import PARTITIONS, TOPICS, read_schemas
from tests.findings import Finding, read_finding

# Every taken read is an alert, so that nothing can be lost or doubled unseen.
EVERY_READ = {
    "title": "Badge read",
    "id": "c0a80001-0099-4d99-8a99-000000000099",
    "name": "every_read",
    "status": "test",
    "logsource": {"product": "correlator", "category": "physical_access"},
    "detection": {
        "selection": {"event.kind": "access", "access.outcome": "granted"},
        "condition": "selection",
    },
    "level": "informational",
    "correlator": {"suppress": {"for": "0s"}, "evidence": ["place.door"]},
}
SESSION_MS = 3_000  # for tests that wait until it is over; a transaction has two thirds of it
# Of production, for tests that wait for no timeout, as of commands, which do not try a transaction again: a
# machine that is busy for two seconds fails none of them.
PATIENT_MS = 15_000
METADATA_MS = 2_000
RAW = {"retention.ms": "-1", "message.timestamp.type": "CreateTime"}
KEYED = 4
COMPANY = CompanySettings(days=4, people=30, seed=5, scenarios=40)
PATIENCE_S = 120


class Running:
    """`run` in a process of its own, and what it says on its standard error."""

    def __init__(self, process: subprocess.Popen[bytes], errors: Path) -> None:
        self._process, self._errors = process, errors

    def wait_for(self, text: str) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while text not in (told := self._errors.read_text()):
            assert self._process.poll() is None, f"it has ended: {told}"
            assert time.monotonic() < end_s, f"it does not say {text!r}: {told}"
            time.sleep(0.05)

    def ask(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(number)

    def wait_until_asked(self) -> None:
        """Until no signal waits to be delivered."""
        status, end_s = Path(f"/proc/{self._process.pid}/status"), time.monotonic() + PATIENCE_S
        while "ShdPnd:\t0000000000000000" not in status.read_text():
            assert time.monotonic() < end_s, "the signal is not taken"

    def join(self) -> int:
        """The exit code, once it has ended."""
        return self._process.wait(PATIENCE_S)


class Deployment:
    """*directory* becomes the configuration; *prefix* begins every topic, so that nothing is shared.

    *settings*: of correlator.yml. *rule*: that tells of every read which it selects, one by one.
    *session_ms*: of the groups' members; every other timeout follows from it.
    """

    def __init__(
        self,
        directory: Path,
        bootstrap: str,
        prefix: str,
        *,
        records_max: int,
        company: CompanySettings = COMPANY,
        settings: Mapping[str, object] | None = None,
        rule: Mapping[str, object] = EVERY_READ,
        session_ms: int = SESSION_MS,
    ) -> None:
        self._session_ms = session_ms
        self._settings, self._rule = dict(settings or {}), rule
        self.directory, self.topics = directory, Topics(f"{prefix}.")
        self.kafka = KafkaConfig.model_validate({"bootstrap_servers": bootstrap})
        self._names = {topic: f"{prefix}.{topic}" for topic in TOPICS}
        self.company = simulate(company, read_schemas(shipped("schemas")))
        records = list(self.company.records())
        self.records = [
            msgspec.structs.replace(record, topic=self.named(record.topic))
            for record in records[len(records) - records_max :]
        ]
        for name, document in documents(self.company).items():
            (directory / name).write_text(json.dumps(document))
        self._write_general(bootstrap)
        self._write_feeds()
        self._write_rules()
        rows = identities(self.company)
        self.people = len(rows)
        (directory / IDENTITIES).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        self._write_records()

    def named(self, topic: str) -> str:
        """What the feed's *topic* is called here."""
        return self._names[topic]

    @property
    def raw(self) -> list[str]:
        """The topics that are read."""
        return list(self._names.values())

    def rows(self, bundle: Bundle) -> list[tuple[str, bytes]]:
        """The identities."""
        return read_identities(self.directory / IDENTITIES, bundle.intake.sites)

    def publish(self) -> None:
        """Topics, identities and records, with the simulated arrival as timestamp."""
        self.create_topics()
        publisher = KafkaPublisher(self.kafka)
        for key, value in self.rows(load_bundle(self.directory)):
            publisher.send(self.topics.identities, 0, key.encode(), value)
        for record in self.records:
            where = (record.topic, record.partition)
            publisher.send(*where, record.key, record.value, record.headers, record.timestamp_ms)
        publisher.flush()
        publisher.close()

    def create_topics(self) -> None:
        """Those that are missing."""
        raw = [Topic(name, PARTITIONS, RAW) for name in self.raw]
        with kafka_topics(self.kafka) as topics:
            topics.create([*own_topics(self.topics.prefix, KEYED), *raw])

    def bundles(self, reader: KafkaLogReader | None = None) -> Bundles:
        """All that was deployed. *reader*: of who looks again later."""
        ours = reader or KafkaLogReader(self.kafka)
        bundles = bundles_on(load_connection(self.directory), ours)
        bundles.look()
        if reader is None:
            ours.close()
        return bundles

    def replayed(self) -> list[Finding]:
        """What `replay` tells of the same records."""
        bundle = load_bundle(self.directory)
        replay = Replay(bundle, list(read_records(self.directory)), self.rows(bundle))
        replay.worker.run(lambda: False, replay.collect)
        replay.collect()
        return [read_finding(value) for value in replay.alerts]

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        """The command line in a process of its own."""
        return subprocess.run(
            [*self._command(), *options],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    @contextmanager
    def running(self, *options: str) -> Iterator[Running]:
        """The same, while it runs; killed where it still does at the end."""
        with (self.directory / "running.err").open("wb") as errors:
            process = subprocess.Popen([*self._command(), *options], stderr=errors)
        running = Running(process, self.directory / "running.err")
        try:
            yield running
        finally:
            process.kill()
            process.wait()

    def call(self, *arguments: object) -> Result:
        """The command line in this process, DIR being our directory where it is asked for by `...`."""
        words = [str(self.directory if word is ... else word) for word in arguments]
        return CliRunner().invoke(app, words)

    def told(self) -> list[Finding]:
        """Committed records of the alert topic, in order per entity."""
        return [read_finding(record.value or b"") for record in self.committed(self.topics.alerts)]

    def committed(self, topic: str) -> list[Record]:
        """What a reader of *topic* sees, in order per partition."""
        reader = KafkaLogReader(self.kafka)
        found: list[Record] = []
        for number in range(reader.partitions(topic)):
            where = TopicPartition(topic, number)
            found += reader.read(where, reader.begin_offset(where), reader.high_watermark(where))
        reader.close()
        return found

    def members(self, stage: str) -> set[str]:
        """Instances that the group of *stage* consists of, as the broker sees it."""
        group = self.topics.group(stage)
        admin = KafkaAdminClient(**self.kafka.client())
        found = admin.describe_groups([group])[group]["members"]
        admin.close()
        return {str(member["group_instance_id"]) for member in found}

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "correlator.cli.main", "run", "--config", str(self.directory)]

    def _write_general(self, bootstrap: str) -> None:
        general = {
            "partitions": KEYED,
            "settings": self._settings,
            "topics": {"prefix": self.topics.prefix},
            "kafka": {
                "bootstrap_servers": bootstrap,
                "metadata_max_age_ms": METADATA_MS,
                "session_timeout_ms": self._session_ms,
                "transaction_timeout_ms": self._session_ms * 2 // 3,
            },
        }
        (self.directory / "correlator.yml").write_text(json.dumps(general))

    def _write_feeds(self) -> None:
        """The shipped feeds, on topics of our own."""
        (self.directory / "feeds").mkdir()
        for feed in ("badge", "login", "door"):
            text = (shipped("feeds") / f"{feed}.yml").read_text()
            for topic, name in self._names.items():
                text = text.replace(f"topic: {topic}\n", f"topic: {name}\n")
            (self.directory / "feeds" / f"{feed}.yml").write_text(text)

    def _write_rules(self) -> None:
        """The shipped ones, and one that tells of every read."""
        (self.directory / "rules").mkdir()
        for path in shipped("rules").glob("*.yml"):
            (self.directory / "rules" / path.name).write_bytes(path.read_bytes())
        (self.directory / "rules" / "every_read.yml").write_text(json.dumps(self._rule))

    def _write_records(self) -> None:
        (self.directory / "records").mkdir()
        names = self._names.values()
        files = {name: (self.directory / "records" / f"{name}.jsonl").open("w") for name in names}
        write_records(self.records, files)
        for file in files.values():
            file.close()
