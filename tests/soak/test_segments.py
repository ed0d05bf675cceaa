"""What is read from a broker's segments, and whose fault a doubled frame is by them; no broker is needed."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from kafka.record.default_records import DefaultRecordBatchBuilder

from tests.soak.killed_broker import OFFSETS, Disk, ended_by
from tests.soak.segments import batches, written

CONTROL = 0x20
NAME = "correlate-a"
ONGOING, PREPARE_COMMIT, PREPARE_ABORT = 1, 2, 3
COMMIT, ABORT = struct.pack(">hh", 0, 1), struct.pack(">hh", 0, 0)


def batch(offset: int, epoch: int, key: bytes | None, value: bytes, at_ms: int) -> bytes:
    """Of producer 7; a marker where *key* is one."""
    builder = DefaultRecordBatchBuilder(2, 0, True, 7, epoch, 0, 1 << 16)
    builder.append(0, at_ms, key, value, [])
    raw = bytearray(builder.build())
    struct.pack_into(">q", raw, 0, offset)
    if key in (COMMIT, ABORT):
        raw[22] |= CONTROL
    return bytes(raw)


def state(offset: int, epoch: int, number: int, topic: str, at_ms: int) -> bytes:
    """What a coordinator of today writes: partition 0 of *topic* and of the offsets take part."""
    names = b"".join(
        bytes([len(n) + 1]) + n.encode() + b"\x02" + struct.pack(">i", 0) + b"\x00" for n in (topic, OFFSETS)
    )
    value = struct.pack(">hqhib", 1, 7, epoch, 10_000, number) + b"\x03" + names
    value += struct.pack(">qq", at_ms, at_ms) + b"\x00"
    return batch(offset, 0, struct.pack(">hh", 0, len(NAME)) + NAME.encode(), value, at_ms)


def segment(data: Path, topic: str, raw: Sequence[bytes]) -> None:
    (data / f"{topic}-0").mkdir()
    (data / f"{topic}-0" / "00000000000000000000.log").write_bytes(b"".join(raw))


def on_disk(data: Path, decided: int, markers: Sequence[bytes], of_offsets: Sequence[bytes]) -> Disk:
    """A frame of epoch 0, written at 100 ms, and sent again in epoch 2 after what was *decided* of it."""
    segment(data, "keyed", [batch(0, 0, None, b"frame", 100), *markers])
    segment(data, OFFSETS, of_offsets)
    states = [state(0, 0, ONGOING, "keyed", 90), state(1, 1, decided, "keyed", 200)]
    segment(data, "__transaction_state", states)
    return Disk(data, "keyed")


AGAIN = [batch(1, 2, None, b"frame", 300), batch(2, 2, COMMIT, b"", 400)]


@pytest.mark.parametrize(
    ("decided", "of_offsets", "whose"),
    [
        (PREPARE_ABORT, [], "KAFKA"),
        (PREPARE_COMMIT, [batch(0, 2, COMMIT, b"", 400)], "KAFKA"),
        (PREPARE_COMMIT, [batch(0, 1, COMMIT, b"", 210)], "OURS"),
        (ONGOING, [], "OURS"),
    ],
)
def test_whose_fault_a_doubled_frame_is(
    tmp_path: Path, decided: int, of_offsets: list[bytes], whose: str
) -> None:
    disk = on_disk(tmp_path, decided, AGAIN, of_offsets)
    first = disk.logs[0][0]
    assert ended_by(first, disk.logs[0]).epoch == 2
    assert disk.cause(0, first).startswith(whose)


def test_what_no_marker_has_ended_is_hanging(tmp_path: Path) -> None:
    disk = on_disk(tmp_path, PREPARE_ABORT, [], [])
    assert disk.hanging("keyed") == ["keyed/0 at 0, epoch 0: Ongoing/0* -10 ms PrepareAbort/1* +100 ms"]
    assert disk.hanging(OFFSETS) == []


def test_a_batch_that_is_cut_off_is_left_out(tmp_path: Path) -> None:
    segment(tmp_path, "keyed", [batch(0, 0, None, b"frame", 1), batch(1, 0, None, b"frame", 1)[:-3]])
    assert [b.offset for b in batches(tmp_path, "keyed", 0)] == [0]
    segment(tmp_path, "__transaction_state", [state(5, 3, ONGOING, "keyed", 9)])
    (found,) = written(tmp_path)
    assert (found.transactional_id, found.producer, found.epoch, found.state) == (NAME, 7, 3, "Ongoing")
    assert found.partitions == {("keyed", 0), (OFFSETS, 0)}
