"""The timeline of one entity: blocks of packed events, each with the live state before its first one.

- an event in order is one step;
- late ones fold their own block again, then the next ones only until the state that flows out equals the
  one that the next block started from: from there on nothing can differ;
- moving the base is dropping blocks: the first block's entry is the base.

Invariant: live and matches equal those of one fold over all events accepted. Live is decoded while the
entity is touched (`open`, `close`), packed otherwise. May not know: frames, other entities, topics.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import msgspec

from correlator.codec import Codes
from correlator.event import FOREVER, NEVER, Event, Order
from correlator.timeline import pack
from correlator.timeline.alert import Alert, Change
from correlator.timeline.decide import Completeness, Tally, decide, difference
from correlator.timeline.fold import fold, prune, step, verdicts
from correlator.timeline.live import Live, Match
from correlator.timeline.profile import Profile
from correlator.timeline.program import Program

KNOWN_BLOCKS = 4  # an entity with more blocks keeps a set of its event ids


class Block(msgspec.Struct, array_like=True):
    """*entry*: the live state before the first event. *packed*: the events, one after the other."""

    entry: bytes
    first: Order
    last: Order
    count: int
    packed: bytes
    matches: list[Match]


class Timeline:
    """One entity. *live* is None while packed."""

    __slots__ = (
        "blocks",
        "entity",
        "is_saturated",
        "known",
        "live",
        "open",
        "packed",
        "profile",
        "tally",
        "threads",
    )

    def __init__(self, entity: str) -> None:
        self.entity = entity
        self.live: Live | None = None
        self.packed = b""
        self.blocks: list[Block] = []
        self.tally = Tally()
        self.open: dict[str, Alert] = {}
        self.threads: dict[str, str] = {}
        self.profile: Profile | None = None
        self.is_saturated = False
        self.known: set[str] | None = None  # ids, only for large histories; derived

    # ------------------------------------------------------------- live state

    def touch(self, codes: Codes) -> Live:
        """The live state, decoded; stays so until `rest`."""
        if self.live is None:
            self.live = pack.load_live(self.packed, codes) if self.packed else Live()
        return self.live

    def rest(self, codes: Codes) -> None:
        if self.live is not None:
            self.packed = pack.dump_live(self.live, codes)
            self.live = None

    # ----------------------------------------------------------------- events

    @property
    def count(self) -> int:
        return sum(block.count for block in self.blocks)

    @property
    def last(self) -> Order:
        return self.blocks[-1].last if self.blocks else (NEVER, "")

    @property
    def newest_ms(self) -> int:
        """Of its history and its open alerts; NEVER when there is neither."""
        newest_ms = self.blocks[-1].last[0] if self.blocks else NEVER
        for alert in self.open.values():
            newest_ms = max(newest_ms, alert.decided_ms)
        return newest_ms

    def events(self, codes: Codes) -> list[Event]:
        return [
            event for block in self.blocks for event in pack.load_events(block.packed, block.count, codes)
        ]

    def holds(self, event_id: str) -> bool:
        """Is an event with this id in the history? Duplicates are known by id, whatever their times."""
        if len(self.blocks) <= KNOWN_BLOCKS:
            self.known = None
            raw = event_id.encode()
            blocks = [block for block in self.blocks if raw in block.packed]  # perhaps in another field
            return any(event_id in pack.load_ids(block.packed, block.count) for block in blocks)
        if self.known is None:
            self.known = {i for block in self.blocks for i in pack.load_ids(block.packed, block.count)}
        return event_id in self.known

    def insert(self, events: Sequence[Event], codes: Codes, program: Program) -> tuple[bool, tuple[str, ...]]:
        """Fold *events* in: new ones by id, sorted, whenever they happened.

        Returns whether alerts may differ now, and the ids of those that came late.
        """
        if self.known is not None:
            self.known.update(event.id for event in events)
        split = bisect_right(events, self.last, key=_order)
        late = events[:split]
        moved = bool(late)
        if late:
            self._merge(list(late), codes, program)
        for event in events[split:]:
            moved |= self._append(event, codes, program)
        return moved, tuple(event.id for event in late)

    def _append(self, event: Event, codes: Codes, program: Program) -> bool:
        before, block = self.touch(codes), self.blocks[-1] if self.blocks else None
        self.live, matches = step(self.entity, before, event, program)
        packed = pack.dump_event(event, codes)
        if block is not None and block.count < program.settings.block_size:
            block.last, block.count, block.packed = event.order, block.count + 1, block.packed + packed
            block.matches += matches
        else:  # the first block's entry is the base, which an event as old as the horizon may still see
            entry = prune(before, event.time_ms, program) if block else before
            raw = pack.dump_live(entry, codes)
            self.blocks.append(Block(raw, event.order, event.order, 1, packed, matches))
        return bool(matches or before.waiting or self.live.waiting)  # it may be what a verdict waits for

    def _merge(self, late: list[Event], codes: Codes, program: Program) -> None:
        """Fold late events into the blocks they belong to, and what follows until it makes no difference."""
        at, flowing = self._find(late[0]), None  # None: what flows into block `at` is what it recorded
        while at < len(self.blocks):
            block = self.blocks[at]
            end = self.blocks[at + 1].first if at + 1 < len(self.blocks) else (FOREVER, "")
            split = bisect_left(late, end, key=_order)
            here, late = late[:split], late[split:]
            if flowing is not None:
                flowing = prune(flowing, block.first[0], program)
            if not here and (flowing is None or flowing == pack.load_live(block.entry, codes)):
                if not late:
                    return
                at, flowing = self._find(late[0]), None
                continue
            events = sorted([*pack.load_events(block.packed, block.count, codes), *here], key=_order)
            entry = pack.load_live(block.entry, codes) if flowing is None else flowing
            pieces, flowing = self._fold_blocks(entry, events, codes, program)
            self.blocks[at : at + 1] = pieces
            at += len(pieces)
        if flowing is not None:
            self.live = flowing

    def _fold_blocks(
        self, live: Live, events: Sequence[Event], codes: Codes, program: Program
    ) -> tuple[list[Block], Live]:
        """*events* folded over *live*: one block, or several when one would be too long."""
        most = program.settings.block_size
        size = len(events) if len(events) <= 2 * most else most
        blocks: list[Block] = []
        for start in range(0, len(events), size):
            piece = events[start : start + size]
            entry = prune(live, piece[0].time_ms, program) if start else live
            live, matches = fold(self.entity, entry, piece, program)
            packed = b"".join(pack.dump_event(event, codes) for event in piece)
            raw = pack.dump_live(entry, codes)
            blocks.append(Block(raw, piece[0].order, piece[-1].order, len(piece), packed, matches))
        return blocks, live

    def _find(self, event: Event) -> int:
        return max(bisect_right(self.blocks, event.order, key=_first) - 1, 0)

    # -------------------------------------------------------------- publishing

    def matches(self, codes: Codes, program: Program) -> list[Match]:
        """All that the tally has not absorbed; those still to be taken as if no event came any more."""
        live = self.touch(codes)
        taken = [match for block in self.blocks for match in block.matches]
        if live.waiting:
            taken += verdicts(self.entity, live, live.waiting, program)
        return [match for match in taken if match.decided_ms >= self.tally.edge_ms]

    def publish(
        self,
        matches: list[Match],
        marks: Completeness,
        program: Program,
        final_ms: int,
        because: tuple[str, ...],
    ) -> list[Change]:
        """What readers must be told; nothing about alerts decided before *final_ms*."""
        if not matches and not self.open:
            return []
        _, alerts = decide(self.entity, self.tally, matches, marks, program)
        new = {uid: self._as_told(alert) for uid, alert in alerts.items() if alert.decided_ms >= final_ms}
        old = {uid: alert for uid, alert in self.open.items() if alert.decided_ms >= final_ms}
        changes, threads = difference(old, new, self.threads, because)
        kept = {
            c.alert.uid for c in changes if c.reason == "retracted" and not _may_retract(c.alert, program)
        }
        if kept:  # `retract: never`: updated and superseded, but never closed because of late evidence
            changes = [c for c in changes if c.alert.uid not in kept]
            new |= {uid: old[uid] for uid in kept}
            threads |= {uid: self.threads.get(uid, uid) for uid in kept}
        self.open, self.threads = new, threads
        return changes

    def _as_told(self, alert: Alert) -> Alert:
        """What completeness rested on when the alert was first told stays what it was."""
        told = self.open.get(alert.uid)
        return (
            alert
            if told is None or told.assumed == alert.assumed
            else msgspec.structs.replace(alert, assumed=told.assumed)
        )

    def forget(self, edge_ms: int, marks: Completeness, codes: Codes, program: Program) -> None:
        """Move the base to *edge_ms*. Nobody can tell whether and when this was done."""
        if edge_ms <= self.tally.edge_ms:
            return
        old = [match for match in self.matches(codes, program) if match.decided_ms < edge_ms]
        tally = self.tally
        if old:
            tally, _ = decide(self.entity, tally, old, marks, program)
        self.tally = Tally(edge_ms, tally.episodes)
        if self.open:
            self.open = {uid: alert for uid, alert in self.open.items() if alert.decided_ms >= edge_ms}
            self.threads = {uid: self.threads[uid] for uid in self.open}
        keep = 0  # a block whose successor begins before the edge: no event to come belongs into it
        while keep + 1 < len(self.blocks) and self.blocks[keep + 1].first[0] < edge_ms:
            keep += 1
        if keep:
            del self.blocks[:keep]
            self.known = None
        if self.blocks and self.blocks[-1].last[0] < edge_ms:
            self.blocks.clear()
            self.live = prune(self.touch(codes), edge_ms, program)

    def saturate(self, marks: Completeness, codes: Codes, program: Program) -> None:
        """Fold the oldest half into the base early: a shorter horizon for an entity above its cap."""
        half = len(self.blocks) // 2
        self.is_saturated = True
        self.forget(self.blocks[half].first[0], marks, codes, program)


def _may_retract(alert: Alert, program: Program) -> bool:
    rule = program.rules.get(alert.rule)
    return rule is None or rule.may_retract


def _order(event: Event) -> Order:
    return event.order


def _first(block: Block) -> Order:
    return block.first
