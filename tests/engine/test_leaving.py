"""SIGTERM: commit, checkpoint, leave, also when a transaction comes to nothing on the way out."""

from __future__ import annotations

from tests.engine.company import open_at_end, refolded, run, state, system, told, worker


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
