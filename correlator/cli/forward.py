"""Verbs that are imported when they are asked for, so that a list of them costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer

Verbs = Mapping[str, tuple[str, str, str]]  # verb -> module here, what it offers, one line for the list

ANY: dict[str, Any] = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def forward(app: typer.Typer, verbs: Verbs, program: str) -> None:
    """Register *verbs*: each one's own app reads the arguments, and its help, once it is imported."""
    for verb in verbs:
        _register(app, verb, verbs[verb], program)


def _register(app: typer.Typer, verb: str, offer: tuple[str, str, str], program: str) -> None:
    name, attribute, text = offer

    @app.command(verb, help=text, context_settings=ANY)
    def forwarded(context: typer.Context) -> None:
        offered = getattr(import_module(f"correlator.cli.{name}"), attribute)
        if not isinstance(offered, typer.Typer):
            command, offered = offered, typer.Typer(add_completion=False)
            offered.command()(command)
        offered(args=context.args, prog_name=f"{program} {verb}")
