"""Where reads put a person, written once more from the docs of presence: every question is asked of all
earlier events, and nothing of the product is used but its data types.

Quadratic at least: each answer replays the whole list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, Event
from correlator.timeline.settings import Settings


class Spell(NamedTuple):
    """Somebody is believed to be at a site: *sure* until *holds_ms*, then ever less."""

    zone: str
    since_ms: int
    zone_ms: int
    seen_ms: int  # newest evidence
    sure: float
    holds_ms: int
    night_ms: int
    evidence: tuple[str, ...]
    left: str = ""


Spells = dict[str, Spell]  # by site, that of the newest read last


def site_of(e: Event) -> str:
    return "" if e.place is None else e.place.site


def entered(e: Event) -> bool:
    return e.kind == "access" and e.outcome == "granted" and e.taken != "not_taken" and bool(site_of(e))


def is_undated(e: Event, s: Settings) -> bool:
    """Is the clock off by so much that the time of *e* says nothing?"""
    return abs(e.shape.skew_s) * 1_000 > s.skew_max_ms


def sure_of(spell: Spell | None, at_ms: int, s: Settings) -> float:
    """All until it no longer holds, then half for each half-life, nothing after eight; three tenths at most
    once the night is over.
    """
    if spell is None:
        return 0.0
    halves = max(0.0, (at_ms - spell.holds_ms) / s.presence_half_life_ms)
    left = 0.0 if halves > 8 else spell.sure / 2**halves
    return min(left, 0.3) if at_ms >= spell.night_ms else left


def is_forgotten(spell: Spell, at_ms: int, s: Settings) -> bool:
    return at_ms - spell.holds_ms > 8 * s.presence_half_life_ms


def night_after(e: Event, s: Settings) -> int:
    """The next time that clocks at the place show the doubtful hour, at least a while after *e*."""
    at_ms = e.time_ms + s.presence_linger_ms + 1
    while (at_ms + e.shape.offset_min * MINUTE_MS) % DAY_MS != s.presence_doubt_ms:
        wait_ms = s.presence_doubt_ms - (at_ms + e.shape.offset_min * MINUTE_MS) % DAY_MS
        at_ms += wait_ms if wait_ms > 0 else wait_ms + DAY_MS
    return at_ms


def spells(events: Sequence[Event], s: Settings, usual_hours: int = 0) -> Spells:
    """After all *events*, which are sorted. *usual_hours*: how long the person's stays last, 0: not known."""
    known: Spells = {}
    for e in events:
        if entered(e):
            known = read(known, e, s, usual_hours)
        elif e.kind == "login" and e.outcome == "success" and e.is_interactive and not is_undated(e, s):
            known = logged_in(known, e, s)
    return known


def read(known: Spells, e: Event, s: Settings, usual_hours: int) -> Spells:
    place, at_ms, site = e.place, e.time_ms, site_of(e)
    assert place is not None
    is_taken = e.taken == "taken" and not is_undated(e, s)
    fresh = s.presence_taken if is_taken else s.presence_granted
    if is_undated(e, s):
        fresh = s.presence_undated
    elsewhere: Spells = {}
    if not is_taken:  # a door that may not have been opened, or when, leaves room for doubt
        others = [(k, v) for k, v in known.items() if k != site and not is_forgotten(v, at_ms, s)]
        for k, v in others[-2:]:
            is_surer = sure_of(v, at_ms, s) > 1 - fresh
            elsewhere[k] = v._replace(sure=1 - fresh, holds_ms=max(v.holds_ms, at_ms)) if is_surer else v
    if e.direction == "out" and place.is_perimeter and not is_undated(e, s):
        forget_ms = at_ms + s.presence_full_ms
        return elsewhere | {site: Spell("", at_ms, at_ms, at_ms, 0.0, forget_ms, forget_ms, (e.id,))}
    before = known.get(site)
    was = sure_of(before, at_ms, s)
    if e.direction == "out" and place.is_perimeter:
        was = min(was, fresh)
    zone = place.zone if e.direction != "out" else ""
    goes_on = before is not None and was > 0.3  # what is doubted has ended
    since_ms = before.since_ms if before is not None and goes_on else at_ms
    is_same_zone = before is not None and goes_on and before.zone == zone
    long_ms = usual_hours * HOUR_MS or s.presence_full_ms
    if place.has_exit_readers:
        long_ms = s.presence_exit_full_ms
    return elsewhere | {
        site: Spell(
            zone,
            since_ms,
            before.zone_ms if before is not None and is_same_zone else at_ms,
            at_ms,
            max(fresh, was),
            max(since_ms + long_ms, at_ms + s.presence_linger_ms),
            night_after(e, s),
            (before.evidence[0], e.id) if before is not None and goes_on else (e.id,),
            place.zone if e.direction == "out" else "",
        )
    }


def logged_in(known: Spells, e: Event, s: Settings) -> Spells:
    """A login from within a site goes on with a spell there, and begins none."""
    site, at_ms = site_of(e), e.time_ms
    if not site:
        return known
    fresh = 0.0
    if e.network is not None and e.network.network_class == "corporate" and e.logon_type in ("web", "vpn"):
        fresh = s.presence_network
    if e.logon_type in ("console", "unlock", "cached"):
        fresh = s.presence_desk
    spell = known.get(site)
    if spell is None or fresh == 0.0 or sure_of(spell, at_ms, s) < 0.2:
        return known
    longer = spell._replace(
        seen_ms=at_ms,
        sure=max(fresh, sure_of(spell, at_ms, s)),
        holds_ms=max(spell.holds_ms, at_ms + s.presence_linger_ms),
        night_ms=night_after(e, s),
        evidence=(spell.evidence[0], e.id),
    )
    return known | {site: longer}


def here(events: Sequence[Event], site: str, at_ms: int, s: Settings) -> float:
    """Belief as of *at_ms* that the person is at *site*."""
    return sure_of(spells(events, s).get(site), at_ms, s)


def likeliest(events: Sequence[Event], at_ms: int, s: Settings) -> tuple[str, Spell] | None:
    """Site and spell that is believed most; of equals the one with newer evidence."""
    known = [(k, v) for k, v in spells(events, s).items() if not is_forgotten(v, at_ms, s)]
    last_first = reversed(known)
    return (
        max(last_first, key=lambda found: (sure_of(found[1], at_ms, s), found[1].seen_ms)) if known else None
    )
