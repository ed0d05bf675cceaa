"""The only place that calls the client's transactional methods: one producer behind the guards H1 to H6.

    H1  a batch that expired does not fail the commit  -> every send is checked before offsets are sent
    H2  offsets of a failed commit are sent again with the next one  -> any failure discards the producer
    H3  commits of generation -1 are not fenced by the broker  -> refused here
    H4  a lost reply to the commit is fatal, yet it may have happened  -> `CommitUnknown`, then `settle`
    H5  transactional calls wait for ever on a dead broker  -> a deadline on each, forced close
    H6  concerns polls, see group_reader.py

Deadlines need the client's private results (`_transaction_manager`), hence the pin `kafka-python<3.1`; a
helper thread around each call would leak whenever the sender drops a request.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafka import KafkaProducer
from kafka import errors as kafka_errors
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata
from kafka.structs import TopicPartition as KafkaPartition

from correlator.adapters.kafka.client import opened
from correlator.adapters.kafka.config import KafkaConfig
from correlator.engine.ports import (
    CommitAborted,
    CommitFenced,
    Committed,
    CommitUnknown,
    Membership,
    TopicPartition,
)

log = logging.getLogger(__name__)

RECORD_BYTES_MAX = 4 << 20
# One batch of a partition is under way at a time, so each costs a round trip: few and large ones. Less than a
# broker takes of a topic whose `max.message.bytes` nobody has set.
BATCH_BYTES = 1_000_000
CLOSE_S = 2.0
ABORT_MS = 2_000  # short: an abort that is not confirmed is made up for by the next `init_transactions`
FENCED = (
    kafka_errors.CommitFailedError,
    kafka_errors.FencedInstanceIdError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.InvalidProducerEpochError,
    kafka_errors.ProducerFencedError,
    kafka_errors.UnknownMemberIdError,
)
# What a topic refuses for how it is set: the same again until somebody changes that.
BY_SETTINGS = (kafka_errors.InvalidRecordError, kafka_errors.MessageSizeTooLargeError)
SETTINGS_HINT = " (`correlator topics check` says what is wrong with its settings)"


@dataclass(frozen=True)
class Deadlines:
    """Each shorter than the next, and all shorter than the group's session timeout.

    So a batch fails before we give up on it, we give up before the broker does, and a partition cannot change
    hands while a transaction of its old owner is still open.
    """

    request_ms: int
    delivery_ms: int
    call_ms: int
    transaction_ms: int

    def __post_init__(self) -> None:
        assert self.request_ms < self.delivery_ms < self.call_ms < self.transaction_ms

    @classmethod
    def within(cls, transaction_ms: int) -> Deadlines:
        """Those of a transaction timeout: of 10 s, batches fail after 8 and calls are given up after 9."""
        tenth_ms = transaction_ms // 10
        return cls(5 * tenth_ms, 8 * tenth_ms, 9 * tenth_ms, transaction_ms)


class KafkaTransactionalWriter:
    """Implements `engine.ports.TransactionalWriter`. The first `begin` or `settle` makes the producer."""

    def __init__(self, config: KafkaConfig, transactional_id: str) -> None:
        self._deadlines = Deadlines.within(config.transaction_timeout_ms)
        self._settings = _settings(config, transactional_id, self._deadlines)
        self._producer: Any = None
        self._sends: list[tuple[str, Any]] = []  # topic, and what becomes of the record
        self._is_open = False

    def begin(self) -> None:
        if self._is_open:  # the caller left one half way
            self.abort()
        self._sends = []
        try:
            if self._producer is None:
                self._producer = _start(self._settings)
            self._producer.begin_transaction()
        except Exception as error:
            self._discard()
            raise _aborted(error) from error
        self._is_open = True

    def send(  # noqa: PLR0917 - a Kafka record has six parts
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
    ) -> None:
        """Queue one record. A record without key and value gets an empty value: the client sends no less."""
        if key is None and value is None:
            value = b""
        try:
            sent = self._held().send(
                topic,
                value=value,
                key=key,
                headers=list(headers),
                partition=partition,
                timestamp_ms=timestamp_ms,
            )
        except Exception as error:
            cause = self._failed_before() or error
            self.abort()
            raise _aborted(cause, topic) from error
        self._sends.append((topic, sent))

    def commit(self, offsets: Mapping[TopicPartition, Committed], membership: Membership | None) -> None:
        if offsets and (membership is None or not membership.is_joined):  # H3
            self.abort()
            raise CommitFenced("not a joined member of the group: the broker would not fence this commit")
        try:
            self._flush()
            if offsets and membership is not None:
                self._call("send_offsets_to_transaction", _offsets(offsets), _metadata(membership))
        except Exception as error:
            self.abort()  # H2: and an open transaction would hold back its readers
            raise _aborted(error) from error
        try:
            self._call("begin_commit")
        except Exception as error:  # H4: the coordinator may have done it, whatever this says
            self._discard()
            raise CommitUnknown(_text(error)) from error
        self._is_open = False

    def abort(self) -> None:
        """Abort at the broker if it answers; if not, `init_transactions` of the next producer will."""
        if self._producer is None:
            return
        if self._is_open:
            try:
                self._call("begin_abort", deadline_ms=ABORT_MS)
            except Exception as error:  # noqa: BLE001 - whatever it is, the producer goes
                log.info("abort not confirmed: %s", _text(error))
        self._discard()

    def settle(self) -> None:
        """Raises `CommitUnknown` while the coordinator does not answer: ask again."""
        self._discard()
        try:
            self._producer = _start(self._settings)
        except Exception as error:
            raise CommitUnknown(f"still unknown: {_text(error)}") from error

    def close(self) -> None:
        self.abort()

    def _failed_before(self) -> Exception | None:
        """Of a record before: after it the client only says that it is in the wrong state for another one."""
        failed = (sent.exception for _, sent in self._sends if sent.is_done and sent.failed())
        return next(failed, None)

    def _flush(self) -> None:
        """H1: the client commits although batches failed, so look at each."""
        self._held().flush(timeout=self._deadlines.call_ms / 1000)
        failed = [(topic, sent) for topic, sent in self._sends if not sent.is_done or sent.failed()]
        if not failed:
            return
        topic, sent = min(failed, key=lambda each: not each[1].is_done)  # the others do not say why
        error = sent.exception if sent.is_done else TimeoutError("no answer")
        if _is_fenced(error):
            raise error
        hint = SETTINGS_HINT if isinstance(error, BY_SETTINGS) else ""
        raise CommitAborted(
            f"{len(failed)} of {len(self._sends)} records not sent: {topic}: {_text(error)}{hint}"
        )

    def _call(self, method: str, *args: object, deadline_ms: int | None = None) -> None:
        """What the producer's method of this name does, but with a deadline (H5)."""
        producer = self._held()
        deadline_ms = deadline_ms or self._deadlines.call_ms
        result = getattr(producer._transaction_manager, method)(*args)
        producer._sender.wakeup()
        if not result.wait(timeout_ms=deadline_ms):
            raise TimeoutError(f"no answer to {method} within {deadline_ms} ms")

    def _held(self) -> Any:
        if self._producer is None or not self._is_open:
            raise CommitAborted("no transaction is open")
        return self._producer

    def _discard(self) -> None:
        producer, self._producer, self._is_open = self._producer, None, False
        if producer is not None:
            _close(producer)


