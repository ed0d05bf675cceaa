"""What eight of the shipped rules mean, written once more from their descriptions: quadratic and stateless.

Shares no code with the rules, the interpreter, windows, presence or travel: every question is asked of the
whole sorted list of events. (The ninth, D26, reads a model's score, which the promise about order leaves
out.)
"""

from __future__ import annotations

from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Event, Person
from correlator.timeline.alert import alert_uid
from correlator.timeline.settings import Settings
from tests.timeline import whereabouts
from tests.timeline.journeys import far_km, short_s, telling

SETTINGS = Settings()

Found = tuple[tuple[int, int, int, str], str, tuple[str, ...], str]  # order, event id, evidence, group

PREFIX = {
    "D01": "c0a80001-0001-4d01-8a01-000000000001",
    "D05": "c0a80001-0005-4d05-8a05-000000000005",
    "D12": "c0a80001-0012-4d12-8a12-000000000012",
    "D17": "c0a80001-0017-4d17-8a17-000000000017",
    "D18": "c0a80001-0018-4d18-8a18-000000000018",
    "D21": "c0a80001-0021-4d21-8a21-000000000021",
    "D23": "c0a80001-0023-4d23-8a23-000000000023",
    "D28": "c0a80001-0028-4d28-8a28-000000000028",
}
QUIET_MS = {
    "D01": 12 * HOUR_MS,
    "D05": 4 * HOUR_MS,
    "D12": 4 * HOUR_MS,
    "D17": HOUR_MS,
    "D18": 4 * HOUR_MS,
    "D21": 4 * HOUR_MS,
    "D23": 4 * HOUR_MS,
    "D28": HOUR_MS,
}
NO_RIGHT = {"no_access_rights", "zone_no_access_rights", "point_no_access_rights", "out_of_time_range"}
DEVICE = {
    "authentication_unavailable",
    "factor_timeout",
    "factor_error",
    "damaged",
    "verification_timeout",
    "verification_failed",
}


def entered(e: Event) -> bool:
    return e.kind == "access" and e.outcome == "granted" and e.taken != "not_taken"


def shows_card(e: Event) -> bool:
    return e.kind == "access" and (
        e.reason != "factor_error" if e.outcome == "denied" else e.taken != "not_taken"
    )


def located(e: Event) -> bool:
    return e.kind == "login" and e.outcome == "success" and e.is_interactive and e.place is not None


def sites(e: Event) -> str:
    return e.place.site if e.place is not None else ""


def here(events: list[Event], site: str, at_ms: int) -> float:
    return whereabouts.here(events, site, at_ms, SETTINGS)


def too_fast(start: Event | None, e: Event) -> bool:
    """D05: at least 500 km and 800 km/h, two minutes granted."""
    km = far_km(start.place, e.place) if start is not None and start.place and e.place else None
    if start is None or km is None:
        return False
    return km >= 500 and km / ((e.time_ms - start.time_ms + 2 * MINUTE_MS) / HOUR_MS) >= 800


def state_at(steps: tuple[tuple[int, str], ...], at_ms: int) -> str:
    return ([name for since, name in steps if since <= at_ms] or ["active"])[-1]


def known_at(told: list[Event], e: Event) -> Person:
    """The newest of what was told of the person before *e*, whatever the order in which it was written."""
    persons = [t.person for t in told if t.order < e.order and t.person is not None]
    return max(persons, key=lambda person: person.version)


