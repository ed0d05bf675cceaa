"""`python -m tests.soak.killed_broker --kills 6 --runs 5 [--seed 1]`: kill -9 of the only broker, under load.

Its topics have no replicas, so Kafka promises less (ADR 26). Of every event that is in *keyed* more often
than in the raw topics it says from the broker's own segments whose transaction its copies are of, how each
ended there, what the coordinator decided, and whether that is our fault or Kafka's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from uuid import uuid4

from correlator.adapters.files import load_bundle
from correlator.event import entity_kind
from correlator.frame import decode_frame
from tests.broker.broker import Broker
from tests.kafka.deployment import KEYED, Deployment
from tests.kafka.fleet import Fleet
from tests.kafka.live import LIVE, Traffic, raw_events
from tests.soak.segments import Batch, batches, written

Copy = tuple[int, Batch]  # partition of *keyed*, and the batch that holds it
OFFSETS = "__consumer_offsets"
DECIDED = ("PrepareCommit", "PrepareAbort")
LEAD_MS, STATES_MAX = 20, 7  # how much of a transaction's story is told


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.killed_broker", description=__doc__)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=int, default=200)
    given = parser.parse_args()
    verdicts = [one(given.seed + run, given.kills, given.rate) for run in range(given.runs)]
    say(f"runs: {verdicts}")
    return 1 if any("OURS" in verdict for verdict in verdicts) else 0


def one(seed: int, kills: int, rate: int) -> str:
    random, broker = Random(seed), Broker()
    try:
        broker.start()
        with tempfile.TemporaryDirectory() as name:
            deployment = Deployment(Path(name), broker.bootstrap, f"k{uuid4().hex[:6]}", records_max=0)
            deployment.publish()
            stands = trouble(deployment, broker, random, kills, rate)
            bundle = load_bundle(deployment.directory)
            raw = Counter[str]() if stands else raw_events(deployment, bundle)
            broker.stop()
            return judge(broker.root / "data", deployment, raw, seed, stands)
    finally:
        broker.close()


def trouble(deployment: Deployment, broker: Broker, random: Random, kills: int, rate: int) -> str:
    """Why it stands still, if it does in the end."""
    with Fleet(deployment) as fleet:
        try:
            with Traffic(deployment, per_s=rate) as traffic:
                workers = [fleet.start(name, options=LIVE) for name in "ab"]
                traffic.flows()
                for _ in range(kills):
                    time.sleep(random.uniform(0.1, 4))
                    broker.kill()
                    broker.start()
                    traffic.flows()
                traffic.ends()
        except AssertionError as error:
            return f"{error!r:.300}; {[w.reasons() for w in workers]}"
        for worker in workers:
            worker.ask()
        for worker in workers:
            worker.join()
    return ""


def judge(data: Path, deployment: Deployment, raw: Mapping[str, int], seed: int, stands: str) -> str:
    """What the segments under *data* say, in a line. *raw*: how often the inputs hold each event."""
    disk = Disk(data, deployment.topics.keyed)
    copies: dict[str, list[Copy]] = {}
    for partition, log in disk.logs.items():
        for batch in (b for b in log if b.values and ended_by(b, log).marker == "commit"):
            for event in _events(batch):
                copies.setdefault(event, []).append((partition, batch))
    doubled = [found for event, found in copies.items() if len(found) > max(raw.get(event, 0), 1)]
    why = Counter(disk.cause(*found[0]) for found in doubled)
    for partition, offset in sorted({(number, batch.offset) for found in doubled for number, batch in found}):
        (batch,) = (b for b in disk.logs[partition] if b.offset == offset)
        end = ended_by(batch, disk.logs[partition])
        ended = f"ended by {end.marker} of epoch {end.epoch}"
        say(f"  keyed/{partition} at {offset}, epoch {batch.epoch}, {ended}:")
        say(f"    {disk.story(batch, (disk.keyed, partition))}")
    topics = (*(deployment.topics.keyed, deployment.topics.alerts), deployment.topics.checkpoints, OFFSETS)
    for line in (line for topic in topics for line in disk.hanging(topic)):
        say(f"  open: {line}")
    lost = sum(event not in copies for event in raw)
    end_of_run = f"stood still: {stands}" if stands else f"{lost} lost"
    say(f"seed {seed}: {len(copies)} events, {len(doubled)} doubled {dict(why)}, {end_of_run}")
    return f"{len(doubled)} doubled {dict(why)}, {'stood still' if stands else end_of_run}"


def _events(batch: Batch) -> list[str]:
    rows = [row for _, _, value in batch.values for row in decode_frame(value or b"").rows]
    return [
        event.id for entity, event in rows if entity_kind(entity) == "identity" and event.kind != "person"
    ]


def ended_by(batch: Batch, log: Sequence[Batch]) -> Batch:
    """The marker that ends what *batch* is of, for its readers: the next one of its producer. Else itself."""
    later = (b for b in log if b.offset > batch.offset and b.producer == batch.producer and b.marker)
    return next(later, batch)


class Disk:
    """Segments of a broker that has ended: of *keyed*, and what its transaction coordinator wrote."""

    def __init__(self, data: Path, keyed: str) -> None:
        self.keyed = keyed
        self.logs = {number: list(batches(data, keyed, number)) for number in range(KEYED)}
        self._data, self._states = data, written(data)

    def cause(self, partition: int, first: Batch) -> str:
        """Whose fault it is that what *first* holds was written again, though it can be read."""
        where, own = (self.keyed, partition), [s for s in self._states if s.producer == first.producer]
        decisions = (
            s for s in own if where in s.partitions and s.state in DECIDED and s.at_ms >= first.at_ms
        )
        decided = next(decisions, None)
        if decided is None:
            return "OURS? nothing was decided of the first copy"
        if decided.state == "PrepareAbort":
            return "KAFKA: it decided to abort the first copy, and wrote no marker"
        offsets = [tp for tp in decided.partitions if tp[0] == OFFSETS]
        markers = [
            b
            for tp in offsets
            for b in batches(self._data, *tp)
            if b.marker and b.producer == first.producer and b.at_ms >= decided.at_ms
        ]
        if offsets and (not markers or (markers[0].marker, markers[0].epoch) != ("commit", decided.epoch)):
            return "KAFKA: it decided to commit the first copy, and wrote no marker of its offsets"
        return "OURS? the first copy was committed, with its offsets"

    def hanging(self, topic: str) -> list[str]:
        """Partitions with data that no marker has ended yet."""
        found = []
        for folder in sorted(self._data.glob(f"{topic}-[0-9]*")):
            where = (topic, int(folder.name.rpartition("-")[2]))
            last = {b.producer: b for b in batches(self._data, *where) if b.is_transactional or b.marker}
            found += [
                f"{topic}/{where[1]} at {b.offset}, epoch {b.epoch}: {self.story(b, where)}"
                for b in last.values()
                if not b.marker
            ]
        return found

    def story(self, batch: Batch, where: tuple[str, int]) -> str:
        """What the coordinator wrote of the producer of *batch*; * where that names the partition."""
        states = [
            s for s in self._states if s.producer == batch.producer and s.at_ms >= batch.at_ms - LEAD_MS
        ]
        return " ".join(
            f"{s.state}/{s.epoch}{'*' * (where in s.partitions)} {s.at_ms - batch.at_ms:+} ms"
            for s in states[:STATES_MAX]
        )


def say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
