"""`correlator rules bench`: what each rule costs an event, and all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from time import process_time_ns
from typing import Annotated

import typer
from msgspec.structs import replace
from rich.table import Table

from correlator.cli.as_json import AsJson, as_text
from correlator.cli.rule_files import Config, Paths, good_rules, refuse
from correlator.cli.rule_settings import settings_of
from correlator.cli.screen import wide_console
from correlator.rules.program import RuleProgram
from correlator.rules.rule import Rule
from correlator.rules.testing import alone, frames_of, play, zoned
from correlator.rules.watched import Watched
from correlator.timeline.observation import Observation
from correlator.timeline.settings import Settings

SAMPLES_MAX = 5_000
REPEATS = 5  # the fastest counts: others were interrupted

Milliseconds = Annotated[int, typer.Option("--ms", min=1, help="Time to spend on each rule.")]


def bench_command(
    paths: Paths = None, config: Config = None, as_json: AsJson = False, spend_ms: Milliseconds = 100
) -> None:
    """Measure what each rule costs an event, in microseconds of this machine's processor.

    The events are those of the rules' own tests, with what the timeline knew at each. A rule is evaluated
    alone, so rules that share tests cost less together: the last line says how much, and what it would cost
    without generated code.

    Exit codes: 0 done, 2 a file has errors, or no rule has tests.
    """
    rules, settings = good_rules(paths, config, as_json=as_json), settings_of(config)
    alerting = [rule for rule in rules if rule.is_alerting]
    seen = samples(rules, settings)
    if not seen:
        refuse("no rule has tests: there are no events to measure with")
    nothing_us = cost_us(RuleProgram((), settings), seen, spend_ms)
    costs = {
        rule.name: cost_us(RuleProgram([rule], settings), seen, spend_ms) - nothing_us for rule in alerting
    }
    together_us = cost_us(RuleProgram(alerting, settings), seen, spend_ms) - nothing_us
    slow_us = cost_us(RuleProgram(alerting, settings, is_interpreted=True), seen, spend_ms) - nothing_us
    whole = {"events": len(seen), "together_us": round(together_us, 3), "interpreted_us": round(slow_us, 3)}
    if as_json:
        typer.echo(as_text({"rules": {name: round(us, 3) for name, us in costs.items()}, **whole}))
        return
    table = Table("rule", "µs an event", "share")
    total_us = sum(costs.values()) or 1.0
    for name, us in sorted(costs.items(), key=lambda row: -row[1]):
        table.add_row(name, f"{us:.2f}", f"{us / total_us:.0%}")
    console = wide_console()
    console.print(table)
    console.print(
        f"together {together_us:.2f} µs an event, interpreted {slow_us:.2f}, of {len(seen)} events of tests",
        highlight=False,
    )


def samples(rules: Sequence[Rule], settings: Settings) -> list[Observation]:
    """Events of the tests of *rules*, as rules see them."""
    found: list[Observation] = []
    for rule in rules:
        for case in rule.cases:
            program = Watched(*alone(rule, zoned(settings, case)))
            play(program, frames_of(rule, case, program.settings))
            found += [seen.observation for seen in program.seen.values()]
    return found[:SAMPLES_MAX]


def cost_us(program: RuleProgram, seen: Sequence[Observation], spend_ms: int) -> float:
    """Microseconds of processor time that *program* takes for one of *seen*, the fastest of some runs."""
    fresh = [(o.entity, o.event, replace(o.live, waiting=())) for o in seen]
    fastest, spent, runs = float("inf"), 0, 0
    while runs < REPEATS or spent < spend_ms * 1_000_000:
        began = process_time_ns()
        for entity, event, live in fresh:
            program.on_event(entity, event, live)
        took = process_time_ns() - began
        fastest, spent, runs = min(fastest, took), spent + took, runs + 1
    return fastest / len(fresh) / 1_000
