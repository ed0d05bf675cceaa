"""The option `--json` of verbs, and the text that they answer with then."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def as_text(value: object) -> str:
    """*value*, of Structs and plain values, as JSON in one line."""
    return msgspec.json.encode(value).decode()
