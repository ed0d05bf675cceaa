"""What may go wrong, and how often in this seed: each fault is on in some of the seeds, and strong in few.

A fault that is always on hides others (nobody gets far enough), so a seed draws which ones there are (swarm
testing). None is made for a certain bug.
"""

from __future__ import annotations

from random import Random

import msgspec

from correlator.engine.options import Options


class Crash(BaseException):
    """The process is dead: nothing may catch it."""


class Violation(AssertionError):
    """Something was promised and not kept."""


class Rates(msgspec.Struct):
    """Chances. All 0 when the faults are over, but for *marker*."""

    # at each point: before and after an effect on the log, around a call, between poll and commit
    crash: float = 0
    preempt: float = 0  # others run, then it goes on
    stop: float = 0  # SIGSTOP: others run for some turns
    marker: float = 0.5  # an outstanding marker of a transaction is written
    # of those stopped
    evict: float = 0  # the session times out: of one of its memberships, or of both
    # of a call
    unavailable: float = 0  # a reader gets no answer
    aborted: float = 0  # a writer gets an error, before or after the log has done what was asked
    expired: float = 0  # a send is not acknowledged in time, written or not
    unknown: float = 0  # a commit, or the settling of one, is not answered, done or not
    impatient: float = 0  # waiting for a transaction to end, it gives up
    # at each turn
    join: float = 0
    kill: float = 0
    leave: float = 0
    drop: float = 0  # a member that runs is evicted: its heartbeats got lost
    bury: float = 0  # the group finds a dead member dead
    slow: float = 0  # time passes, longer than a transaction may take
    skew: float = 0  # the clock of a process jumps
    compact: float = 0
    truncate: float = 0  # retention removes all that a checkpoint, or a commit, has made dispensable


def draw_rates(random: Random) -> Rates:
    def some(chance: float, least: float, most: float) -> float:
        """On with *chance*, then between the two, small ones as often as large ones."""
        return least * (most / least) ** random.random() if random.random() < chance else 0

    return Rates(
        crash=some(0.4, 0.0005, 0.01),
        preempt=some(0.6, 0.01, 0.3),
        stop=some(0.7, 0.005, 0.1),
        marker=some(1, 0.003, 1),
        evict=some(0.7, 0.1, 1),
        unavailable=some(0.4, 0.002, 0.03),
        aborted=some(0.4, 0.01, 0.1),
        expired=some(0.4, 0.005, 0.05),
        unknown=some(0.4, 0.01, 0.15),
        impatient=some(0.3, 0.01, 0.2),
        join=some(0.7, 0.02, 0.1),
        kill=some(0.3, 0.005, 0.05),
        leave=some(0.4, 0.005, 0.05),
        drop=some(0.4, 0.005, 0.05),
        bury=some(1, 0.05, 0.5),
        slow=some(0.4, 0.01, 0.05),
        skew=some(0.4, 0.01, 0.05),
        compact=some(0.5, 0.05, 0.3),
        truncate=some(0.6, 0.1, 0.6),
    )


def draw_options(random: Random) -> Options:
    return Options(
        poll_ms=0,
        pace_ms=0,
        look_ms=random.choice((0, 500)),
        records_max=random.choice((3, 20)),
        frames_max=random.choice((1, 4, 20)),
        restore_ms=random.choice((0, 2, 10)),
        restore_alone_ms=random.choice((0, 2, 50)),
        checkpoint_ms=random.choice((2_000, 60_000)),
        checkpoint_events=random.choice((1, 4, 12, 1_000)),
        slice_entities=random.choice((1, 3, 100)),
    )
