"""Two rule sets on the same records: each through the whole system on the embedded log, in a process of its
own, with the records' own clock; then what one of them tells and the other does not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path

import msgspec
from msgspec.structs import replace

from correlator.adapters.documents import read_text
from correlator.adapters.files import bundle_of, load_bundle
from correlator.alerts.told import Told, read_told
from correlator.cli.replay import Replay
from correlator.cli.stopping import STOPPING
from correlator.engine.bundles import Texts
from correlator.event import DAY_MS
from correlator.intake.arrival import NO_TIMESTAMP
from correlator.pipeline import Bundle
from correlator.problem import BadConfiguration, Problem
from correlator.record import Record
from correlator.rules.program import RuleProgram
from correlator.rules.rule import Rule

PER = 1_000  # person-days that a rate is of
TELL_STEPS = 20  # of the worker, between two messages to the parent


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
    bundles: Sequence[Bundle], source: Source, on_progress: Callable[[int, int], None]
) -> list[list[Alert]] | None:
    """What each of *bundles* tells. *on_progress*: side, records read. None when asked to stop.

    Raises RuntimeError when a process dies.
    """
    context = get_context("fork")  # the records are shared, not copied
    ours: dict[Connection, int] = {}
    found: list[list[Alert]] = [[] for _ in bundles]
    processes = []
    for side, bundle in enumerate(bundles):
        reader, writer = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(bundle, source, writer), daemon=True)
        process.start()
        writer.close()
        ours[reader] = side
        processes.append(process)
    while ours:
        for reader in [found for found in wait(list(ours)) if isinstance(found, Connection)]:
            side = ours[reader]
            try:
                said = reader.recv()
            except EOFError:
                del ours[reader]
                continue
            if isinstance(said, int):
                on_progress(side, said)
            else:
                found[side] = said
    for process in processes:
        process.join()
    if STOPPING.is_asked:
        return None
    if any(process.exitcode for process in processes):
        raise RuntimeError("a process of the back-test has died; its error stands above")
    return found


def _run(bundle: Bundle, source: Source, writer: Connection) -> None:
    """In the process of one side."""
    replay, steps = Replay(_one_by_one(bundle), source.records, source.identities), 0

    def after_step() -> None:
        nonlocal steps
        steps += 1
        if steps % TELL_STEPS == 0:
            replay.collect()
            writer.send(replay.taken())

    replay.worker.run(lambda: STOPPING.is_asked, after_step)
    replay.collect()
    writer.send(replay.taken())
    told = [*((value, False) for value in replay.alerts), *((value, True) for value in replay.shadow)]
    writer.send(_alerts(told, source))


def _one_by_one(bundle: Bundle) -> Bundle:
    """*bundle* without storms: what a rule says of each counts, also where so many would not be told."""
    assert isinstance(bundle.program, RuleProgram)
    rules = [replace(rule, entities_max=0) for rule in bundle.program.loaded.values()]
    settings = replace(bundle.settings, storm_entities=0)
    return replace(bundle, program=RuleProgram(rules, settings), settings=settings)


def _alerts(told: Iterable[tuple[bytes, bool]], source: Source) -> list[Alert]:
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
    return sorted(found, key=lambda alert: (alert.time_ms, alert.uid))


def changed_rules(ours: Bundle, against: Bundle) -> set[str]:
    """Names of rules of *ours* that alert and are not the same in *against*."""
    before = {(rule.name, rule.fingerprint) for rule in _alerting(against)}
    return {rule.name for rule in _alerting(ours) if (rule.name, rule.fingerprint) not in before}


def _alerting(bundle: Bundle) -> list[Rule]:
    assert isinstance(bundle.program, RuleProgram)
    return [rule for rule in bundle.program.loaded.values() if rule.is_alerting]


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
