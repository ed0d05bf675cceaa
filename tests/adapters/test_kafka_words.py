"""What the Kafka client says of an error, in words for people."""

from __future__ import annotations

from kafka import errors

from correlator.adapters.kafka.client import said


def test_a_broker_without_brokers_is_said_in_words() -> None:
    answer = f"MetadataResponse(version=13, brokers=[], topics=[{'MetadataResponseTopic(), ' * 200}])"
    told = said(errors.MetadataEmptyBrokerList(answer))
    assert told.startswith("MetadataEmptyBrokerList: it knows of no broker that is alive")
    assert "MetadataResponse(" not in told


def test_whole_answers_are_cut() -> None:
    told = said(errors.KafkaError(f"Request failed: {'x' * 9000}"))
    assert told.startswith("KafkaError: Request failed: xxx")
    assert told.endswith("…")
    assert len(told) < 500
    assert said(errors.KafkaError("short")) == "KafkaError: short"
