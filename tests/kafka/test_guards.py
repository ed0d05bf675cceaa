"""The holes of the client's transactional path, each opened on a real broker, and the guard that closes it.

The numbers are those of `correlator/adapters/kafka/transactions.py`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from random import randbytes

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from correlator.adapters.kafka.transactions import KafkaTransactionalWriter
from correlator.engine.ports import (
    CommitAborted,
    CommitFenced,
    Committed,
    CommitUnknown,
    Membership,
    TopicPartition,
)
from tests.broker.broker import Broker
from tests.broker.proxy import Api, Proxy
from tests.kafka.logs import SHORT, KafkaLog
from tests.log_conformance import Member, committed_values, joined, until

DEADLINE_S = 3 * SHORT.call_ms / 1000


class Setting:
    """A member of a group on a healthy connection, and a writer whose connection a test disturbs."""

    def __init__(self, log: KafkaLog, disturbed: KafkaLog) -> None:
        self.log = log
        self.source, self.sink = log.topic(2), log.topic()
        self.zero, self.one = TopicPartition(self.source, 0), TopicPartition(self.source, 1)
        self.member: Member = joined(log, log.name("group"), self.source)
        self.threads = threading.active_count()
        self.writer: KafkaTransactionalWriter = disturbed.writer(log.name("writer"))

    @property
    def membership(self) -> Membership:
        return self.member.reader.membership()

    def write(self, value: bytes, offset: int) -> None:
        """One whole transaction."""
        self.writer.begin()
        self.writer.send(self.sink, 0, b"k", value)
        self.writer.commit({self.zero: Committed(offset, value.decode())}, self.membership)

    @property
    def outcome(self) -> tuple[list[bytes | None], Committed | None]:
        """What is there for everybody to see."""
        return committed_values(self.log, self.sink), self.member.reader.committed(self.zero)

    def threads_left(self) -> int:
        """Threads more than before the writer was made, once those that end have ended."""
        end = time.monotonic() + 5
        while threading.active_count() > self.threads and time.monotonic() < end:
            time.sleep(0.05)
        return threading.active_count() - self.threads


@pytest.fixture
def setting(broker: Broker, proxy: Proxy, unique: str) -> Iterator[Setting]:
    log, disturbed = KafkaLog(broker.bootstrap, unique), KafkaLog(broker.proxied, f"{unique}-p")
    yield Setting(log, disturbed)
    proxy.heal()
    disturbed.close()
    log.close()


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        (Api.PRODUCE, CommitAborted),  # H1: the batch expires, and the client would commit without it
        (Api.ADD_PARTITIONS_TO_TXN, CommitAborted),
        (Api.ADD_OFFSETS_TO_TXN, CommitAborted),
        (Api.TXN_OFFSET_COMMIT, CommitAborted),
        (Api.END_TXN, CommitUnknown),  # H4: the reply is lost, the commit has happened
    ],
)
def test_a_lost_reply_never_loses_or_doubles_a_record(
    setting: Setting, proxy: Proxy, lost: Api, expected: type[Exception]
) -> None:
    setting.write(b"1", 1)
    proxy.drop(replies=frozenset({lost}))
    with pytest.raises(expected):
        setting.write(b"2", 2)
    proxy.heal()
    setting.writer.settle()
    happened = expected is CommitUnknown
    assert setting.outcome == (([b"1", b"2"], Committed(2, "2")) if happened else ([b"1"], Committed(1, "1")))
    setting.write(b"3", 3)
    assert setting.outcome[1] == Committed(3, "3")
    setting.writer.close()
    assert setting.threads_left() <= 0


def test_h4_a_commit_that_never_arrived_is_settled_as_aborted(setting: Setting, proxy: Proxy) -> None:
    setting.writer.begin()
    proxy.drop(requests=frozenset({Api.END_TXN}))
    with pytest.raises(CommitUnknown):
        setting.write(b"1", 1)
    proxy.heal()
    setting.writer.settle()
    assert setting.outcome == ([], None)


def test_h2_offsets_of_a_failed_commit_are_not_sent_with_the_next(setting: Setting) -> None:
    setting.write(b"1", 150)
    stale = Membership(
        setting.membership.group, setting.membership.generation + 5, setting.membership.member, None
    )
    setting.writer.begin()
    with pytest.raises(CommitFenced):
        setting.writer.commit({setting.zero: Committed(100)}, stale)
    setting.writer.begin()
    setting.writer.commit({setting.one: Committed(7)}, setting.membership)
    assert setting.member.reader.committed(setting.zero) == Committed(150, "1")
    assert setting.member.reader.committed(setting.one) == Committed(7)


def test_a_transaction_left_half_way_is_aborted_by_the_next(setting: Setting) -> None:
    setting.writer.begin()
    setting.writer.send(setting.sink, 0, b"k", b"left half way")
    setting.write(b"1", 1)
    assert setting.outcome == ([b"1"], Committed(1, "1"))


def test_who_is_fenced_between_two_sends_is_told_so(setting: Setting) -> None:
    """The client takes it for something to recover from, and only says that it is in the wrong state then."""
    ours = setting.log.writer(setting.writer._settings["transactional_id"])
    ours.begin()
    ours.send(setting.sink, 0, b"k", b"1")
    ours._producer.flush(timeout=DEADLINE_S)
    setting.writer.settle()
    ours.send(setting.sink, 0, b"k", b"2")
    ours._producer.flush(timeout=DEADLINE_S)
    with pytest.raises(CommitFenced):
        ours.send(setting.sink, 0, b"k", b"3")


def test_h5_a_dead_broker_costs_bounded_time_and_no_thread(setting: Setting, proxy: Proxy) -> None:
    setting.write(b"1", 1)
    setting.writer.begin()
    setting.writer.send(setting.sink, 0, b"k", b"2")
    proxy.go_away()
    started_s = time.monotonic()
    with pytest.raises(CommitAborted):
        setting.writer.commit({setting.zero: Committed(2)}, setting.membership)
    with pytest.raises(CommitAborted):
        setting.writer.begin()
    with pytest.raises(CommitUnknown):
        setting.writer.settle()
    assert time.monotonic() - started_s < 3 * DEADLINE_S
    assert setting.threads_left() <= 0
    proxy.heal()
    setting.write(b"3", 3)
    assert setting.outcome == ([b"1", b"3"], Committed(3, "3"))


def test_h5_a_broker_that_dies_after_the_offsets_were_sent(setting: Setting, proxy: Proxy) -> None:
    setting.write(b"1", 1)
    proxy.drop(requests=frozenset({Api.END_TXN}))
    killer = threading.Timer(0.5, proxy.go_away)
    killer.start()
    with pytest.raises(CommitUnknown):
        setting.write(b"2", 2)
    killer.join()
    assert setting.threads_left() <= 0
    proxy.heal()
    setting.writer.settle()
    assert setting.outcome == ([b"1"], Committed(1, "1"))


def test_a_failed_start_leaves_a_writer_that_can_start(setting: Setting, proxy: Proxy) -> None:
    proxy.drop(replies=frozenset({Api.INIT_PRODUCER_ID}))
    with pytest.raises(CommitAborted):
        setting.writer.begin()
    assert setting.threads_left() <= 0
    proxy.heal()
    setting.write(b"1", 1)
    assert setting.outcome == ([b"1"], Committed(1, "1"))


@pytest.mark.parametrize("partition", [99, -1])
def test_a_failed_send_aborts_and_leaves_no_thread(setting: Setting, partition: int) -> None:
    setting.writer.begin()
    setting.writer.send(setting.sink, 0, b"k", b"aborted")
    with pytest.raises(CommitAborted):
        setting.writer.send(setting.sink, partition, b"k", b"x")
    assert setting.threads_left() <= 0
    assert setting.outcome == ([], None)


def test_a_record_larger_than_a_topic_takes_aborts(setting: Setting) -> None:
    setting.writer.begin()
    with pytest.raises(CommitAborted, match="bytes"):
        setting.writer.send(setting.sink, 0, b"k", b"x" * (5 << 20))
    setting.writer.begin()
    setting.writer.send(setting.sink, 0, b"k", b"x" * (3 << 20))
    setting.writer.commit({setting.zero: Committed(1)}, setting.membership)
    assert setting.outcome == ([b"x" * (3 << 20)], Committed(1))


@pytest.mark.parametrize(
    ("settings", "key", "said"),
    [
        ({"max.message.bytes": "1000"}, b"k", "MessageSizeTooLargeError"),
        ({"cleanup.policy": "compact"}, None, "InvalidRecordError: Compacted topic cannot accept"),
    ],
)
def test_a_topic_that_is_set_wrong_is_named(
    setting: Setting, broker: Broker, settings: dict[str, str], key: bytes | None, said: str
) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, setting.sink, settings)])
    admin.close()
    setting.writer.begin()
    setting.writer.send(setting.sink, 0, key, randbytes(2_000))
    with pytest.raises(
        CommitAborted, match=rf"1 of 1 records not sent: {setting.sink}: .*{said}.*`correlator topics check`"
    ):
        setting.writer.commit({setting.zero: Committed(1)}, setting.membership)
    assert setting.outcome == ([], None)


def test_a_record_without_key_and_value_is_sent(setting: Setting) -> None:
    setting.writer.begin()
    setting.writer.send(setting.sink, 0, None, None)
    setting.writer.commit({setting.zero: Committed(1)}, setting.membership)
    assert setting.outcome[0] == [b""]


def test_h3_a_member_whose_session_expired_is_fenced_by_its_snapshot(setting: Setting) -> None:
    """Another member takes over while the first one holds a batch; its snapshot is of the past then."""
    snapshot = setting.membership
    other = Member(setting.log.reader(snapshot.group, [setting.source]))
    until(lambda: bool(other.owned), other, setting.member)
    setting.writer.begin()
    setting.writer.send(setting.sink, 0, b"k", b"zombie")
    with pytest.raises(CommitFenced):
        setting.writer.commit({setting.zero: Committed(9)}, snapshot)
    assert setting.outcome == ([], None)


def test_who_is_fenced_while_it_sends_is_told_so(setting: Setting) -> None:
    """Of the sends after the first one the client only says that something failed before."""
    name = setting.log.name("writer")
    first, second = setting.log.writer(name), setting.log.writer(name)
    first.begin()
    second.begin()

    def send_on() -> None:
        end_s = time.monotonic() + 30
        while time.monotonic() < end_s:
            first.send(setting.sink, 0, b"k", b"zombie")

    with pytest.raises(CommitFenced):
        send_on()
    assert setting.outcome == ([], None)
