"""What all benchmarks share: the reference that figures are ratios to, and a quiet garbage collector."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import process_time

from correlator.record import Record

PASSES = 5


def json_us(records: Sequence[Record], passes: int = PASSES) -> float:
    """CPU µs that `json.loads` of the standard library takes for one of *records*: the yardstick."""
    values = [record.value or b"" for record in records[:20_000]]
    taken = []
    for _ in range(passes):
        began = process_time()
        for value in values:
            json.loads(value)
        taken.append((process_time() - began) / len(values) * 1e6)
    return median(taken)


@contextmanager
def own_collector() -> Iterator[None]:
    """As the worker has it: automatic collection off, what is long-lived frozen."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def load_average() -> str:
    """Of the machine, with that of 5 minutes: whether somebody else was at work."""
    one, five, _ = Path("/proc/loadavg").read_text().split()[:3]
    return f"load average {one} (5 min: {five})"
