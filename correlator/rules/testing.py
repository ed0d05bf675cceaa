"""Runs the tests of a rule through the real timeline: frames in, alerts out, as when the events really
arrive.

Each event makes a frame at its arrival. A test without `marks` ends with everything delivered, so whatever
waits is decided; a test with marks knows only what these say, and `expect_at` looks at the alerts as of an
arrival time.

Pure: no clock, no files. The rule's own bundle settings apply, but for feeds and sites, whose silences a
test must not depend on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from correlator.event import (
    DAY_MS,
    FOREVER,
    HOUR_MS,
    KINDS,
    MINUTE_MS,
    NEVER,
    Credential,
    Event,
    Network,
    Person,
    Place,
    Routes,
    Score,
    entity_key,
    event_id,
    make_event,
    others_of,
)
from correlator.frame import Arrival, Frame, SourceMark
from correlator.rules.cases import SETTABLE
from correlator.rules.program import RuleProgram
from correlator.rules.routes import routes_of
from correlator.rules.rule import Case, CaseEvent, CaseMark, CasePerson, Rule
from correlator.timeline.alert import Alert, Change
from correlator.timeline.habits import Habits
from correlator.timeline.live import Live
from correlator.timeline.partition import Partition
from correlator.timeline.raw import ALL, pack_raw
from correlator.timeline.settings import FeedTiming, Settings
from correlator.timeline.telling import frames as telling

FEEDS = KINDS[:3]
NONE = "expected a match, got none"
IDENTITY = "e1"  # of events that do not say whose they are
_PARTS: dict[str, Any] = {"place": Place, "network": Network, "score": Score}


class CaseResult(msgspec.Struct, frozen=True):
    """What came of one test. *message* says how it differs from what was expected, "" if it does not."""

    rule: str  # name
    case: Case
    alerts: tuple[Alert, ...]
    message: str

    @property
    def is_passed(self) -> bool:
        return not self.message


def run_case(rule: Rule, case: Case, settings: Settings | None = None) -> CaseResult:
    """Fold the events of *case* with only *rule* in force, and compare its alerts with what is expected."""
    program = RuleProgram(*alone(rule, zoned(settings or Settings(), case)))
    played = play(program, frames_of(rule, case, program.settings))
    from_ms = NEVER if case.expect_from_ms is None else case.start_ms + case.expect_from_ms
    counted = (alert for alert in played.alerts.values() if alert.decided_ms >= from_ms)
    found = tuple(sorted(counted, key=lambda a: (a.decided_ms, a.uid)))
    return CaseResult(rule.name, case, found, _difference(case, found, played.closed))


class Played(msgspec.Struct):
    """What came of frames: open alerts by uid, and closes as they were told."""

    partition: Partition
    alerts: dict[str, Alert]
    closed: list[Change]


def alone(rule: Rule, settings: Settings) -> tuple[list[Rule], Settings]:
    """What a program is made of in which only *rule* is in force, whose feeds are complete to what marks
    say, and never because they are quiet.
    """
    return [replace(rule, is_alerting=True)], _settings(settings)


def zoned(settings: Settings, case: Case) -> Settings:
    """*settings* under which it is known who is inside of every zone of *case*, however critical it is."""
    zones = {place.zone: place for place in settings.zones}
    for index in range(len(case.events)):
        place = _event(case, index).place
        if place is not None and place.zone:
            zones.setdefault(place.zone, replace(place, door="", reader=""))
    return replace(settings, zones=tuple(zones.values()))


def frames_of(
    rule: Rule, case: Case, settings: Settings, events: Sequence[tuple[Event, int]] | None = None
) -> list[Frame]:
    """The frames in which the events of *case* arrive; with *events* and their arrivals, these instead."""
    if events is None:
        events = [(_event(case, index), case.start_ms + e.arrives_ms) for index, e in enumerate(case.events)]
    return _frames(case, events, _tail_ms(rule, settings), routes_of([rule]), settings.horizon_ms)


def play(program: RuleProgram, frames: Sequence[Frame]) -> Played:
    """Fold *frames* in one partition."""
    presets = {e.id: e.score for frame in frames for _, e in frame.rows if e.score is not None}
    played = Played(Partition(program, _Presets(presets), 0), {}, [])
    for frame in _with_facts(played.partition, frames):
        for change in played.partition.step(frame):
            if change.activity == "close":
                played.alerts.pop(change.alert.uid, None)
                played.closed.append(change)
            else:
                played.alerts[change.alert.uid] = change.alert
    return played


def _tail_ms(rule: Rule, settings: Settings) -> int:
    """How long after the last arrival all is delivered: late enough that every window has closed."""
    waits = rule.correlation is not None and rule.correlation.denied
    return max(settings.horizon_ms // 2, rule.correlation.timespan_ms if rule.correlation and waits else 0)


def _with_facts(partition: Partition, frames: Iterable[Frame]) -> Iterator[Frame]:
    """*frames*, each followed by what *partition* tells itself after it."""
    left = deque(frames)
    while left:
        yield left.popleft()
        told = telling([(0, partition.take_told())], 1, "")
        left.extendleft(reversed([frame for _, frame in told if frame.facts or frame.told]))


class _Presets:
    """The scorer of a test: it knows only what the test says of an event."""

    def __init__(self, scores: Mapping[str, Score]) -> None:
        self._scores = scores

    def wants(self, event: Event, live: Live) -> bool:
        return event.id in self._scores

    def score(self, event: Event, identity_type: str, habits: Habits) -> tuple[Score, dict[str, float]]:
        return self._scores[event.id], {}

    def learn(self, identity_type: str, features: dict[str, float]) -> None:
        """A test teaches nothing."""

    def encode(self) -> bytes:
        return b""


def _settings(settings: Settings) -> Settings:
    """*settings* with feeds that are complete to what marks say, and never because they are quiet."""
    feeds = tuple(
        FeedTiming(
            kind,
            kind,
            kind,
            bound_ms=0,
            silence_max_ms=-1,
            silence_max_business_hours_ms=-1,
            site_silence_max_ms=-1,
            site_silence_max_business_hours_ms=-1,
        )
        for kind in FEEDS
    )
    return replace(settings, feeds=feeds, sites=())


# ---------------------------------------------------------------------- events


def _event(case: Case, index: int) -> Event:
    written: CaseEvent = case.events[index]
    named: dict[str, dict[str, Any]] = {"event": {}, "place": {}, "network": {}, "score": {}}
    for name, value in written.fields:
        part, attribute = SETTABLE[name]
        named[part][attribute] = value
    values = named["event"]
    kind = values["kind"]
    # of equal times the one that is written first comes first
    values.setdefault("id", f"{index:06}{event_id('test', f'{case.name}:{index}')[6:]}")
    values.setdefault("source", "test")
    values.setdefault("feed", kind)
    if kind != "door":
        values.setdefault("identity_id", IDENTITY)
        values.setdefault("credential", "card-1" if kind == "access" else "account-1")
    if kind == "login":
        values.setdefault("is_interactive", True)
    if named["score"]:
        pushing = str(named["score"].pop("pushing", ""))
        named["score"] = {
            "percentile": 0.0,
            "is_warm": False,
            **named["score"],
            "pushing": tuple(pushing.split(",")) if pushing else (),
        }
    for part, make in _PARTS.items():
        if named[part]:
            values[part] = make(**named[part])
    if written.raw:
        record = {name: list(v) if isinstance(v, tuple) else v for name, v in written.raw}
        values["raw"] = pack_raw(record, (ALL,))
    return make_event(time_ms=case.start_ms + written.offset_ms, **values)


def _person_event(case: Case, person: CasePerson, identity: str, time_ms: int) -> Event:
    start_ms = case.start_ms
    credentials = tuple(
        Credential(
            c.id,
            c.credential_class,
            NEVER if c.issued_ms is None else start_ms + c.issued_ms,
            FOREVER,
            _schedule(start_ms, c.states),
        )
        for c in person.credentials
    )
    version = Person(
        identity,
        0,
        person.identity_type,
        person.department,
        person.home_site,
        None if person.hired_ms is None else start_ms + person.hired_ms,
        _schedule(start_ms, person.statuses),
        credentials,
        person.host,
    )
    key = event_id("identities", f"{identity}:0")
    return make_event(time_ms, key, "person", identity_id=identity, person=version)


def _schedule(start_ms: int, steps: Iterable[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    return tuple((start_ms + at_ms, word) for at_ms, word in steps)


# ---------------------------------------------------------------------- frames


def _frames(
    case: Case, events: Sequence[tuple[Event, int]], tail_ms: int, routes: Routes, horizon_ms: int
) -> list[Frame]:
    """One frame per moment at which something arrives, oldest first; all is complete *tail_ms* later.

    What arrives after the horizon has a tick before it, as live: else nobody would know how late it is.
    """
    rows: dict[int, list[tuple[str, Event]]] = {}
    for event, arrival_ms in events:
        rows.setdefault(arrival_ms, []).extend((entity, event) for entity in _entities(event, routes))
    marks: dict[int, list[CaseMark]] = {}
    for mark in case.marks or ():
        marks.setdefault(case.start_ms + mark.offset_ms, []).append(mark)
    ticks = {arrival_ms - 1 for event, arrival_ms in events if event.time_ms < arrival_ms - 1 - horizon_ms}
    moments = sorted({*rows, *marks, *ticks})
    frames = [_frame(case, at_ms, rows.get(at_ms, ()), marks.get(at_ms, ())) for at_ms in moments]
    if case.person is not None:
        first_ms = min([moments[0], *(event.time_ms for event, _ in events)]) - MINUTE_MS
        people = {event.identity_id for event, _ in events if event.identity_id}
        told = [
            (entity_key("identity", i), _person_event(case, case.person, i, first_ms)) for i in sorted(people)
        ]
        frames.insert(0, _frame(case, first_ms, told, ()))
        moments.insert(0, first_ms)
    if case.expect_at_ms is not None:
        at_ms = case.start_ms + case.expect_at_ms
        kept = [frame for frame, moment in zip(frames, moments, strict=True) if moment <= at_ms]
        return [*kept, _frame(case, at_ms, (), ())]
    return frames if case.marks is not None else [*frames, _closing(case, events, moments[-1] + tail_ms)]


def _frame(case: Case, at_ms: int, rows: Iterable[tuple[str, Event]], marks: Iterable[CaseMark]) -> Frame:
    arrivals = tuple(Arrival(kind, 0, 1, at_ms) for kind in FEEDS)
    sources = tuple(
        SourceMark("test", m.feed, m.site, m.feed, 0, case.start_ms + m.complete_to_ms, 0, 1, at_ms - 1)
        for m in marks
    )
    return Frame("", tuple(rows), arrivals, sources)


def _closing(case: Case, events: Sequence[tuple[Event, int]], end_ms: int) -> Frame:
    """The end of a bounded read: all feeds have delivered, half a horizon later."""
    sites = {event.place.site for event, _ in events if event.place is not None and event.place.site}
    offset_ms = end_ms - case.start_ms
    marks = [CaseMark(offset_ms, kind, site, offset_ms) for kind in FEEDS for site in sorted(sites)]
    return _frame(case, end_ms, (), marks)


def _entities(event: Event, routes: Routes) -> list[str]:
    entities = list(others_of(event, routes))
    if event.kind == "occupancy":  # of an alert that is explained
        return entities
    if event.identity_id:
        entities.append(entity_key("identity", event.identity_id))
    elif event.kind != "door":
        kind = "badge" if event.kind == "access" else "account"
        entities.append(f"unresolved:{kind}:{event.credential}")
    if event.kind in {"access", "door"} and event.place is not None and event.place.door:
        entities.append(entity_key("door", event.place.door))
    return entities


# ------------------------------------------------------------------- difference


def _difference(case: Case, alerts: Sequence[Alert], closed: Sequence[Change]) -> str:
    if case.expects_match and not alerts:
        told = [f"an alert was {c.reason} again" for c in closed]
        return NONE + (f": {told[-1]}" if told else "")
    if not case.expects_match and alerts:
        first = alerts[0]
        named = ", ".join(f"{name}={value}" for name, value in first.values[:6])
        at = offset_text(first.decided_ms - case.start_ms)
        return f"expected no match, got {len(alerts)}: first as of {at} on {first.entity} ({named})"
    return ""


def offset_text(offset_ms: int) -> str:
    """An offset as a person writes it: 90s, 5m, -2h, 26h5m."""
    for unit, size_ms in (("d", DAY_MS), ("h", HOUR_MS), ("m", MINUTE_MS)):
        if offset_ms and offset_ms % size_ms == 0:
            hours, minutes = divmod(offset_ms, HOUR_MS)
            if hours > 1 and minutes:
                return f"{hours}h{minutes // MINUTE_MS}m"
            return f"{offset_ms // size_ms}{unit}"
    return f"{offset_ms / 1000:g}s"
