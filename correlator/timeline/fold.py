"""fold(base, events) -> live, matches: every event of an entity, in (event time, event id) order.

`step` folds one event, the newest so far. Verdicts of settled rules that fall due before it are taken
first: nothing that is still to come can change them. Marks play no part here; `decide` looks at them.

May not know: marks, arrival, publishing. Pure, total and deterministic: the same events give the same states.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable

from msgspec.structs import replace

from correlator.event import DAY_MS, Event, entity_kind
from correlator.timeline import presence, travel
from correlator.timeline.habits import learn, shows_habit
from correlator.timeline.live import DoorState, Live, Match, Waiting
from correlator.timeline.observation import Observation
from correlator.timeline.program import Found, Program

ON_SITE_MIN = 0.5  # belief in a presence for which a VPN is used on site
FORCED_MAX = 6  # newest forced reports of a door that are remembered


def step(entity: str, live: Live, event: Event, program: Program) -> tuple[Live, list[Match]]:
    """Fold *event*. Returns the live state after it and what was decided before and by it, in that order."""
    matches: list[Match] = []
    waiting = live.waiting
    if waiting and waiting[0].due_ms < event.time_ms:
        due = [w for w in waiting if w.due_ms < event.time_ms]
        matches = verdicts(entity, live, due, program)
        waiting = waiting[len(due) :]
    program = program.at(event.time_ms)
    found, windows = program.on_event(entity, event, live), live.windows
    if found is not None:
        matches += found.matches
        windows = found.windows
        if found.waiting:
            waiting = _merge(waiting, found.waiting)
    after = remember(entity, live, event, program)
    if event.identity_id and shows_habit(event.shape) and (found is None or not _is_held_against(found)):
        after = _with_habit(entity, after, event, program)
    if windows is not live.windows or waiting is not live.waiting:
        after = replace(after, windows=windows, waiting=waiting)
    return after, matches


def _is_held_against(found: Found) -> bool:
    """By a rule that is told of: one that is tried out changes nothing."""
    return any(not match.is_shadow for match in found.matches)


def observe(entity: str, live: Live, event: Event, program: Program) -> Observation:
    return Observation(entity, event, live, program.settings, event.time_ms)


def verdicts(entity: str, live: Live, due: Iterable[Waiting], program: Program) -> list[Match]:
    """Matches of settled rules as of their due times; *live* is the state after all events at or before
    them.
    """
    matches = []
    for w in due:
        then = program.at(w.event.time_ms)
        observation = Observation(entity, w.event, live, then.settings, w.due_ms, dict(w.seen))
        match = then.verdict(w, observation)
        if match is not None:
            matches.append(match)
    return matches


def fold(entity: str, live: Live, events: Iterable[Event], program: Program) -> tuple[Live, list[Match]]:
    matches: list[Match] = []
    for event in events:
        live, found = step(entity, live, event, program)
        matches += found
    return live, matches


def remember(entity: str, live: Live, event: Event, program: Program) -> Live:
    """*live* with what later events may look back on. Windows and waiting rules are the caller's."""
    if entity_kind(entity) == "door":
        door = _door(live.door or DoorState(), event)
        return live if door is live.door else replace(live, door=door)
    kind = event.shape.kind
    if kind == "access":
        return _access(live, event, program)
    if kind == "login":
        return _login(live, event)
    if kind == "person" and event.person is not None:
        known = live.person
        if known is None or event.person.version > known.version:
            return replace(live, person=event.person)
    return live


def _access(live: Live, event: Event, program: Program) -> Live:
    if presence.is_entry(event.shape):
        believed = presence.after_entry(live.presence, event, program.settings)
        return replace(live, last_badge=event, badge_place=event, card_place=event, presence=believed)
    card_place = event if travel.is_card_place(event.shape) else live.card_place
    return replace(live, last_badge=event, card_place=card_place)


def _login(live: Live, event: Event) -> Live:
    if event.shape.outcome != "success":
        return live
    if travel.is_login_place(event.shape):
        return replace(live, last_login=event, login_place=event)
    return replace(live, last_login=event)


def _with_habit(entity: str, live: Live, event: Event, program: Program) -> Live:
    """*live* after a person did what no rule holds against them."""
    if entity_kind(entity) != "identity":
        return live
    is_on_site = presence.confidence(live.presence, event.time_ms, program.settings) >= ON_SITE_MIN
    habits, today = learn(live.habits, live.today, event, is_on_site=is_on_site)
    return live if today is live.today else replace(live, habits=habits, today=today)


def _door(door: DoorState, event: Event) -> DoorState:
    shape = event.shape
    if shape.kind == "access":
        return replace(door, last_grant=event.order) if shape.outcome == "granted" else door
    if shape.activity == "rex":
        return replace(door, last_rex=event.order)
    if shape.activity == "held":
        return replace(door, held=event.order)
    if shape.activity == "forced":
        recent = [f for f in door.forced if event.time_ms - f[0] <= DAY_MS]
        return replace(door, forced=tuple([*recent, event.order][-FORCED_MAX:]))
    return door


def prune(live: Live, time_ms: int, program: Program) -> Live:
    """*live* without what cannot matter to events at or after *time_ms*: equal futures, equal states."""
    asked_ms = min(time_ms, live.waiting[0].due_ms) if live.waiting else time_ms  # verdicts still look at it
    windows = program.prune(live.windows, asked_ms) if live.windows else live.windows
    believed = presence.believed(live.presence, asked_ms, program.settings)
    door = live.door
    if door is not None and door.forced and time_ms - door.forced[0][0] > DAY_MS:
        door = replace(door, forced=tuple(f for f in door.forced if time_ms - f[0] <= DAY_MS))
    if windows == live.windows and believed is live.presence and door is live.door:
        return live
    return replace(live, windows=windows, presence=believed, door=door)


def _merge(waiting: tuple[Waiting, ...], fresh: list[Waiting]) -> tuple[Waiting, ...]:
    merged = list(waiting)
    for w in fresh:
        insort(merged, w, key=_due)
    return tuple(merged)


def _due(w: Waiting) -> tuple[int, str, int, str]:
    return (w.due_ms, w.rule, w.event.time_ms, w.event.id)
