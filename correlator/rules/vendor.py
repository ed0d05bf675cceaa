"""Names that are no field of the reference: those of a source's own record, where its feed keeps it.

`Names` is the field table with them. Which a feed keeps is known where there is a configuration; without one
any name will do that cannot be a slip of ours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from typing import get_args

from correlator.event import EntityKind
from correlator.spelling import nearest
from correlator.timeline.field import Field
from correlator.timeline.raw import ALL, joined

_EVERY: tuple[EntityKind, ...] = get_args(EntityKind)
_ALIKE = 0.85  # of a name to one of ours, to be a slip
_NEAR = 0.7  # to be asked whether it is


class Names(Mapping[str, Field]):
    """*fields*, and the names that feeds keep: *kept*, with `ALL` any, None where that is not known."""

    def __init__(self, fields: Mapping[str, Field], kept: Collection[str] | None = None) -> None:
        self._fields, self._kept = fields, kept
        self._groups = {name.partition(".")[0] for name in fields}

    def __getitem__(self, name: str) -> Field:
        if name in self._fields:
            return self._fields[name]
        if not name or not self._is_kept(name):
            raise KeyError(name)
        return Field(name, "raw", _EVERY, "", "", partial(joined, name=name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def _is_kept(self, name: str) -> bool:
        if self._kept is not None:
            return name in self._kept or ALL in self._kept
        return name.partition(".")[0] not in self._groups and not self._is_alike(name, _ALIKE)

    def _is_alike(self, name: str, cutoff: float) -> bool:
        """Ours are in small letters: with capitals it is a vendor's, unless that is all the difference."""
        if name != name.lower():
            return name.lower() in self._fields
        return bool(get_close_matches(name, list(self._fields), n=1, cutoff=cutoff))

    def is_ours(self, name: str) -> bool:
        """Is *name* a field of the reference?"""
        return name in self._fields

    def unknown(self, name: str) -> str:
        """What is wrong with *name*, which is none."""
        near = nearest(name, self._fields)
        if not self._is_alike(name, _ALIKE):  # else it is a slip
            kept = (
                "with --config it is known whether a feed keeps it"
                if self._kept is None
                else "no feed keeps it"
            )
            near += f" ({kept} of its records: raw, in the feed file)"
        return f"unknown field {name!r}{near}"

    def advice(self, name: str) -> str:
        """What should be known of *name*, which is no field of the reference; "" where a feed names it."""
        if self._kept is not None and name in self._kept:
            return ""
        where = (
            "of feeds that keep them (raw: in the feed file)" if self._kept is None else "as feeds keep them"
        )
        near = nearest(name, self._fields) if self._is_alike(name, _NEAR) else ""
        return f"{name} is no field of the reference: looked up in the sources' own records, {where}{near}"
