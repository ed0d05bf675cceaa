"""The last sentence of an explanation: why the alert is closed, or refuted, or what it takes the place of."""

from __future__ import annotations

from correlator.alerts.phrases import happened, several, when
from correlator.alerts.story import Story


def ending(told: Story) -> str:
    change = told.change
    if change.activity != "close" and change.alert.is_refuted:
        because = _because(told)
        stays = "It stays open, for its rule says that only an analyst closes it."
        return f"By what is known now its rule does not hold{because and f': {because}'}. {stays}"
    if change.activity != "close":
        return f"It takes the place of alert {change.supersedes}." if change.supersedes else ""
    because = _because(told)
    if change.reason == "superseded":
        return f"Closed as superseded by alert {change.superseded_by}{because and f', because {because}'}."
    if change.reason == "moved":
        return f"Closed as moved: {_moved(told)}."
    if change.reason == "retracted":
        return f"Closed as retracted: {because or 'what is known by now no longer satisfies the rule'}."
    if change.reason == "mode_changed":
        where = "told live, no longer in shadow" if change.alert.is_shadow else "told in shadow"
        return f"Closed here: from now on the alerts of its rule are {where}."
    return f"Closed: {change.reason.replace('_', ' ') or 'no reason given'}."


def _because(told: Story) -> str:
    """The late events that changed the picture, in words where they are known."""
    if not told.change.because:
        return ""
    known = [told.by_id[i] for i in told.change.because if i in told.by_id]
    if not known:
        ids = several(told.change.because, 3)
        return f"events that arrived late changed the picture ({ids})"
    known.sort(key=lambda event: event.order)
    people = [happened(event) for event in known if event.kind == "person"]  # as of whenever
    said = [f"{happened(e)} at {when(e.time_ms, e.offset_min)}" for e in known if e.kind != "person"]
    late = f"it became known late that {several(said, 3)}" if said else ""
    return " and ".join(part for part in (several(people, 3), late) if part)


def _moved(told: Story) -> str:
    """Events that turned out to be somebody else's; their alerts, if any, are on that person's timeline."""
    known = [told.by_id[i] for i in told.change.because if i in told.by_id]
    said = [
        f"{happened(e)} at {when(e.time_ms, e.offset_min)} was "
        + (f"by {e.identity_id}" if e.identity_id else "by somebody whom it does not know")
        for e in sorted(known, key=lambda e: e.order)
    ]
    return f"the identities feed says now that {several(said, 3) or 'its events were somebody else’s'}"
