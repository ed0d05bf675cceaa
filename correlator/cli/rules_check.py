"""`correlator rules check`: everything that is wrong with rule files, and what a reviewer would say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from correlator.cli.as_json import AsJson, as_text
from correlator.cli.exit_codes import FAILED, REFUSED
from correlator.cli.rule_files import Config, Paths, read_rules, rule_files
from correlator.cli.rule_settings import settings_of, sites_of
from correlator.cli.screen import number_of, wide_console
from correlator.problem import Problem, has_errors
from correlator.rules.requires import inert_at
from correlator.rules.rule import Rule
from correlator.rules.unplaced import names_places, unplaced
from correlator.timeline.settings import Settings

_STYLES = {"error": "red", "warning": "yellow"}


def check_command(
    paths: Paths = None,
    config: Config = None,
    as_json: AsJson = False,
    is_strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 where there are warnings.")
    ] = False,
    is_verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List the rules too.")] = False,
) -> None:
    """Say everything that is wrong with rule files: errors and warnings in one pass, each with its place.

    Exit codes: 0 nothing is wrong or there are only warnings, 1 there are warnings and --strict is given,
    2 there are errors.
    """
    began = perf_counter()
    files = rule_files(paths, config)
    rules, problems = read_rules(files, config, datetime.now(UTC).date())
    if not has_errors(problems):
        problems = sorted([*problems, *_inert(rules, config), *_unplaced(rules, config)])
    seconds = perf_counter() - began
    errors = sum(problem.severity == "error" for problem in problems)
    summary = {"files": len(files), "errors": errors, "warnings": len(problems) - errors, "seconds": seconds}
    if as_json:
        typer.echo(as_text({"rules": [_rule(r) for r in rules], "problems": problems, "summary": summary}))
    else:
        _print(rules, problems, summary, is_verbose=is_verbose)
    if has_errors(problems):
        raise typer.Exit(REFUSED)
    if problems and is_strict:
        raise typer.Exit(FAILED)


def _inert(rules: Sequence[Rule], config: Path | None) -> Iterator[Problem]:
    """Of rules that require what is not there at a site of *config*, where, and what."""
    settings = settings_of(config) if any(rule.requires for rule in rules) else Settings()
    for rule in rules:
        found = inert_at(rule.requires, settings) if rule.requires is not None and rule.is_alerting else {}
        for site, missing in found.items():
            message = f"{rule.name} is inert at {site}: {', '.join(missing)}"
            yield Problem(rule.file, rule.line, 1, "correlator.requires", message, "warning")


def _unplaced(rules: Sequence[Rule], config: Path | None) -> Iterator[Problem]:
    """Of rules that name places which *config* does not have."""
    if config is None or not names_places(rules):
        return iter(())
    sites = sites_of(config)
    return unplaced(rules, sites.names()) if sites is not None else iter(())


def _print(
    rules: Sequence[Rule], problems: Sequence[Problem], summary: dict[str, float], *, is_verbose: bool
) -> None:
    console = wide_console()
    for problem in problems:
        head, severity, rest = str(problem).partition(f"{problem.severity}:")
        styled = Text.assemble(head, (severity, _STYLES[problem.severity]), rest)
        console.print(styled, soft_wrap=True)
    if is_verbose:
        console.print(_table(rules))
    alerting = sum(rule.is_alerting for rule in rules)
    errors = sum(problem.severity == "error" for problem in problems)
    said = f"{number_of(errors, 'error')}, {number_of(len(problems) - errors, 'warning')}"
    style = "bold red" if errors else "bold yellow" if problems else "bold green"
    files = number_of(int(summary["files"]), "file")
    of = f": {number_of(alerting, 'rule')} in {files}, {summary['seconds']:.2f} s"
    console.print(Text.assemble((said, style), of))


def _table(rules: Sequence[Rule]) -> Table:
    table = Table()
    table.add_column("rule", no_wrap=True)
    for head in ("level", "entity", "decides", "tests", "title"):
        table.add_column(head)
    for rule in rules:
        if rule.is_alerting:
            decides = f"when {rule.settle.feed} is complete" if rule.settle else "at once"
            tests = str(len(rule.cases))
            table.add_row(rule.name, rule.severity, rule.entity, decides, tests, rule.title)
    return table


def _rule(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id,
        "name": rule.name,
        "title": rule.title,
        "level": rule.severity,
        "entity": rule.entity,
        "status": rule.status,
        "mode": "off" if not rule.is_alerting else "shadow" if rule.is_shadow else "alert",
        "is_alerting": rule.is_alerting,
        "settles": rule.settle.feed if rule.settle is not None else None,
        "fields": rule.reads(),
        "tags": rule.tags,
        "controls": rule.controls,
        "owner": rule.owner,
        "budget": rule.budget,
        "entities_max": rule.entities_max,
        "risk": rule.risk,
        "requires": rule.requires,
        "fingerprint": rule.fingerprint,
        "tests": len(rule.cases),
        "file": rule.file,
        "line": rule.line,
    }
