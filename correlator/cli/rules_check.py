"""`correlator rules check`: everything that is wrong with rule files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import typer
from rich.markup import escape
from rich.table import Table

from correlator.cli.rule_files import (
    INVALID,
    AsJson,
    Config,
    Paths,
    as_text,
    is_wrong,
    print_problems,
    read_rules,
    rule_files,
)
from correlator.cli.screen import wide_console
from correlator.rules.rule import Rule


def check_command(paths: Paths = None, config: Config = None, as_json: AsJson = False) -> None:
    """Say everything that is wrong with rule files, with file, line and column.

    Exit codes: 0 nothing is wrong or there are only warnings, 2 there are errors.
    """
    rules, problems = read_rules(rule_files(paths, config), config, datetime.now(UTC).date())
    if as_json:
        typer.echo(as_text({"rules": [_rule(r) for r in rules], "problems": problems}))
    else:
        print_problems(problems)
        wide_console().print(_rules_table(rules))
    if is_wrong(problems):
        raise typer.Exit(INVALID)


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
