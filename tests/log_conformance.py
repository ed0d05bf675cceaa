"""What every log must do, whoever implements the ports: one list of behaviours, for memory and for Kafka.

A behaviour is a function of a `Log`. Nothing here waits for a fixed time: a member polls until what must
happen has happened, and fails after `ROUNDS` polls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import pytest

from correlator.engine.ports import (
    AssignmentChange,
    CommitAborted,
    CommitFenced,
    Committed,
    GroupReader,
    LogReader,
    LogTruncated,
    Membership,
    TopicPartition,
    TransactionalWriter,
)
from correlator.record import Record

ROUNDS = 40
POLL_MS = 100
MANY = 100


class Log(Protocol):
    """A log under test. Names it gives are used by nobody else; `close` ends all clients it made."""

    def name(self, purpose: str) -> str: ...

    def topic(self, partitions: int = 1) -> str: ...

    def reader(self, group: str, topics: Sequence[str], instance: str | None = None) -> GroupReader: ...

    def writer(self, transactional_id: str) -> TransactionalWriter: ...

    def log_reader(self) -> LogReader: ...

    def append(self, record: Record) -> None:
        """Produce without a transaction. The record's offset is not looked at."""

    def truncate(self, partition: TopicPartition, before: int) -> None: ...

    def close(self) -> None: ...


class Member:
    """Polls one reader and keeps what the engine would keep: what it owns, what it heard, what it read."""

    def __init__(self, reader: GroupReader) -> None:
        self.reader = reader
        self.owned: set[TopicPartition] = set()
        self.changes: list[AssignmentChange] = []
        self.records: list[Record] = []

    def poll(self) -> None:
        self.records += self.reader.poll(POLL_MS, MANY)
        for change in self.reader.assignment_changes():
            self.changes.append(change)
            self.owned -= {*change.revoked, *change.lost}
            self.owned |= {*change.assigned}

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for record in self.records]


def until(is_done: Callable[[], bool], *members: Member) -> None:
    """Poll in turn until it is so."""
    for _ in range(ROUNDS):
        for member in members:
            member.poll()
        if is_done():
            return
    raise AssertionError(f"not within {ROUNDS} rounds: {[(m.owned, m.values) for m in members]}")


def joined(log: Log, group: str, topic: str, instance: str | None = None) -> Member:
    """The only member of its group, with everything assigned."""
    member = Member(log.reader(group, [topic], instance))
    until(lambda: bool(member.owned), member)
    return member


def record(topic: str, value: bytes | None, partition: int = 0, key: bytes | None = b"k") -> Record:
    return Record(topic, partition, 0, 1_700_000_000_000, key, value, ())


def fill(log: Log, topic: str, *values: bytes) -> TopicPartition:
    for value in values:
        log.append(record(topic, value))
    return TopicPartition(topic, 0)


def committed_values(log: Log, topic: str) -> list[bytes | None]:
    reader, tp = log.log_reader(), TopicPartition(topic, 0)
    return [r.value for r in reader.read(tp, reader.begin_offset(tp), reader.high_watermark(tp))]


def records_come_back_as_they_were_sent(log: Log) -> None:
    topic = log.topic(2)
    sent = [
        Record(topic, 0, 0, 1_700_000_000_000, b"a", b"1", (("h", b"x"), ("h", b"y"))),
        Record(topic, 0, 1, 1_600_000_000_000, None, b"", ()),
        Record(topic, 0, 2, 1_700_000_000_001, b"a", None, ()),
        Record(topic, 1, 0, 1_700_000_000_002, b"\x00", b"\xff" * 1_000_000, ()),
    ]
    for each in sent:
        log.append(each)
    reader, zero, one = log.log_reader(), TopicPartition(topic, 0), TopicPartition(topic, 1)
    assert reader.partitions(topic) == 2
    assert (reader.begin_offset(zero), reader.high_watermark(zero), reader.high_watermark(one)) == (0, 3, 1)
    assert list(reader.read(zero, 0, 3)) == sent[:3]
    assert list(reader.read(one, 0, 1)) == sent[3:]
    assert list(reader.read(zero, 1, 2)) == sent[1:2]
    assert list(reader.read(zero, 3, 3)) == []


