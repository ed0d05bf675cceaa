"""Every way in which the engine refuses to go on, provoked: the message says what is wrong and what to do.

Each case spoils the log of a run that has ended, and starts a worker on it. The table is whole: a refusal
that no case reaches fails the last test.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from correlator import frame
from correlator.adapters.clock import SimulatedClock
from correlator.adapters.memory.clients import MemoryLogReader, MemoryTransactionalWriter
from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.embedded import CORRELATE_GROUP, Embedded, with_partitions
from correlator.engine import checkpoint
from correlator.engine.bundles import ACTIVE_KEY, Activated, Bundles
from correlator.engine.checkpoint import MANIFEST_KEY, Manifest, decode_manifest
from correlator.engine.deploy import Edges, deploy
from correlator.engine.ports import Committed, CommitUnknown, Membership, TopicPartition
from correlator.engine.topics import EngineRefusal, Topics
from correlator.engine.view import view
from correlator.models import scorer
from correlator.timeline import state
from tests.engine.company import BOUNDED, run, system, worker
from tests.engine.states import begin, export, forget


class Ticking(SimulatedClock):
    """A millisecond later each time it is asked."""

    def now_ms(self) -> int:
        self.sleep_ms(1)
        return super().now_ms()


ENGINE = Path(checkpoint.__file__).parent
P = 1  # the partition that is spoilt

_encode = msgspec.msgpack.Encoder().encode


def the_bundle_is_gone(embedded: Embedded) -> None:
    embedded._known.clear()
    log = embedded.log.partition(_bundles(embedded))
    log.truncate(log.next_offset)


def the_bundle_is_damaged(embedded: Embedded) -> None:
    embedded._known.clear()
    embedded.log.append(_bundles(embedded), embedded.bundle.hash.encode(), b"\xc1")


def another_version_stored_the_bundle(embedded: Embedded) -> None:
    """This one cannot compile it."""
    embedded._known.clear()


def what_is_active_is_damaged(embedded: Embedded) -> None:
    embedded.log.append(_bundles(embedded), ACTIVE_KEY, b"\xc1")


def a_partition_was_added(embedded: Embedded) -> None:
    logs = embedded.log._topics[embedded.topics.keyed]
    embedded.log._topics[embedded.topics.keyed] = [*logs, type(logs[0])(embedded.topics.keyed, len(logs))]


def the_committed_offset_is_gone(embedded: Embedded) -> None:
    embedded.log.group(CORRELATE_GROUP).committed.clear()


def the_committed_offset_was_reset(embedded: Embedded) -> None:
    group, where = embedded.log.group(CORRELATE_GROUP), _keyed(embedded)
    group.committed[where] = Committed(1, group.committed[where].metadata)


def somebody_set_the_offset_to_the_end(embedded: Embedded) -> None:
    """Not all that lies before it was folded."""
    frame = _records(embedded, _keyed(embedded))[-1]
    embedded.log.append(_keyed(embedded), None, frame.value)
    end = embedded.log.partition(_keyed(embedded)).next_offset
    embedded.log.group(CORRELATE_GROUP).committed[_keyed(embedded)] = Committed(end, "")


def keyed_does_not_reach_back(embedded: Embedded) -> None:
    """All of it was deleted, and so was the checkpoint."""
    _forget_checkpoint(embedded)
    log = embedded.log.partition(_keyed(embedded))
    log.truncate(log.next_offset)


def keyed_was_created_anew(embedded: Embedded) -> None:
    """By which Kafka forgets what was committed, too."""
    keyed_lost_records(embedded)
    del embedded.log.group(CORRELATE_GROUP).committed[_keyed(embedded)]


def keyed_lost_records(embedded: Embedded) -> None:
    logs = embedded.log._topics[embedded.topics.keyed]
    logs[P] = type(logs[P])(embedded.topics.keyed, P)
    embedded.log.append(_keyed(embedded), None, b"")


def records_of_the_checkpoint_were_deleted(embedded: Embedded) -> None:
    """The manifest is the last record of a checkpoint; entities before it are gone."""
    where = _checkpoints(embedded)
    newest = _records(embedded, where)[-1]
    assert newest.key == MANIFEST_KEY
    embedded.log.truncate(where, newest.offset)


def somebody_else_wrote_to_the_checkpoint(embedded: Embedded) -> None:
    embedded.log.append(_checkpoints(embedded), b"key", b"hello")


def an_entity_is_damaged(embedded: Embedded) -> None:
    where = _checkpoints(embedded)
    key = next(record.key for record in _records(embedded, where) if record.key != MANIFEST_KEY)
    embedded.log.append(where, key, b"\xc1")


def the_manifest_is_damaged(embedded: Embedded) -> None:
    embedded.log.append(_checkpoints(embedded), MANIFEST_KEY, b"\xc1")


def a_newer_version_wrote_the_checkpoint(embedded: Embedded) -> None:
    embedded.log.append(_checkpoints(embedded), MANIFEST_KEY, _encode([checkpoint.FORMAT.number + 1, "new"]))


def a_newer_version_wrote_the_state(embedded: Embedded) -> None:
    _rewrite(embedded, lambda rest: _encode([state.FORMAT + 1, *msgspec.msgpack.decode(rest)[1:]]))


def a_newer_version_wrote_the_models(embedded: Embedded) -> None:
    def newer(rest: bytes) -> bytes:
        known = state.load_rest(rest)
        models = _encode([scorer.FORMAT.number + 1, *msgspec.msgpack.decode(known.scorer)[1:]])
        return _encode(msgspec.structs.replace(known, scorer=models))

    _rewrite(embedded, newer)


def a_newer_version_wrote_a_frame(embedded: Embedded) -> None:
    embedded.log.append(_keyed(embedded), None, _encode([frame.FORMAT.number + 1, "new"]))


CASES: dict[Callable[[Embedded], None], str] = {
    the_bundle_is_gone: r"bundles: bundle \w+ is not there, but .* name it. Restore the topic from a backup",
    the_bundle_is_damaged: r"bundles: bundle \w+ cannot be read: .*`correlator deploy` stores it again",
    another_version_stored_the_bundle: r"cannot be used here: .*If another version deployed it, run",
    what_is_active_is_damaged: r"bundles: the record 'active' cannot be read: .*Restore it from a backup",
    a_partition_was_added: "has 5 partitions, but this state was made when it had 4.*with the old number",
    the_committed_offset_is_gone: r"no committed offset.*offset of group correlator.correlate to \d+:",
    the_committed_offset_was_reset: r"the group only at 1: its offset was reset. .*`correlator state offsets",
    somebody_set_the_offset_to_the_end: r"folded, and never told of. .*`correlator state offsets DIR`",
    keyed_does_not_reach_back: r"it begins at offset \d+, the state needs it from 0.*state import DIR FILE",
    keyed_was_created_anew: r"the log ends at offset 1, but was read up to \d+: the topic was created anew",
    keyed_lost_records: r"the log ends at offset 1, but was read up to \d+: the topic was created anew",
    records_of_the_checkpoint_were_deleted: r"it holds 0 entities of \d+.*`correlator topics check`",
    somebody_else_wrote_to_the_checkpoint: r"it holds \d+ entities of \d+. Somebody else wrote to it",
    an_entity_is_damaged: r"/1: the checkpoint is damaged: a record of it cannot be read.*state forget DIR",
    the_manifest_is_damaged: "/1: the checkpoint is damaged: no manifest.*state forget DIR",
    a_newer_version_wrote_the_checkpoint: r"checkpoint format \d+, this version reads \d+: .*upgrade",
    a_newer_version_wrote_the_state: r"state format \d+, this version reads 4 to \d+: .*upgrade",
    a_newer_version_wrote_the_models: r"models format \d+, this version reads \d+: .*upgrade",
    a_newer_version_wrote_a_frame: r"keyed/1 offset \d+: frame format \d+, .*upgrade correlator",
}
reached: set[tuple[str, int]] = set()


@pytest.fixture(autouse=True)
def _noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each refusal is made goes to `reached`."""

    def init(self: EngineRefusal, *arguments: object) -> None:
        frame = sys._getframe(1)
        reached.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
        Exception.__init__(self, *arguments)

    monkeypatch.setattr(EngineRefusal, "__init__", init)


