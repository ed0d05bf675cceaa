"""One loop per process: it alternates the stages it was given, until told to stop or, bounded, until all is
settled.

    while not stopping: intake.step(); correlate.step()

A stage waits for records only when the round before found nothing to do for either.
A log that does not answer is no error: the loop backs off, says so, and asks again. `EngineRefusal` ends it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Protocol

from correlator.engine.correlate_stage import CorrelateStage
from correlator.engine.health import Health
from correlator.engine.intake_stage import IntakeStage
from correlator.engine.options import Options
from correlator.engine.ports import Clock, LogTruncated, LogUnavailable, Meter
from correlator.engine.topics import EngineRefusal
from correlator.timeline.partition import Partition

BACK_OFF_MIN_MS, BACK_OFF_MAX_MS = 100, 5_000
COLLECT_YOUNG_MS = 2_000  # between collections of young garbage while busy
COLLECT_ALL_MS = 60_000  # between full collections, which wait for an idle moment


class _Stage(Protocol):
    name: str
    clock: Clock  # the wall's

    @property
    def bundle(self) -> str: ...
    def step(self, wait_ms: int) -> int: ...
    def waiting(self) -> tuple[str, ...]: ...
    def finish(self) -> None: ...
    def close(self) -> None: ...

    @property
    def is_caught_up(self) -> bool: ...


class Worker:
    """*intake* and *correlate*: the stages of this process, None for one that runs elsewhere. *health*: where
    it says how it is, if somebody else said so before; else its own.
    """

    def __init__(
        self,
        intake: IntakeStage | None,
        correlate: CorrelateStage | None,
        steady: Clock,
        meter: Meter,
        options: Options,
        *,
        health: Health | None = None,
    ) -> None:
        self.health = health or Health()
        self._intake, self._correlate = intake, correlate
        self._stages: Sequence[_Stage] = [stage for stage in (intake, correlate) if stage is not None]
        self._steady, self._meter, self._options = steady, meter, options
        self._back_off_ms = 0
        self._is_idle = False
        self._collected_ms = self._collected_all_ms = steady.now_ms()

    def run(self, is_stopping: Callable[[], bool], after_step: Callable[[], None] = lambda: None) -> None:
        """Until *is_stopping*, or the end of a bounded read; then commit, checkpoint, leave.

        Raises `EngineRefusal`; the stages are closed in every case.
        """
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            while not is_stopping() and not self.is_finished:
                self.step()
                after_step()
            self.finish()
        finally:
            gc.enable()
            gc.unfreeze()
            self.close()

    def step(self) -> int:
        """Each stage once, whether the log answers the other one or not. How many records they took."""
        count = 0
        wait_ms = self._wait_ms if self._is_idle else 0
        unanswered: list[str] = []
        for stage in self._stages:
            try:
                count += stage.step(wait_ms)
            except LogUnavailable as error:
                unanswered.append(f"the log does not answer: {error}")
                continue
            except LogTruncated as error:
                raise EngineRefusal(
                    f"{error}. Records were deleted before they were read: give the topic a longer "
                    "retention. Started again, this process says how to go on without them."
                ) from error
        waiting = (reason for stage in self._stages for reason in stage.waiting())
        self.health.waiting = (*unanswered, *(waiting if not unanswered else ()))
        self._back_off(is_answered=not unanswered)
        self._came_round()
        self._is_idle = count == 0
        self._collect()
        return count

    def partitions(self) -> list[Partition]:
        """What this process folds now: for views and tests."""
        tasks = self._correlate.tasks.live.values() if self._correlate is not None else ()
        return [task.partition for task in tasks]

    def _came_round(self) -> None:
        """Also when Kafka does not answer: then it is not ready, and no reason to restart it."""
        self.health.loop_ms = self._steady.now_ms()
        self._meter.set("correlator_ready", not self.health.waiting)
        for stage in self._stages:
            now_s = stage.clock.now_ms() / 1_000
            self._meter.set("correlator_main_loop_timestamp_seconds", now_s, stage=stage.name)

    @property
    def bundle(self) -> str:
        """Hash of what this process works by; "" while there is none, or its partitions differ."""
        return self._stages[-1].bundle

    @property
    def is_finished(self) -> bool:
        """A bounded read is at its end: the closing mark is out, and everything before it is folded."""
        if not self._options.is_bounded or (self._intake is not None and not self._intake.is_finished):
            return False
        try:
            return self._correlate is None or self._correlate.is_caught_up
        except LogUnavailable:
            return False

    @property
    def is_caught_up(self) -> bool:
        """Everything that was there is read, folded and committed; more may come."""
        try:
            return all(stage.is_caught_up for stage in self._stages)
        except LogUnavailable:
            return False

    def finish(self) -> None:
        """Commit and checkpoint what is folded. A log that is away cannot be waited for."""
        for stage in self._stages:
            try:
                stage.finish()
            except LogUnavailable:
                continue

    def close(self) -> None:
        """Leave the groups. Static members do so without a rebalance."""
        for stage in self._stages:
            stage.close()

    def _back_off(self, *, is_answered: bool) -> None:
        if is_answered:
            self._back_off_ms = 0
            return
        self._back_off_ms = min(BACK_OFF_MAX_MS, 2 * self._back_off_ms or BACK_OFF_MIN_MS)
        self._steady.sleep_ms(self._back_off_ms)

    @property
    def _wait_ms(self) -> int:
        poll_ms, shared_ms = self._options.poll_ms, self._options.shared_poll_ms
        return poll_ms if len(self._stages) == 1 else min(poll_ms, shared_ms)

    def _collect(self) -> None:
        """Garbage is collected at moments of our choosing: it is the whole of the latency tail otherwise."""
        if gc.isenabled():
            return
        now_ms = self._steady.now_ms()
        if self._is_idle and now_ms - self._collected_all_ms >= COLLECT_ALL_MS:
            self._collected_all_ms = self._collected_ms = now_ms
            gc.collect()
        elif now_ms - self._collected_ms >= COLLECT_YOUNG_MS:
            self._collected_ms = now_ms
            gc.collect(1)


def freeze_heap() -> None:
    """After a restore most of the heap lives long: keep the collector from looking at it."""
    if not gc.isenabled():  # within `run`, which thaws it again
        gc.collect()
        gc.freeze()
