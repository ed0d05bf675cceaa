"""The worker on the embedded log, held against one run that nobody disturbed."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.embedded import CORRELATE_GROUP, FAST, INTAKE_GROUP, Embedded, with_partitions
from correlator.engine.checkpoint import MANIFEST_KEY, Manifest, decode_manifest
from correlator.engine.ports import Committed, LogUnavailable, TopicPartition
from correlator.event import HOUR_MS, NEVER
from correlator.record import Record
from tests.engine.company import (
    BOUNDED,
    company,
    open_at_end,
    refolded,
    run,
    state,
    system,
    told,
    worker,
)
from tests.findings import Open


class _Crash(BaseException):
    """The process is dead: nothing may catch it."""


@cache
def undisturbed() -> tuple[Open, int]:
    """What is open at the end, and how many effects on the log the run had."""
    embedded = system()
    effects = 0

    def count(_name: str) -> None:
        nonlocal effects
        effects += 1

    embedded.log.on_effect = count
    run(worker(embedded))
    return open_at_end(embedded), effects


def test_alerts_come_out() -> None:
    expected, effects = undisturbed()
    assert len({rule for rule, *_ in expected.values()}) >= 3
    assert effects > 500


def test_everything_read_is_committed_and_nothing_is_left() -> None:
    embedded = system()
    run(worker(embedded))
    assert embedded.lag() == 0
    log = embedded.log
    for tp, committed in log.group(CORRELATE_GROUP).committed.items():
        assert committed.offset == log.partition(tp).next_offset


@pytest.mark.parametrize("part", range(12))
def test_a_process_that_dies_at_any_effect_leaves_nothing_undone_or_done_twice(part: int) -> None:
    """Crash, restart, crash again later: the alerts and the state are those of the undisturbed run."""
    expected, effects = undisturbed()
    embedded = system()
    left = effects * part // 12 + part  # effects until the next crash

    def die(_name: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise _Crash

    embedded.log.on_effect = die
    later = [effects // 5 + 3, effects // 7 + 1]
    only = worker(embedded)
    while True:
        try:
            run(only)
            break
        except _Crash:
            left = later.pop() if later else 1 << 40
            embedded.log.compact(embedded.topics.checkpoints)
            only = worker(embedded)
    assert (told(embedded), state(only)) == refolded(embedded)
    assert open_at_end(embedded) == expected


def test_an_input_that_is_refused_to_us_does_not_keep_the_other_stage_from_its_work() -> None:
    """Its topic was deleted, or the right to read it taken away; other processes may still take inputs."""
    embedded = system()
    only, other = worker(embedded, instance=None), worker(embedded, instance=None)
    assert only._intake is not None

    def refused(_timeout_ms: int, _records_max: int) -> list[Record]:
        raise LogUnavailable("TopicAuthorizationFailedError")

    while not (only.partitions() and other.partitions()):
        only.step()
        other.step()
    only._intake._ports.reader.poll = refused  # type: ignore[assignment]
    assert only._correlate is not None
    tasks = only._correlate.tasks.live
    before = {where: task.offset for where, task in tasks.items()}
    for _ in range(30):
        only.step()
        other.step()
    assert only.health.waiting[0] == "the log does not answer: TopicAuthorizationFailedError"
    assert all(task.offset > before[where] for where, task in tasks.items())


def test_a_second_bounded_read_of_the_same_log_changes_nothing() -> None:
    embedded = system()
    run(worker(embedded))
    before = told(embedded)
    again = worker(embedded)
    run(again)
    assert told(embedded) == before
    assert (before, state(again)) == refolded(embedded)


def test_a_checkpoint_is_one_cut_behind_which_the_log_may_be_forgotten() -> None:
    embedded = system()
    run(worker(embedded))
    before, (_, held) = told(embedded), refolded(embedded)
    log, topics = embedded.log, embedded.topics
    log.compact(topics.checkpoints)
    for number in range(log.partitions(topics.keyed)):
        manifest = _manifest(embedded, number)
        assert manifest.versions == ((NEVER, embedded.bundle.hash),)
        log.truncate(TopicPartition(topics.keyed, number), manifest.offset)
    again = worker(embedded)
    run(again)
    assert told(embedded) == before
    assert state(again) == held


class Ticking(SimulatedClock):
    """A ms passes whenever it is asked."""

    def now_ms(self) -> int:
        self.sleep_ms(1)
        return super().now_ms()


def test_what_a_restart_repeats_is_bounded_over_all_partitions_together() -> None:
    embedded, most_ms = system(), 40
    options = msgspec.structs.replace(
        BOUNDED, checkpoint_ms=HOUR_MS, checkpoint_events=1_000_000, replay_ms_max=most_ms
    )
    only = embedded.worker(PrometheusMeter(has_process=False), options, instance="a", steady=Ticking())
    repeated: list[float] = []
    for _ in range(1_000):
        only.step()
        assert only._correlate is not None
        repeated.append(sum(task.folded_ms for task in only._correlate.tasks.live.values()))
    assert only.is_finished
    assert most_ms - 10 < max(repeated) < most_ms + 10
    assert all(_manifest(embedded, number).offset > 0 for number in range(4))


def test_a_partition_that_takes_no_events_is_checkpointed_too() -> None:
    """Else the log would be deleted behind it: no restart could replay it from its beginning."""
    embedded = Embedded(with_partitions(company().bundle, 64), SimulatedClock(1), {})
    embedded.load_identities(company().identities[:1], 0)
    steady = SimulatedClock(1)
    options = msgspec.structs.replace(FAST, checkpoint_ms=1_000)
    only = embedded.worker(PrometheusMeter(has_process=False), options, steady=steady)
    numbers = range(embedded.log.partitions(embedded.topics.keyed))
    for _ in range(150):
        for clock in (embedded.clock, steady):
            clock.sleep_ms(1_000)  # a tick, which is all that most partitions ever see
        only.step()
    for _ in range(4_000):  # without ticks: until nothing is left to read
        only.step()
        if only.is_caught_up:
            break
    assert all(_manifest(embedded, number).offset > 0 for number in numbers)
    only.finish()
    ends = [embedded.log.partition(TopicPartition(embedded.topics.keyed, n)).next_offset for n in numbers]
    assert [_manifest(embedded, number).offset for number in numbers] == ends


def test_two_workers_share_the_partitions_and_take_over_from_each_other() -> None:
    expected, _ = undisturbed()
    embedded = system()
    first = worker(embedded, instance=None)
    for _ in range(40):
        first.step()
    second = worker(embedded, instance=None)
    for _ in range(15):
        first.step()
        second.step()
    assert len(first.partitions()) == len(second.partitions()) == 2
    second.finish()
    second.close()
    run(first)
    assert open_at_end(embedded) == expected
    assert (told(embedded), state(first)) == refolded(embedded)


def test_a_process_that_was_evicted_cannot_write_any_more() -> None:
    """SIGSTOP beyond the session timeout: the partitions have another owner when it goes on."""
    expected, _ = undisturbed()
    embedded = system()
    zombie = worker(embedded, instance="zombie")
    for _ in range(30):
        zombie.step()
    for name in (INTAKE_GROUP, CORRELATE_GROUP):
        group = embedded.log.group(name)
        embedded.log.evict(name, next(iter(group.members)))
    heir = worker(embedded, instance="heir")
    for _ in range(10):
        heir.step()
    for _ in range(5):
        zombie.step()
        heir.step()
    run(zombie, heir)
    assert open_at_end(embedded) == expected
    assert (told(embedded), state(zombie, heir)) == refolded(embedded)


def test_a_replay_that_differs_is_told_to_the_operator() -> None:
    embedded = system()
    only = worker(embedded)
    for _ in range(30):
        only.step()
    group = embedded.log.group(CORRELATE_GROUP)
    for tp, found in list(group.committed.items()):
        _, _, bundle = found.metadata.split(" ")
        group.committed[tp] = Committed(found.offset, f"1 {12345:08x} {bundle}")
    run(worker(embedded))
    notices = embedded.news(embedded.topics.notices)
    assert [record.key for record in notices if b"did not reproduce" in (record.value or b"")]


def test_what_somebody_else_wrote_to_keyed_is_a_dead_letter_live_and_passed_over_by_a_replay() -> None:
    embedded = system()
    first = worker(embedded)
    for _ in range(30):
        first.step()
    where = TopicPartition(embedded.topics.keyed, 1)
    embedded.log.append(where, b"key", b"hello")
    run(worker(embedded))  # as the same instance: the first one is fenced
    (letter,) = embedded.news(embedded.topics.dead_letters)
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (b"key", b"hello")
    assert headers["correlator.errors.reason"] == b"not_a_frame"
    assert headers["correlator.errors.topic"] == embedded.topics.keyed.encode()
    for number in range(embedded.log.partitions(embedded.topics.checkpoints)):
        checkpoint = TopicPartition(embedded.topics.checkpoints, number)
        embedded.log.truncate(checkpoint, embedded.log.partition(checkpoint).next_offset)
    again = worker(embedded)
    run(again)
    kinds = {(record.key or b"").partition(b":")[0] for record in embedded.news(embedded.topics.notices)}
    assert kinds <= {b"source_never_heard", b"feed_incomplete"}, "the replay gave what had been published"
    assert (told(embedded), state(again)) == refolded(embedded)
    assert open_at_end(embedded) == undisturbed()[0]


def test_an_input_that_lost_records_is_told_of_and_read_from_where_it_begins() -> None:
    embedded = system()
    run(worker(embedded))
    group = embedded.log.group(INTAKE_GROUP)
    where = next(tp for tp in group.committed if tp.topic in embedded.raw)
    committed = group.committed[where]
    group.committed[where] = Committed(committed.offset + 1_000, committed.metadata)
    run(worker(embedded))
    (notice,) = [
        r.value for r in embedded.news(embedded.topics.notices) if (r.value or b"").find(b"lost") > 0
    ]
    assert b"is committed, but the log ends at" in (notice or b"")
    assert open_at_end(embedded) == undisturbed()[0]


def test_the_number_of_partitions_does_not_change_the_open_alerts() -> None:
    expected, _ = undisturbed()
    embedded = system(with_partitions(company().bundle, 1))
    run(worker(embedded))
    assert open_at_end(embedded) == expected


def _manifest(embedded: Embedded, number: int) -> Manifest:
    """The newest one of a partition."""
    where = TopicPartition(embedded.topics.checkpoints, number)
    log = embedded.log.partition(where)
    records, _ = log.fetch(0, log.next_offset, 1 << 30)
    newest = [r.value for r in records if r.key == MANIFEST_KEY][-1]
    return decode_manifest(newest or b"", where)