def an_unknown_topic_has_no_partitions(log: Log) -> None:
    assert log.log_reader().partitions(log.name("never-made")) == 0


def assigned_partitions_wait_until_they_are_resumed(log: Log) -> None:
    topic = log.topic()
    tp = fill(log, topic, b"1", b"2")
    member = joined(log, log.name("group"), topic)
    member.poll()
    assert member.values == []
    member.reader.resume([tp])
    until(lambda: member.values == [b"1", b"2"], member)
    member.reader.pause([tp])
    fill(log, topic, b"3")
    member.poll()
    assert member.values == [b"1", b"2"]
    member.reader.seek(tp, 1)
    member.reader.resume([tp])
    until(lambda: member.values == [b"1", b"2", b"2", b"3"], member)


def a_poll_returns_no_more_records_than_asked_for(log: Log) -> None:
    topic = log.topic()
    tp = fill(log, topic, *(b"%d" % i for i in range(10)))
    member = joined(log, log.name("group"), topic)
    member.reader.resume([tp])
    offsets: list[int] = []
    for _ in range(ROUNDS):
        some = member.reader.poll(1_000, 3)
        offsets += [r.offset for r in some]
        assert len(some) <= 3
        assert member.reader.position(tp) == len(offsets)
        if len(offsets) == 10:
            break
    assert offsets == list(range(10))


def offsets_and_what_is_written_beside_them_are_committed_with_the_records(log: Log) -> None:
    source, sink, group = log.topic(2), log.topic(), log.name("group")
    member = joined(log, group, source)
    zero, one = TopicPartition(source, 0), TopicPartition(source, 1)
    assert member.reader.committed(zero) is None
    writer = log.writer(log.name("writer"))
    for turn in (1, 2):
        writer.begin()
        writer.send(sink, 0, b"k", b"%d" % turn)
        offsets = {zero: Committed(turn, f"stamp {turn}"), one: Committed(turn + 5)}
        writer.commit(offsets, member.reader.membership())
        assert member.reader.committed(zero) == Committed(turn, f"stamp {turn}")
        assert member.reader.committed(one) == Committed(turn + 5, "")
        both = member.reader.committed_offsets([zero, one])
        assert both == {tp: member.reader.committed(tp) for tp in (zero, one)}
    assert committed_values(log, sink) == [b"1", b"2"]


def a_member_goes_on_from_the_committed_offset(log: Log) -> None:
    topic, group = log.topic(), log.name("group")
    tp = fill(log, topic, b"1", b"2", b"3")
    first = joined(log, group, topic)
    assert first.reader.position(tp) == 0
    writer = log.writer(log.name("writer"))
    writer.begin()
    writer.commit({tp: Committed(2)}, first.reader.membership())
    first.reader.close()
    second = joined(log, group, topic)
    assert second.reader.position(tp) == 2
    second.reader.resume([tp])
    until(lambda: second.values == [b"3"], second)


def a_transaction_is_invisible_until_it_is_committed(log: Log) -> None:
    source, sink = log.topic(), log.topic()
    member, watcher = joined(log, log.name("group"), source), joined(log, log.name("group"), sink)
    tp, reader = TopicPartition(sink, 0), log.log_reader()
    watcher.reader.resume([tp])
    writer = log.writer(log.name("writer"))
    writer.begin()
    writer.send(sink, 0, b"k", b"1")
    until(lambda: reader.high_watermark(tp) == 1, watcher)
    assert watcher.values == []
    assert watcher.reader.end_offsets([tp])[tp] == 1, "it has arrived, which is why nobody is caught up"
    writer.commit({TopicPartition(source, 0): Committed(0)}, member.reader.membership())
    until(lambda: watcher.values == [b"1"], watcher)


def an_aborted_transaction_leaves_nothing(log: Log) -> None:
    source, sink = log.topic(), log.topic()
    member, writer = joined(log, log.name("group"), source), log.writer(log.name("writer"))
    tp = TopicPartition(source, 0)
    writer.begin()
    writer.send(sink, 0, b"k", b"aborted")
    writer.abort()
    assert committed_values(log, sink) == []
    assert member.reader.committed(tp) is None
    writer.begin()
    writer.send(sink, 0, b"k", b"kept")
    writer.commit({tp: Committed(1)}, member.reader.membership())
    assert committed_values(log, sink) == [b"kept"]


