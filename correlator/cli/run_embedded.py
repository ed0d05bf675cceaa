"""`correlator run --embedded`: without Kafka, on a simulated company or on the records of a directory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from time import monotonic

from rich.console import Console

from correlator.adapters.clock import SteadyClock
from correlator.adapters.files import load_bundle
from correlator.adapters.prometheus import PrometheusMeter
from correlator.adapters.record_files import identities_of, read_records
from correlator.cli.company import DAY_TAKES_MS, HISTORY_DAYS, LiveCompany
from correlator.cli.embedded import Embedded
from correlator.cli.replay import Replay
from correlator.cli.serving import served
from correlator.cli.view import FeedState, Snapshot, View
from correlator.engine.worker import Worker
from correlator.event import DAY_MS, NEVER

SHOW_S = 0.25  # between two pictures
LIVE_STEP_MS = 100  # of real time
HISTORY_SHOWN = 10  # alerts of the history that are shown when live begins


class _Show:
    """Feeds the view, or prints alerts as JSON lines."""

    def __init__(self, embedded: Embedded, worker: Worker, meter: PrometheusMeter, *, as_json: bool) -> None:
        self._embedded, self._worker, self._meter = embedded, worker, meter
        self.view = None if as_json else View()
        self.url = ""
        self._began_s = self._shown_s = monotonic()
        self._events = 0

    def alerts(self, newest: int | None = None) -> None:
        """Show what was published since the last call, or only the *newest* of it."""
        values = [record.value or b"" for record in self._embedded.news(self._embedded.topics.alerts)]
        if newest is not None:
            values = values[-newest:]
        for value in values:
            if self.view is None:
                sys.stdout.write(f"{value.decode()}\n")
            else:
                self.view.alert(value)
        topics = self._embedded.topics
        for topic in (topics.shadow, topics.notices, topics.dead_letters):
            self._embedded.news(topic)

    def status(self) -> None:
        """A new picture, a few times a second; what everybody has read is forgotten."""
        now_s = monotonic()
        if now_s - self._shown_s < SHOW_S:
            return
        events = int(self._meter.total("correlator_events_total"))
        rate = (events - self._events) / (now_s - self._shown_s)
        self._shown_s, self._events = now_s, events
        self._embedded.forget()
        if self.view is not None:
            self.view.update(self._snapshot(now_s, events, rate))

    def _snapshot(self, now_s: float, events: int, rate: float) -> Snapshot:
        opened = int(self._meter.total("correlator_alerts_total", activity="create"))
        closed = int(self._meter.total("correlator_alerts_total", activity="close"))
        partitions = self._worker.partitions()
        return Snapshot(
            elapsed_s=now_s - self._began_s,
            events=events,
            events_per_s=rate,
            lag=self._embedded.lag(),
            now_ms=max((p.now_ms for p in partitions if p.now_ms > NEVER), default=None),
            feeds=_feeds(self._worker),
            alerts_open=opened - closed,
            alerts_closed=closed,
            dead_letters=int(self._meter.total("correlator_dead_letters_total")),
            url=self.url,
            waiting=self._worker.health.waiting,
        )


def _feeds(worker: Worker) -> tuple[FeedState, ...]:
    """Newest event and completeness by feed, as the partitions believe it."""
    newest: dict[str, int] = {}
    complete: dict[str, int] = {}
    for partition in worker.partitions():
        marks = partition.marks
        kinds = {timing.feed: timing.kind for timing in marks.settings.feeds}
        for (feed, _, _), state in marks.sources.items():
            if state.counted_ms > NEVER:
                newest[feed] = max(newest.get(feed, NEVER), state.counted_ms)
        for feed, kind in kinds.items():
            for (of, _), at_ms in marks.complete.items():
                if of == kind and at_ms > NEVER:
                    complete[feed] = min(complete.get(feed, at_ms), at_ms)
    return tuple(FeedState(feed, newest[feed], complete.get(feed)) for feed in sorted(newest))


def on_company(is_stopping: Callable[[], bool], *, http: tuple[str, int], as_json: bool) -> None:
    console = Console(stderr=True)
    meter = PrometheusMeter()
    console.print("simulating a company of 200 people", highlight=False)
    company = LiveCompany(meter)
    show = _Show(company.embedded, company.worker, meter, as_json=as_json)
    with served(company.worker.health, meter, http) as show.url:
        console.print(f"{show.url}/metrics /livez /readyz", highlight=False)
        with console.status("history") as status:

            def told(now_ms: int) -> None:
                day = (now_ms - company.start_ms) // DAY_MS + 1
                events = int(meter.total("correlator_events_total"))
                status.update(f"history: day {min(day, HISTORY_DAYS)} of {HISTORY_DAYS}, {events:,} events")

            company.history(HISTORY_DAYS, is_stopping, told)
        with show.view or nullcontext():
            show.alerts(HISTORY_SHOWN)
            _live(company, show, is_stopping)
            company.worker.finish()
            show.alerts()


def _live(company: LiveCompany, show: _Show, is_stopping: Callable[[], bool]) -> None:
    """Simulated time passes at a fixed rate, as long as the worker keeps up."""
    steady = SteadyClock()
    before_ms = steady.now_ms()
    while not is_stopping():
        steady.sleep_ms(LIVE_STEP_MS)
        now_ms = steady.now_ms()
        passed_ms = min(now_ms - before_ms, 10 * LIVE_STEP_MS) * DAY_MS // DAY_TAKES_MS
        before_ms = now_ms
        company.advance(company.clock.now_ms() + passed_ms)
        show.alerts()
        show.status()


def on_records(
    config: Path, is_stopping: Callable[[], bool], *, http: tuple[str, int], as_json: bool
) -> None:
    """The records of a directory, to their end: `replay` with a view."""
    bundle = load_bundle(config)
    rows = identities_of(config, bundle.intake.sites)
    replay = Replay(bundle, list(read_records(config)), rows)
    show = _Show(replay.embedded, replay.worker, replay.meter, as_json=as_json)
    serving = served(replay.worker.health, replay.meter, http)
    with serving as show.url, show.view or nullcontext():

        def after_step() -> None:
            show.alerts()
            show.status()

        replay.worker.run(is_stopping, after_step)
        show.alerts()
