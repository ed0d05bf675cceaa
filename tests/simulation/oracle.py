"""What must hold at the end of a seed, whatever happened: held against one run that nobody disturbed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from correlator.adapters.memory.clients import MemoryLogReader
from correlator.cli.embedded import CORRELATE_GROUP, INTAKE_GROUP
from correlator.codec import owner_of
from correlator.engine.bundles import Bundles
from correlator.engine.checkpoint import MANIFEST_KEY, decode_manifest
from correlator.engine.ports import Committed, TopicPartition
from correlator.event import FOREVER, entity_kind, event_id, partition_of
from correlator.frame import decode_frame
from correlator.intake.people import People
from correlator.record import Record
from correlator.timeline import telling
from correlator.timeline.entity import Timeline
from correlator.timeline.moving import unresolved
from correlator.timeline.occupancy import as_fact
from correlator.timeline.partition import Partition
from tests.findings import read_finding
from tests.intake.company import sites
from tests.simulation.company import FRESH
from tests.simulation.faults import Violation
from tests.simulation.process import TOPICS
from tests.simulation.small import HORIZON_MS, KEYED, RAW, bundles
from tests.simulation.undisturbed import Image, Undisturbed, image
from tests.simulation.world import CALM_MS, TURNS, World

DRAIN_TURNS = 400  # without any progress, for a stage to stand still
REFUSAL_TURNS = 60
Told = dict[str, list[bytes]]  # entity, and whether in shadow -> what was published of it, in order


def simulate(seed: int, *, is_traced: bool = False) -> World:
    """Run *seed* and check everything. Raises `Violation`, or what a process must not end with."""
    world = World(seed, is_traced=is_traced)
    try:
        for _ in range(TURNS):
            world.turn()
        world.calm()
        world.company.burst(FRESH)
        _drain(world)
        _check_intake(world)
        _check_correlate(world)
        _cut_off(world)
    finally:
        world.close()
    return world


def _expect(is_kept: bool, promise: str) -> None:
    if not is_kept:
        raise Violation(promise)


# ---------------------------------------------------------------------------- draining


def _drain(world: World) -> None:
    """Until everything is taken, and a tick told so; then, without ticks, until everything is folded."""
    _until(world, "intake", lambda: _lag(world, INTAKE_GROUP, RAW | {TOPICS.identities: 1}), lambda: True)
    for _ in range(world.options.tick_ms // CALM_MS + 2):
        world.calm_turn()

    def is_done() -> bool:
        return not world.log.has_transactions and all(p.correlate.is_caught_up for p in world.processes)

    def left() -> int:
        for process in world.processes:  # one that was started meanwhile, too
            process.only_folds = True
        return _lag(world, CORRELATE_GROUP, {TOPICS.keyed: KEYED})

    _until(world, "correlate", left, is_done)


def _until(world: World, stage: str, left: Callable[[], int], is_done: Callable[[], bool]) -> None:
    """Let turns pass until nothing is *left* and *is_done*, however long it takes while it becomes less."""
    least, patience = left(), DRAIN_TURNS
    while patience:
        world.calm_turn()
        now = left()
        if not now and is_done():
            return
        least, patience = (now, DRAIN_TURNS) if now < least else (least, patience - 1)
    raise Violation(f"{stage} stands still: {_waiting(world)}")


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


def is_no_person(entity: str) -> bool:
    """Is it told what persons do besides, as doors and zones are?"""
    return entity_kind(entity) != "identity"


def _check_intake(world: World) -> None:
    """Every raw record is in *keyed* exactly once, or in the dead letters."""
    sent = [value for _, value in world.company.sent]
    wanted = Counter(event_id(value.source, value.native_id) for value in sent if value is not None)
    for person, offset in world.company.hired:
        wanted[event_id("identities", f"{person}:{offset}")] += 1
    found: Counter[str] = Counter()
    for record in world.log.committed(TOPICS.keyed):
        rows = decode_frame(record.value or b"").rows  # facts are not rows
        found.update(event.id for entity, event in rows if not is_no_person(entity))
    _expect(not wanted - found, f"lost by intake: {dict(wanted - found)}")
    _expect(not found - wanted, f"twice in keyed: {dict(found - wanted)}")
    letters = sum(1 for _ in world.log.committed(TOPICS.dead_letters))
    _expect(letters == sent.count(None), f"{letters} dead letters of {sent.count(None)} bad records")


def _check_correlate(world: World) -> None:
    """The same alerts, in the same order, and the same state as of a run that nobody disturbed."""
    notices = world.log.committed(TOPICS.notices)
    differing = [record for record in notices if (record.key or b"").startswith(b"replay_dif")]
    _expect(not differing, f"a replay differed: {differing}")
    _check_activations(world)
    runs = [_undisturbed(world, number) for number in range(KEYED)]
    for run in runs:
        _check_checkpoints(world, run)
        run.advance(FOREVER)
    _check_alerts(_told(world), _by_entity(alert for run in runs for alert in run.alerts))

    _check_facts(world, [told for run in runs for told in run.told])
    _check_counters(world, runs)
    states = [partition for process in world.processes for partition in process.worker.partitions()]
    owned = sorted(partition.number for partition in states)
    _expect(owned == list(range(KEYED)), f"partitions have no owner, or two: {owned}")
    for partition in states:
        name = f"partition {partition.number} at its end"
        _check_image(name, image(partition), image(runs[partition.number].partition))
    _check_zones(world, states)
    _check_homes(world, {entity: p.timelines.peek(entity) for p in states for entity in p.timelines}, states)


def _check_counters(world: World, runs: list[Undisturbed]) -> None:
    """Nothing is counted more often than it happened: who dies between commit and counting counts less."""
    wanted = sum((run.counted for run in runs), Counter[tuple[str, ...]]())
    for fact in (fact for run in runs for told in run.told for fact in told.facts):
        wanted["correlator_facts_total", "asserted" if fact.is_held else "retracted"] += 1
    for record in world.log.committed(TOPICS.keyed):
        rows = decode_frame(record.value or b"").rows
        wanted.update(("correlator_events_total", e.kind) for entity, e in rows if not is_no_person(entity))
    names = {name for name, *_ in wanted}
    counted = Counter({key: count for key, count in world.meter.counted.items() if key[0] in names})
    _expect(counted <= wanted, f"counted more often than it happened: {counted - wanted}")
    world.happened["counted"] += counted.total()


def _check_facts(world: World, told: list[telling.Told]) -> None:
    """What entities told each other is in *keyed* once, in order; and so is what they passed on."""
    wanted: dict[tuple[str, str], list[tuple[str, bool]]] = {}
    found: dict[tuple[str, str], list[tuple[str, bool]]] = {}
    passed_on = Counter(binding for each in told for binding in each.bindings)
    for fact in (fact for each in told for fact in each.facts):
        wanted.setdefault((fact.home, fact.entity), []).append((fact.event.id, fact.is_held))
    for record in world.log.committed(TOPICS.keyed):
        frame = decode_frame(record.value or b"")
        passed_on.subtract(frame.bindings)
        for fact in frame.facts:
            found.setdefault((fact.home, fact.entity), []).append((fact.event.id, fact.is_held))
    _expect(found == wanted, f"facts: {found}, told: {wanted}")
    _expect(max(passed_on.values(), default=0) <= 0, f"not passed on: {+passed_on}")
    world.happened["facts told"] += sum(map(len, found.values()))


def _check_homes(world: World, timelines: dict[str, Timeline], states: list[Partition]) -> None:
    """Every event of late is folded on the timeline of who held its credential, as known at the end."""
    people, log = People(sites()), MemoryLogReader(world.log)
    for record in log.read(where := TopicPartition(TOPICS.identities, 0), 0, log.high_watermark(where)):
        people.apply(record.offset, (record.key or b"").decode(), record.value, FOREVER)
    since_ms = max(partition.now_ms for partition in states) - HORIZON_MS
    codes = {partition.number: partition.codes for partition in states}
    wanted: dict[str, set[str]] = {}
    times: dict[str, int] = {}
    odd_times: set[str] = set()  # clamped once and not again: which time counts depends on who held it when
    for record in world.log.committed(TOPICS.keyed):
        for entity, event in decode_frame(record.value or b"").rows:
            if times.setdefault(event.id, event.time_ms) != event.time_ms:
                odd_times.add(event.id)
            if event.time_ms < since_ms or is_no_person(entity) or event.kind == "person":
                continue
            space = "account" if event.kind == "login" else "card"
            who = people.resolve(space, event.credential, event.time_ms)
            name = f"identity:{who}" if who else unresolved(event)
            wanted.setdefault(name, set()).add(event.id)
    for entity in sorted(timelines.keys() | wanted):
        if not is_no_person(entity):
            timeline, known = timelines.get(entity), codes[partition_of(entity, KEYED)]
            held = timeline.events(known) if timeline is not None else ()
            found = {event.id for event in held if event.time_ms >= since_ms and event.kind != "person"}
            odd = (found ^ wanted.get(entity, set())) - odd_times
            _expect(not odd, f"{entity} folds others than its own: {odd}")


def _check_zones(world: World, states: list[Partition]) -> None:
    """A zone's history is what the histories of persons say, of late: nothing lost, nothing left over."""
    since_ms = max(partition.now_ms for partition in states) - HORIZON_MS
    wanted, found = set[tuple[str, str]](), set[tuple[str, str]]()
    for partition in states:
        for entity in partition.timelines:
            timeline = partition.timelines.peek(entity)
            if entity_kind(entity) == "identity":
                ways = [way for block in timeline.blocks for way in block.passages]
                facts = [as_fact(entity, owner_of(entity), way, {}, is_held=True) for way in ways]
                wanted |= {(f.entity, f.event.id) for f in facts if f.event.time_ms >= since_ms}
            events = timeline.events(partition.codes)
            found |= {(entity, e.id) for e in events if e.kind == "occupancy" and e.time_ms >= since_ms}
    _expect(found == wanted, f"zones hold {found - wanted} too much, and lack {wanted - found}")
    world.happened["passages"] += len(found)


