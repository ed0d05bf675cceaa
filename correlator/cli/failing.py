"""What verbs say when something is wrong, and how they say it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

import typer

from correlator.cli.exit_codes import FAILED, REFUSED, UNREACHABLE
from correlator.engine.ports import LogTruncated, LogUnavailable
from correlator.engine.topics import EngineRefusal
from correlator.problem import BadConfiguration, Problem


def print_problems(problems: Iterable[Problem]) -> None:
    for problem in problems:
        typer.echo(str(problem), err=True)


@contextmanager
def refusing() -> Iterator[None]:
    """Configuration that must not be used, a log that must not be gone on with: all reasons, exit code 2."""
    try:
        yield
    except BadConfiguration as error:
        print_problems(error.problems)
        raise typer.Exit(REFUSED) from error
    except EngineRefusal as error:
        typer.echo(f"refused: {error}", err=True)
        raise typer.Exit(REFUSED) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A file that cannot be written: exit code 1."""
    try:
        yield
    except OSError as error:
        typer.echo(f"cannot write {path}: {error.strerror}", err=True)
        raise typer.Exit(FAILED) from error


@contextmanager
def reaching(servers: Sequence[str]) -> Iterator[None]:
    """A log that does not answer, or whose records go while they are read: exit code 3."""
    try:
        yield
    except LogTruncated as error:
        typer.echo(f"Kafka: {error} (it was truncated meanwhile: ask again)", err=True)
        raise typer.Exit(UNREACHABLE) from error
    except LogUnavailable as error:
        typer.echo(f"no answer from Kafka at {', '.join(servers)} (or it refused us): {error}", err=True)
        raise typer.Exit(UNREACHABLE) from error


class _Unfailing:
    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def unfailing(stream: IO[str]) -> IO[str]:
    """*stream* for who does more important things than to write there: what a full disk does not take, or a
    reader that is gone, is lost.
    """
    return cast("IO[str]", _Unfailing(stream))
