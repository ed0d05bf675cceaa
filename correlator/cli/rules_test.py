"""`correlator rules test`: the tests of rules, through the real timeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from shlex import quote
from time import perf_counter
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.text import Text

from correlator.alerts.phrases import happened
from correlator.cli.as_json import AsJson, as_text
from correlator.cli.exit_codes import FAILED
from correlator.cli.rule_files import Config, Paths, good_rules, refuse
from correlator.cli.rule_settings import settings_of
from correlator.cli.screen import progress, wide_console
from correlator.event import Event
from correlator.rules.explain import Explanation, explain
from correlator.rules.rule import Case, Rule
from correlator.rules.testing import NONE, CaseResult, frames_of, offset_text, run_case
from correlator.timeline.alert import Alert
from correlator.timeline.settings import Settings

ALERTS_MAX = 5  # that are listed of a test that expected none
VALUES_MAX = 6  # fields that are quoted of each

Selected = Annotated[
    list[str] | None,
    typer.Option("-k", help="Only tests whose rule and name contain this; may be given several times."),
]


class _Ran(NamedTuple):
    """*seconds*: of the test alone. *why*: what came of it, where it failed."""

    rule: Rule
    result: CaseResult
    seconds: float
    why: Explanation | None


def run_tests(
    paths: Paths = None,
    config: Config = None,
    selected: Selected = None,
    as_json: AsJson = False,
    is_verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="List passed tests too, and the time of each rule.")
    ] = False,
) -> None:
    """Run the tests of rules, written as events, through the real timeline.

    Of a failed test: what was expected, what came instead, the event that came nearest and why it was not
    enough, and the command that explains it line by line.

    Exit codes: 0 all passed, 1 a test failed, 2 a file has errors or -k selects nothing: nothing was run.
    """
    rules = good_rules(paths, config, as_json=as_json)
    cases = [(rule, case) for rule in rules for case in rule.cases if _is_selected(rule, case, selected)]
    if selected and not cases:
        refuse(f"no test contains {' or '.join(map(repr, selected))}")
    began = perf_counter()
    ran = list(_run(rules, cases, settings_of(config), is_quiet=as_json))
    seconds = perf_counter() - began
    untested = [] if selected else [rule.name for rule in rules if rule.is_alerting and not rule.cases]
    if as_json:
        tests = [_as_json(one) for one in ran]
        typer.echo(as_text({"tests": tests, "untested": untested, "seconds": seconds}))
    else:
        _print(ran, untested, seconds, _where(paths, config), is_verbose=is_verbose)
    if not all(one.result.is_passed for one in ran):
        raise typer.Exit(FAILED)


def _is_selected(rule: Rule, case: Case, selected: Sequence[str] | None) -> bool:
    text = f"{rule.name}: {case.name}".lower()
    return not selected or any(part.lower() in text for part in selected)


def _run(
    rules: Sequence[Rule], cases: Sequence[tuple[Rule, Case]], settings: Settings, *, is_quiet: bool
) -> Iterator[_Ran]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with progress(*columns, is_quiet=is_quiet, is_transient=True) as shown:
        task = shown.add_task("tests", total=len(cases))
        for rule, case in cases:
            shown.update(task, description=rule.name)
            began = perf_counter()
            result = run_case(rule, case, settings)
            seconds = perf_counter() - began
            why = None if result.is_passed else _explained(rule, rules, case, settings)
            shown.advance(task)
            yield _Ran(rule, result, seconds, why)


def _explained(rule: Rule, rules: Sequence[Rule], case: Case, settings: Settings) -> Explanation:
    return explain(rule, rules, partial(frames_of, rule, case), settings, partial(_when, case))


def _when(case: Case, time_ms: int) -> str:
    return offset_text(time_ms - case.start_ms)


# ------------------------------------------------------------------------------- output


def _where(paths: Sequence[Path] | None, config: Path | None) -> str:
    """The options by which `rules explain` finds the same rules."""
    named = [f" --rules {quote(str(path))}" for path in paths or ()]
    return "".join(named) + (f" --config {quote(str(config))}" if config is not None else "")


def _print(
    ran: Sequence[_Ran], untested: Sequence[str], seconds: float, where: str, *, is_verbose: bool
) -> None:
    console = wide_console()
    times = Counter[str]()
    for one in ran:
        times[one.rule.name] += one.seconds  # type: ignore[assignment] # a Counter of floats
        if not one.result.is_passed:
            _print_failed(one, where, console)
        elif is_verbose:
            console.print(Text.assemble(("passed", "green"), f"  {one.rule.name}: {one.result.case.name}"))
    if is_verbose:
        for name, spent in times.most_common():
            console.print(f"{spent * 1000:8.1f} ms  {name}", highlight=False)
    if untested:
        console.print(Text(f"without tests: {', '.join(untested)}", "yellow"))
    failed = sum(not one.result.is_passed for one in ran)
    said = f"{len(ran) - failed} passed, {failed} failed in {seconds:.2f} s"
    slowest = "".join(f", slowest {name} {spent * 1000:.0f} ms" for name, spent in times.most_common(1))
    console.print(Text.assemble((said, "bold red" if failed else "bold green"), slowest))


def _print_failed(one: _Ran, where: str, console: Console) -> None:
    rule, case = one.rule, one.result.case
    place = f"{case.file}:{case.line}"
    console.print(Text.assemble(("FAILED", "bold red"), f"  {rule.name}: {case.name}  ", (place, "dim")))
    for line in _difference(one):
        console.print(Text(f"    {line}"), soft_wrap=True)
    command = f"correlator rules explain {rule.name} --test {quote(case.name)}{where}"
    console.print(Text(f"    {command}", "dim"), soft_wrap=True)
    console.print()


def _difference(one: _Ran) -> Iterator[str]:
    """What was expected, and what came instead, why."""
    result, why = one.result, one.why
    assert why is not None
    if result.case.expects_match:
        yield f"expected  an alert{_as_of(result.case)}"
        yield f"got       none{_none_came(result, why)}"
    else:
        yield f"expected  no alert{_as_of(result.case)}"
        yield f"got       {len(result.alerts)}"
    for alert in result.alerts[:ALERTS_MAX]:
        yield f"          {_alert(alert, result.case, why.events)}"
    for look in why.looks if not result.alerts else ():
        yield f"nearest   event {look.number} of {why.asked}, {_event(look.event, result.case)}"
        yield from (f"          {sentence}" for sentence in look.said)
    yield from why.said


def _as_of(case: Case) -> str:
    if case.expect_at_ms is not None:
        return f" as of the arrival time {offset_text(case.expect_at_ms)}"
    return f" decided from {offset_text(case.expect_from_ms)} on" if case.expect_from_ms is not None else ""


def _none_came(result: CaseResult, why: Explanation) -> str:
    if why.state == "alert":  # before `expect_from`
        return " that counts: what there is was decided before"
    said = {"waiting": ": a match that waits", "inconclusive": ": a match that stays inconclusive"}
    return said.get(why.state, result.message.removeprefix(NONE))


def _alert(alert: Alert, case: Case, events: Mapping[str, Event]) -> str:
    event = events.get(alert.event_id)
    what = happened(event) if event is not None else alert.event_id
    named = ", ".join(f"{name} {value}" for name, value in alert.values[:VALUES_MAX])
    return f"as of {_when(case, alert.decided_ms)}, {alert.severity}, on {alert.entity}: {what} ({named})"


def _event(event: Event, case: Case) -> str:
    return f"{_when(case, event.time_ms)}: {happened(event)}"


def _as_json(one: _Ran) -> dict[str, object]:
    result, case = one.result, one.result.case
    return {
        "rule": one.rule.name,
        "test": case.name,
        "file": case.file,
        "line": case.line,
        "expected": "match" if case.expects_match else "no-match",
        "passed": result.is_passed,
        "message": result.message,
        "why": [sentence for look in one.why.looks for sentence in look.said] if one.why else [],
        "seconds": round(one.seconds, 6),
        "alerts": [{"uid": a.uid, "entity": a.entity, "values": dict(a.values)} for a in result.alerts],
    }