def _settings(config: KafkaConfig, transactional_id: str, deadlines: Deadlines) -> dict[str, Any]:
    return config.client() | {
        "transactional_id": transactional_id,
        "acks": "all",
        "compression_type": "zstd",
        "batch_size": BATCH_BYTES,
        "max_request_size": RECORD_BYTES_MAX,
        "linger_ms": 5,
        "retry_backoff_ms": 20,  # also slept after CONCURRENT_TRANSACTIONS, which is normal after a commit
        "request_timeout_ms": deadlines.request_ms,
        "delivery_timeout_ms": deadlines.delivery_ms,
        "max_block_ms": deadlines.delivery_ms,
        "bootstrap_timeout_ms": deadlines.delivery_ms,
        "transaction_timeout_ms": deadlines.transaction_ms,
        "allow_auto_create_topics": False,
    }


def _start(settings: dict[str, Any]) -> Any:
    """A producer whose transactional id has nothing open: fences older holders, finishes what they had."""
    producer = opened(KafkaProducer, settings)
    try:
        producer.init_transactions()
    except BaseException:  # a half-initialised one must not be kept
        _close(producer)
        raise
    return producer


def _close(producer: Any) -> None:
    """Leaves no thread behind: `close` may raise and keep the sender, which then spins (H5)."""
    try:
        producer.close(timeout=CLOSE_S)
    except Exception as error:  # noqa: BLE001 - the sender is dealt with below
        log.info("producer did not close: %s", _text(error))
    sender = producer._sender
    if sender is not None and sender.is_alive():
        sender.force_close()
        sender.join(5)


def _offsets(offsets: Mapping[TopicPartition, Committed]) -> dict[KafkaPartition, OffsetAndMetadata]:
    return {
        KafkaPartition(tp.topic, tp.partition): OffsetAndMetadata(committed.offset, committed.metadata, -1)
        for tp, committed in offsets.items()
    }


def _metadata(membership: Membership) -> ConsumerGroupMetadata:
    return ConsumerGroupMetadata(
        membership.group, membership.generation, membership.member, membership.instance
    )


def _aborted(error: Exception, topic: str = "") -> CommitAborted:
    if isinstance(error, CommitAborted):
        return error
    text = f"{topic}: {_text(error)}" if topic else _text(error)
    return CommitFenced(text) if _is_fenced(error) else CommitAborted(text)


def _is_fenced(error: BaseException) -> bool:
    """Of a call after the one that failed the client says "a previous request has failed", and what with."""
    return any(isinstance(each, FENCED) for each in (error, *error.args))


def _text(error: BaseException | None) -> str:
    name, said = type(error).__name__, str(error).removesuffix(": None")  # the client's name their class
    return said if name in said else f"{name}: {said}" if said else name
