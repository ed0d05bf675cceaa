"""One line per alert for lists: what is wrong in the fewest words that still say it. Pure."""

from __future__ import annotations

from collections.abc import Callable

from correlator.alerts.leg import telling_leg
from correlator.alerts.phrases import duration, happened, number, of_status, place_short
from correlator.alerts.storm import is_storm, storm_headline
from correlator.alerts.story import Story
from correlator.event import Event


def headline(told: Story) -> str:
    """`web login in FR 23 min after a badge read at lis-1-07: 1,452 km`, at most some 100 characters."""
    if told.change.activity == "close":
        return _closed(told)
    if told.alert.is_refuted:
        return f"not so by what is known now: {told.rule.title}"
    if is_storm(told):
        return storm_headline(told)
    event = told.last
    repeats = f" (+{told.alert.repeat_count})" if told.alert.repeat_count else ""
    if event is None:
        return f"{told.rule.title}{repeats}"
    said = [part for tell in _PARTS if (part := tell(told))] or [told.rule.title]
    return f"{_briefly(event)}: {', '.join(said[:2])}{repeats}"


def _closed(told: Story) -> str:
    change = told.change
    if change.reason == "superseded":
        return f"superseded by {change.superseded_by}: {told.rule.title}"
    return f"{change.reason.replace('_', ' ') or 'closed'}: {told.rule.title}"


def _briefly(event: Event) -> str:
    at = place_short(event.place)
    if event.kind == "login":
        said = f"{event.logon_type.replace('_', ' ')} login".strip()
        said = said if event.outcome == "success" else f"failed {said}"
        word = "at" if _is_on_site(event) else "from"
        return f"{said} {word} {at or event.ip}" if at or event.ip else said
    if event.kind == "occupancy":
        return happened(event)
    if event.kind == "door":
        return f"door {at or '?'} {event.activity}"
    return f"badge {event.outcome}" + (f" at {at}" if at else "")


def _is_on_site(event: Event) -> bool:
    return event.place is not None and bool(event.place.site)


def _risk(told: Story) -> str:
    score = told.number("risk.score")
    return (
        ""
        if score is None
        else f"risk of the day {number(score)} from {told.alert.count + told.alert.repeat_count} rules"
    )


def _travel(told: Story) -> str:
    leg = telling_leg(told)
    if leg is None:
        return ""
    at = place_short(leg.start.place if leg.start else None) or told.word(f"{leg.prefix}.site")
    what = "badge read" if leg.prefix != "travel.login" else "login"
    word = "at" if what == "badge read" or leg.start is None or _is_on_site(leg.start) else "from"
    said = f"{duration(leg.elapsed_ms)} after a {what}" + (f" {word} {at}" if at else "")
    distance = told.number(f"{leg.prefix}.distance_km")
    if leg.minimum_ms is not None:
        said += f", the way takes {duration(leg.minimum_ms)}"
    return said + (f" ({number(distance)} km)" if distance else "")


def _presence(told: Story) -> str:
    here, belief = told.number("presence.here"), told.number("presence.confidence")
    if here is not None:
        return "no badge read puts the person there" if here < 0.5 else "while badged in there"
    if belief is not None and belief >= 0.5 and told.word("presence.site"):
        return f"while badged in at {told.word('presence.site')}"
    return "while badged in nowhere" if belief is not None else ""


def _count(told: Story) -> str:
    if told.alert.count <= 1 or "risk.score" in told.values:
        return ""
    doors = {e.place.door for e in told.events if e.place and e.place.door}
    span = duration(told.events[-1].time_ms - told.events[0].time_ms) if len(told.events) > 1 else ""
    span = span if len(told.events) >= told.alert.count else ""  # else the first ones are not known
    said = f"{told.alert.count} in {span}" if span else str(told.alert.count)
    return said + (f" at {len(doors)} doors" if len(doors) > 1 else "")


def _credential(told: Story) -> str:
    state = told.word("credential.state")
    if state in ("", "active") and told.last is not None and told.last.reason in ("lost", "stolen"):
        state = told.last.reason
    return "" if state in ("", "active") else f"the badge is {state}"


def _status(told: Story) -> str:
    status = told.word("identity.status")
    return "" if status in ("", "active") else f"the person is {of_status(status)}"


def _anomaly(told: Story) -> str:
    percentile = told.number("anomaly.percentile")
    if percentile is None:
        return ""
    off_hours = "off hours, " if told.values.get("time.is_business_hours") is False else ""
    return f"{off_hours}more unusual than {int(percentile * 1000) / 10:.1f} %"


def _door(told: Story) -> str:
    return "no read or exit request explains it" if told.word("door.activity") == "forced" else ""


_PARTS: tuple[Callable[[Story], str], ...] = (
    _risk, _travel, _credential, _status, _presence, _count, _anomaly, _door,
)  # fmt: skip
