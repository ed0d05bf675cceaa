"""Why a rule matched or did not: by golden files, and never at odds with what the tests of rules say."""

from __future__ import annotations

import os
from functools import partial
from io import StringIO
from pathlib import Path
from textwrap import indent
from typing import NamedTuple

import pytest
from rich.console import Console

from correlator.cli.explained import When, show
from correlator.cli.rule_files import read_rules
from correlator.rules.explain import Explanation, NoSuchEvent, Which, explain
from correlator.rules.rule import Case, Rule
from correlator.rules.testing import frames_of, offset_text, run_case, zoned
from correlator.timeline.settings import Settings
from tests.rules.writing import ID, load, rule

GOLDEN = Path(__file__).parent / "golden"
SHIPPED = read_rules(sorted((Path(__file__).parents[2] / "rules").glob("*.yml")))[0]
CASES = [(r, case) for r in SHIPPED for case in r.cases]

IN = "{event.kind: access, access.outcome: granted, access.direction: in, place.site: lisbon}"
OUT = "{event.kind: access, access.outcome: granted, access.direction: out, place.site: lisbon}"
LOGIN = "{event.kind: login, login.outcome: success, place.site: lisbon, place.door: d}"


class Story(NamedTuple):
    """*events* of a test of the rule that alerts in *rules*; more keys of the test, and of the block."""

    rules: str
    events: str
    more: str = ""
    block: str = ""
    which: Which = "nearest"


def explained(story: Story) -> tuple[Explanation, When]:
    test = f"  tests:\n    - name: t\n      expect: match\n      events:\n{indent(story.events, ' ' * 8)}"
    text = f"{story.rules}correlator:\n{indent(story.block, '  ')}{test}{indent(story.more, ' ' * 6)}"
    rules, problems = load(text)
    assert not problems, problems
    (alerting,) = (r for r in rules if r.is_alerting)
    (case,) = alerting.cases

    def when(time_ms: int) -> str:
        return offset_text(time_ms - case.start_ms)

    frames = partial(frames_of, alerting, case)
    return explain(alerting, rules, frames, Settings(), when, which=story.which), when


def test_what_two_counted_correlations_count_and_what_an_event_is_two_steps_of_is_shown_once() -> None:
    rules = read_rules([GOLDEN.parents[2] / "rules" / "more" / "d19_denied_then_let_in_by_another.yml"])[0]
    (alerting,) = (r for r in rules if r.is_alerting)
    frames = partial(frames_of, alerting, alerting.cases[0])
    (look,) = explain(alerting, rules, frames, Settings(), str).looks
    asked = [one.asked for one in look.examined]
    windows = [window.rule for window in look.counted]
    assert asked == ["the counted rule granted_at_a_door"]
    assert windows == ["d19_denied_then_let_in_by_another", "denied_then_granted", "two_badges_at_a_door"]


@pytest.mark.parametrize(("shipped", "case"), CASES, ids=[f"{r.name}-{c.name}" for r, c in CASES])
def test_it_agrees_with_the_tests_of_rules(shipped: Rule, case: Case) -> None:
    result = run_case(shipped, case)
    settings = zoned(Settings(), case)
    found = explain(shipped, SHIPPED, lambda s: frames_of(shipped, case, s), settings, str)
    by_event = {alert.event_id for alert in result.alerts}
    if by_event and case.expect_from_ms is None:
        assert found.state == "alert"
        assert found.looks[0].event.id in by_event
    else:
        assert found.state != "alert" or case.expect_from_ms is not None
    assert all(look.said for look in found.looks)


# ------------------------------------------------------------------- rules to explain

DENIED = "event.kind: access, access.outcome: denied"
LOGGED_IN = "m: {event.kind: login, login.outcome: success}\n"
ABSENT = rule(LOGGED_IN + "b: {presence.here|lt: 0.2}\ncondition: m and b")
SETTLE = "settle: {feed: access, at: place.site, grace: 2m}\n"


def base(name: str, detection: str) -> str:
    return (
        f"title: {name}\nname: {name}\nlogsource: {{product: x}}\n"
        f"detection:\n  s: {{{detection}}}\n  condition: s\n---\n"
    )


def correlation(section: str, *bases: str) -> str:
    head = f"title: Together\nid: {ID.format(9)}\nname: together\nlevel: low\n"
    return f"{''.join(bases)}{head}correlation:\n{indent(section, '  ')}\n"


