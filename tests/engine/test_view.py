"""Looking at the state changes nothing, and shows what the owner of the partitions has, or will have soon."""

from __future__ import annotations

from itertools import count

from correlator.adapters.memory.clients import MemoryLogReader
from correlator.cli.embedded import Embedded
from correlator.engine.ports import TopicPartition
from correlator.engine.view import Progress, view, view_entity
from correlator.event import partition_of
from tests.engine.company import State, image, refolded, run, system, worker


def seen(embedded: Embedded) -> State:
    log = MemoryLogReader(embedded.log)
    found = view(log, embedded.topics, embedded.bundles())
    return {restored.partition.number: image(restored.partition) for restored in found}


def ends(embedded: Embedded) -> dict[str, list[int]]:
    topics = embedded.topics
    return {
        topic: [
            embedded.log.partition(TopicPartition(topic, number)).next_offset
            for number in range(embedded.log.partitions(topic))
        ]
        for topic in (topics.keyed, topics.checkpoints, topics.alerts, topics.notices)
    }


def test_it_is_the_state_of_who_owns_the_partitions_and_writes_nothing() -> None:
    embedded = system()
    for steps in (12, 25, 40):
        only = worker(embedded, instance=None)
        for _ in range(steps):
            only.step()
        before, members = ends(embedded), only._correlate._ports.reader.membership()  # type: ignore[union-attr]
        assert seen(embedded) == refolded(embedded)[1]
        assert ends(embedded) == before
        only.step()
        assert only._correlate._ports.reader.membership() == members  # type: ignore[union-attr]
        only.finish()
        only.close()
    run(worker(embedded))
    assert seen(embedded) == refolded(embedded)[1]


def test_a_checkpoint_written_meanwhile_is_no_refusal() -> None:
    embedded = system()
    only, log = worker(embedded), MemoryLogReader(embedded.log)
    for _ in range(12):
        only.step()
    ask, asked = log.high_watermark, count()

    def high_watermark(partition: TopicPartition) -> int:
        """The owner goes on between two questions of the one who looks."""
        if partition.topic == embedded.topics.checkpoints and next(asked) == 0:
            for _ in range(30):
                only.step()
            only.finish()
        return ask(partition)

    log.high_watermark = high_watermark  # type: ignore[method-assign]
    found = {r.partition.number: image(r.partition) for r in view(log, embedded.topics, embedded.bundles())}
    assert found == refolded(embedded)[1]
    assert next(asked) == len(found) + 1  # one was asked for twice


def test_one_entity_needs_its_partition_only() -> None:
    embedded, told = system(), list[Progress]()
    run(worker(embedded))
    whole = view(MemoryLogReader(embedded.log), embedded.topics, embedded.bundles())
    entity = next(iter(next(whole).partition.timelines))
    found = view_entity(
        MemoryLogReader(embedded.log), embedded.topics, embedded.bundles(), entity, told=told.append
    )
    assert entity in found.partition.timelines
    number = partition_of(entity, embedded.bundle.intake.partitions)
    assert {(each.partition, each.done, each.total) for each in told} == {(number, 0, 1)}
