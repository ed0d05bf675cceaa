"""Kafka passes the list that every log passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.kafka.logs import KafkaLog
from tests.log_conformance import BEHAVIOURS, Log


@pytest.fixture
def log(bootstrap: str, unique: str) -> Iterator[KafkaLog]:
    log = KafkaLog(bootstrap, unique)
    yield log
    log.close()


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_kafka(behaviour: Callable[[Log], None], log: KafkaLog) -> None:
    behaviour(log)
