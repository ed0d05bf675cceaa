"""What a feed keeps of its source's own records, for rules that ask for a vendor's fields.

Intake packs it with the event (`pack_raw`); a name that is no field of the reference is looked up in it. A
field may have several values there, or be there without one: null, an empty list.

May not know: rules, which names anybody asks for. Total: bytes that are none of ours hold nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isnan

import msgspec
from msgspec.structs import replace

from correlator.event import Event
from correlator.timeline.live import Scalar
from correlator.timeline.observation import Observation

Member = str | int | float | bool
Members = tuple[Member, ...]

ALL = "*"  # among the names that a feed keeps: every one
NAMES_MAX = 256  # of one record
TEXT_MAX = 4_096  # characters of a value; longer ones are not kept
DEPTH_MAX = 16
_WHOLE_MAX = 1 << 63
_BETWEEN = ", "  # several values that are told as one

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, Member | list[Member]]).decode


def pack_raw(record: Mapping[str, object], names: Iterable[str]) -> bytes | None:
    """What is kept of *record*, packed; None for nothing."""
    found = kept_fields(record, names)
    return _encode(found) if found else None


def kept_fields(record: Mapping[str, object], names: Iterable[str]) -> dict[str, Member | list[Member]]:
    """The fields *names* of *record*, nested ones under dotted names."""
    kept = frozenset(names)
    found: dict[str, list[Member]] = {}
    for name, value in _flat(record, "", 0):
        if ALL in kept or name in kept:
            if name not in found and len(found) == NAMES_MAX:
                break
            found.setdefault(name, []).extend([] if value is None else [value])
    return {name: m[0] if len(m) == 1 else m for name, m in found.items()}


def with_record(event: Event, record: Mapping[str, object], names: Iterable[str]) -> Event:
    """*event* with what is kept of its *record*."""
    return replace(event, raw=pack_raw(record, names))


def members(observation: Observation, name: str) -> Members | None:
    """The values of the source's field *name*; () for one without a value, None for one that is absent."""
    if name in observation.seen:  # of an alert that is explained: as `joined` said it
        seen = observation.seen[name]
        parts = tuple(seen.split(_BETWEEN)) if isinstance(seen, str) and _BETWEEN in seen else ()
        return None if seen is None else (seen, *parts)
    if observation.event.raw is None:
        return None
    found = kept_of(observation)
    return found[name] if name in found else () if has_parts(observation, name) else None


def has_parts(observation: Observation, name: str) -> bool:
    """Is *name* a mapping that says something? It has no value of its own, and is not null."""
    return any(other.startswith(f"{name}.") for other in kept_of(observation))


def kept_of(observation: Observation) -> Mapping[str, Members]:
    """All that was kept of the event's record."""
    found = observation.cache.get("raw")
    if not isinstance(found, dict):
        found = observation.cache["raw"] = _unpack(observation.event.raw)
    return found


def joined(observation: Observation, name: str) -> Scalar:
    """The values of the source's field *name* as one: None without any, several as text."""
    found = members(observation, name)
    if not found:
        return None
    return found[0] if len(found) == 1 else _BETWEEN.join(map(as_text, found))


def as_text(member: Member) -> str:
    """*member* as the source may have written it: 4625, true."""
    if isinstance(member, bool):
        return str(member).lower()
    return str(int(member)) if isinstance(member, float) and member.is_integer() else str(member)


def _unpack(raw: bytes | None) -> dict[str, Members]:
    try:
        found = _decode(raw or b"\x80")
    except msgspec.DecodeError:
        return {}
    return {name: tuple(value) if isinstance(value, list) else (value,) for name, value in found.items()}


def _flat(value: object, name: str, depth: int) -> Iterator[tuple[str, Member | None]]:
    """(dotted name, value) of everything in *value*; None for null and for what is empty."""
    if depth > DEPTH_MAX:
        return
    if isinstance(value, dict):
        if not value and name:
            yield name, None
        for key, part in value.items():
            yield from _flat(part, f"{name}.{key}" if name else str(key), depth + 1)
    elif isinstance(value, list):
        if not value:
            yield name, None
        for part in value:
            yield from _flat(part, name, depth + 1)
    elif value is None or isinstance(value, bool):
        yield name, value
    elif isinstance(value, float):
        yield name, None if isnan(value) else value  # NaN does not even equal itself
    elif isinstance(value, int):
        yield name, value if -_WHOLE_MAX <= value < _WHOLE_MAX else str(value)
    elif isinstance(value, str) and len(value) <= TEXT_MAX:
        yield name, value.encode(errors="replace").decode()
