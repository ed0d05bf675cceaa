"""Processes that die, or stand still for longer than their session, at each point of their work.

Each cell: a process is halted at a point; then it is started again (same instance), or another takes over, or
another takes over and the first one, which only slept, wakes up and goes on; or it lives on, but a reply of
the broker is lost. In the end nothing is lost or doubled (see oracle.py). `make test` runs the cells of
`COVERING`, `make matrix` all.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import pytest

from tests.kafka.deployment import Deployment
from tests.kafka.fleet import Fleet, Halt, Worker
from tests.kafka.oracle import check, left

Cell = tuple[str, str]  # point, mode

RECORDS = 600
AT_ONCE = 4
FIRST, SECOND = "a", "b"
ROUNDS = 5
HOW: dict[str, Literal["kill", "stop", "lose"]] = {
    "same": "kill",
    "other": "kill",
    "both": "stop",
    "lost": "lose",
}

# Point -> how many times it is reached before: in the middle of the run, where there is a middle.
BOTH_STAGES = {
    "polled": 2,
    "mid-batch": 5,
    "begun": 4,
    "sending": 4,
    "flushed": 5,
    "offsets-sent": 6,
    "commit-sent": 7,
    "committed": 8,
    "leaving": 1,
    "left": 1,
}
CORRELATE = {"cut": 3, "cut-flushed": 2, "cut-sent": 3, "restoring": 1, "replaying": 1, "parked": 1}
POINTS = {
    **{f"intake-{point}": nth for point, nth in BOTH_STAGES.items()},
    **{f"correlate-{point}": nth for point, nth in (BOTH_STAGES | CORRELATE).items()},
    "intake-learning": 1,
}
COMES_BACK = {"intake-learning", "correlate-restoring", "correlate-replaying"}  # reached by a second start
ANSWERED = {"flushed", "offsets-sent", "commit-sent", "cut-sent"}  # a reply that may be lost
CELLS: list[Cell] = [(point, mode) for point in POINTS for mode in ("same", "other", "both")]
CELLS += [(point, "lost") for point in POINTS if point.partition("-")[2] in ANSWERED]

# One cell of each point of a commit, and every mode several times.
COVERING: set[Cell] = {
    ("intake-sending", "both"),
    ("intake-offsets-sent", "other"),
    ("intake-commit-sent", "same"),
    ("intake-commit-sent", "lost"),
    ("correlate-mid-batch", "both"),
    ("correlate-flushed", "same"),
    ("correlate-commit-sent", "both"),
    ("correlate-commit-sent", "lost"),
    ("correlate-cut-flushed", "other"),
    ("correlate-replaying", "same"),
    ("correlate-parked", "both"),
    ("correlate-left", "other"),
}


def _cell(cell: Cell) -> Any:
    marks = () if cell in COVERING else pytest.mark.matrix
    return pytest.param(*cell, marks=marks, id="-".join(cell))


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, bootstrap: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Cell, Future[None]]]:
    """The cells that are to be tested, several at once: they wait for timeouts most of the time."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    asked = [item.callspec.params for item in items if item.function is test_nothing_is_lost_or_doubled]
    cells: list[Cell] = [(str(params["point"]), str(params["mode"])) for params in asked]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        paths = {cell: tmp_path_factory.mktemp("-".join(cell)) for cell in cells}
        yield {cell: pool.submit(_run, *cell, path, bootstrap) for cell, path in paths.items()}


@pytest.mark.parametrize(("point", "mode"), [_cell(cell) for cell in CELLS])
def test_nothing_is_lost_or_doubled(point: str, mode: str, outcomes: dict[Cell, Future[None]]) -> None:
    outcomes[point, mode].result()


def _run(point: str, mode: str, directory: Path, bootstrap: str) -> None:
    deployment = Deployment(directory, bootstrap, f"{point}-{mode}-{uuid4().hex[:8]}", records_max=RECORDS)
    deployment.publish()
    with Fleet(deployment) as fleet:
        halt = Halt(point, POINTS[point], HOW[mode])
        if point in COMES_BACK:
            fleet.start(FIRST, Halt("correlate-cut-sent", 3)).wait_until_halted()
        if point == "correlate-parked":
            _park(fleet, halt, mode)
        else:
            first = fleet.start(FIRST, halt)
            first.wait_until_halted()
            _go_on(fleet, first, mode)
        _close(fleet, deployment)
    check(deployment)


def _go_on(fleet: Fleet, first: Worker, mode: str) -> None:
    if mode == "lost":
        assert first.join() == 0
        return
    if mode == "same":
        assert fleet.start(FIRST).join() == 0
        return
    second = fleet.start(SECOND, tells=("intake-polled", "correlate-polled", "correlate-leaving"))
    if mode == "both":
        second.wait_for("reached")  # it owns what the sleeper thinks is its own
        first.go_on()
        assert first.join() == 0
    assert second.join() == 0


def _park(fleet: Fleet, halt: Halt, mode: str) -> None:
    """The first one is in the middle of its work when the second one comes: it has to give partitions up."""
    second = fleet.start(SECOND, Halt("intake-joining", 1, "stop"), tells=("correlate-committed",))
    second.wait_until_halted()
    first = fleet.start(FIRST, Halt("correlate-committed", 6, "stop"), halt)
    first.wait_until_halted()
    second.go_on()
    fleet.wait_for_members("correlate", {FIRST, SECOND})
    first.go_on()
    first.wait_until_halted()
    if mode == "same":
        assert fleet.start(FIRST).join() == 0
    if mode == "both":
        second.wait_for("reached")
        first.go_on()
        assert first.join() == 0
    assert second.join() == 0


def _close(fleet: Fleet, deployment: Deployment) -> None:
    """What a process wrote to a partition of one that had left already is still to be folded."""
    for _ in range(ROUNDS):
        if not left(deployment):
            return
        for worker in [fleet.start(name) for name in fleet.names]:
            assert worker.join() == 0
    raise AssertionError(f"still to be done after {ROUNDS} rounds: {left(deployment)}")
