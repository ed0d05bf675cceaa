"""The client's log messages, each kind a few times a minute.

A broker that restarts makes the client log some fifty errors per logger, and an unstable offset one every
100 ms. The first ones of a kind pass, later ones are counted and the count is told with the next that passes.
A command that ends when Kafka does not answer says so itself, with the reason: it needs none of them.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

LOGGER = "kafka"
PER_PERIOD = 3
PERIOD_S = 60.0


@dataclass
class _Kind:
    started_s: float
    passed: int = 0
    held_back: int = 0


class RateLimited(logging.Handler):
    """Passes records on to *target*, at most three of one kind (logger, message template) a minute."""

    def __init__(self, target: logging.Logger) -> None:
        super().__init__()
        self._target = target
        self._kinds: dict[tuple[str, str], _Kind] = {}

    def emit(self, record: logging.LogRecord) -> None:
        now_s = time.monotonic()
        kind = self._kinds.setdefault((record.name, str(record.msg)), _Kind(now_s))
        if now_s - kind.started_s > PERIOD_S:
            kind.started_s, kind.passed = now_s, 0
        if kind.passed >= PER_PERIOD:
            kind.held_back += 1
            return
        kind.passed += 1
        if kind.held_back:
            record.msg = f"{record.getMessage()} (and {kind.held_back} more of these)"
            record.args = None
            kind.held_back = 0
        self._target.handle(record)


def quiet_client_logs() -> None:
    """Warnings and errors of the client only, each kind a few times a minute. Idempotent."""
    logger = logging.getLogger(LOGGER)
    if any(isinstance(handler, RateLimited) for handler in logger.handlers):
        return
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    logger.addHandler(RateLimited(logging.getLogger()))


def silence_client_logs() -> None:
    """Nothing of the client: for commands that say what became of them in a line of their own."""
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False
