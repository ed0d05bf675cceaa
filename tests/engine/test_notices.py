"""What operators are told on the notices topic, by the stages on the embedded log."""

from __future__ import annotations

import json

import pytest

from correlator.cli.embedded import Embedded
from correlator.engine.ports import TopicPartition
from tests.engine.company import committed, run, system, worker


def states(embedded: Embedded) -> dict[str, str]:
    """By key, what the newest notice says."""
    notices = committed(embedded, embedded.topics.notices)
    return {(r.key or b"").decode(): json.loads(r.value or b"{}").get("state", "") for r in notices}


@pytest.mark.parametrize("nth", range(4))
def test_a_notice_in_a_transaction_that_came_to_nothing_is_told_with_the_next(nth: int) -> None:
    """Fenced, its partitions are restored, and fold the same frames again."""
    calm, embedded = system(), system()
    run(worker(calm))
    notices = embedded.log.partition(TopicPartition(embedded.topics.notices, 0))
    written, left = 0, nth

    def fence(name: str) -> None:
        nonlocal written, left
        if name == "send_offsets" and notices.next_offset > written:
            written, left = notices.next_offset, left - 1
            if left == -1:
                embedded.log.clock.sleep_ms(11_000)
                embedded.log.expire_transactions()

    embedded.log.on_effect = fence
    run(worker(embedded))
    assert left < 0, "there was such a transaction"
    assert states(embedded) == states(calm)
