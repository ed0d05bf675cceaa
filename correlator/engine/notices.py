"""What operators are told on the notices topic, beside incomplete feeds (feed_notices.py).

A notice is keyed by its kind and what it is about, so the newest of a key is what is known now.
"""

from __future__ import annotations

import msgspec

from correlator.engine.commit import Send
from correlator.engine.ports import TopicPartition
from correlator.engine.restore import Restored
from correlator.intake.people import Contest

_encode = msgspec.json.Encoder(order="deterministic").encode


def records_lost(topic: str, tp: TopicPartition, wanted: int, first: int, end: int) -> Send:
    """The log of an input does not have the record that is next: it is of *first* to *end*."""
    name = f"{tp.topic}/{tp.partition}"
    if wanted < first:
        message = (
            f"{name}: records {wanted} to {first - 1} were deleted before they were read. Reading goes on at "
            f"{first}. Give the topic a longer retention than the longest outage."
        )
    else:
        message = (
            f"{name}: {wanted} is committed, but the log ends at {end}: the topic was created anew, or lost "
            f"records. Reading begins at {first}; events that were read before are known by their ids."
        )
    return _input("records_lost", topic, tp, message=message)


def input_stopped(topic: str, tp: TopicPartition, why: str) -> Send:
    return _input(
        "input_stopped",
        topic,
        tp,
        state="open",
        message=f"{tp.topic}/{tp.partition}: {why}; reading of this partition is stopped. See `correlator "
        "dead-letters list`; mend the feed and `correlator deploy` it, or the producer and start this "
        "process again.",
    )


def input_read_on(topic: str, tp: TopicPartition) -> Send:
    """Closes `input_stopped`. Should its records be of no use still, that is told anew."""
    message = f"{tp.topic}/{tp.partition} is read on."
    return _input("input_stopped", topic, tp, state="closed", message=message)


def input_given_up(topic: str, tp: TopicPartition) -> Send:
    """Closes `input_stopped` of a feed that was taken out."""
    message = f"No feed reads {tp.topic}/{tp.partition} any more."
    return _input("input_stopped", topic, tp, state="closed", message=message)


def credential_contested(topic: str, contest: Contest) -> Send:
    """Open while several people claim one badge or account for one time, and closed when they agree."""
    space, name = contest.credential
    document = {
        "kind": "credential_contested",
        "state": "open" if contest.message else "closed",
        "credential": f"{space}:{name}",
        "message": contest.message or f"{space} {name!r} is claimed by one person at a time again.",
    }
    return Send(topic, 0, f"credential_contested:{space}:{name}".encode(), _encode(document))


def replay_differs(topic: str, tp: TopicPartition, restored: Restored) -> Send:
    document = {
        "kind": "replay_differs",
        "partition": tp.partition,
        "offset": restored.offset,
        "message": f"The replay of {tp.topic}/{tp.partition} up to offset {restored.offset} did not "
        f"reproduce what had been published (stamp {restored.crc:08x}, committed "
        f"{restored.expected_crc:08x}). Alerts of its entities may have been told differently before. "
        "Keep the log and report this.",
    }
    return Send(topic, 0, f"replay_differs:{tp.partition}".encode(), _encode(document))


def _input(kind: str, topic: str, tp: TopicPartition, **said: str) -> Send:
    document = {"kind": kind, "topic": tp.topic, "partition": tp.partition, **said}
    return Send(topic, 0, f"{kind}:{tp.topic}:{tp.partition}".encode(), _encode(document))
