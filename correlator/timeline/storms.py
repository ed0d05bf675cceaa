"""Storms: more different entities than a rule's budget allows within an hour, and the one alert that they
become.

A reader with a wrong clock makes a thousand people contradict themselves, each of them once. So what
`difference` tells of a rule is counted per partition, by the arrival clock: new alerts of entities beyond
the budget are not told, they join a storm. What becomes of an alert that has joined changes the storm only;
the timeline remembers which (`Alert.storm`). It is no part of a fold: it hangs on when things arrived.

State is a function of the frames folded, part of the checkpoint. May not know: timelines, marks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address, ip_network

import msgspec

from correlator.event import HOUR_MS, NEVER, Event
from correlator.timeline.alert import Alert, Change, alert_uid, line_of
from correlator.timeline.live import Scalar
from correlator.timeline.program import Program

STORM = "storm"  # kind of the entity that its alert names; its name is the partition's number
WINDOW_MS = HOUR_MS  # of a budget; a storm is over when nothing has joined it for as long
LISTED_MAX = 20  # alerts that a storm names, the newest
VALUES_MAX = 64  # that are counted of each kind: what is common to most comes early
COMMON = 0.5  # of the alerts have a value that is called common
_KINDS = ("door", "address range", "source", "site")  # of what may be common, what says most first
_LEVELS = ("informational", "low", "medium", "high", "critical")

Events = Callable[[str, Sequence[str]], list[Event]]  # of an entity, by id


class Storm(msgspec.Struct, array_like=True):
    """*joined*: alerts, of which *left* are open; *listed*: (entity, event id) of the newest; *seen*: what
    their events have in common: kind of value -> value -> how many.
    """

    uid: str
    event_id: str  # of the first that joined
    severity: str
    first_ms: int
    newest_ms: int
    limit: int
    joined: int = 0
    left: int = 0
    is_told: bool = False
    reason: str = ""  # why the last one left
    listed: list[tuple[str, str]] = []
    seen: dict[str, dict[str, int]] = {}


class Line(msgspec.Struct, array_like=True):
    """Of one rule, alerts in shadow apart. *told*: entity -> when it was told of; times of arrival."""

    rule: str
    is_shadow: bool
    told: dict[str, int] = {}
    storms: list[Storm] = []


class Storms:
    """Of the partition *number*."""

    __slots__ = ("_entity", "_lines", "_moved")

    def __init__(self, number: int) -> None:
        self._entity = f"{STORM}:{number}"
        self._lines: dict[str, Line] = {}
        self._moved: dict[str, tuple[Line, Storm]] = {}  # of this frame, by uid

    def divert(
        self,
        changes: list[Change],
        program: Program,
        now_ms: int,
        events: Events,
        join: Callable[[Mapping[str, str]], None] | None = None,
    ) -> list[Change]:
        """Those of one entity's *changes* that are told. *join* learns which alerts join a storm: uid -> uid
        of the storm.
        """
        if not changes or now_ms == NEVER:
            return changes
        for key in {_key(change.alert) for change in changes} & self._lines.keys():
            _forget(self._lines[key], now_ms, program.settings.horizon_ms)
        closed = {c.alert.uid: c.alert.storm for c in changes if c.activity == "close"}
        told: list[Change] = []
        joined: dict[str, str] = {}
        for change in changes:
            if change.activity == "create":
                storm = self._joins(change, closed, program, now_ms, events)
                if storm:
                    joined[change.alert.uid] = storm
            else:
                storm = change.alert.storm
                if storm and change.activity == "close":
                    self._moves(change.alert, storm, -1, change.reason)
            if not storm:
                told.append(change)
        if joined and join is not None:
            join(joined)
        return told

    def _joins(
        self,
        change: Change,
        closed: Mapping[str, str],
        program: Program,
        now_ms: int,
        events: Events,
    ) -> str:
        """Uid of the storm that a new alert joins, else "". One that takes another's place does as that."""
        alert = change.alert
        if change.supersedes in closed:
            storm_uid = closed[change.supersedes]
            if storm_uid:
                self._moves(alert, storm_uid, 1, "")
            return storm_uid
        rule = program.facts(alert.rule, alert.decided_ms)
        limit = (rule.entities_max if rule is not None else 0) or program.settings.storm_entities
        line = self._lines.setdefault(_key(alert), Line(alert.rule, alert.is_shadow, {}, []))
        if not limit or alert.entity in line.told or len(line.told) < limit:
            line.told[alert.entity] = now_ms
            return ""
        storm = line.storms[-1] if line.storms else None
        if storm is None or now_ms - storm.newest_ms >= WINDOW_MS:
            uid = alert_uid(alert.rule, self._entity, alert.event_id)
            storm = Storm(uid, alert.event_id, alert.severity, now_ms, now_ms, limit, listed=[], seen={})
            line.storms.append(storm)
        _add(storm, alert, now_ms, events(alert.entity, (alert.event_id,)))
        self._moved[storm.uid] = (line, storm)
        return storm.uid

    def _moves(self, alert: Alert, storm_uid: str, by: int, reason: str) -> None:
        """An alert that had joined is gone, or another one takes its place."""
        line = self._lines.get(_key(alert))
        for storm in line.storms if line is not None else ():
            if line is not None and storm.uid == storm_uid:
                storm.left += by
                storm.reason = reason or storm.reason
                self._moved[storm_uid] = (line, storm)

    def tell(self) -> list[Change]:
        """What readers must be told of storms after a frame."""
        changes = []
        for line, storm in self._moved.values():
            if storm.left > 0:
                change = Change("update" if storm.is_told else "create", self._alert(line, storm), storm.uid)
            else:
                line.storms = [other for other in line.storms if other is not storm]
                change = Change("close", self._alert(line, storm), storm.uid, storm.reason)
            if storm.left > 0 or storm.is_told:
                changes.append(change)
            storm.is_told = True
        self._moved.clear()
        return changes

    def evidence(self, ids: Sequence[str], events: Events) -> list[Event]:
        """Events of *ids* that storms name, as far as their entities still hold them, in order of time."""
        wanted, found = set(ids), dict[str, Event]()
        for _, line in sorted(self._lines.items()):  # a restored partition has them in another order
            for entity, event_id in (one for storm in line.storms for one in storm.listed):
                if event_id in wanted and event_id not in found:  # storms of two rules may name one event
                    found |= {event.id: event for event in events(entity, (event_id,))}
        return sorted(found.values(), key=lambda event: event.order)

    def _alert(self, line: Line, storm: Storm) -> Alert:
        return Alert(
            storm.uid,
            line.rule,
            self._entity,
            storm.severity,
            storm.first_ms,
            storm.event_id,
            tuple(dict.fromkeys(event_id for _, event_id in storm.listed)),
            _values(storm),
            count=storm.joined,
            is_shadow=line.is_shadow,
        )

    # ------------------------------------------------------------------- state

    def dump(self, now_ms: int, horizon_ms: int) -> list[Line]:
        """What a restore needs. Asked between two frames."""
        for line in self._lines.values():
            _forget(line, now_ms, horizon_ms)
        self._lines = {key: line for key, line in self._lines.items() if line.told or line.storms}
        return [self._lines[key] for key in sorted(self._lines)]

    def load(self, lines: Sequence[Line]) -> None:
        self._lines = {line_of(line.rule, is_shadow=line.is_shadow): line for line in lines}