BURST = correlation(
    "type: event_count\nrules: [denied]\ngroup-by: [identity.id, place.door]\n"
    "timespan: 10m\ncondition: {gte: 3}",
    base("denied", f"{DENIED}, access.reason|neq: damaged"),
)
PROBING = BURST.replace("event_count", "value_count").replace("{gte", "{field: place.door, gte")
PROBING = PROBING.replace(", place.door]", "]")
SUM = PROBING.replace("value_count", "value_sum").replace("field: place.door", "field: place.criticality")
STEPS = (
    base("came", "event.kind: access, access.direction: in"),
    base("left", "event.kind: access, access.direction: out"),
    base("logged_in", "event.kind: login"),
)
PAIR = "type: temporal\nrules: [came, left]\ngroup-by: [identity.id]\ntimespan: 14h"
ORDER = PAIR.replace("temporal", "temporal_ordered").replace("14h", "10m")
STAYED = correlation(PAIR + "\ncondition: came and not left", *STEPS[:2])
BETWEEN = ORDER.replace("left]", "left, logged_in]") + "\ncondition: came and not left and logged_in"
EITHER = PAIR.replace("left]", "left, logged_in]") + "\ncondition: came and (logged_in or not left)"
NESTED = correlation(
    "type: event_count\nrules: [burst]\ngroup-by: [identity.id]\ntimespan: 1h\ncondition: {gte: 2}",
    base("denied", DENIED),
    "title: Burst\nname: burst\ncorrelation:\n  type: event_count\n  rules: [denied]\n  timespan: 5m\n"
    "  group-by: [identity.id]\n  condition: {gte: 2}\n---\n",
)
THEN_IN = correlation(
    "type: temporal_ordered\nrules: [burst, came]\ngroup-by: [identity.id]\ntimespan: 15m",
    base("denied", DENIED),
    STEPS[0],
    "title: Burst\nname: burst\ncorrelation:\n  type: event_count\n  rules: [denied]\n  timespan: 10m\n"
    "  group-by: [identity.id, place.door]\n  condition: {gte: 3}\n---\n",
)
SINGLE = rule(f"s: {{{DENIED}}}\ncondition: s")
LOST = rule("s: {event.kind: access, credential.state: lost}\ncondition: s")


def denied(offset: str, door: str = "d1", more: str = "") -> str:
    return f"- {{offset: {offset}, {DENIED}, access.reason: other, place.door: {door}{more}}}\n"


def at(offset: str, event: str) -> str:
    return f"- {event.replace('{', f'{{offset: {offset}, ', 1)}\n"


BROKEN = denied("7m").replace("other", "damaged")
CRITICAL = ", place.criticality: 1"
MARKS = "marks: [{offset: 9m, feed: access, site: lisbon, complete_to: 1m}]\nexpect_at: %s\n"

