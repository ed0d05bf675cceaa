"""What may go wrong, and how often in this seed: each fault is on in some of the seeds, and strong in few.

A fault that is always on hides others (nobody gets far enough), so a seed draws which ones there are (swarm
testing). None is made for a certain bug.
"""

from __future__ import annotations

from random import Random

import msgspec

from correlator.engine.options import Options

FOCUS = 20  # times as often as elsewhere
POINTS = (
    "after committed",
    "after init_producer",
    "after poll",
    "after produce",
    "after send_offsets",
    "correlate-folded",
    "during-checkpoint",
    "end",
    "end_offsets",
    "ended",
    "high_watermark",
    "position",
    "produce",
    "read",
    "send_offsets",
)


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
    late: float = 0  # but not if it is of the broker that is slow
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
    stall: float = 0  # no markers are written for some turns
    slow: float = 0  # time passes, longer than a transaction may take
    skew: float = 0  # the clock of a process jumps
    deploy: float = 0  # another bundle is activated
    compact: float = 0
    truncate: float = 0  # retention removes all that a checkpoint, or a commit, has made dispensable


def draw_rates(random: Random) -> Rates:
    density = random.choice((0.2, 0.4, 0.7))  # few faults, and much gets done between them; or many

    def some(least: float, most: float) -> float:
        """Off, or between the two, small ones as often as large ones."""
        return least * (most / least) ** random.random() if random.random() < density else 0

    return Rates(
        crash=some(0.0003, 0.004),
        preempt=some(0.01, 0.3),
        stop=some(0.002, 0.03),
        marker=random.uniform(0.1, 1),
        late=random.choice((0.8, 0.95, 0.99)),
        evict=random.choice((0.2, 0.6, 1)),
        unavailable=some(0.001, 0.02),
        aborted=some(0.01, 0.1),
        expired=some(0.005, 0.05),
        unknown=some(0.01, 0.15),
        impatient=some(0.01, 0.2),
        join=some(0.005, 0.04),
        kill=some(0.003, 0.02),
        leave=some(0.003, 0.03),
        drop=some(0.003, 0.03),
        bury=random.uniform(0.1, 0.5),
        stall=some(0.02, 0.2),
        slow=some(0.003, 0.03),
        skew=some(0.01, 0.05),
        deploy=some(0.005, 0.06),
        compact=some(0.05, 0.5),
        truncate=random.choice((0, 0.2, 1)),
    )


def draw_focus(random: Random) -> str:
    """The point at which a process of this seed is stopped or killed most often."""
    return random.choice(POINTS)


def draw_options(random: Random) -> Options:
    return Options(
        poll_ms=0,
        pace_ms=0,
        tick_ms=random.choice((1_000, 4_000)),
        look_ms=random.choice((0, 500)),
        records_max=random.choice((3, 20)),
        frames_max=random.choice((1, 4, 20)),
        restore_ms=random.choice((0, 2, 10)),
        restore_alone_ms=random.choice((0, 2, 50)),
        checkpoint_ms=random.choice((2_000, 60_000)),
        checkpoint_events=random.choice((1, 1, 4, 12, 1_000)),
        slice_entities=random.choice((1, 3, 100)),
    )
