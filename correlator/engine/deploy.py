"""Activates a bundle: in one transaction it is stored, named as the active one, and put into force on every
partition of *keyed*. A process that dies half way has changed nothing.

May not know: files, checks. What is deployed was read and tested by the caller.
"""

from __future__ import annotations

import msgspec

from correlator.engine.bundles import ACTIVE_KEY, Activated, Bundles, Texts, history_record, packed
from correlator.engine.ports import (
    CommitAborted,
    CommitFenced,
    CommitUnknown,
    LogReader,
    LogUnavailable,
    TransactionalWriter,
)
from correlator.engine.topics import EngineRefusal, Topics, missing
from correlator.event import NEVER
from correlator.frame import Activation, Frame, encode_frame

OVERTAKEN = "another deployment came in between: nothing was changed by this one"
LEAD_MS = 5_000  # that intakes have to route by a new bundle before it is in force


class Overtaken(EngineRefusal):
    """Somebody else activated something at the same time."""


class Edges(msgspec.Struct):
    """What a deployment goes through. *writer* has its own transactional id: the next one fences it."""

    bundles: Bundles
    writer: TransactionalWriter
    log: LogReader
    topics: Topics


def deploy(edges: Edges, activated: Activated, texts: Texts | None = None, *, is_first: bool = False) -> bool:
    """Activate; False where that bundle is active already since then or longer, and nothing was written.
    *texts*: to be stored, None where it is. *is_first*: only where nothing is active.

    The first bundle of all is in force whenever: *since_ms* is not looked at. Raises `Overtaken`,
    `EngineRefusal`, `LogUnavailable`.
    """
    partitions = edges.log.partitions(edges.topics.keyed)
    if partitions == 0:
        raise missing(edges.topics.keyed)
    made_for = partitions if texts is not None else edges.bundles.get(activated.bundle).intake.partitions
    if made_for != partitions:
        raise EngineRefusal(
            f"bundle {activated.bundle} was deployed when {edges.topics.keyed} had {made_for} partitions, "
            f"now it has {partitions}: every entity would change its owner. Deploy its directory anew."
        )
    try:
        edges.writer.begin()
        edges.bundles.look()  # not before: now nobody else can activate and go unnoticed
        before = edges.bundles.active
        if before is not None and (is_first or _is_done(edges.bundles, before, activated)):
            edges.writer.abort()
            return False
        activated = msgspec.structs.replace(activated, since_ms=_since_ms(before, activated))
        _write(edges, activated, texts, partitions)
        edges.writer.commit({}, None)
    except CommitFenced as error:
        raise Overtaken(f"{OVERTAKEN} ({error})") from error
    except CommitAborted as error:
        raise LogUnavailable(f"nothing was activated: {error}") from error
    except CommitUnknown:
        _settle(edges.writer)
    edges.bundles.look()
    if edges.bundles.active != activated:
        raise Overtaken(OVERTAKEN)
    return True


def _is_done(bundles: Bundles, before: Activated, activated: Activated) -> bool:
    """Is it active, for as long, and stored as it should be?"""
    same = before.bundle == activated.bundle
    return same and before.since_ms <= activated.since_ms and bundles.is_readable(before.bundle)


def _since_ms(before: Activated | None, activated: Activated) -> int:
    """What is active never begins later than it did."""
    if before is None:
        return NEVER
    same = before.bundle == activated.bundle
    return min(before.since_ms, activated.since_ms) if same else activated.since_ms


def _write(edges: Edges, activated: Activated, texts: Texts | None, partitions: int) -> None:
    writer, topics = edges.writer, edges.topics
    if texts is not None:
        writer.send(topics.bundles, 0, activated.bundle.encode(), packed(texts))
    writer.send(topics.bundles, 0, ACTIVE_KEY, history_record([activated, *edges.bundles.history]))
    frame = encode_frame(Frame(activated.bundle, activate=Activation(activated.bundle, activated.since_ms)))
    for number in range(partitions):
        writer.send(topics.keyed, number, None, frame)


def _settle(writer: TransactionalWriter) -> None:
    try:
        writer.settle()
    except CommitUnknown as error:
        raise LogUnavailable(
            f"whether it was activated is not known ({error}): done once more, it changes nothing if it was"
        ) from error


def previous(bundles: Bundles) -> Activated | None:
    """The activation of another bundle before the one that is active."""
    active = bundles.active
    return next((a for a in bundles.history if active is not None and a.bundle != active.bundle), None)
