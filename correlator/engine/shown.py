"""Gauges that are told together, again and again: what is not told again is gone, and shown no longer."""

from __future__ import annotations

from collections.abc import Mapping

from correlator.engine.metrics import labelled
from correlator.engine.ports import Meter


class Shown:
    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._keys: set[tuple[str, ...]] = set()

    def tell(self, found: Mapping[tuple[str, ...], float]) -> None:
        """*found*: by name and labels, as of `metrics.labelled`."""
        for key in self._keys - found.keys():
            name, labels = labelled(key)
            self._meter.remove(name, **labels)
        for key, value in found.items():
            name, labels = labelled(key)
            self._meter.set(name, value, **labels)
        self._keys = set(found)
