"""A whole configuration in shadow, as a backfill deploys it: what is told elsewhere counts all the same."""

from __future__ import annotations

from pathlib import Path

from correlator.adapters.files import bundle_of, load_texts
from correlator.adapters.record_files import identities_of, read_records
from correlator.alerts.told import read_told
from correlator.cli.backfill import in_shadow
from correlator.cli.replay import Replay
from correlator.intake.general import PREFIX
from correlator.pipeline import Bundle
from correlator.simulate.company import CompanySettings
from tests.cli.companies import company_of

RISKY = """
title: Badge read in a critical zone
id: c0a80001-0098-4d98-8a98-000000000098
name: read
status: test
logsource: {product: correlator, category: physical_access}
detection:
    selection: {event.kind: access, place.criticality|gte: 3}
    condition: selection
level: low
correlator: {risk: 100}
"""


def test_what_is_learned_in_shadow_is_what_would_be_learned_live() -> None:
    """What a rule held against people was learned as their habit, and nothing was added up to a risk."""
    with company_of(CompanySettings(days=3, people=20, seed=3)) as directory:
        (directory / "rules").mkdir()
        (directory / "rules" / "risky.yml").write_text(RISKY)
        bundle, texts, _ = load_texts(directory)
        live, past = passed(directory, bundle), passed(directory, bundle_of(in_shadow(texts), PREFIX))
    assert (live.shadow, past.alerts) == ([], [])
    assert told(past.shadow) == told(live.alerts)
    assert any(rule == "risk" for rule, _ in told(live.alerts))
    assert learned(past) == learned(live)


def passed(directory: Path, bundle: Bundle) -> Replay:
    people = identities_of(directory, bundle.intake.sites)
    replay = Replay(bundle, list(read_records(directory)), people)
    replay.worker.run(lambda: False, replay.collect)
    replay.collect()
    return replay


def told(alerts: list[bytes]) -> set[tuple[str, str]]:
    return {(alert.metadata.event_code, alert.finding_info.uid) for alert in map(read_told, alerts)}


def learned(replay: Replay) -> dict[object, object]:
    """Habits by entity, models by partition."""
    found: dict[object, object] = {}
    for partition in replay.worker.partitions():
        found[partition.number] = partition.scorer.encode()
        for entity in partition.timelines:
            live = partition.timelines[entity].touch(partition.codes)
            found[entity] = (live.habits, live.today)
    return found
