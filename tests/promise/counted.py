"""What correlations mean, written once more from their definitions: quadratic or worse, stateless, over the
whole sorted list of events. Shares data types and `alert_uid` with the product, and no rule code.
"""

from __future__ import annotations

from collections.abc import Callable

from correlator.event import MINUTE_MS, Event
from correlator.timeline.alert import alert_uid

Found = tuple[str, str, str, frozenset[str]]  # uid, rule, entity, evidence
Holds = Callable[[Event], bool]

SPAN_MS = 30 * MINUTE_MS
SHORT_MS = 10 * MINUTE_MS
BURST_MS = 5 * MINUTE_MS
ID = "00000000-0000-4000-8000-0000000000{:02}"

RULES = """
title: In
name: came
logsource: {product: x}
detection: {s: {event.kind: access, access.outcome: granted, access.direction: in}, condition: s}
---
title: Out
name: left
logsource: {product: x}
detection: {s: {event.kind: access, access.outcome: granted, access.direction: out}, condition: s}
---
title: Denied
name: denied
logsource: {product: x}
detection: {s: {event.kind: access, access.outcome: denied}, condition: s}
---
title: Login
name: login
logsource: {product: x}
detection: {s: {event.kind: login}, condition: s}
---
title: Burst
name: burst
correlation: {type: event_count, rules: [denied], group-by: [identity.id, place.door], timespan: 5m,
              condition: {gte: 3}}
"""
_HEAD = """
---
title: Rule {0}
id: {1}
name: rule_{0}
level: low
correlator: {{suppress: {{for: 0s}}}}
correlation: {{type: {2}, rules: [{3}], timespan: {4}, group-by: [identity.id{5}]{6}}}
"""
WRITTEN = [
    ("temporal", "came, login, denied", "10m", "", ""),
    ("temporal_ordered", "came, denied, login", "10m", "", ""),
    ("value_sum", "denied", "10m", "", ", condition: {field: place.criticality, gte: 6}"),
    ("value_avg", "denied, came", "10m", "", ", condition: {field: place.criticality, gte: 2, lte: 3}"),
    ("temporal", "denied, login, came", "10m", "", ", condition: (denied or login) and came"),
    ("temporal", "came, left", "30m", "", ", condition: came and not left"),
    ("temporal_ordered", "came, login, left", "30m", "", ", condition: came and login and not left"),
    ("temporal_ordered", "came, left, login", "30m", "", ", condition: came and not left and login"),
    ("event_count", "burst", "30m", "", ", condition: {gte: 2}"),
    ("temporal_ordered", "burst, login", "30m", "", ""),
    ("temporal_ordered", "came, login", "30m", ", where",
     ", aliases: {where: {came: place.door, login: device.id}}"),
    ("temporal", "came, login, left", "30m", "", ", condition: came and (login or not left)"),
    ("temporal", "came, login, denied", "10m", "", ", condition: {gte: 2}"),
]  # fmt: skip


def written() -> str:
    return RULES + "".join(_HEAD.format(at, ID.format(at), *row) for at, row in enumerate(WRITTEN))


def came(e: Event) -> bool:
    return e.kind == "access" and e.outcome == "granted" and e.direction == "in"


def left(e: Event) -> bool:
    return e.kind == "access" and e.outcome == "granted" and e.direction == "out"


def denied(e: Event) -> bool:
    return e.kind == "access" and e.outcome == "denied"


def login(e: Event) -> bool:
    return e.kind == "login"


def newest(events: list[Event], holds: Holds, since_ms: int) -> list[Event]:
    return [x for x in events if holds(x) and x.time_ms >= since_ms][-1:]


def door(e: Event) -> str:
    return e.place.door if e.place is not None else ""


def has_site(e: Event) -> bool:
    return e.place is not None and e.place.site != ""


