"""The simulated company writes a configuration that loads, and records that the shipped feeds read."""

from __future__ import annotations

from pathlib import Path

import pytest

from correlator.adapters.files import load_bundle
from correlator.adapters.record_files import IDENTITIES, read_identities, read_records
from correlator.event import FOREVER, Event
from correlator.intake.intake import Intake
from correlator.intake.people import People
from correlator.record import Record
from correlator.simulate.company import CompanySettings, simulate
from correlator.simulate.configuration import write_directory
from correlator.simulate.wire import PARTITIONS, TOPICS
from tests.simulate.shipped import schemas


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Event]]:
    """Everything that intake makes of four days; a dead letter fails."""
    directory: Path = tmp_path_factory.mktemp("company")
    company = simulate(CompanySettings(days=4, people=150, seed=9, scenarios=40), schemas())
    write_directory(company, directory)
    config = load_bundle(directory).intake
    intake = Intake(config, People(config.sites))
    identities = read_identities(directory / IDENTITIES, config.sites)
    start_ms = next(iter(read_records(directory))).timestamp_ms
    intake.learn(
        [Record("identities", 0, n, start_ms, key.encode(), row) for n, (key, row) in enumerate(identities)],
        start_ms,
    )
    for topic in TOPICS:
        for q in range(PARTITIONS):
            intake.assign(topic, q, PARTITIONS)
    taken = intake.intake_step(list(read_records(directory)), FOREVER)
    assert not taken.dead_letters, taken.dead_letters[0]
    told = {i for scenario in company.scenarios for i in scenario.event_ids}
    assert told <= {event.id for _, frame in taken.frames for _, event in frame.rows}
    return [row for _, frame in taken.frames for row in frame.rows]


def test_everybody_is_known(events: list[tuple[str, Event]]) -> None:
    assert not [entity for entity, _ in events if entity.startswith("unresolved")]


def test_reads_have_a_place_and_logins_a_network(events: list[tuple[str, Event]]) -> None:
    for _, event in events:
        if event.kind == "login":
            assert event.network is not None, event
        else:
            assert event.place is not None, event
            assert event.place.zone, event


def test_no_event_is_ahead_of_its_arrival_by_more_than_a_clock_can_be(
    events: list[tuple[str, Event]],
) -> None:
    assert all(event.time_claimed_ms is None for _, event in events)
