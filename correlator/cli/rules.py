"""`correlator rules`: check rule files, run their tests, list the fields that rules may use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from correlator.adapters.files import load_bundle, read_value_lists, shipped
from correlator.adapters.yaml_lines import load_yaml_all
from correlator.problem import BadConfiguration, Problem
from correlator.rules.load import Document, load_rules
from correlator.rules.reference import markdown
from correlator.rules.rule import Rule
from correlator.rules.testing import CaseResult, run_case
from correlator.timeline.fields import FIELDS
from correlator.timeline.settings import Settings

TESTS_FAILED = 1
INVALID = 2

app = typer.Typer(help="Check and test rules, and list the fields that they may use.", no_args_is_help=True)

Paths = Annotated[
    list[Path] | None, typer.Argument(help="Rule files or directories of them. Default: the shipped rules.")
]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="Configuration directory: its rules/ and, for tests, its settings."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command("check")
def check_command(paths: Paths = None, config: Config = None, as_json: AsJson = False) -> None:
    """Say everything that is wrong with rule files, with file, line and column.

    Exit codes: 0 nothing is wrong or there are only warnings, 2 there are errors.
    """
    rules, problems = read_rules(rule_files(paths, config), config, datetime.now(UTC).date())
    if as_json:
        typer.echo(json.dumps({"rules": [_rule(r) for r in rules], "problems": _problems(problems)}))
    else:
        _print_problems(problems)
        Console().print(_rules_table(rules))
    if _is_wrong(problems):
        raise typer.Exit(INVALID)


@app.command("test")
def run_tests(
    paths: Paths = None,
    config: Config = None,
    as_json: AsJson = False,
    is_verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List passed tests too.")] = False,
) -> None:
    """Run the tests in rule files, written as events, through the real timeline.

    Exit codes: 0 all passed, 1 a test failed, 2 a file has errors and nothing was run.
    """
    rules, problems = read_rules(rule_files(paths, config), config)
    if _is_wrong(problems):
        if as_json:
            typer.echo(json.dumps({"problems": _problems(problems)}))
        else:
            _print_problems(problems)
        raise typer.Exit(INVALID)
    results = _run(rules, _settings(config), is_quiet=as_json)
    if as_json:
        typer.echo(json.dumps({"tests": [_result(r) for r in results]}))
    else:
        _print_results(rules, results, is_verbose=is_verbose)
    if not all(result.is_passed for result in results):
        raise typer.Exit(TESTS_FAILED)


@app.command("fields")
def fields_command(
    as_json: AsJson = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/fields.md.")] = False,
) -> None:
    """List every field that a rule may use: its type, the entities that have it, what it means."""
    if as_markdown:
        typer.echo(markdown(FIELDS), nl=False)
        return
    listed = list(FIELDS.values())
    if as_json:
        named = [
            {"name": f.name, "type": f.value_type, "entities": f.entities, "feed": f.feed, "doc": f.doc}
            for f in listed
        ]
        typer.echo(json.dumps({"fields": named}))
        return
    table = Table("field", "type", "entities", "concludes from", "meaning")
    for f in listed:
        table.add_row(f.name, f.value_type, ", ".join(f.entities), f.feed, escape(f.doc))
    Console().print(table)


# ----------------------------------------------------------------------- files


def rule_files(paths: Sequence[Path] | None, config: Path | None) -> list[Path]:
    """The rule files meant, by name. Exits with 2 when there are none."""
    given = list(paths or ()) or [_rules_of(config)]
    found: list[Path] = []
    for path in given:
        found += sorted([*path.glob("*.yml"), *path.glob("*.yaml")]) if path.is_dir() else [path]
    if not found:
        typer.echo(f"rules: no rule files in {', '.join(map(str, given))}", err=True)
        raise typer.Exit(INVALID)
    return found


def _rules_of(config: Path | None) -> Path:
    own = None if config is None else config / "rules"
    return own if own is not None and own.is_dir() else shipped("rules")


def read_rules(
    files: Sequence[Path], config: Path | None = None, today: date | None = None
) -> tuple[list[Rule], list[Problem]]:
    """The rules in *files*, with the value lists of *config*, and everything that is wrong with them.

    With *today* also what a reviewer would say then.
    """
    documents: list[Document] = []
    lists, problems = read_value_lists(config) if config is not None else ({}, [])
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem(str(file), 0, 0, "", f"cannot be read: {error}"))
            continue
        read, wrong = load_yaml_all(text, str(file))
        problems += wrong
        if not any(p.severity == "error" for p in wrong):
            documents += read
    rules, wrong = load_rules(documents, lists=lists, today=today)
    return rules, sorted({*problems, *wrong})


def _settings(config: Path | None) -> Settings:
    """Settings and travel times of the configuration directory, if it has sites; else the defaults."""
    if config is None or not (config / "sites.yml").exists():
        return Settings()
    try:
        return load_bundle(config).settings
    except BadConfiguration as bad:
        _print_problems(bad.problems)
        raise typer.Exit(INVALID) from bad


# ---------------------------------------------------------------------- output


def _is_wrong(problems: Sequence[Problem]) -> bool:
    return any(problem.severity == "error" for problem in problems)


def _run(rules: Sequence[Rule], settings: Settings, *, is_quiet: bool) -> list[CaseResult]:
    cases = [(rule, case) for rule in rules for case in rule.cases]
    results: list[CaseResult] = []
    with typer.progressbar(cases, label="tests", hidden=is_quiet) as shown:
        for rule, case in shown:
            results.append(run_case(rule, case, settings))
    return results


def _print_problems(problems: Sequence[Problem]) -> None:
    for problem in problems:
        typer.echo(str(problem), err=True)


def _rules_table(rules: Sequence[Rule]) -> Table:
    alerting = [rule for rule in rules if rule.is_alerting]
    table = Table(title=f"{len(alerting)} rules")
    table.add_column("rule", no_wrap=True)
    for head in ("level", "entity", "decides", "tests", "title"):
        table.add_column(head)
    for rule in alerting:
        decides = f"when {rule.settle.feed} is complete" if rule.settle else "at once"
        table.add_row(
            rule.name, rule.severity, rule.entity, decides, str(len(rule.cases)), escape(rule.title)
        )
    return table


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
    console = Console()
    if table.row_count:
        console.print(table)
    failed = sum(not result.is_passed for result in results)
    untested = [rule.name for rule in rules if rule.is_alerting and not rule.cases]
    if untested:
        console.print(f"[yellow]without tests: {', '.join(untested)}[/yellow]")
    console.print(f"{len(results) - failed} passed, {failed} failed")


def _rule(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id,
        "name": rule.name,
        "title": rule.title,
        "level": rule.severity,
        "entity": rule.entity,
        "is_alerting": rule.is_alerting,
        "fingerprint": rule.fingerprint,
        "tests": len(rule.cases),
        "file": rule.file,
        "line": rule.line,
    }


def _problems(problems: Sequence[Problem]) -> list[dict[str, object]]:
    return [
        {
            "file": p.file,
            "line": p.line,
            "column": p.column,
            "field": p.field,
            "message": p.message,
            "severity": p.severity,
        }
        for p in problems
    ]


def _result(result: CaseResult) -> dict[str, object]:
    return {
        "rule": result.rule,
        "test": result.case.name,
        "expected": "match" if result.case.expects_match else "no-match",
        "passed": result.is_passed,
        "message": result.message,
        "alerts": [{"uid": a.uid, "entity": a.entity, "values": dict(a.values)} for a in result.alerts],
    }
