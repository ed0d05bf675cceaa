"""What `run --embedded` keeps while it runs for days."""

from __future__ import annotations

import pytest

from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.company import LiveCompany
from correlator.cli.run_embedded import SHOW_S, _Show
from correlator.engine.ports import TopicPartition
from correlator.event import HOUR_MS
from correlator.simulate.company import CompanySettings


@pytest.mark.parametrize("as_json", [False, True])
def test_what_was_read_by_everybody_is_forgotten(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    meter = PrometheusMeter(has_process=False)
    company = LiveCompany(meter, CompanySettings(days=2, people=20, seed=5, scenarios=0))
    show = _Show(company.embedded, company.worker, meter, as_json=as_json)
    log, topics = company.embedded.log, company.embedded.topics
    kept = [*company.embedded.raw, topics.keyed, topics.alerts, topics.shadow, topics.notices]
    for topic in (topics.shadow, topics.notices):
        log.append(TopicPartition(topic, 0), b"key", b"value")
    for _ in range(12):
        company.advance(company.clock.now_ms() + HOUR_MS)
        show.alerts()
        show._shown_s -= SHOW_S
        show.status()
    for topic in kept:
        logs = [log.partition(TopicPartition(topic, n)) for n in range(log.partitions(topic))]
        assert max(each.next_offset - each.begin_offset for each in logs) < 5, topic
    assert company.embedded.lag() == 0
