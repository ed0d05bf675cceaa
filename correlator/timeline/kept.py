"""Events of alerts that may still change, and that left the history: whoever is told must see them all.

An alert may be updated or closed until a horizon after its verdict, which is later than its events: "not left
for sixteen hours" tells of somebody who came in that long before, and a last badge read may be of last week.
No more is kept than what open alerts, verdicts to be taken, windows and beliefs name.

May not know: how events are folded, what is told of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from correlator.codec import Codes
from correlator.event import Event, Order
from correlator.timeline import pack
from correlator.timeline.alert import Alert, Change
from correlator.timeline.block import Block
from correlator.timeline.live import Live, Match

NOTHING_KEPT: tuple[bytes, ...] = ()


def named(alerts: Iterable[Alert], matches: Iterable[Match], told: Iterable[Change]) -> set[str]:
    """Ids of the events that *alerts* speak of, *matches* that may become some, and what was just *told*."""
    ids = {i for alert in alerts for i in _named(alert)}
    ids |= {i for match in matches for i in (*match.evidence, match.event_id)}
    return ids | {i for change in told for i in (*_named(change.alert), *change.because)}


def keep(  # noqa: PLR0917
    kept: Sequence[bytes],
    blocks: Sequence[Block],
    leaving: int,
    live: Live,
    ids: AbstractSet[str],
    codes: Codes,
    owner: str,
) -> tuple[bytes, ...]:
    """What is kept of a history once the first *leaving* of its *blocks* have left it: of what was *kept* and
    what leaves, the events with *ids*, and those that the state names that goes on. *live*: after the
    history.
    """
    base = pack.load_live(blocks[leaving].entry, codes, owner) if leaving < len(blocks) else live
    wanted = ids | set(_remembered(base))
    if not wanted:
        return NOTHING_KEPT
    events = [*before(blocks, codes, owner), *load(kept, codes, owner)]
    for block in blocks[:leaving]:
        events += pack.load_events(block.packed, block.count, codes, owner)
    found = {event.id: event for event in events if event.id in wanted}
    return tuple([pack.dump_event(event, codes, owner) for event in sorted(found.values(), key=_order)])


def _named(alert: Alert) -> Iterable[str]:
    """The last of the repeats says until when it went on."""
    return (*alert.evidence, alert.event_id, *alert.repeats[-1:])


def _remembered(base: Live) -> Iterator[str]:
    """Ids of events that a match to come may name, beside those that are remembered whole."""
    for window in base.windows:
        for entry in window.entries:
            yield from (entry.id, *entry.evidence)
    for waiting in base.waiting:
        yield from (value for _, value in waiting.seen if isinstance(value, str))
    for stay in base.stays:
        yield from stay.evidence
    yield from (passed.id for passed in base.passed)


def load(kept: Sequence[bytes], codes: Codes, owner: str) -> list[Event]:
    return pack.load_events(b"".join(kept), len(kept), codes, owner) if kept else []


def before(blocks: Sequence[Block], codes: Codes, owner: str) -> list[Event]:
    """Events before *blocks* that the state before them remembers whole."""
    return pack.load_live(blocks[0].entry, codes, owner).events() if blocks and blocks[0].entry else []


def numbers_in(kept: Sequence[bytes]) -> Iterator[int]:
    """The numbers of the shapes of each."""
    return pack.numbers_in(b"".join(kept), len(kept))


def _order(event: Event) -> Order:
    return event.order
