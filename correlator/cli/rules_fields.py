"""`correlator rules fields`: what rules may use."""

from __future__ import annotations

from typing import Annotated, get_args

import typer
from rich.table import Table

from correlator.cli.as_json import AsJson, as_text
from correlator.cli.rule_files import refuse
from correlator.cli.screen import wide_console
from correlator.event import EntityKind
from correlator.rules.reference import TYPES, markdown
from correlator.spelling import nearest
from correlator.timeline.field import Field
from correlator.timeline.fields import FIELDS

EVERY = len(get_args(EntityKind))

Word = Annotated[
    str, typer.Argument(help="Only fields with this in their name or meaning, such as door or vpn.")
]


def fields_command(
    word: Word = "",
    as_json: AsJson = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/fields.md.")] = False,
) -> None:
    """List every field that a rule may use: its type, the entities that have it, what it means.

    Exit codes: 0 done, 2 no field has WORD in it.
    """
    if as_markdown:
        typer.echo(markdown(FIELDS), nl=False)
        return
    listed = [f for f in FIELDS.values() if word.lower() in f"{f.name} {f.doc}".lower()]
    if not listed:
        refuse(f"no field has {word!r} in its name or meaning{nearest(word, FIELDS)}")
    if as_json:
        named = [
            {"name": f.name, "type": f.value_type, "entities": f.entities, "feed": f.feed, "doc": f.doc}
            for f in listed
        ]
        typer.echo(as_text({"fields": named}))
        return
    table = Table("field", "type", "entities", "concludes from", "meaning")
    for f in listed:
        table.add_row(f.name, TYPES[f.value_type], _entities(f), f.feed, f.doc)
    wide_console().print(table)


def _entities(field: Field) -> str:
    return "all" if len(field.entities) == EVERY else ", ".join(field.entities)
