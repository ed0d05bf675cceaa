"""What must hold at the end of a seed, whatever happened: held against one run that nobody disturbed."""

from __future__ import annotations

from collections import Counter

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.memory.clients import MemoryGroupReader, MemoryLogReader, MemoryTransactionalWriter
from correlator.adapters.memory.log import MemoryLog
from correlator.cli.embedded import CORRELATE_GROUP, INTAKE_GROUP
from correlator.engine.correlate_stage import CorrelateStage
from correlator.engine.options import Options, Ports
from correlator.engine.ports import TopicPartition
from correlator.event import FOREVER, event_id
from correlator.frame import decode_frame
from correlator.pipeline import ALERT_PARTITIONS
from correlator.record import Record
from correlator.timeline.partition import Partition
from tests.findings import read_finding
from tests.simulation.ports import NoMeter
from tests.simulation.small import KEYED, RAW, bundle
from tests.simulation.world import DRAIN_TURNS, FRESH, TOPICS, TURNS, Violation, World

State = dict[int, tuple[bytes, dict[str, bytes | None]]]  # partition -> rest, entities
ONE_GULP = Options(poll_ms=0, frames_max=1_000_000, checkpoint_events=1 << 60, checkpoint_ms=1 << 60)


def simulate(seed: int) -> World:
    """Run *seed* and check everything. Raises `Violation`."""
    world = World(seed)
    for _ in range(TURNS):
        world.turn()
    world.calm()
    _drain(world)
    world.burst(FRESH)
    _drain(world)
    _expect(f"identity:{FRESH}" in told(world.log), "a fresh event did not alert: the system stands still")
    _check_intake(world.log, world)
    _check_correlate(world)
    return world


def _expect(is_kept: bool, promise: str) -> None:
    if not is_kept:
        raise Violation(promise)


# ---------------------------------------------------------------------------- draining


def _drain(world: World) -> None:
    """Until everything is taken, and a tick told so; then, without ticks, until everything is folded."""
    for _ in range(DRAIN_TURNS):
        world.calm_turn()
        if _lag(world, INTAKE_GROUP, RAW | {TOPICS.identities: 1}) == 0:
            break
    else:
        raise Violation(f"intake stands still: {_waiting(world)}")
    for _ in range(3):
        world.clock.sleep_ms(world.options.tick_ms)
        world.calm_turn()
    for _ in range(DRAIN_TURNS):
        world.clock.sleep_ms(100)
        world.log.expire_transactions()
        world.log.write_marker()
        for process in world.processes:
            process.correlate.step()
        is_behind = _lag(world, CORRELATE_GROUP, {TOPICS.keyed: KEYED}) > 0
        if not is_behind and all(process.correlate.is_caught_up for process in world.processes):
            return
    raise Violation(f"correlate stands still: {_waiting(world)}")


def _lag(world: World, group: str, topics: dict[str, int]) -> int:
    committed, lag = world.log.group(group).committed, 0
    for tp in (TopicPartition(topic, p) for topic, count in topics.items() for p in range(count)):
        log, known = world.log.partition(tp), committed.get(tp)
        left, _ = log.fetch(known.offset if known else 0, log.next_offset, 1 << 30)
        lag += len(left) + log.next_offset - log.stable_offset
    return lag


def _waiting(world: World) -> list[object]:
    return [(process.name, process.worker.health.waiting) for process in world.processes]


# ---------------------------------------------------------------------------- promises


def committed(log: MemoryLog, topic: str) -> list[Record]:
    """Everything that a reader of *topic* sees."""
    found: list[Record] = []
    for number in range(log.partitions(topic)):
        where = log.partition(TopicPartition(topic, number))
        found += where.fetch(where.begin_offset, where.next_offset, 1 << 30)[0]
    return found


def told(log: MemoryLog) -> dict[str, list[bytes]]:
    """Every alert that was published, in order, by entity."""
    found: dict[str, list[bytes]] = {}
    for record in committed(log, TOPICS.alerts):
        value = record.value or b""
        found.setdefault(read_finding(value).unmapped.correlator.entity, []).append(value)
    return found


