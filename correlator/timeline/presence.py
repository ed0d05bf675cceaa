"""Where an identity is believed to be: a confidence for each site, with evidence, not a boolean.

- Badge reads begin a stay: granted is not entered, so a read whose door is known to have been opened counts
  more. A read inside counts like one at the perimeter; if none was there, somebody held the door.
- Logins at machines of the site prolong a stay and begin none: whoever logs in without having come in is what
  rules look for, and must not become evidence for itself.
- No read on the way out is not "still inside": belief holds for as long as the person's stays usually last,
  or a while after the newest evidence, and then halves. Where every way out has a reader it holds longer.
  Early next morning what is left is doubtful, and the next read begins another stay.
- A read on the way out ends a stay. One at another site ends it too, if the door there was opened; else it
  leaves as much belief as that read leaves room for.
- A read of a source in quarantine (`clocks`) leaves it open, wherever it leads: neither there nor absent.

May not know: rules. Starting values are settings.
"""

from __future__ import annotations

from functools import lru_cache

from msgspec.structs import replace

from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, SHAPES_MAX, Event, Place, Shape
from correlator.timeline.clocks import is_quarantined
from correlator.timeline.habits import Habits, is_at_desk, usual_stay_hours
from correlator.timeline.live import Stay
from correlator.timeline.settings import Settings

Stays = tuple[Stay, ...]

FORGET_HALF_LIVES = 8  # what has faded longer than this is nothing (0.4 % of what it was)
PRESENT_MIN = 0.2  # belief below which somebody counts as absent
STAYS_MAX = 3  # sites at which somebody is believed to be at the same time


def belief(stay: Stay, at_ms: int, settings: Settings) -> float:
    """Belief in *stay* as of *at_ms*, 0..1."""
    confidence = stay.confidence
    faded_ms = at_ms - stay.fades_ms
    if faded_ms > 0:
        half_lives = faded_ms / settings.presence_half_life_ms
        confidence = confidence * 0.5**half_lives if half_lives <= FORGET_HALF_LIVES else 0.0
    doubtful = settings.presence_doubtful
    return doubtful if confidence > doubtful and at_ms >= stay.doubt_ms else confidence


def at_site(stays: Stays, site: str) -> Stay | None:
    for stay in stays:
        if stay.site == site:
            return stay
    return None


def here(stays: Stays, site: str, at_ms: int, settings: Settings) -> float:
    """Belief as of *at_ms* that the person is at *site*."""
    stay = at_site(stays, site)
    return belief(stay, at_ms, settings) if stay is not None else 0.0


def likeliest(stays: Stays, at_ms: int, settings: Settings) -> Stay | None:
    """The stay that is believed most as of *at_ms*, of equals the one with newer evidence."""
    found, most = None, (-1.0, 0)
    for stay in believed(stays, at_ms, settings):
        sure = (belief(stay, at_ms, settings), stay.newest_ms)
        if sure >= most:
            found, most = stay, sure
    return found


def believed(stays: Stays, at_ms: int, settings: Settings) -> Stays:
    """*stays* but for those forgotten by *at_ms*: what `prune` drops and nobody may still see."""
    forget_ms = FORGET_HALF_LIVES * settings.presence_half_life_ms
    for stay in stays:
        if at_ms - stay.fades_ms > forget_ms:
            return tuple([stay for stay in stays if at_ms - stay.fades_ms <= forget_ms])
    return stays


@lru_cache(SHAPES_MAX)
def is_entry(shape: Shape) -> bool:
    """Does an event of *shape* let somebody through a door of a known site, as far as can be told?"""
    return (
        shape.kind == "access"
        and shape.outcome == "granted"
        and shape.taken != "not_taken"
        and shape.place is not None
        and shape.place.site != ""
    )


def is_tailgating(stays: Stays, event: Event, settings: Settings) -> bool | None:
    """Is *event* a read inside by somebody whom no read at the perimeter let in? None where that cannot be
    told: at a perimeter door, at a site without readers there, or where nobody went through.
    """
    place = event.shape.place
    if place is None or not is_entry(event.shape) or place.is_perimeter or not place.has_entry_readers:
        return None
    if is_quarantined(event.shape, settings):
        return None
    return here(stays, place.site, event.time_ms, settings) < PRESENT_MIN


