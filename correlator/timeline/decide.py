"""decide(tally, matches, marks) -> tally, alerts: what is settled, and what is a repeat of what.

Passes over the matches of an entity after its fold; rules cannot read the result. Only this module asks
the marks, so a mark never makes anybody fold again. Everything is ordered by decision time, finality
included.

`difference` says what readers who hold the old alerts must be told to hold the new ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

import msgspec
from msgspec.structs import replace

from correlator.event import DAY_MS, NEVER
from correlator.timeline.alert import Activity, Alert, Change, alert_uid, line_of
from correlator.timeline.live import Match
from correlator.timeline.program import Budget, Program
from correlator.timeline.risk import Risk, add_up

REPEATS_MAX = 100  # ids of repeats that an alert names; the count goes on


NO_RISK = Risk()


class Completeness(Protocol):
    """What `decide` asks the marks. Event times and *now* in ms, UTC; running maxima."""

    @property
    def now_ms(self) -> int: ...

    def complete_ms(self, feed: str, site: str) -> int:
        """Up to which event time all that *feed* will ever say of *site* is in the log."""

    def assumed(self, feed: str, site: str, to_ms: int) -> tuple[str, ...]:
        """What completeness to *to_ms* rests on, for the evidence."""


class Episode(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Matches of one rule until it has been quiet for the suppression time, at most to the end of the UTC
    day.
    """

    first_ms: int
    newest_ms: int
    uid: str
    number: int = 1  # of the alerts of its rule within the time of a budget


