"""The catalogue of metrics as Prometheus series: the meter of production.

A name, label or label value that the catalogue does not have is an error at once, so tests find
it. Label sets are bounded per metric: beyond `SERIES_MAX` further ones are counted under `other`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from correlator.engine.metrics import CATALOGUE, OTHER, SERIES_MAX, Metric, check_labels

Child = Counter | Gauge | Histogram


class PrometheusMeter:
    """Implements `engine.ports.Meter` on a registry of its own. Safe to scrape from another thread."""

    def __init__(
        self,
        catalogue: Mapping[str, Metric] = CATALOGUE,
        *,
        series_max: int = SERIES_MAX,
        has_process: bool = True,
    ) -> None:
        """*has_process*: also export `process_*` and `python_gc_*`."""
        self._registry = CollectorRegistry()
        self._catalogue, self._series_max = catalogue, series_max
        self._metrics = {name: self._registered(metric) for name, metric in catalogue.items()}
        self._children: dict[tuple[str, tuple[str, ...]], Child] = {}
        self._series = dict.fromkeys(catalogue, 0)
        if has_process:
            ProcessCollector(registry=self._registry)
            GCCollector(registry=self._registry)

    def add(self, name: str, value: float, **labels: str) -> None:
        """Count *value* more. Raises KeyError, ValueError, TypeError for what the catalogue does not have."""
        child = self._child(name, labels)
        if not isinstance(child, Counter):
            raise TypeError(f"{name} is no counter")
        child.inc(value)

    def set(self, name: str, value: float, **labels: str) -> None:
        child = self._child(name, labels)
        if not isinstance(child, Gauge):
            raise TypeError(f"{name} is no gauge")
        child.set(value)

    def remove(self, name: str, **labels: str) -> None:
        """The series of a gauge; those beyond `SERIES_MAX` are one, and stay."""
        given = self._given(name, labels)
        child = self._children.get((name, given))
        if child is None:
            return
        if not isinstance(child, Gauge):
            raise TypeError(f"{name} is no gauge")
        if given:
            self._metrics[name].remove(*given)
            del self._children[name, given]
            self._series[name] -= 1

    def observe(self, name: str, values: Sequence[float], **labels: str) -> None:
        child = self._child(name, labels)
        if not isinstance(child, Histogram):
            raise TypeError(f"{name} is no histogram")
        for value in values:
            child.observe(value)

    def value(self, name: str, **labels: str) -> float:
        """Of a counter or gauge, 0 before it was set: for the live view and for tests."""
        found = self._registry.get_sample_value(name, labels)
        return found if found is not None else 0.0

    def total(self, name: str, **labels: str) -> float:
        """Sum of a counter's or gauge's series that have *labels*."""
        return sum(
            sample.value
            for family in self._metrics[name].collect()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def exposition(self) -> tuple[str, bytes]:
        """(content type, text) as Prometheus scrapes it."""
        return CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self._registry)

    def _child(self, name: str, labels: Mapping[str, str]) -> Child:
        given = self._given(name, labels)
        child = self._children.get((name, given))
        if child is not None and len(labels) == len(given):
            return child
        check_labels(name, labels)
        if given and self._series[name] >= self._series_max:
            given = (OTHER,) * len(given)
        metric = self._metrics[name]
        child = metric.labels(*given) if given else metric
        if (name, given) not in self._children:
            self._children[name, given] = child
            self._series[name] += 1
        return child

    def _given(self, name: str, labels: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(labels[label] for label in self._catalogue[name].labels if label in labels)

    def _registered(self, metric: Metric) -> Child:
        labels, registry = metric.labels, self._registry
        if metric.kind == "counter":
            return Counter(metric.name, metric.help, labels, registry=registry)
        if metric.kind == "gauge":
            return Gauge(metric.name, metric.help, labels, registry=registry)
        return Histogram(metric.name, metric.help, labels, buckets=metric.buckets, registry=registry)
