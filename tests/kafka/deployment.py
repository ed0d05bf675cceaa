"""A small simulated company on a real broker, under topic names of its own, and as files for `replay`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from correlator.adapters.documents import shipped
from correlator.adapters.files import IDENTITIES, load_bundle, read_identities, read_records
from correlator.adapters.kafka.admin import Topic, kafka_topics, own_topics
from correlator.adapters.kafka.config import KafkaConfig
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.adapters.kafka.publisher import KafkaPublisher
from correlator.cli.on_kafka import CRASH
from correlator.cli.replay import Replay
from correlator.engine.ports import TopicPartition
from correlator.engine.topics import Topics
from correlator.record import Record
from correlator.simulate.company import CompanySettings, simulate
from correlator.simulate.configuration import documents, identities, write_records
from correlator.simulate.wire import PARTITIONS, TOPICS, read_schemas
from tests.findings import Finding, read_finding

RAW = {"retention.ms": "-1", "message.timestamp.type": "CreateTime"}
KEYED = 4
PATIENCE_S = 120


class Deployment:
    """*directory* becomes the configuration; *prefix* begins every topic, so that nothing is shared."""

    def __init__(self, directory: Path, bootstrap: str, prefix: str, *, records_max: int) -> None:
        self.directory, self.topics = directory, Topics(f"{prefix}.")
        self._kafka = KafkaConfig(bootstrap_servers=(bootstrap,))
        self._names = {topic: f"{prefix}.{topic}" for topic in TOPICS}
        settings = CompanySettings(days=4, people=30, seed=5, scenarios=40)
        company = simulate(settings, read_schemas(shipped("schemas")))
        self.records = [self._named(record) for record in company.records()][-records_max:]
        for name, document in documents(company).items():
            (directory / name).write_text(json.dumps(document))
        self._write_general(bootstrap)
        self._write_feeds()
        rows = identities(company)
        self.people = len(rows)
        (directory / IDENTITIES).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        self._write_records()

    def publish(self) -> None:
        """Topics, identities and records, with the simulated arrival as timestamp."""
        own = own_topics(self.topics.prefix, KEYED)
        with kafka_topics(self._kafka) as topics:
            topics.create([*own, *(Topic(name, PARTITIONS, RAW) for name in self._names.values())])
        publisher = KafkaPublisher(self._kafka)
        sites = load_bundle(self.directory).intake.sites
        for key, value in read_identities(self.directory / IDENTITIES, sites):
            publisher.send(self.topics.identities, 0, key.encode(), value)
        for record in self.records:
            where = (record.topic, record.partition)
            publisher.send(*where, record.key, record.value, record.headers, record.timestamp_ms)
        publisher.flush()
        publisher.close()

    def replayed(self) -> list[Finding]:
        """What `replay` tells of the same records."""
        bundle = load_bundle(self.directory)
        rows = read_identities(self.directory / IDENTITIES, bundle.intake.sites)
        replay = Replay(bundle, list(read_records(self.directory)), rows)
        replay.worker.run(lambda: False, replay.collect)
        replay.collect()
        return [read_finding(value) for value in replay.alerts]

    def run(self, *options: str, crash_at: str = "") -> subprocess.CompletedProcess[str]:
        """The command line in a process of its own; with *crash_at* it is to die there as by kill -9."""
        return subprocess.run(
            [sys.executable, "-m", "correlator.cli.main", "run", "--config", str(self.directory), *options],
            env={**os.environ, CRASH: crash_at},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def told(self) -> list[Finding]:
        """Committed records of the alert topic, in order per entity."""
        reader = KafkaLogReader(self._kafka)
        found: list[Finding] = []
        for number in range(reader.partitions(self.topics.alerts)):
            where = TopicPartition(self.topics.alerts, number)
            records = reader.read(where, reader.begin_offset(where), reader.high_watermark(where))
            found += [read_finding(record.value or b"") for record in records]
        reader.close()
        return found

    def _named(self, record: Record) -> Record:
        return msgspec.structs.replace(record, topic=self._names[record.topic])

    def _write_general(self, bootstrap: str) -> None:
        general = {
            "partitions": KEYED,
            "topics": {"prefix": self.topics.prefix},
            "kafka": {"bootstrap_servers": bootstrap},
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

    def _write_records(self) -> None:
        (self.directory / "records").mkdir()
        names = self._names.values()
        files = {name: (self.directory / "records" / f"{name}.jsonl").open("w") for name in names}
        write_records(self.records, files)
        for file in files.values():
            file.close()
