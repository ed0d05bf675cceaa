"""A partition changes hands while somebody still restores it."""

from __future__ import annotations

from correlator.cli.embedded import CORRELATE_GROUP
from correlator.engine.ports import TopicPartition
from tests.engine.company import open_at_end, refolded, run, state, system, told, worker


def test_a_zombie_that_restores_does_not_refuse_what_its_successor_has_written() -> None:
    """Stopped between the committed offset and the checkpoint, it finds a newer checkpoint."""
    embedded = system()
    first = worker(embedded, instance=None)
    for _ in range(30):
        first.step()
    first.finish()
    first.close()
    zombie, heir = worker(embedded, instance=None), worker(embedded, instance=None)
    assert zombie._correlate is not None
    log = zombie._correlate._ports.log
    ask, stopped = log.high_watermark, list[int]()

    def stop(partition: TopicPartition) -> int:
        """The others go on meanwhile, and the zombie's session times out."""
        if partition.topic == embedded.topics.checkpoints and not stopped:
            stopped.append(1)
            mine = zombie._correlate._ports.reader.membership().member  # type: ignore[union-attr]
            embedded.log.evict(CORRELATE_GROUP, mine)
            for _ in range(60):
                heir.step()
            heir.finish()
        return ask(partition)

    log.high_watermark = stop  # type: ignore[method-assign]
    for _ in range(10):
        heir.step()
        zombie.step()
    assert stopped
    run(zombie, heir)
    assert (told(embedded), state(zombie, heir)) == refolded(embedded)
    assert open_at_end(embedded)