STORIES = {
    "low": Story(ABSENT, at("-1h", IN) + at("0s", LOGIN), block=SETTLE),
    "settle_told": Story(ABSENT, at("0s", LOGIN), block=SETTLE),
    "settle_refuted": Story(ABSENT, at("0s", LOGIN) + at("1m", IN), block=SETTLE),
    "settle_waiting": Story(ABSENT, at("0s", LOGIN), MARKS % "10m", SETTLE),
    "settle_inconclusive": Story(ABSENT, at("0s", LOGIN), MARKS % "1h", SETTLE),
    "settle_low_confidence": Story(ABSENT, at("0s", LOGIN), MARKS % "1h", SETTLE + "on_incomplete: fire\n"),
    "settle_retracted": Story(
        ABSENT,
        at("0s", LOGIN) + at("-1m, arrives: 1h", IN),
        "marks: [{offset: 5m, feed: access, site: lisbon, complete_to: 3m}]\n",
        SETTLE,
    ),
    "settle_nowhere": Story(
        ABSENT.replace("presence.here|lt: 0.2", "presence.site: null"),
        "- {event.kind: login, login.outcome: success}\n",
        block=SETTLE,
    ),
    "count_short": Story(
        BURST,
        denied("0s") + denied("9m") + denied("601s") + denied("5m", "d2") + BROKEN,
    ),
    "count_told": Story(BURST, denied("0s") + denied("1m") + denied("10m")),
    "count_without_group": Story(BURST, denied("0s").replace("place.door: d1", "device.id: x")),
    "values": Story(PROBING, denied("0s") + denied("1m") + denied("2m", "d2")),
    "sum": Story(SUM, denied("0s", more=CRITICAL) + denied("1m", more=CRITICAL)),
    "sum_of_no_number": Story(
        SUM.replace("place.criticality", "Bytes"),
        denied("0s", more=", Bytes: 2") + denied("1m", more=", Bytes: many"),
        which=2,
    ),
    "repeat": Story(SINGLE, denied("0s") + denied("5m"), block="suppress: {for: 1h}\n", which=2),
    "all": Story(SINGLE, denied("0s") + at("1m", IN), which="all"),
    "pair": Story(correlation(PAIR, *STEPS[:2]), at("0s", IN) + at("15h", OUT)),
    "order": Story(correlation(ORDER, *STEPS[:2]), at("0s", OUT) + at("1m", IN)),
    "order_told": Story(correlation(ORDER, *STEPS[:2]), at("0s", IN) + at("10m", OUT)),
    "between": Story(correlation(BETWEEN, *STEPS), at("0s", IN) + at("1m", OUT) + at("2m", LOGIN)),
    "between_told": Story(correlation(BETWEEN, *STEPS), at("0s", IN) + at("2m", LOGIN)),
    "between_short": Story(
        correlation(ORDER.replace("left]", "left, logged_in]"), *STEPS), at("0s", IN) + at("1m", OUT)
    ),
    "nothing_counted": Story(NESTED, at("0s", IN)),
    "alternatives": Story(correlation(EITHER, *STEPS), at("0s", LOGIN)),
    "alternatives_told": Story(correlation(EITHER, *STEPS), at("0s", IN) + at("1m", OUT) + at("2m", LOGIN)),
    "stayed": Story(STAYED, at("0s", IN)),
    "left": Story(STAYED, at("0s", IN) + at("13h", OUT)),
    "stayed_nowhere": Story(STAYED, at("0s", IN.replace(", place.site: lisbon", ""))),
    "nested": Story(NESTED, denied("0s") + denied("1m") + denied("2m")),
    "nested_short": Story(THEN_IN, denied("0s") + denied("1m") + at("4m", IN)),
    "nested_told": Story(THEN_IN, denied("0s") + denied("1m") + denied("2m") + at("4m", IN)),
    "nested_again": Story(NESTED, denied("0s") + denied("1m") + denied("2m"), which=3),
    "nested_without_group": Story(THEN_IN, denied("0s").replace("place.door: d1", "device.id: x")),
    "nested_step": Story(THEN_IN, denied("0s") + denied("1m") + at("4m", IN), which=1),
    "requires": Story(SINGLE, denied("0s"), block="requires: {warm_model: true}\n"),
    "requires_settle": Story(ABSENT, at("0s", LOGIN), block=SETTLE + "requires: {warm_model: true}\n"),
    "requires_count": Story(BURST, denied("0s") * 3, block="requires: {warm_model: true}\n"),
    "no_door": Story(rule("s: {event.kind: login}\ncondition: s"), at("0s", LOGIN), block="entity: door\n"),
    "too_old": Story(
        LOST,
        at("0s", IN.replace("{", "{arrives: 31h, credential.id: '1', ")) + at("30h", IN),
        "person: {credentials: [{id: '1', states: [{at: -1d, state: lost}]}]}\n",
        "any_age: true\n",
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_golden_text(name: str) -> None:
    """Set CORRELATOR_UPDATE_GOLDEN=1 to write what is shown now, and review the difference."""
    found, when = explained(STORIES[name])
    console = Console(file=StringIO(), width=110)
    show(found, ["rule"], when, console)
    assert isinstance(console.file, StringIO)
    text = "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())
    path = GOLDEN / f"explain_{name}.txt"
    if os.environ.get("CORRELATOR_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("which", [2, 40, 150])
def test_a_repeat_is_one_also_where_the_alert_names_newer_ones_only(which: int) -> None:
    often = f"- {{offset: 0s, repeat: {{every: 1s, times: 150}}, {DENIED}}}\n"
    found, _ = explained(Story(SINGLE, often, which=which))
    assert [look.state for look in found.looks] == ["repeat"]
    assert "matches join it until it has been quiet for 1h" in found.looks[0].said[0]


def test_a_repeat_beyond_the_budget_is_one_for_the_budget() -> None:
    often = f"- {{offset: 0s, repeat: {{every: 1m, times: 4}}, {DENIED}}}\n"
    block = "suppress: {for: 0s}\nbudget: {alerts: 1, per: 1h}\nrisk: 100\n"
    found, _ = explained(Story(SINGLE, often, block=block, which="all"))
    assert [look.state for look in found.looks] == ["alert", "alert", "repeat", "repeat"]
    assert "which is beyond the budget: what follows within 1h joins it" in found.looks[2].said[0]


def test_an_event_that_is_not_there() -> None:
    with pytest.raises(NoSuchEvent, match="the rule saw 1"):
        explained(STORIES["stayed"]._replace(which=2))
