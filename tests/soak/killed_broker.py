"""`python -m tests.soak.killed_broker --kills 6 --runs 5 [--seed 1]`: kill -9 of the only broker, under load.

Its topics have no replicas, so Kafka promises less (ADR 26). Of every event that is in *keyed* more often than
in the raw topics it says from the broker's own segments why: whose transaction its copies are of, how each
ended there, what the coordinator decided, and whether that is our fault or Kafka's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from uuid import uuid4

from correlator.adapters.files import load_bundle
from correlator.frame import decode_frame
from tests.broker.broker import Broker
from tests.kafka.deployment import KEYED, Deployment
from tests.kafka.fleet import Fleet
from tests.kafka.live import LIVE, Traffic, _raw_events
from tests.soak.segments import Batch, Written, batches, written

Copy = tuple[int, Batch]  # partition of *keyed*, and the batch that holds it


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
            raw = {} if stands else _raw_events(deployment, bundle)
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


def judge(data: Path, deployment: Deployment, raw: dict[str, int], seed: int, stands: str) -> str:
    topic = deployment.topics.keyed
    logs = {p: list(batches(data, topic, p)) for p in range(KEYED)}
    states = written(data)
    copies: dict[str, list[Copy]] = {}
    for partition, log in logs.items():
        for batch in visible(log):
            for _, _, value in batch.values:
                for entity, event in decode_frame(value or b"").rows:
                    if entity[:9] == "identity:" and event.kind != "person":
                        copies.setdefault(event.id, []).append((partition, batch))
    doubled = {e: c for e, c in copies.items() if len(c) > max(raw.get(e, 0), 1)}
    why: dict[str, int] = {}
    shown = set[tuple[int, ...]]()
    for found in doubled.values():
        verdict = cause(found, logs, states, data, topic)
        why[verdict] = why.get(verdict, 0) + 1
        offsets = tuple(b.offset for _, b in found)
        if offsets not in shown:
            shown.add(offsets)
            for partition, batch in found:
                say(
                    f"  keyed/{partition} @{batch.offset} of {batch.producer}/{batch.epoch}: {fate(batch, logs[partition])}"
                )
                say(f"    {story(batch, states, (topic, partition))}")
    lost = sum(1 for e in raw if e not in copies)
    hanging = hung(data, deployment, states)
    say(
        f"seed {seed}: {len(copies)} events, {len(doubled)} doubled {why}, {lost} lost, hanging {hanging}; {stands}"
    )
    return f"{len(doubled)} doubled {why}, {lost} lost, {'stood still' if stands else 'went on'}"


def visible(log: list[Batch]) -> list[Batch]:
    """As a read_committed reader takes them: data up to the next marker of its producer."""
    return [b for b in log if not b.marker and b.values and next_marker(b, log)[0] == "commit"]


def next_marker(batch: Batch, log: list[Batch]) -> tuple[str, int, int]:
    """Kind, offset and epoch of the one that ends what *batch* is of."""
    for other in log:
        if other.offset > batch.offset and other.marker and other.producer == batch.producer:
            return other.marker, other.offset, other.epoch
    return "", -1, -1


def fate(batch: Batch, log: list[Batch]) -> str:
    marker, offset, epoch = next_marker(batch, log)
    between = {b.epoch for b in log if batch.offset < b.offset < offset and b.producer == batch.producer}
    return f"ended by {marker or 'nothing'} @{offset} of epoch {epoch}, batches of epochs {between} between"


def cause(
    found: list[Copy], logs: dict[int, list[Batch]], states: list[Written], data: Path, topic: str
) -> str:
    """Of the first copy: did its own transaction commit, by the coordinator's word?"""
    partition, first = found[0]
    marker, _, epoch = next_marker(first, logs[partition])
    ends = [
        s
        for s in states
        if s.producer == first.producer
        and (topic, partition) in s.partitions
        and s.state in ("PrepareCommit", "PrepareAbort")
        and s.at_ms >= first.at_ms
    ]
    decided = min(ends, key=lambda s: s.offset, default=None)
    if decided is None:
        return f"no decision of {first.producer}/{first.epoch} is known"
    if decided.state == "PrepareAbort":
        return f"KAFKA: decided to abort (epoch {decided.epoch}), no abort marker here, {marker} of epoch {epoch} came"
    groups = [p for p in decided.partitions if p[0] == "__consumer_offsets"]
    marks = [
        b
        for t, p in groups
        for b in batches(data, t, p)
        if b.marker and b.producer == first.producer and b.at_ms >= decided.at_ms
    ]
    if groups and not any(b.marker == "commit" and b.epoch == decided.epoch for b in marks[:1]):
        return "KAFKA: decided to commit, the marker of the offsets is missing"
    return f"OURS? decided to commit (epoch {decided.epoch}), offsets too: {[(b.marker, b.epoch) for b in marks[:1]]}"


def hung(data: Path, deployment: Deployment, states: list[Written]) -> list[str]:
    """Open transactions at the end, and what the coordinator wrote of them last."""
    found = []
    topics = [
        deployment.topics.keyed,
        deployment.topics.alerts,
        deployment.topics.checkpoints,
        "__consumer_offsets",
    ]
    for topic in topics:
        for folder in sorted(data.glob(f"{topic}-*")):
            partition = int(folder.name.rpartition("-")[2])
            last: dict[int, Batch] = {}
            for b in batches(data, topic, partition):
                if b.is_transactional or b.marker:
                    last[b.producer] = b
            for producer, b in last.items():
                if not b.marker:
                    found.append(
                        f"{topic}/{partition} @{b.offset} of {producer}/{b.epoch}: {story(b, states, (topic, partition))}"
                    )
    return found


def story(batch: Batch, states: list[Written], where: tuple[str, int]) -> str:
    """What the coordinator wrote of the producer of *batch* about then, and whether it named *where*."""
    since = [s for s in states if s.producer == batch.producer]
    before = [i for i, s in enumerate(since) if s.at_ms <= batch.at_ms]
    first = max((before or [0])[-1] - 1, 0)
    return " ".join(
        f"{s.state}/{s.epoch}{'*' if where in s.partitions else ''}@{s.at_ms - batch.at_ms:+}ms"
        for s in since[first : first + 7]
    )


def say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
