"""What only the embedded log can be asked: compaction on demand, delayed markers, eviction."""

from __future__ import annotations

import pytest

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.memory.clients import MemoryGroupReader, MemoryLogReader, MemoryTransactionalWriter
from correlator.adapters.memory.log import TOMBSTONES_MS, ConcurrentTransactions, Fenced, MemoryLog
from correlator.engine.ports import Committed, LogTruncated, TopicPartition

TP = TopicPartition("t", 0)


def _log(*values: tuple[bytes, bytes | None]) -> MemoryLog:
    log = MemoryLog(SimulatedClock())
    log.create_topic("t", 1)
    for key, value in values:
        log.append(TP, key, value)
    return log


def _values(log: MemoryLog, start: int = 0) -> list[bytes | None]:
    return [r.value for r in MemoryLogReader(log).read(TP, start, log.partition(TP).next_offset)]


def test_compaction_keeps_the_newest_record_of_a_key_at_its_offset() -> None:
    log = _log((b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"b", None))
    log.compact("t")
    assert [(r.offset, r.value) for r in MemoryLogReader(log).read(TP, 0, 4)] == [(2, b"3"), (3, None)]
    log.clock.sleep_ms(TOMBSTONES_MS + 1)
    log.compact("t")
    assert [(r.offset, r.value) for r in MemoryLogReader(log).read(TP, 0, 4)] == [(2, b"3")]
    assert log.partition(TP).next_offset == 4
    log.append(TP, b"c", b"4")
    assert _values(log) == [b"3", b"4"]


def test_compaction_leaves_an_open_transaction_alone() -> None:
    log = _log((b"a", b"1"))
    producer = log.init_producer("p")
    log.produce(producer, TP, (b"a", b"2", (), None))
    log.compact("t")
    log.end(producer, is_commit=False)
    assert _values(log) == [b"1"]


def test_delayed_markers_hold_back_readers_and_the_next_transaction() -> None:
    log = MemoryLog(SimulatedClock(), has_delayed_markers=True)
    log.create_topic("t", 1)
    producer = log.init_producer("p")
    log.produce(producer, TP, (b"a", b"1", (), None))
    log.end(producer, is_commit=True)
    assert log.partition(TP).stable_offset == 0
    with pytest.raises(ConcurrentTransactions):
        log.produce(producer, TP, (b"a", b"2", (), None))
    assert _values(log) == [b"1"], "a reader waits for the marker"


def test_a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() -> None:
    clock = SimulatedClock()
    log = MemoryLog(clock)
    log.create_topic("t", 1)
    producer = log.init_producer("p")
    log.produce(producer, TP, (b"a", b"1", (), None))
    assert _values(log) == [], "waiting for the end of the transaction let it expire"
    with pytest.raises(Fenced):
        log.end(producer, is_commit=True)


def test_an_evicted_member_hears_that_it_has_lost_its_partitions() -> None:
    log = _log()
    reader = MemoryGroupReader(log, "g", ["t"])
    reader.poll(0, 1)
    past = reader.membership()
    log.evict("g", past.member)
    reader.poll(0, 1)
    changes = reader.assignment_changes()
    assert [bool(c.lost) for c in changes] == [False, True, False]
    assert reader.membership() != past
    writer = MemoryTransactionalWriter(log, "w")
    writer.begin()
    writer.commit({TP: Committed(0)}, reader.membership())
    assert reader.committed(TP) == Committed(0)


def test_a_producer_begins_when_the_markers_of_the_last_one_of_its_id_are_written() -> None:
    log = MemoryLog(SimulatedClock(), has_delayed_markers=True)
    log.create_topic("t", 1)
    old = log.init_producer("p")
    log.produce(old, TP, (b"a", b"1", (), None))
    with pytest.raises(ConcurrentTransactions):
        log.init_producer("p")
    with pytest.raises(Fenced):
        log.end(old, is_commit=True)
    while log.write_marker():
        pass
    assert log.init_producer("p").epoch > old.epoch
    assert _values(log) == []


def test_a_transaction_left_half_way_is_aborted_by_the_next() -> None:
    log = _log()
    reader = MemoryGroupReader(log, "g", ["t"])
    reader.poll(0, 1)
    writer = MemoryTransactionalWriter(log, "w")
    for value in (b"left", b"kept"):
        writer.begin()
        writer.send("t", 0, b"a", value)
    writer.commit({TP: Committed(0)}, reader.membership())
    assert _values(log) == [b"kept"]


def test_retention_that_overtakes_a_reader_is_not_passed_over() -> None:
    log = _log((b"a", b"1"), (b"b", b"2"), (b"c", b"3"))
    reader = MemoryLogReader(log)
    reader.records_max = 1
    records = reader.read(TP, 0, 3)
    assert next(records).value == b"1"
    log.truncate(TP, 2)
    with pytest.raises(LogTruncated, match="offset 1 is gone, the log begins at 2"):
        next(records)
