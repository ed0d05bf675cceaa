"""From a decoded record to `Mapped`: the closure that a feed file becomes. `familiar` has a shorter way.

Total: every record gives an event or a heartbeat, None if it is ignored, or a `Reject` that names the field.
What a source need not say is concluded here: the class of a credential from the kind, whether a person was
there from the logon type, duress from its BACnet reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import msgspec

from correlator.event import Kind
from correlator.intake import canonical, convert, decode
from correlator.intake.canonical import CANONICAL, REQUIRED
from correlator.intake.decode import Decoded
from correlator.intake.instants import Unfit
from correlator.intake.mapped import Heartbeat, Mapped
from correlator.intake.values import Take
from correlator.intake.words import INTERACTIVE_LOGON_TYPES
from correlator.record import Record, Reject

Map = Callable[[Decoded, Record], Mapped | Heartbeat | Reject | None]

REASONS = decode.REASONS | convert.REASONS | canonical.REASONS  # all that mapping can refuse for

FEED_KINDS: tuple[Kind, ...] = ("access", "login", "door")
IGNORE = "ignore"  # word of a kind's table for records that are none of ours
HEARTBEAT = "heartbeat"  # for records that say that their source is alive
SEPARATOR = "\x1f"  # between the parts of an id: no text that `check_text` lets through contains it


class Row(msgspec.Struct, frozen=True):
    """A field of the feed: how to take it, and where the file takes it from: in words, unconverted, and as
    the name of a field of the record, "" for longer ways.
    """

    name: str
    take: Take
    said: str
    raw: Take
    key: str = ""
    is_text: bool = False  # a plain field, and any text will do (`canonical.check_text`)


class Plan(msgspec.Struct, frozen=True):
    """All that a feed file says of mapping. *kind* gives a kind or what else there is, *id* is None for the
    offset.
    """

    feed: str
    kind: Row
    time: Row
    source: Row
    id: tuple[Row, ...] | None
    fields: tuple[Row, ...]


_mapped: Callable[..., Mapped] = Mapped


def make_map(plan: Plan) -> Map:
    """The mapping of one feed's decoded records: take, convert, check."""
    finish: dict[object, Callable[[Decoded], dict[str, object]]] = {
        kind: _make_fields(kind, plan.fields) for kind in FEED_KINDS
    }
    kind_of, time_of, source_of = required(plan.kind), required(plan.time), required(plan.source)
    id_of = make_id(plan.id)
    feed = plan.feed

    def map_decoded(decoded: Decoded, record: Record) -> Mapped | Heartbeat | Reject | None:
        try:
            kind = kind_of(decoded)
            if kind == IGNORE:
                return None
            if kind == HEARTBEAT:
                return Heartbeat(cast("str", source_of(decoded)), feed)
            time_ms, native_id, source = time_of(decoded), id_of(decoded, record), source_of(decoded)
            return _mapped(time_ms, native_id, kind, source, feed, **finish[kind](decoded))
        except Unfit as unfit:
            return Reject("map", unfit.reason, str(unfit))

    return map_decoded


def required(row: Row) -> Take:
    """*row*, which has to give something."""
    take, name, said = row.take, row.name, row.said

    def take_required(decoded: Decoded) -> object:
        try:
            found = take(decoded)
        except Unfit as unfit:
            raise Unfit(unfit.reason, f"{name}: {unfit}") from None
        if found is None:
            raise Unfit("missing_field", f"{name} is missing: nothing at {said}")
        return found

    return take_required


def make_id(rows: tuple[Row, ...] | None) -> Callable[[Decoded, Record], object]:
    """What the event's id is made of, joined."""
    if rows is None:
        return _offset
    parts = [required(row) for row in rows]
    if len(parts) == 1:
        (only,) = parts
        return lambda decoded, _: only(decoded)
    return lambda decoded, _: SEPARATOR.join([str(part(decoded)) for part in parts])


def _offset(_: Decoded, record: Record) -> object:
    return f"{record.topic}/{record.partition}/{record.offset}"


def _make_fields(kind: Kind, rows: tuple[Row, ...]) -> Callable[[Decoded], dict[str, object]]:
    steps = [
        (row.name, CANONICAL[row.name].attribute, row.take)
        for row in rows
        if kind in CANONICAL[row.name].kinds
    ]
    said = {row.name: row.said for row in rows}
    required = [tuple((CANONICAL[name].attribute, name) for name in group) for group in REQUIRED[kind]]
    conclude = _CONCLUDE[kind]

    def take_fields(decoded: Decoded) -> dict[str, object]:
        fields: dict[str, object] = {}
        reading = ""
        try:
            for name, attribute, take in steps:
                reading = name
                found = take(decoded)
                if found is not None:
                    fields[attribute] = found
        except Unfit as unfit:
            raise Unfit(unfit.reason, f"{reading}: {unfit}") from None
        for group in required:
            if not any(attribute in fields for attribute, _ in group):
                raise _missing([name for _, name in group], said)
        conclude(fields)
        return fields

    return take_fields


def _missing(names: list[str], said: Mapping[str, str]) -> Unfit:
    where = ", ".join(said[name] for name in names if name in said)
    return Unfit("missing_field", f"{' or '.join(names)} is missing: nothing at {where}")


def _conclude_access(fields: dict[str, object]) -> None:
    fields.setdefault("credential_class", "card")
    if fields.get("reason") == "duress":
        fields["duress"] = True


def _conclude_login(fields: dict[str, object]) -> None:
    fields["credential_class"] = "account"
    fields["activity"] = "logon"
    if "is_interactive" not in fields:
        fields["is_interactive"] = fields.get("logon_type") in INTERACTIVE_LOGON_TYPES


def _conclude_door(_: dict[str, object]) -> None:
    """A door says what it did; nothing follows from it."""


_CONCLUDE: dict[Kind, Callable[[dict[str, object]], None]] = {
    "access": _conclude_access,
    "login": _conclude_login,
    "door": _conclude_door,
}


def canonical_fields(mapped: Mapped) -> dict[str, object]:
    """What *mapped* says, under canonical names: what samples expect and people are shown."""
    found: dict[str, object] = {}
    for name, row in CANONICAL.items():
        value = getattr(mapped, row.attribute)
        if mapped.kind in row.kinds and value != _DEFAULTS[row.attribute]:
            found[name] = value
    return found


_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Mapped)}
