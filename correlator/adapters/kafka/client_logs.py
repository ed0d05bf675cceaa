"""The client's log messages: a few a minute of each kind for who runs for long, one for who asks and ends.

A broker that restarts makes the client log some fifty errors per logger, and an unstable offset one every
100 ms. The first ones of a kind pass, later ones are counted and the count is told with the next that passes.
A command that ends when Kafka does not answer says so itself, with the reason: it needs none of them.
"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass

LOGGER = "kafka"
UNREACHED = "Bootstrap connection to"  # how the message begins whose second value is the reason
NO_TROUBLE = (
    "Metadata refresh: failed Cancelled",  # we closed a client that was asking
    "<KafkaTCPTransport [none]",  # what came on a connection that we had closed
    "Task ",  # ran for 0.12 s: the machine is busy
    "No partition metadata for topic",  # the same is said of the topic itself
    "Bumping producer epoch",  # after what failed, which is said
)
# Another producer has begun under the same transactional id. Whoever was fenced hears of it by the call that
# failed, and says what that means; for who deploys at the same time as others it means nothing.
FENCED = ("ProducerFencedError", "InvalidProducerEpochError")
IN_OUR_WORDS = {
    "Topic %s not found in cluster metadata": "the topic %s is not there, or hidden from us (`correlator "
    "topics check`)",
}
CLOSED = "socket disconnected"
CLOSED_BY = (
    f"{CLOSED} (what a broker does to who has a wrong name or password, or speaks another security_protocol)"
)
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
        _note(record)
        text = record.getMessage()
        if text.startswith(NO_TROUBLE) or any(name in text for name in FENCED):
            return
        record.msg = IN_OUR_WORDS.get(str(record.msg), record.msg)
        record.exc_info = None  # the message says it; where in the client it happened helps nobody
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


class Brief(logging.Handler):
    """Passes only the first reason why there is no connection on to *target*, as soon as it is known: the
    command that asks goes on trying, and says at its end what became of it. Without *target* it only notes.
    """

    def __init__(self, target: logging.Logger | None) -> None:
        super().__init__()
        self._target = target
        self._is_told = False

    def emit(self, record: logging.LogRecord) -> None:
        if _note(record) and self._target is not None and not self._is_told:
            self._is_told = True
            record.msg, record.args = f"no connection to Kafka yet: {why_unreached()}", None
            self._target.handle(record)


_reasons = [""]  # the newest one


def why_unreached() -> str:
    """What the last attempt to connect came to; "" where none failed. The client's error does not say it."""
    return _reasons[0].replace(CLOSED, CLOSED_BY)


def _note(record: logging.LogRecord) -> bool:
    """Whether *record* says why there is no connection."""
    if not str(record.msg).startswith(UNREACHED) or not isinstance(record.args, tuple):
        return False
    _reasons[0] = str(record.args[1])
    return True


def quiet_client_logs() -> None:
    """Warnings and errors of the client only, each kind a few times a minute. Idempotent."""
    _take_over(RateLimited(logging.getLogger()))


def silence_client_logs() -> None:
    """Nothing of the client, for commands that say what became of them in a line of their own; who sits at
    a terminal reads the first reason why there is no connection meanwhile. Idempotent.
    """
    _take_over(Brief(logging.getLogger() if sys.stderr.isatty() else None))


def _take_over(handler: RateLimited | Brief) -> None:
    logger = logging.getLogger(LOGGER)
    if any(isinstance(each, RateLimited | Brief) for each in logger.handlers):
        return
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    logger.addHandler(handler)
