"""A timeline as the events of a rule's test: what really happened, to be explained or kept as a test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from correlator.alerts.phrases import iso
from correlator.event import NEVER, SECOND_MS, Event, Network, Person, Place, Shape
from correlator.rules.cases import SETTABLE
from correlator.spelling import LONGEST_MS, UNITS_MS

_OURS = {"event.id", "event.feed", "identity.id"}  # of our log, or the timeline's own
_KINDS = ("access", "door", "login")  # the others follow from what tests say of a person
_PARTS: dict[str, type[msgspec.Struct]] = {"place": Place, "network": Network, "event": Shape}
_DEFAULTS = {
    (part, field.name): None if field.default is msgspec.NODEFAULT else field.default
    for part, struct in _PARTS.items()
    for field in msgspec.structs.fields(struct)
}
_PLAIN = re.compile(r"[A-Za-z][\w.@-]*|-?\d+(ms|[smhd])")  # needs no quotes
_RESERVED = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
Value = str | int | float | bool


def as_events(entity: str, events: Sequence[Event], person: Person | None) -> str:
    """YAML that `rules explain RULE FILE` reads, and whose events can stand in a rule's tests. *person*: of
    the identity whose timeline it is. "" if there is no event that a source reports.
    """
    told = [event for event in events if event.kind in _KINDS]
    if not told:
        return ""
    start_ms = told[0].time_ms // SECOND_MS * SECOND_MS
    lines = [f"# {entity}, {iso(told[0].time_ms)} to {iso(told[-1].time_ms)}", f"start: {iso(start_ms)}"]
    if person is not None:
        lines.append(f"person: {_flow(_person(person, start_ms))}")
    lines.append("events:")
    lines += [f"    - {_flow(_event(entity, event, start_ms))}" for event in told]
    return "\n".join(lines) + "\n"


def _event(entity: str, event: Event, start_ms: int) -> dict[str, object]:
    found: dict[str, object] = {"offset": _duration(event.time_ms - start_ms)}
    for name, (part, attribute) in SETTABLE.items():
        is_others = name.split(".")[0] in _KINDS and not name.startswith(f"{event.kind}.")
        if name in _OURS or part == "score" or is_others:
            continue
        value = _value(event, part, attribute)
        is_said = name.startswith(event.kind) and isinstance(value, bool)
        if value is not None and (is_said or value not in {_DEFAULTS.get((part, attribute)), ""}):
            found[name] = value
    if not entity.startswith("identity:"):
        found["identity.id"] = event.identity_id
    return found


def _value(event: Event, part: str, attribute: str) -> Value | None:
    shape = event.shape
    holders = {"place": shape.place, "network": shape.network, "event": event}
    holder = shape if part == "event" and attribute in Shape.__struct_fields__ else holders[part]
    value: Value | None = getattr(holder, attribute, None)
    return value


def _person(person: Person, start_ms: int) -> dict[str, object]:
    found: dict[str, object] = {"type": person.identity_type}
    found |= {key: value for key in ("department", "home_site") if (value := getattr(person, key))}
    if person.host_id:
        found["host"] = person.host_id
    if person.hired_ms is not None:
        found["hired"] = _duration(person.hired_ms - start_ms)
    if person.statuses:
        found["status"] = list(_schedule(person.statuses, start_ms, "status"))
    credentials = []
    for held in person.credentials:
        one: dict[str, object] = {"id": held.id, "class": held.credential_class}
        if held.from_ms != NEVER:
            one["issued"] = _duration(held.from_ms - start_ms)
        if held.states:
            one["states"] = list(_schedule(held.states, start_ms, "state"))
        credentials.append(one)
    return found | ({"credentials": credentials} if credentials else {})


def _schedule(steps: Iterable[tuple[int, str]], start_ms: int, key: str) -> Iterator[dict[str, str]]:
    return ({"at": _duration(at_ms - start_ms), key: word} for at_ms, word in steps)


def _duration(span_ms: int) -> str:
    """At most as long as a test may say: what is always or never so is so long before or after."""
    span_ms = min(max(span_ms, -LONGEST_MS), LONGEST_MS)
    for unit in "dhms":
        if span_ms and span_ms % UNITS_MS[unit] == 0:
            return f"{span_ms // UNITS_MS[unit]}{unit}"
    return f"{span_ms}ms" if span_ms else "0s"


def _flow(found: object) -> str:
    """Flow style on one line: JSON, of which only what needs it is quoted."""
    if isinstance(found, dict):
        return "{" + ", ".join(f"{key}: {_flow(value)}" for key, value in found.items()) + "}"
    if isinstance(found, list):
        return "[" + ", ".join(map(_flow, found)) + "]"
    if isinstance(found, str) and _PLAIN.fullmatch(found) and found.lower() not in _RESERVED:
        return found
    return json.dumps(found)
