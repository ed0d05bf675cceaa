"""What the shipped rules find in their own tests, told as they would be: valid, explained, and read back."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import msgspec
import pytest

from correlator.adapters.yaml_lines import load_yaml_all
from correlator.alerts.ocsf import Source, alert_record
from correlator.alerts.text import rule_text
from correlator.alerts.told import read_told
from correlator.event import Event, Person
from correlator.rules.load import Document, load_rules
from correlator.rules.program import RuleProgram
from correlator.rules.rule import Case, Rule
from correlator.rules.testing import _event, _frames, _Presets, _settings
from correlator.timeline.alert import Change
from correlator.timeline.fields import FIELDS
from correlator.timeline.partition import Partition
from correlator.timeline.settings import Settings
from tests.alerts.schema import errors

RULES = Path(__file__).parents[2] / "rules"
SAYS = {  # what the paragraph of each rule must not leave out
    "d01_onsite_login_without_badge": ("No badge read puts the person at site",),
    "d05_badge_login_travel": ("earlier", "km apart", "have been at both"),
    "d12_badge_badge_travel": ("earlier", "the way takes at least", "one body cannot have been at both"),
    "d17_denied_burst": ("at least 5 events within 10 min", "reasons"),
    "d18_door_probing": ("at least 3 different place.door within 15 min", "doors"),
    "d21_terminated_badge": ("The identities feed says the person is",),
    "d23_lost_or_stolen_credential": (" as ", "Rule out first"),
    "d26_off_hours_restricted": ("more unusual than 9", "outside business hours", "criticality"),
    "d28_door_forced": ("reported forced", "explains it"),
}
Said = tuple[Change, list[Event], Person | None, int]


@cache
def rules() -> dict[str, Rule]:
    documents: list[Document] = []
    for path in sorted(RULES.glob("*.yml")):
        found, problems = load_yaml_all(path.read_text(), path.name)
        assert not problems
        documents += found
    loaded, problems = load_rules(documents, FIELDS)
    assert not [p for p in problems if p.severity == "error"]
    return {rule.name: rule for rule in loaded}


def said(rule: Rule, case: Case) -> list[Said]:
    """Every change that the events of *case* cause, with what rendering is given."""
    program = RuleProgram([msgspec.structs.replace(rule, is_alerting=True)], _settings(Settings()))
    events = [(_event(case, index), case.start_ms + e.arrives_ms) for index, e in enumerate(case.events)]
    partition = Partition(program, _Presets({e.id: e.score for e, _ in events if e.score is not None}), 0)
    told: list[Said] = []
    horizon_ms = program.settings.horizon_ms
    for frame in _frames(case, events, horizon_ms // 2, {}, horizon_ms):
        for change in partition.step(frame):
            ids = (*change.alert.evidence, *change.because)
            evidence = partition.events(change.alert.entity, ids)
            told.append((change, evidence, partition.person(change.alert.entity), partition.now_ms))
    return told


@pytest.mark.parametrize("name", SAYS)
def test_shipped_rules_explain_themselves(name: str) -> None:
    rule = rules()[name]
    text = rule_text(rule)
    changes = [change for case in rule.cases for change in said(rule, case)]
    assert changes
    for change, evidence, person, now_ms in changes:
        record = alert_record(change, evidence, text, person, Source("b", now_ms))
        assert errors(json.loads(record.value)) == []
        told = read_told(record.value)
        assert len(told.message) < 160
        for part in SAYS[name]:
            assert part in told.finding_info.desc
        assert f'Rule "{text.title}": {text.description}.' in told.finding_info.desc
        assert "Also:" not in told.finding_info.desc
