"""The shipped rules as one program, on two feeds that are never late."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from correlator.cli.rule_files import read_rules
from correlator.rules.program import RuleProgram
from correlator.timeline.settings import FeedTiming, Settings

FEEDS = (
    FeedTiming("badge", "access", "badge-events", bound_ms=0),
    FeedTiming("login", "login", "login-events", bound_ms=0),
)


@cache
def program() -> RuleProgram:
    rules, problems = read_rules(sorted((Path(__file__).parents[2] / "rules").glob("*.yml")))
    assert not problems
    return RuleProgram(rules, Settings(feeds=FEEDS))
