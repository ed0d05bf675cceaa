"""`correlator rules schema`: the JSON schema of rule files, for editors."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from correlator.rules.editor import rule_schema
from correlator.rules.schema import block_schema
from correlator.timeline.fields import FIELDS


def schema_command(
    is_block: Annotated[bool, typer.Option("--block", help="Only that of the correlator: block.")] = False,
) -> None:
    """Print the JSON schema of a rule: Sigma, the correlator: block, and the fields with what they mean."""
    schema = block_schema() if is_block else rule_schema(FIELDS)
    typer.echo(json.dumps(schema, indent=2, ensure_ascii=False))
