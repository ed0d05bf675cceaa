"""What the readers share: a consumer and its settings, its words in ours, its errors in ours.

H8: asked for the first or last offset of a partition whose leader has moved, the client asks the old leader
again and again, without a pause, and does not look for the new one; a consumer that fetches nothing learns of
it when its metadata is 5 minutes old. Hence such an answer makes it look at once.

H9: a consumer, producer or admin client that is made while no broker answers raises, and leaves its network
thread and sockets behind, which nobody can close: an outage of an hour ends with too many open files. Hence
they are made by `opened`.

H12: to a client that reads what is committed the end of a log is where the first open transaction begins. Who
takes that for the end states that everything has arrived, while records lie behind it: hence ends are asked
for as by a client that reads everything.

H11: asked for offsets of several partitions, the client leaves out those that have no leader just now, or no
topic any more, and then misses them itself: `KeyError`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any

from kafka import KafkaConsumer
from kafka import errors as kafka_errors
from kafka.net.compat import KafkaNetClient
from kafka.protocol.consumer import IsolationLevel
from kafka.structs import TopicPartition as KafkaPartition

from correlator.adapters.kafka.batches import PartitionRecords
from correlator.adapters.kafka.client_logs import why_unreached
from correlator.adapters.kafka.config import KafkaConfig
from correlator.engine.ports import LogUnavailable, TopicPartition

TIMEOUT_MS = 10_000  # of every question to a broker
PARTITION_BYTES_MAX = 8 << 20  # a fetch holds at least two records of the largest size

REASON = re.compile(r"""error_message=(['"])(.+?)\1""")


def consumer_settings(config: KafkaConfig) -> dict[str, Any]:
    """Bytes in, no deserializers (one that raises would block its partition), nothing committed by itself."""
    return config.client() | {
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "none",  # an offset that is gone is for the operator to know
        "allow_auto_create_topics": False,
        "check_crcs": True,
        "fetch_max_wait_ms": 100,
        "max_partition_fetch_bytes": PARTITION_BYTES_MAX,
        "bootstrap_timeout_ms": TIMEOUT_MS,
        "request_timeout_ms": 2 * TIMEOUT_MS,
    }


def opened(make: Callable[..., Any], settings: dict[str, Any]) -> Any:
    """What *make*, a class of the client, makes of *settings*; if it fails, nothing is left of it (H9)."""
    made: list[KafkaNetClient] = []

    def net_client(**config: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**config))
        return made[-1]

    try:
        return make(**settings, kafka_client=net_client)
    except BaseException:
        for each in made:
            each.close()
        raise


def make_consumer(settings: dict[str, Any]) -> Any:
    """A `KafkaConsumer` that reads `Record`s, finds leaders that have moved (H8), and whose end offsets count
    what cannot be read yet (H12). Raises errors of the client.
    """
    consumer = opened(KafkaConsumer, settings)
    fetcher = consumer._fetcher
    fetcher.PartitionRecords = PartitionRecords
    handle = fetcher._handle_list_offsets_response

    def handled(response: Any) -> tuple[dict[KafkaPartition, Any], set[KafkaPartition]]:
        offsets, moved = handle(response)
        if moved:
            raise kafka_errors.StaleMetadata(moved)
        return offsets, moved

    fetcher._handle_list_offsets_response = handled
    asking = copy(fetcher)
    asking._isolation_level = IsolationLevel.READ_UNCOMMITTED
    fetcher._send_list_offsets_request = asking._send_list_offsets_request
    return consumer


def ask_offset(ask: Callable[..., Any], partition: TopicPartition) -> int:
    """*ask* is `beginning_offsets` or `end_offsets` of a consumer."""
    return ask_offsets(ask, [partition])[partition]


def ask_offsets(ask: Callable[..., Any], partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """Of several: one request to each of their leaders."""
    if not partitions:
        return {}
    with asking(f"offsets of {', '.join(f'{tp.topic}/{tp.partition}' for tp in partitions)}"):
        try:
            found = ask([to_kafka(tp) for tp in partitions], timeout_ms=TIMEOUT_MS)
        except KeyError as error:  # H11
            missing = error.args[0]
            raise LogUnavailable(f"nobody leads {missing.topic}/{missing.partition}") from error
        return {tp: int(found[to_kafka(tp)]) for tp in partitions}


def to_kafka(partition: TopicPartition) -> KafkaPartition:
    return KafkaPartition(partition.topic, partition.partition)


def from_kafka(partitions: Iterable[KafkaPartition]) -> tuple[TopicPartition, ...]:
    return tuple(sorted(TopicPartition(tp.topic, tp.partition) for tp in partitions))


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Errors of the client while a broker is asked for *what* become `LogUnavailable`."""
    try:
        yield
    except kafka_errors.KafkaError as error:
        raise LogUnavailable(f"{what}: {said(error)}") from error


_SAID_MAX = 400  # characters; beyond it are whole answers
_MEANT = {
    "MetadataEmptyBrokerList": "it knows of no broker that is alive: it starts, or has no controller",
}


def said(error: kafka_errors.KafkaError) -> str:
    """An error of the client in words. That it could not connect does not say why: the last attempt does."""
    text = str(error)  # which names its class itself
    if "' failed with response '" in text:  # of an admin client: both of them whole, thousands of characters
        reasons = {found[2] for found in REASON.finditer(text)}
        text = f"{type(error).__name__}: {'; '.join(sorted(reasons))}" if reasons else text
    name = type(error).__name__
    if name in _MEANT:
        text = f"{name}: {_MEANT[name]}"
    text = text if len(text) <= _SAID_MAX else f"{text[:_SAID_MAX]}…"
    return f"{text}: {why_unreached()}" if "Unable to bootstrap" in text and why_unreached() else text
