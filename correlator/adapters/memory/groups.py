"""Consumer groups of the embedded log: members, generations, sticky assignment, committed offsets.

The classic eager protocol: a rebalance begins when a member comes or goes; every member gives up its
partitions and joins again at its next poll; the last one to join completes it with a new generation. A static
member that comes back takes its old place without a rebalance, and fences whoever held it.
"""

from __future__ import annotations

import msgspec

from correlator.engine.ports import Committed, Membership, TopicPartition


class Fenced(Exception):
    """The member or its generation is not that of the group any more."""


class Member(msgspec.Struct):
    id: str
    instance: str | None
    topics: tuple[str, ...]
    has_joined: bool = True
    assigned: tuple[TopicPartition, ...] = ()


class Group:
    def __init__(self, name: str) -> None:
        self.name = name
        self.generation = 0
        self.is_preparing = False
        self.members: dict[str, Member] = {}
        self.committed: dict[TopicPartition, Committed] = {}
        self._joined = 0

    def enter(self, instance: str | None, topics: tuple[str, ...]) -> str:
        """A process starts: its member id. A known *instance* resumes, anything else begins a rebalance."""
        self._joined += 1
        member_id = f"{instance or 'member'}-{self._joined}"
        for old in self.members.values():
            if instance is not None and old.instance == instance:
                del self.members[old.id]
                self.members[member_id] = Member(member_id, instance, topics, old.has_joined, old.assigned)
                return member_id
        self.members[member_id] = Member(member_id, instance, topics, has_joined=False)
        self._prepare()
        return member_id

    def subscribe(self, member_id: str, topics: tuple[str, ...]) -> None:
        """A member wants other topics: a rebalance begins."""
        member = self.members.get(member_id)
        if member is not None:
            member.topics = topics
            self._prepare()

    def join(self, member_id: str) -> None:
        """The member has given up its partitions and takes part in the rebalance under way."""
        self._known(member_id).has_joined = True

    def leave(self, member_id: str) -> None:
        """A dynamic member leaves, or anybody is evicted after its session timeout."""
        if self.members.pop(member_id, None) is not None:
            self._prepare()

    def complete(self, partitions: dict[str, int]) -> None:
        """End the rebalance if everybody has joined: new generation, new assignment."""
        if self.is_preparing and all(m.has_joined for m in self.members.values()):
            self.is_preparing = False
            self.generation += 1
            _assign(list(self.members.values()), partitions)

    def validate(self, membership: Membership) -> None:
        """KIP-447: refuse offsets of anybody who is not a member of this generation."""
        if membership.generation < 0 and membership.instance is None:
            return  # Kafka checks nothing then: the guard is the caller's (H3)
        member = self._known(membership.member)
        if member.instance != membership.instance or membership.generation != self.generation:
            raise Fenced(f"generation {membership.generation} of {membership.member} in {self.name} is over")

    def _known(self, member_id: str) -> Member:
        if member_id not in self.members:
            raise Fenced(f"{member_id} is no member of {self.name}")
        return self.members[member_id]

    def _prepare(self) -> None:
        self.is_preparing = bool(self.members)
        for member in self.members.values():
            member.has_joined = False


def _assign(members: list[Member], partitions: dict[str, int]) -> None:
    """Balanced, and everybody keeps what fits of what it had."""
    members.sort(key=lambda m: (m.instance or "", m.id))
    wanted = {t for m in members for t in m.topics}
    free = [TopicPartition(t, p) for t in sorted(wanted) for p in range(partitions.get(t, 0))]
    for share, member in _shares(len(free), members):
        kept = [tp for tp in member.assigned if tp in free and tp.topic in member.topics][:share]
        member.assigned = tuple(kept)
        free = [tp for tp in free if tp not in kept]
    for tp in free:
        takers = [m for m in members if tp.topic in m.topics]
        least = min(takers, key=lambda m: len(m.assigned))
        least.assigned = (*least.assigned, tp)


def _shares(count: int, members: list[Member]) -> list[tuple[int, Member]]:
    """How many partitions each may keep; who had more goes first to the larger shares."""
    ordered = sorted(members, key=lambda m: -len(m.assigned))
    base, extra = divmod(count, max(len(ordered), 1))
    return [(base + (1 if i < extra else 0), m) for i, m in enumerate(ordered)]
