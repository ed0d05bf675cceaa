"""`correlator rules coverage`: what rules speak of, what they need, and what nobody looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from correlator.cli.as_json import AsJson, as_text
from correlator.cli.rule_files import Config, Paths, good_rules
from correlator.cli.rule_settings import settings_of
from correlator.cli.screen import number_of, wide_console
from correlator.rules.check import kinds_of, kinds_of_correlation
from correlator.rules.requires import inert_at
from correlator.rules.rule import Rule
from correlator.rules.schema import FEEDS
from correlator.timeline.fields import FIELDS
from correlator.timeline.settings import Settings

Grouped = dict[str, list[str]]  # what is covered -> names of rules


def coverage_command(paths: Paths = None, config: Config = None, as_json: AsJson = False) -> None:
    """Say which ATT&CK techniques, tags, controls and kinds of events rules cover, which feeds they need, and
    what is missing: with --config also feeds that no rule reads, and sites where a rule is inert.

    Exit codes: 0 done, 2 a file has errors.
    """
    rules = [rule for rule in good_rules(paths, config, as_json=as_json) if rule.is_alerting]
    found: dict[str, Grouped] = {
        "techniques": _by(rules, lambda r: [_technique(t) for t in r.tags if _technique(t)]),
        "tags": _by(rules, lambda r: [t for t in r.tags if not _technique(t)]),
        "controls": _by(rules, lambda r: r.controls),
        "kinds": _by(rules, _kinds),
        "needs": _by(rules, needs),
    }
    gaps = _gaps(rules, config)
    if as_json:
        modes = {rule.name: "shadow" if rule.is_shadow else "alert" for rule in rules}
        typer.echo(as_text({"rules": modes, **found, "gaps": gaps}))
    else:
        _print(found, gaps, len(rules))


def needs(rule: Rule) -> list[str]:
    """Feeds whose events *rule* is about, or concludes from."""
    context = [FIELDS[name].feed for name in rule.reads() if name in FIELDS and FIELDS[name].feed]
    settles = [rule.settle.feed] if rule.settle is not None else []
    required = rule.requires.feeds if rule.requires is not None else ()
    kinds = [kind for kind in _kinds(rule) if kind in FEEDS]
    return sorted({*kinds, *context, *settles, *required})


def _kinds(rule: Rule) -> list[str]:
    if rule.condition is not None:
        return sorted(kinds_of(rule.condition))
    return sorted(kinds_of_correlation(rule.correlation)) if rule.correlation is not None else []


def _technique(tag: str) -> str:
    """`T1078.004` of `attack.t1078.004`; "" for other tags."""
    name = tag.removeprefix("attack.").upper()
    return name if tag.startswith("attack.t") and name[1:5].isdigit() else ""


def _called(rule: Rule) -> str:
    """Its name; of a rule that has none its title, since its id says nothing to a reader."""
    return rule.name if rule.name != rule.id else rule.title


def _by(rules: Iterable[Rule], keys: Callable[[Rule], Iterable[str]]) -> Grouped:
    found: Grouped = {}
    for rule in rules:
        for key in dict.fromkeys(keys(rule)):
            found.setdefault(key, []).append(_called(rule))
    return dict(sorted(found.items()))


def _gaps(rules: Sequence[Rule], config: Path | None) -> dict[str, list[str]]:
    """What is missing, by what it is that is missing; names of rules, feeds or sites."""
    settings = settings_of(config) if config is not None else Settings()
    needed = {feed for rule in rules for feed in needs(rule)}
    configured = {feed.feed: feed.kind for feed in settings.feeds}
    found = {
        "feeds that no rule needs": [name for name, kind in configured.items() if kind not in needed],
        "feeds that are not configured": sorted(needed - set(configured.values())) if configured else [],
        "rules inert at a site": [
            f"{_called(rule)} at {site}: {', '.join(missing)}"
            for rule in rules
            if rule.requires is not None
            for site, missing in inert_at(rule.requires, settings).items()
        ],
        "rules without a technique or control": [
            _called(r) for r in rules if not r.controls and not any(map(_technique, r.tags))
        ],
        "rules without tests": [_called(rule) for rule in rules if not rule.cases],
        "rules without an owner": [_called(rule) for rule in rules if not rule.owner],
    }
    return {what: names for what, names in found.items() if names}


def _print(found: dict[str, Grouped], gaps: dict[str, list[str]], count: int) -> None:
    console = wide_console()
    for what, grouped in found.items():
        if not grouped:
            continue
        table = Table(what, "rules", "which")
        for key, names in grouped.items():
            table.add_row(key, str(len(names)), ", ".join(names))
        console.print(table)
    for what, names in gaps.items():
        console.print(Text.assemble((what, "bold yellow"), f": {', '.join(names)}"), soft_wrap=True)
    console.print(number_of(count, "rule"))
