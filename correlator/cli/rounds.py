"""Both stages over records that are there, on as many cores as there are, without a log between them.

This process takes the records, as the worker does; others fold the partitions of *keyed*, each its share.
They go in rounds: what a step of intake made is folded while the next one is made, and what entities tell
others in one round is folded in the next. So what is told does not hang on which process is faster, nor on
how many there are: on one core, where all is folded here, it is the same.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Protocol, cast

import msgspec

from correlator.cli.replay import Replay
from correlator.cli.stopping import STOPPING
from correlator.engine.bundles import Bundles
from correlator.frame import decode_frame, encode_frame
from correlator.models.scorer import Scorer
from correlator.pipeline import Bundle, InForce, correlate_step
from correlator.record import Record
from correlator.timeline.partition import Partition
from correlator.timeline.telling import Told, frames

TELL_STEPS = 20  # of intake, between two words about progress

Framed = list[tuple[int, bytes]]  # (partition of *keyed*, encoded frame), in order
Said = list[tuple[int, Told]]  # (partition, what its entities tell others), in order
Published = tuple[bytes, bool]  # alert record, whether in shadow

_batch = msgspec.msgpack.Decoder(Framed).decode


class ProcessDied(Exception):
    """One that folds: what is known of why, for a person."""


class _Folded(msgspec.Struct):
    """A partition, and by what it evaluates."""

    partition: Partition
    force: InForce


class _Fold:
    """Partitions *numbers* of *keyed*; *alerts* is all that they published."""

    def __init__(self, bundles: Bundles, numbers: Iterable[int]) -> None:
        self.alerts: list[Published] = []
        self._bundles = bundles
        nothing = InForce()
        self._by_number = {
            number: _Folded(Partition(nothing.program, Scorer(number), number), nothing) for number in numbers
        }

    def fold(self, batch: Framed) -> Said:
        said: Said = []
        for number, raw in batch:
            one = self._by_number[number]
            frame = decode_frame(raw, one.partition.codes)
            one.force = self._bundles.after(one.force, frame.activate, one.partition.now_ms)
            done = correlate_step(frame, one.partition, one.force, crc=0)
            said.append((number, done.folded.told))
            for change, alert in zip(done.folded.changes, done.alerts, strict=True):
                self.alerts.append((alert.value, change.alert.is_shadow))
        return said


class _Member(Protocol):
    """Who folds a share. Every `send` is answered, before the next one."""

    numbers: frozenset[int]

    def send(self, batch: Framed) -> None: ...
    def receive(self) -> Said: ...
    def finish(self) -> list[Published]: ...
    def close(self) -> None: ...


class _Here:
    """Folds in this process."""

    def __init__(self, bundles: Bundles, numbers: Iterable[int]) -> None:
        self.numbers = frozenset(numbers)
        self._fold, self._said = _Fold(bundles, numbers), Said()

    def send(self, batch: Framed) -> None:
        self._said = self._fold.fold(batch)

    def receive(self) -> Said:
        return self._said

    def finish(self) -> list[Published]:
        return self._fold.alerts

    def close(self) -> None:
        pass


class _There:
    """Folds in a process of its own. Raises `ProcessDied`."""

    def __init__(self, bundles: Bundles, numbers: Iterable[int]) -> None:
        self.numbers = frozenset(numbers)
        context = get_context("fork")  # compiled rules cannot be sent
        self._ours, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(_Fold(bundles, numbers), theirs, self._ours), daemon=True
        )
        self._process.start()
        theirs.close()

    def send(self, batch: Framed) -> None:
        self._put(msgspec.msgpack.encode(batch))

    def receive(self) -> Said:
        return cast("Said", self._get())

    def finish(self) -> list[Published]:
        self._put(b"")
        return cast("list[Published]", self._get())

    def close(self) -> None:
        """Whatever it is at: it has nothing to lose."""
        self._process.kill()
        self._process.join()
        self._ours.close()

    def _put(self, message: bytes) -> None:
        try:
            self._ours.send_bytes(message)
        except OSError as error:
            raise self._died() from error

    def _get(self) -> object:
        try:
            return self._ours.recv()
        except (EOFError, OSError) as error:
            raise self._died() from error

    def _died(self) -> ProcessDied:
        self._process.join()
        code = self._process.exitcode or 0
        if code < 0:
            how = f"was killed by {signal.Signals(-code).name}: did the machine run out of memory?"
        else:
            how = "ended with the error above"
        return ProcessDied(f"a process of the back-test {how}")


def _serve(fold: _Fold, parent: Connection, other_end: Connection) -> None:
    """In the process of a `_There`."""
    other_end.close()
    gc.disable()  # what is folded has no cycles: a worker's collections find nothing of it
    while batch := parent.recv_bytes():
        parent.send(fold.fold(_batch(batch)))
    parent.send(fold.alerts)


class _Team:
    """Members, each with its share of the *partitions* of *keyed*, and the rounds they go in."""

    def __init__(self, bundle: Bundle, members: Sequence[_Member]) -> None:
        self._bundle, self._members = bundle, members
        self._is_out = False  # a round is being folded

    def go_on(self, made: Framed) -> bool:
        """Another round: of what was told in the last one, and *made*. False if there is nothing to fold."""
        batch = self._told() + made
        self._is_out = bool(batch)
        for member in self._members if batch else ():
            member.send([row for row in batch if row[0] in member.numbers])
        return self._is_out

    def _told(self) -> Framed:
        if not self._is_out:
            return []
        said = [row for member in self._members for row in member.receive()]
        said.sort(key=_number)  # whoever it was that folded it
        partitions, name = self._bundle.intake.partitions, self._bundle.hash
        return [(number, encode_frame(frame)) for number, frame in frames(said, partitions, name)]

    def finish(self) -> list[Published]:
        return [alert for member in self._members for alert in member.finish()]


def _number(row: tuple[int, Told]) -> int:
    return row[0]


def processes() -> int:
    """To fold in: two for each core that this process may use, since a round waits for the slowest."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 2 * cores if cores > 1 else 1


def told_of(
    bundle: Bundle,
    records: list[Record],
    identities: list[tuple[str, bytes]],
    on_taken: Callable[[int], None],
    processes: int,
) -> list[Published] | None:
    """Every alert change that *bundle* publishes of *records*, those of an entity in order, everything
    settled; None when asked to stop.

    *on_taken* hears how many records were taken. *processes* fold, beside this one; with less than two this
    one folds. Raises `ProcessDied`.
    """
    replay = Replay(bundle, records, identities, stage="intake")
    partitions = bundle.intake.partitions
    shares = [range(first, partitions, processes) for first in range(min(processes, partitions))]
    with ExitStack() as stack:
        bundles = replay.embedded.bundles()
        if len(shares) > 1:
            members: list[_Member] = [_There(bundles, share) for share in shares]
        else:
            members = [_Here(bundles, range(partitions))]
        for member in members:
            stack.callback(member.close)
        team, steps = _Team(bundle, members), 0

        def after_step() -> None:
            nonlocal steps
            steps += 1
            team.go_on(replay.take_keyed())
            if steps % TELL_STEPS == 0:
                on_taken(replay.taken())

        replay.worker.run(lambda: STOPPING.is_asked, after_step)
        while not STOPPING.is_asked and team.go_on(replay.take_keyed()):
            pass
        on_taken(replay.taken())
        return None if STOPPING.is_asked else team.finish()
