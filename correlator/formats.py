"""Formats of what outlives a process: the number that bytes begin with, and how older ones are brought up.

What is kept is a msgpack array whose first member is the number of its format (what was learnt: lines of
JSON, the first of which says it). A version writes its own number. It reads that and every older one that it
has a migration for: from a number to the next, one after the other. Anything else it refuses, and says what
to do.

To change a format: raise its number, add the migration from the old one, run `python -m tests.fixtures`. What
is added at the end of an array and has a default needs `as_it_was`, no more.

May not know: what is in the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

Members = Any  # list of an array as msgpack has it, the number of the format first; dict of a line of JSON
Migration = Callable[[Members], Members]

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_BROKEN = (*UNREADABLE, ArithmeticError, LookupError, TypeError, ValueError)  # damage met by a migration


class FormatError(Exception):
    """Bytes that cannot be read as a format. With a cause they are damaged, else of another version."""


class _Head(msgspec.Struct, array_like=True):
    format: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Any]).decode
_head = msgspec.msgpack.Decoder(_Head).decode


class Format(msgspec.Struct, frozen=True):
    """*name* for messages; *number* that this version writes; *migrations* from a number to the next."""

    name: str
    number: int
    migrations: Mapping[int, Migration] = {}

    def current(self, raw: bytes) -> bytes:
        """*raw* in the format that this version writes: itself where it is. Raises `FormatError`."""
        try:
            found = _head(raw).format
        except UNREADABLE as error:
            raise FormatError(f"{self.name} cannot be read: {error}") from error
        if found == self.number:
            return raw
        self.check(found)
        try:
            return _encode([self.number, *self.migrated(found, _decode(raw))[1:]])
        except _BROKEN as error:
            raise FormatError(f"{self.name} format {found} cannot be brought up: {error}") from error

    def check(self, found: int) -> None:
        """Raises `FormatError` for a number that this version does not read."""
        if found == self.number:
            return
        refused = f"{self.name} format {found}, this version reads {self._readable}"
        if found > self.number:
            raise FormatError(f"{refused}: a newer correlator wrote it: upgrade correlator")
        if found < self._oldest:
            raise FormatError(f"{refused}: no migration from it is known: run the version that wrote it")

    def migrated(self, found: int, members: Members) -> Members:
        """*members* of format *found*, which `check` lets pass, as the newest has them."""
        for number in range(found, self.number):
            members = self.migrations[number](members)
        return members

    @property
    def _oldest(self) -> int:
        oldest = self.number
        while oldest - 1 in self.migrations:
            oldest -= 1
        return oldest

    @property
    def _readable(self) -> str:
        return f"{self.number}" if self._oldest == self.number else f"{self._oldest} to {self.number}"


def as_it_was(members: Members) -> Members:
    """The migration where members were added at an end, and their defaults are what was not known."""
    return members


def within(place: int, change: Callable[[bytes], bytes]) -> Migration:
    """The migration of bytes that are the member at *place*."""

    def migrate(members: Members) -> Members:
        members[place] = change(members[place])
        return members

    return migrate


def array(change: Migration) -> Callable[[bytes], bytes]:
    """*change* of members as a change of their bytes: of an array inside an array."""
    return lambda raw: _encode(change(_decode(raw)))
