"""Every metric of the program: one table, from which adapters export and the documentation is made.

A metric that is not here cannot be set, and a label that is not here cannot be given. Base units, `_total`,
`_seconds`, `_bytes`. Labels are bounded: closed sets below, else names from the configuration;
never a person, badge, address or door. Their order counts: pure stages give values by position.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from correlator.timeline.alert import Change

MetricKind = Literal["counter", "gauge", "histogram"]

SERIES_MAX = (
    2_000  # label sets of one metric; more are counted under OTHER, so that no mistake can fill a memory
)
OTHER = "other"

STAGES = ("intake", "correlate")
LABEL_VALUES: dict[str, tuple[str, ...]] = {
    "stage": STAGES,
    "result": ("committed", "aborted", "fenced", "unknown"),
    "severity": ("informational", "low", "medium", "high", "critical"),
    "activity": ("create", "update", "close"),
}

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LATENCY = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
_AGE = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 4 * 3600.0, 24 * 3600.0)
_RECORDS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0)


class Metric(msgspec.Struct, frozen=True):
    """One row of the catalogue. *buckets* of a histogram are upper bounds in the metric's unit, ascending."""

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"correlator_{name}", "counter", text, labels)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"correlator_{name}", "gauge", text, labels)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Metric:
    return Metric(f"correlator_{name}", "histogram", text, labels, buckets)


_TABLE: tuple[Metric, ...] = (
    # the process and its bundle
    _gauge("build_info", "1, with the versions in its labels.", "version", "python", "kafka_python"),
    _gauge("bundle_info", "1 for the bundle of rules and configuration in force, else 0.", "stage", "bundle"),
    _gauge("rules", "Rules by state: active, shadow, warming (they are active or shadow, too).", "state"),
    _gauge("main_loop_timestamp_seconds", "When the main loop last came round.", "stage"),
    _gauge("ready", "1 while /readyz answers 200, else 0: it says why."),
    # records and events
    _counter("records_consumed_total", "Records read from a topic.", "stage", "topic"),
    _counter("records_lost_total", "Records of inputs that were deleted before they were read.", "topic"),
    _counter("events_total", "Events accepted by intake.", "kind"),
    _counter(
        "events_clamped_total", "Events whose time was ahead of their arrival and was set to it.", "feed"
    ),
    _counter(
        "events_refused_total", "Events not inserted: too_late (beyond the horizon), saturated.", "reason"
    ),
    _counter("records_late_total", "Events that came out of order, within the horizon."),
    _counter("marks_went_back_total", "Statements of arrival that went back and were ignored."),
    _counter("events_moved_total", "Events that turned out to belong to somebody else's timeline."),
    _counter("facts_total", "What entities told each other: asserted, retracted.", "operation"),
    _counter("duplicates_total", "Events whose id the timeline already held.", "feed"),
    _counter("identities_unresolved_total", "Events whose badge or account belongs to nobody known.", "feed"),
    _gauge("identities_refused", "Identities whose newest record is refused; the one before it holds."),
    _gauge("credentials_contested", "Badges and accounts that several people claim for one time."),
    _counter("dead_letters_total", "Records refused; original bytes in the dead letters.", "stage", "reason"),
    # rules and alerts
    _counter(
        "rule_type_mismatches_total", "Comparisons that could not be made and counted as no match.", "rule_id"
    ),
    _counter(
        "rule_inconclusive_total",
        "Verdicts not told because a feed stayed incomplete.",
        "rule_id",
    ),
    _counter(
        "rule_inert_total",
        "Events at which a rule held, but what it requires is not there at the site.",
        "rule_id",
    ),
    _counter("alerts_total", "Changes published: create, update, close.", "rule_id", "severity", "activity"),
    _counter(
        "shadow_alerts_total",
        "Changes published of rules that are tried out.",
        "rule_id",
        "severity",
        "activity",
    ),
    _counter("alerts_closed_total", "Alerts closed, by reason.", "rule_id", "reason"),
    _histogram(
        "detection_latency_seconds", "Alert emitted less arrival of the record that completed it.", _LATENCY
    ),
    _histogram(
        "alert_event_age_seconds", "Alert emitted less time of its event; includes late uploads.", _AGE
    ),
    # time and completeness
    _gauge(
        "now_timestamp_seconds",
        "Log time of a partition: everything that arrived before is folded.",
        "partition",
    ),
    _gauge("event_newest_timestamp_seconds", "Newest event time of a feed.", "feed"),
    _gauge("feed_complete_timestamp_seconds", "What a feed is complete to at a site.", "feed", "site"),
    _gauge("feed_decisions_waiting", "Verdicts that wait for a feed to be complete.", "feed", "site"),
    _gauge("feed_sources", "Sources of a feed at its sites: live, silent, never_heard.", "feed", "state"),
    _gauge("feed_silence_seconds", "Log time since a feed was heard of at a site.", "feed", "site"),
    _gauge("source_skew_seconds", "What the clock of a source is off, ahead if positive.", "feed", "source"),
    _gauge(
        "sources_quarantined", "Sources whose clock is off by so much that they contradict nobody.", "feed"
    ),
    # Kafka
    _gauge(
        "consumer_lag_records",
        "Records between the position and the end of the log.",
        "stage",
        "topic",
        "partition",
    ),
    _gauge("inputs_stopped", "Input partitions not read on, after too many dead letters in a row."),
    _gauge("partitions", "Partitions of the keyed topic: those of all processes that correlate together."),
    _gauge("partitions_assigned", "Partitions that this process owns.", "stage"),
    _counter("rebalances_total", "Assignments changed.", "stage", "kind"),
    _counter("transactions_total", "Transactions by result.", "stage", "result"),
    _histogram("transaction_seconds", "From begin to the end of commit.", _SECONDS, "stage"),
    _histogram("transaction_records", "Records sent in one transaction.", _RECORDS, "stage"),
    # state
    _gauge("state_entries", "Timelines held.", "partition"),
    _gauge("state_shapes", "Kinds of events that differ in place, source, outcome and words.", "partition"),
    _counter("entities_saturated_total", "Times that a timeline above its cap folded its oldest half early."),
    _counter("checkpoints_total", "Checkpoints written.", "partition"),
    _counter("checkpoint_bytes_total", "Bytes written to the checkpoint topic.", "partition"),
    _histogram("checkpoint_seconds", "From freezing a partition to its manifest.", _SECONDS, "partition"),
    _gauge("restore_remaining_records", "Records left to read before a partition is live.", "partition"),
    _histogram("restore_seconds", "From assignment to live.", _SECONDS, "partition"),
    _counter(
        "replay_differs_total", "Restores whose replay did not reproduce what was published.", "partition"
    ),
)

