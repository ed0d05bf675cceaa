"""`python -m bench [NAME ...]`: speed, memory and false alarms, reported, never asserted.

Without names: those that do not take long.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from importlib import import_module

import msgspec

from bench.report import Report, show
from bench.workload import Shape

BENCHES = ("stages", "embedded", "memory", "kafka", "latency", "rules", "authoring")
LONG = ("false-alarms", "late", "restart", "checkpoints", "stalls")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES + LONG))
    parser.add_argument("--events", type=int, default=200_000, help="measured events (default 200000)")
    parser.add_argument("--identities", type=int, default=20_000, help="identities (default 20000, as in W)")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(BENCHES + LONG))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHES + LONG)}")
    shape = Shape(events=given.events, identities=given.identities)
    reports: list[Report] = []
    for name in given.names or BENCHES:
        run: Callable[[Shape], list[Report]] = import_module(f"bench.{name.replace('-', '_')}").run
        found = run(shape)
        reports += found
        if not given.json:
            for report in found:
                show(report)
            sys.stdout.flush()
    if given.json:
        print(json.dumps(msgspec.to_builtins(reports), indent=1))


if __name__ == "__main__":
    main()
