"""Databases of addresses in MaxMind's format: opened when needed, and only the one that is meant.

A bundle names its databases by digest. A file that is replaced makes another configuration, which has to be
deployed; until then the old bundle refuses the new file rather than judge by another map.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import file_digest
from pathlib import Path

import maxminddb
import msgspec
from msgspec.structs import replace

from correlator.intake.providers import Kind, Named
from correlator.problem import BadConfiguration, Problem

_TYPES: Mapping[Kind, tuple[str, ...]] = {
    "city": ("City", "Enterprise", "Country"),
    "asn": ("ASN", "ISP"),
}
# One address of every eighth of the network: what is damaged is found when the file is opened
_PROBES = [f"{first}.20.30.40" for first in range(1, 224)]


class Meant(msgspec.Struct, frozen=True):
    """Databases lie beside *beside*. *digests*: of a bundle that was read elsewhere, by kind; None: whatever
    lies there is meant. *is_opened*: they are needed, and opened at once.
    """

    beside: Path
    digests: Mapping[str, str] | None = None
    is_opened: bool = True


def databases_of(named: Iterable[Named], meant: Meant) -> tuple[dict[Kind, Database], list[Problem]]:
    """The databases that a networks file names, and what is wrong with them."""
    found: dict[Kind, Database] = {}
    problems: list[Problem] = []
    for one in named:
        try:
            path = meant.beside / one.file
            digest = _digest(path, one.place) if meant.digests is None else meant.digests.get(one.kind, "")
            found[one.kind] = Database(path, one, digest)
            if meant.is_opened:
                found[one.kind].open()
        except BadConfiguration as error:
            problems += error.problems
    return found, problems


class Database:
    """*digest*: SHA-256 of the file that is meant. Nothing is read before `open`, or the first `get`."""

    def __init__(self, path: Path, named: Named, digest: str) -> None:
        self.digest = digest
        self._path, self._kind, self._place = path, named.kind, named.place
        self._reader: maxminddb.Reader | None = None

    def open(self) -> None:
        """Raises `BadConfiguration` where the file is not there, is damaged, or not the one that is meant."""
        found = _digest(self._path, self._place)
        if found != self.digest:
            message = (
                f"{self._path} is not the file that was deployed: its SHA-256 is {found[:12]}…, deployed was "
                f"{self.digest[:12]}…. `correlator deploy` takes the new one, or put the old one back"
            )
            raise BadConfiguration([replace(self._place, message=message)])
        self._reader = self._opened()

    def get(self, ip: str) -> object:
        """What the database has for the address *ip*; None for nothing. Raises as `open`, the first time."""
        if self._reader is None:
            self.open()
        assert self._reader is not None, "opened"
        try:
            return self._reader.get(ip)
        except (
            ValueError,
            maxminddb.InvalidDatabaseError,
        ):  # version 6 in a file of version 4; damaged there
            return None

    def _opened(self) -> maxminddb.Reader:
        try:
            reader = maxminddb.open_database(str(self._path))
            found = reader.metadata().database_type
            for ip in _PROBES:
                reader.get(ip)
        except (maxminddb.InvalidDatabaseError, OSError, ValueError) as error:
            message = f"{self._path} is damaged, or no MaxMind database: {error}"
            raise BadConfiguration([replace(self._place, message=message)]) from error
        if not any(known in found for known in _TYPES[self._kind]):
            message = (
                f"{self._path} is a database {found!r}: expected one of {' or '.join(_TYPES[self._kind])}"
            )
            raise BadConfiguration([replace(self._place, message=message)])
        return reader


def _digest(path: Path, place: Problem) -> str:
    """SHA-256 of the file *path* in hex. Raises `BadConfiguration`; *place*: who names it."""
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise BadConfiguration([replace(place, message=f"there is no file {path}")]) from error
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise BadConfiguration([replace(place, message=message)]) from error