class Tally(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What `decide` knows of everything decided before *edge_ms*: the other half of the base."""

    edge_ms: int = NEVER
    episodes: tuple[tuple[str, Episode], ...] = ()  # by rule, those of its matches in shadow apart
    risk: Risk = NO_RISK


Confidence = Literal["", "low", "high"]


def confidence_in(match: Match, marks: Completeness, program: Program) -> Confidence:
    """How surely *match* may be told; "" not yet, or never: inconclusive."""
    if not match.feed or marks.complete_ms(match.feed, match.site) >= match.decided_ms:
        return "high"
    rule = program.facts(match.rule, match.decided_ms)
    waited_ms = marks.now_ms - match.decided_ms
    return "low" if rule is not None and rule.fires_incomplete and waited_ms >= match.max_wait_ms else ""


def decide(
    entity: str, tally: Tally, matches: Iterable[Match], marks: Completeness, program: Program
) -> tuple[Tally, dict[str, Alert]]:
    """Alerts of *matches* (in the order of the fold) on top of *tally*, and the tally after them."""
    alerts: dict[str, Alert] = {}
    episodes = dict(tally.episodes)
    for match in matches:
        confidence = confidence_in(match, marks, program)
        if not confidence:
            continue
        line, at_ms = line_of(match.rule, is_shadow=match.is_shadow), match.decided_ms
        episode = episodes.get(line)
        if episode is not None and _joins(match.rule, episode, at_ms, program):
            episodes[line] = replace(episode, newest_ms=max(at_ms, episode.newest_ms))
            first = alerts.get(episode.uid)
            if first is not None:  # else it is final: nothing more is said about it
                alerts[first.uid] = _repeat(first, match, confidence)
            continue
        uid = alert_uid(match.rule, entity, match.event_id)
        number = _number(match.rule, episode, at_ms, program)
        episodes[line] = Episode(at_ms, at_ms, uid, number)
        alerts[uid] = Alert(
            uid,
            match.rule,
            entity,
            match.severity,
            at_ms,
            match.event_id,
            match.evidence,
            match.values,
            confidence,
            count=match.count,
            assumed=marks.assumed(match.feed, match.site, at_ms) if match.feed else (),
            is_shadow=match.is_shadow,
            is_summary=_is_beyond(match.rule, number, at_ms, program),
        )
    risk, made = add_up(entity, tally.risk, alerts.values(), program)
    return Tally(tally.edge_ms, tuple(sorted(episodes.items())), risk), alerts | made


def _repeat(first: Alert, match: Match, confidence: Confidence) -> Alert:
    """*first* with one more match: it is as sure as its surest match."""
    return replace(
        first,
        confidence="high" if "high" in (first.confidence, confidence) else "low",
        repeats=(*first.repeats, match.event_id)[-REPEATS_MAX:],
        repeat_count=first.repeat_count + 1,
    )


def _joins(rule_id: str, episode: Episode, at_ms: int, program: Program) -> bool:
    """Is a match at *at_ms* a repeat? An episode goes on until it is quiet, at most to the end of the day;
    one beyond the budget to the end of its time.
    """
    rule = program.facts(rule_id, at_ms)
    if rule is None or at_ms // DAY_MS != episode.first_ms // DAY_MS:
        return False
    if at_ms - episode.newest_ms < rule.suppress_ms:
        return True
    is_beyond = _is_beyond(rule_id, episode.number, at_ms, program)
    return is_beyond and _turn(rule.budget, at_ms) == _turn(rule.budget, episode.first_ms)


def _number(rule_id: str, before: Episode | None, at_ms: int, program: Program) -> int:
    """Of an alert at *at_ms*, after that of the episode *before*, within the time of the rule's budget."""
    rule = program.facts(rule_id, at_ms)
    if before is None or rule is None or _turn(rule.budget, at_ms) != _turn(rule.budget, before.first_ms):
        return 1
    return before.number + 1


def _is_beyond(rule_id: str, number: int, at_ms: int, program: Program) -> bool:
    rule = program.facts(rule_id, at_ms)
    return rule is not None and rule.budget is not None and number > rule.budget.alerts


def _turn(budget: Budget | None, at_ms: int) -> tuple[int, int]:
    """Which stretch of a budget's time *at_ms* lies in: these stay where they are, whatever comes late."""
    day, within_ms = divmod(at_ms, DAY_MS)
    return (day, within_ms // budget.per_ms if budget is not None else 0)


def difference(
    old: Mapping[str, Alert], new: Mapping[str, Alert], threads: Mapping[str, str], because: tuple[str, ...]
) -> tuple[list[Change], dict[str, str]]:
    """What to tell readers who hold *old* so that they hold *new*, and the threads (correlation uids) of
    *new*.

    A closed alert is superseded, not retracted, when an alert of the same rule speaks of one of its events.
    One whose rule goes into shadow or out of it is closed for readers of the one topic, new for the others.
    """
    was, now = _kin(old), _kin(new)
    changes: list[Change] = []
    heirs: dict[str, str] = {}  # new uid -> uid that it supersedes
    follows: dict[str, str] = {}
    for uid, alert in new.items():
        ancestor = uid if uid in old else _relative(alert, was)
        follows[uid] = threads.get(ancestor, uid)
        if ancestor and ancestor not in new:
            heirs[uid] = ancestor

    def change(activity: Activity, alert: Alert, thread: str, reason: str = "", heir: str = "") -> None:
        ancestor = heirs.get(alert.uid, "") if activity == "create" else ""
        changes.append(Change(activity, alert, thread, reason, heir, ancestor, because))

    crossing = {uid for uid in new.keys() & old.keys() if new[uid].is_shadow != old[uid].is_shadow}
    for uid in sorted(crossing):
        change("close", old[uid], follows[uid], "mode_changed")
    for uid in sorted(old.keys() - new.keys()):
        heir = _relative(old[uid], now)
        change("close", old[uid], threads.get(uid, uid), "superseded" if heir else "retracted", heir)
    for uid in sorted(new.keys() - old.keys() | crossing):
        change("create", new[uid], follows[uid])
    for uid in sorted(uid for uid in (new.keys() & old.keys()) - crossing if new[uid] != old[uid]):
        change("update", new[uid], follows[uid])
    return changes, follows


def _kin(alerts: Mapping[str, Alert]) -> dict[tuple[str, str], str]:
    """(rule, event) -> uid of the alert that speaks of it, first of all as a match of its own; of several the
    one decided last. Never by the order of *alerts*: a restored timeline has another one.
    """
    found = sorted(alerts.values(), key=lambda alert: (alert.decided_ms, alert.uid))
    quoted = {(a.rule, i): a.uid for a in found for i in a.evidence}
    return quoted | {(a.rule, i): a.uid for a in found for i in (a.event_id, *a.repeats)}


def _relative(alert: Alert, others: Mapping[tuple[str, str], str]) -> str:
    """Uid of the alert among *others* that speaks of an event of *alert*, else ""."""
    named = (others.get((alert.rule, i)) for i in (alert.event_id, *alert.repeats, *alert.evidence))
    return next((uid for uid in named if uid), "")
