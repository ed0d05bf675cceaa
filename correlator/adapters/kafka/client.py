"""What the readers share: settings of a consumer, its words in ours, its errors in ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from kafka import errors as kafka_errors
from kafka.structs import TopicPartition as KafkaPartition

from correlator.adapters.kafka.config import KafkaConfig
from correlator.engine.ports import LogTruncated, LogUnavailable, TopicPartition
from correlator.record import Record

TIMEOUT_MS = 10_000  # of every question to a broker
PARTITION_BYTES_MAX = 8 << 20  # a fetch holds at least two records of the largest size


def consumer_settings(config: KafkaConfig) -> dict[str, Any]:
    """Bytes in, no deserializers (one that raises would block its partition), nothing committed by itself."""
    return config.client() | {
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "none",  # an offset that is gone is for the operator to know
        "allow_auto_create_topics": False,
        "check_crcs": True,
        "fetch_max_wait_ms": 100,
        "max_partition_fetch_bytes": PARTITION_BYTES_MAX,
        "bootstrap_timeout_ms": TIMEOUT_MS,
        "request_timeout_ms": 2 * TIMEOUT_MS,
    }


def to_kafka(partition: TopicPartition) -> KafkaPartition:
    return KafkaPartition(partition.topic, partition.partition)


def from_kafka(partitions: Iterable[KafkaPartition]) -> tuple[TopicPartition, ...]:
    return tuple(sorted(TopicPartition(tp.topic, tp.partition) for tp in partitions))


def to_record(raw: Any) -> Record:
    return Record(
        raw.topic, raw.partition, raw.offset, raw.timestamp, raw.key, raw.value, tuple(raw.headers or ())
    )


def truncated(partition: TopicPartition, wanted: int, first: int) -> LogTruncated:
    return LogTruncated(
        f"{partition.topic}/{partition.partition}: offset {wanted} is gone, the log begins at {first}"
    )


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Errors of the client while a broker is asked for *what* become `LogUnavailable`."""
    try:
        yield
    except kafka_errors.KafkaError as error:
        raise LogUnavailable(f"{what}: {type(error).__name__} {error}".rstrip()) from error
