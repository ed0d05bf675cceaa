"""An event joined with what its entity did before: what rules see.

Context is computed on demand, from the live state *before* the event, and never stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from correlator.event import Event
from correlator.timeline.live import Live, Scalar
from correlator.timeline.settings import Settings

NOTHING: Mapping[str, Scalar] = MappingProxyType({})


class Observation(msgspec.Struct, gc=False):
    """*as_of_ms* is the event's time, or event time + grace when a settled verdict is taken.

    *seen* overrides fields by name: what a settled rule saw at the event and must not take again later.
    *cache* holds context groups (travel, presence) once computed; it is nobody else's business.
    """

    entity: str
    event: Event
    live: Live
    settings: Settings
    as_of_ms: int
    seen: Mapping[str, Scalar] = NOTHING
    cache: dict[str, object] = {}
