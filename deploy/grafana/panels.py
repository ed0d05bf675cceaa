"""What the dashboards show: tables of panels, each with its queries and what to make of it.

A panel says in its description what is normal and what to do; `docs/failures.md` has the rest. Every query is
run against a real Prometheus by `tests/deploy/test_dashboards.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

OPENED = 'correlator_alerts_total{activity="create"}'


class Query(NamedTuple):
    expr: str
    legend: str = ""


class Panel(NamedTuple):
    """One picture. *bad_from*: of a single number, from where on it is red; None: a graph."""

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    bad_from: float | None = None


class Dashboard(NamedTuple):
    """*rows*: title and panels."""

    uid: str
    title: str
    description: str
    rows: Sequence[tuple[str, Sequence[Panel]]]


def _one(title: str, description: str, unit: str, expr: str, bad_from: float) -> Panel:
    return Panel(title, description, unit, [Query(expr)], bad_from)


def _graph(title: str, description: str, unit: str, *queries: tuple[str, str]) -> Panel:
    return Panel(title, description, unit, [Query(*query) for query in queries])


def _quantile(share: str, metric: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket[$__rate_interval])))"


def _rate(metric: str, by: str = "") -> str:
    return f"sum{f' by ({by}) ' if by else ''}(rate({metric}[$__rate_interval]))"


def _hour(metric: str, by: str) -> str:
    """How often within an hour, the first time of a series included."""
    return f"sum by ({by}) (({metric} unless {metric} offset 1h) or increase({metric}[1h]))"


OVERVIEW = Dashboard(
    "correlator-overview",
    "correlator / overview",
    "Is it well, does it keep up, and what does the SOC get?",
    [
        (
            "Now",
            [
                _one(
                    "Processes not ready",
                    "0. Their /readyz says why.",
                    "none",
                    "count(correlator_ready == 0) or vector(0)",
                    1,
                ),
                _one(
                    "Decisions behind",
                    "Below a few seconds. Above: lag, a hanging transaction, or a process too few.",
                    "s",
                    "time() - min(correlator_now_timestamp_seconds)",
                    300,
                ),
                _one(
                    "Lag",
                    "Records not read yet, over all topics. A backlog after an outage shrinks by itself.",
                    "short",
                    "sum(correlator_consumer_lag_records)",
                    10_000,
                ),
                _one(
                    "Verdicts waiting",
                    "Of rules that rest on absence, for a feed to be complete. See the dashboard of feeds.",
                    "none",
                    "sum(max by (feed, site) (correlator_feed_decisions_waiting)) or vector(0)",
                    100,
                ),
                _one(
                    "Silent sources",
                    "Controllers and gateways not heard of. `correlator feeds status` names them.",
                    "none",
                    'sum(max by (feed, state) (correlator_feed_sources{state!="live"})) or vector(0)',
                    1,
                ),
                _one(
                    "Inputs stopped",
                    "0. Partitions not read on after too many dead letters in a row.",
                    "none",
                    "sum(correlator_inputs_stopped) or vector(0)",
                    1,
                ),
            ],
        ),
        (
            "What the SOC gets",
            [
                _graph(
                    "New alerts an hour, by severity",
                    "Changes on the alert topic that open an alert.",
                    "none",
                    (_hour(OPENED, "severity"), "{{severity}}"),
                ),
                _graph(
                    "New alerts an hour, by rule",
                    "The ten busiest. Above a hundred: CorrelatorAlertFlood. Back-test it, or shadow it.",
                    "none",
                    (f"topk(10, {_hour(OPENED, 'rule_id')})", "{{rule_id}}"),
                ),
                _graph(
                    "From arrival to alert",
                    "The record that completed it, until the alert was made. Settled rules wait on purpose.",
                    "s",
                    (_quantile("0.5", "correlator_detection_latency_seconds"), "median"),
                    (_quantile("0.99", "correlator_detection_latency_seconds"), "99 %"),
                ),
            ],
        ),
        (
            "What comes in",
            [
                _graph(
                    "Events",
                    "Accepted by intake. A kind that drops to nothing: see silent sources.",
                    "eps",
                    (_rate("correlator_events_total", "kind"), "{{kind}}"),
                ),
                _graph(
                    "Not used",
                    "Dead letters by reason, and events refused. `correlator dead-letters list` shows them.",
                    "eps",
                    (_rate("correlator_dead_letters_total", "stage, reason"), "{{stage}}: {{reason}}"),
                    (_rate("correlator_events_refused_total", "reason"), "refused: {{reason}}"),
                    (
                        _rate("correlator_records_lost_total", "topic"),
                        "deleted before it was read: {{topic}}",
                    ),
                ),
                _graph(
                    "People",
                    "Events an hour of badges and accounts of nobody: a step up, and identities are late.",
                    "none",
                    (_hour("correlator_identities_unresolved_total", "feed"), "of nobody: {{feed}}"),
                    ("max(correlator_identities_refused)", "identities refused"),
                    ("max(correlator_credentials_contested)", "badges and accounts that several claim"),
                ),
            ],
        ),
    ],
)

FEEDS = Dashboard(
    "correlator-feeds",
    "correlator / feeds and rules",
    "What is silent, whose clock is off, what waits for it, and which rules fail.",
    [
        (
            "Feeds",
            [
                _graph(
                    "Complete to, behind the clock",
                    "How far back in time a feed is complete at a site. One that grows is silent.",
                    "s",
                    (
                        "time() - max by (feed, site) (correlator_feed_complete_timestamp_seconds)",
                        "{{feed}} {{site}}",
                    ),
                ),
                _graph(
                    "Silence",
                    "Log time since a feed was heard of at a site. Nights are learned by hour of the week.",
                    "s",
                    ("max by (feed, site) (correlator_feed_silence_seconds)", "{{feed}} {{site}}"),
                ),
                _graph(
                    "Verdicts waiting",
                    "Told when the feed comes back within the horizon, else counted as inconclusive.",
                    "none",
                    ("max by (feed, site) (correlator_feed_decisions_waiting)", "{{feed}} {{site}}"),
                ),
                _graph(
                    "Sources",
                    "By state, of those that sites.yml lists or that were heard.",
                    "none",
                    ("max by (feed, state) (correlator_feed_sources)", "{{feed}}: {{state}}"),
                ),
                _graph(
                    "Clocks",
                    "What the clock of a source is off. Beyond 60 s it contradicts nobody: set its clock.",
                    "s",
                    (
                        "topk(10, max by (feed, source) (abs(correlator_source_skew_seconds)) > 5)",
                        "{{source}}",
                    ),
                    ("sum(max by (feed) (correlator_sources_quarantined))", "sources quarantined"),
                ),
                _graph(
                    "Order",
                    "Late, twice, ahead of their arrival, moved to another person.",
                    "eps",
                    (_rate("correlator_records_late_total"), "late"),
                    (_rate("correlator_duplicates_total"), "twice"),
                    (
                        _rate("correlator_events_clamped_total"),
                        "ahead of their arrival",
                    ),
                    (_rate("correlator_events_moved_total"), "moved"),
                ),
            ],
        ),
        (
            "Rules",
            [
                _graph(
                    "In force",
                    "By state. Warming ones do not remember as much yet as they look back.",
                    "none",
                    ("max by (state) (correlator_rules)", "{{state}}"),
                ),
                _graph(
                    "Bundles",
                    "Processes by bundle: more than one for long means that some do not switch.",
                    "none",
                    ("count by (stage, bundle) (correlator_bundle_info == 1)", "{{stage}} {{bundle}}"),
                ),
                _graph(
                    "Shadow alerts an hour",
                    "What rules that are tried out would have told.",
                    "none",
                    (_hour('correlator_shadow_alerts_total{activity="create"}', "rule_id"), "{{rule_id}}"),
                ),
                _graph(
                    "Closed an hour",
                    "By reason. `retracted`: late evidence explained it away.",
                    "none",
                    (_hour("correlator_alerts_closed_total", "reason"), "{{reason}}"),
                ),
                _graph(
                    "Inconclusive an hour",
                    "Verdicts never told, because a feed stayed incomplete.",
                    "none",
                    (_hour("correlator_rule_inconclusive_total", "rule_id"), "{{rule_id}}"),
                ),
                _graph(
                    "Inert and mismatched an hour",
                    "A rule held where what it requires is missing; or compared values of another type.",
                    "none",
                    (_hour("correlator_rule_inert_total", "rule_id"), "inert: {{rule_id}}"),
                    (_hour("correlator_rule_type_mismatches_total", "rule_id"), "mismatched: {{rule_id}}"),
                ),
            ],
        ),
    ],
)

RUNTIME = Dashboard(
    "correlator-runtime",
    "correlator / runtime",
    "Kafka, state and processes.",
    [
        (
            "Flow",
            [
                _graph(
                    "Records",
                    "Read from each topic.",
                    "rps",
                    (_rate("correlator_records_consumed_total", "stage, topic"), "{{stage}} {{topic}}"),
                ),
                _graph(
                    "Lag",
                    "Records not read yet. If it grows for long: more processes, up to one a partition.",
                    "short",
                    ("sum by (stage, topic) (correlator_consumer_lag_records)", "{{stage}} {{topic}}"),
                ),
                _graph(
                    "Log time behind the clock",
                    "Of each partition. One of them alone: its owner, or a transaction that hangs.",
                    "s",
                    (
                        "time() - max by (partition) (correlator_now_timestamp_seconds)",
                        "partition {{partition}}",
                    ),
                ),
            ],
        ),
        (
            "Transactions and ownership",
            [
                _graph(
                    "Transactions",
                    "By result. Fenced ones, if they go on: two processes have one instance id.",
                    "ops",
                    (_rate("correlator_transactions_total", "stage, result"), "{{stage}}: {{result}}"),
                ),
                _graph(
                    "Time of a transaction",
                    "From begin to the end of commit; some 10 ms on a broker that is near.",
                    "s",
                    (_quantile("0.5", "correlator_transaction_seconds", "stage"), "{{stage}}, median"),
                    (_quantile("0.99", "correlator_transaction_seconds", "stage"), "{{stage}}, 99 %"),
                ),
                _graph(
                    "Partitions and rebalances",
                    "Owned by each process, together as many as the keyed topic has; changes within an hour.",
                    "none",
                    ("max(correlator_partitions)", "keyed"),
                    ("sum by (stage, instance) (correlator_partitions_assigned)", "{{stage}} {{instance}}"),
                    (_hour("correlator_rebalances_total", "stage"), "{{stage}}, rebalances"),
                ),
            ],
        ),
        (
            "State",
            [
                _graph(
                    "Checkpoints",
                    "From freezing a partition to its manifest.",
                    "s",
                    (_quantile("0.99", "correlator_checkpoint_seconds"), "99 %"),
                ),
                _graph(
                    "Written to checkpoints",
                    "The topic is compacted: it holds one image of each partition and what changed since.",
                    "Bps",
                    (_rate("correlator_checkpoint_bytes_total"), "bytes"),
                ),
                _graph(
                    "Restores",
                    "Records left to read before a partition is live. Stuck if it does not shrink.",
                    "short",
                    ("sum by (partition) (correlator_restore_remaining_records)", "partition {{partition}}"),
                    (
                        _hour("correlator_replay_differs_total", "partition"),
                        "differs: partition {{partition}}",
                    ),
                ),
                _graph(
                    "Entities",
                    "Persons, doors, zones, hosts, sources that are remembered, by partition.",
                    "short",
                    ("max by (partition) (correlator_state_entries)", "partition {{partition}}"),
                ),
                _graph(
                    "Kinds of events told apart",
                    "Above 100,000 a feed writes what differs from event to event into a reason.",
                    "short",
                    ("max by (partition) (correlator_state_shapes)", "partition {{partition}}"),
                ),
                _graph(
                    "Memory and processor",
                    "Resident bytes, and cores in use, of each process.",
                    "short",
                    ('process_resident_memory_bytes{job="correlator"}', "{{instance}}, bytes"),
                    (
                        'rate(process_cpu_seconds_total{job="correlator"}[$__rate_interval])',
                        "{{instance}}, cores",
                    ),
                ),
            ],
        ),
    ],
)

DASHBOARDS = (OVERVIEW, FEEDS, RUNTIME)
