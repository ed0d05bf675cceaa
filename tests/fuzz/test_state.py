"""Frames, checkpoints and manifests: whatever the bytes, a value or the error that says what to do."""

from __future__ import annotations

from functools import cache

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.memory.clients import MemoryLogReader
from correlator.adapters.memory.log import MemoryLog
from correlator.engine.bundles import Bundles
from correlator.engine.checkpoint import MANIFEST_KEY, Manifest, decode_manifest
from correlator.engine.ports import Committed, TopicPartition
from correlator.engine.restore import Restore, Restored, Stamp, parse_stamp
from correlator.engine.topics import EngineRefusal, Topics
from correlator.frame import Frame, FrameError, decode_frame, encode_frame
from correlator.intake.arrival import decode_arrival
from correlator.models.scorer import decode as decode_scorer
from correlator.models.state import StateFormatError
from correlator.record import Record
from tests.engine.company import company, run, system, worker
from tests.fuzz.damage import damaged, fuzz, no_hang

TOPICS = Topics()
KEYED, CHECKPOINTS = TopicPartition(TOPICS.keyed, 0), TopicPartition(TOPICS.checkpoints, 0)
FRAMES_MAX = 30  # folded after a checkpoint


class Ran(msgspec.Struct, frozen=True):
    """What a run has left behind in partition 0: its frames, and the newest record of each key."""

    frames: list[Record]
    checkpoint: dict[bytes, bytes]
    committed: Committed

    @property
    def manifest(self) -> Manifest:
        return decode_manifest(self.checkpoint[MANIFEST_KEY], CHECKPOINTS)


@cache
def ran() -> Ran:
    embedded = system()
    run(worker(embedded))
    log = embedded.log.partition(KEYED)
    frames, _ = log.fetch(0, log.next_offset, 1 << 30)
    written = embedded.log.partition(CHECKPOINTS)
    records, _ = written.fetch(0, written.next_offset, 1 << 30)
    newest = {r.key or b"": r.value for r in records}
    committed = embedded.log.group("correlator-correlate").committed[KEYED]
    return Ran(frames, {key: value for key, value in newest.items() if value is not None}, committed)


def restored(checkpoint: dict[bytes, bytes], frames: list[bytes]) -> Restored | None:
    """A partition brought back from these bytes, its *frames* replayed. Raises `EngineRefusal`."""
    log = MemoryLog(SimulatedClock())
    for topic, partitions in (
        (TOPICS.keyed, log_partitions()),
        (TOPICS.checkpoints, log_partitions()),
        (TOPICS.bundles, 1),
    ):
        log.create_topic(topic, partitions)
    for key, value in checkpoint.items():
        log.append(CHECKPOINTS, key, value)
    manifest = msgspec.structs.replace(ran().manifest, offset=0)
    log.append(CHECKPOINTS, MANIFEST_KEY, msgspec.msgpack.encode(manifest))
    if MANIFEST_KEY in checkpoint:
        log.append(CHECKPOINTS, MANIFEST_KEY, checkpoint[MANIFEST_KEY])
    for frame in frames:
        log.append(KEYED, None, frame)
    said = Committed(len(frames), Stamp(0, company().bundle.hash).text())
    reader = MemoryLogReader(log)
    bundles = Bundles(reader, TOPICS.bundles, known=[company().bundle])
    restore = Restore(reader, TOPICS, bundles, 0, said)
    while not restore.advance():
        pass
    return restore.restored


def log_partitions() -> int:
    return company().bundle.intake.partitions


@cache
def values() -> list[bytes]:
    return [frame.value or b"" for frame in ran().frames]


def test_without_damage_a_checkpoint_comes_back() -> None:
    entities = {key: raw for key, raw in ran().checkpoint.items() if key != MANIFEST_KEY}
    found = restored(entities, values()[-FRAMES_MAX:])
    assert found is not None
    assert len(found.partition.timelines) >= len(entities) // 2


@fuzz
@given(st.data())
def test_damaged_frames(data: st.DataObject) -> None:
    raw = data.draw(damaged(values()))
    with no_hang():
        try:
            frame = decode_frame(raw)
        except FrameError:
            return
        assert isinstance(frame, Frame)
        encode_frame(frame)


@fuzz
@given(st.data())
def test_damaged_manifests(data: st.DataObject) -> None:
    raw = data.draw(damaged([ran().checkpoint[MANIFEST_KEY]]))
    with no_hang():
        try:
            found = decode_manifest(raw, CHECKPOINTS)
        except EngineRefusal:
            return
        assert isinstance(found, Manifest)


@fuzz
@given(st.data())
def test_damaged_checkpoints(data: st.DataObject) -> None:
    """A record of an entity, or what a manifest holds, comes back as something else."""
    checkpoint = dict(ran().checkpoint)
    rest = msgspec.structs.replace(ran().manifest, offset=0)
    if data.draw(st.booleans()):
        rest = msgspec.structs.replace(rest, rest=data.draw(damaged([rest.rest])))
    else:
        entities = sorted(checkpoint.keys() - {MANIFEST_KEY})
        key = data.draw(st.sampled_from(entities))
        checkpoint[key] = data.draw(damaged([checkpoint[entity] for entity in entities]))
    checkpoint[MANIFEST_KEY] = msgspec.msgpack.encode(rest)
    with no_hang():
        try:
            restored(checkpoint, values()[-FRAMES_MAX:])
        except EngineRefusal as refusal:
            if not str(refusal):
                raise


@fuzz
@given(st.data())
def test_damaged_models(data: st.DataObject) -> None:
    partition = restored({k: v for k, v in ran().checkpoint.items() if k != MANIFEST_KEY}, [])
    assert partition is not None
    raw = data.draw(damaged([partition.partition.scorer.encode()]))
    with no_hang():
        try:
            decode_scorer(raw).encode()
        except StateFormatError:
            return


@fuzz
@given(st.text(max_size=60) | st.from_regex(r"1 [0-9a-fx_ -]{1,20} \S*", fullmatch=True))
def test_any_metadata_of_a_commit(text: str) -> None:
    assert parse_stamp(text) is None or text.startswith("1 ")
    assert isinstance(decode_arrival(text), int)
