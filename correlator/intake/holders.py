"""Who held which badge and account when, by what the records of identities claim.

Records contradict each other: a badge is given to somebody else before it is taken from who had it. Where
several claim one credential, it is held by who began last, and of those who began together by the smallest
id; what more than a hundred claim with no end is nobody's (docs/adr/0039). So who holds what is a function of
the claims alone: the order of the records and those that compaction has dropped make no difference.

May not know: records, events, clocks.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import pairwise

import msgspec

from correlator.event import FOREVER, NEVER, SECOND_MS, Credential
from correlator.intake.identity_record import Namespace, namespace

Holding = tuple[int, int, str]  # from, to (ms), identity: of one credential, by time, never overlapping
Key = tuple[Namespace, str]  # of a credential
NAMED_MAX = 5  # of those who claim one credential
_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_000  # years 1 to 9999
CROWD_MAX = 100  # who claim one credential until further notice: it is none, but stands for one


class _Crowd(msgspec.Struct):
    """Claims by identity. *open*: how many of them have no end."""

    open: int
    claims: dict[str, list[Holding]] = {}


class Holders:
    """The holders of each credential; whoever claims it as well is remembered."""

    def __init__(self) -> None:
        self._held: dict[Namespace, dict[str, Sequence[Holding]]] = {"badge": {}, "account": {}}
        self._contested: dict[Key, list[Holding]] = {}  # all claims, by time, where some overlap
        self._crowds: dict[Key, _Crowd] = {}

    @property
    def contested(self) -> int:
        """How many credentials several claim for one time."""
        return len(self._contested) + len(self._crowds)

    def of(self, key: Key) -> tuple[Holding, ...]:
        """Who held it when."""
        space, credential = key
        return tuple(self._held[space].get(credential, ()))

    def resolve(self, space: Namespace, credential: str, time_ms: int) -> str:
        """Id of the identity that held it at *time_ms*, "" if nobody did."""
        holdings = self._held[space].get(credential)
        if holdings is None:
            return ""
        if len(holdings) == 1:
            from_ms, to_ms, identity = holdings[0]
        else:
            at = bisect_right(holdings, time_ms, key=_from) - 1
            if at < 0:
                return ""
            from_ms, to_ms, identity = holdings[at]
        return identity if from_ms <= time_ms < to_ms else ""

    def replace(self, identity: str, before: Iterable[Credential], after: Iterable[Credential]) -> None:
        """*identity* claims *after* and nothing else any more; so far it claimed *before*."""
        claimed: dict[Key, list[Holding]] = {key_of(credential): [] for credential in before}
        for held in after:
            claimed.setdefault(key_of(held), []).append((held.from_ms, held.to_ms, identity))
        for key, own in claimed.items():
            crowd = self._crowds.get(key)
            if crowd is None:
                space, name = key
                known = self._contested.get(key) or self._held[space].get(name, ())
                claims = [claim for claim in known if claim[2] != identity]
                for claim in own:
                    insort(claims, claim)
                self._settle(key, claims)
                continue
            crowd.open += _open(own) - _open(crowd.claims.pop(identity, ()))
            crowd.claims[identity] = own
            if crowd.open <= CROWD_MAX:
                del self._crowds[key]
                self._settle(key, sorted(claim for claims in crowd.claims.values() for claim in claims))

    def _settle(self, key: Key, claims: list[Holding]) -> None:
        space, name = key
        self._contested.pop(key, None)
        self._held[space].pop(name, None)
        if (count := _open(claims)) > CROWD_MAX:
            crowd = self._crowds[key] = _Crowd(count)
            for claim in claims:
                crowd.claims.setdefault(claim[2], []).append(claim)
        elif any(earlier[1] > later[0] for earlier, later in pairwise(claims)):
            self._held[space][name], self._contested[key] = _settled(claims), claims
        elif claims:
            self._held[space][name] = claims

    def contest(self, key: Key) -> str:
        """What is to be said to who keeps the records, "" where the claims agree."""
        space, name = key
        if key in self._crowds:
            return (
                f"{space} {name!r} is claimed by more than {CROWD_MAX} people, and taken as nobody's. "
                "Leave out of the records what stands for no credential."
            )
        claims = self._contested.get(key)
        if claims is None:
            return ""
        held = "; ".join(f"{identity!r} {_span(*times)}" for *times, identity in self.of(key)[:NAMED_MAX])
        several = ", ".join(f"{identity!r} {_span(*times)}" for *times, identity in claims[:NAMED_MAX])
        more = " and others" if len(claims) > NAMED_MAX else ""  # not how many: it would be said at each
        return (
            f"{space} {name!r} is claimed by {several}{more}. Taken as held by who began last, then by the "
            f"smallest id: {held}. End it in the record of who gave it up."
        )


def key_of(credential: Credential) -> Key:
    return namespace(credential.credential_class), credential.id


def _settled(claims: Sequence[Holding]) -> list[Holding]:
    """From *claims*, by time: one holder at a time, who began last, of those the smallest id."""
    edges = sorted({edge for from_ms, to_ms, _ in claims for edge in (from_ms, to_ms)})
    coming = list(reversed(claims))
    holding: list[tuple[int, str, int]] = []  # a heap; first who holds it
    held: list[Holding] = []
    for from_ms, to_ms in pairwise(edges):
        while coming and coming[-1][0] <= from_ms:
            began_ms, ends_ms, identity = coming.pop()
            heappush(holding, (-began_ms, identity, ends_ms))
        while holding and holding[0][2] <= from_ms:
            heappop(holding)
        if not holding:
            continue
        identity = holding[0][1]
        if held and held[-1][1:] == (from_ms, identity):
            held[-1] = (held[-1][0], to_ms, identity)
        else:
            held.append((from_ms, to_ms, identity))
    return held


def _open(claims: Iterable[Holding]) -> int:
    return sum(to_ms == FOREVER for _, to_ms, _ in claims)


def _from(holding: Holding) -> int:
    return holding[0]


def _span(from_ms: int, to_ms: int) -> str:
    """`always`, `from X on`, `until Y`, `from X to Y`"""
    if from_ms == NEVER:
        return "always" if to_ms == FOREVER else f"until {_said(to_ms)}"
    return f"from {_said(from_ms)} on" if to_ms == FOREVER else f"from {_said(from_ms)} to {_said(to_ms)}"


def _said(time_ms: int) -> str:
    moment = datetime.fromtimestamp(min(max(time_ms, _FIRST_MS), _LAST_MS) / SECOND_MS, UTC)
    return moment.isoformat(timespec="minutes").replace("+00:00", "Z")
