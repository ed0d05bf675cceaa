"""The meter exports the catalogue and nothing else."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from correlator.adapters.prometheus import PrometheusMeter
from correlator.engine.metrics import CATALOGUE, LABEL_VALUES, OTHER, alert_counters, as_markdown, labelled
from correlator.engine.ports import Meter
from correlator.timeline.alert import Alert, Change


def test_counts_sets_and_observes() -> None:
    meter = PrometheusMeter()
    port: Meter = meter
    port.add("correlator_dead_letters_total", 2, stage="intake", reason="bad_magic")
    port.add("correlator_dead_letters_total", 1, reason="missing_field", stage="intake")
    port.set("correlator_state_entries", 7, partition="3")
    port.observe("correlator_transaction_seconds", [0.02, 0.2], stage="correlate")
    assert meter.value("correlator_dead_letters_total", stage="intake", reason="bad_magic") == 2
    assert (
        meter.total("correlator_dead_letters_total")
        == meter.total("correlator_dead_letters_total", stage="intake")
        == 3
    )
    assert meter.value("correlator_state_entries", partition="3") == 7
    text = meter.exposition()[1].decode()
    assert 'correlator_transaction_seconds_bucket{le="0.025",stage="correlate"} 1.0' in text
    assert "process_cpu_seconds_total" in text


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("correlator_nothing_total", {}),
        ("correlator_dead_letters_total", {"stage": "intake"}),
        ("correlator_dead_letters_total", {"stage": "intake", "reason": "x", "badge": "4711"}),
        ("correlator_dead_letters_total", {"stage": "elsewhere", "reason": "x"}),
    ],
)
def test_what_the_catalogue_does_not_have_is_an_error(name: str, labels: dict[str, str]) -> None:
    meter = PrometheusMeter(has_process=False)
    for _ in range(2):
        with pytest.raises((KeyError, ValueError)):
            meter.add(name, 1, **labels)


def test_a_metric_is_of_one_kind() -> None:
    meter = PrometheusMeter(has_process=False)
    with pytest.raises(TypeError, match="no counter"):
        meter.add("correlator_state_entries", 1, partition="0")
    with pytest.raises(TypeError, match="no gauge"):
        meter.set("correlator_events_total", 1, kind="access")
    with pytest.raises(TypeError, match="no histogram"):
        meter.observe("correlator_events_total", [1], kind="access")


def test_series_are_bounded() -> None:
    meter = PrometheusMeter(series_max=3, has_process=False)
    for reason in "abcde":
        meter.add("correlator_dead_letters_total", 1, stage="intake", reason=reason)
    meter.add("correlator_dead_letters_total", 1, stage="intake", reason="a")
    assert meter.value("correlator_dead_letters_total", stage="intake", reason="a") == 2
    assert meter.value("correlator_dead_letters_total", stage=OTHER, reason=OTHER) == 2
    assert meter.total("correlator_dead_letters_total") == 6


def test_every_metric_is_exported_under_its_name() -> None:
    meter = PrometheusMeter(has_process=False)
    for metric in CATALOGUE.values():
        labels = {label: LABEL_VALUES.get(label, ("x",))[0] for label in metric.labels}
        if metric.kind == "counter":
            meter.add(metric.name, 1, **labels)
        elif metric.kind == "gauge":
            meter.set(metric.name, 1, **labels)
        else:
            meter.observe(metric.name, [1], **labels)
    families = list(text_string_to_metric_families(meter.exposition()[1].decode()))
    samples = {sample.name for family in families for sample in family.samples}
    named = {m.name + ("_count" if m.kind == "histogram" else "") for m in CATALOGUE.values()}
    assert named <= samples


def test_the_catalogue_keeps_prometheus_rules() -> None:
    for name, metric in CATALOGUE.items():
        assert name.startswith("correlator_")
        assert (metric.kind == "counter") == name.endswith("_total")
        assert (metric.kind == "histogram") == bool(metric.buckets)
        assert list(metric.buckets) == sorted(metric.buckets)
        assert metric.help.endswith(".")
        assert not {"identity", "badge", "ip", "door", "entity"} & set(metric.labels)
        assert f"| `{name}` |" in as_markdown()


def test_changes_as_counters() -> None:
    alert = Alert("u", "r", "door:d", "high", 0, "e", ())
    opened, closed = Change("create", alert, "u"), Change("close", alert, "u", "retracted")
    assert alert_counters([opened, closed, opened]) == {
        ("correlator_alerts_total", "r", "high", "create"): 2,
        ("correlator_alerts_total", "r", "high", "close"): 1,
        ("correlator_alerts_closed_total", "r", "retracted"): 1,
    }
    meter = PrometheusMeter(has_process=False)
    for key, count in alert_counters([opened, closed]).items():
        name, labels = labelled(key)
        meter.add(name, count, **labels)
    assert meter.total("correlator_alerts_total") == 2


def test_labels_by_position() -> None:
    given = ("correlator_dead_letters_total", "intake", "bad_magic")
    assert labelled(given) == (given[0], {"stage": "intake", "reason": "bad_magic"})
    with pytest.raises(ValueError, match="zip"):
        labelled(("correlator_dead_letters_total", "intake"))
