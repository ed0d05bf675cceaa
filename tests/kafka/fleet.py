"""Workers as processes of their own, which tests stop, continue, terminate and kill.

They are forked from one process that has everything imported, so that one starts in a fraction of a second;
each builds the production worker from a configuration directory, as `correlator run` does.
"""

from __future__ import annotations

import ctypes
import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal, Self

import msgspec

from correlator.adapters.clock import SteadyClock
from correlator.adapters.http import HttpServer
from correlator.adapters.kafka.client_logs import quiet_client_logs
from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.candidate import read_candidate
from correlator.cli.connection import load_connection
from correlator.cli.deploy import bring
from correlator.cli.on_kafka import check_topics, kafka_worker
from correlator.cli.stopping import STOPPING
from correlator.engine.options import Options
from correlator.engine.ports import LogUnavailable
from correlator.engine.topics import EngineRefusal
from tests.kafka.deployment import Deployment
from tests.kafka.points import Reached, watch

PATIENCE_S = 90.0
TICK_S = 0.02
REFUSED = 2
KILLED = -signal.SIGKILL

# Small steps and a checkpoint every few events, so that a short run has many points to be halted at.
SMALL = Options(
    is_bounded=True,
    records_max=400,
    spans=24,
    pace_ms=0,
    frames_max=8,
    checkpoint_events=60,
    slice_entities=5,
)


class Halt(msgspec.Struct, frozen=True):
    """The *nth* time that *point* is reached the process halts itself, as by SIGKILL or SIGSTOP.

    `lose`: it goes on, but the reply to what it has just asked is lost.
    """

    point: str
    nth: int = 1
    how: Literal["kill", "stop", "lose"] = "kill"


class Job(msgspec.Struct, frozen=True):
    """What a process is to run. *tells*: points that it reports when it gets there first."""

    directory: str
    instance: str
    stage: str | None = None
    options: Options = SMALL
    halts: tuple[Halt, ...] = ()
    tells: tuple[str, ...] = ()


