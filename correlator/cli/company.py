"""The simulated company on the embedded log: some days of history as fast as possible, then live.

Nothing here is a second path: records are appended to the embedded log, and the production worker does the
rest on a simulated clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.documents import shipped
from correlator.adapters.files import load_bundle
from correlator.cli.embedded import FAST, Embedded
from correlator.engine.ports import Meter
from correlator.engine.worker import Worker
from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS
from correlator.pipeline import Bundle
from correlator.record import Record
from correlator.simulate.company import Company, CompanySettings, simulate
from correlator.simulate.configuration import documents, identities
from correlator.simulate.wire import PARTITIONS, TOPICS, read_schemas

HISTORY_DAYS = 7
SETTINGS = CompanySettings(days=21, people=200)
STEP_MS = 30 * MINUTE_MS  # of history at a time
MORNING_MS = 6 * HOUR_MS  # of the day after, UTC: live begins when people come to work
DAY_TAKES_MS = 2 * MINUTE_MS  # of real time, live
OPTIONS = msgspec.structs.replace(FAST, tick_ms=0)  # a tick a step, of simulated time


class LiveCompany:
    """Moves simulated time: what has arrived by then is in the log, and folded."""

    def __init__(self, meter: Meter, settings: CompanySettings = SETTINGS) -> None:
        company = simulate(settings, read_schemas(shipped("schemas")))
        self._records: Iterator[Record] = company.records(is_endless=True)
        self._next = next(self._records)
        self.clock = SimulatedClock(self._next.timestamp_ms - MINUTE_MS)
        self.start_ms = self.clock.now_ms()
        self.embedded = Embedded(_bundle(company), self.clock, dict.fromkeys(TOPICS, PARTITIONS))
        rows = [(str(row["identity_id"]), json.dumps(row).encode()) for row in identities(company)]
        self.embedded.load_identities(rows, self.start_ms)
        self.worker: Worker = self.embedded.worker(meter, OPTIONS)

    def advance(self, to_ms: int) -> None:
        """Let time pass to *to_ms*, and the worker take what arrived."""
        while self._next.timestamp_ms <= to_ms:
            self.embedded.append(self._next)
            self._next = next(self._records)
        self.clock.set(to_ms)
        self.worker.step()
        while self.embedded.lag():
            self.worker.step()

    def history(self, days: int, is_stopping: Callable[[], bool], told: Callable[[int], None]) -> None:
        """The first *days*, as fast as possible. *told* hears of every step."""
        until_ms = self.start_ms + days * DAY_MS + MORNING_MS
        while self.clock.now_ms() < until_ms and not is_stopping():
            self.advance(min(self.clock.now_ms() + STEP_MS, until_ms))
            told(self.clock.now_ms())


def _bundle(company: Company) -> Bundle:
    """Of the company's own configuration: its files exist just long enough to be read."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        for file, document in documents(company).items():
            (directory / file).write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
        return load_bundle(directory)