def _check_intake(log: MemoryLog, world: World) -> None:
    """Every raw record is in *keyed* exactly once, or in the dead letters."""
    wanted = Counter(event_id(value.source, value.native_id) for _, value in world.sent if value is not None)
    for record in committed(log, TOPICS.identities):
        wanted[event_id("identities", f"{(record.key or b'').decode()}:{record.offset}")] += 1
    found: Counter[str] = Counter()
    for record in committed(log, TOPICS.keyed):
        rows = decode_frame(record.value or b"").rows
        found.update(event.id for entity, event in rows if not entity.startswith("door:"))
    _expect(not wanted - found, f"lost by intake: {dict(wanted - found)}")
    _expect(not found - wanted, f"twice in keyed: {dict(found - wanted)}")
    junk = sum(value is None for _, value in world.sent)
    letters = len(committed(log, TOPICS.dead_letters))
    _expect(letters == junk, f"{letters} dead letters of {junk} bad records")


def _check_correlate(world: World) -> None:
    """The same alerts, in the same order, and the same state as of a run that nobody disturbed."""
    differing = [r for r in committed(world.log, TOPICS.notices) if (r.key or b"").startswith(b"replay_dif")]
    _expect(not differing, f"a replay differed: {differing}")
    calm, expected = refolded(world.log)
    found, wanted = told(world.log), told(calm)
    for entity in sorted(found.keys() | wanted.keys()):
        ours, theirs = found.get(entity, []), wanted.get(entity, [])
        _expect(len(ours) == len(set(ours)), f"published twice: {_names(ours)} of {entity}")
        _expect(ours == theirs, f"alerts of {entity} are {_names(ours)}, not {_names(theirs)}")
    states = [image(partition) for process in world.processes for partition in process.worker.partitions()]
    _expect(sorted(number for number, *_ in states) == list(range(KEYED)), "a partition has no owner, or two")
    for number, rest, entities in states:
        _expect(entities == expected[number][1], f"entities of partition {number} differ")
        _expect(rest == expected[number][0], f"marks, codes or models of partition {number} differ")


def _names(alerts: list[bytes]) -> list[str]:
    findings = [read_finding(value) for value in alerts]
    return [f"{f.unmapped.correlator.rule_id} {f.finding_info.uid[:8]} {f.activity_id}" for f in findings]


def refolded(log: MemoryLog) -> tuple[MemoryLog, State]:
    """What one correlating stage that nobody disturbs makes of the same *keyed*, all in one poll."""
    fresh = MemoryLog(SimulatedClock(FOREVER))
    ours = {TOPICS.keyed: KEYED, TOPICS.checkpoints: KEYED, TOPICS.alerts: ALERT_PARTITIONS}
    for topic, partitions in (ours | {TOPICS.notices: 1}).items():
        fresh.create_topic(topic, partitions)
    for record in committed(log, TOPICS.keyed):
        fresh.append(TopicPartition(TOPICS.keyed, record.partition), None, record.value)
    steady = SimulatedClock(1)
    reader = MemoryGroupReader(fresh, CORRELATE_GROUP, [TOPICS.keyed])
    writer, log_reader = MemoryTransactionalWriter(fresh, "calm"), MemoryLogReader(fresh)
    ports = Ports(reader, writer, log_reader, steady, steady, NoMeter())
    stage = CorrelateStage(bundle(), TOPICS, ports, ONE_GULP)
    while not stage.is_caught_up:
        stage.step()
    images = [image(task.partition) for task in stage.tasks.live.values()]
    return fresh, {number: (rest, entities) for number, rest, entities in images}


def image(partition: Partition) -> tuple[int, bytes, dict[str, bytes | None]]:
    """All bytes of a partition: what a checkpoint of everything would hold."""
    partition.changed.unfreeze()
    partition.changed.add(partition.timelines)
    partition.freeze()
    entities: dict[str, bytes | None] = {}
    while some := partition.changed.slice(1_000):
        entities.update(some)
    return partition.number, partition.changed.rest(), entities
