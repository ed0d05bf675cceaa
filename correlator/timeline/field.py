"""What a field is that rules may use, before there are any: the type of the rows of the table (`fields`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import msgspec

from correlator.event import EntityKind
from correlator.timeline.live import Scalar
from correlator.timeline.observation import Observation

ValueType = Literal["str", "int", "float", "bool", "raw"]  # raw: whatever a source's own record says
Get = Callable[[Observation], Scalar]

IDENTITY: tuple[EntityKind, ...] = ("identity",)
DOOR: tuple[EntityKind, ...] = ("door",)
ZONE: tuple[EntityKind, ...] = ("zone",)
EVERY: tuple[EntityKind, ...] = get_args(EntityKind)


class Field(msgspec.Struct, frozen=True):
    """*feed*: kind of the feed from which the value concludes something about the past; "" for the event's
    own.

    *behind*: names of fields without which the value says little; whoever quotes the one quotes them too.
    """

    name: str
    value_type: ValueType
    entities: tuple[EntityKind, ...]
    feed: str
    doc: str
    get: Get
    behind: tuple[str, ...] = ()