def _key(alert: Alert) -> str:
    return line_of(alert.rule, is_shadow=alert.is_shadow)


def _forget(line: Line, now_ms: int, horizon_ms: int) -> None:
    """Whom the hour has passed, and storms of which nothing can change any more: all in them is final, also
    what happened later than *now* was when it joined, which follows the slowest input.
    """
    line.told = {entity: at_ms for entity, at_ms in line.told.items() if now_ms - at_ms < WINDOW_MS}
    line.storms = [storm for storm in line.storms if now_ms - storm.newest_ms <= 2 * horizon_ms]


def _add(storm: Storm, alert: Alert, now_ms: int, events: Sequence[Event]) -> None:
    storm.newest_ms, storm.joined, storm.left = now_ms, storm.joined + 1, storm.left + 1
    storm.severity = max(storm.severity, alert.severity, key=_level)
    storm.listed = [*storm.listed, (alert.entity, alert.event_id)][-LISTED_MAX:]
    for event in events:
        for kind, value in _traits(event).items():
            counted = storm.seen.setdefault(kind, {})
            if value and (value in counted or len(counted) < VALUES_MAX):
                counted[value] = counted.get(value, 0) + 1


def _level(severity: str) -> int:
    return _LEVELS.index(severity) if severity in _LEVELS else -1


def _traits(event: Event) -> dict[str, str]:
    """What events may have in common: `_KINDS`."""
    place = event.place
    door, site = (place.door, place.site) if place is not None else ("", "")
    return dict(zip(_KINDS, (door, _range(event.ip), event.source, site), strict=True))


def _range(ip: str) -> str:
    """The /24 or /64 of an address."""
    try:
        address = ip_address(ip)
    except ValueError:
        return ""
    return str(ip_network((address, 24 if address.version == 4 else 64), strict=False))


def _values(storm: Storm) -> tuple[tuple[str, Scalar], ...]:
    values: list[tuple[str, Scalar]] = [("storm.alerts", storm.joined), ("storm.budget", storm.limit)]
    for kind in _KINDS:
        counted = storm.seen.get(kind, {})
        value, count = max(counted.items(), key=lambda one: (one[1], one[0]), default=("", 0))
        if count >= COMMON * storm.joined:
            values += [("storm.common", f"{kind} {value}"), ("storm.share", count / storm.joined)]
            break
    values.append(("storm.newest", ", ".join(dict.fromkeys(entity for entity, _ in storm.listed))))
    return tuple(values)
