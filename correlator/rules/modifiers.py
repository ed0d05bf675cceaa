"""Which modifiers may stand together, as `field|a|b`.

pySigma refuses some of what cannot be meant, in the words of its classes, and takes the last of others
(`|startswith|endswith`); here each pair is either meant or a mistake with a name.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from correlator.spelling import nearest

_SORTS: dict[str, tuple[str, ...]] = {
    "place": ("contains", "startswith", "endswith"),
    "regex": ("re",),
    "flag": ("i", "m", "s", "ignorecase", "multiline", "dotall"),
    "network": ("cidr",),
    "presence": ("exists",),
    "order": ("lt", "lte", "gt", "gte"),
    "part": ("minute", "hour", "day", "week", "month", "year"),
    "reference": ("fieldref",),
    "dash": ("windash",),
    "encoding": ("wide", "utf16le", "utf16be", "utf16"),
    "base64": ("base64", "base64offset"),
    "case": ("cased",),
    "all": ("all",),
    "neq": ("neq",),
    "expand": ("expand",),
}
_SORT = {name: sort for sort, names in _SORTS.items() for name in names}
_TOGETHER = {  # sort -> sorts that it may stand with, in either order
    "place": {"regex", "flag", "reference", "dash", "encoding", "base64", "case"},
    "flag": {"regex", "flag"},
    "order": {"part", "reference"},
    "case": {"dash", "encoding", "base64"},
    "encoding": {"base64"},
    "all": set(_SORTS) - {"presence", "all"},
    "neq": set(_SORTS) - {"presence", "neq"},
    "expand": set(_SORTS) - {"presence", "reference", "expand"},
}
_OF_OTHERS = {  # ours -> what authors write who come from other languages
    "lt": ("less", "below", "max"),
    "lte": ("le",),
    "gt": ("greater", "more", "above", "min"),
    "gte": ("ge",),
    "neq": ("not", "ne", "noteq"),
    "re": ("regex", "regexp"),
    "cidr": ("ip", "net"),
    "exists": ("null", "isnull"),
}
_MEANT = {theirs: ours for ours, names in _OF_OTHERS.items() for theirs in names}
_FIRST = {  # before the others
    "regex": ("place", "flag"),
    "part": ("order",),
    "base64": ("place", "case"),
    "reference": ("place",),
}


def mistake_in(modifiers: Sequence[str]) -> str:
    """What is wrong with *modifiers*, in words of those who write rules; "" where nothing is."""
    for modifier in modifiers:
        if not modifier:
            return "nothing stands behind a |: leave it out, or name a modifier"
        if modifier not in _SORT:
            near = nearest(_MEANT.get(modifier.lower(), modifier.lower()), tuple(_SORT))
            known = ", ".join(_SORT)
            return f"unknown modifier {modifier!r}{near or f': one of {known}'}"
    for one, other in combinations(modifiers, 2):
        if one == other:
            return f"|{one} is there twice"
        sort, second = _SORT[one], _SORT[other]
        if second not in _TOGETHER.get(sort, ()) and sort not in _TOGETHER.get(second, ()):
            return f"|{one} and |{other} do not go together"
        if sort in _FIRST.get(second, ()):
            return f"|{other} comes before |{one}"
    if any(_SORT[m] == "flag" for m in modifiers) and "re" not in modifiers:
        return f"|{next(m for m in modifiers if _SORT[m] == 'flag')} is a flag of |re, which is missing"
    return ""
