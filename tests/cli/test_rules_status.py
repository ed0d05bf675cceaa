"""`correlator rules status`: how many alerts each rule told, live or in shadow."""

from __future__ import annotations

import pytest

from correlator.adapters.memory.clients import MemoryLogReader
from correlator.alerts.ocsf import Source, alert_record
from correlator.cli.rules_status import hits_of
from correlator.engine.ports import TopicPartition
from tests.alerts import shapes
from tests.engine.company import system

NOW_MS = 1_772_440_445_000


@pytest.mark.parametrize(("live_ms", "shadow_ms", "found"), [(1, 0, (1, 0)), (0, 1, (0, 1)), (0, 0, (1, 0))])
def test_an_alert_counts_where_it_was_told_last(live_ms: int, shadow_ms: int, found: tuple[int, int]) -> None:
    """A rule goes live with `deploy --since`: what it told in shadow is told again, under the same uid."""
    embedded, shape = system(), shapes.d05()
    for topic, at_ms in ((embedded.topics.alerts, live_ms), (embedded.topics.shadow, shadow_ms)):
        source = Source("b", NOW_MS + at_ms)
        record = alert_record(shape.change, shape.evidence, shape.rule, shape.person, source)
        embedded.log.append(TopicPartition(topic, 0), record.key, record.value)
    (hits,) = hits_of(MemoryLogReader(embedded.log), embedded.topics, lambda _: 0).values()
    assert (hits.open, hits.shadow) == found
