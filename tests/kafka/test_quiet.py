"""Log messages of the client: the first ones of a kind pass, the rest are counted."""

from __future__ import annotations

import logging

import pytest

from correlator.adapters.kafka import quiet


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


def test_each_kind_of_message_passes_a_few_times_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr("correlator.adapters.kafka.quiet.time.monotonic", lambda: now_s)
    kept, target, client = Kept(), logging.getLogger("test-target"), logging.getLogger("test-client")
    target.addHandler(kept)
    client.addHandler(quiet.RateLimited(target))
    client.propagate = target.propagate = False
    for number in range(10):
        client.error("node %d is gone", number)
    client.error("something else")
    assert kept.told == ["node 0 is gone", "node 1 is gone", "node 2 is gone", "something else"]
    now_s += quiet.PERIOD_S + 1
    client.error("node %d is gone", 10)
    client.error("node %d is gone", 11)
    assert kept.told[4:] == ["node 10 is gone (and 7 more of these)", "node 11 is gone"]


def test_it_is_set_up_once() -> None:
    logger = logging.getLogger(quiet.LOGGER)
    before, level, propagate = list(logger.handlers), logger.level, logger.propagate
    try:
        quiet.quiet_client_logs()
        quiet.quiet_client_logs()
        assert len([h for h in logger.handlers if isinstance(h, quiet.RateLimited)]) == 1
        assert not logger.propagate
    finally:
        logger.handlers[:], logger.propagate = before, propagate
        logger.setLevel(level)
