"""`python -m tests.simulation --seeds 1000 --from 0`. A seed that fails says how to replay it."""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from tests.simulation.oracle import simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--from", type=int, default=0, dest="first")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    failed, started_s = list[int](), time.monotonic()
    for done, seed in enumerate(seeds, 1):
        try:
            simulate(seed)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            failed.append(seed)
            if len(seeds) == 1:
                traceback.print_exc()
            sys.stdout.write(f"seed {seed}: {error!r:.300}\n    make sim SEEDS=1 FROM={seed}\n")
        if done % 1_000 == 0:
            sys.stdout.write(f"{done} seeds, {len(failed)} failed\n")
    spent_s = time.monotonic() - started_s
    speed = len(seeds) / spent_s
    sys.stdout.write(f"{len(seeds)} seeds in {spent_s:.1f} s, {speed:.0f} a second, {len(failed)} failed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