@pytest.mark.parametrize(("spoil", "message"), CASES.items(), ids=lambda case: getattr(case, "__name__", ""))
def test_it_is_refused(spoil: Callable[[Embedded], None], message: str) -> None:
    embedded = system()
    run(worker(embedded))
    spoil(embedded)
    with pytest.raises(EngineRefusal, match=message):
        run(worker(embedded))


def test_a_refusal_does_not_wait_until_all_others_are_restored() -> None:
    """It counts when it comes again after a poll."""
    embedded = system()
    run(worker(embedded))
    keyed_does_not_reach_back(embedded)
    for number in range(embedded.log.partitions(embedded.topics.keyed)):
        where = TopicPartition(embedded.topics.checkpoints, number)
        embedded.log.truncate(where, embedded.log.partition(where).next_offset)
    options = msgspec.structs.replace(BOUNDED, restore_ms=1, restore_alone_ms=1)
    meter = PrometheusMeter(has_process=False)
    slow = embedded.worker(meter, options, instance="a", steady=Ticking(1))
    with pytest.raises(EngineRefusal, match="the state needs it from 0"):
        slow.run(lambda: False)
    left = [reason.partition(" restores")[0] for reason in slow.health.waiting]
    assert {"partition 2", "partition 3"} <= set(left)


