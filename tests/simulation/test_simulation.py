"""The production workers under faults drawn from a seed, and bugs that the same seeds must find."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable

import pytest

from tests.simulation.bugs import BUGS
from tests.simulation.oracle import simulate

SEEDS = int(os.environ.get("CORRELATOR_SIMULATION_SEEDS", "1000"))
PARTS = 10
# What must have happened in these seeds, else that they are clean says little.
HAPPENED = (
    *(f"killed at: {point}" for point in ("init_producer", "produce", "send_offsets", "end")),
    *(f"killed at: after {point}" for point in ("init_producer", "produce", "send_offsets")),
    *(f"{how} at: {point}" for how in ("killed", "stopped") for point in ("read", "ended")),
    "a clock jumps",
    "a commit is fenced",
    "a second process of a name that lives",
    "compaction",
    "deployed",
    "not deployed",
    "who deploys is killed",
    "evicted",
    "markers are not written for a while",
    "more time passes than a transaction may take",
    "no answer",
    "retention",
    "SIGTERM",
    "the log was cut off past the checkpoint, and refused",
    "the reply is lost",
    "the request is lost",
    "the transaction before has not ended in time",
)
FOUND_BY = {  # seeds
    "membership_is_asked_at_commit": 335,
    "offsets_of_an_aborted_transaction_stay": 66,
    "what_is_parked_is_taken_back_unasked": 2061,
}
happened: Counter[str] = Counter()


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_alerts_and_state_are_those_of_an_undisturbed_run(part: int) -> None:
    for seed in range(part, SEEDS, PARTS):
        try:
            happened.update(simulate(seed).happened)
        except Exception as error:
            error.add_note(f"replay it with: make sim SEEDS=1 FROM={seed} ARGS=--trace")
            raise


def test_everything_that_can_happen_has_happened() -> None:
    """Runs after the seeds; of few of them not everything is to be expected."""
    assert [kind for kind in HAPPENED if not happened[kind]] == [] or sum(happened.values()) < 10_000


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Callable[[pytest.MonkeyPatch], None]) -> None:
    found_by(plant)


def found_by(plant: Callable[[pytest.MonkeyPatch], None]) -> tuple[int, str]:
    """A seed that finds the bug, and how: the one that did lately, else the first."""
    for seed in (FOUND_BY.get(plant.__name__, 0), *range(SEEDS)):
        with pytest.MonkeyPatch.context() as patch:
            plant(patch)
            try:
                simulate(seed)
            except Exception as error:  # noqa: BLE001 - however it shows
                return seed, repr(error)
    raise AssertionError(f"{plant.__name__} was not found within {SEEDS} seeds")
