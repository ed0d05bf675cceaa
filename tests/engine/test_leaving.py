"""SIGTERM: commit, checkpoint, leave, also when a transaction comes to nothing on the way out."""

from __future__ import annotations

import msgspec

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.prometheus import PrometheusMeter
from correlator.engine.ports import CommitAborted
from tests.engine.company import BOUNDED, open_at_end, refolded, run, state, system, told, worker


def test_a_checkpoint_that_is_fenced_on_the_way_out_does_not_spoil_the_others() -> None:
    """The first one takes longer than a transaction may: its partition is dropped, and so is every other."""
    embedded = system()
    leaver = worker(embedded)
    for _ in range(60):
        leaver.step()
    fenced: list[str] = []

    def stall(name: str) -> None:
        if name == "send_offsets" and not fenced:
            fenced.append(name)
            embedded.log.clock.sleep_ms(11_000)
            embedded.log.expire_transactions()

    embedded.log.on_effect = stall
    leaver.finish()
    leaver.close()
    assert fenced
    heir = worker(embedded)
    run(heir)
    assert (told(embedded), state(heir)) == refolded(embedded)
    assert open_at_end(embedded)


def test_who_leaves_does_not_wait_for_a_log_that_is_away() -> None:
    """Each attempt takes as long as a broker is waited for: another one would not help."""
    embedded, steady = system(), SimulatedClock(1)
    meter = PrometheusMeter(has_process=False)
    leaver = embedded.worker(
        meter, msgspec.structs.replace(BOUNDED, attempts_max=5), instance="a", steady=steady
    )
    for _ in range(60):
        leaver.step()
    began: list[str] = []

    def away(name: str) -> None:
        if name == "produce":
            began.append(name)
            steady.sleep_ms(9_000)
            raise CommitAborted("no answer")

    embedded.log.on_effect = away
    leaver.finish()
    leaver.close()
    assert len(began) == 1
    embedded.log.on_effect = lambda _name: None
    heir = worker(embedded)
    run(heir)
    assert (told(embedded), state(heir)) == refolded(embedded)
