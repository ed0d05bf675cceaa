"""fold(base, events) -> live, matches: every event of an entity, in (event time, event id) order.

`step` folds one event, the newest so far. Verdicts of settled rules that fall due before it are taken
first: nothing that is still to come can change them. Marks play no part here; `decide` looks at them.

May not know: marks, arrival, publishing. Pure, total and deterministic: the same events give the same states.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable

from msgspec.structs import replace

from correlator.event import DAY_MS, Event
from correlator.timeline import occupancy, passback, presence, travel
from correlator.timeline.habits import (
    UNBADGED,
    VPN_ON_SITE,
    Thing,
    is_at_desk,
    is_vpn,
    learn,
    missed,
    shows_habit,
)
from correlator.timeline.live import DoorState, Live, Match, Waiting
from correlator.timeline.observation import Observation
from correlator.timeline.program import Found, Program, is_tried_out

ON_SITE_MIN = 0.5  # belief in a presence for which a VPN is used on site
FORCED_MAX = 6  # newest forced reports of a door that are remembered
NO_DOOR = DoorState()


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
    if event.identity_id and entity.startswith("identity:") and shows_habit(event.shape):
        is_alerted = found is not None and _is_held_against(found, program)
        after = _with_habit(live, after, event, program, is_alerted=is_alerted)
    if windows is not live.windows or waiting is not live.waiting:
        after = replace(after, windows=windows, waiting=waiting)
    return after, matches


def _is_held_against(found: Found, program: Program) -> bool:
    """By a rule that is more than tried out."""
    return any(not is_tried_out(match.rule, match.decided_ms, program) for match in found.matches)


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


def went(before: Live, after: Live, event: Event, program: Program) -> tuple[occupancy.Passage, ...]:
    """Into and out of which zones *event* led the person."""
    then = program.at(event.time_ms)
    return tuple(occupancy.passages(before, after, event, then.zones, then.settings))


def fold_ways(
    entity: str, live: Live, events: Iterable[Event], program: Program
) -> tuple[Live, list[Match], tuple[occupancy.Passage, ...]]:
    """`fold`, and where the person went."""
    if not program.zones:
        return (*fold(entity, live, events, program), ())
    matches, ways = list[Match](), list[occupancy.Passage]()
    for event in events:
        before = live
        live, found = step(entity, live, event, program)
        matches += found
        ways += went(before, live, event, program)
    return live, matches, tuple(ways)


def remember(entity: str, live: Live, event: Event, program: Program) -> Live:
    """*live* with what later events may look back on. Windows and waiting rules are the caller's."""
    if entity.startswith("door:"):
        door = _door(live.door or NO_DOOR, event)
        return live if door is live.door else replace(live, door=door)
    kind = event.shape.kind
    if kind == "occupancy":
        return replace(live, zone=occupancy.after(live.zone, event, program.settings))
    if kind == "login" and live.zone is not None:
        return replace(live, zone=occupancy.after_login(live.zone, event, program.settings))
    if entity.startswith(("zone:", "source:", "host:")):
        return live
    if kind == "access":
        return _access(live, event, program)
    if kind == "login":
        return _login(live, event, program)
    if kind == "person" and event.person is not None:
        known = live.person
        if known is None or event.person.version > known.version:
            return replace(live, person=event.person)
    return live


def _access(live: Live, event: Event, program: Program) -> Live:
    settings = program.settings
    passed = passback.after(live.passed, event, settings)
    cards = before = live.card_places
    if travel.is_card_place(event.shape):
        cards = travel.with_place(cards, event, settings)
    if not presence.is_entry(event.shape):
        return replace(live, last_badge=event, card_places=cards, passed=passed)
    badges = live.badge_places  # mostly the same as those of the card: every entry shows where that is
    badges = cards if badges is before else travel.with_place(badges, event, settings)
    return replace(
        live,
        last_badge=event,
        badge_places=badges,
        card_places=cards,
        stays=presence.after_entry(live.stays, event, live.habits, settings),
        passed=passed,
    )


