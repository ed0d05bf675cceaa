"""The tests of a rule to `Case`s: those of its `correlator:` block, those of a file of tests, and exemplars.

A test is a list of events by field name, with offsets from its start. What the product derives (presence,
travel, status) cannot be written: it must come from events, or the test would not test the join. The
exception are `anomaly.*` fields: a test may say what the model thought of an event, since no test can
teach it first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from correlator.event import KINDS, SECOND_MS, Kind
from correlator.problem import Path
from correlator.rules.check import NAMES
from correlator.rules.reading import Reader
from correlator.rules.rule import Case, CaseCredential, CaseEvent, CaseMark, CasePerson, RawValue
from correlator.spelling import LONGEST_MS, nearest, spell
from correlator.timeline.field import Field

START = "2026-03-03T09:00:00+00:00"  # of a test that does not say: a Tuesday morning
EVENTS_MAX = 5_000  # of one test, repeats included
YEARS = range(1970, 2970)  # in which a test may start

# Field name -> which struct of the event, which attribute
SETTABLE: dict[str, tuple[str, str]] = {
    "event.kind": ("event", "kind"),
    "event.id": ("event", "id"),
    "event.source": ("event", "source"),
    "event.feed": ("event", "feed"),
    "access.outcome": ("event", "outcome"),
    "access.reason": ("event", "reason"),
    "access.reason_native": ("event", "reason_native"),
    "access.taken": ("event", "taken"),
    "access.direction": ("event", "direction"),
    "access.duress": ("event", "duress"),
    "credential.id": ("event", "credential"),
    "door.activity": ("event", "activity"),
    "login.outcome": ("event", "outcome"),
    "login.reason": ("event", "reason"),
    "login.logon_type": ("event", "logon_type"),
    "login.is_interactive": ("event", "is_interactive"),
    "login.mfa": ("event", "mfa"),
    "login.application": ("event", "application"),
    "device.id": ("event", "device"),
    "session.id": ("event", "session"),
    "source.ip": ("event", "ip"),
    "identity.id": ("event", "identity_id"),
    "time.is_business_hours": ("event", "is_business_hours"),
    "network.name": ("network", "name"),
    "network.class": ("network", "network_class"),
    "network.asn": ("network", "asn"),
    "place.site": ("place", "site"),
    "place.building": ("place", "building"),
    "place.zone": ("place", "zone"),
    "place.door": ("place", "door"),
    "place.reader": ("place", "reader"),
    "place.criticality": ("place", "criticality"),
    "place.is_perimeter": ("place", "is_perimeter"),
    "place.country": ("place", "country"),
    "place.lat": ("place", "lat"),
    "place.lon": ("place", "lon"),
    "place.radius_km": ("place", "radius_km"),
    "place.floor": ("place", "floor"),
    "place.passback": ("place", "passback"),
    "place.has_entry_readers": ("place", "has_entry_readers"),
    "place.has_exit_readers": ("place", "has_exit_readers"),
    "anomaly.percentile": ("score", "percentile"),
    "anomaly.is_warm": ("score", "is_warm"),
    "anomaly.pushing": ("score", "pushing"),
}

_CASE = ("name", "expect", "expect_from", "expect_at", "start", "person", "events", "marks")
_OF_AN_EVENT = ("offset", "arrives", "repeat")  # keys that are no fields
_TEXTS = ("type", "department", "home_site", "host")  # of a person
_PERSON = (*_TEXTS, "hired", "status", "credentials")
_TYPES = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}


def read_cases(
    reader: Reader, found: object, path: Path, fields: Mapping[str, Field], others: Sequence[Case] = ()
) -> tuple[Case, ...]:
    """The tests *found* at *path*, besides *others* of the same rule; problems go to *reader*."""
    if not isinstance(found, list):
        reader.say(path, "must be a list of tests")
        return ()
    return gather(reader, [((*path, at), one) for at, one in enumerate(found)], fields, others)


def gather(
    reader: Reader, found: Iterable[tuple[Path, object]], fields: Mapping[str, Field], others: Sequence[Case]
) -> tuple[Case, ...]:
    """The tests *found*, each at its place, whose names differ from each other and those of *others*."""
    cases, names = list[Case](), {case.name for case in others}
    for path, one in found:
        case = _case(reader, one, path, fields)
        if case is None:
            continue
        if case.name in names:
            reader.say((*path, "name"), f"{case.name!r} is the name of another test of this rule")
        names.add(case.name)
        cases.append(case)
    return tuple(cases)


def read_stream(reader: Reader, found: object, fields: Mapping[str, Field]) -> Case | None:
    """Events in a file of their own: a list of them, or a mapping as a test is, which needs no name and
    expects nothing. Problems go to *reader*.
    """
    if isinstance(found, list):
        events = _events(reader, found, (), fields)
        start_ms = _start(reader, START, ())
        return None if reader.problems else Case("", True, None, None, start_ms, events, None, None)
    if not isinstance(found, dict):
        reader.say((), "must be a list of events, or a mapping as a test is: events, and person, marks, …")
        return None
    unsaid: dict[str, object] = {"name": "events", "expect": "match"}
    return _case(reader, unsaid | found, (), fields)


def _case(reader: Reader, found: object, path: Path, fields: Mapping[str, Field]) -> Case | None:
    section = reader.mapping(found, path, _CASE)
    before = len(reader.problems)
    name = section.get("name")
    if not isinstance(name, str) or not name:
        reader.say(path, "a test has a name that says what happens")
    expect = reader.choice(section.get("expect"), (*path, "expect"), ("match", "no-match"))
    from_ms, at_ms = (
        reader.duration(section[key], (*path, key), None) if key in section else None
        for key in ("expect_from", "expect_at")
    )
    start_ms = _start(reader, section.get("start", START), (*path, "start"))
    person = None
    if "person" in section:
        person = _person(reader, section["person"], (*path, "person"))
    events = _events(reader, section.get("events"), (*path, "events"), fields)
    marks = _marks(reader, section["marks"], (*path, "marks")) if "marks" in section else None
    if len(reader.problems) > before or not isinstance(name, str):
        return None
    file, (line, _) = reader.lines.file, reader.lines.at(path)
    return Case(name, expect == "match", from_ms, at_ms, start_ms, events, marks, person, file, line)


def _start(reader: Reader, found: object, path: Path) -> int:
    try:
        moment = datetime.fromisoformat(found if isinstance(found, str) else "")
    except ValueError:
        reader.say(path, "must be a time such as 2026-03-03T09:00:00Z")
        return 0
    if moment.year not in YEARS:
        reader.say(path, f"must be a time from {YEARS[0]} to {YEARS[-1]}")
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp()) * SECOND_MS


# ---------------------------------------------------------------------- events


def _events(reader: Reader, found: object, path: Path, fields: Mapping[str, Field]) -> tuple[CaseEvent, ...]:
    if not isinstance(found, list) or not found:
        reader.say(path, "must be a list of events")
        return ()
    events = [e for at, event in enumerate(found) for e in _event(reader, event, (*path, at), fields)]
    if len(events) > EVENTS_MAX:
        reader.say(path, f"has more than {EVENTS_MAX} events")
    return tuple(events[:EVENTS_MAX])


def _event(reader: Reader, found: object, path: Path, fields: Mapping[str, Field]) -> list[CaseEvent]:
    if not isinstance(found, dict):
        reader.say(path, "must be an event: {offset: 0s, event.kind: login, …}")
        return []
    offset_ms = reader.duration(found.get("offset", "0s"), (*path, "offset"), None)
    delay_ms = 0
    if "arrives" in found:
        arrives_ms = reader.duration(found["arrives"], (*path, "arrives"), None)
        delay_ms = (arrives_ms or 0) - (offset_ms or 0)
    every_ms, times = _repeat(reader, found, path)
    named: list[tuple[str, str | int | float | bool]] = []
    raw: list[tuple[str, RawValue]] = []
    for name, value in found.items():
        if name in _OF_AN_EVENT:
            continue
        if wrong := _wrong(name, value, fields):
            reader.say((*path, name), wrong)
        elif name in SETTABLE:
            named.append((name, value))
        else:
            raw.append((name, tuple(value) if isinstance(value, list) else value))
    if "event.kind" in found:
        reader.choice(found["event.kind"], (*path, "event.kind"), KINDS[:3])
    else:
        reader.say(path, f"event.kind is missing, one of: {', '.join(KINDS[:3])}")
    if offset_ms is None:
        return []
    if every_ms * times > LONGEST_MS:
        reader.say((*path, "repeat"), f"goes on for longer than {spell(LONGEST_MS)}")
    offsets = [offset_ms + every_ms * at for at in range(times)]
    return [CaseEvent(o, o + delay_ms, tuple(named), tuple(raw)) for o in offsets]


def _wrong(name: str, value: object, fields: Mapping[str, Field]) -> str:
    """What is wrong with *name* having *value*, or nothing."""
    if name in SETTABLE:
        is_right = isinstance(value, str | int | float | bool) and _has_type(value, fields[name])
        return "" if is_right else f"{name} must be {NAMES[fields[name].value_type]}"
    near = nearest(name, _OF_AN_EVENT)
    if name in fields and fields[name].value_type == "raw" and not near:
        members = value if isinstance(value, list) else [value]
        is_right = value is None or all(isinstance(member, str | int | float | bool) for member in members)
        inner = next((key for member in members if isinstance(member, dict) for key in member), "")
        dotted = f": write {name}.{inner}, also through lists" if inner else ""
        return "" if is_right else f"{name} must be a value, or a list of values{dotted}"
    derived = "is derived from events: write these" if name in fields and not near else "is no field"
    return f"{name!r} {derived}{nearest(name, (*_OF_AN_EVENT, *SETTABLE))}"


def _has_type(value: str | float | bool, field: Field) -> bool:
    if isinstance(value, bool):
        return field.value_type == "bool"
    return isinstance(value, _TYPES[field.value_type])


def _repeat(reader: Reader, found: dict[str, object], path: Path) -> tuple[int, int]:
    """(every, times) of `repeat: {every: 1d, times: 12}`: an event that happens again and again."""
    if "repeat" not in found:
        return 0, 1
    path = (*path, "repeat")
    section = reader.mapping(found["repeat"], path, ("every", "times"))
    every_ms = reader.duration(section.get("every"), (*path, "every"), at_least_ms=1)
    times = section.get("times")
    if not isinstance(times, int) or isinstance(times, bool) or not 1 <= times <= EVENTS_MAX:
        reader.say((*path, "times"), f"must be a number from 1 to {EVENTS_MAX}")
        return 0, 1
    return every_ms or 0, times


# ------------------------------------------------------------ person and marks


def _person(reader: Reader, found: object, path: Path) -> CasePerson | None:
    section = reader.mapping(found, path, _PERSON)
    before = len(reader.problems)
    texts = {key: section[key] for key in _TEXTS if key in section}
    for key, value in texts.items():
        if not isinstance(value, str):
            reader.say((*path, key), "must be text")
    hired_ms = None
    if "hired" in section:
        hired_ms = reader.duration(section["hired"], (*path, "hired"), None)
    status = section.get("status", [])
    if isinstance(status, str):
        status = [{"at": "-52w", "status": status}]
    statuses = _schedule(reader, status, (*path, "status"), "status")
    credentials = _credentials(reader, section.get("credentials", []), (*path, "credentials"))
    if len(reader.problems) > before:
        return None
    return CasePerson(
        str(texts.get("type", "employee")),
        str(texts.get("department", "")),
        str(texts.get("home_site", "")),
        hired_ms,
        statuses,
        credentials,
        str(texts.get("host", "")),
    )


def _schedule(reader: Reader, found: object, path: Path, key: str) -> tuple[tuple[int, str], ...]:
    """`[{at: -1d, status: notice}, …]` as (offset, word), by time."""
    if not isinstance(found, list):
        reader.say(path, f"must be a list of {{at: -1d, {key}: …}}")
        return ()
    schedule: list[tuple[int, str]] = []
    for index, step in enumerate(found):
        section = reader.mapping(step, (*path, index), ("at", key))
        at_ms = reader.duration(section.get("at"), (*path, index, "at"), None)
        word = section.get(key)
        if not isinstance(word, str):
            reader.say((*path, index), f"{key} must be text")
        elif at_ms is not None:
            schedule.append((at_ms, word))
    return tuple(sorted(schedule))


def _credentials(reader: Reader, found: object, path: Path) -> tuple[CaseCredential, ...]:
    if not isinstance(found, list):
        reader.say(path, "must be a list of {id, class, states}")
        return ()
    credentials: list[CaseCredential] = []
    for at, credential in enumerate(found):
        section = reader.mapping(credential, (*path, at), ("id", "class", "states", "issued"))
        key, kind = section.get("id"), section.get("class", "card")
        states = _schedule(reader, section.get("states", []), (*path, at, "states"), "state")
        issued_ms = None
        if "issued" in section:
            issued_ms = reader.duration(section["issued"], (*path, at, "issued"), None)
        if isinstance(key, str) and isinstance(kind, str):
            credentials.append(CaseCredential(key, kind, states, issued_ms))
        else:
            reader.say((*path, at), "id and class must be text (quote a badge number)")
    return tuple(credentials)


def _marks(reader: Reader, found: object, path: Path) -> tuple[CaseMark, ...]:
    if not isinstance(found, list):
        reader.say(path, "must be a list of {offset, feed, site, complete_to}")
        return ()
    marks: list[CaseMark] = []
    for index, mark in enumerate(found):
        place = (*path, index)
        section = reader.mapping(mark, place, ("offset", "feed", "site", "complete_to"))
        offset_ms = reader.duration(section.get("offset"), (*place, "offset"), None)
        complete_ms = reader.duration(section.get("complete_to"), (*place, "complete_to"), None)
        feed: Kind | None = next((k for k in KINDS[:3] if k == section.get("feed")), None)
        site = section.get("site")
        if feed is None or not isinstance(site, str):
            reader.say(place, "feed must be access, door or login, and site text")
        elif offset_ms is not None and complete_ms is not None:
            marks.append(CaseMark(offset_ms, feed, site, complete_ms))
    return tuple(marks)
