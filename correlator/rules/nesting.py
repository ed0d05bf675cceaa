"""How far correlations count correlations, known before any is put together.

What stands on what is gone through once, from the bottom. Going down from every rule anew takes longer than
anybody waits, where ten levels of twenty correlations each count all of the level below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from correlator.rules.draft import Draft, find

LEVELS_MAX = 10  # correlations that stand on each other
BASES_MAX = 200  # rules that a correlation counts, nested ones included


class Nesting(NamedTuple):
    """*levels*: correlations on each other, this one included. *bases*: rules counted, also by these."""

    levels: int = 0
    bases: int = 0

    @property
    def wrong(self) -> str:
        """What is wrong with its rules, or nothing."""
        if self.levels > LEVELS_MAX:
            return f"are nested deeper than {LEVELS_MAX} levels"
        return f"are more than {BASES_MAX}, nested ones included" if self.bases > BASES_MAX else ""


BEYOND = Nesting(LEVELS_MAX + 1)  # of what leads to a circle


def nestings(drafts: Sequence[Draft], targets: Mapping[str, Draft]) -> dict[int, Nesting]:
    """By `id()` of the draft; none of those in a circle, or that lead to one."""
    counted = {id(draft): _counted(draft, targets) for draft in drafts}
    sorter = TopologicalSorter({key: map(id, bases) for key, bases in counted.items()})
    found: dict[int, Nesting] = {}
    with suppress(CycleError):  # what stands on no circle is handed out all the same
        sorter.prepare()
    while ready := sorter.get_ready():
        for key in ready:
            found[key] = _nesting([found[id(base)] for base in counted[key]])
        sorter.done(*ready)
    return found


def _nesting(bases: Sequence[Nesting]) -> Nesting:
    if not bases:
        return Nesting()
    return Nesting(1 + max(base.levels for base in bases), sum(1 + base.bases for base in bases))


def _counted(draft: Draft, targets: Mapping[str, Draft]) -> list[Draft]:
    section = draft.section
    if section is None:
        return []
    return [base for reference in section.rules if (base := find(reference, targets)) is not None]


def leads_to(start: Draft, goal: Draft, targets: Mapping[str, Draft]) -> bool:
    """Does *start* count *goal*, or a rule that does?"""
    pending, seen = [start], set[int]()
    while pending:
        draft = pending.pop()
        if draft is goal:
            return True
        if id(draft) in seen:
            continue
        seen.add(id(draft))
        pending += _counted(draft, targets)
    return False
