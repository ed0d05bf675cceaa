"""Our topics: what they must be, creating the missing ones, and every difference of those that exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import sleep
from typing import Any

import msgspec
from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from correlator.adapters.kafka.client import TIMEOUT_MS, asking, opened, said
from correlator.adapters.kafka.config import KafkaConfig
from correlator.engine.ports import LogUnavailable

RECORD_BYTES_MAX = 4 << 20
DAY_MS = 86_400_000
PAUSE_MS = 250
UNCOORDINATED = ("CoordinatorLoadInProgressError", "CoordinatorNotAvailableError", "NotCoordinatorError")
ALERT_PARTITIONS = 6
DEAD_LETTER_PARTITIONS = 3


class Topic(msgspec.Struct, frozen=True):
    """What a topic has to be. *settings* are Kafka's topic settings; `None` partitions are the customer's."""

    name: str
    partitions: int | None
    settings: Mapping[str, str] = {}


class Difference(msgspec.Struct, frozen=True, order=True):
    """One thing about one topic that is not as it must be."""

    topic: str
    what: str  # "missing", "partitions", or the name of a setting
    wanted: str
    found: str

    def __str__(self) -> str:
        if self.what == "missing":
            return f"{self.topic}: does not exist, or is hidden from us"
        return f"{self.topic}: {self.what} is {self.found}, must be {self.wanted}"


def own_topics(prefix: str, partitions: int) -> list[Topic]:
    """What our topics must be. *partitions* is that of `keyed` and `checkpoints`, fixed for life."""
    compact = {"cleanup.policy": "compact"}
    checkpoint = compact | {"segment.bytes": str(16 << 20), "min.cleanable.dirty.ratio": "0.1"}
    state = {"cleanup.policy": "compact,delete"}
    return [
        _own(f"{prefix}identities", 1, compact),
        _own(f"{prefix}bundles", 1, compact),
        _own(f"{prefix}keyed", partitions, _kept(7)),
        _own(f"{prefix}checkpoints", partitions, checkpoint),
        _own(f"{prefix}alerts", ALERT_PARTITIONS, _kept(30) | state),
        _own(f"{prefix}alerts.shadow", ALERT_PARTITIONS, _kept(7) | state),
        _own(f"{prefix}notices", 1, _kept(30) | state),
        _own(f"{prefix}dispositions", 1, _kept(30)),
        _own(f"{prefix}dead-letters", DEAD_LETTER_PARTITIONS, _kept(14)),
    ]


def raw_topics(names: Iterable[str]) -> list[Topic]:
    """The customer's topics: theirs in all respects, they only have to be there."""
    return [Topic(name, None) for name in names]


def _own(name: str, partitions: int, settings: Mapping[str, str]) -> Topic:
    """LogAppendTime: a reader of raw topics with a wrong clock must not have its transaction refused."""
    common = {"max.message.bytes": str(RECORD_BYTES_MAX), "message.timestamp.type": "LogAppendTime"}
    return Topic(name, partitions, common | dict(settings))


def _kept(days: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(days * DAY_MS)}


class KafkaTopics:
    """Creates and checks topics. Every call raises `LogUnavailable` when no broker answers."""

    def __init__(self, config: KafkaConfig) -> None:
        with asking("connecting"):
            settings = config.client() | {"bootstrap_timeout_ms": TIMEOUT_MS}
            self._admin: Any = opened(KafkaAdminClient, settings)

    def create(self, topics: Sequence[Topic], replication: int = -1) -> list[str]:
        """Create what is missing, change nothing else. The names created. *replication* -1: the broker's."""
        missing = sorted({topic.name for topic in topics} - self._existing())
        wanted = {
            topic.name: {
                "num_partitions": -1 if topic.partitions is None else topic.partitions,
                "replication_factor": replication,
                "configs": dict(topic.settings),
            }
            for topic in topics
            if topic.name in missing
        }
        if wanted:
            with asking("creating topics"):
                try:
                    self._admin.create_topics(wanted, timeout_ms=TIMEOUT_MS, wait_for_metadata=True)
                except kafka_errors.TopicAlreadyExistsError:  # somebody does the same at this moment
                    self._admin.wait_for_topics(missing)
        return missing

    def check(self, topics: Sequence[Topic]) -> list[Difference]:
        """Every difference at once; an empty list is what one wants."""
        existing = self._existing()
        missing = [Difference(t.name, "missing", "a topic", "none") for t in topics if t.name not in existing]
        ours = [topic for topic in topics if topic.name in existing and topic.partitions is not None]
        if not ours:
            return sorted(missing)
        names = [topic.name for topic in ours]
        with asking("describing topics"):
            counts = {t["name"]: len(t["partitions"]) for t in self._admin.describe_topics(names)}
            resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
            found = self._admin.describe_configs(resources, config_filter="all")["topic"]
        return sorted(missing + [d for topic in ours for d in _compare(topic, counts, found[topic.name])])

    def members(self, group: str) -> list[str]:
        """Who belongs to a consumer group now, whose session has not timed out included."""
        with asking(f"members of {group}"):
            found = self._described(group)
            for _ in range(TIMEOUT_MS // PAUSE_MS):
                if not any(each in str(found["error"]) for each in UNCOORDINATED):
                    break
                sleep(PAUSE_MS / 1_000)
                found = self._described(group)
        if found["error"] and found["group_state"] != "Dead":  # so Kafka calls one that is not there
            raise LogUnavailable(f"members of {group}: {found['error']}")
        return sorted(str(each["group_instance_id"] or each["member_id"]) for each in found["members"])

    def _described(self, group: str) -> Any:
        """The first who asks a cluster for a group makes it create the topic that groups are kept in."""
        try:
            return self._admin.describe_groups([group])[group]
        except kafka_errors.CoordinatorNotAvailableError as error:
            return {"error": said(error), "group_state": "", "members": []}

    def close(self) -> None:
        self._admin.close()

    def _existing(self) -> set[str]:
        with asking("listing topics"):
            return set(self._admin.list_topics())


def _compare(topic: Topic, counts: Mapping[str, int], settings: Mapping[str, Any]) -> Iterator[Difference]:
    if counts[topic.name] != topic.partitions:
        yield Difference(topic.name, "partitions", str(topic.partitions), str(counts[topic.name]))
    for name, wanted in topic.settings.items():
        value = str(settings.get(name, {}).get("value"))
        if _comparable(value) != _comparable(wanted):
            yield Difference(topic.name, name, wanted, value)


def _comparable(value: str) -> list[str]:
    """Lists of policies have no order."""
    return sorted(value.split(","))


@contextmanager
def kafka_topics(config: KafkaConfig) -> Iterator[KafkaTopics]:
    """`KafkaTopics` for the time of a `with` block."""
    topics = KafkaTopics(config)
    try:
        yield topics
    finally:
        topics.close()