def of_identity(events: list[Event], told: list[Event]) -> dict[str, list[Found]]:
    """*told*: events that tell of the person, the first before everything else."""
    found: dict[str, list[Found]] = {name: [] for name in PREFIX}
    for n, e in enumerate(events):
        earlier, now = events[:n], (e.time_ms, 0, e.time_ms, e.id)
        reads, logins = [x for x in earlier if entered(x)], [x for x in earlier if located(x)]
        if e.kind == "login" and e.outcome == "success" and e.logon_type in {"console", "unlock", "cached"}:
            due = e.time_ms + 2 * MINUTE_MS
            then = [x for x in events if x.time_ms <= due]
            if sites(e) and here(earlier, sites(e), e.time_ms) < 0.2 and here(then, sites(e), due) < 0.2:
                elsewhere = whereabouts.likeliest(then, due, SETTINGS)
                seen = elsewhere[1].evidence[-1:] if elsewhere is not None else ()
                found["D01"].append(((due, 1, e.time_ms, e.id), e.id, (*seen, e.id), ""))
        read = telling(reads, e, SETTINGS) if located(e) else None
        login = telling(logins, e, SETTINGS) if entered(e) else None
        if read is not None and too_fast(read, e):
            if e.network is None or e.network.network_class in {"", "isp"}:
                found["D05"].append((now, e.id, (read.id, e.id), ""))
        elif login is not None and too_fast(login, e):
            found["D05"].append((now, e.id, (login.id, e.id), ""))
        card = telling([x for x in earlier if shows_card(x)], e, SETTINGS) if shows_card(e) else None
        if card is not None and (short_s(card, e, SETTINGS) or 0) > 0:
            found["D12"].append((now, e.id, (card.id, e.id), ""))
        if e.kind == "access" and e.outcome == "denied":
            denied(events[: n + 1], e, told, found)
        person = known_at(told, e)
        if e.kind == "access" and state_at(person.statuses, e.time_ms) in {"terminated", "disabled"}:
            found["D21"].append((now, e.id, (e.id,), ""))
        held = [c for c in person.credentials if c.id == e.credential]
        if e.kind == "access" and held and state_at(held[0].states, e.time_ms) in {"lost", "stolen"}:
            found["D23"].append((now, e.id, (e.id,), ""))
    return found


def denied(upto: list[Event], e: Event, told: list[Event], found: dict[str, list[Found]]) -> None:
    now = (e.time_ms, 0, e.time_ms, e.id)
    reads = [x for x in upto if x.kind == "access" and x.outcome == "denied"]
    if e.reason not in DEVICE and e.place is not None and e.place.door:
        same = [x for x in reads if x.reason not in DEVICE and x.credential == e.credential]
        same = [x for x in same if x.place is not None and x.place.door == e.place.door]
        same = [x for x in same if e.time_ms - x.time_ms <= 10 * MINUTE_MS][-5:]
        if len(same) == 5:
            found["D17"].append((now, e.id, tuple(x.id for x in same), ""))

    def counts(x: Event) -> bool:
        hired_ms = known_at(told, x).hired_ms
        is_new = hired_ms is not None and x.time_ms - hired_ms < 14 * DAY_MS
        return x.reason in NO_RIGHT and not is_new and x.place is not None and x.place.door != ""

    if counts(e):
        newest: dict[str, Event] = {}
        for x in reads:
            if counts(x) and e.time_ms - x.time_ms <= 15 * MINUTE_MS and x.place is not None:
                newest[x.place.door] = x
        doors = sorted(newest.values(), key=lambda x: x.order)[-3:]
        if len(doors) == 3:
            found["D18"].append((now, e.id, tuple(x.id for x in doors), ""))


def of_door(events: list[Event]) -> dict[str, list[Found]]:
    found: dict[str, list[Found]] = {"D28": []}
    for n, e in enumerate(events):
        if e.kind != "door" or e.activity != "forced":
            continue
        due = e.time_ms + 2 * SECOND_MS
        until = [x for x in events if x.time_ms <= due]
        explained = False
        for grants in (events[:n], until):
            let = [x for x in grants if x.kind == "access" and x.outcome == "granted"]
            explained |= bool(let) and e.time_ms - let[-1].time_ms <= 10 * SECOND_MS
        left = [x for x in events[:n] if x.kind == "door" and x.activity == "rex"]
        explained |= bool(left) and e.time_ms - left[-1].time_ms <= 10 * SECOND_MS
        before = [x for x in events[:n] if x.kind == "door" and x.activity == "forced"]
        worn = sum(e.time_ms - x.time_ms <= DAY_MS for x in before[-6:]) >= 5
        if not explained and not worn:
            found["D28"].append(((due, 1, e.time_ms, e.id), e.id, (e.id,), ""))
    return found


def episodes(entity: str, found: dict[str, list[Found]]) -> set[tuple[str, str, str, frozenset[str]]]:
    """(uid, rule, entity, evidence) of the alerts: repeats join until it was quiet, or until midnight UTC."""
    out = set()
    for name, matches in found.items():
        first: Found | None = None
        newest_ms = 0
        for match in sorted(matches):
            at_ms = match[0][0]
            joins = first is not None and at_ms - newest_ms < QUIET_MS[name]
            if first is None or not joins or at_ms // DAY_MS != first[0][0] // DAY_MS:
                first = match
                out.add(
                    (alert_uid(PREFIX[name], entity, match[1]), PREFIX[name], entity, frozenset(match[2]))
                )
            newest_ms = at_ms
    return out