def a_second_writer_of_the_same_id_fences_the_first(log: Log) -> None:
    source, sink, name = log.topic(), log.topic(), log.name("writer")
    member, tp = joined(log, log.name("group"), source), TopicPartition(source, 0)
    first, second = log.writer(name), log.writer(name)
    first.begin()
    first.send(sink, 0, b"k", b"zombie")
    second.begin()
    with pytest.raises(CommitFenced):
        first.commit({tp: Committed(1, "zombie")}, member.reader.membership())
    second.send(sink, 0, b"k", b"owner")
    second.commit({tp: Committed(2, "owner")}, member.reader.membership())
    assert committed_values(log, sink) == [b"owner"]
    assert member.reader.committed(tp) == Committed(2, "owner")


def a_commit_of_somebody_who_has_not_joined_is_refused(log: Log) -> None:
    source, sink, group = log.topic(), log.topic(), log.name("group")
    member, writer = joined(log, group, source), log.writer(log.name("writer"))
    tp = TopicPartition(source, 0)
    writer.begin()
    writer.send(sink, 0, b"k", b"1")
    with pytest.raises(CommitFenced):
        writer.commit({tp: Committed(1)}, Membership(group, -1, "", None))
    assert committed_values(log, sink) == []
    assert member.reader.committed(tp) is None


def a_member_of_the_past_is_fenced(log: Log) -> None:
    source, sink, group = log.topic(2), log.topic(), log.name("group")
    old = joined(log, group, source)
    past = old.reader.membership()
    assert past.is_joined
    new = Member(log.reader(group, [source]))
    until(lambda: bool(old.owned and new.owned) and not old.owned & new.owned, old, new)
    assert old.reader.membership().generation > past.generation
    tp = next(iter(new.owned))
    writer = log.writer(log.name("writer"))
    writer.begin()
    writer.send(sink, 0, b"k", b"zombie")
    with pytest.raises(CommitFenced):
        writer.commit({tp: Committed(1)}, past)
    assert committed_values(log, sink) == []
    assert new.reader.committed(tp) is None
    writer.begin()
    writer.commit({tp: Committed(2)}, new.reader.membership())
    assert new.reader.committed(tp) == Committed(2)


def a_position_passes_the_markers_of_transactions(log: Log) -> None:
    source, sink = log.topic(), log.topic()
    member, watcher = joined(log, log.name("group"), source), joined(log, log.name("group"), sink)
    tp, writer = TopicPartition(sink, 0), log.writer(log.name("writer"))
    watcher.reader.resume([tp])
    for value in (b"1", b"2"):
        writer.begin()
        writer.send(sink, 0, b"k", value)
        writer.commit({TopicPartition(source, 0): Committed(1)}, member.reader.membership())
    until(lambda: watcher.values == [b"1", b"2"] and watcher.reader.position(tp) == 4, watcher)
    assert watcher.reader.end_offsets([tp])[tp] == 4
    assert log.log_reader().high_watermark(tp) == 4


def settling_ends_what_was_open(log: Log) -> None:
    source, sink = log.topic(), log.topic()
    member, writer = joined(log, log.name("group"), source), log.writer(log.name("writer"))
    tp = TopicPartition(source, 0)
    writer.begin()
    writer.send(sink, 0, b"k", b"unknown")
    writer.settle()
    assert committed_values(log, sink) == []
    assert member.reader.committed(tp) is None
    writer.begin()
    writer.send(sink, 0, b"k", b"next")
    writer.commit({tp: Committed(1)}, member.reader.membership())
    writer.settle()
    assert committed_values(log, sink) == [b"next"]


