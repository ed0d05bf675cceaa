"""`correlator rules explain correlator-risk ALERTS`: which alerts add up to whose risk, and what is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import typer
from rich.text import Text

from correlator.alerts.recall import Recalled
from correlator.cli.as_json import as_text
from correlator.cli.rule_files import refuse
from correlator.cli.screen import wide_console
from correlator.event import DAY_MS
from correlator.rules.rule import Rule
from correlator.spelling import utc
from correlator.timeline.risk import RISK

CLOSED = "close"
NAMES = (RISK, "risk")


class Added(msgspec.Struct, frozen=True):
    """What one rule adds, and the alert by which."""

    rule: str
    points: int
    alert: str
    at_ms: int


class Sum(msgspec.Struct, frozen=True):
    """Of one entity and UTC day. *alert*: uid of the risk's own alert, "" where there is none."""

    entity: str
    day_ms: int
    points: int
    threshold: int
    added: tuple[Added, ...]
    alert: str = ""


def explain_risk(
    records: Sequence[Recalled],
    source: Path | None,
    uid: str | None,
    rules: Sequence[Rule],
    threshold: int,
    *,
    is_json: bool,
) -> None:
    """Print the sum of the alert meant, else the one that came nearest to the threshold."""
    if not records:
        refuse(
            f"correlator-risk is explained by alerts: give a file of them, as `replay` writes it ({source})"
        )
    sums = sums_of(records, {rule.id: rule for rule in rules}, threshold)
    chosen = [s for s in sums if uid is None or (s.alert and s.alert.startswith(uid))]
    if not chosen:
        refuse(f"no alert in {source} adds to a risk" if uid is None else f"{source} has no risk {uid}")
    best = max(chosen, key=lambda s: (bool(s.alert), s.points, -s.day_ms))
    if is_json:
        typer.echo(as_text(msgspec.to_builtins(best)))
    else:
        _show(best)


def sums_of(records: Sequence[Recalled], rules: Mapping[str, Rule], threshold: int) -> list[Sum]:
    """By entity and UTC day, of the open alerts in *records*: each rule counts once, with its first."""
    newest = {record.uid: record for record in records}
    opened = [r for r in newest.values() if r.activity.lower() != CLOSED]
    found: dict[tuple[str, int], dict[str, Added]] = {}
    risks: dict[tuple[str, int], str] = {}
    for record in sorted(opened, key=lambda r: (r.told.decided_ms, r.uid)):
        told = record.told
        key = (told.entity, told.decided_ms // DAY_MS)
        if told.rule_id == RISK:
            risks[key] = record.uid
            continue
        rule = rules.get(told.rule_id)
        if rule is None or not rule.risk or rule.is_tried_out:
            continue
        added = Added(rule.name, rule.risk, record.uid, told.decided_ms)
        found.setdefault(key, {}).setdefault(rule.name, added)
    return [
        Sum(entity, day * DAY_MS, sum(a.points for a in added.values()), threshold, tuple(added.values()),
            risks.get((entity, day), ""))
        for (entity, day), added in sorted(found.items())
    ]  # fmt: skip


def _show(told: Sum) -> None:
    console = wide_console()
    missing = told.threshold - told.points
    state = f"alert {told.alert}" if told.alert else f"no alert, {missing} more are missing"
    if missing <= 0 and not told.alert:
        state = "its alert is not in this file"
    console.print(
        Text.assemble(("correlator-risk: ", "bold"), f"{told.entity} on {utc(told.day_ms):%Y-%m-%d} UTC")
    )
    console.print(Text(f"{told.points} of at least {told.threshold} points: {state}"))
    for one in told.added:
        said = f"{one.points:>4}  {one.rule}, alert {one.alert} of {utc(one.at_ms):%H:%M:%S} UTC"
        console.print(Text.assemble(("✓ ", "green"), said))
    console.print(Text("A rule adds its points once a UTC day, with its first open alert.", "dim"))
