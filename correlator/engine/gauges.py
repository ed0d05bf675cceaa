"""What operators see of the correlating stage: feeds, verdicts that wait, how old alerts are when told.

Told at most once a second, from the partitions that this process folds. Nothing here reaches an alert.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from correlator.engine.options import Ports
from correlator.engine.shown import Shown
from correlator.event import NEVER, SECOND_MS
from correlator.frame import Frame
from correlator.pipeline import InForce
from correlator.rules.program import RuleProgram
from correlator.timeline.alert import Change
from correlator.timeline.partition import Partition
from correlator.timeline.program import Program
from correlator.timeline.standing import standings

TELL_MS = 1_000

Found = dict[tuple[str, ...], float]  # gauges, as of `metrics.labelled`


class Gauges:
    """*ports* of the correlating stage; its *clock* is the wall's."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._told_ms = 0
        self._bundles: set[str] = set()  # that were told once: they go back to 0
        self._waiting: set[tuple[str, str]] = set()  # feed and site that were told once: they go back to 0
        self._off: set[tuple[str, str]] = set()  # feed and source whose clock was off once: they go back to 0
        self._told: dict[tuple[str, str, str], int] = {}  # bundle, counter, rule
        self._shown = Shown(ports.meter)
        self._emitted: list[tuple[int, int]] = []  # (arrival, decided) of alerts not committed yet

    def folded(self, frame: Frame, changes: Iterable[Change]) -> None:
        """Alerts that a frame created are timed when they are committed."""
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
        partitions, forces = [partition for partition, _ in tasks], [force for _, force in tasks]
        newest_ms = max((partition.now_ms for partition in partitions), default=NEVER)
        found = _of_partitions(partitions) | self._of_feeds(partitions)
        found |= self._of_sources(partitions[0]) if partitions else {}
        for force in forces:
            if force.versions:
                found["correlator_partitions",] = force.versions[-1][1].intake.partitions
        self._shown.tell(found | self._of_bundles(forces) | _of_rules(forces, newest_ms))
        self.tell_counted({b.hash: b.program for force in forces for _, b in force.versions})

    def _of_feeds(self, partitions: list[Partition]) -> Found:
        waiting: dict[tuple[str, str], int] = dict.fromkeys(self._waiting, 0)
        newest: dict[str, int] = {}
        complete: dict[tuple[str, str], int] = {}
        for partition in partitions:
            for key, count in partition.wakes.count().items():
                waiting[key] = waiting.get(key, 0) + count
            feeds = {timing.feed: timing.kind for timing in partition.marks.settings.feeds}
            for feed, event_ms in partition.marks.newest().items():
                if feed in feeds:
                    newest[feed] = max(event_ms, newest.get(feed, NEVER))
            for key, complete_ms in partition.marks.complete.items():
                if key[0] in feeds.values():
                    complete[key] = max(complete_ms, complete.get(key, NEVER))
        self._waiting |= waiting.keys()
        return (
            {("correlator_feed_decisions_waiting", *key): count for key, count in waiting.items()}
            | _timestamps("correlator_feed_complete_timestamp_seconds", complete)
            | _timestamps(
                "correlator_event_newest_timestamp_seconds", {(feed,): ms for feed, ms in newest.items()}
            )
        )

    def _of_sources(self, partition: Partition) -> Found:
        """Of all sources; every partition knows the same of them."""
        found: Found = {}
        sources = standings(partition.marks)
        states = Counter((s.feed, s.state) for s in sources)
        off = {(s.feed, s.source) for s in sources if s.is_quarantined}
        alive: dict[tuple[str, str], int] = {}
        for source in sources:
            place, name = (source.feed, source.site), (source.feed, source.source)
            alive[place] = max(source.alive_ms, alive.get(place, NEVER))
            if source.skew_ms or name in self._off:
                self._off.add(name)
                found["correlator_source_skew_seconds", *name] = source.skew_ms / SECOND_MS
        for feed in {s.feed for s in sources}:
            found["correlator_sources_quarantined", feed] = sum(feed == of for of, _ in off)
            for state in ("live", "silent", "never_heard"):
                found["correlator_feed_sources", feed, state] = states[feed, state]
        for place, alive_ms in alive.items():
            if alive_ms > NEVER:
                seconds = max(0, partition.now_ms - alive_ms) / SECOND_MS
                found["correlator_feed_silence_seconds", *place] = seconds
        return found

    def _of_bundles(self, forces: Sequence[InForce]) -> Found:
        bundles = {force.hash for force in forces if force.versions}
        self._bundles |= bundles
        return {
            ("correlator_bundle_info", "correlate", bundle): bundle in bundles for bundle in self._bundles
        }

    def tell_counted(self, programs: Mapping[str, Program], *, by_replay: bool = False) -> None:
        """What programs count by rule. *programs*: by the bundle's hash; each counts on as long as we live,
        also while nobody here folds by it. *by_replay*: since this was called last, so it was told before.
        """
        of_rules = [
            (bundle, program) for bundle, program in programs.items() if isinstance(program, RuleProgram)
        ]
        for bundle, program in of_rules:
            for name, counts in _COUNTED.items():
                for rule, count in counts(program).items():
                    told, self._told[bundle, name, rule] = self._told.get((bundle, name, rule), 0), count
                    if count > told and not by_replay:
                        self._ports.meter.add(name, count - told, rule_id=rule)


def _timestamps(name: str, found: Mapping[tuple[str, str], int] | Mapping[tuple[str], int]) -> Found:
    return {(name, *key): at_ms / SECOND_MS for key, at_ms in found.items() if at_ms > NEVER}


def _of_partitions(partitions: Iterable[Partition]) -> Found:
    found: Found = {}
    for partition in partitions:
        number = str(partition.number)
        found["correlator_state_entries", number] = len(partition.timelines)
        found["correlator_state_shapes", number] = len(partition.codes)
        if partition.now_ms > NEVER:
            found["correlator_now_timestamp_seconds", number] = partition.now_ms / SECOND_MS
    return found


def _of_rules(forces: Sequence[InForce], now_ms: int) -> Found:
    """What is in force, as the partition says that switched last."""
    newest = max((f for f in forces if f.versions), key=lambda f: f.versions[-1][0], default=None)
    if newest is None:
        return {}
    rules = newest.versions[-1][1].program.rules.values()
    return {
        ("correlator_rules", "active"): sum(not rule.is_shadow for rule in rules),
        ("correlator_rules", "shadow"): sum(rule.is_shadow for rule in rules),
        ("correlator_rules", "warming"): len(newest.warming(now_ms)),
    }


_COUNTED: dict[str, Callable[[RuleProgram], Mapping[str, int]]] = {
    "correlator_rule_type_mismatches_total": lambda program: program.mismatches,
    "correlator_rule_inert_total": lambda program: program.inert,
}
