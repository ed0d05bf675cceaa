"""What an intake knows of the identities topic: kept over rebalances, told by who owns the topic (ADR 13)."""

from __future__ import annotations

from collections.abc import Sequence

from correlator.engine.ports import LogReader, TopicPartition
from correlator.intake.people import People
from correlator.pipeline import Bundle
from correlator.record import Record


class KnownPeople:
    """*end*: records below this offset are known, as the bundle of that time reads them."""

    def __init__(self, log: LogReader, where: TopicPartition) -> None:
        self._log, self._where = log, where
        self._people: People | None = None  # None also while reading: half of it must not stay, if that fails
        self._bundle = ""
        self.end = 0

    def as_of(self, bundle: Bundle, end: int) -> People:
        """Those known as of offset *end*. Nobody is told: they were, or their owner tells.

        What is known already is kept over a rebalance, unless it is newer: somebody would not be told then.
        """
        if self._people is None or self._bundle != bundle.hash or self.end > end:
            self._people, self._bundle, self.end = People(bundle.intake.sites), bundle.hash, 0
        people, self._people = self._people, None
        self._read(people, end)
        return people

    def catch_up(self) -> None:
        """With whoever owns the topic and tells."""
        people, self._people = self._people, None
        assert people is not None, "an intake has people"
        self._read(people, self._log.high_watermark(self._where))

    def told(self, records: Sequence[Record]) -> None:
        """*records* were learnt, and told of."""
        self.end = records[-1].offset + 1

    def _read(self, people: People, end: int) -> None:
        start = self.end
        if start < end:  # else there is nothing to ask for
            start = max(start, self._log.begin_offset(self._where))
        for record in self._log.read(self._where, start, end):
            people.learn(record.offset, (record.key or b"").decode(errors="replace"), record.value)
        self.end, self._people = max(self.end, end), people