CATALOGUE: Mapping[str, Metric] = {metric.name: metric for metric in _TABLE}


def check_labels(name: str, labels: Mapping[str, str]) -> None:
    """Raises KeyError for an unknown metric, ValueError for labels or values that its row does not have."""
    metric = CATALOGUE[name]
    if labels.keys() != set(metric.labels):
        raise ValueError(f"{name} has labels {metric.labels}, not {tuple(labels)}")
    for label, value in labels.items():
        known = LABEL_VALUES.get(label)
        if known is not None and value not in known:
            raise ValueError(f"{name}: label {label} is one of {known}, not {value!r}")


def labelled(key: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """`("correlator_events_total", "access")` of a pure stage's counters as name and labels, by position."""
    name, *values = key
    return name, dict(zip(CATALOGUE[name].labels, values, strict=True))


def alert_counters(changes: Iterable[Change]) -> dict[tuple[str, ...], int]:
    """What *changes* add to `alerts_total` and `alerts_closed_total`, as counters of `labelled`."""
    counters: dict[tuple[str, ...], int] = {}
    for change in changes:
        alert = change.alert
        name = "correlator_shadow_alerts_total" if alert.is_shadow else "correlator_alerts_total"
        keys: list[tuple[str, ...]] = [(name, alert.rule, alert.severity, change.activity)]
        if change.activity == "close" and not alert.is_shadow:
            keys.append(("correlator_alerts_closed_total", alert.rule, change.reason))
        for key in keys:
            counters[key] = counters.get(key, 0) + 1
    return counters


def as_markdown() -> str:
    """The catalogue as the table in docs/operations.md."""
    rows = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for metric in _TABLE:
        labels = ", ".join(metric.labels) or "–"
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |")
    return "\n".join(rows) + "\n"
