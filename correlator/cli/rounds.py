"""Both stages over records that are there, on as many cores as there are, without a log between them.

This process takes the records, as the worker does, and waits for nobody; others fold the partitions of
*keyed*, each its share. They go in rounds: what a step of intake made is folded, and with it what entities
told others in the round before, whoever folds them. So what is told does not hang on which process is faster,
nor on how many there are: on one core, where all is folded here, it is the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing

from correlator.cli.replay import Replay
from correlator.cli.share import Published, Share
from correlator.cli.team import Alone, Others, Team
from correlator.pipeline import Bundle
from correlator.record import Record

TELL_STEPS = 20  # of intake, between two words about progress


def processes_to_fold() -> int:
    """One for each core that this process may use: what takes the records is done with them long before."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def told_of(
    bundle: Bundle,
    records: list[Record],
    identities: list[tuple[str, bytes]],
    on_folded: Callable[[int], None],
    processes: int,
) -> list[Published]:
    """Every alert that *bundle* publishes of *records*, everything settled, each as it was told last.

    *on_folded* hears of how many records all is folded. *processes* fold, beside this one; with less than two
    this one folds. Raises `ProcessDied`.
    """
    taken = [0]  # records, by step of intake

    def after_step() -> None:
        team.put(replay.take_keyed())
        taken.append(replay.taken())
        if len(taken) % TELL_STEPS == 0:
            on_folded(taken[team.rounds])

    with closing(_team(bundle, processes)) as team:  # loads while the records are put in order
        replay = Replay(bundle, records, identities, stage="intake")
        replay.worker.run(lambda: False, after_step)
        team.end()
        while not team.is_done():
            on_folded(taken[min(team.rounds, len(taken) - 1)])
        on_folded(taken[-1])
        return team.alerts()


def _team(bundle: Bundle, processes: int) -> Team:
    partitions = bundle.intake.partitions
    count = max(min(processes, partitions), 1)
    shares = [Share(bundle, range(first, partitions, count)) for first in range(count)]
    return Others(shares) if count > 1 else Alone(shares[0])
