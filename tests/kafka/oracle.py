"""What must hold of a deployment in the end, whatever happened to its processes: held against calm runs.

- Intake: every event is in *keyed* as often as in a run that nobody disturbed, no frame lost or doubled.
- Correlate: what was published of each entity, and the state that its checkpoints and their replay give, are
  byte for byte what one undisturbed stage makes of the same *keyed* topic.
- Both: the open alerts are those of the undisturbed run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from kafka import KafkaConsumer

from correlator.adapters.files import load_bundle
from correlator.adapters.kafka.client import consumer_settings, to_kafka
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.cli.replay import Replay
from correlator.engine.inputs import CLOSED
from correlator.engine.ports import Committed, TopicPartition
from correlator.engine.restore import Restore
from correlator.frame import decode_frame
from correlator.record import Record
from correlator.simulate.wire import PARTITIONS
from tests.engine.company import State, by_entity, committed, image, refold
from tests.findings import Open, open_alerts, read_finding
from tests.kafka.deployment import KEYED, Deployment


class Calm(NamedTuple):
    """An undisturbed run: what is open at its end, and (entity, event id) of each row of *keyed*."""

    open: Open
    rows: Counter[tuple[str, str]]


@cache
def calm(records_max: int) -> Calm:
    """On the embedded log. No broker is needed: names of topics change no alert."""
    with TemporaryDirectory() as name:
        deployment = Deployment(Path(name), "localhost:1", "calm", records_max=records_max)
        bundle = load_bundle(deployment.directory)
        replay = Replay(bundle, deployment.records, deployment.rows(bundle))
        replay.worker.run(lambda: False)
        embedded = replay.embedded
        alerts = committed(embedded, embedded.topics.alerts)
        found = open_alerts(read_finding(record.value or b"") for record in alerts)
        return Calm(found, rows(committed(embedded, embedded.topics.keyed)))


def rows(keyed: Iterable[Record]) -> Counter[tuple[str, str]]:
    return Counter(
        (entity, event.id) for record in keyed for entity, event in decode_frame(record.value or b"").rows
    )


def left(deployment: Deployment) -> dict[TopicPartition, Committed | None]:
    """Inputs that are not closed, and partitions of *keyed* that are not folded to their end."""
    intake = offsets(deployment, "intake", deployment.raw, PARTITIONS)
    open_inputs = {tp: c for tp, c in intake.items() if c is None or not c.metadata.endswith(CLOSED)}
    folded = offsets(deployment, "correlate", [deployment.topics.keyed], KEYED)
    reader = KafkaLogReader(deployment.kafka)
    behind = {tp: c for tp, c in folded.items() if c is None or _has_more(reader, tp, c.offset)}
    reader.close()
    return open_inputs | behind


def _has_more(reader: KafkaLogReader, tp: TopicPartition, offset: int) -> bool:
    """Records, not only markers of transactions."""
    return any(True for _ in reader.read(tp, offset, reader.high_watermark(tp)))


def offsets(
    deployment: Deployment, stage: str, topics: Iterable[str], partitions: int
) -> dict[TopicPartition, Committed | None]:
    """What the group of *stage* has committed."""
    group = deployment.topics.group(stage)
    consumer = KafkaConsumer(**consumer_settings(deployment.kafka), group_id=group)
    found: dict[TopicPartition, Committed | None] = {}
    for tp in (TopicPartition(topic, number) for topic in topics for number in range(partitions)):
        said = consumer.committed(to_kafka(tp), metadata=True)
        found[tp] = None if said is None else Committed(said.offset, said.metadata)
    consumer.close()
    return found


def check(deployment: Deployment) -> None:
    """Everything above. To be asked when nothing is `left`, and no process lives."""
    bundles, expected = deployment.bundles(), calm(len(deployment.records))
    keyed = deployment.committed(deployment.topics.keyed)
    assert rows(keyed) == expected.rows, "intake lost or doubled events"
    values = [record.value or b"" for record in deployment.committed(deployment.topics.alerts)]
    told, state = refold(bundles, keyed)
    assert by_entity(values) == told, "alerts were lost, doubled or changed"
    assert restored(deployment) == state, "checkpoints and replay give another state"
    found = [read_finding(value) for value in values]
    assert open_alerts(found) == expected.open
    assert set(Counter(f.finding_info.uid for f in found if f.activity_id == 1).values()) == {1}


def restored(deployment: Deployment) -> State:
    """The state that the next process would begin with."""
    found: State = {}
    reader = KafkaLogReader(deployment.kafka)
    bundles = deployment.bundles(reader)
    for tp, said in offsets(deployment, "correlate", [deployment.topics.keyed], KEYED).items():
        restore = Restore(reader, deployment.topics, bundles, tp.partition, said)
        while not restore.advance():
            pass
        assert restore.restored is not None
        assert restore.restored.crc == restore.restored.expected_crc, "the replay differs"
        found[tp.partition] = image(restore.restored.partition)
    reader.close()
    return found
