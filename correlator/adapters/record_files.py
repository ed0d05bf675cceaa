"""Records and identities in a directory: `records/<topic>.jsonl` and `identities.jsonl`, a JSON line each."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator
from heapq import merge
from pathlib import Path

import msgspec

from correlator.event import NEVER
from correlator.intake.arrival import NO_TIMESTAMP
from correlator.intake.identity_record import misspelt
from correlator.intake.people import People
from correlator.intake.places import Sites
from correlator.problem import BadConfiguration, Problem
from correlator.record import Record, Reject

IDENTITIES = "identities.jsonl"

_ABSENT = msgspec.Raw(b"null")


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line of records/<topic>.jsonl. Without *arrival_ms* a record arrives when its event happens."""

    value_b64: str | None = None
    value: msgspec.Raw = _ABSENT  # any JSON; null is a tombstone
    arrival_ms: int | None = None
    partition: int = 0
    key: str | None = None
    headers: dict[str, str] = {}


def read_records(directory: Path) -> Iterator[Record]:
    """Records of every topic, in order of arrival. Raises `BadConfiguration` at a line that is none."""
    for _, record in merge(*map(_of_topic, sorted((directory / "records").glob("*.jsonl"))), key=_first):
        yield record


def _first(row: tuple[int, Record]) -> int:
    return row[0]


_decode_line = msgspec.json.Decoder(_Line).decode


def _of_topic(path: Path) -> Iterator[tuple[int, Record]]:
    """(arrival, record) of one file. A record that does not say stays behind the one before it."""
    offsets: dict[int, int] = {}
    last_ms = NEVER
    with path.open("rb") as lines:
        for number, text in enumerate(lines, 1):
            if not text.strip():
                continue
            try:
                line = _decode_line(text)
                value = _value(line)
            except (msgspec.DecodeError, ValueError) as error:
                raise _bad_line(path, number, f"not a record: {error}") from error
            arrival_ms = last_ms if line.arrival_ms is None else line.arrival_ms
            if arrival_ms < last_ms:
                message = f"arrived at {arrival_ms}, before the line above: sort by arrival_ms"
                raise _bad_line(path, number, message)
            last_ms = arrival_ms
            offset = offsets.get(line.partition, 0)
            offsets[line.partition] = offset + 1
            yield (
                arrival_ms,
                Record(
                    path.stem,
                    line.partition,
                    offset,
                    NO_TIMESTAMP if line.arrival_ms is None else arrival_ms,
                    None if line.key is None else line.key.encode(),
                    value,
                    tuple([(name, text.encode()) for name, text in line.headers.items()]),
                ),
            )


def _value(line: _Line) -> bytes | None:
    if line.value_b64 is not None:
        return b64decode(line.value_b64, validate=True)
    raw = bytes(line.value)
    return None if raw == b"null" else raw


def _bad_line(path: Path, number: int, message: str) -> BadConfiguration:
    return BadConfiguration([Problem(str(path), number, 1, "", message)])


class _Id(msgspec.Struct):
    identity_id: str


_decode_id = msgspec.json.Decoder(_Id).decode


def identities_of(directory: Path, sites: Sites) -> list[tuple[str, bytes]]:
    """`read_identities` of *directory*; nobody where it has no such file."""
    path = directory / IDENTITIES
    return read_identities(path, sites) if path.exists() else []


def read_identities(
    path: Path, sites: Sites, warn: Callable[[Problem], None] | None = None
) -> list[tuple[str, bytes]]:
    """(identity id, record) of each line of *path*, checked as intake does.

    Raises `BadConfiguration` with all errors. *warn* is told of badges and accounts that several claim, with
    the last line that does, and of keys that are nearly ones that are read, each with the first.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise BadConfiguration([Problem(str(path), 0, 0, "", f"cannot be read: {error.strerror}")]) from error
    people = People(sites)
    found: dict[str, tuple[int, bytes]] = {}
    wrong: list[tuple[int, str]] = []  # line, what
    contests: dict[str, Problem | None] = {}  # by credential
    slips: dict[str, Problem] = {}  # by key
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            key = _decode_id(line).identity_id
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            wrong.append((number, f"not an identity: {error}"))
            continue
        if key in found:
            wrong.append((number, f"identity {key!r} is here twice, first in line {found[key][0]}"))
            continue
        found[key] = (number, line)
        told = people.apply(number, key, line, number)
        if isinstance(told, Reject):
            wrong.append((number, told.message))
            continue
        for name, message in misspelt(line) if warn is not None else ():
            slips.setdefault(name, Problem(str(path), number, 1, "", message, "warning"))
        for contest in told.contests:
            problem = Problem(str(path), number, 1, "", contest.message, "warning")
            contests[":".join(contest.credential)] = problem if contest.message else None
    if wrong:
        raise BadConfiguration([Problem(str(path), number, 1, "", message) for number, message in wrong])
    for problem in (*slips.values(), *filter(None, contests.values())):
        if warn is not None:
            warn(problem)
    return [(key, line) for key, (_, line) in found.items()]
