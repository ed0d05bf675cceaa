"""`python -m tests.soak --minutes 20 [--seed 1] [--rate N]`: hours of trouble in minutes, on a real broker.

Three processes work on a load of 80 % of what they can, which is measured first. Every half a minute or so
one of them is killed, asked to leave, or stands still for longer than its session, and comes back. In the
last tenth nothing happens any more. Then, and exits with 1 where not:

- every event is in *keyed* as often as in the raw topics, each that must be told of was told once;
- alerts and state are byte for byte those of one undisturbed stage over the same *keyed*;
- nothing waits: the lag went back to zero within a minute;
- the memory of the process that is never killed grew by less than 1 % in the last three quarters (20 minutes
  or more; a shorter run says what it was).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import fmean, linear_regression
from uuid import uuid4

import msgspec

from correlator.engine.options import Options
from correlator.simulate.company import CompanySettings
from tests.broker.broker import Broker
from tests.kafka.deployment import EVERY_READ, KEYED, Deployment
from tests.kafka.fleet import KILLED, Fleet, Worker
from tests.kafka.live import Traffic, check_live

COMPANY = CompanySettings(days=1, people=2_000, seed=5, scenarios=0)
SETTINGS = {"horizon": "15m", "events_max": 64}  # so that the state is as large as it gets after minutes
LONG = ("d05_badge_login_travel.yml", "d17_denied_burst.yml")  # their tests need a longer horizon
SHARE = 0.8  # of what they can
EVERY = 50  # reads one of which is told of
PROBE = 10_000  # reads by which capacity is measured
NAMES = ("a", "b", "c")  # the first is never killed
CALM_S = (15.0, 45.0)  # between two troubles
LAG_S = 60.0  # in which everything is to be told when no more is sent
MEMORY_S = 5.0  # between two looks
GROWTH_MAX = 0.01
OPTIONS = Options(checkpoint_ms=10_000)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of what happens when")
    parser.add_argument("--rate", type=int, default=0, help="events/s instead of 80 %% of what they can")
    given = parser.parse_args()
    broker = Broker()
    try:
        broker.start()
        with tempfile.TemporaryDirectory() as name:
            return _soak(Path(name), broker.bootstrap, given.minutes * 60, Random(given.seed), given.rate)
    finally:
        broker.close()


def _soak(directory: Path, bootstrap: str, soak_s: float, random: Random, rate: int) -> int:
    deployment = _deployment(directory, bootstrap)
    deployment.publish()
    with Fleet(deployment) as fleet:
        troupe = Troupe(fleet, random)
        troupe.wait_until_ready()
        rate = rate or round(SHARE * _capacity(deployment))
        say(f"{rate} events/s, of which {EVERY} each are told of once; load {os.getloadavg()[0]:.1f}")
        with Traffic(deployment, rate, every=EVERY) as traffic:
            memory = _play(troupe, traffic, soak_s)
            traffic.end_sending()
            began_s = time.monotonic()
            traffic.drains()
            lag_s = time.monotonic() - began_s
            troupe.leave()
    say(f"{traffic.count} events sent, {len(traffic.told)} told, nothing waits after {lag_s:.1f} s")
    say(f"what happened: {troupe.happened}")
    is_flat = _judge(memory, soak_s)
    say("comparing with one undisturbed stage over the same log")
    check_live(deployment, traffic)
    say("nothing lost, nothing doubled, alerts and state byte for byte the same")
    return 0 if lag_s < LAG_S and is_flat else 1


def _deployment(directory: Path, bootstrap: str) -> Deployment:
    rule = msgspec.to_builtins(EVERY_READ)
    rule["detection"]["selection"]["access.direction"] = "out"
    prefix = f"soak-{uuid4().hex[:8]}"
    made = Deployment(
        directory, bootstrap, prefix, records_max=0, company=COMPANY, settings=SETTINGS, rule=rule
    )
    for name in LONG:
        (directory / "rules" / name).unlink()
    return made


def _capacity(deployment: Deployment) -> float:
    """Events/s: how long they take for a few thousand that come as fast as they can be sent."""
    with Traffic(deployment, PROBE * 20, every=EVERY) as probe:
        while probe.count < PROBE:
            time.sleep(0.01)
        began_s, told = time.monotonic(), len(probe.told)
        probe.ends()
        return (len(probe.told) - told) * EVERY / (time.monotonic() - began_s)


class Troupe:
    """The processes, and what happens to them."""

    def __init__(self, fleet: Fleet, random: Random) -> None:
        self.happened: dict[str, int] = {}
        self._fleet, self._random = fleet, random
        self._workers = {name: self._start(name) for name in NAMES}

    def trouble(self) -> None:
        """One thing, to one of them; all are ready when it is over."""
        name = self._random.choice(NAMES)
        kinds: dict[str, Callable[[str], None]] = {"stands still": self._stand_still}
        if name != NAMES[0]:
            kinds |= {"killed": self._kill, "killed, back at once": self._revive, "asked to leave": self._ask}
        kind = self._random.choice(sorted(kinds))
        self.happened[kind] = self.happened.get(kind, 0) + 1
        say(f"{name} {kind}")
        kinds[kind](name)
        self.wait_until_ready()

    def calm_s(self) -> float:
        """How long nothing is to happen now."""
        return self._random.uniform(*CALM_S)

    def wait_until_ready(self) -> None:
        for worker in self._workers.values():
            worker.wait_until_ready()

    def alone(self) -> None:
        """All partitions are the first one's, for once. Memory that an interpreter has needed it keeps: what
        it needs later, whoever is dead then, is no more.
        """
        say("the others leave for a while")
        for name in NAMES[1:]:
            self._workers[name].ask()
            assert self._workers[name].join() == 0
        owned = 'correlator_partitions_assigned{stage="correlate"'
        self._workers[NAMES[0]].wait_for_metric(owned, KEYED)
        self._workers[NAMES[0]].wait_until_ready()
        time.sleep(CALM_S[1])
        for name in NAMES[1:]:
            self._workers[name] = self._start(name)
        self.wait_until_ready()

    def leave(self) -> None:
        for worker in self._workers.values():
            worker.ask()
        codes = [worker.join() for worker in self._workers.values()]
        assert codes == [0] * len(codes), codes

    def memory(self) -> int:
        """Bytes of the one that is never killed."""
        pages = Path(f"/proc/{self._workers[NAMES[0]].pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")

    def _start(self, name: str) -> Worker:
        return self._fleet.start(name, options=OPTIONS)

    def _stand_still(self, name: str) -> None:
        """For as long as its session lasts, more or less: it may be a zombie on waking."""
        self._workers[name].stop()
        time.sleep(self._random.uniform(1, 8))
        self._workers[name].go_on()

    def _kill(self, name: str) -> None:
        self._workers[name].kill()
        assert self._workers[name].exit_code == KILLED
        time.sleep(self._random.uniform(0, 10))
        self._workers[name] = self._start(name)

    def _revive(self, name: str) -> None:
        self._workers[name].kill()
        self._workers[name] = self._start(name)

    def _ask(self, name: str) -> None:
        self._workers[name].ask()
        assert self._workers[name].join() == 0
        self._workers[name] = self._start(name)


def _play(troupe: Troupe, traffic: Traffic, soak_s: float) -> list[tuple[float, int]]:
    """Trouble until a tenth of the time is left. Memory by second."""
    began_s, seen = time.monotonic(), list[tuple[float, int]]()
    due_s, is_alone_due = began_s + CALM_S[0], True
    while (now_s := time.monotonic()) < began_s + soak_s:
        if due_s <= now_s < began_s + 0.9 * soak_s:
            if is_alone_due and now_s >= began_s + 0.2 * soak_s:
                troupe.alone()
                is_alone_due = False
            else:
                troupe.trouble()
            due_s = time.monotonic() + troupe.calm_s()
        seen.append((time.monotonic() - began_s, troupe.memory()))
        traffic.wait(lambda: True, "")  # fails where a thread of it has
        time.sleep(MEMORY_S)
    return seen


def _judge(memory: list[tuple[float, int]], soak_s: float) -> bool:
    """Is what memory grows by in the last three quarters, as a line through it says, small enough?"""
    late = [(at_s, size) for at_s, size in memory if at_s >= soak_s / 4]
    slope, _ = linear_regression(*zip(*late, strict=True))
    mean = fmean(size for _, size in late)
    growth = slope * 0.75 * soak_s / mean
    minutes: dict[int, list[int]] = {}
    for at_s, size in memory:
        minutes.setdefault(int(at_s // 60), []).append(size)
    say("memory by minute, MB: " + " ".join(f"{fmean(sizes) / 1e6:.0f}" for sizes in minutes.values()))
    say(f"memory {mean / 1e6:.0f} MB, {growth:+.2%} in the last {0.75 * soak_s / 60:.1f} minutes")
    return growth < GROWTH_MAX or soak_s < 20 * 60


def say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