def a_send_to_nowhere_aborts_and_the_writer_goes_on(log: Log) -> None:
    source, sink = log.topic(), log.topic()
    member, writer = joined(log, log.name("group"), source), log.writer(log.name("writer"))
    writer.begin()
    writer.send(sink, 0, b"k", b"aborted")
    with pytest.raises(CommitAborted):
        writer.send(sink, 99, b"k", b"no such partition")
    writer.begin()
    writer.send(sink, 0, b"k", b"kept")
    writer.commit({TopicPartition(source, 0): Committed(1)}, member.reader.membership())
    assert committed_values(log, sink) == [b"kept"]


def reading_before_the_beginning_is_refused(log: Log) -> None:
    topic = log.topic()
    tp = fill(log, topic, b"1", b"2", b"3")
    member, reader = joined(log, log.name("group"), topic), log.log_reader()
    log.truncate(tp, 2)
    assert (reader.begin_offset(tp), member.reader.begin_offsets([tp])[tp]) == (2, 2)
    with pytest.raises(LogTruncated, match=r"offset 0 .* begins at 2"):
        list(reader.read(tp, 0, 3))
    assert [r.value for r in reader.read(tp, 2, 3)] == [b"3"]
    member.reader.seek(tp, 0)
    member.reader.resume([tp])
    with pytest.raises(LogTruncated, match=r"offset 0 .* begins at 2"):
        until(lambda: False, member)


def members_share_the_partitions_and_hear_of_every_change(log: Log) -> None:
    topic, group = log.topic(4), log.name("group")
    everything = {TopicPartition(topic, number) for number in range(4)}
    old = joined(log, group, topic)
    assert old.owned == everything
    assert old.changes == [AssignmentChange(assigned=tuple(sorted(everything)))]
    new = Member(log.reader(group, [topic]))
    until(lambda: len(old.owned) == len(new.owned) == 2, old, new)
    assert old.owned | new.owned == everything
    assert old.changes[1] == AssignmentChange(revoked=tuple(sorted(everything)))
    assert old.reader.membership().generation == new.reader.membership().generation
    new.reader.close()
    until(lambda: old.owned == everything, old)


def who_has_nothing_hears_so(log: Log) -> None:
    """More members than partitions: the one that is too many is ready, and gives up what it had."""
    topic, group = log.topic(), log.name("group")
    members = [joined(log, group, topic)]
    members.append(Member(log.reader(group, [topic])))
    until(
        lambda: all(m.changes and not (m.changes[-1].revoked or m.changes[-1].lost) for m in members),
        *members,
    )
    assert sorted(len(m.owned) for m in members) == [0, 1]
    (spare,) = [member for member in members if not member.owned]
    assert spare.changes[-1] == AssignmentChange()
    count = len(spare.changes)
    for _ in range(3):
        spare.poll()
    assert len(spare.changes) == count, "once"


def a_static_member_comes_back_without_a_rebalance(log: Log) -> None:
    topic, group = log.topic(2), log.name("group")
    first = joined(log, group, topic, "pod-0")
    generation, owned = first.reader.membership().generation, first.owned
    first.reader.close()
    second = joined(log, group, topic, "pod-0")
    assert second.reader.membership().generation == generation
    assert second.reader.membership().instance == "pod-0"
    assert second.owned == owned


BEHAVIOURS: list[Callable[[Log], None]] = [
    records_come_back_as_they_were_sent,
    an_unknown_topic_has_no_partitions,
    assigned_partitions_wait_until_they_are_resumed,
    a_poll_returns_no_more_records_than_asked_for,
    offsets_and_what_is_written_beside_them_are_committed_with_the_records,
    a_member_goes_on_from_the_committed_offset,
    a_transaction_is_invisible_until_it_is_committed,
    an_aborted_transaction_leaves_nothing,
    a_second_writer_of_the_same_id_fences_the_first,
    a_commit_of_somebody_who_has_not_joined_is_refused,
    a_member_of_the_past_is_fenced,
    a_position_passes_the_markers_of_transactions,
    settling_ends_what_was_open,
    a_send_to_nowhere_aborts_and_the_writer_goes_on,
    reading_before_the_beginning_is_refused,
    members_share_the_partitions_and_hear_of_every_change,
    who_has_nothing_hears_so,
    a_static_member_comes_back_without_a_rebalance,
]
