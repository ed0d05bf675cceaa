"""Badge reads as they happen, at a steady rate, and a reader of the alerts that they must raise: one each.

Every read is by somebody known, so that `EVERY_READ` of deployment.py tells of it; or one in so many, by its
direction. What was sent and what was told can be compared by event id.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Self

from kafka import KafkaConsumer

from correlator.adapters.documents import shipped
from correlator.adapters.files import load_bundle
from correlator.adapters.kafka.client import consumer_settings, to_kafka
from correlator.adapters.kafka.publisher import KafkaPublisher
from correlator.engine.options import Options
from correlator.engine.ports import TopicPartition
from correlator.event import event_id
from correlator.frame import decode_frame
from correlator.intake.mapped import Mapped
from correlator.pipeline import ALERT_PARTITIONS, Bundle
from correlator.simulate.emit import BadgeRecord
from correlator.simulate.wire import Encoder, read_schemas
from tests.engine.company import by_entity, refold
from tests.findings import read_finding
from tests.kafka.deployment import EVERY_READ, KEYED, Deployment
from tests.kafka.oracle import offsets, restored

PATIENCE_S = 90.0
SLICE_S = 0.05
LIVE = Options(checkpoint_ms=1_000)


class Traffic:
    """Sends *per_s* reads a second from entering a `with` block until it is left. Whoever takes part is known
    by then. Of *every* reads one is `out`, the others are `in`; what the rule tells of is in `sent`.
    """

    def __init__(self, deployment: Deployment, per_s: int, *, every: int = 1) -> None:
        self.sent: dict[str, float] = {}  # event id -> when, of those that are to be told of
        self.count = 0  # reads sent
        self._every = every
        self.told: dict[str, float] = {}  # event id -> when its alert was read first
        self._records: dict[str, dict[tuple[int, int], bytes]] = {}  # event id -> partition, offset -> alert
        self._deployment, self._per_slice = deployment, max(1, round(per_s * SLICE_S))
        self._publisher = KafkaPublisher(deployment.kafka)
        self._encoder = Encoder(read_schemas(shipped("schemas")))
        self._holders = [person for person in deployment.company.people if person.badges]
        self._numbers = count(1)
        self._is_over = self._is_heard = False
        self._failed: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._guarded, args=(part,)) for part in (self._send, self._hear)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._is_over = self._is_heard = True
        for thread in self._threads:
            thread.join()
        self._publisher.close()

    def wait(self, is_so: Callable[[], bool], what: str) -> None:
        """Until *is_so*; fails at once when a thread of this class has failed, and after `PATIENCE_S`."""
        end_s = time.monotonic() + PATIENCE_S
        while not is_so():
            assert not self._failed, self._failed
            assert time.monotonic() < end_s, f"{what}: {len(self.sent)} sent, {len(self.told)} told"
            time.sleep(0.02)

    def flows(self, least: int = 20) -> None:
        """So many reads are sent from now on, and told."""
        known = len(self.told)
        self.wait(lambda: len(self.told) >= known + least, "nothing is told")
        newest = list(self.sent)[-1]
        self.wait(lambda: newest in self.told, "the newest is not told")

    @property
    def doubled(self) -> dict[str, dict[tuple[int, int], bytes]]:
        """Events whose alert is in the log more than once, with each partition, offset and value.

        A reader may well get one record twice: a consumer whose position a restarted broker does not know
        begins anew. That is nobody's second alert.
        """
        return {event: records for event, records in self._records.items() if len(records) > 1}

    def end_sending(self) -> None:
        self._is_over = True
        self._threads[0].join()

    def ends(self) -> None:
        """No more is sent, and everything that was is told."""
        self.end_sending()
        self.wait(lambda: self.sent.keys() <= self.told.keys(), "not everything is told")

    def drains(self) -> None:
        """Everything that was sent is told, however long that takes, as long as it goes on."""
        while self.waiting:
            self.wait(partial(self._goes_on, len(self.told)), "nothing more is told")

    def _goes_on(self, told: int) -> bool:
        return not self.waiting or len(self.told) > told

    @property
    def waiting(self) -> int:
        """Reads that were sent and are not told of yet."""
        return len(self.sent) - len(self.told)

    def _guarded(self, part: Callable[[], None]) -> None:
        try:
            part()
        except BaseException as error:  # noqa: BLE001 - told by `wait`
            self._failed.append(error)

    def _send(self) -> None:
        due_s = time.monotonic()
        while not self._is_over:
            some = [self._read(next(self._numbers)) for _ in range(self._per_slice)]
            now_s = time.monotonic()
            for record in self._encoder.encode(some):
                topic = self._deployment.named(record.topic)
                self._publisher.send(
                    topic, record.partition, record.key, record.value, (), record.timestamp_ms
                )
            self._publisher.flush()
            self.count += len(some)
            told = [read.id for read in some if self._every == 1 or read.direction == "out"]
            self.sent |= dict.fromkeys(told, now_s)
            due_s += SLICE_S
            time.sleep(max(0.0, due_s - time.monotonic()))

    def _read(self, number: int) -> BadgeRecord:
        now_ms, person = time.time_ns() // 1_000_000, self._holders[number % len(self._holders)]
        door = self._deployment.company.sites[person.home].doors[0]
        direction = "in" if number % self._every or self._every == 1 else "out"
        return BadgeRecord(
            *(now_ms, now_ms, door.controller, number, person.badges[-1].id, door.id, door.reader_in),
            *(direction, "granted", "", "taken"),
        )

    def _hear(self) -> None:
        consumer = KafkaConsumer(**consumer_settings(self._deployment.kafka))
        where = [TopicPartition(self._deployment.topics.alerts, p) for p in range(ALERT_PARTITIONS)]
        consumer.assign([to_kafka(tp) for tp in where])
        consumer.seek_to_beginning()
        while not self._is_heard:
            for records in consumer.poll(timeout_ms=50).values():
                for record in records:
                    self._hear_one((record.partition, record.offset), record.value)
        consumer.close()

    def _hear_one(self, where: tuple[int, int], value: bytes) -> None:
        finding = read_finding(value)
        ours = finding.unmapped.correlator
        if ours.rule_id == EVERY_READ["id"] and finding.activity_id == 1:
            (event,) = ours.evidence
            self._records.setdefault(event, {})[where] = value
            self.told.setdefault(event, time.monotonic())


def check_live(deployment: Deployment, traffic: Traffic) -> None:
    """When every process has left: nothing lost, nothing doubled, the alerts and state of a calm refold."""
    assert not traffic.doubled, f"told twice: {traffic.doubled}"
    assert traffic.told.keys() == traffic.sent.keys()
    keyed = deployment.committed(deployment.topics.keyed)
    frames = [decode_frame(record.value or b"") for record in keyed]
    rows = Counter(
        event.id
        for frame in frames
        for entity, event in frame.rows
        if entity[:9] == "identity:" and event.kind != "person"
    )
    bundle = load_bundle(deployment.directory)
    taken = raw_events(deployment, bundle)
    differing = {e: (rows[e], taken[e]) for e in rows.keys() | taken.keys() if rows[e] != taken[e]}
    assert not differing, f"(times in keyed, times in the raw topics) by event: {differing}"
    folded = offsets(deployment, "correlate", [deployment.topics.keyed], KEYED)
    ends = {tp.partition: committed.offset for tp, committed in folded.items() if committed is not None}
    told, state = refold(
        deployment.bundles(), [r for r in keyed if r.offset < ends[r.partition]]
    )  # a last tick may be left
    alerts = deployment.committed(deployment.topics.alerts)
    assert by_entity(record.value or b"" for record in alerts) == told
    assert restored(deployment) == state


def raw_events(deployment: Deployment, bundle: Bundle) -> Counter[str]:
    """How often the log itself holds each event."""
    found: Counter[str] = Counter()
    for topic, feed in bundle.intake.feeds.items():
        for record in deployment.committed(topic):
            mapped = feed.map(record)
            assert isinstance(mapped, Mapped), mapped
            found[event_id(mapped.source, mapped.native_id)] += 1
    return found
