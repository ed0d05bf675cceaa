"""Events in tests: one that differs from another in a few fields, whether its own or of its shape."""

from __future__ import annotations

import msgspec

from correlator.event import Event, Shape

_SHAPED = set(Shape.__struct_fields__)


def changed(event: Event, **fields: object) -> Event:
    """*event* with other *fields*, by their names in `make_event`."""
    shape = msgspec.structs.replace(event.shape, **{n: v for n, v in fields.items() if n in _SHAPED})
    own = {name: value for name, value in fields.items() if name not in _SHAPED}
    return msgspec.structs.replace(event, shape=shape, **own)
