"""One paragraph that says what contradicts what, for the analyst who has to phone somebody.

Sentences are chosen by the values that the match quotes (travel, presence, counts, credential, status, score,
door), never by rule, so a new rule explains itself. What no sentence covers is listed as it is. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from correlator.alerts.customs import SAID, customs
from correlator.alerts.ending import ending
from correlator.alerts.inside import inside
from correlator.alerts.leg import QuotedLeg, telling_leg
from correlator.alerts.phrases import (
    before,
    duration,
    happened,
    number,
    of_status,
    offset,
    several,
    weekday,
    when,
)
from correlator.alerts.storm import is_storm, storm_opening
from correlator.alerts.story import Story
from correlator.alerts.whereabouts import whereabouts
from correlator.event import MINUTE_MS, NEVER, SECOND_MS, Event
from correlator.spelling import FIRST_MS, utc
from correlator.timeline.live import Scalar

NEAR_KM = 0.1  # nearer places are one place on a map: nothing is said of a distance
_SAID = (  # by the sentence about the event, or by one of those below
    "access.", "anomaly.", "credential.", "device.", "door.", "event.", "identity.", "last_badge.", "login.",
    "network.", "place.", "presence.", "risk.", "session.", "source.", "time.", "travel.",
    "last_login.event_id", "zone.", "occupancy.", *SAID,
)  # fmt: skip


def explain(told: Story) -> str:
    """The paragraph. Never empty: an alert without known events names its entity and rule."""
    sentences = _OF_STORMS if is_storm(told) else _SENTENCES
    return " ".join(sentence for tell in sentences if (sentence := tell(told)))


# ------------------------------------------------------------------ who and what


def who(told: Story) -> str:
    """`Identity e1001 (employee, finance, home site lis)`, `Badge 4711 (belongs to nobody known)`."""
    kind, _, name = told.alert.entity.partition(":")
    if kind == "unresolved":
        namespace, _, credential = name.partition(":")
        return f"{namespace.capitalize()} {credential} (belongs to nobody known)"
    person = told.person
    if kind != "identity" or person is None:
        return f"{kind.capitalize()} {name}"
    home = f"home site {person.home_site}" if person.home_site else ""
    host = f"host {person.host_id}" if person.host_id else ""
    about = ", ".join(p for p in (person.identity_type, person.department, host, home) if p)
    return f"Identity {name} ({about})"


def _opening(told: Story) -> str:
    event = told.last
    if event is None:
        return f"{who(told)}: {told.rule.title}, decided {when(told.alert.decided_ms, 0)}."
    said = f"{who(told)}: {happened(event)} at {when(event.time_ms, event.offset_min)}."
    if event.time_claimed_ms is not None:
        claimed = when(event.time_claimed_ms, event.offset_min)
        said += f" Its source claimed {claimed}, which was ahead of its arrival, so the arrival counts."
    return said + "".join(_clocks(told))


def _clocks(told: Story) -> Iterable[str]:
    """Of every source in the evidence whose clock is known to be off."""
    off = {event.source: event.skew_s for event in told.events if event.skew_s}
    for source, skew_s in sorted(off.items()):
        way = "ahead" if skew_s > 0 else "behind"
        yield f" The clock of {source} was about {duration(abs(skew_s) * SECOND_MS)} {way}."


# ------------------------------------------------------------------------ travel


def _travel(told: Story) -> str:
    """The least possible leg: a rule may quote the way from the last badge read and from the last login."""
    leg = telling_leg(told)
    if leg is None:
        return ""
    elapsed = duration(leg.elapsed_ms)
    return f"Only {elapsed} earlier {_start(told, leg)}. {_way(told, leg, elapsed)}"


def _start(told: Story, leg: QuotedLeg) -> str:
    """A clause for the event where the way began."""
    if leg.start is not None:
        return f"{happened(leg.start)}, at {when(leg.start.time_ms, leg.start.offset_min)}"
    at = next(
        (w for n in ("door", "site", "country") if (w := told.word(f"{leg.prefix}.{n}"))), "another place"
    )
    what = "a badge was read" if leg.prefix != "travel.login" else "a login came from"
    credential = told.word(f"{leg.prefix}.credential")
    return f"{what} at {at}" + (f" ({credential})" if credential else "")


def _way(told: Story, leg: QuotedLeg, elapsed: str) -> str:
    distance, margin_s = told.number(f"{leg.prefix}.distance_km"), told.number(f"{leg.prefix}.margin_s")
    parts = []
    if distance is not None and distance >= NEAR_KM:
        parts.append(f"the two places are {number(distance)} km apart, less what their positions may be off")
    is_learnt = told.word(f"{leg.prefix}.way") == "learnt"
    if leg.minimum_ms is not None:
        takes = "of a hundred people who go this way 99 take" if is_learnt else "the way takes at least"
        more = " or more" if is_learnt else ""
        parts.append(f"{takes} {duration(leg.minimum_ms)}{more}, and {elapsed} passed")
    if margin_s:
        haste = " and for haste" if is_learnt else ""
        parts.append(f"{duration(margin_s * SECOND_MS)} are granted for clocks that differ{haste}")
    if leg.speed_kmh is not None:
        parts.append(f"it would have taken {number(leg.speed_kmh)} km/h")
    verdict = "cannot" if leg.is_impossible else "can hardly"
    sentence = "; ".join(parts)
    said = f"{sentence[:1].upper()}{sentence[1:]}: one body" if sentence else "One body"
    return f"{said} {verdict} have been at both."


# ------------------------------------------------------------------------ counts


def _window(told: Story) -> str:
    count = 0 if "risk.score" in told.values else told.alert.count  # which counts rules, and says so itself
    if told.alert.count <= 1 and not told.rule.asks:
        return ""
    said = [
        f"it completes a count of {count}" if count > 1 else "",
        f"the rule asks for {told.rule.asks}" if told.rule.asks else "",
    ]
    sentence = "; ".join(part for part in said if part)
    whole = f"{sentence[:1].upper()}{sentence[1:]}." if sentence else ""
    return f"{whole}{_tallied(told.events)}".strip()


def _tallied(events: tuple[Event, ...]) -> str:
    """What the counted events have in common, and their span."""
    if len(events) < 2:
        return ""
    first, last = events[0], events[-1]
    said = (
        f" The {len(events)} events of the evidence lie between {when(first.time_ms, first.offset_min)} and "
    )
    said += when(last.time_ms, last.offset_min)
    credentials = [e.credential for e in events]
    tallies = [
        _tally("outcomes", [e.outcome or e.activity for e in events]),
        _tally("doors", [e.place.door if e.place else "" for e in events]),
        _tally("reasons", [e.reason_native or e.reason for e in events]),
        _tally("badges and accounts", credentials) if len(set(credentials)) > 1 else "",
    ]
    return f"{said} ({'; '.join(t for t in tallies if t)})."


def _tally(what: str, words: list[str]) -> str:
    """`doors a ×3 and b`: most frequent first, then by name."""
    counts = sorted(Counter(word for word in words if word).items(), key=lambda item: (-item[1], item[0]))
    words = [f"{word} ×{count}" if count > 1 else word for word, count in counts]
    return f"{what} {several(words, 5)}" if words else ""


# -------------------------------------------------------- credential, status, score


def _credential(told: Story) -> str:
    state, event = told.word("credential.state"), told.last
    if event is None:
        return ""
    if state in ("", "active"):
        if event.reason in ("lost", "stolen"):
            return f"The door refused badge {event.credential} as {event.reason}."
        newer_ms = told.span_ms("credential.replaced_s")
        if newer_ms is None:
            return ""
        used = f"badge {event.credential}, the older one, was used"
        return f"The person was given a newer badge of the same class {before(newer_ms)}; {used}."
    since_ms = None
    for credential in told.person.credentials if told.person else ():
        if credential.id == event.credential:
            since_ms = next(
                (ms for ms, s in reversed(credential.states) if s == state and ms <= event.time_ms), None
            )
    known = _known_since(since_ms, event) if since_ms is not None else ""
    return f"Badge {event.credential} is recorded as {state}{known}, so nobody should be using it."


def _status(told: Story) -> str:
    status, event = told.word("identity.status"), told.last
    if status in ("", "active") or event is None:
        return ""
    schedule = reversed(told.person.statuses) if told.person else iter(())
    since_ms, name = next(((ms, name) for ms, name in schedule if ms <= event.time_ms), (NEVER, ""))
    if told.person and name != status:  # it has learnt otherwise since
        return f"The identities feed said that the person was {of_status(status)} then."
    return f"The identities feed says the person is {of_status(status)}{_known_since(since_ms, event)}."


def _known_since(since_ms: int, event: Event) -> str:
    if since_ms < FIRST_MS:
        return ""
    since = when(since_ms, event.offset_min)
    return f" since {since}, {duration(event.time_ms - since_ms)} before"


def _anomaly(told: Story) -> str:
    percentile = told.number("anomaly.percentile")
    if percentile is None:
        return ""
    pushing = [feature.replace("_", " ") for feature in told.word("anomaly.pushing").split(",") if feature]
    why = f", above all because of {several(pushing)}" if pushing else ""
    warm = "" if told.values.get("anomaly.is_warm") is not False else " The model is still warming up."
    return f"It is more unusual than {_percent(percentile)} of what the model scored before{why}.{warm}"


def _percent(share: float) -> str:
    """Rounded down, so that nothing is more unusual than all."""
    return f"{int(share * 1000) / 10:.1f} %"


def _setting(told: Story) -> str:
    """Hours and criticality, where the rule looked at them."""
    event, parts = told.last, []
    if event is None:
        return ""
    if told.values.get("time.is_business_hours") is False:
        clock = f"{utc(event.time_ms + event.offset_min * MINUTE_MS):%H:%M} {offset(event.offset_min)}"
        at = f"{weekday(event.time_ms, event.offset_min)} {clock}"
        parts.append(f"it was outside business hours ({at})")
    criticality = told.number("place.criticality")
    if criticality and event.place:
        parts.append(f"zone {event.place.zone or '?'} has criticality {criticality:.0f} of 5")
    sentence = " and ".join(parts)
    return f"{sentence[:1].upper()}{sentence[1:]}." if sentence else ""


# -------------------------------------------------------------------------- door


def _door(told: Story) -> str:
    parts = []
    is_forced = told.word("door.activity") == "forced"
    for field, what in _DOOR_GAPS:
        gap_s = told.number(field)
        if gap_s is not None:
            parts.append(f"no {what} explains it (the last was {duration(gap_s * SECOND_MS)} before)")
        elif is_forced:
            parts.append(f"no {what} explains it (none is known)")
    forced = told.number("door.forced_24h")
    if forced:
        reports = "report" if forced == 1 else "reports"
        parts.append(f"{forced:.0f} earlier forced {reports} of this door within 24 h")
    sentence = "; ".join(parts)
    return f"{sentence[:1].upper()}{sentence[1:]}." if sentence else ""


_DOOR_GAPS = (
    ("door.grant_gap_s", "granted read"),
    ("door.rex_gap_s", "request to exit"),
)


# -------------------------------------------------------------- the rest, and the rule


def _others(told: Story) -> str:
    """Quoted values that no sentence above speaks of: those of rules and fields that came later."""
    rest = [
        f"{name} is {_plain(value)}"
        for name, value in told.alert.values
        if value is not None and not name.startswith(_SAID)
    ]
    return f"Also: {several(sorted(rest), 12)}." if rest else ""


def _risk(told: Story) -> str:
    score, of = told.number("risk.score"), told.word("risk.of")
    if score is None or not of:
        return ""
    return f"Alerts of the day (UTC) add up to a risk of {number(score)}: {of}."


def _plain(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _repeats(told: Story) -> str:
    times = told.alert.repeat_count
    said = f"It happened {times} more {'time' if times == 1 else 'times'} since." if times else ""
    if not told.alert.is_summary:
        return said
    beyond = "The rule's budget for this entity is spent: further matches join this alert."
    return f"{beyond} {said}".strip()


def _completeness(told: Story) -> str:
    alert, event, said = told.alert, told.last, []
    if event is not None and alert.decided_ms > event.time_ms:
        taken = f"The verdict was taken as of {duration(alert.decided_ms - event.time_ms)} after it"
        skew_ms = event.shape.site_skew_s * SECOND_MS
        is_longer = skew_ms and told.rule.retaken and not told.rule.asks  # windows are as long as they are
        said.append(
            f"{taken}, {duration(skew_ms)} of that for clocks at the site that are off."
            if is_longer
            else f"{taken}."
        )
    if alert.assumed:
        said.append(f"It assumes: {'; '.join(alert.assumed)}.")
    if alert.confidence == "low":
        said.append("Confidence is low, since not all reports of the site had arrived.")
    return " ".join(said)


def _rule(told: Story) -> str:
    rule = told.rule
    reason = f'Rule "{rule.title}"' + (f": {rule.description}." if rule.description else ".")
    benign = f" Rule out first: {'; '.join(rule.falsepositives)}." if rule.falsepositives else ""
    return reason + benign


_SENTENCES: tuple[Callable[[Story], str], ...] = (
    _opening, _travel, whereabouts, inside, _window, _credential, _status, _anomaly, customs, _setting, _door,
    _risk, _others,
    _repeats, _completeness, _rule, ending,
)  # fmt: skip
_OF_STORMS: tuple[Callable[[Story], str], ...] = (storm_opening, _rule, ending)
