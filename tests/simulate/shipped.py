"""The schemas in this repository, and one small company that several tests look at."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from correlator.record import Record
from correlator.simulate.company import Company, CompanySettings, simulate
from correlator.simulate.wire import Schemas, read_schemas

ROOT = Path(__file__).parents[2]
SETTINGS = CompanySettings(days=18, people=160, seed=7, scenarios=20)


@cache
def schemas() -> Schemas:
    return read_schemas(ROOT / "schemas")


@cache
def lived() -> tuple[Company, list[Record]]:
    """A company and everything it sent."""
    company = simulate(SETTINGS, schemas())
    return company, list(company.records())
