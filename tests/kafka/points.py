"""Points of a worker's life at which tests halt it, by name.

Production code has no hooks for this. In a process of its own a test wraps the few methods at which the
points lie; everything between them is what runs in production.

    {stage}-joining        about to poll
    {stage}-polled         a poll brought records
    {stage}-mid-batch      intake: records became frames; correlate: one frame of a batch is folded
    {stage}-begun          a transaction is begun
    {stage}-sending        between two sends, the first of them at the broker
    {stage}-flushed        every send is at the broker
    {stage}-offsets-sent   and the offsets
    {stage}-commit-sent    the commit was sent, its reply is as good as lost
    {stage}-committed      it is known to be committed, and not applied
    {stage}-leaving        told to stop, nothing done about it yet
    {stage}-left           everything is committed, the group not left
    intake-learning        reading the identities before anything is taken
    correlate-cut          a checkpoint: some of the frozen entities are encoded
    correlate-cut-flushed  a checkpoint: all of it is at the broker, open
    correlate-cut-sent     a checkpoint: its commit was sent
    correlate-restoring    in the middle of reading a checkpoint
    correlate-replaying    in the middle of the silent replay
    correlate-parked       partitions were revoked, their tasks are kept for their return
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from correlator.engine import correlate_stage
from correlator.engine.checkpoint import Cut
from correlator.engine.ports import TopicPartition
from correlator.engine.worker import Worker
from correlator.record import Record

COMMIT_STEPS = {"send_offsets_to_transaction": "offsets-sent", "begin_commit": "commit-sent"}


class Reached(Protocol):
    """What is told of every point. *first* is to be done before the process is halted there."""

    def __call__(self, point: str, first: Callable[[], object] = ...) -> None: ...


def watch(worker: Worker, reached: Reached) -> None:
    """Have *reached* called at every point of *worker*, on the thread that gets there."""
    stages: list[Any] = [stage for stage in (worker._intake, worker._correlate) if stage is not None]
    for stage in stages:
        name, ports = stage.name, stage._ports
        _before(ports.reader, "poll", reached, f"{name}-joining")
        _after(ports.reader, "poll", reached, f"{name}-polled")
        _after(stage._committer, "attempt", reached, f"{name}-committed", lambda action: action == "apply")
        _before(stage, "finish", reached, f"{name}-leaving")
        _after(stage, "finish", reached, f"{name}-left", _always)
        Commits(name, ports.writer, reached)
    if worker._intake is not None:
        _watch_intake(worker._intake, reached)
    if worker._correlate is not None:
        _watch_correlate(worker._correlate, reached)


class Commits:
    """The points of a transaction. Those of one that holds a checkpoint have names of their own."""

    def __init__(self, stage: str, writer: Any, reached: Reached) -> None:
        self._stage, self._writer, self._reached = stage, writer, reached
        self._sent, self._is_cut = 0, False
        self._begin, self._send, self._flush = writer.begin, writer.send, writer._flush
        self._call = writer._call
        writer.begin, writer.send, writer._flush, writer._call = self.begin, self.send, self.flush, self.call

    def begin(self) -> None:
        self._begin()
        self._sent, self._is_cut = 0, False
        self._reached(f"{self._stage}-begun")

    def send(self, topic: str, *rest: Any) -> None:
        self._is_cut = self._is_cut or topic.endswith("checkpoints")
        if self._sent == 1:
            self._reached(f"{self._stage}-sending", self._writer._producer.flush)
        self._sent += 1
        self._send(topic, *rest)

    def flush(self) -> None:
        self._flush()
        self._reached(f"{self._stage}-cut-flushed" if self._is_cut else f"{self._stage}-flushed")

    def call(self, method: str, *arguments: object, **options: Any) -> None:
        self._call(method, *arguments, **options)
        if method in COMMIT_STEPS and not self._is_cut:
            self._reached(f"{self._stage}-{COMMIT_STEPS[method]}")
        elif method == "begin_commit":
            self._reached(f"{self._stage}-cut-sent")


def _watch_intake(stage: Any, reached: Reached) -> None:
    _after(stage, "_take", reached, "intake-mid-batch", lambda taken: taken[1] > 0)
    _in_the_middle(stage._ports.log, {stage._topics.identities: "intake-learning"}, reached)


def _watch_correlate(stage: Any, reached: Reached) -> None:
    topics = stage._topics
    reads = {topics.checkpoints: "correlate-restoring", topics.keyed: "correlate-replaying"}
    _in_the_middle(stage._ports.log, reads, reached)
    _after(correlate_stage, "correlate_step", reached, "correlate-mid-batch", _always)
    _after(Cut, "advance", reached, "correlate-cut", lambda is_whole: not is_whole)
    _after(stage.tasks, "_give_up", reached, "correlate-parked", lambda _none: bool(stage.tasks._parked))


def _in_the_middle(log: Any, points: dict[str, str], reached: Reached) -> None:
    """After the first record of a read of one of these topics."""
    original = log.read

    def read(partition: TopicPartition, start: int, end: int) -> Iterator[Record]:
        for count, record in enumerate(original(partition, start, end)):
            if count == 1 and partition.topic in points:
                reached(points[partition.topic])
            yield record

    log.read = read


def _always(_found: object) -> bool:
    return True


def _after(owner: Any, method: str, reached: Reached, point: str, when: Callable[[Any], bool] = bool) -> None:
    original = getattr(owner, method)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        found = original(*arguments, **options)
        if when(found):
            reached(point)
        return found

    setattr(owner, method, wrapped)


def _before(owner: Any, method: str, reached: Reached, point: str) -> None:
    original = getattr(owner, method)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        reached(point)
        return original(*arguments, **options)

    setattr(owner, method, wrapped)
