"""Where badge reads put the person, as far as a match quotes it, in words. Pure and total."""

from __future__ import annotations

from collections.abc import Iterable

from correlator.alerts.phrases import before, duration, place
from correlator.alerts.story import Story

PRESENT = 0.5  # from this belief on a person is said to be somewhere


def whereabouts(told: Story) -> str:
    """`Badge reads put the person at site lis (belief 0.95 of 1, for 2 h, newest read 1 min before).`"""
    sentences = (_presence(told), _unread(told))
    return " ".join(sentence for sentence in sentences if sentence)


def _presence(told: Story) -> str:
    here = told.number("presence.here")
    at = told.last.place.site if told.last and told.last.place else ""
    if here is not None and here < PRESENT:
        absent = f"No badge read puts the person at site {at or '?'}"
        return _sentence((f"{absent}: belief in being there is {here:.2f} of 1", _elsewhere(told)))
    belief = told.number("presence.confidence") if here is None else here
    where = told.word("presence.site") or (at if here is not None else "")
    if belief is not None and belief >= PRESENT and where:
        there = f"Badge reads put the person at site {where}{_zone(told)}"
        return f"{there} (belief {belief:.2f} of 1{_since(told)})."
    if belief is not None:
        return _sentence(("Badge reads put the person nowhere with confidence", _elsewhere(told)))
    if where or told.word("presence.zone") or told.word("presence.left_zone"):
        there = f"{f' at site {where}' if where else ''}{_zone(told)}"
        return f"Badge reads put the person last{there}{_since(told)}."
    last = _left(told) or _last_badge(told)  # of a rule that asks no more: nothing is known of where they are
    return f"{last[:1].upper()}{last[1:]}." if last else ""


def _sentence(parts: Iterable[str]) -> str:
    return f"{'; '.join(part for part in parts if part)}."


def _zone(told: Story) -> str:
    zone, since_ms = told.word("presence.zone"), told.span_ms("presence.zone_since_s")
    entered = "" if since_ms is None else f", entered {before(since_ms)}"
    left = told.word("presence.left_zone")
    return f" in zone {zone}{entered}" if zone else f", read going out of zone {left} last" if left else ""


def _unread(told: Story) -> str:
    if told.values.get("presence.is_tailgating") is not True:
        return ""
    return "The read is inside the site, and none before it let the person in."


def _elsewhere(told: Story) -> str:
    """What is known instead: where the person was last believed, the last read, or that there is none."""
    parts = [_left(told), _last_badge(told)]
    where = told.word("presence.site")
    if where and told.last and told.last.place and where != told.last.place.site:
        belief = told.number("presence.confidence")
        parts.insert(
            0, f"last believed at site {where}" + ("" if belief is None else f" ({belief:.2f} of 1)")
        )
    is_asked = any(name.startswith("last_badge.") for name in told.rule.names)
    unknown = "no earlier badge read is known" if is_asked else ""
    return ", ".join(part for part in parts if part) or unknown


def _left(told: Story) -> str:
    left_ms = told.span_ms("presence.left_s")
    return "" if left_ms is None else f"the person was read leaving the site {before(left_ms)}"


def _last_badge(told: Story) -> str:
    age_ms = told.span_ms("last_badge.age_s")
    where = told.word("last_badge.door") or told.word("last_badge.site")
    if age_ms is None and not where:
        return ""
    event = told.linked("last_badge", "access", "age_s")
    when = "" if age_ms is None else f" {duration(age_ms)} {'earlier' if age_ms >= 0 else 'later'}"
    outcome = told.word("last_badge.outcome")
    at = f" at {place(event.place) if event else where}" if where or event else ""
    return f"the last badge read was{when}{at}" + (f" ({outcome})" if outcome else "")


def _since(told: Story) -> str:
    since_ms, age_ms = told.span_ms("presence.since_s"), told.span_ms("presence.age_s")
    said = "" if since_ms is None or since_ms < 0 else f", for {duration(since_ms)}"
    return said if age_ms is None else f"{said}, newest read {before(age_ms)}"
