"""What was learnt outlives everything else, and partitions begin anew with it: on the embedded log."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.embedded import CORRELATE_GROUP, Embedded, with_partitions
from correlator.cli.learnt_file import read_file, write_file
from correlator.engine.checkpoint import MANIFEST_KEY
from correlator.engine.ports import Committed, TopicPartition
from correlator.engine.topics import EngineRefusal
from correlator.event import FOREVER, Person
from correlator.models import scorer
from correlator.problem import BadConfiguration
from correlator.timeline.habits import Day, Habits
from correlator.timeline.partition import Partition
from correlator.timeline.ways import Ways
from tests.engine.company import BOUNDED, committed, company, refolded, run, state, system, told, worker
from tests.engine.states import begin, export, forget, offsets_again, partitions

LATE = 850  # records of checkpoints, near the end of a run: some entities do not change any more

Taught = dict[str, tuple[Habits, Day | None]]


def taught(*found: Partition) -> Taught:
    lives = {e: p.timelines[e].touch(p.codes) for p in found for e in p.timelines}
    return {e: (live.habits, live.today) for e, live in lives.items() if live.today is not None}


def timeless(found: Taught) -> Taught:
    """Without what also follows from where somebody was believed to be: presence begins anew."""

    def of(habits: Habits, today: Day | None) -> tuple[Habits, Day | None]:
        habits = replace(habits, stays=b"", things=b"")
        return habits, today and replace(today, things=frozenset(), alerted=frozenset())

    return {entity: of(*learnt) for entity, learnt in found.items()}


def persons(*found: Partition) -> dict[str, Person | None]:
    return {e: p.person(e) for p in found for e in p.timelines if e.startswith("identity:")}


@pytest.fixture
def ended() -> Embedded:
    """A run that has ended; its processes have left."""
    embedded = system()
    only = worker(embedded, instance=None)
    run(only)
    return embedded


def test_a_forgotten_state_is_rebuilt_from_keyed(ended: Embedded) -> None:
    before = told(ended)
    forget(ended)
    only = worker(ended, instance=None)
    run(only)
    assert told(ended) == before
    assert state(only) == refolded(ended)[1]


def test_offsets_that_were_lost_or_set_back_are_set_again(ended: Embedded) -> None:
    """All of them at once, the others left as they are; the replay is compared with the stamp."""
    before, committed_of = refolded(ended), ended.log.group(CORRELATE_GROUP).committed
    lost, back, kept, end = partitions(ended, ended.topics.keyed)
    ends = dict(committed_of)
    del committed_of[lost]
    committed_of[back] = Committed(0, "")  # by Kafka's tool, which writes no stamp
    committed_of[end] = Committed(ends[end].offset, "")
    set_to = {tp.partition: ends[tp].offset for tp in (lost, back, end)}
    assert offsets_again(ended) == {**set_to, kept.partition: None}
    assert committed_of == ends
    assert set(offsets_again(ended).values()) == {None}
    heir = worker(ended)
    run(heir)
    assert (told(ended), state(heir)) == before


def test_an_offset_that_somebody_set_behind_the_checkpoint_is_refused() -> None:
    """What lies between would be folded in silence, and may never have been told."""
    embedded = system()
    first = worker(embedded, instance=None)
    for _ in range(60):
        first.step()
    first.finish()
    first.close()
    group = embedded.log.group(CORRELATE_GROUP)
    where = max(partitions(embedded, embedded.topics.keyed), key=lambda tp: group.committed[tp].offset)
    run(
        embedded.worker(PrometheusMeter(has_process=False), BOUNDED, stage="intake", steady=SimulatedClock(1))
    )
    group.committed[where] = Committed(embedded.log.partition(where).next_offset, "")
    refused = worker(embedded, instance=None)
    with pytest.raises(EngineRefusal, match=r"folded, and never told of.*`correlator state offsets DIR`"):
        run(refused)
    refused.close()
    assert offsets_again(embedded)[where.partition] is not None
    heir = worker(embedded)
    run(heir)
    assert (told(embedded), state(heir)) == refolded(embedded)


def test_a_checkpoint_topic_that_is_made_anew_under_who_runs_is_written_whole() -> None:
    embedded = system()
    first = worker(embedded)
    logs = embedded.log._topics[embedded.topics.checkpoints]
    while sum(log.next_offset for log in logs) < LATE:
        first.step()
    for number, log in enumerate(logs):
        logs[number] = type(log)(embedded.topics.checkpoints, number)
    run(first)
    second = worker(embedded)
    run(second)
    assert state(second) == refolded(embedded)[1]


def test_what_was_learnt_survives_the_loss_of_everything_else(ended: Embedded, tmp_path: Path) -> None:
    file = export(ended, tmp_path / "learnt")
    assert len(file.learnt) > 20
    fresh = Embedded(ended.bundle, SimulatedClock(FOREVER), ended.raw)
    fresh.load_identities(company().identities, 0)
    assert begin(fresh, file) == 4
    only = worker(fresh, instance=None)
    run(only)
    assert taught(*only.partitions()) == {x.entity: (x.habits, x.today) for x in file.learnt}
    scorers = {p.number: p.scorer.encode() for p in only.partitions()}
    assert scorers == {number: part.models for number, part in file.parts.items()}
    ways = {p.number: p.ways.dump() for p in only.partitions()}
    assert ways == {number: part.ways for number, part in file.parts.items()}
    assert any(Ways.load(part.ways).tables for part in file.parts.values())
    assert persons(*only.partitions()) == persons(*_run_again(ended))


def test_what_keyed_holds_of_after_the_export_is_folded_again_and_not_told(
    ended: Embedded, tmp_path: Path
) -> None:
    """So nothing of what was learnt since is lost, and presence of the last hours is known."""
    half = system()
    first = worker(half, instance=None)
    for _ in range(60):
        first.step()
    first.finish()
    first.close()
    file = export(half, tmp_path / "learnt")
    assert min(part.cut for part in file.parts.values()) > 0
    run(worker(half, instance=None))
    before = told(half)
    forget(half)
    begin(half, file)
    for tp in partitions(half, half.topics.keyed):
        half.log.truncate(tp, file.parts[tp.partition].cut)
    only = worker(half, instance=None)
    run(only)
    after = told(half)
    assert {e: values[: len(before[e])] for e, values in after.items() if e in before} == before
    undisturbed = _run_again(ended)
    assert timeless(taught(*only.partitions())) == timeless(taught(*undisturbed))
    assert persons(*only.partitions()) == persons(*undisturbed)


def _run_again(embedded: Embedded) -> list[Partition]:
    only = worker(embedded, instance=None)
    run(only)
    return only.partitions()


def test_an_import_done_once_more_changes_nothing(ended: Embedded, tmp_path: Path) -> None:
    file = export(ended, tmp_path / "learnt")
    forget(ended)
    assert begin(ended, file) == 4
    ends = {tp: ended.log.partition(tp).next_offset for tp in partitions(ended, ended.topics.checkpoints)}
    assert begin(ended, file) == 0
    assert ends == {tp: ended.log.partition(tp).next_offset for tp in ends}


def test_it_fits_another_number_of_partitions(ended: Embedded, tmp_path: Path) -> None:
    file = export(ended, tmp_path / "learnt")
    fresh = Embedded(with_partitions(ended.bundle, 7), SimulatedClock(FOREVER), ended.raw)
    fresh.load_identities(company().identities, 0)
    assert begin(fresh, file) == 7
    only = worker(fresh, instance=None)
    run(only)
    assert taught(*only.partitions()) == {x.entity: (x.habits, x.today) for x in file.learnt}


def test_who_is_no_more_among_the_identities_is_left_out(ended: Embedded, tmp_path: Path) -> None:
    """Nobody would look whether what was learnt of them can be dropped: it stayed for ever."""
    file = export(ended, tmp_path / "learnt")
    gone, removed, *_ = sorted(learnt.entity for learnt in file.learnt)
    fresh = Embedded(ended.bundle, SimulatedClock(FOREVER), ended.raw)
    rows = [row for row in company().identities if row[0] != gone.partition(":")[2]]
    fresh.load_identities([*rows, (removed.partition(":")[2], b"")], 0)
    run(worker(fresh, instance=None))
    forget(fresh)
    begin(fresh, file)
    found = {entity for partition in _run_again(fresh) for entity in partition.timelines}
    assert {learnt.entity for learnt in file.learnt} - found == {gone, removed}


def test_records_that_cannot_be_read_are_left_out_and_counted(ended: Embedded, tmp_path: Path) -> None:
    where = TopicPartition(ended.topics.checkpoints, 1)
    entities = [r for r in committed(ended, where.topic) if r.partition == 1 and r.key != MANIFEST_KEY]
    whole = len(export(ended, tmp_path / "learnt").learnt)
    learnt = next(r for r in entities if (r.key or b"").startswith(b"identity:"))
    ended.log.append(where, learnt.key, b"\xc1")
    assert len(export(ended, tmp_path / "learnt").learnt) == whole - 1
    assert b'"unreadable":1' in (tmp_path / "learnt").read_bytes()


def test_models_that_a_newer_version_exported_are_refused(ended: Embedded, tmp_path: Path) -> None:
    """Their format is none of the file's."""
    file = export(ended, tmp_path / "learnt")
    newer = msgspec.msgpack.encode([scorer.FORMAT.number + 1, "new"])
    parts = [msgspec.structs.replace(part, models=newer) for part in file.parts.values()]
    write_file(tmp_path / "newer", file.head, [*parts, *file.learnt])
    with pytest.raises(BadConfiguration, match=r"newer:2:1: .*models format .*: upgrade correlator"):
        read_file(tmp_path / "newer")