def work(job: Job, pipe: Connection) -> None:
    """In the child: `correlator run`, with points."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: nothing is left when the tests are killed
    STOPPING.install()
    logging.basicConfig(filename=f"{job.directory}/{job.instance}.log", level=logging.INFO)
    quiet_client_logs()
    reached = halting(job.halts, pipe, job.tells)
    try:
        while not STOPPING.is_asked:
            try:
                _run(job, pipe, reached)
                return
            except LogUnavailable:
                time.sleep(0.1)
    except EngineRefusal as error:
        pipe.send(("refused", str(error)))
        sys.exit(REFUSED)


def _run(job: Job, pipe: Connection, reached: Reached) -> None:
    directory = Path(job.directory)
    candidate, connection = read_candidate(directory), load_connection(directory)
    meter = PrometheusMeter(has_process=False)
    check_topics(connection, candidate.bundle)
    bring(connection, candidate, is_first=True)
    worker = kafka_worker(connection, job.stage, job.options, instance=job.instance, meter=meter)
    watch(worker, reached)
    server = HttpServer(meter.exposition, worker.health, SteadyClock())
    pipe.send(("started", server.url))
    worker.run(lambda: STOPPING.is_asked)
    stages = [stage for stage in (worker._intake, worker._correlate) if stage is not None]
    generations = [stage._ports.reader.membership().generation for stage in stages]
    pipe.send(("generation", str(generations)))


def halting(halts: tuple[Halt, ...], pipe: Connection | None = None, tells: tuple[str, ...] = ()) -> Reached:
    """Halts this process at *halts*. *pipe* hears of it, and of each of *tells* the first time."""
    counts: dict[str, int] = {}

    def tell(what: str, point: str) -> None:
        if pipe is not None:
            pipe.send((what, point))

    def reached(point: str, first: Callable[[], object] = lambda: None) -> None:
        counts[point] = counts.get(point, 0) + 1
        if counts[point] == 1 and point in tells:
            tell("reached", point)
        for halt in halts:
            if (halt.point, halt.nth) == (point, counts[point]):
                first()
                tell("halts", point)
                if halt.how == "lose":
                    raise TimeoutError(point)
                os.kill(os.getpid(), signal.SIGKILL if halt.how == "kill" else signal.SIGSTOP)

    return reached


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])
_LOCK = threading.Lock()  # two threads that ask for one exit code can spoil it


class Worker:
    """One process. Every wait ends when what is waited for has happened, or fails after `PATIENCE_S`."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._pipe, child = _FORKS.Pipe()
        self._halted = 0
        self._heard: list[tuple[str, str]] = []
        self._process: BaseProcess = _FORKS.Process(target=work, args=(job, child))
        with _LOCK:
            self._process.start()
        child.close()

    def wait_for(self, kind: str, what: str = "") -> str:
        """A report of the child: `started` with its address, `reached` and `halts` with a point, `refused`
        with the message, at its end the `generation` of its groups. The text of it.
        """
        end_s = time.monotonic() + PATIENCE_S
        while True:
            for heard, text in self._heard:
                if heard == kind and what in ("", text):
                    return text
            if not self._listen(end_s):
                raise self._failed(f"told no {kind} {what}")

    def wait_until_halted(self) -> None:
        """It has got to the next of its points, and is dead or stopped there, or lost a reply."""
        halt = self.job.halts[self._halted]
        self._halted += 1
        self.wait_for("halts", halt.point)
        if halt.how == "kill":
            assert self.join() == KILLED
        elif halt.how == "stop":
            self._wait_until_stopped()

    def metrics(self) -> str:
        """What `/metrics` says."""
        with urllib.request.urlopen(f"{self.wait_for('started')}/metrics", timeout=PATIENCE_S) as answer:
            return str(answer.read().decode())

    def metric(self, name: str) -> float:
        """The sum of *name* over its labels. With some of them, `name{label="value"`, over the rest."""
        lines = (line.rpartition(" ") for line in self.metrics().splitlines())
        return sum(float(value) for found, _, value in lines if found.startswith(name))

    def wait_for_metric(self, name: str, value: float) -> None:
        """Until `metric` of *name* is *value*."""
        end_s = time.monotonic() + PATIENCE_S
        while (found := self.metric(name)) != value:
            if time.monotonic() > end_s:
                raise self._failed(f"has {found} of {name}, not {value}")
            time.sleep(TICK_S)

    def reasons(self, path: str = "readyz") -> list[str]:
        """Why it is not ready; [] when it is."""
        try:
            with urllib.request.urlopen(f"{self.wait_for('started')}/{path}", timeout=PATIENCE_S):
                return []
        except urllib.error.HTTPError as error:
            reasons: list[str] = json.loads(error.read())["reasons"]
            return reasons

    def wait_until_ready(self) -> None:
        self.wait_until(lambda reasons: not reasons)

    def wait_until(self, are_so: Callable[[list[str]], bool]) -> None:
        """Until the reasons why it is not ready *are_so*."""
        end_s = time.monotonic() + PATIENCE_S
        while not are_so(reasons := self.reasons()):
            if time.monotonic() > end_s:
                raise self._failed(f"is not ready: {reasons}")
            time.sleep(TICK_S)

    def stop(self) -> None:
        """SIGSTOP: everything stands still, heartbeats too."""
        self._signal(signal.SIGSTOP)
        self._wait_until_stopped()

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def ask(self) -> None:
        """SIGTERM: finish, commit, checkpoint, leave."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self.join()

    def join(self) -> int:
        """Its exit code, once it has ended."""
        end_s = time.monotonic() + PATIENCE_S
        while (code := self.exit_code) is None:
            if time.monotonic() > end_s:
                raise self._failed("did not end")
            time.sleep(TICK_S)
        return code

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        with _LOCK:
            return self._process.exitcode

    def _failed(self, what: str) -> AssertionError:
        log = Path(self.job.directory, f"{self.job.instance}.log").read_text()[-3_000:]
        return AssertionError(f"{self.job} {what}, heard {self._heard}, log:\n{log}")

    def _signal(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def _listen(self, end_s: float) -> bool:
        if not self._pipe.poll(max(0.0, end_s - time.monotonic())):
            return False
        try:
            self._heard.append(self._pipe.recv())
        except EOFError:  # it has ended
            return False
        return True

    def _wait_until_stopped(self) -> None:
        state, end_s = "", time.monotonic() + PATIENCE_S
        while not state.startswith("T") and time.monotonic() < end_s:
            asked = ["ps", "-o", "state=", "-p", str(self._process.pid)]
            state = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        assert state.startswith("T"), f"{self.job} did not stop: {state}"


class Fleet:
    """The workers of one test on one deployment; none outlives it."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._workers: list[Worker] = []

    @property
    def names(self) -> list[str]:
        """Every instance that there was."""
        return sorted({worker.job.instance for worker in self._workers})

    def start(
        self,
        instance: str,
        *halts: Halt,
        stage: str | None = None,
        options: Options = SMALL,
        tells: tuple[str, ...] = (),
    ) -> Worker:
        worker = Worker(Job(str(self._deployment.directory), instance, stage, options, halts, tells))
        self._workers.append(worker)
        return worker

    def wait_for_members(self, stage: str, instances: set[str]) -> None:
        """Until the broker counts exactly *instances* as members of the group of *stage*, joined or not."""
        end_s = time.monotonic() + PATIENCE_S
        while (members := self._deployment.members(stage)) != instances:
            assert time.monotonic() < end_s, f"members of {stage} are {members}, not {instances}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for worker in self._workers:
            if worker.exit_code is None:
                worker.kill()
