"""Records of a topic over all its partitions."""

from __future__ import annotations

from correlator.cli.topic_records import in_time
from correlator.record import Record


def at(partition: int, offset: int, timestamp_ms: int) -> Record:
    return Record("alerts", partition, offset, timestamp_ms, b"k", b"v", ())


def test_records_come_in_order_of_publication_and_never_out_of_that_of_their_partition() -> None:
    first, back, late, other = at(0, 0, 50), at(0, 1, 10), at(0, 2, 90), at(1, 0, 60)
    assert in_time([first, back, late, other]) == [first, back, other, late]