def found(events: list[Event], entity: str) -> set[Found]:
    """Every match; *events* sorted by (time, id)."""
    out: set[Found] = set()

    def match(rule: int, e: Event, *evidence: Event) -> None:
        key = ID.format(rule)
        out.add((alert_uid(key, entity, e.id), key, entity, frozenset([e.id, *(x.id for x in evidence)])))

    bursts = {e.id: burst for n, e in enumerate(events) if (burst := burst_at(events[: n + 1], e))}
    for n, e in enumerate(events):
        upto, before = events[: n + 1], events[:n]
        together(upto, e, match)
        sums(upto, e, match)
        in_order(before, e, match)
        absent(events, n, match)
        if e.id in bursts:
            recent = [x for x in upto if x.id in bursts and x.time_ms >= e.time_ms - SPAN_MS][-2:]
            if len(recent) == 2:
                match(8, e, *bursts[recent[0].id], *bursts[recent[1].id])
        if login(e):
            last = newest(before, lambda x: x.id in bursts, e.time_ms - SPAN_MS)
            if last:
                match(9, e, *bursts[last[0].id])
    return out


Match = Callable[..., None]


def together(upto: list[Event], e: Event, match: Match) -> None:
    if not (came(e) or login(e) or denied(e)):
        return
    ins, logins, denials = (newest(upto, h, e.time_ms - SHORT_MS) for h in (came, login, denied))
    if ins and logins and denials:
        match(0, e, *ins, *logins, *denials)
    if ins and (logins or denials):
        match(4, e, *ins, *logins, *denials)
    if len(ins) + len(logins) + len(denials) >= 2:
        match(12, e, *ins, *logins, *denials)


def sums(upto: list[Event], e: Event, match: Match) -> None:
    recent = [x for x in upto if x.time_ms >= e.time_ms - SHORT_MS and x.place is not None]
    if denied(e) and e.place is not None:
        counted = [x for x in recent if denied(x)]
        if sum(x.place.criticality for x in counted if x.place) >= 6:
            match(2, e, *counted)
    if (denied(e) or came(e)) and e.place is not None:
        counted = [x for x in recent if denied(x) or came(x)]
        if 2 <= sum(x.place.criticality for x in counted if x.place) / len(counted) <= 3:
            match(3, e, *counted)


def in_order(before: list[Event], e: Event, match: Match) -> None:
    if not login(e):
        return
    pairs = [
        (x, y)
        for j, y in enumerate(before)
        for x in before[:j]
        if came(x) and denied(y) and e.time_ms - x.time_ms <= SHORT_MS
    ]
    if pairs:
        match(1, e, *max(pairs, key=lambda pair: (pair[1].order, pair[0].order)))
    ins = newest(before, came, e.time_ms - SPAN_MS)
    if ins and has_site(e) and not any(left(x) and x.order > ins[0].order for x in before):
        match(7, e, *ins)
    here = newest(before, lambda x: came(x) and door(x) != "" and door(x) == e.device, e.time_ms - SPAN_MS)
    if here:
        match(10, e, *here)


def absent(events: list[Event], n: int, match: Match) -> None:
    e = events[n]
    within = [x for x in events if e.time_ms <= x.time_ms <= e.time_ms + SPAN_MS]
    if came(e) and has_site(e) and not any(map(left, within)):
        match(5, e)
    if (came(e) or login(e)) and has_site(e):
        ins = [x for x in within if came(x)]
        logins = [x for x in within if login(x)]
        if ins and (logins or not any(map(left, within))):
            others = ins[-1:] if login(e) else logins[-1:]
            match(11, e, *others)
    if login(e) and has_site(e):
        ins = newest(events[:n], came, e.time_ms - SPAN_MS)
        if ins:
            end_ms = ins[0].time_ms + SPAN_MS
            if not any(left(x) and x.time_ms <= end_ms for x in events[n + 1 :]):
                match(6, e, *ins)


def burst_at(upto: list[Event], e: Event) -> list[Event]:
    """The newest three denials at the door of *e*, where they became three."""
    if not denied(e) or not door(e):
        return []
    same = [x for x in upto if denied(x) and door(x) == door(e) and e.time_ms - x.time_ms <= BURST_MS]
    return same[-3:] if len(same) == 3 else []
