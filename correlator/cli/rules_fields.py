"""`correlator rules fields`: what rules may use."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from correlator.cli.rule_files import AsJson, as_text
from correlator.cli.screen import wide_console
from correlator.rules.reference import markdown
from correlator.timeline.fields import FIELDS


def fields_command(
    as_json: AsJson = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/fields.md.")] = False,
) -> None:
    """List every field that a rule may use: its type, the entities that have it, what it means."""
    if as_markdown:
        typer.echo(markdown(FIELDS), nl=False)
        return
    listed = list(FIELDS.values())
    if as_json:
        named = [
            {"name": f.name, "type": f.value_type, "entities": f.entities, "feed": f.feed, "doc": f.doc}
            for f in listed
        ]
        typer.echo(as_text({"fields": named}))
        return
    table = Table("field", "type", "entities", "concludes from", "meaning")
    for f in listed:
        table.add_row(f.name, f.value_type, ", ".join(f.entities), f.feed, escape(f.doc))
    wide_console().print(table)
