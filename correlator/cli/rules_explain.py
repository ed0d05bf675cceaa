"""`correlator rules explain`: why a rule matched, or did not, line by line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from correlator.adapters.documents import read_text
from correlator.adapters.yaml_lines import load_yaml
from correlator.alerts.phrases import happened, local
from correlator.alerts.recall import Recalled, recall
from correlator.cli.as_json import AsJson, as_text
from correlator.cli.exit_codes import REFUSED
from correlator.cli.explained import When, show
from correlator.cli.failing import print_problems
from correlator.cli.rule_files import Config, good_rules, refuse
from correlator.cli.rule_settings import settings_of
from correlator.cli.rules_explain_risk import NAMES, explain_risk
from correlator.cli.screen import wide_console
from correlator.problem import has_errors
from correlator.rules.cases import read_stream
from correlator.rules.explain import Explanation, NoSuchEvent, Which, explain
from correlator.rules.reading import Reader
from correlator.rules.recollect import Recollection, explain_alert
from correlator.rules.rule import Case, CasePerson, Rule
from correlator.rules.testing import frames_of, offset_text, zoned
from correlator.rules.vendor import Names
from correlator.spelling import nearest, utc
from correlator.timeline.fields import FIELDS
from correlator.timeline.settings import Settings
from correlator.timeline.storms import STORM


class _Explained(NamedTuple):
    explanation: Explanation
    head: list[str]
    when: When
    about: dict[str, object]  # for --json: what was explained


def explain_command(
    name: Annotated[str, typer.Argument(metavar="RULE", help="Name or id of a rule, or its file.")],
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="[EVENTS|ALERT]",
            help="File of events as a test has them (a list, or a mapping with events, person, marks, …), "
            "or of alerts as `replay` writes them; - reads stdin.",
        ),
    ] = None,
    test: Annotated[
        str | None, typer.Option("--test", "-t", help="A test of the rule instead, by name or number.")
    ] = None,
    number: Annotated[int | None, typer.Option("--event", help="The event to look at, by number.")] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Look at every event.")] = False,
    alert: Annotated[
        str | None, typer.Option("--alert", help="Of a file of alerts, the one whose uid begins so.")
    ] = None,
    rules: Annotated[
        list[Path] | None, typer.Option("--rules", help="Rule files or directories to find RULE in.")
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Say line by line why RULE matched events, or did not: what was asked, what was found, what is missing.

    Of a miss the event that came nearest is shown, and the lines to blame are marked. Of an alert, the rule
    as it is now is held against what the alert itself quotes. With correlator-risk and a file of alerts:
    which of them add up, for whom, and what is missing.

    Exit codes: 0 explained, whether it matches or not, 2 there is no such rule, test, event or alert.
    """
    settings = settings_of(config)
    if name in NAMES:
        records = [] if source is None else _alerts(_read(source))
        all_rules = good_rules(rules, config)
        explain_risk(records, source, alert, all_rules, settings.risk_threshold, is_json=as_json)
        return
    found, all_rules = _rule(name, rules, config)
    which: Which = "all" if is_all else number if number is not None else "nearest"
    if test is not None or source is None:
        explained = _of_case(found, all_rules, _test(found, test), settings, which)
    else:
        text = _read(source)
        records = _alerts(text)
        if records:
            explained = _of_alert(found, all_rules, _chosen(records, found, alert, source), settings)
        else:
            explained = _of_case(found, all_rules, _events(text, source), settings, which)
    if as_json:
        typer.echo(as_text(_as_json(found, explained)))
    else:
        show(explained.explanation, explained.head, explained.when, wide_console())


# ------------------------------------------------------------------------- what is meant


def _rule(name: str, paths: list[Path] | None, config: Path | None) -> tuple[Rule, list[Rule]]:
    """The rule meant, and those that were loaded with it."""
    is_file = name.lower().endswith((".yml", ".yaml"))
    rules = good_rules(paths or ([Path(name)] if is_file else None), config)
    if is_file:
        found = [r for r in rules if r.is_alerting and Path(r.file).resolve() == Path(name).resolve()]
    else:
        found = [r for r in rules if name == r.name or name.lower() == r.id]
    if not found:
        near = nearest(name, [r.name for r in rules])
        refuse(f"{name} has no rule that alerts" if is_file else f"there is no rule {name!r}{near}")
    if len(found) > 1:
        named = ", ".join(r.name for r in found)
        refuse(f"{name} has several rules: say which ({named}), and --rules {name}")
    return found[0], rules


def _test(rule: Rule, said: str | None) -> Case:
    listed = "".join(f"\n  {n}  {case.name}" for n, case in enumerate(rule.cases, 1)) or " none"
    if said is None:
        refuse(f"give a file of events or alerts, or a test of {rule.name} with --test:{listed}")
    if said.isdigit() and 1 <= int(said) <= len(rule.cases):
        return rule.cases[int(said) - 1]
    named = [case for case in rule.cases if case.name == said] or [
        case for case in rule.cases if said.lower() in case.name.lower()
    ]
    if len(named) != 1:
        refuse(f"{'no' if not named else 'more than one'} test of {rule.name} is named {said!r}:{listed}")
    return named[0]