def _login(live: Live, event: Event, program: Program) -> Live:
    shape, settings = event.shape, program.settings
    if shape.outcome != "success":
        return live
    if not travel.is_login_place(shape):
        return replace(live, last_login=event)
    places = travel.with_place(live.login_places, event, settings)
    stays = presence.after_login(live.stays, event, settings)
    return replace(live, last_login=event, login_places=places, stays=stays)


def _with_habit(before: Live, after: Live, event: Event, program: Program, *, is_alerted: bool) -> Live:
    """*after* with what a person did, as habit unless a rule holds it against them."""
    circumstances, is_on_site = _circumstances(before, event, program)
    habits, today = learn(
        before.habits,
        before.today,
        event,
        circumstances=circumstances,
        is_on_site=is_on_site,
        is_alerted=is_alerted,
    )
    return after if today is before.today else replace(after, habits=habits, today=today)


def _circumstances(before: Live, event: Event, program: Program) -> tuple[tuple[Thing, ...], bool]:
    """What else a habit is learned from, and whether *event* shows that the person is at a site."""
    shape, stays, settings = event.shape, before.stays, program.settings
    if shape.kind == "access":
        is_tailgating = presence.is_tailgating(stays, event, settings)
        place = shape.place
        return ((missed(place.site),) if is_tailgating and place is not None else ()), presence.is_entry(
            shape
        )
    if is_vpn(shape):
        likeliest = presence.likeliest(stays, event.time_ms, settings)
        is_on_site = (
            likeliest is not None and presence.belief(likeliest, event.time_ms, settings) >= ON_SITE_MIN
        )
        return ((VPN_ON_SITE,) if is_on_site else ()), False
    if not is_at_desk(shape) or shape.place is None:
        return (), False
    is_absent = presence.here(stays, shape.place.site, event.time_ms, settings) < presence.PRESENT_MIN
    return ((UNBADGED,) if is_absent else ()), not is_absent


def _door(door: DoorState, event: Event) -> DoorState:
    shape = event.shape
    if shape.kind == "access":
        is_opening = shape.outcome == "granted" and shape.taken != "not_taken"
        return replace(door, last_grant=event.order) if is_opening else door
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
    settings, asked_ms, left_ms = program.settings, time_ms, time_ms
    if live.waiting:  # verdicts still look at it, and at journeys to the place of their own event
        asked_ms = min(time_ms, live.waiting[0].due_ms)
        left_ms = min(time_ms, *[w.event.time_ms for w in live.waiting])
    kept = {
        "windows": program.prune(live.windows, asked_ms) if live.windows else live.windows,
        "stays": presence.believed(live.stays, asked_ms, settings),
        "door": _recent(live.door, time_ms),
        "zone": occupancy.believed(live.zone, asked_ms) if live.zone is not None else None,
        "passed": passback.prune(live.passed, asked_ms, settings),
        "badge_places": travel.prune(live.badge_places, left_ms, settings),
        "card_places": travel.prune(live.card_places, left_ms, settings),
        "login_places": travel.prune(live.login_places, left_ms, settings),
    }
    return (
        live if all(getattr(live, name) == value for name, value in kept.items()) else replace(live, **kept)
    )


def _recent(door: DoorState | None, time_ms: int) -> DoorState | None:
    if door is None or not door.forced or time_ms - door.forced[0][0] <= DAY_MS:
        return door
    return replace(door, forced=tuple(f for f in door.forced if time_ms - f[0] <= DAY_MS))


def _merge(waiting: tuple[Waiting, ...], fresh: list[Waiting]) -> tuple[Waiting, ...]:
    merged = list(waiting)
    for w in fresh:
        insort(merged, w, key=_due)
    return tuple(merged)


def _due(w: Waiting) -> tuple[int, str, int, str]:
    return (w.due_ms, w.rule, w.event.time_ms, w.event.id)
