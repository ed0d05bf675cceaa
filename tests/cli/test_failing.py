"""What a process that must go on says where nobody can read it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from correlator.cli.failing import unfailing


def test_a_full_disk_stops_nobody() -> None:
    with Path("/dev/full").open("w", encoding="utf-8", buffering=1) as full:
        console = Console(file=unfailing(full))
        console.print("bundle 1 is in force")
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())  # or closing it fails


def test_a_reader_that_is_gone_stops_nobody_and_one_that_is_there_reads() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as reader, os.fdopen(writing, "w", buffering=1) as stream:
        console = Console(file=unfailing(stream))
        console.print("one")
        assert reader.read(99) == b"one\n"
        reader.close()
        console.print("two")
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # or closing it fails


@pytest.mark.parametrize("words", [("fields",), ("fields", "badge"), ("schema",)])
def test_what_a_full_disk_does_not_take_is_said_in_one_line(words: tuple[str, ...]) -> None:
    """Much of it, which fails while it is printed, and little, which fails at the end."""
    command = [sys.executable, "-m", "correlator.cli.main", "rules", *words]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    said = "what was to be printed could not be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)
