"""What is odd about the tests of a rule as they are written: warnings.

A test that expects no match passes whatever keeps its rule from matching, a slip in the test too. So a word
that no feed can give, or a field that such an event has not, is told.
"""

from __future__ import annotations

from collections.abc import Iterator

from correlator.problem import Path
from correlator.rules.vocabulary import WORDS, numbers_of
from correlator.spelling import duration_of, nearest, spell

_OWN = ("access", "door", "login")  # kinds of events that have fields named after them
_PERSON = {"type": "identity.type", "status": "identity.status"}
_SCHEDULES = {"status": "identity.status", "state": "credential.state"}

Oddity = tuple[Path, str]


def odd_tests(tests: object, path: Path) -> Iterator[Oddity]:
    """Places of the *tests* at *path* that are odd, and why."""
    for at, test in enumerate(tests if isinstance(tests, list) else ()):
        if not isinstance(test, dict):
            continue
        events = test.get("events")
        for number, event in enumerate(events if isinstance(events, list) else ()):
            if isinstance(event, dict):
                yield from _event(event, (*path, at, "events", number))
        if isinstance(test.get("person"), dict):
            yield from _person(test["person"], (*path, at, "person"))


def _event(event: dict[str, object], path: Path) -> Iterator[Oddity]:
    kind = event.get("event.kind")
    for name, value in event.items():
        own = name.partition(".")[0]
        if own in _OWN and kind in _OWN and own != kind:
            yield (*path, name), f"{kind} events have no {name}: a feed never says it of them"
        elif why := _odd(name, value):
            yield (*path, name), why
    offset_ms, arrives_ms = duration_of(event.get("offset", "0s")), duration_of(event.get("arrives"))
    if offset_ms is not None and arrives_ms is not None and arrives_ms < offset_ms:
        yield (*path, "arrives"), f"arrives {spell(offset_ms - arrives_ms)} before it happens"


def _person(person: dict[str, object], path: Path) -> Iterator[Oddity]:
    for key, name in _PERSON.items():
        if why := _odd(name, person.get(key), key):
            yield (*path, key), why
    hired_ms = duration_of(person.get("hired"))
    if hired_ms is not None and hired_ms > 0:
        yield (*path, "hired"), "is after the start of the test: a day in the past is -90d"
    yield from _schedule(person.get("status"), "status", (*path, "status"))
    credentials = person.get("credentials")
    for at, held in enumerate(credentials if isinstance(credentials, list) else ()):
        if isinstance(held, dict):
            place = (*path, "credentials", at)
            if why := _odd("credential.class", held.get("class"), "class"):
                yield (*place, "class"), why
            yield from _schedule(held.get("states"), "state", (*place, "states"))


def _schedule(steps: object, key: str, path: Path) -> Iterator[Oddity]:
    for at, step in enumerate(steps if isinstance(steps, list) else ()):
        if isinstance(step, dict) and (why := _odd(_SCHEDULES[key], step.get(key), key)):
            yield (*path, at, key), why


def _odd(name: str, value: object, key: str = "") -> str:
    """Why no source ever gives *value* for the field *name* (here called *key*), or nothing."""
    words = WORDS.get(name)
    if words is not None and isinstance(value, str) and value and value not in words:
        return f"{key or name} is never {value}{nearest(value.lower(), words)}"
    bounds = numbers_of(name)
    if bounds is not None and isinstance(value, int | float) and not bounds[0] <= value <= bounds[1]:
        return f"{key or name} is from {bounds[0]:g} to {bounds[1]:g}"
    return ""
