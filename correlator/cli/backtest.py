"""Two rule sets on the same records, through the whole system, with the records' own clock; then what one of
them tells and the other does not.

Rules do not see each other's alerts, so one pass can ask both, and each rule that they share once. It cannot
where they differ in more than rules, or in what adds up to a risk: then each has a pass of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path

import msgspec
from msgspec.structs import replace

from correlator.adapters.documents import read_text
from correlator.adapters.files import bundle_of, load_bundle
from correlator.alerts.text import rule_text
from correlator.alerts.told import Told, read_told
from correlator.cli.candidate import alerting, differ
from correlator.cli.rounds import told_of
from correlator.engine.bundles import Texts
from correlator.event import DAY_MS
from correlator.intake.arrival import NO_TIMESTAMP
from correlator.pipeline import Bundle
from correlator.problem import BadConfiguration, Problem
from correlator.record import Record
from correlator.rules.program import RuleProgram
from correlator.rules.rule import Rule
from correlator.timeline.alert import alert_uid

PER = 1_000  # person-days that a rate is of
AGAINST = "~against"  # behind the id of a rule that is asked beside the one it is held against


class Source(msgspec.Struct, frozen=True):
    """What both read. Only alerts of *from_ms* to *to_ms* (event time, UTC) count; before that they learn."""

    records: list[Record]
    identities: list[tuple[str, bytes]]
    from_ms: int
    to_ms: int

    @property
    def person_days(self) -> float:
        return len(self.identities) * (self.to_ms - self.from_ms) / DAY_MS


class Alert(msgspec.Struct, frozen=True):
    """One that was told, as it was told last. *is_counted*: within the time that was asked for."""

    uid: str
    rule: str
    entity: str
    time_ms: int
    when: str
    person: str
    place: str
    message: str
    is_shadow: bool
    is_closed: bool
    evidence: tuple[str, ...]
    repeats: tuple[str, ...] = ()
    rule_id: str = ""
    is_counted: bool = True

    @property
    def events(self) -> tuple[str, ...]:
        return (*self.evidence, *self.repeats)


class Compared(msgspec.Struct, frozen=True):
    """Of one rule: what each side told, and what only one of them did."""

    rule: str
    told: tuple[int, int]  # ours, against
    closed: tuple[int, int]  # of these
    gained: tuple[Alert, ...]
    lost: tuple[Alert, ...]


def with_rules(base: Texts, rules: Path, prefix: str, beside: Path) -> Bundle:
    """*base* with other rules: those of a directory, of a whole configuration with its sites and feeds, or
    with one file instead of the file of that name, or besides. *beside*: see `bundle_of`.

    Raises `BadConfiguration`.
    """
    if (rules / "sites.yml").exists():
        return load_bundle(rules)
    files = sorted([*rules.glob("*.yml"), *rules.glob("*.yaml")]) if rules.is_dir() else [rules]
    if not files:
        raise BadConfiguration([Problem(str(rules), 0, 0, "", "there are no rule files in it")])
    own = {f"rules/{file.stem}.yml": _text(file) for file in files}
    kept = {path: text for path, text in base.items() if not (rules.is_dir() and path.startswith("rules/"))}
    return bundle_of(kept | own, prefix, beside, is_looked_up=True)


def _text(file: Path) -> str:
    text, problems = read_text(file)
    if problems:
        raise BadConfiguration(problems)
    return text


def run_both(
    ours: Bundle, against: Bundle, source: Source, on_progress: Callable[[str, int], None], processes: int
) -> tuple[list[Alert], list[Alert]] | None:
    """What each of them tells. *on_progress*: of what, records read. None when asked to stop.

    Raises `ProcessDied`.
    """
    both = together(ours, against)
    passes = {"rules": ours, "against": against} if both is None else {"both": both}
    found = []
    for name, bundle in passes.items():
        told = told_of(
            one_by_one(bundle), source.records, source.identities, partial(on_progress, name), processes
        )
        if told is None:
            return None
        found.append(alerts_of(told, source))
    return (found[0], found[1]) if both is None else _sides(found[0], ours, against)


def together(ours: Bundle, against: Bundle) -> Bundle | None:
    """One bundle that tells what either tells: what they do not share of *against* is under another id.

    None where one pass is not enough: they differ in more than rules, or in what adds up to a risk.
    """
    if ours.ground != against.ground:
        return None
    only_theirs = _only_of(against, ours)
    if any(rule.risk and not rule.is_tried_out for rule in _only_of(ours, against) + only_theirs):
        return None
    renamed = [replace(rule, id=rule.id + AGAINST) for rule in only_theirs]
    program = RuleProgram([*alerting(ours), *renamed], ours.settings)
    texts = {**ours.texts, **{rule.id: rule_text(rule) for rule in renamed}}
    return replace(ours, program=program, texts=texts, intake=replace(ours.intake, routes=program.routes))


def _sides(found: Sequence[Alert], ours: Bundle, against: Bundle) -> tuple[list[Alert], list[Alert]]:
    """What one pass of both found, by who would have told it."""
    not_theirs = {rule.id for rule in _only_of(ours, against)}
    first = [alert for alert in found if not alert.rule_id.endswith(AGAINST)]
    second = [_under_its_id(alert) for alert in found if alert.rule_id not in not_theirs]
    return first, sorted(second, key=_when)


def _under_its_id(alert: Alert) -> Alert:
    """As if its rule had been alone."""
    if not alert.rule_id.endswith(AGAINST):
        return alert
    rule = alert.rule_id.removesuffix(AGAINST)
    return replace(alert, rule_id=rule, uid=alert_uid(rule, alert.entity, alert.evidence[-1]))


def _only_of(some: Bundle, other: Bundle) -> list[Rule]:
    """Rules of *some* that alert and that *other* has not, or otherwise."""
    others = {rule.id: rule for rule in alerting(other)}
    return [rule for rule in alerting(some) if rule.id not in others or differ(rule, others[rule.id])]


def one_by_one(bundle: Bundle) -> Bundle:
    """*bundle* without storms: what a rule says of each counts, also where so many would not be told."""
    assert isinstance(bundle.program, RuleProgram)
    rules = [replace(rule, entities_max=0) for rule in bundle.program.loaded.values()]
    settings = replace(bundle.settings, storm_entities=0)
    return replace(bundle, program=RuleProgram(rules, settings), settings=settings)


def alerts_of(told: Iterable[tuple[bytes, bool]], source: Source) -> list[Alert]:
    """By uid, as told last; without those that another one took the place of."""
    newest: dict[str, tuple[Told, bool]] = {}
    for value, is_shadow in told:
        said = read_told(value)
        newest[said.finding_info.uid] = (said, is_shadow)
    found = []
    for uid, (said, is_shadow) in newest.items():
        ours = said.unmapped.correlator
        if ours.superseded_by:
            continue
        found.append(
            Alert(
                uid,
                said.metadata.event_code,
                ours.entity,
                said.first_ms,
                said.when,
                said.person,
                said.place,
                said.message,
                is_shadow,
                said.is_closed,
                tuple(ours.evidence),
                tuple(ours.repeats),
                ours.rule_id,
                source.from_ms <= said.first_ms < source.to_ms,
            )
        )
    return sorted(found, key=_when)


def _when(alert: Alert) -> tuple[int, str]:
    return alert.time_ms, alert.uid


def changed_rules(ours: Bundle, against: Bundle) -> set[str]:
    """Names of rules of *ours* that alert and are not the same in *against*."""
    before = {(rule.name, rule.fingerprint) for rule in alerting(against)}
    return {rule.name for rule in alerting(ours) if (rule.name, rule.fingerprint) not in before}


def compare(ours: Sequence[Alert], against: Sequence[Alert], asked: Collection[str] = ()) -> list[Compared]:
    """By rule, those of *asked* also where nothing was told; one that has another name on the other side is
    the same. Alerts of one rule and entity that share an event are the same, whichever completed them, or
    joined as a repeat.
    """
    names = {_key(alert): alert.rule for alert in (*against, *ours)}
    names |= {name: name for name in asked if name not in names.values()}
    return [
        compared
        for key, name in sorted(names.items(), key=lambda row: row[1])
        if (compared := _compared(name, *([a for a in side if _key(a) == key] for side in (ours, against))))
        if any(compared.told) or name in asked
    ]


def _key(alert: Alert) -> str:
    return alert.rule_id or alert.rule


def _compared(rule: str, ours: Sequence[Alert], against: Sequence[Alert]) -> Compared:
    first, second = ([alert for alert in side if alert.is_counted] for side in (ours, against))
    return Compared(
        rule,
        (len(first), len(second)),
        (sum(a.is_closed for a in first), sum(a.is_closed for a in second)),
        _only(first, against),
        _only(second, ours),
    )


def _only(some: Sequence[Alert], others: Sequence[Alert]) -> tuple[Alert, ...]:
    """Open ones of *some* that are not open in *others*, whenever these were told."""
    known = {(other.entity, event) for other in others if not other.is_closed for event in other.events}
    return tuple(
        alert
        for alert in some
        if not alert.is_closed and not any((alert.entity, event) in known for event in alert.events)
    )


def span(records: Sequence[Record]) -> tuple[int, int]:
    """First and last arrival in ms; where the records do not say, all of time."""
    arrivals = [record.timestamp_ms for record in records if record.timestamp_ms != NO_TIMESTAMP]
    return (min(arrivals), max(arrivals) + 1) if arrivals else (0, 0)


def rate(count: int, person_days: float) -> float:
    """Alerts per 1,000 person-days."""
    return count * PER / person_days if person_days else 0.0
