"""Log messages of the client: the first ones of a kind pass, the rest are counted."""

from __future__ import annotations

import logging

import pytest

from correlator.adapters.kafka import client_logs


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.has_traceback = False

    def emit(self, record: logging.LogRecord) -> None:
        self.has_traceback |= record.exc_info is not None
        self.told.append(record.getMessage())


def heard_through(
    handler: type[client_logs.RateLimited | client_logs.Brief], name: str
) -> tuple[Kept, logging.Logger]:
    """What comes through a *handler*, and the logger that it is put on."""
    kept, target, client = Kept(), logging.getLogger(f"{name}-target"), logging.getLogger(f"{name}-client")
    target.addHandler(kept)
    client.addHandler(handler(target))
    client.propagate = target.propagate = False
    return kept, client


def test_each_kind_of_message_passes_a_few_times_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr("correlator.adapters.kafka.client_logs.time.monotonic", lambda: now_s)
    kept, client = heard_through(client_logs.RateLimited, "test")
    for number in range(10):
        client.error("node %d is gone", number)
    client.error("something else")
    assert kept.told == ["node 0 is gone", "node 1 is gone", "node 2 is gone", "something else"]
    now_s += client_logs.PERIOD_S + 1
    client.error("node %d is gone", 10)
    client.error("node %d is gone", 11)
    assert kept.told[4:] == ["node 10 is gone (and 7 more of these)", "node 11 is gone"]


def test_it_is_set_up_once() -> None:
    logger = logging.getLogger(client_logs.LOGGER)
    before, level, propagate = list(logger.handlers), logger.level, logger.propagate
    try:
        client_logs.quiet_client_logs()
        client_logs.silence_client_logs()
        assert (
            len([h for h in logger.handlers if isinstance(h, client_logs.RateLimited | client_logs.Brief)])
            == 1
        )
        assert not logger.propagate
    finally:
        logger.handlers[:], logger.propagate = before, propagate
        logger.setLevel(level)


def test_a_command_tells_the_first_reason_why_there_is_no_connection_and_nothing_else() -> None:
    kept, client = heard_through(client_logs.Brief, "brief")
    client.error("Metadata refresh: failed %s", "KafkaConnectionError")
    for reason in ("111 ECONNREFUSED", "socket disconnected"):
        client.warning("Bootstrap connection to %s failed: %s (backoff %.2f secs)", "b-0", reason, 0.1)
    assert kept.told == ["no connection to Kafka yet: 111 ECONNREFUSED"]
    assert "wrong name or password" in client_logs.why_unreached()


def test_what_we_closed_ourselves_is_no_trouble_and_nobody_needs_the_clients_traceback() -> None:
    kept, client = heard_through(client_logs.RateLimited, "own")
    client.error("Metadata refresh: failed %s", "Cancelled")
    client.error("%s: Error receiving network data closing socket", "<KafkaTCPTransport [none]>")
    client.warning("Task %r ran for %.3fs (>%.3fs threshold). It is blocking the event loop", 7, 0.2, 0.1)
    try:
        raise ConnectionResetError(104)
    except ConnectionResetError:
        client.exception("Error receiving network data")
    assert kept.told == ["Error receiving network data"]
    assert not kept.has_traceback


def test_who_was_fenced_says_so_itself() -> None:
    """Several processes that are started for the first time at once all try to activate the bundle."""
    kept, client = heard_through(client_logs.RateLimited, "fenced")
    fenced = "[Error 90] ProducerFencedError"
    client.error("Fatal Error handling request %s: %s", "AddPartitionsToTxnRequest", fenced)
    client.error("%s: Aborting producer batches due to fatal error: %s", "<Sender>", fenced)
    client.warning("Failed to produce messages to %s: %s", "bundles", "[Error 47] InvalidProducerEpochError")
    client.warning("Bumping producer epoch for %s after recoverable error", "7, epoch=1")
    client.error("Fatal Error handling request %s: %s", "EndTxnRequest", "[Error 53] not authorized")
    assert kept.told == ["Fatal Error handling request EndTxnRequest: [Error 53] not authorized"]


def test_a_topic_that_is_not_there_is_told_in_our_words_and_once() -> None:
    kept, client = heard_through(client_logs.RateLimited, "absent")
    client.warning("No partition metadata for topic %s", "badge-events")
    client.error("Topic %s not found in cluster metadata", "badge-events")
    (told,) = kept.told
    assert told.startswith("the topic badge-events is not there, or hidden from us")
