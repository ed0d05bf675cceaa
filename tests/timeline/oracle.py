"""What the toy rules mean, written once more from their definitions: quadratic, stateless, no shared rule
code.

Looks at the whole sorted list of events for every question. Shares only data types and `alert_uid` with
the product.
"""

from __future__ import annotations

from correlator.event import DAY_MS, Event
from correlator.timeline.alert import alert_uid
from tests.timeline.journeys import short_s, telling
from tests.timeline.toy import Toy, ToyProgram
from tests.timeline.whereabouts import here

Essence = tuple[str, str, str, str, tuple[str, ...], str]  # uid, rule, entity, severity, evidence, confidence
Found = tuple[tuple[int, int, int, str], str, str, tuple[str, ...]]  # order, rule, event id, evidence

SEVERITY = {"burst": "medium", "travel": "high", "unbadged": "high", "leaver": "high"}


def let_through(event: Event) -> bool:
    return event.kind == "access" and event.outcome == "granted" and event.taken != "not_taken"


def found(events: list[Event], toy: Toy) -> list[Found]:
    """Every match, in order of decision: there, events before verdicts, then (time, id)."""
    out: list[Found] = []
    events, settings = sorted(events, key=lambda e: e.order), ToyProgram(toy).settings
    for n, e in enumerate(events):
        earlier = events[:n]
        now = (e.time_ms, 0, e.time_ms, e.id)
        reads = [x for x in earlier if let_through(x)]
        start = telling(reads, e, settings) if let_through(e) else None
        if start is not None and (short_s(start, e, settings) or 0) > 0:
            out.append((now, "travel", e.id, (start.id, e.id)))
        if e.kind == "access" and e.outcome == "denied":
            denied = [x for x in events[: n + 1] if x.kind == "access" and x.outcome == "denied"]
            newest = denied[-toy.burst_min :]
            if len(newest) == toy.burst_min and e.time_ms - newest[0].time_ms <= toy.burst_span_ms:
                out.append((now, "burst", e.id, tuple(x.id for x in newest)))
        if e.kind == "login" and e.outcome == "success" and e.place is not None:
            due_ms = e.time_ms + toy.grace_ms
            before = here(earlier, e.place.site, e.time_ms, settings)
            upto = [x for x in events if x.time_ms <= due_ms]
            after = here(upto, e.place.site, due_ms, settings)
            if before < 0.2 and after < 0.2:
                out.append(((due_ms, 1, e.time_ms, e.id), "unbadged", e.id, (e.id,)))
    return sorted(out)


def alerts(events: list[Event], entity: str, toy: Toy) -> dict[str, Essence]:
    """All alerts there ever were, everything being complete."""
    out: dict[str, Essence] = {}
    everything = found(events, toy)
    for rule in sorted({f[1] for f in everything}):
        group: list[Found] = []
        groups: list[list[Found]] = []
        for f in (f for f in everything if f[1] == rule):
            now_ms = f[0][0]
            same = bool(group) and now_ms - group[-1][0][0] < toy.suppress_ms
            if not same or now_ms // DAY_MS != group[0][0][0] // DAY_MS:
                groups.append(group := [])
            group.append(f)
        for g in groups:
            uid = alert_uid(rule, entity, g[0][2])
            out[uid] = (uid, rule, entity, SEVERITY[rule], g[0][3], "high")
    return out
