"""Simulated companies as directories: a configuration with its records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from correlator.adapters.documents import shipped
from correlator.simulate.company import CompanySettings, simulate
from correlator.simulate.configuration import write_directory
from correlator.simulate.wire import read_schemas


def write_company(settings: CompanySettings, directory: Path) -> None:
    write_directory(simulate(settings, read_schemas(shipped("schemas"))), directory)


@contextmanager
def company_of(settings: CompanySettings) -> Iterator[Path]:
    """A directory for as long as it is wanted."""
    with TemporaryDirectory() as name:
        write_company(settings, Path(name))
        yield Path(name)
