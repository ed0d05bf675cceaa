"""The production workers under faults drawn from a seed, and bugs that the same seeds must find."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from correlator.engine.topics import EngineRefusal
from tests.simulation.bugs import BUGS
from tests.simulation.oracle import simulate

SECONDS = float(os.environ.get("CORRELATOR_SIMULATION_SECONDS", "30"))
PARTS = 4
FOUND = (222, 246)  # records taken when the log went away before their transaction was made: never written
WITHIN = 400  # seeds, in which a planted bug must be found


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_alerts_and_state_are_those_of_an_undisturbed_run(part: int) -> None:
    """As many seeds as fit into the time, never the same in two parts."""
    until_s, seed = time.process_time() + SECONDS / PARTS, part
    while time.process_time() < until_s:
        try:
            simulate(seed)
        except Exception as error:
            error.add_note(f"replay exactly this with: make sim SEEDS=1 FROM={seed}")
            raise
        seed += PARTS


@pytest.mark.parametrize("seed", FOUND)
def test_a_seed_that_found_a_bug_stays_clean(seed: int) -> None:
    simulate(seed)


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Callable[[pytest.MonkeyPatch], None]) -> None:
    found_by(plant)


def found_by(plant: Callable[[pytest.MonkeyPatch], None]) -> tuple[int, str]:
    """The first seed that finds the bug, and how."""
    for seed in range(WITHIN):
        with pytest.MonkeyPatch.context() as patch:
            plant(patch)
            try:
                simulate(seed)
            except (AssertionError, EngineRefusal) as error:
                return seed, str(error)
    raise AssertionError(f"{plant.__name__} was not found within {WITHIN} seeds")
