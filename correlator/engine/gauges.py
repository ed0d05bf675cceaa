"""What operators see of the correlating stage: feeds, verdicts that wait, how old alerts are when told.

Told at most once a second, from the partitions that this process folds. Nothing here reaches an alert.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from correlator.engine.metrics import alert_counters, labelled
from correlator.engine.options import Ports
from correlator.event import NEVER, SECOND_MS
from correlator.frame import Frame
from correlator.pipeline import InForce
from correlator.rules.program import RuleProgram
from correlator.timeline.alert import Change
from correlator.timeline.partition import Partition
from correlator.timeline.program import Program

TELL_MS = 1_000


class Gauges:
    """*ports* of the correlating stage; its *clock* is the wall's."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._told_ms = 0
        self._bundles: set[str] = set()  # that were told once: they go back to 0
        self._waiting: set[tuple[str, str]] = set()  # feed and site that were told once: they go back to 0
        self._off: set[tuple[str, str]] = set()  # feed and source whose clock was off once: they go back to 0
        self._told: dict[str, dict[str, int]] = {name: {} for name in _COUNTED}
        self._emitted: list[tuple[int, int]] = []  # (arrival, decided) of alerts not committed yet

    def folded(self, frame: Frame, changes: Iterable[Change]) -> None:
        """Count what a frame changed; its alerts are timed when they are committed."""
        changes = list(changes)
        self.add(alert_counters(changes))
        arrival_ms = max((arrival.arrival_ms for arrival in frame.arrivals), default=NEVER)
        if arrival_ms > NEVER:
            created = (c.alert for c in changes if c.activity == "create" and not c.alert.is_shadow)
            self._emitted += [(arrival_ms, alert.decided_ms) for alert in created]

    def committed(self) -> None:
        """The alerts are told now."""
        now_ms, emitted, self._emitted = self._ports.clock.now_ms(), self._emitted, []
        if emitted:
            latency = [max(0, now_ms - arrival_ms) / SECOND_MS for arrival_ms, _ in emitted]
            self._ports.meter.observe("correlator_detection_latency_seconds", latency)
            age = [max(0, now_ms - decided_ms) / SECOND_MS for _, decided_ms in emitted]
            self._ports.meter.observe("correlator_alert_event_age_seconds", age)

    def dropped(self) -> None:
        """They are not: they will be folded again."""
        self._emitted = []

    def tell(self, tasks: Sequence[tuple[Partition, InForce]]) -> None:
        now_ms = self._ports.steady.now_ms()
        if now_ms - self._told_ms < TELL_MS:
            return
        self._told_ms = now_ms
        if tasks:
            self._tell_sources(tasks[0][0])
        else:
            self._forget_feeds()
        self._tell_feeds([partition for partition, _ in tasks])
        self._tell_rules([force for _, force in tasks], max((p.now_ms for p, _ in tasks), default=NEVER))
        self._tell_counted({id(b): b.program for _, force in tasks for _, b in force.versions}.values())

    def add(self, counters: Mapping[tuple[str, ...], int]) -> None:
        for key, count in counters.items():
            name, labels = labelled(key)
            self._ports.meter.add(name, count, **labels)

    def _forget_feeds(self) -> None:
        """Who has no partition hears of no source any more: what it knew last is not how they are."""
        for name in _OF_FEEDS:
            self._ports.meter.forget(name)
        self._off.clear()

    def _tell_feeds(self, partitions: list[Partition]) -> None:
        meter = self._ports.meter
        waiting: dict[tuple[str, str], int] = dict.fromkeys(self._waiting, 0)
        newest: dict[str, int] = {}
        complete: dict[tuple[str, str], int] = {}
        for partition in partitions:
            for key, count in partition.wakes.count().items():
                waiting[key] = waiting.get(key, 0) + count
            for feed, event_ms in partition.marks.newest().items():
                newest[feed] = max(event_ms, newest.get(feed, NEVER))
            for key, complete_ms in partition.marks.complete.items():
                complete[key] = max(complete_ms, complete.get(key, NEVER))
        self._waiting |= waiting.keys()
        for (feed, site), count in waiting.items():
            meter.set("correlator_feed_decisions_waiting", count, feed=feed, site=site)
        for (feed, site), complete_ms in complete.items():
            if complete_ms > NEVER:
                seconds = complete_ms / SECOND_MS
                meter.set("correlator_feed_complete_timestamp_seconds", seconds, feed=feed, site=site)
        for feed, event_ms in newest.items():
            meter.set("correlator_event_newest_timestamp_seconds", event_ms / SECOND_MS, feed=feed)

    def _tell_sources(self, partition: Partition) -> None:
        """Of all sources; every partition knows the same of them."""
        meter, standings = self._ports.meter, partition.marks.standings()
        states = Counter((s.feed, s.state) for s in standings)
        off = {(s.feed, s.source) for s in standings if s.is_quarantined}
        quarantined = {s.feed: sum(feed == s.feed for feed, _ in off) for s in standings}
        alive: dict[tuple[str, str], int] = {}
        for source in standings:
            place, name = (source.feed, source.site), (source.feed, source.source)
            alive[place] = max(source.alive_ms, alive.get(place, NEVER))
            if source.skew_ms or name in self._off:
                self._off.add(name)
                skew_s = source.skew_ms / SECOND_MS
                meter.set("correlator_source_skew_seconds", skew_s, feed=name[0], source=name[1])
        for feed, count in quarantined.items():
            meter.set("correlator_sources_quarantined", count, feed=feed)
            for state in ("live", "silent", "never_heard"):
                meter.set("correlator_feed_sources", states[feed, state], feed=feed, state=state)
        for (feed, site), alive_ms in alive.items():
            if alive_ms > NEVER:
                seconds = max(0, partition.now_ms - alive_ms) / SECOND_MS
                meter.set("correlator_feed_silence_seconds", seconds, feed=feed, site=site)

    def _tell_rules(self, forces: Sequence[InForce], now_ms: int) -> None:
        """What is in force, as the partition says that switched last."""
        bundles = {force.hash for force in forces}
        for bundle in bundles | self._bundles:
            self._ports.meter.set(
                "correlator_bundle_info", bundle in bundles, stage="correlate", bundle=bundle
            )
        self._bundles |= bundles
        newest = max((f for f in forces if f.versions), key=lambda f: f.versions[-1][0], default=None)
        if newest is not None:
            rules = newest.versions[-1][1].program.rules.values()
            warming = newest.warming(now_ms)
            counts = {
                "active": sum(not rule.is_shadow for rule in rules),
                "shadow": sum(rule.is_shadow for rule in rules),
                "warming": len(warming),
            }
            for state, count in counts.items():
                self._ports.meter.set("correlator_rules", count, state=state)

    def _tell_counted(self, programs: Iterable[Program]) -> None:
        """What programs count by rule."""
        of_rules = [program for program in programs if isinstance(program, RuleProgram)]
        for name, counts in _COUNTED.items():
            counted: Counter[str] = Counter()
            for program in of_rules:
                counted.update(counts(program))
            told, self._told[name] = self._told[name], dict(counted)
            for rule, count in counted.items():
                if count > told.get(rule, 0):
                    self._ports.meter.add(name, count - told.get(rule, 0), rule_id=rule)


_OF_FEEDS = (
    "correlator_event_newest_timestamp_seconds",
    "correlator_feed_complete_timestamp_seconds",
    "correlator_feed_silence_seconds",
    "correlator_feed_sources",
    "correlator_source_skew_seconds",
    "correlator_sources_quarantined",
)

_COUNTED: dict[str, Callable[[RuleProgram], Mapping[str, int]]] = {
    "correlator_rule_type_mismatches_total": lambda program: program.mismatches,
    "correlator_rule_inert_total": lambda program: program.inert,
}
