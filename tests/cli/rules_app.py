"""`correlator rules` as a user calls it."""

from __future__ import annotations

from typer.testing import CliRunner

from correlator.cli.rules import app


def call(*arguments: object, stdin: str | None = None) -> tuple[int, str]:
    """Exit code and output, both streams. Anything but a way to exit is a failure."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output
