"""`correlator evaluate`: alerts against the truth of a simulation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer
from rich.table import Table

from correlator.cli.exit_codes import FAILED, REFUSED
from correlator.cli.screen import wide_console
from correlator.simulate.evaluate import Injected, RuleResult, Told, Truth, evaluate, read_alerts
from correlator.spelling import utc


def evaluate_command(
    truth: Annotated[Path, typer.Argument(help="truth.json that `simulate` wrote.")],
    alerts: Annotated[Path, typer.Argument(help="Alert records as JSON lines, as `replay` writes them.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    is_listing: Annotated[bool, typer.Option("--list", help="Name what was missed or wrongly told.")] = False,
) -> None:
    """Say per rule what was found and missed, which look-alikes alerted, and how many alarms were false.

    Exit codes: 0 everything injected was found and no look-alike alerted, 1 otherwise, 2 a bad file.
    """
    read = _truth(truth)
    results = evaluate(read, _alerts(alerts))
    if as_json:
        typer.echo(json.dumps(_as_json(read, results)))
    else:
        wide_console().print(_table(read, results))
        if is_listing:
            _list(results)
    if not all(result.is_good for result in results.values()):
        raise typer.Exit(FAILED)


def _truth(path: Path) -> Truth:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Truth)
    except (OSError, msgspec.DecodeError) as error:
        _refuse(path, error)


def _alerts(path: Path) -> list[Told]:
    try:
        with path.open("rb") as lines:
            return read_alerts(lines)
    except (OSError, ValueError) as error:
        _refuse(path, error)


def _refuse(path: Path, error: Exception) -> NoReturn:
    typer.echo(f"evaluate: {path}: {error}", err=True)
    raise typer.Exit(REFUSED)


def _table(truth: Truth, results: dict[str, RuleResult]) -> Table:
    table = Table(title=f"{truth.people} people, {truth.days} days, {truth.person_days} person-days")
    table.add_column("rule")
    for head in (
        "injected",
        "found",
        "missed",
        "look-alikes",
        "alerted",
        "false",
        "per 1,000",
        "retracted",
        "delay s",
    ):
        table.add_column(head, justify="right")
    for name in sorted(results):
        row = results[name]
        delay = "-" if row.delay_median_s is None else f"{row.delay_median_s:.1f}"
        table.add_row(
            name, str(row.injected), str(row.found), str(row.injected - row.found), str(row.look_alikes),
            str(row.look_alikes_alerted), str(row.false_alarms), f"{row.false_per_1000_person_days:.2f}",
            str(row.retracted), delay, style="" if row.is_good else "bold red",
        )  # fmt: skip
    return table


def _list(results: dict[str, RuleResult]) -> None:
    for name in sorted(results):
        for scenario in results[name].missed:
            _name("missed", name, scenario)
        for scenario in results[name].wrongly_alerted:
            _name("look-alike alerted", name, scenario)
        for alert in results[name].false:
            ids = " ".join(sorted(alert.event_ids))
            where = f"{name} {alert.entity} {_iso(alert.first_ms)} alert {alert.uid}"
            typer.echo(f"false: {where} events {ids}: {alert.message}")


def _name(what: str, rule: str, scenario: Injected) -> None:
    span = f"{_iso(scenario.from_ms)} to {_iso(scenario.to_ms)}"
    ids = " ".join(scenario.event_ids)
    typer.echo(f"{what}: {rule} {scenario.entity} {span} ({scenario.note}, {scenario.id}) events {ids}")


def _iso(time_ms: int) -> str:
    return f"{utc(time_ms):%Y-%m-%dT%H:%M:%SZ}"


def _as_json(truth: Truth, results: dict[str, RuleResult]) -> dict[str, object]:
    return {
        "days": truth.days,
        "people": truth.people,
        "person_days": truth.person_days,
        "is_good": all(result.is_good for result in results.values()),
        "rules": [msgspec.to_builtins(results[name]) for name in sorted(results)],
    }
