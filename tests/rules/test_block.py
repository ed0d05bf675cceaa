"""The `correlator:` block: every key read, every mistake said, and what is not acted on yet refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from correlator.event import Event, Place
from correlator.rules.program import RuleProgram
from correlator.rules.schema import TABLE, block_schema
from tests.rules.writing import ID, SETTINGS, access, found_by, load, observe, rule, run_cases

SCHEMA = Path(__file__).parents[2] / "schemas" / "correlator-block.schema.json"
ANY = "s: {event.kind: access}\ncondition: s"


def messages(block: str, detection: str = ANY) -> list[str]:
    return [p.message for p in load(rule(detection, f"correlator:\n  {block}\n"))[1]]


def test_the_published_schema_is_that_of_the_code() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == block_schema()


def test_every_key_says_what_it_means() -> None:
    assert all(key.doc.endswith(".") and key.schema for key in TABLE.values())


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("mode: loud", "must be one of: alert, shadow, off"),
        ("budget: {alerts: 0, per: 1h}", "must be a whole number from 1"),
        ("budget: {alerts: 2}", "per is missing: budget: {alerts: 3, per: 8h}"),
        ("budget: {alerts: 2, per: 2d}", "is longer than a day"),
        ("budget: {entities: 0}", "must be a whole number from 1 to 100000"),
        ("budget: {entities: 2, per: 1h}", "alerts is missing"),
        ("risk: 200", "must be a whole number from 0 to 100"),
        ("requires: {feed: [access]}", "unknown key 'feed': did you mean feeds?"),
        ("requires: {feeds: [badge]}", "must be one of: access, door, login"),
        ("requires: {warm_model: maybe}", "must be true or false"),
        ("review_by: soon", "must be a day such as 2027-01-31"),
        ("owner: ''", "must be text"),
        ("expires: {on: 2027-01-01, reason: x, owner: y}", "is for filters"),
        ("on_incomplete: fire", "is for rules that settle"),
        ("severity: {by: place.criticality}", "says a field and levels"),
        ("severity: {by: place.criticality, levels: {4: severe}}", "must be one of: informational, low"),
        ("severity: {by: place.criticality, levels: {four: high}}", "is no value of place.criticality"),
        ("severity: {by: place.crit, levels: {4: high}}", "unknown field 'place.crit'"),
        ("severity: {by: presence.here, levels: {1: high}}", "concludes from access events"),
        ("suppres: {for: 1h}", "unknown key 'suppres': did you mean suppress?"),
        ("settle: {feed: access, at: place.site, grace: 30h}", "is longer than the horizon of 1d"),
    ],
)
def test_what_cannot_be_said(block: str, message: str) -> None:
    assert any(message in said for said in messages(block)), messages(block)


def test_on_incomplete_stands_in_the_block_or_in_settle() -> None:
    detection = "s: {event.kind: login, presence.here|lt: 0.2}\ncondition: s"
    settle = "settle: {feed: access, at: place.site, grace: 2m%s}"
    for block in (settle % "" + "\n  on_incomplete: fire", settle % ", on_incomplete: fire"):
        (loaded,), problems = load(rule(detection, f"correlator:\n  {block}\n"))
        assert problems == []
        assert RuleProgram([loaded], SETTINGS).rules[loaded.id].fires_incomplete
    both = settle % ", on_incomplete: inconclusive" + "\n  on_incomplete: fire"
    assert messages(both, detection) == ["differs from settle.on_incomplete: say it once"]


def test_a_rule_that_is_off_is_read_and_not_evaluated() -> None:
    rules, problems = load(rule(ANY, "correlator: {mode: off}\n"))
    assert problems == []
    assert found_by(RuleProgram(rules, SETTINGS), observe(access()), ()).matches == []


@pytest.mark.parametrize(("criticality", "level"), [(0, "low"), (3, "medium"), (4, "high"), (9, "high")])
def test_the_level_goes_by_the_number_that_is_reached(criticality: int, level: str) -> None:
    block = "correlator: {severity: {by: place.criticality, levels: {4: high, 3: medium}}}\n"
    using = RuleProgram(load(rule(ANY, block))[0], SETTINGS)
    (match,) = found_by(using, observe(access(place=Place("x", criticality=criticality))), ()).matches
    assert match.severity == level


def test_the_level_goes_by_text_or_truth_and_else_is_that_of_the_rule() -> None:
    def level(block: str, event: Event) -> str:
        using = RuleProgram(load(rule(ANY, f"correlator: {{severity: {block}}}\n"))[0], SETTINGS)
        return found_by(using, observe(event), ()).matches[0].severity

    by_text = "{by: access.direction, levels: {In: high}}"
    assert [level(by_text, access(direction=d)) for d in ("in", "out")] == ["high", "low"]
    by_truth = "{by: access.duress, levels: {true: critical}}"
    assert [level(by_truth, access(duress=d)) for d in (True, False)] == ["critical", "low"]


ABSENCE = """title: In
name: came
logsource: {product: x}
detection: {s: {event.kind: access, access.direction: in}, condition: s}
---
title: Out
name: left
logsource: {product: x}
detection: {s: {event.kind: access, access.direction: out}, condition: s}
---
title: Did not leave within fourteen hours
id: 00000000-0000-4000-8000-000000000001
name: stayed
level: low
correlation:
    {type: temporal, rules: [came, left], group-by: [identity.id], timespan: 14h,
     condition: came and not left}
correlator:
    tests:
        - name: never left
          expect: match
          events: [&in {event.kind: access, access.direction: in, place.site: lisbon}]
        - name: left at the last moment
          expect: no-match
          events: [*in, {offset: 14h, event.kind: access, access.direction: out}]
        - name: left later
          expect: match
          events: [*in, {offset: 841m, event.kind: access, access.direction: out}]
        - name: the read at the exit is delivered late
          expect: no-match
          events: [*in, {offset: 13h, arrives: 20h, event.kind: access, access.direction: out}]
        - name: time alone says nothing
          expect: no-match
          expect_at: 20h
          events: [*in]
          marks: [{offset: 15h, feed: access, site: lisbon, complete_to: 839m}]
        - name: nor is it said before
          expect: no-match
          expect_at: 13h
          events: [*in]
          marks: [{offset: 13h, feed: access, site: lisbon, complete_to: 13h}]
        - name: said when the readers have delivered to the end
          expect: match
          expect_at: 20h
          events: [*in]
          marks: [{offset: 15h, feed: access, site: lisbon, complete_to: 14h}]
"""


def test_absence_is_shown_when_the_feed_is_complete_to_the_end_of_the_window() -> None:
    rules, problems = load(ABSENCE)
    assert problems == []
    assert [(r.case.name, r.message) for r in run_cases(rules) if r.message] == []


def test_fingerprints_of_rules_survive_new_versions_of_the_language() -> None:
    """State of windows belongs to them."""
    counted = rule("s: {event.kind: access, device.id|contains: x}\ncondition: s", number=1)
    section = (
        f"---\ntitle: c\nid: {ID.format(2)}\nname: c\nlevel: low\ncorrelation:\n  type: event_count\n"
        "  rules: [rule_1]\n  group-by: [identity.id]\n  timespan: 5m\n  condition: {gte: 3}\n"
    )
    rules, _ = load(counted + section)
    assert [r.fingerprint for r in rules] == ["05820a2bc8ff5b82", "699117e79659fc96"]
