"""What the simulated company promises: equal bytes for equal seeds, order of arrival, honest truth."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from io import BytesIO
from itertools import islice, pairwise
from pathlib import Path

import fastavro
import msgspec
import pytest

from correlator.event import DAY_MS, HOUR_MS, event_id
from correlator.record import Record
from correlator.simulate.company import CompanySettings, simulate
from correlator.simulate.configuration import write_directory
from correlator.simulate.emit import midnight_ms
from correlator.simulate.geography import LATE_CONTROLLER
from correlator.simulate.planning import WARM_DAYS
from correlator.simulate.scenario import RULES
from correlator.simulate.wire import SCHEMA_FILES, TOPICS
from tests.simulate.shipped import SETTINGS, lived, schemas

PARSED = {topic: fastavro.parse_schema(schemas()[file][1]) for topic, file in SCHEMA_FILES.items()}  # type: ignore[arg-type]
SMALL = CompanySettings(days=4, people=60, seed=3, scenarios=20)


def decoded(record: Record) -> dict[str, object]:
    assert record.value is not None
    assert record.value[:5] == b"\0" + schemas()[SCHEMA_FILES[record.topic]][0].to_bytes(4, "big")
    found = fastavro.schemaless_reader(BytesIO(record.value[5:]), PARSED[record.topic], None)
    assert isinstance(found, dict)
    return found


def ids(record: Record) -> str:
    value = decoded(record)
    source = value["source_id"] if record.topic == "login-events" else value["controller_id"]
    return event_id(str(source), str(value["event_id"]))


def test_equal_settings_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_directory(simulate(SMALL, schemas()), tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 5 + len(TOPICS)
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_another_seed_is_another_company() -> None:
    one = list(simulate(SMALL, schemas()).records())
    two = list(simulate(msgspec.structs.replace(SMALL, seed=4), schemas()).records())
    assert one != two


def test_records_come_in_order_of_arrival_and_are_numbered_per_partition() -> None:
    _, records = lived()
    arrivals = [record.timestamp_ms for record in records]
    assert arrivals == sorted(arrivals)
    for place in {(record.topic, record.partition) for record in records}:
        offsets = [r.offset for r in records if (r.topic, r.partition) == place]
        assert offsets == list(range(len(offsets)))


def test_one_key_is_always_on_one_partition() -> None:
    _, records = lived()
    partitions = {(r.topic, r.key): r.partition for r in records}
    assert all(partitions[r.topic, r.key] == r.partition for r in records)
    assert {r.partition for r in records if r.topic == "login-events"} == {0, 1, 2}


def test_life_goes_on_when_it_is_endless() -> None:
    company = simulate(SMALL, schemas())
    end_ms = midnight_ms(SMALL.start, "UTC") + (SMALL.days + 2) * DAY_MS
    some = list(islice(company.records(is_endless=True), 8_000))
    assert some[-1].timestamp_ms > end_ms


def test_every_rule_has_its_share_of_attacks_and_look_alikes() -> None:
    company = simulate(CompanySettings(seed=11), schemas())
    planned = Counter((scenario.name, scenario.kind) for scenario in company.scenarios)
    assert planned == {(name, kind): 20 for name in RULES for kind in ("attack", "look-alike")}


def test_scenarios_of_a_small_company_are_scaled_down_and_late_enough() -> None:
    company, _ = lived()
    counts = Counter((scenario.name, scenario.kind) for scenario in company.scenarios)
    share = SETTINGS.people / 500 * SETTINGS.days / 21
    assert max(counts.values()) == round(20 * share)
    assert all(scenario.day >= WARM_DAYS for scenario in company.scenarios if scenario.name == "D26")


def test_nobody_carries_two_scenarios_at_a_time() -> None:
    company = simulate(CompanySettings(seed=5), schemas())
    days: dict[object, list[int]] = {}
    for scenario in company.scenarios:
        days.setdefault(scenario.door or scenario.person, []).append(scenario.day)
    for taken in days.values():
        taken.sort()
        assert all(later - earlier >= 3 for earlier, later in pairwise(taken))


def test_truth_names_events_that_were_sent() -> None:
    company, records = lived()
    sent = {ids(record) for record in records}
    scenarios = json.loads(json.dumps(company.truth()))["scenarios"]
    assert len(scenarios) == len(company.scenarios)
    for scenario in scenarios:
        assert scenario["event_ids"], scenario
        assert set(scenario["event_ids"]) <= sent, scenario
        assert scenario["from_ms"] <= scenario["to_ms"]


def test_volumes_are_those_of_an_office() -> None:
    company, records = lived()
    per_person_day = len(records) / company.person_days
    assert 6 < per_person_day < 25
    reads = [decoded(r) for r in records if r.topic == "badge-events"]
    denied = sum(read["outcome"] == "DENIED" for read in reads) / len(reads)
    assert 0.001 < denied < 0.03
    logins = [decoded(r) for r in records if r.topic == "login-events"]
    failed = sum(login["outcome"] == "FAILURE" for login in logins) / len(logins)
    assert 0.001 < failed < 0.05
    again = len(records) - len({ids(record) for record in records})
    assert 0 < again < len(records) / 500


def test_most_records_arrive_within_seconds_and_one_controller_hours_late() -> None:
    _, records = lived()
    badge = [(r, decoded(r)) for r in records if r.topic == "badge-events"]
    lateness = {r: r.timestamp_ms - milliseconds(value) for r, value in badge}
    late = [value["controller_id"] for r, value in badge if lateness[r] > 5 * 60_000]
    assert set(late) == {LATE_CONTROLLER}
    assert max(lateness.values()) <= 3 * HOUR_MS + 60_000
    assert min(lateness.values()) >= -60_000


def milliseconds(value: dict[str, object]) -> int:
    found = value["occurred_at"]
    return round(found.timestamp() * 1000)  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(("tailgating", "most"), [(0.0, 0), (0.2, 10_000)])
def test_tailgating_takes_reads_away(tailgating: float, most: int) -> None:
    settings = CompanySettings(days=3, people=80, seed=2, scenarios=0, start=date(2026, 1, 6))
    none = sum(1 for _ in simulate(msgspec.structs.replace(settings, tailgating=0.0), schemas()).records())
    some = sum(
        1 for _ in simulate(msgspec.structs.replace(settings, tailgating=tailgating), schemas()).records()
    )
    assert 0 <= none - some <= most
    assert (none == some) == (tailgating == 0.0)


def test_a_badge_that_changes_hands_is_read_of_its_new_holder_only() -> None:
    settings = CompanySettings(days=6, people=60, seed=3, scenarios=0, reissued=1)
    company = simulate(settings, schemas())
    (found,) = company.reissued
    assert (found.old.badge_on(2), found.new.badge_on(3)) == (found.badge, found.badge)
    assert found.old.badge_on(3) != found.badge
    held = [(b.from_ms, b.to_ms) for p in (found.old, found.new) for b in p.badges if b.id == found.badge]
    assert held == [(None, found.at_ms), (found.at_ms, None)]


def test_people_whom_no_reader_sees_log_in_all_the_same() -> None:
    settings = CompanySettings(days=5, people=60, seed=3, scenarios=0, unread=2)
    plain, unread = (
        Counter(record.topic for record in simulate(s, schemas()).records())
        for s in (msgspec.structs.replace(settings, unread=0), settings)
    )
    assert unread["badge-events"] < plain["badge-events"]
    assert unread["login-events"] > 0.95 * plain["login-events"]


def test_a_dead_site_delivers_when_it_is_back() -> None:
    settings = CompanySettings(days=3, people=60, seed=3, scenarios=0, dead=(("lisbon", 1),))
    late = {
        str(decoded(record)["controller_id"])
        for record in simulate(settings, schemas()).records()
        if record.topic == "badge-events" and record.timestamp_ms - milliseconds(decoded(record)) > HOUR_MS
    }
    assert late == {*(f"lis-ctl-{n}" for n in range(1, 5)), LATE_CONTROLLER}