def test_a_file_that_is_not_whole_is_refused(ended: Embedded, tmp_path: Path) -> None:
    path = tmp_path / "learnt"
    export(ended, path)
    lines = path.read_bytes().splitlines(keepends=True)
    assert lines[1].startswith(b'{"line":"part","partition":0,"cut":')
    spoilt = lines[1].replace(b'"cut":', b'"cut":1')
    for text, message in {
        b"".join(lines[:-1]): "the file is not whole",
        b"".join([lines[0], *lines[2:-5], lines[-1]]): "the file is not whole",
        b"".join(lines[1:]): "learnt:1:1: .*is not where it belongs",
        b"".join([*lines, lines[-1]]): f"learnt:{len(lines) + 1}:1: .*is not where it belongs",
        b"".join([b'{"line":"head","format":99,"keyed":"k","partitions":1}\n', *lines[1:]]): "upgrade",
        b"".join(
            [*lines[:-1], lines[-1].replace(b'"crc":', b'"crc":1')]
        ): "changed or spoilt: its checksum differs",
        b"".join(
            [*lines[:-1], lines[-1].replace(b'"crc":', b'"crx":')]
        ): "changed or spoilt: its checksum differs",
        b"".join([lines[0], spoilt, *lines[2:]]): "changed or spoilt: its checksum differs",
        b"# other\n": "learnt:1:1: .*not a line that `correlator state export` wrote",
        b"": "not whole",
    }.items():
        path.write_bytes(text)
        with pytest.raises(BadConfiguration, match=message):
            read_file(path)
    with pytest.raises(BadConfiguration, match="cannot be read"):
        read_file(tmp_path / "nothing")
