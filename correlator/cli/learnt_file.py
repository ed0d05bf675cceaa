"""The file that `correlator state export` writes and `import` reads: lines of `engine.learnt`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from zlib import crc32

from correlator.engine.anew import File
from correlator.engine.learnt import (
    End,
    Head,
    Learnt,
    LineError,
    Part,
    check_models,
    decode_line,
    encode_line,
)
from correlator.problem import BadConfiguration, Problem

CHECKED = 3  # the first format with a checksum


def write_file(path: Path, head: Head, lines: Iterable[Part | Learnt | None]) -> End:
    """Whole or not at all. None: a record that cannot be read. The last line. Raises OSError."""
    part = path.with_name(f"{path.name}.part")
    entities = unreadable = crc = 0
    try:
        with part.open("wb") as out:
            for line in chain([head], lines):
                unreadable += line is None
                entities += isinstance(line, Learnt)
                raw = b"" if line is None else encode_line(line) + b"\n"
                crc = crc32(raw, crc)
                out.write(raw)
            end = End(entities, unreadable, crc)
            out.write(encode_line(end) + b"\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return end


def read_file(path: Path) -> File:
    """Raises `BadConfiguration` for what is no such file, only a part of one, or not as it was written."""
    try:
        with path.open("rb") as lines:
            return _read(path, lines)
    except OSError as error:
        raise _wrong(path, 0, f"cannot be read: {error.strerror}") from error


def _read(path: Path, lines: Iterable[bytes]) -> File:
    head: Head | None = None
    parts: dict[int, Part] = {}
    learnt: list[Learnt] = []
    end, number, crc = None, 0, 0
    for number, raw in enumerate(lines, 1):
        try:
            line = decode_line(raw) if head is None else decode_line(raw, head.format)
            if isinstance(line, Part):
                check_models(line)
        except LineError as error:
            raise _wrong(path, number, str(error)) from error
        if (number == 1) != isinstance(line, Head) or end is not None:
            raise _wrong(path, number, "is not where it belongs: the file was changed")
        match line:
            case Head():
                head = line
            case Part():
                parts[line.partition] = line
            case Learnt():
                learnt.append(line)
            case End():
                end = line
        crc = crc if end else crc32(raw, crc)
    if head is None or end is None or end.entities != len(learnt):
        raise _wrong(path, number, "the file is not whole: export it again, or use an older one")
    if end.crc != crc and (end.crc is not None or head.format >= CHECKED):
        raise _wrong(
            path, 0, "was changed or spoilt: its checksum differs. Export it again, or use an older one"
        )
    return File(head, parts, learnt)


def _wrong(path: Path, line: int, message: str) -> BadConfiguration:
    return BadConfiguration([Problem(str(path), line, 1 if line else 0, "", message)])
