"""Places that rules name and the sites file does not: such a test holds of no event. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from correlator.problem import Problem
from correlator.rules.rule import Rule, Text, leaves
from correlator.spelling import nearest

LEVELS = {  # field -> what its values name
    **{f"place.{level}": level for level in ("site", "building", "zone", "door", "reader")},
    **{
        f"{last}.{level}": level
        for last in ("last_badge", "last_login")
        for level in ("site", "zone", "door")
    },
    **{f"travel.{leg}.{level}": level for leg in ("badge", "card", "login") for level in ("site", "door")},
    "presence.site": "site",
    "presence.zone": "zone",
    "presence.left_zone": "zone",
    "passback.area": "zone",
    "identity.home_site": "site",
}


def unplaced(rules: Iterable[Rule], known: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Warnings, one a name and rule. *known*: names by level. As to rules, case does not matter."""
    folded = {level: {name.casefold() for name in names} for level, names in known.items()}
    for rule in rules:
        if rule.is_alerting:
            for field, name in dict.fromkeys(_named(rule)):
                level = LEVELS[field]
                if name.casefold() not in folded[level]:
                    message = f"{rule.name}: sites.yml has no {level} {name!r}{nearest(name, known[level])}"
                    yield Problem(rule.file, rule.line, 1, field, message, "warning")


def names_places(rules: Iterable[Rule]) -> bool:
    """Is there anything to look up?"""
    return any(True for rule in rules for _ in _named(rule))


def _named(rule: Rule) -> Iterator[tuple[str, str]]:
    """Fields of places, and each whole name that they are held against; patterns name none."""
    for leaf in (found for condition in rule.conditions() for found in leaves(condition)):
        if leaf.field in LEVELS:
            for test in leaf.tests:
                if isinstance(test, Text) and all(isinstance(part, str) for part in test.parts):
                    yield leaf.field, "".join(map(str, test.parts))
