"""What the readers do beyond what every log does: open transactions, dead brokers, members built anew."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaTimeoutError

from correlator.adapters.kafka.client import ask_offset, ask_offsets, consumer_settings, make_consumer, opened
from correlator.adapters.kafka.config import KafkaConfig
from correlator.adapters.kafka.group_reader import KafkaGroupReader
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.engine.ports import AssignmentChange, Committed, LogTruncated, LogUnavailable, TopicPartition
from tests.broker.broker import Broker, Cluster
from tests.broker.proxy import Api, Proxy
from tests.kafka.logs import SESSION_MS, KafkaLog
from tests.log_conformance import Member, fill, joined, record, until


@pytest.fixture
def log(bootstrap: str, unique: str) -> Iterator[KafkaLog]:
    log = KafkaLog(bootstrap, unique)
    yield log
    log.close()


@pytest.fixture
def disturbed(broker: Broker, proxy: Proxy, unique: str) -> Iterator[KafkaLog]:
    log = KafkaLog(broker.proxied, f"{unique}-p")
    yield log
    proxy.heal()
    log.close()


def test_of_several_partitions_one_without_a_leader_is_waited_for(log: KafkaLog, bootstrap: str) -> None:
    config = KafkaConfig.model_validate({"bootstrap_servers": bootstrap})
    consumer = make_consumer(consumer_settings(config))
    there, gone = TopicPartition(log.topic(), 0), TopicPartition(log.name("gone"), 3)
    with pytest.raises(LogUnavailable, match=f"nobody leads {gone.topic}/3"):
        ask_offsets(consumer.end_offsets, [there, gone])
    assert ask_offsets(consumer.end_offsets, [there]) == {there: 0}
    consumer.close()


def test_a_read_waits_for_an_open_transaction_below_its_end(log: KafkaLog) -> None:
    source, sink = log.topic(), log.topic()
    member, writer, tp = joined(log, log.name("group"), source), log.writer("w"), TopicPartition(sink, 0)
    fill(log, sink, b"0")
    writer.begin()
    writer.send(sink, 0, b"k", b"1")
    reader = log.log_reader()
    while (end := reader.high_watermark(tp)) < 2:
        time.sleep(0.01)
    records = iter(reader.read(tp, 0, end))
    assert next(records).value == b"0"
    commit = threading.Timer(
        0.3, writer.commit, ({TopicPartition(source, 0): Committed(1)}, member.reader.membership())
    )
    commit.start()
    assert next(records).value == b"1"
    commit.join()
    assert list(records) == []


def test_a_read_that_nothing_moves_says_so(log: KafkaLog) -> None:
    sink, writer = log.topic(), log.writer("w")
    tp = TopicPartition(sink, 0)
    writer.begin()
    writer.send(sink, 0, b"k", b"1")
    reader = KafkaLogReader(log.config, stalled_s=0.5)
    try:
        while reader.high_watermark(tp) < 1:
            time.sleep(0.01)
        with pytest.raises(LogUnavailable, match="nothing can be read at offset 0 "):
            list(reader.read(tp, 0, 1))
    finally:
        reader.close()


def test_a_partition_paused_in_the_middle_of_a_batch_goes_on_when_it_is_resumed(log: KafkaLog) -> None:
    """H7: the client parks the rest of the batch, and must find it again though nothing else is fetched."""
    topic = log.topic(2)
    for number in range(40):
        log.append(record(topic, b"%d" % number, partition=number % 2))
    member, tps = joined(log, log.name("group"), topic), [TopicPartition(topic, q) for q in range(2)]
    read = {0: 0, 1: 0}

    def reads(count: int, done: Callable[[], bool]) -> Callable[[], bool]:
        def poll() -> bool:
            for found in member.reader.poll(0, count):
                read[found.partition] += 1
            return done()

        return poll

    member.reader.resume(tps)
    until(reads(5, lambda: any(0 < count < 20 for count in read.values())))
    half = next(q for q, count in read.items() if 0 < count < 20)
    member.reader.pause([tps[half]])
    until(reads(50, lambda: read[1 - half] == 20))  # the other one to its end, while the rest is parked
    member.reader.resume([tps[half]])
    until(reads(50, lambda: read == {0: 20, 1: 20}))


def test_a_poll_that_does_not_wait_gives_what_came_since_the_client_fetched_ahead(log: KafkaLog) -> None:
    topic = log.topic()
    tp = fill(log, topic, b"0")
    member = joined(log, log.name("group"), topic)
    member.reader.resume([tp])
    until(lambda: member.values == [b"0"], member)
    fetcher = member.reader._consumer._fetcher  # type: ignore[attr-defined]

    def is_all_there() -> bool:
        """False where the broker took too long to answer."""
        fetcher.send_fetches()
        log.append(record(topic, b"ahead"))
        while not fetcher._completed_fetches:
            time.sleep(0.01)
        log.append(record(topic, b"since"))
        found = [r.value for r in member.reader.poll(0, 10)]
        is_whole = len(found) == 2
        while len(found) < 2:
            found += [r.value for r in member.reader.poll(100, 10)]
        assert found == [b"ahead", b"since"]
        return is_whole

    until(is_all_there)


def test_what_a_poll_has_is_not_lost_where_asking_once_more_fails(log: KafkaLog) -> None:
    topic = log.topic(2)
    for number in range(20):
        log.append(record(topic, b"%d" % number, partition=number % 2))
    member, tps = joined(log, log.name("group"), topic), [TopicPartition(topic, q) for q in range(2)]
    log.truncate(tps[1], 5)
    member.reader.seek(tps[0], 0)
    member.reader.seek(tps[1], 0)
    member.reader.resume(tps)
    found: list[bytes | None] = []
    truncated: list[LogTruncated] = []

    def is_all_there() -> bool:
        try:
            for _ in range(20):
                found.extend(r.value for r in member.reader.poll(0, 3))
        except LogTruncated as error:
            truncated.append(error)
            member.reader.seek(tps[1], 5)
        return bool(truncated) and len(found) == 15

    until(is_all_there)
    assert sorted(int(value or b"-1") for value in found) == sorted([*range(0, 20, 2), *range(11, 20, 2)])


def test_a_poll_with_everything_paused_does_not_hold_up_a_restore(log: KafkaLog) -> None:
    member = joined(log, log.name("group"), log.topic())
    started_s = time.monotonic()
    for _ in range(20):
        assert member.reader.poll(0, 10) == []
    assert time.monotonic() - started_s < 2


def test_a_group_reader_whose_broker_is_gone_says_so_and_recovers(
    disturbed: KafkaLog, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("correlator.adapters.kafka.client.TIMEOUT_MS", 1_000)
    topic = disturbed.topic()
    tp = fill(disturbed, topic, b"1")
    member = joined(disturbed, disturbed.name("group"), topic)
    member.reader.resume([tp])
    until(lambda: member.values == [b"1"], member)
    proxy.go_away()
    member.poll()
    with pytest.raises(LogUnavailable):
        KafkaGroupReader(disturbed.config, "another", [topic])
    proxy.heal()
    fill(disturbed, topic, b"2")
    until(lambda: member.values == [b"1", b"2"], member)


def test_h6_a_member_without_a_stable_assignment_is_built_anew(
    disturbed: KafkaLog, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("correlator.adapters.kafka.group_reader.UNSTABLE_S", 1.0)
    topic = disturbed.topic()
    proxy.drop(replies=frozenset({Api.JOIN_GROUP}))
    member = Member(disturbed.reader(disturbed.name("group"), [topic]))
    stuck = member.reader._consumer  # type: ignore[attr-defined]
    until(lambda: member.reader._consumer is not stuck, member)  # type: ignore[attr-defined]
    proxy.heal()
    until(lambda: member.owned == {TopicPartition(topic, 0)}, member)
    assert member.changes == [AssignmentChange(assigned=(TopicPartition(topic, 0),))]


def test_h13_what_short_polls_are_assigned_when_partitions_are_added(bootstrap: str, unique: str) -> None:
    """The join that the first poll begins ends after it."""
    log = KafkaLog(bootstrap, unique)
    log.config = log.config.model_copy(update={"metadata_max_age_ms": 500})
    topic = log.topic(1)
    member = joined(log, log.name("group"), topic)
    consumer = member.reader._consumer  # type: ignore[attr-defined]
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_partitions({topic: 3})
    admin.close()

    end_s, assigned = time.monotonic() + 15, 0  # half of what the watchdog waits
    while assigned != 3:
        assert time.monotonic() < end_s, "the assignment is not told"
        member.reader.poll(0, 10)
        assigned = max((len(change.assigned) for change in member.reader.assignment_changes()), default=0)
        time.sleep(0.1)  # as who works on what was polled: the join ends meanwhile
    assert member.reader._consumer is consumer  # type: ignore[attr-defined]  # it was not built anew
    log.close()


def test_h6_members_that_are_polled_now_and_then_agree_in_one_rebalance(log: KafkaLog) -> None:
    """Each join of one member ends while the other is polled: none of them may be thrown away."""
    topic, group = log.topic(4), log.name("group")
    members = [joined(log, group, topic)]
    for _ in range(3):
        generation = members[0].reader.membership().generation
        members.append(Member(log.reader(group, [topic])))
        until(lambda: sum(len(m.owned) for m in members) == 4 and all(m.owned for m in members), *members)
        assert {m.reader.membership().generation for m in members} <= {generation + 1, generation + 2}


def test_h8_the_leader_of_a_partition_has_moved(
    cluster: Cluster, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consumer that only asks for offsets is not told, and the bare client never looks."""
    monkeypatch.setattr("correlator.adapters.kafka.client.TIMEOUT_MS", 5_000)
    log = KafkaLog(cluster.bootstrap, unique)
    tp = fill(log, log.topic(), b"1", b"2")
    bare, guarded = (
        KafkaConsumer(**consumer_settings(log.config)),
        make_consumer(consumer_settings(log.config)),
    )
    for consumer in (bare, guarded):
        assert ask_offset(consumer.end_offsets, tp) == 2
    leader = cluster.leader(tp.topic)
    cluster.brokers[leader].kill()
    until(lambda: cluster.leader(tp.topic) not in (leader, -1))
    cluster.brokers[leader].start()  # and is asked: it leads no more, and says so
    assert ask_offset(guarded.end_offsets, tp) == 2
    with pytest.raises(LogUnavailable, match="Failed to get offsets"):
        ask_offset(bare.end_offsets, tp)
    for consumer in (bare, guarded):
        consumer.close()
    log.close()