def _check_activations(world: World) -> None:
    """Those of the history, on every partition, in that order."""
    known = Bundles(MemoryLogReader(world.log), TOPICS.bundles)
    known.look()
    wanted = [(active.bundle, active.since_ms) for active in reversed(known.history)]
    found: list[list[tuple[str, int]]] = [[] for _ in range(KEYED)]
    for record in world.log.committed(TOPICS.keyed):
        activate = decode_frame(record.value or b"").activate
        found[record.partition] += [(activate.bundle, activate.since_ms)] if activate is not None else []
    _expect(found == [wanted] * KEYED, f"activated: {found}, deployed: {wanted}")


def _undisturbed(world: World, number: int) -> Undisturbed:
    frames = [r for r in world.log.committed(TOPICS.keyed) if r.partition == number]
    known = Bundles(MemoryLogReader(world.log), TOPICS.bundles, known=bundles())
    return Undisturbed(known, number, frames)


def _check_checkpoints(world: World, run: Undisturbed) -> None:
    """Each that was committed is the state at the offset that it names."""
    number = run.partition.number
    where = TopicPartition(TOPICS.checkpoints, number)
    held: dict[str, bytes | None] = {}
    for record in world.log.committed(TOPICS.checkpoints):
        if record.partition != number:
            continue
        key, value = record.key or b"", record.value
        if key != MANIFEST_KEY:
            held[key.decode()] = value
            continue
        manifest = decode_manifest(value or b"", where)
        run.advance(manifest.offset)
        name = f"checkpoint of partition {number} at {manifest.offset}"
        entities = {entity: raw for entity, raw in held.items() if raw is not None}
        _check_image(name, Image(manifest.rest, entities), image(run.partition))
        _expect(manifest.crc == run.crc, f"{name} has another stamp")
        _expect(
            manifest.versions == run.versions, f"{name} has in force {manifest.versions}, not {run.versions}"
        )


