"""A few made-up days as the engine's input, and the embedded log to run them on, interrupted or not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.documents import shipped
from correlator.adapters.files import load_bundle
from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.embedded import FAST, Embedded
from correlator.engine.bundles import Bundles
from correlator.engine.options import Options
from correlator.engine.ports import TopicPartition
from correlator.engine.worker import Worker
from correlator.event import FOREVER
from correlator.pipeline import Bundle
from correlator.record import Record
from correlator.simulate.company import CompanySettings, simulate
from correlator.simulate.configuration import documents, identities
from correlator.simulate.wire import PARTITIONS, TOPICS, read_schemas
from correlator.timeline.partition import Partition
from tests.findings import Open, open_alerts, read_finding
from tests.simulation.undisturbed import Undisturbed

SETTINGS = CompanySettings(days=4, people=30, seed=5, scenarios=40)
Told = dict[str, list[bytes]]  # entity -> what was published of it
State = dict[int, tuple[bytes, dict[str, bytes | None]]]  # partition -> rest, entities
RECORDS = 1_500  # the last ones: scenarios begin on the fourth day
STEPS_MAX = 3_000

# Small steps and a checkpoint every few events, so that a short run has many boundaries to be interrupted at.
BOUNDED = msgspec.structs.replace(
    FAST, is_bounded=True, records_max=60, frames_max=4, checkpoint_events=40, slice_entities=5
)


class Input(msgspec.Struct, frozen=True):
    bundle: Bundle
    records: list[Record]
    identities: list[tuple[str, bytes]]


@cache
def company() -> Input:
    made = simulate(SETTINGS, read_schemas(shipped("schemas")))
    records = list(made.records())[-RECORDS:]
    rows = [(str(row["identity_id"]), json.dumps(row).encode()) for row in identities(made)]
    with TemporaryDirectory() as name:
        for file, document in documents(made).items():
            (Path(name) / file).write_text(json.dumps(document), encoding="utf-8")
        return Input(load_bundle(Path(name)), records, rows)


def system(bundle: Bundle | None = None) -> Embedded:
    """A log that holds everything, and nobody who reads it yet."""
    made = company()
    embedded = Embedded(bundle or made.bundle, SimulatedClock(FOREVER), dict.fromkeys(TOPICS, PARTITIONS))
    embedded.load_identities(made.identities, 0)
    for record in made.records:
        embedded.append(record)
    return embedded


def worker(embedded: Embedded, options: Options = BOUNDED, instance: str | None = "a") -> Worker:
    meter = PrometheusMeter(has_process=False)
    return embedded.worker(meter, options, instance=instance, steady=SimulatedClock(1))


def run(*workers: Worker) -> None:
    """Step the workers in turn until their bounded read is at its end, then let them leave."""
    for _ in range(STEPS_MAX):
        for each in workers:
            each.step()
        if all(each.is_finished for each in workers):
            break
    else:
        raise AssertionError(f"not at the end after {STEPS_MAX} steps: {[w.health.waiting for w in workers]}")
    for each in workers:
        each.finish()
        each.close()


def told(embedded: Embedded) -> Told:
    """Everything that was published, in order, by entity."""
    return by_entity(record.value or b"" for record in committed(embedded, embedded.topics.alerts))


def by_entity(alerts: Iterable[bytes]) -> Told:
    found: Told = {}
    for value in alerts:
        found.setdefault(read_finding(value).unmapped.correlator.entity, []).append(value)
    return found


def committed(embedded: Embedded, topic: str) -> list[Record]:
    """Everything that a reader of *topic* sees."""
    found: list[Record] = []
    for number in range(embedded.log.partitions(topic)):
        log = embedded.log.partition(TopicPartition(topic, number))
        found += log.fetch(0, log.next_offset, 1 << 30)[0]
    return found


def open_at_end(embedded: Embedded) -> Open:
    return open_alerts(read_finding(value) for values in told(embedded).values() for value in values)


def refolded(embedded: Embedded) -> tuple[Told, State]:
    """What the frames of the same *keyed* topic come to."""
    return refold(embedded.bundles(), committed(embedded, embedded.topics.keyed))


def refold(bundles: Bundles, keyed: Iterable[Record]) -> tuple[Told, State]:
    """What the frames of a *keyed* topic, in order per partition, come to: folded one by one, by no engine.

    A record that is no frame is passed over.
    """
    frames: dict[int, list[Record]] = {}
    for record in keyed:
        frames.setdefault(record.partition, []).append(record)
    runs = [Undisturbed(bundles, number, some) for number, some in frames.items()]
    for run in runs:
        run.advance(FOREVER)
    alerts = (value for run in runs for where, value in run.alerts if where.endswith(" in correlator.alerts"))
    return by_entity(alerts), {run.partition.number: image(run.partition) for run in runs}


def state(*workers: Worker) -> State:
    """Bytes of all partitions: what a checkpoint of everything would hold."""
    return {partition.number: image(partition) for each in workers for partition in each.partitions()}


def image(partition: Partition) -> tuple[bytes, dict[str, bytes | None]]:
    """All bytes of a partition: rest, and entities."""
    partition.changed.add(partition.timelines)
    partition.changed.unfreeze()
    partition.freeze()
    entities: dict[str, bytes | None] = {}
    while some := partition.changed.slice(1_000):
        entities.update(some)
    return partition.changed.rest(), {key: raw for key, raw in entities.items() if raw is not None}
