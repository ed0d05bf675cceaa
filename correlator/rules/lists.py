"""Value lists of a configuration (`lists.yml`): what `|expand` puts in for `%name%`."""

from __future__ import annotations

from correlator.problem import Lines, Problem
from correlator.rules.reading import Reader
from correlator.rules.values import VALUES_MAX, Lists


def read_lists(document: object, lines: Lines) -> tuple[Lists | None, list[Problem]]:
    """The lists of *document*, `name: [value, …]` of texts and numbers, or None and what is wrong."""
    reader = Reader(lines)
    if not isinstance(document, dict):
        reader.say((), "must be a mapping of list names to lists: guards: [anna, bert]")
        return None, reader.problems
    lists: dict[str, list[str | int | float]] = {}
    for name, values in document.items():
        if not name.isidentifier():
            reader.say((name,), "is no name of a list: letters, digits and underscores")
        if not isinstance(values, list) or len(values) > VALUES_MAX:
            reader.say((name,), f"must be a list of at most {VALUES_MAX} texts or numbers")
            continue
        lists[name] = [v for v in values if isinstance(v, str | int | float) and not isinstance(v, bool)]
        if len(lists[name]) < len(values):
            reader.say((name,), "holds texts and numbers only")
    return (None if reader.problems else lists), reader.problems
