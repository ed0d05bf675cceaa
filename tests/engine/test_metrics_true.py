"""Metrics say what is so: what was committed, once; and nothing of partitions that went away."""

from __future__ import annotations

import pytest

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.embedded import Embedded
from tests.engine.company import BOUNDED, committed, run, system


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
