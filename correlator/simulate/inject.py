"""Writes one scenario into the day that ordinary life has already filled."""

from __future__ import annotations

from correlator.simulate.contradictions import CONTRADICTIONS
from correlator.simulate.forced import FORCED
from correlator.simulate.misuse import MISUSE
from correlator.simulate.scene import Scene, Write
from correlator.simulate.wire import stated_id

_WRITE: dict[str, Write] = CONTRADICTIONS | MISUSE | FORCED


def inject(scene: Scene) -> None:
    """Write the scene's scenario; its event ids and times are filled in."""
    records = _WRITE[scene.scenario.variant](scene)
    scenario = scene.scenario
    scenario.event_ids = [stated_id(record) for record in records]
    scenario.from_ms = min((r.time_ms for r in records), default=0)
    scenario.to_ms = max((r.time_ms for r in records), default=0)