def test_a_member_whose_session_expired_hears_that_it_lost_its_partitions(
    disturbed: KafkaLog, proxy: Proxy
) -> None:
    topic = disturbed.topic()
    member = joined(disturbed, disturbed.name("group"), topic)
    generation = member.reader.membership().generation
    proxy.go_away()
    time.sleep(SESSION_MS / 1000 + 0.5)  # the broker's session timer is what is waited for
    proxy.heal()
    until(lambda: member.owned != set() and len(member.changes) > 1, member)
    assert member.changes[1] == AssignmentChange(lost=(TopicPartition(topic, 0),))
    assert member.reader.membership().generation > generation


def test_a_fenced_instance_cannot_go_on_and_says_so(log: KafkaLog) -> None:
    topic, group = log.topic(), log.name("group")
    old = joined(log, group, topic, "pod-0")
    joined(log, group, topic, "pod-0")
    writer = log.writer(log.name("writer"))
    writer.begin()
    with pytest.raises(Exception, match="Fenced"):
        writer.commit({TopicPartition(topic, 0): Committed(1)}, old.reader.membership())


def test_h10_a_member_that_another_one_fenced_says_so_and_comes_back_when_that_has_ended(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("correlator.adapters.kafka.group_reader.UNSTABLE_S", 2 * SESSION_MS / 1000)
    topic, group = log.topic(), log.name("group")
    old = joined(log, group, topic, "pod-0")
    twin = joined(log, group, topic, "pod-0")
    said = set[str]()

    def poll_until(is_done: Callable[[], bool]) -> None:
        end_s = time.monotonic() + 60
        while not is_done():
            assert time.monotonic() < end_s, (said, old.changes)
            try:
                old.poll()
            except LogUnavailable as error:
                said.add(str(error))
                time.sleep(0.1)  # as the worker backs off

    poll_until(lambda: bool(said))
    assert said == {"another process runs as instance pod-0"}
    twin.reader.close()
    poll_until(lambda: len(old.changes) > 2)
    owned = (TopicPartition(topic, 0),)
    assert old.changes[1:] == [AssignmentChange(lost=owned), AssignmentChange(assigned=owned)]


@pytest.mark.parametrize("make", [KafkaConsumer, KafkaAdminClient, KafkaProducer])
def test_of_a_client_that_no_broker_answered_nothing_is_left(
    make: type, caplog: pytest.LogCaptureFixture
) -> None:
    """H9: who waits for a broker makes one every some seconds, for as long as it is away."""
    caplog.set_level(logging.CRITICAL + 1, "kafka")  # what is logged is kept, and holds sockets

    def held() -> tuple[int, int]:
        gc.collect()
        return threading.active_count(), sum(1 for _ in Path("/proc/self/fd").iterdir())

    settings = {"bootstrap_servers": "localhost:1", "bootstrap_timeout_ms": 200}
    with pytest.raises(KafkaTimeoutError):
        opened(make, settings)  # what is imported late is
    before = held()
    for _ in range(3):
        with pytest.raises(KafkaTimeoutError):
            opened(make, settings)
    assert held() == before
