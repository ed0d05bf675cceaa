"""Filters: conditions that are ANDed, as written, to rules of others.

A filter names rules, or `any`: every detection rule of its logsource. One that expires holds for events to
the end of that day, UTC, by event time: so a replay decides as the live run did, whenever it is made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date

from msgspec.structs import replace

from correlator.event import DAY_MS
from correlator.problem import Path
from correlator.rules.check import TIME
from correlator.rules.draft import LOGSOURCE, Draft, find, no_rule
from correlator.rules.rule import And, Compare, Condition, Leaf, Or, Written

_KEYS = ("expires", "owner", "review_by")  # of the correlator block of a filter
_NOT = re.compile(r"[\s(]*not\b", re.IGNORECASE)


def apply_filters(drafts: Sequence[Draft], targets: Mapping[str, Draft], today: date | None) -> None:
    """Put every filter's condition into the rules that it is for. With *today*, warn about expired ones."""
    for draft in drafts:
        if not draft.is_filter:
            continue
        _check_block(draft, today)
        meant = _meant(draft, drafts, targets)
        if not meant and not draft.has_errors:
            draft.warn(("filter", "rules"), "is for no rule: none has its logsource")
        if draft.has_errors or draft.condition is None:
            continue
        condition = _in_time(draft, draft.condition)
        for rule in meant:
            if rule.condition is not None:
                rule.condition = And((rule.condition, condition))
                rule.places = {**draft.places, **rule.places}
                rule.item_texts = {**draft.item_texts, **rule.item_texts}
                rule.searches = {**_renamed(draft), **rule.searches}


def _check_block(draft: Draft, today: date | None) -> None:
    for key in sorted(draft.block.keys - set(_KEYS)):
        draft.say(("correlator", key), f"{key} is for rules; a filter has {', '.join(_KEYS)}")
    section = draft.document["filter"]
    said = section.get("condition") if isinstance(section, dict) else None
    if isinstance(said, str) and not _NOT.match(said):
        message = (
            "lets through only what it matches, for it is ANDed as written: an exception begins with not"
        )
        draft.warn(("filter", "condition"), message)
    elif said is not None and not isinstance(said, str):
        draft.say(("filter", "condition"), "of a filter is one text")
    expires, review_by = draft.block.expires, draft.block.review_by
    if review_by is not None and today is not None and review_by < today:
        whose = f" by {draft.block.owner}" if draft.block.owner else ""
        draft.warn(("correlator", "review_by"), f"was to be reviewed{whose} until {review_by}")
    if expires is not None and today is not None and expires.on < today:
        message = (
            f"expired on {expires.on}: it holds no longer for events after that day. "
            f"Remove it, or let {expires.owner} renew it ({expires.reason})"
        )
        draft.warn(("correlator", "expires"), message)


def _meant(draft: Draft, drafts: Sequence[Draft], targets: Mapping[str, Draft]) -> list[Draft]:
    section, path = draft.document["filter"], ("filter", "rules")
    said = section.get("rules") if isinstance(section, dict) else None
    if isinstance(said, str) and said.lower() == "any":
        return [rule for rule in drafts if _is_for(draft, rule)]
    named = [said] if isinstance(said, str) else said
    if not isinstance(named, list) or not named or not all(isinstance(name, str) for name in named):
        draft.say(path, "names the rules that the filter is for: a list of names or ids, or any")
        return []
    found: list[Draft] = []
    for at, name in enumerate(named):
        rule = _named(draft, name, (*path, at) if isinstance(said, list) else path, targets)
        if rule is not None and rule in found:
            draft.say((*path, at), f"{name!r} is here twice")
        elif rule is not None:
            found.append(rule)
    return found


def _named(draft: Draft, name: str, path: Path, targets: Mapping[str, Draft]) -> Draft | None:
    rule = find(name, targets)
    if rule is None:
        draft.say(path, no_rule(name, targets))
    elif rule.is_correlation:
        draft.say(path, f"{name!r} is a correlation: filter the rules that it counts")
    elif not _is_for(draft, rule):
        if isinstance(draft.document.get("logsource"), dict):  # else that is what is wrong
            draft.say(path, f"the filter's logsource is not that of {name!r}: it would never be applied")
    else:
        return rule
    return None


def _is_for(draft: Draft, rule: Draft) -> bool:
    """Is *rule* a detection rule, of a logsource that says all that the filter's says?"""
    if rule.is_filter or rule.is_correlation or not rule.document:
        return False
    wanted, has = draft.document.get("logsource"), rule.document.get("logsource")
    if not isinstance(wanted, dict) or not isinstance(has, dict):
        return False
    return all(wanted[key] == has.get(key) for key in LOGSOURCE if wanted.get(key) is not None)


def _renamed(draft: Draft) -> dict[Condition, Written]:
    """The searches of a filter, under names that tell them from those of the rule."""
    named = f"filter {draft.text('title')!r}"
    return {part: replace(said, text=f"{said.text} ({named})") for part, said in draft.searches.items()}


def _in_time(draft: Draft, condition: Condition) -> Condition:
    expires = draft.block.expires
    if expires is None:
        return condition
    end_ms = (expires.on.toordinal() + 1 - date(1970, 1, 1).toordinal()) * DAY_MS
    is_over = Leaf(TIME, (Compare("gte", end_ms),))
    path: Path = ("correlator", "expires")
    draft.places[is_over] = (draft.lines, path)
    text = f"the filter {draft.text('title')!r} has expired, on {expires.on}"
    draft.item_texts[is_over] = Written(
        is_over, text, draft.lines.file, draft.lines.at(path)[0], is_whole=True
    )
    return Or((condition, is_over))
