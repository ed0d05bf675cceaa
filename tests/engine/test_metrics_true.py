"""Metrics say what is so: what was committed, once; and nothing of partitions that went away."""

from __future__ import annotations

import re

import msgspec
import pytest

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.embedded import Embedded
from correlator.engine.ports import AssignmentChange, TopicPartition
from correlator.engine.worker import Worker
from correlator.event import FOREVER, Event
from correlator.rules.program import RuleProgram
from correlator.timeline.live import Live
from correlator.timeline.program import Found
from tests.engine.company import BOUNDED, committed, run, system

NO_CHECKPOINTS = msgspec.structs.replace(
    BOUNDED, checkpoint_ms=FOREVER, checkpoint_events=FOREVER, replay_ms_max=FOREVER
)


def counted(embedded: Embedded) -> PrometheusMeter:
    """Of one process that runs to the end."""
    meter = PrometheusMeter(has_process=False)
    run(embedded.worker(meter, BOUNDED, instance="a", steady=SimulatedClock(1)))
    return meter


@pytest.mark.parametrize("every", [7, 10])
def test_what_was_in_a_fenced_transaction_is_counted_when_it_is_committed(every: int) -> None:
    calm, embedded = system(), system()
    commits = 0

    def fence(name: str) -> None:
        nonlocal commits
        commits += name == "send_offsets"
        if name == "send_offsets" and commits % every == 0:
            embedded.log.clock.sleep_ms(11_000)
            embedded.log.expire_transactions()

    expected = counted(calm)
    embedded.log.on_effect = fence
    found = counted(embedded)
    assert found.total("correlator_transactions_total", result="fenced") > 10
    alerts, facts = embedded.topics.alerts, "correlator_facts_total"
    assert found.total("correlator_alerts_total") == len(committed(embedded, alerts)) > 0
    for name in ("correlator_events_total", facts):
        assert found.total(name) == expected.total(name) > 0, name


class Ticking(SimulatedClock):
    """Every look at it takes 90 ms: gauges are told, and a step restores no more than a slice."""

    def now_ms(self) -> int:
        self.sleep_ms(90)
        return super().now_ms()


def process(embedded: Embedded) -> tuple[Worker, PrometheusMeter]:
    meter = PrometheusMeter(has_process=False)
    return embedded.worker(meter, BOUNDED, steady=Ticking(1)), meter


def told_of(meter: PrometheusMeter, name: str, **labels: str) -> dict[str, float]:
    """By partition or feed, what a gauge says."""
    found: dict[str, float] = {}
    for line in meter.exposition()[1].decode().splitlines():
        wanted = all(f'{label}="{value}"' in line for label, value in labels.items())
        if line.startswith(f"{name}{{") and wanted:
            label = re.search(r'(?:partition|feed)="([^"]*)"', line)
            assert label is not None
            found[label[1]] = float(line.rpartition(" ")[2])
    return found


def told(of: Worker, most: int = 4) -> None:
    """Gauges of as many partitions."""
    assert of._correlate is not None
    of._steady.sleep_ms(1_000)
    tasks = list(of._correlate.tasks.live.values())[:most]
    of._correlate._gauges.tell([(task.partition, task.force) for task in tasks])


def test_of_a_partition_that_went_away_nothing_is_told_any_more() -> None:
    """Its log time stood still: whoever looks at the smallest one was told that decisions are late."""
    embedded = system()
    first, meter = process(embedded)
    for _ in range(60):
        first.step()
    gauges: tuple[tuple[str, dict[str, str]], ...] = (
        ("correlator_now_timestamp_seconds", {}),
        ("correlator_state_entries", {}),
        ("correlator_consumer_lag_records", {"stage": "correlate"}),
    )
    for name, labels in gauges:
        assert len(told_of(meter, name, **labels)) == 4, name
    second, _ = process(embedded)
    for _ in range(100):
        first.step()
        second.step()
    mine = {str(partition.number) for partition in first.partitions()}
    assert len(mine) == 2
    for name, labels in gauges:
        assert told_of(meter, name, **labels).keys() == mine, name


def test_a_restore_that_was_given_up_has_nothing_left_to_read() -> None:
    embedded = system()
    run(process(embedded)[0])
    second, meter = process(embedded)
    while not any(told_of(meter, "correlator_restore_remaining_records").values()):
        second.step()
    (restoring,) = [n for n, left in told_of(meter, "correlator_restore_remaining_records").items() if left]
    where = TopicPartition(embedded.topics.keyed, int(restoring))
    assert second._correlate is not None
    second._correlate.tasks.apply([AssignmentChange(revoked=(where,))], ())
    second._correlate.tasks.advance()
    assert not told_of(meter, "correlator_restore_remaining_records").get(restoring)


def test_of_a_feed_that_was_taken_out_nothing_is_told_any_more() -> None:
    only, meter = process(system())
    while not told_of(meter, "correlator_feed_silence_seconds", feed="door"):
        only.step()
    of_feeds = ("feed_sources", "sources_quarantined", "event_newest_timestamp_seconds")
    names = [f"correlator_{name}" for name in of_feeds]
    for name in names:
        assert told_of(meter, name, feed="door"), name
    for partition in only.partitions():
        settings = partition.program.settings
        feeds = tuple(feed for feed in settings.feeds if feed.feed != "door")
        partition.marks.use(msgspec.structs.replace(settings, feeds=feeds))
    told(only)
    for name in names:
        assert told_of(meter, name, feed="badge"), name
        assert not told_of(meter, name, feed="door"), name


def test_what_rules_count_is_counted_once_whoever_has_the_partitions_meanwhile() -> None:
    only, meter = process(system())
    while len(only.partitions()) < 4 or not all(each.program.rules for each in only.partitions()):
        only.step()
    program = only.partitions()[0].program
    assert isinstance(program, RuleProgram)
    program.mismatches["a-rule"] = 3
    for most in (4, 0, 4, 1, 4):
        told(only, most)
    assert meter.total("correlator_rule_type_mismatches_total") == 3


def test_what_rules_count_is_not_counted_again_by_a_restore(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that cannot make its comparison at any event; without a checkpoint everything is replayed."""
    embedded, evaluate = system(), RuleProgram.on_event

    def counting(self: RuleProgram, entity: str, event: Event, live: Live) -> Found | None:
        self.mismatches["a-rule"] = self.mismatches.get("a-rule", 0) + 1
        return evaluate(self, entity, event, live)

    monkeypatch.setattr(RuleProgram, "on_event", counting)
    counts = embedded.bundle.program
    assert isinstance(counts, RuleProgram)
    name, never = "correlator_rule_type_mismatches_total", NO_CHECKPOINTS
    totals = []
    for _ in range(2):
        counts.mismatches.clear()
        meter = PrometheusMeter(has_process=False)
        run(embedded.worker(meter, never, steady=Ticking(1)))
        totals.append((counts.mismatches["a-rule"] > 100, meter.total(name) > 100))
    assert totals == [(True, True), (True, False)]


def test_records_that_were_deleted_before_they_were_read_are_counted_once() -> None:
    embedded = system()
    first = embedded.worker(
        PrometheusMeter(has_process=False), BOUNDED, instance="a", steady=SimulatedClock(1)
    )
    while not (begun := embedded.log.group("correlator-intake").committed):
        first.step()
    where = next(tp for tp in begun if tp.topic == "badge-events")
    first.finish()
    first.close()
    taken = embedded.log.group("correlator-intake").committed[where].offset
    embedded.log.truncate(where, taken + 5)
    assert counted(embedded).total("correlator_records_lost_total") == 5
    assert counted(embedded).total("correlator_records_lost_total") == 0