def test_records_deleted_under_a_running_process() -> None:
    embedded = system()
    only = worker(embedded)
    for _ in range(30):
        only.step()
    for number in range(embedded.log.partitions(embedded.topics.keyed)):
        embedded.log.append(TopicPartition(embedded.topics.keyed, number), None, b"")
        log = embedded.log.partition(TopicPartition(embedded.topics.keyed, number))
        log.truncate(log.next_offset)
    with pytest.raises(EngineRefusal, match=r"Records were deleted before they were read.*longer"):
        only.step()


def test_a_state_is_not_overwritten(tmp_path: Path) -> None:
    embedded = system()
    run(worker(embedded, instance=None))
    file = export(embedded, tmp_path / "learnt")
    with pytest.raises(EngineRefusal, match=r"holds a state of partitions 0, 1, 2, 3.*state forget DIR"):
        begin(embedded, file)


def test_nothing_is_changed_while_a_process_runs() -> None:
    embedded = system()
    worker(embedded, instance=None).step()
    with pytest.raises(
        EngineRefusal,
        match=r"correlate has members: member-1: nothing was changed. Stop these processes first",
    ):
        forget(embedded)


def test_a_state_of_which_nothing_can_be_read_is_not_exported(tmp_path: Path) -> None:
    embedded = system()
    run(worker(embedded))
    a_newer_version_wrote_the_state(embedded)
    with pytest.raises(EngineRefusal, match=r"/1: the manifest cannot be read: state format"):
        export(embedded, tmp_path / "learnt")


def test_a_bundle_that_reads_differently_is_refused() -> None:
    """Its texts mean something else to this version than to the one that stored it."""
    embedded = system()
    other = msgspec.structs.replace(embedded.bundle, hash="other")
    bundles = Bundles(MemoryLogReader(embedded.log), embedded.topics.bundles, lambda _: other)
    with pytest.raises(EngineRefusal, match=r"reads as other here: another version of correlator stored it"):
        bundles.get(embedded.bundle.hash)


def test_a_deployment_needs_the_topic() -> None:
    embedded = system()
    del embedded.log._topics[embedded.topics.keyed]
    with pytest.raises(EngineRefusal, match="keyed does not exist, or is hidden from us"):
        _deploy_other(embedded)


def test_a_bundle_of_another_number_of_partitions_is_not_gone_back_to() -> None:
    """Intakes would route by it, to partitions whose owners know nothing of the entities."""
    embedded = system()
    other = msgspec.structs.replace(with_partitions(embedded.bundle, 8), hash="of-eight")
    bundles = Bundles(MemoryLogReader(embedded.log), embedded.topics.bundles, known=[embedded.bundle, other])
    writer = MemoryTransactionalWriter(embedded.log, "deploy")
    edges = Edges(bundles, writer, MemoryLogReader(embedded.log), embedded.topics)
    message = (
        "had 8 partitions, now it has 4: every entity would change its owner. Deploy its directory anew."
    )
    with pytest.raises(EngineRefusal, match=message):
        deploy(edges, Activated("of-eight", 1, 1))
    bundles.look()
    assert [activated.bundle for activated in bundles.history] == [embedded.bundle.hash]