def _read(source: Path) -> str:
    if str(source) == "-":
        return sys.stdin.read()
    text, problems = read_text(source)
    if problems:
        refuse(f"{source}: {problems[0].message}")
    return text


def _events(text: str, source: Path) -> Case:
    document, lines, problems = load_yaml(text, str(source))
    reader = Reader(lines)
    case = None if has_errors(problems) else read_stream(reader, document, Names(FIELDS))
    if case is None:
        print_problems([*problems, *reader.problems])
        typer.echo("rules: events are written as in a test; raw records are for feeds try", err=True)
        raise typer.Exit(REFUSED)
    return case


def _alerts(text: str) -> list[Recalled]:
    """The alerts in *text*, one a line; none where its first line is none."""
    found: list[Recalled] = []
    for number, line in enumerate(filter(str.strip, text.splitlines()), 1):
        try:
            found.append(recall(line.encode()))
        except msgspec.DecodeError as error:
            if not found:
                return []
            refuse(f"line {number} is no alert: {error}")
    return found


def _chosen(records: list[Recalled], rule: Rule, uid: str | None, source: Path) -> Recalled:
    """The newest record of the rule's alert meant, else of the rule."""
    own = [r for r in records if r.told.rule_id == rule.id and r.uid.startswith(uid or "")]
    storms = [r for r in own if r.told.entity.startswith(f"{STORM}:")]
    own = [r for r in own if r not in storms]
    if storms and not own:
        values = storms[-1].told.values
        refuse(
            f"alert {storms[-1].uid} is a storm: {values.get('storm.alerts')} alerts of {rule.name}, not "
            f"told one by one; the newest are of {values.get('storm.newest')}"
        )
    if not own:
        of = f" whose uid begins with {uid}" if uid else ""
        refuse(f"{source} has no alert of {rule.name}{of}")
    return own[-1]


# --------------------------------------------------------------------------- explaining


def _of_case(rule: Rule, rules: list[Rule], case: Case, settings: Settings, which: Which) -> _Explained:
    def when(time_ms: int) -> str:
        return offset_text(time_ms - case.start_ms)

    settings = zoned(settings, case)
    try:
        explanation = explain(rule, rules, lambda s: frames_of(rule, case, s), settings, when, which=which)
    except NoSuchEvent as error:
        refuse(str(error))
    head = [f"{rule.name}: {rule.title}"]
    if case in rule.cases:
        expected = "a match" if case.expects_match else "no match"
        head.append(f"test {case.name!r}, which expects {expected}")
    head.append(f"0s is {utc(case.start_ms):%Y-%m-%d %H:%M:%S} UTC")
    return _Explained(explanation, head, when, {"test": case.name} if case in rule.cases else {})


def _of_alert(rule: Rule, rules: list[Rule], record: Recalled, settings: Settings) -> _Explained:
    told = record.told
    offset_min = next((e.offset_min for e in record.events if e.id == told.event_id), 0)

    def when(time_ms: int) -> str:
        return local(time_ms, offset_min)

    person = None
    if record.identity_type or record.department:
        person = CasePerson(record.identity_type, record.department)
    recollection = Recollection(
        told.entity, told.event_id, told.decided_ms, told.values, record.events, person
    )
    explanation = explain_alert(rule, rules, recollection, settings, when)
    head = [f"{rule.name}: {rule.title}", *_alert_lines(record, rule, when)]
    return _Explained(explanation, head, when, {"alert": record.uid})


def _alert_lines(record: Recalled, rule: Rule, when: When) -> list[str]:
    """What the alert says of itself, and how it differs from the rule that it is held against."""
    told = record.told
    state = f"{record.activity} ({record.reason})" if record.reason else record.activity
    sure = f"{record.severity}, {record.confidence} confidence"
    said = [f"alert {record.uid} on {told.entity}: {state}, {sure}, as of {when(told.decided_ms)}"]
    if told.repeat_count:
        said.append(f"{told.repeat_count} repeat{'s' if told.repeat_count > 1 else ''} joined it")
    if told.assumed_complete:
        said.append(f"assumed: {'; '.join(told.assumed_complete)}")
    if told.because:
        said.append(f"because of late events {', '.join(told.because)}")
    if told.superseded_by:
        said.append(f"superseded by alert {told.superseded_by}")
    if told.rule_hash != rule.fingerprint:
        said.append("the rule has changed since: it is held against what the alert says, as it is now")
    return said


# ------------------------------------------------------------------------------- output


def _as_json(rule: Rule, explained: _Explained) -> dict[str, object]:
    explanation = explained.explanation
    looks: list[dict[str, Any]] = msgspec.to_builtins(explanation.looks)
    for look, built in zip(explanation.looks, looks, strict=True):
        event = look.event
        built["event"] = {
            "id": event.id, "kind": event.kind, "time_ms": event.time_ms, "text": happened(event),
        }  # fmt: skip
    return {
        "rule": {"id": rule.id, "name": rule.name, "title": rule.title},
        **explained.about,
        "state": explanation.state,
        "asked": explanation.asked,
        "said": [*explained.head[1:], *explanation.said],
        "looks": looks,
    }
