"""The field reference as Markdown, made from the table in the code: docs/fields.md is its output."""

from __future__ import annotations

from collections.abc import Mapping

from correlator.timeline.field import Field

_HEAD = """# Fields that rules may use

Made from `correlator/timeline/fields.py` by `correlator rules fields --markdown`; do not edit.

A field is *absent* where the event or its context does not say. *Entity*: whose timeline has the field;
a rule is evaluated on one kind of entity. *Concludes from*: the feed whose earlier events the value rests
on; a rule that tests such a field downward (`lt`, `lte`, `neq`, `null`, `exists: false`, `not`; of ages also
`gt` and `gte`) must `settle` (see [rules](rules.md)).
"""
TYPES = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}


def markdown(fields: Mapping[str, Field]) -> str:
    """One table per group of fields, in the order of the code."""
    groups: dict[str, list[Field]] = {}
    for field in fields.values():
        groups.setdefault(field.name.rpartition(".")[0], []).append(field)
    return _HEAD + "".join(_group(name, members) for name, members in groups.items())


def _group(name: str, members: list[Field]) -> str:
    rows = [
        f"| `{f.name}` | {TYPES[f.value_type]} | {', '.join(f.entities)} | {f.feed} | {f.doc} |"
        for f in members
    ]
    head = f"\n## {name}\n\n| field | type | entity | concludes from | meaning |\n|---|---|---|---|---|\n"
    return head + "\n".join(rows) + "\n"
