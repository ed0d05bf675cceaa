"""A deployment that takes out a site says whose home it is."""

from __future__ import annotations

import json

import msgspec

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.memory.clients import MemoryLogReader
from correlator.adapters.memory.log import MemoryLog
from correlator.engine.homes import closed, homeless
from correlator.engine.ports import TopicPartition
from tests.engine.company import company

WHERE = TopicPartition("identities", 0)


def publish(log: MemoryLog, who: str, home: str | None) -> None:
    value = None if home is None else json.dumps({"identity_id": who, "home_site": home}).encode()
    log.append(WHERE, who.encode(), value, (), 0)


def test_people_are_counted_by_their_newest_record() -> None:
    log = MemoryLog(SimulatedClock())
    log.create_topic(WHERE.topic, 1)
    for who, home in (("a", "lis"), ("b", "lis"), ("c", "opo"), ("d", "lis"), ("a", "opo"), ("d", None)):
        publish(log, who, home)
    log.append(WHERE, b"e", b"no record", (), 0)
    assert homeless(MemoryLogReader(log), WHERE, frozenset({"lis", "bos"})) == {"bos": 0, "lis": 1}
    assert homeless(MemoryLogReader(log), WHERE, frozenset()) == {}


def test_sites_that_are_taken_out_are_named() -> None:
    before = company().bundle
    sites = before.settings.sites
    after = msgspec.structs.replace(
        before, settings=msgspec.structs.replace(before.settings, sites=sites[1:])
    )
    assert closed(before, after) == {sites[0].site}
    assert closed(after, before) == closed(None, before) == frozenset()