def _cut_off(world: World) -> None:
    """A log that begins after the newest checkpoint: nobody may go on with it or write any of it."""
    for number in range(KEYED):
        where = TopicPartition(TOPICS.keyed, number)
        manifest = world.log.newest_manifest(TopicPartition(TOPICS.checkpoints, number))
        committed = world.log.group(CORRELATE_GROUP).committed[where]
        if committed.offset > (manifest.offset if manifest else 0):
            break
    else:
        return
    for process in list(world.processes):
        world.kill(process)
    world.log.truncate(where, committed.offset)
    before = _standing(world, where)
    world.start()
    world.may_refuse = True
    for _ in range(REFUSAL_TURNS):
        if not world.refusal:
            world.calm_turn()
    _expect(
        "no longer reaches back" in world.refusal, f"a log that was cut off is not refused: {world.refusal}"
    )
    _expect(_standing(world, where) == before, "something was written after all")
    world.note("the log was cut off past the checkpoint, and refused")


def _standing(world: World, where: TopicPartition) -> tuple[int, Committed | None]:
    """Of one partition of *keyed*: records of its checkpoints, and how far it was read."""
    checkpoints = TopicPartition(TOPICS.checkpoints, where.partition)
    committed = world.log.group(CORRELATE_GROUP).committed.get(where)
    return len(world.log.written.get(checkpoints, [])), committed


def _check_image(name: str, found: Image, wanted: Image) -> None:
    entities = found.entities.keys() | wanted.entities.keys()
    differing = [e for e in sorted(entities) if found.entities.get(e) != wanted.entities.get(e)]
    _expect(not differing, f"{name}: {', '.join(differing)} differ")
    _expect(found.rest == wanted.rest, f"{name}: marks, codes or models differ")


def _check_alerts(found: Told, wanted: Told) -> None:
    for entity in sorted(found.keys() | wanted.keys()):
        ours, theirs = found.get(entity, []), wanted.get(entity, [])
        _expect(len(ours) == len(set(ours)), f"published twice: {_names(ours)} of {entity}")
        _expect(ours == theirs, f"alerts of {entity} are {_names(ours)}, not {_names(theirs)}")
    _expect(
        f"identity:{FRESH} in {TOPICS.alerts}" in found,
        "a fresh event did not alert: the system stands still",
    )


def _told(world: World) -> Told:
    """What a reader of the alerts sees."""
    seen = []
    for topic in (TOPICS.alerts, TOPICS.shadow):
        for number in range(world.log.partitions(topic)):
            log = world.log.partition(TopicPartition(topic, number))
            seen += log.fetch(log.begin_offset, log.next_offset, 1 << 30)[0]
    return _by_entity((f"{_entity(r)} in {r.topic}", r.value or b"") for r in seen)


def _by_entity(alerts: Iterable[tuple[str, bytes]]) -> Told:
    found: Told = {}
    for entity, value in alerts:
        found.setdefault(entity, []).append(value)
    return found


def _entity(record: Record) -> str:
    return read_finding(record.value or b"").unmapped.correlator.entity


def _names(alerts: list[bytes]) -> list[str]:
    findings = [read_finding(value) for value in alerts]
    return [f"{f.unmapped.correlator.rule_id} {f.finding_info.uid[:8]} {f.activity_id}" for f in findings]
