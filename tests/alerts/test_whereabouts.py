"""What alerts of the shipped rules say of where the person was, and when: by the rules' own tests."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from correlator.alerts.explain import explain
from correlator.alerts.story import story
from correlator.alerts.text import rule_text
from correlator.cli.rule_files import read_rules
from correlator.rules.program import RuleProgram
from correlator.rules.rule import Rule
from correlator.rules.testing import alone, frames_of, play, zoned
from correlator.timeline.alert import Change
from correlator.timeline.settings import Settings

RULES = Path(__file__).parents[2] / "rules"


def rule_of(number: str) -> Rule:
    (file,) = RULES.rglob(f"{number}_*.yml")
    (rule,), problems = read_rules([file])
    assert not problems
    return rule


def told(rule: Rule, name: str) -> str:
    """The paragraph of the one alert of the test *name* of *rule*."""
    (case,) = (case for case in rule.cases if case.name == name)
    program = RuleProgram(*alone(rule, zoned(Settings(), case)))
    played = play(program, frames_of(rule, case, program.settings))
    ((uid, alert),) = played.alerts.items()
    held = played.partition
    events, person = held.events(alert.entity, alert.evidence), held.person(alert.entity)
    return explain(story(Change("create", alert, uid), events, rule_text(rule), person))


@pytest.mark.parametrize(
    ("number", "case", "said"),
    [
        ("d01", "badged in at another site an hour before",
         "the last badge read was 1 h earlier at site porto"),
        ("d03", "read at the office, unlocked in the laboratory",
         "Badge reads put the person last at site lisbon in zone office, entered 1 h before."),
        ("d06", "the only person inside has left", "nobody was inside, nor had been for 1 h"),
        ("d08", "an hour after the read on the way out",
         "The person was read leaving the site 1 h before."),
        ("d15", "let in at another site only",
         "The read is inside the site, and none before it let the person in."),
        ("d22", "on the third day of leave", "the person is on leave since"),
        ("d24", "two days after the new one",
         "a newer badge of the same class 2 d before; badge 17, the older one, was used."),
        ("d46", "in the vault for the first time", "the person is under notice since"),
    ],
)  # fmt: skip
def test_times_are_before_the_event_and_what_the_rule_asks_is_said(number: str, case: str, said: str) -> None:
    """A settled rule takes its ages with the verdict, two minutes after the event."""
    assert said in told(rule_of(number), case)


def test_nobody_says_that_no_read_is_known_who_did_not_ask_for_it() -> None:
    rule, name = rule_of("d01"), "badged in at another site an hour before"
    quiet = msgspec.structs.replace(rule, evidence=("identity.department",))
    assert "no earlier badge read is known" not in told(quiet, name)
    assert "no earlier badge read is known" in told(rule, "no badge read all morning")
