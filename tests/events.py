"""Events in tests: one that differs from another in a few fields, whether its own or of its shape."""

from __future__ import annotations

from typing import Any

import msgspec

from correlator.event import Event, Shape

# What a read says that let somebody in, and of which it is known that they went.
GRANTED: dict[str, Any] = {"outcome": "granted", "reason": "granted", "taken": "taken", "direction": "in"}

_SHAPED = set(Shape.__struct_fields__)


def changed(event: Event, **fields: object) -> Event:
    """*event* with other *fields*, by their names in `make_event`."""
    shape = msgspec.structs.replace(event.shape, **{n: v for n, v in fields.items() if n in _SHAPED})
    own = {name: value for name, value in fields.items() if name not in _SHAPED}
    return msgspec.structs.replace(event, shape=shape, **own)
