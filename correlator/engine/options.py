"""What a stage is given: its ports, and the numbers that pace it. None of them can change an alert."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from correlator.engine.ports import Clock, GroupReader, LogReader, Meter, TransactionalWriter


def _nothing() -> None:
    return


class Options(msgspec.Struct, frozen=True):
    """Durations in ms."""

    poll_ms: int = 500  # of waiting for records when there is nothing to do; an embedded log answers at once
    shared_poll_ms: int = 50  # the same where a stage waits while the other one could work
    pace_ms: int = 20  # between two transactions of intake
    tick_ms: int = 1_000
    look_ms: int = 500  # how old the known end of an input may be when none of its records wait
    records_max: int = 2_000  # raw records a transaction
    spans: int = 4  # steps to a horizon of arrival, at least: one step must not make too much of history old
    frames_max: int = 48
    restore_ms: int = 200  # of restoring between two polls
    restore_alone_ms: int = 2_000  # the same while nothing else is live
    checkpoint_ms: int = 60_000
    replay_ms_max: int = 5_000  # of folding that a restart may have to repeat, of all partitions
    checkpoint_events: int = 1_000_000
    slice_entities: int = 200
    bad_in_a_row_max: int = 200  # dead letters of one input partition before it is stopped
    attempts_max: int = 5  # at a commit on the way out
    leave_ms: int = 5_000  # within which they begin: who asked us to leave may not wait for minutes
    is_bounded: bool = False  # read what is there, settle everything, and end


class Ports(msgspec.Struct):
    """The edges of one stage. *clock* is intake's idea of time, *steady* measures and paces."""

    reader: GroupReader
    writer: TransactionalWriter
    log: LogReader
    clock: Clock
    steady: Clock
    meter: Meter
    restored: Callable[[], None] = _nothing  # a partition came back: much of the heap is now long-lived
