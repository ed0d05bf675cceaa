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
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Never
from zlib import crc32

import msgspec

from correlator.codec import Codes, owner_of, pack_id
from correlator.event import FOREVER, NEVER, Event, Order
from correlator.timeline import pack
from correlator.timeline.alert import Alert, Change
from correlator.timeline.block import Block
from correlator.timeline.decide import Completeness, Tally, decide
from correlator.timeline.fold import fold_ways, prune, step, verdicts, went
from correlator.timeline.kept import NOTHING_KEPT, keep, named
from correlator.timeline.live import Live, Match, Waiting
from correlator.timeline.moving import Moved
from correlator.timeline.occupancy import Passage
from correlator.timeline.program import Program
from correlator.timeline.ways import NO_TRAIL

SIEVE_BITS = 512
KNOWN_BLOCKS = 4  # an entity with more blocks keeps a set of its event ids

NO_EVENT: Order = (NEVER, "")
NO_TALLY = Tally()
NO_LIVE = Live()
NOTHING: Mapping[str, Never] = MappingProxyType({})  # most entities have no open alert, and share this


class Timeline:
    """One entity. *live* is None while packed; *last* is the newest event of its history."""

    __slots__ = (
        "blocks",
        "closed",
        "count",
        "entity",
        "is_open",
        "is_recent",
        "is_saturated",
        "kept",
        "known",
        "last",
        "live",
        "moved",
        "open",
        "owner",
        "packed",
        "said",
        "sieve",
        "tally",
        "threads",
        "trail",
    )

    def __init__(self, entity: str) -> None:
        self.entity = entity
        self.owner = owner_of(entity)
        self.live: Live | None = None
        self.packed = b""
        self.closed: tuple[Live, Program, list[Match]] | None = None  # the verdicts on *live*
        self.blocks: list[Block] = []
        self.count = 0  # events in the blocks
        self.last: Order = NO_EVENT
        self.moved: Moved | None = None  # events that belong elsewhere, and those that others say belong here
        self.tally = NO_TALLY
        self.open: Mapping[str, Alert] = NOTHING
        self.threads: Mapping[str, str] = NOTHING
        self.is_saturated = False
        self.kept = NOTHING_KEPT  # events before the blocks that may still be told of, packed
        self.trail = NO_TRAIL
        self.is_open = False  # its live state may be decoded (`timelines`)
        self.is_recent = True  # touched since somebody looked who may be packed
        self.known: set[str] | None = None  # ids, only for large histories; derived
        self.said: list[tuple[Passage, bool]] = []  # since somebody asked: what is so now, or not any more
        self.sieve: int | None = None  # a bit for each id, see `_mesh`: most new ids fall through; derived

    # ------------------------------------------------------------- live state

    def touch(self, codes: Codes) -> Live:
        """The live state, decoded; stays so until `rest`."""
        if self.live is None:
            self.live = pack.load_live(self.packed, codes, self.owner) if self.packed else NO_LIVE
        return self.live

    def waiting(self, codes: Codes) -> tuple[Waiting, ...]:
        """Those of the live state, which may stay packed."""
        if self.live is not None or not self.packed:
            return self.touch(codes).waiting
        return pack.load_waiting(self.packed, codes, self.owner)

    def at_rest(self, codes: Codes) -> bytes:
        """The live state, packed."""
        if self.live is None:
            return self.packed
        return pack.dump_live(self.live, codes, self.owner)

    def rest(self, codes: Codes) -> None:
        self.packed, self.live, self.closed = self.at_rest(codes), None, None

    # ----------------------------------------------------------------- events

    @property
    def newest_ms(self) -> int:
        """Of its history and its open alerts; NEVER when there is neither."""
        newest_ms = self.last[0]
        if self.moved is not None:
            newest_ms = max([newest_ms, *(event.time_ms for event, _ in self.moved.away.values())])
        if self.open:
            newest_ms = max([newest_ms, *(alert.decided_ms for alert in self.open.values())])
        return newest_ms

    def events(self, codes: Codes) -> list[Event]:
        return self._events_from(0, codes)

    def _events_from(self, at: int, codes: Codes) -> list[Event]:
        """Those of block *at* and all after it."""
        owner = self.owner
        return [
            event
            for block in self.blocks[at:]
            for event in pack.load_events(block.packed, block.count, codes, owner)
        ]

    def holds(self, event_id: str, packed_id: int | str) -> bool:
        """Is an event with this id in the history? Duplicates are known by id, whatever their times."""
        if self.sieve is None:
            self.sieve = 0
            for block in self.blocks:
                for _, known in pack.load_orders(block.packed, block.count):
                    self.sieve |= 1 << _mesh(pack_id(known))
        if not self.sieve >> _mesh(packed_id) & 1:
            return False
        if self.sieve.bit_count() > 2 * self.count:
            self.sieve = None  # clogged by ids that are gone: made anew
        return self._is_known(event_id, packed_id)

    def _is_known(self, event_id: str, packed_id: int | str) -> bool:
        if len(self.blocks) > KNOWN_BLOCKS:
            if self.known is None:
                self.known = {
                    i for block in self.blocks for _, i in pack.load_orders(block.packed, block.count)
                }
            return event_id in self.known
        self.known, needle = None, pack.needle(packed_id)
        for block in self.blocks:
            if needle in block.packed and any(  # else it stands in another field
                event_id == known for _, known in pack.load_orders(block.packed, block.count)
            ):
                return True
        return False

    def insert(self, events: Sequence[Event], codes: Codes, program: Program) -> tuple[bool, tuple[str, ...]]:
        """Fold *events* in: new ones by id, sorted, whenever they happened.

        Returns whether alerts may differ now, and the ids of those that came late.
        """
        split = bisect_right(events, self.last, key=_order)
        late = events[:split]
        moved = bool(late)
        if late:
            self._merge(list(late), codes, program)
        for event in events[split:]:
            moved |= self.append(event, codes, program)
        return moved, tuple([event.id for event in late])

    def append(
        self, event: Event, codes: Codes, program: Program, packed_id: int | str | None = None
    ) -> bool:
        """Fold *event*, later than all there is. Returns whether alerts may differ now."""
        before, owner = self.live or self.touch(codes), self.owner
        packed_id = pack_id(event.id) if packed_id is None else packed_id
        after, matches = step(self.entity, before, event, program)
        ways: tuple[Passage, ...] = ()
        if program.zones and (ways := went(before, after, event, program)):
            self.said += [(passage, True) for passage in ways]
        self.live = after
        packed = pack.dump_event(event, codes, owner, packed_id)
        blocks = self.blocks
        if blocks and (block := blocks[-1]).count < program.settings.block_size:
            block.count += 1
            block.packed += packed
            if matches:
                block.matches += tuple(matches)
            if ways:
                block.passages += ways
        else:  # the first block's entry is the base, which an event as old as the horizon may still see
            entry = prune(before, event.time_ms, program) if blocks else before
            raw = pack.dump_live(entry, codes, owner)
            blocks.append(Block(raw, event.time_ms, event.id, 1, packed, tuple(matches), ways))
        self.last = (event.time_ms, event.id)
        self.count += 1
        self._know(event.id, packed_id)
        return bool(matches or before.waiting or after.waiting)  # it may be what a verdict waits for

    def _merge(self, late: list[Event], codes: Codes, program: Program) -> None:
        """Fold late events into the blocks they belong to, and what follows until it makes no difference."""
        owner = self.owner
        self.count += len(late)
        for event in late:
            self._know(event.id)
        was, now = list[Passage](), list[Passage]()
        at, flowing = self._find(late[0].order), None  # None: what flows into block `at` is what it recorded
        while at < len(self.blocks):
            block = self.blocks[at]
            end = self.blocks[at + 1].first if at + 1 < len(self.blocks) else (FOREVER, "")
            split = bisect_left(late, end, key=_order)
            here, late = late[:split], late[split:]
            if flowing is not None:
                flowing = prune(flowing, block.first_ms, program)
            if not here and (flowing is None or flowing == pack.load_live(block.entry, codes, owner)):
                if not late:
                    break
                at, flowing = self._find(late[0].order), None
                continue
            events = [*pack.load_events(block.packed, block.count, codes, owner), *here]
            events.sort(key=_order)
            entry = pack.load_live(block.entry, codes, owner) if flowing is None else flowing
            pieces, flowing = self._fold_blocks(entry, events, codes, program)
            was += block.passages
            now += _ways(pieces)
            self.blocks[at : at + 1] = pieces
            at += len(pieces)
        else:
            if flowing is not None:
                self.live = flowing
        self._say(was, now)

    def _know(self, event_id: str, packed_id: int | str | None = None) -> None:
        if self.sieve is not None:
            self.sieve |= 1 << _mesh(pack_id(event_id) if packed_id is None else packed_id)
        if self.known is not None:
            self.known.add(event_id)

    def _fold_blocks(
        self, live: Live, events: Sequence[Event], codes: Codes, program: Program
    ) -> tuple[list[Block], Live]:
        """*events* folded over *live*: one block, or several when one would be too long."""
        most, owner = program.settings.block_size, self.owner
        size = len(events) if 0 < len(events) <= 2 * most else most
        blocks: list[Block] = []
        for start in range(0, len(events), size):
            piece = events[start : start + size]
            entry = prune(live, piece[0].time_ms, program) if start else live
            live, matches, ways = fold_ways(self.entity, entry, piece, program)
            packed = b"".join([pack.dump_event(event, codes, owner) for event in piece])
            raw = pack.dump_live(entry, codes, owner)
            blocks.append(Block(raw, *piece[0].order, len(piece), packed, tuple(matches), ways))
        return blocks, live

    def _say(self, was: Sequence[Passage], now: Sequence[Passage]) -> None:
        """What is not so any more first."""
        if was or now:
            self.said += [(passage, False) for passage in sorted(set(was) - set(now))]
            self.said += [(passage, True) for passage in sorted(set(now) - set(was))]

    def refold(self, since_ms: int, codes: Codes, program: Program) -> bool:
        """Fold everything from *since_ms* on anew, for it is evaluated by other rules now. Was there any?"""
        if self.last[0] < since_ms:
            return False
        at = self._find((since_ms, ""))
        self._fold_from(at, self._events_from(at, codes), codes, program)
        return True

    def _fold_from(self, at: int, events: Sequence[Event], codes: Codes, program: Program) -> None:
        """Fold *events* instead of what is in block *at* and all after it."""
        replaced = self.blocks[at:]
        entry = pack.load_live(replaced[0].entry, codes, self.owner)
        self.blocks[at:], self.live = self._fold_blocks(entry, events, codes, program)
        self._say(_ways(replaced), _ways(self.blocks[at:]))

    def remove(self, ids: AbstractSet[str], codes: Codes, program: Program) -> None:
        """Take events out again, as if they had never come: what follows the first of them is folded anew."""
        needles = [pack.needle(pack_id(i)) for i in ids]
        at = next(
            n
            for n, block in enumerate(self.blocks)
            if any(needle in block.packed for needle in needles)
            and any(i in ids for _, i in pack.load_orders(block.packed, block.count))
        )
        events = self._events_from(at, codes)
        if at and all(event.id in ids for event in events):
            at -= 1  # what flows into a block is pruned as of its first event, which goes
            events = self._events_from(at, codes)
        kept = [event for event in events if event.id not in ids]
        self._fold_from(at, kept, codes, program)
        self.count -= len(events) - len(kept)
        self.known = self.sieve = None
        self.last = NO_EVENT
        if self.blocks:
            self.last = max(pack.load_orders(self.blocks[-1].packed, self.blocks[-1].count))

    def _find(self, order: Order) -> int:
        return max(bisect_right(self.blocks, order, key=_first) - 1, 0)

    # -------------------------------------------------------------- publishing

    def matches(self, codes: Codes, program: Program) -> list[Match]:
        """All that the tally has not absorbed, of rules that are still told of.

        Verdicts still to be taken are taken as if no event came any more.
        """
        taken = [match for block in self.blocks for match in block.matches]
        if waiting := self.waiting(codes):
            taken += self._verdicts(self.touch(codes), waiting, program)
        edge_ms, told = self.tally.edge_ms, program.rules
        return [match for match in taken if match.decided_ms >= edge_ms and match.rule in told]

    def _verdicts(self, live: Live, waiting: Sequence[Waiting], program: Program) -> list[Match]:
        """Taken once for a state: a wake, what is told and a base that moves ask for the same."""
        if self.closed is None or self.closed[0] is not live or self.closed[1] is not program:
            self.closed = (live, program, verdicts(self.entity, live, waiting, program))
        return self.closed[2]

    def forget(
        self, edge_ms: int, marks: Completeness, codes: Codes, program: Program, told: Sequence[Change] = ()
    ) -> None:
        """Move the base to *edge_ms*. Nobody can tell whether and when this was done.

        *told*: what was changed in this frame, and is yet to be said.
        """
        if edge_ms <= self.tally.edge_ms:
            return
        if self.moved is not None:
            self.moved = self.moved.forget(edge_ms)
        matches = self.matches(codes, program)
        if old := [match for match in matches if match.decided_ms < edge_ms]:
            self.tally, _ = decide(self.entity, self.tally, old, marks, program)
        self.tally = msgspec.structs.replace(self.tally, edge_ms=edge_ms)
        if self.open:
            self.open = {uid: alert for uid, alert in self.open.items() if alert.decided_ms >= edge_ms}
            self.threads = {uid: self.threads[uid] for uid in self.open}
        drop = 0  # blocks whose successor begins before the edge: no event to come belongs into them
        while drop + 1 < len(self.blocks) and self.blocks[drop + 1].first_ms < edge_ms:
            drop += 1
        if self.blocks and self.last[0] < edge_ms:
            drop = len(self.blocks)
            self.live, self.last = prune(self.touch(codes), edge_ms, program), NO_EVENT
        if drop or self.kept:
            after = [match for match in matches if match.decided_ms >= edge_ms]
            known = named(self.open.values(), after, told)
            self.kept = keep(self.kept, self.blocks, drop, self.touch(codes), known, codes, self.owner)
        if drop:
            self.count -= sum(block.count for block in self.blocks[:drop])
            del self.blocks[:drop]
            self.known = None

    def saturate(
        self, marks: Completeness, codes: Codes, program: Program, told: Sequence[Change] = ()
    ) -> None:
        """Fold the oldest half into the base early: a shorter horizon for an entity above its cap. All of it
        where half is of one instant, by a clock that stands still."""
        half_ms = self.blocks[len(self.blocks) // 2].first_ms
        self.is_saturated = True
        to_ms = half_ms if half_ms > self.tally.edge_ms else self.last[0] + 1
        self.forget(to_ms, marks, codes, program, told)


def _ways(blocks: Iterable[Block]) -> list[Passage]:
    return [passage for block in blocks for passage in block.passages]


def _mesh(packed_id: int | str) -> int:
    """Which bit of the sieve an id leaves, or falls through."""
    return (packed_id if isinstance(packed_id, int) else crc32(packed_id.encode())) % SIEVE_BITS


def _order(event: Event) -> Order:
    return event.order


def _first(block: Block) -> Order:
    return block.first
