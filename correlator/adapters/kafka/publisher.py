"""Produces records outside any transaction: identities that a person loads, events of a simulated company."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kafka import KafkaProducer
from kafka import errors as kafka_errors

from correlator.adapters.kafka.client import asking, opened
from correlator.adapters.kafka.config import KafkaConfig
from correlator.adapters.kafka.transactions import BATCH_BYTES, RECORD_BYTES_MAX
from correlator.engine.ports import LogUnavailable

TIMEOUT_MS = 30_000


class KafkaPublisher:
    """Idempotent: no record twice, none out of order. What was sent is there once `flush` has returned."""

    def __init__(self, config: KafkaConfig) -> None:
        settings = config.client() | {
            "acks": "all",
            "compression_type": "zstd",
            "batch_size": BATCH_BYTES,
            "max_request_size": RECORD_BYTES_MAX,
            "linger_ms": 20,
            "delivery_timeout_ms": TIMEOUT_MS,
            "request_timeout_ms": TIMEOUT_MS // 3,
            "max_block_ms": TIMEOUT_MS // 3,
            "bootstrap_timeout_ms": TIMEOUT_MS // 3,
            "allow_auto_create_topics": False,
        }
        with asking("connecting"):
            self._producer: Any = opened(KafkaProducer, settings)
        self._failed: list[BaseException] = []

    def send(  # noqa: PLR0917 - a Kafka record has six parts
        self,
        topic: str,
        partition: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
    ) -> None:
        """Queue one record; without *partition* its key decides. *timestamp_ms* is kept if the topic does."""
        with asking(f"sending to {topic}"):
            self._producer.send(
                topic,
                value=b"" if key is None and value is None else value,
                key=key,
                headers=list(headers),
                partition=partition,
                timestamp_ms=timestamp_ms,
            ).add_errback(self._failed.append)

    def flush(self) -> None:
        """Raises `LogUnavailable` if any record was not taken."""
        with asking("flushing"):
            self._producer.flush(timeout=TIMEOUT_MS / 1000)
        failed, self._failed = self._failed, []
        if failed:
            raise LogUnavailable(f"{len(failed)} records not sent: {failed[0]!r}")

    def close(self) -> None:
        try:
            self._producer.close(timeout=5)
        except kafka_errors.KafkaError as error:
            raise LogUnavailable(f"closing: {error!r}") from error
