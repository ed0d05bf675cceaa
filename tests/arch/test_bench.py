"""Benches name functions of the product, so a change of the product can break them unseen."""

from __future__ import annotations

from importlib import import_module

import pytest

from bench.report import Report
from bench.workload import Shape

SMALL = Shape(events=300, identities=50)


@pytest.mark.parametrize("name", ["embedded", "stages"])
def test_a_bench_that_needs_no_broker_runs(name: str) -> None:
    reports: list[Report] = import_module(f"bench.{name}").run(SMALL)
    assert reports
    assert all(report.rows for report in reports)
