"""`correlator rules test`: the tests in rule files, through the real timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from correlator.cli.rule_files import AsJson, Config, Paths, as_text, good_rules
from correlator.cli.rule_settings import settings_of
from correlator.cli.screen import wide_console
from correlator.rules.rule import Rule
from correlator.rules.testing import CaseResult, run_case
from correlator.timeline.settings import Settings

FAILED = 1


def run_tests(
    paths: Paths = None,
    config: Config = None,
    as_json: AsJson = False,
    is_verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List passed tests too.")] = False,
) -> None:
    """Run the tests in rule files, written as events, through the real timeline.

    Exit codes: 0 all passed, 1 a test failed, 2 a file has errors and nothing was run.
    """
    rules = good_rules(paths, config, as_json=as_json)
    results = _run(rules, settings_of(config), is_quiet=as_json)
    if as_json:
        typer.echo(as_text({"tests": [_result(r) for r in results]}))
    else:
        _print_results(rules, results, is_verbose=is_verbose)
    if not all(result.is_passed for result in results):
        raise typer.Exit(FAILED)


def _run(rules: Sequence[Rule], settings: Settings, *, is_quiet: bool) -> list[CaseResult]:
    cases = [(rule, case) for rule in rules for case in rule.cases]
    results: list[CaseResult] = []
    with typer.progressbar(cases, label="tests", hidden=is_quiet) as shown:
        for rule, case in shown:
            results.append(run_case(rule, case, settings))
    return results


def _print_results(rules: Sequence[Rule], results: Sequence[CaseResult], *, is_verbose: bool) -> None:
    where = {rule.name: rule.file for rule in rules}
    table = Table("rule", "test", "expected", "result")
    for result in results:
        expected = "match" if result.case.expects_match else "no match"
        if is_verbose and result.is_passed:
            table.add_row(result.rule, escape(result.case.name), expected, "[green]passed[/green]")
        elif not result.is_passed:
            told = f"[red]{escape(result.message)}[/red] ({where[result.rule]}:{result.case.line})"
            table.add_row(result.rule, escape(result.case.name), expected, told)
    console = wide_console()
    if table.row_count:
        console.print(table)
    failed = sum(not result.is_passed for result in results)
    untested = [rule.name for rule in rules if rule.is_alerting and not rule.cases]
    if untested:
        console.print(f"[yellow]without tests: {', '.join(untested)}[/yellow]")
    console.print(f"{len(results) - failed} passed, {failed} failed")


def _result(result: CaseResult) -> dict[str, object]:
    return {
        "rule": result.rule,
        "test": result.case.name,
        "expected": "match" if result.case.expects_match else "no-match",
        "passed": result.is_passed,
        "message": result.message,
        "alerts": [{"uid": a.uid, "entity": a.entity, "values": dict(a.values)} for a in result.alerts],
    }