def test_what_is_active_can_be_restored_from_a_backup() -> None:
    """The damaged record is in the log still."""
    embedded = system()
    (*_, kept) = [r.value for r in _records(embedded, _bundles(embedded)) if r.key == ACTIVE_KEY]
    what_is_active_is_damaged(embedded)
    embedded.log.append(_bundles(embedded), ACTIVE_KEY, kept)
    run(worker(embedded))


def test_of_two_deployments_the_later_one_holds() -> None:
    embedded = system()

    class Overtaken(MemoryTransactionalWriter):
        def commit(self, offsets: Mapping[TopicPartition, Committed], membership: Membership | None) -> None:
            MemoryTransactionalWriter(embedded.log, "deploy").begin()
            super().commit(offsets, membership)

    with pytest.raises(EngineRefusal, match="another deployment came in between: nothing was changed"):
        _deploy_other(embedded, Overtaken(embedded.log, "deploy"))


def test_a_deployment_whose_end_is_unknown_is_looked_for() -> None:
    embedded = system()

    class Unknown(MemoryTransactionalWriter):
        def commit(self, offsets: Mapping[TopicPartition, Committed], membership: Membership | None) -> None:
            self.abort()
            raise CommitUnknown("no answer")

    with pytest.raises(EngineRefusal, match="another deployment came in between: nothing was changed"):
        _deploy_other(embedded, Unknown(embedded.log, "deploy"))


def test_bundles_need_the_topic() -> None:
    embedded = system()
    bundles = Bundles(MemoryLogReader(embedded.log), "other.bundles")
    with pytest.raises(EngineRefusal, match=r"other.bundles does not exist, or is hidden from us"):
        bundles.look()


def test_a_look_at_what_is_not_there() -> None:
    embedded = system()
    with pytest.raises(EngineRefusal, match=r"other.keyed does not exist, or is hidden"):
        next(view(MemoryLogReader(embedded.log), Topics("other."), embedded.bundles()))


def test_no_refusal_is_without_a_case() -> None:
    made = {
        (path.name, node.lineno)
        for path in ENGINE.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "EngineRefusal"
    }
    assert len(made) > 10
    assert made - reached == set(), "run the whole file: these refusals are provoked by no test of it"


def _deploy_other(embedded: Embedded, writer: MemoryTransactionalWriter | None = None) -> None:
    writer = writer or MemoryTransactionalWriter(embedded.log, "deploy")
    edges = Edges(embedded.bundles(), writer, MemoryLogReader(embedded.log), embedded.topics)
    deploy(edges, Activated("another", 1, 1), {})


def _bundles(embedded: Embedded) -> TopicPartition:
    return TopicPartition(embedded.topics.bundles, 0)


def _keyed(embedded: Embedded) -> TopicPartition:
    return TopicPartition(embedded.topics.keyed, P)


def _checkpoints(embedded: Embedded) -> TopicPartition:
    return TopicPartition(embedded.topics.checkpoints, P)


def _records(embedded: Embedded, where: TopicPartition) -> list[Any]:
    log = embedded.log.partition(where)
    return log.fetch(log.begin_offset, log.next_offset, 1 << 30)[0]


def _forget_checkpoint(embedded: Embedded) -> None:
    where = _checkpoints(embedded)
    embedded.log.truncate(where, embedded.log.partition(where).next_offset)


def _rewrite(embedded: Embedded, change: Callable[[bytes], bytes]) -> None:
    """The manifest with a changed rest."""
    where = _checkpoints(embedded)
    raw = next(r.value for r in reversed(_records(embedded, where)) if r.key == MANIFEST_KEY)
    manifest: Manifest = decode_manifest(raw, where)
    changed = msgspec.structs.replace(manifest, rest=change(manifest.rest))
    embedded.log.append(where, MANIFEST_KEY, _encode(changed))
