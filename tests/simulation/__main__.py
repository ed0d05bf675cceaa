"""`python -m tests.simulation --seeds 1000 --from 0 --jobs 2`. A seed that fails says how to replay it.

With `--trace` everything that happens in the seeds is printed, a line each, in order.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing import Pool

import msgspec

from tests.simulation.oracle import simulate

CHUNK = 50  # seeds given to a job at a time
TELL_S = 10


class Tally(msgspec.Struct):
    """Of some seeds: how many, which failed and why, and what happened in them."""

    seeds: int = 0
    failed: list[tuple[int, str]] = []
    happened: Counter[str] = msgspec.field(default_factory=Counter)
    spent_s: float = 0  # CPU

    def add(self, other: Tally) -> None:
        self.seeds += other.seeds
        self.failed += other.failed
        self.happened += other.happened
        self.spent_s += other.spent_s


def run(seeds: Sequence[int], *, is_traced: bool = False) -> Tally:
    """Run them all, whatever they come to."""
    tally, started_s = Tally(), time.process_time()
    for seed in seeds:
        tally.seeds += 1
        try:
            tally.happened += simulate(seed, is_traced=is_traced).happened
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            tally.failed.append((seed, f"{error!r:.300}"))
            if is_traced:
                traceback.print_exc(file=sys.stdout)
    tally.spent_s = time.process_time() - started_s
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--jobs", type=int, default=1, help="processes to run seeds in")
    parser.add_argument("--trace", action="store_true", help="print what happens, a line each")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    if arguments.trace:
        whole = run(seeds, is_traced=True)
    else:
        whole = _gather([seeds[i : i + CHUNK] for i in range(0, len(seeds), CHUNK)], arguments.jobs)
    for kind, count in sorted(whole.happened.items()):
        _say(f"{count:9} {kind}")
    speed = 1_000 * whole.spent_s / max(whole.seeds, 1)
    _say(f"{whole.seeds} seeds, {speed:.0f} ms of CPU each, {len(whole.failed)} failed")
    return 1 if whole.failed else 0


def _gather(chunks: Sequence[Sequence[int]], jobs: int) -> Tally:
    """Run *chunks* in some processes, and say now and then how far it is and how long it will take."""
    whole, total = Tally(), sum(map(len, chunks))
    started_s = told_s = time.monotonic()
    for tally in _each(chunks, jobs):
        whole.add(tally)
        for seed, error in tally.failed:
            _say(f"seed {seed}: {error}\n    replay it with: make sim SEEDS=1 FROM={seed} ARGS=--trace")
        now_s = time.monotonic()
        if now_s - told_s >= TELL_S:
            told_s, left_s = now_s, (now_s - started_s) / whole.seeds * (total - whole.seeds)
            _say(f"{whole.seeds} of {total} seeds, {len(whole.failed)} failed, {left_s:.0f} s left")
    return whole


def _each(chunks: Sequence[Sequence[int]], jobs: int) -> Iterator[Tally]:
    if jobs == 1:
        yield from map(run, chunks)
        return
    with Pool(jobs) as pool:
        yield from pool.imap_unordered(run, chunks)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