def after_entry(stays: Stays, event: Event, habits: Habits, settings: Settings) -> Stays:
    """Belief after an event that let somebody through a door (`is_entry`): in, or out."""
    shape, time_ms = event.shape, event.time_ms
    place = shape.place
    if place is None:
        return stays
    is_undated = is_quarantined(shape, settings)
    is_taken, is_going_out = shape.taken == "taken" and not is_undated, shape.direction == "out"
    sure = settings.presence_taken if is_taken else settings.presence_granted
    if is_undated:
        sure = settings.presence_undated
    others = _elsewhere(stays, event, 0.0 if is_taken else 1.0 - sure, settings)
    if is_going_out and place.is_perimeter and not is_undated:
        return (*others, _left(event, settings))
    before = at_site(stays, place.site)
    was = belief(before, time_ms, settings) if before is not None else 0.0
    if is_going_out and place.is_perimeter:
        was = min(was, sure)
    zone = "" if is_going_out else place.zone
    since_ms, zone_ms = time_ms, time_ms
    first: tuple[str, ...] = ()
    if (
        before is not None and was > settings.presence_doubtful
    ):  # else it has ended, and this begins another one
        since_ms, first = before.since_ms, before.evidence[:1]
        zone_ms = before.zone_ms if before.zone == zone else time_ms
    fades_ms = max(since_ms + _full_ms(place, habits, settings), time_ms + settings.presence_linger_ms)
    doubt_ms = _doubt_ms(event, settings)
    evidence, sure, left = (*first, event.id), max(sure, was), place.zone if is_going_out else ""
    stay = Stay(place.site, zone, since_ms, zone_ms, time_ms, sure, fades_ms, doubt_ms, evidence, left)
    return (*others, stay)


def _left(event: Event, settings: Settings) -> Stay:
    """Nothing is believed, and it is remembered for a while that the person was read leaving."""
    site, at_ms = event.shape.place.site if event.shape.place is not None else "", event.time_ms
    forget_ms = at_ms + settings.presence_full_ms
    return Stay(site, "", at_ms, at_ms, at_ms, 0.0, forget_ms, forget_ms, (event.id,))


def after_login(stays: Stays, event: Event, settings: Settings) -> Stays:
    """Belief after a successful interactive login: one from within a site where the person is believed to be
    prolongs that.
    """
    place = event.shape.place
    if place is None or not place.site or not stays or is_quarantined(event.shape, settings):
        return stays
    stay, sure = at_site(stays, place.site), _tells(event.shape, settings)
    was = belief(stay, event.time_ms, settings) if stay is not None else 0.0
    if stay is None or not sure or was < PRESENT_MIN:
        return stays
    longer = replace(
        stay,
        newest_ms=event.time_ms,
        confidence=max(was, sure),
        fades_ms=max(stay.fades_ms, event.time_ms + settings.presence_linger_ms),
        doubt_ms=_doubt_ms(event, settings),
        evidence=(stay.evidence[0], event.id),
    )
    return tuple([longer if other is stay else other for other in stays])


def _tells(shape: Shape, settings: Settings) -> float:
    """How much a login tells of where its person is: 0 where it may be made from anywhere."""
    if is_at_desk(shape):
        return settings.presence_desk
    is_from_within = shape.network is not None and shape.network.network_class == "corporate"
    return settings.presence_network if is_from_within and shape.logon_type in {"web", "vpn"} else 0.0


def _elsewhere(stays: Stays, event: Event, most: float, settings: Settings) -> Stays:
    """Stays at other sites than that of *event*, of which at most *most* is believed after it."""
    site, at_ms = event.shape.place.site if event.shape.place is not None else "", event.time_ms
    if most == 0.0 or not stays or (len(stays) == 1 and stays[0].site == site):  # of each site there is one
        return ()
    others = [stay for stay in believed(stays, at_ms, settings) if stay.site != site]
    return tuple([_at_most(stay, most, at_ms, settings) for stay in others[-(STAYS_MAX - 1) :]])


def _at_most(stay: Stay, most: float, at_ms: int, settings: Settings) -> Stay:
    was = belief(stay, at_ms, settings)
    if was <= most:
        return stay
    return replace(stay, confidence=most, fades_ms=max(stay.fades_ms, at_ms))


def _full_ms(place: Place, habits: Habits, settings: Settings) -> int:
    """For how long a stay at *place* is believed in full: as long as the person's usually last."""
    if place.has_exit_readers:
        return settings.presence_exit_full_ms
    hours = usual_stay_hours(habits.stays)
    return hours * HOUR_MS if hours else settings.presence_full_ms


def _doubt_ms(event: Event, settings: Settings) -> int:
    """The local time of day at which presence becomes doubtful, next after *event* and a while."""
    shift_ms = event.shape.offset_min * MINUTE_MS - settings.presence_doubt_ms
    days = (event.time_ms + settings.presence_linger_ms + shift_ms) // DAY_MS + 1
    return days * DAY_MS - shift_ms
