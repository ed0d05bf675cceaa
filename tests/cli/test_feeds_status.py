"""`feeds status`: what the partitions believe of feeds, added up over them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from correlator.adapters.memory.clients import MemoryLogReader
from correlator.cli.embedded import Embedded
from correlator.cli.feeds_status import SiteStatus, Status, _print, status_of
from correlator.engine.view import view
from correlator.event import MINUTE_MS, Event, Place, make_event
from correlator.frame import Frame, SourceMark
from correlator.timeline.partition import Partition
from correlator.timeline.settings import SiteTiming
from tests.engine.company import run, system, worker
from tests.timeline.streams import START_MS, arrivals
from tests.timeline.toy import NoScorer, Toy, ToyProgram

DEAD_MIN = 5 * 24 * 60


def look(embedded: Embedded) -> Status:
    found = view(MemoryLogReader(embedded.log), embedded.topics, embedded.bundles())
    return status_of(restored.partition for restored in found)


def test_it_is_what_the_owner_of_the_partitions_knows() -> None:
    embedded = system()
    only = worker(embedded, instance=None)
    while not only.is_finished:
        only.step()
    status = look(embedded)
    partitions = only.partitions()
    assert status.now_ms == min(partition.now_ms for partition in partitions)
    waiting = {(site.feed, site.site): site.waiting for site in status.sites if site.waiting}
    owned: dict[tuple[str, str], int] = {}
    for partition in partitions:
        for key, count in partition.wakes.count().items():
            owned[key] = owned.get(key, 0) + count
    assert waiting == owned
    for site in status.sites:
        known = [partition.marks.complete_ms(site.feed, site.site) for partition in partitions]
        assert site.complete_ms == min(known)
    assert {source.site for source in status.sources if source.feed == "badge"} == {
        site.site for site in status.sites if site.feed == "access"
    }
    only.finish()
    only.close()


def test_before_anything_has_arrived() -> None:
    status = look(system())
    assert (status.now_ms, {source.state for source in status.sources}) == (None, {"never_heard"})


def test_when_everything_is_settled_nothing_waits() -> None:
    embedded = system()
    run(worker(embedded))
    assert [site for site in look(embedded).sites if site.waiting] == []


def dead_and_skewed() -> Iterator[Partition]:
    """Two partitions in which a login waits; c1 is dead for days, c2 of the other site is 90 s ahead."""
    sites = (SiteTiming("a", "UTC", sources=(("badge", "c9"),)), SiteTiming("b", "UTC"))
    for number in (0, 1):
        partition = Partition(ToyProgram(Toy()), NoScorer(), number)
        partition.marks.use(msgspec.structs.replace(partition.marks.settings, sites=sites))
        dead_ms = START_MS - DEAD_MIN * MINUTE_MS
        partition.step(Frame("", (), arrivals(dead_ms + 1), (mark("c1", "a", dead_ms, 0),)))
        for minute in range(20):
            at_ms = START_MS + minute * MINUTE_MS
            partition.step(Frame("", (), arrivals(at_ms), (mark("c2", "b", at_ms, -90_000),)))
        rows = ((f"identity:u{number}", login(START_MS + 18 * MINUTE_MS)),)
        partition.step(Frame("", rows, arrivals(START_MS + (20 + number) * MINUTE_MS)))
        yield partition


def mark(source: str, site: str, at_ms: int, lag_ms: int) -> SourceMark:
    return SourceMark(source, "badge", site, "badge-events", 0, at_ms, lag_ms, 1, at_ms)


def login(time_ms: int) -> Event:
    return make_event(time_ms, "1" * 16, "login", outcome="success", is_interactive=True, place=Place("a"))


def test_what_is_wrong_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    status = status_of(dead_and_skewed())
    assert status.now_ms == START_MS + 20 * MINUTE_MS
    a, b = status.sites
    assert (a.feed, a.site, a.waiting, a.live, a.silent, a.never_heard) == ("access", "a", 2, 0, 1, 1)
    assert a.complete_ms is not None
    assert a.complete_ms <= START_MS - DEAD_MIN * MINUTE_MS
    assert (b.feed, b.site, b.waiting, b.live) == ("access", "b", 0, 1)
    assert [(s.source, s.state, s.skew_s, s.is_quarantined) for s in status.sources] == [
        ("c1", "silent", 0, False), ("c9", "never_heard", 0, False), ("c2", "live", 90, True),
    ]  # fmt: skip
    _print(status)
    said = capsys.readouterr().out
    for words in ("never heard", "90 s ahead", "quarantined", "silent", "5 d"):
        assert words in said


def test_a_site_with_readers_that_nobody_ever_heard_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    partition = Partition(ToyProgram(Toy()), NoScorer(), 0)
    sites = (SiteTiming("oslo", "UTC"), SiteTiming("cloud", "UTC", has_readers=False))
    partition.marks.use(msgspec.structs.replace(partition.marks.settings, sites=sites))
    partition.step(Frame("", (), arrivals(START_MS), (mark("c2", "b", START_MS - 1, 0),)))
    status = status_of([partition])
    assert [site for site in status.sites if site.site == "oslo"] == [SiteStatus("access", "oslo")]
    assert [site.site for site in status.sites] == ["b", "oslo"]
    _print(status)
    assert "oslo" in capsys.readouterr().out


def test_of_a_source_that_sends_what_it_kept_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """It is live, and complete only to what it has sent. Once it sends what is new it has caught up."""
    partition = Partition(ToyProgram(Toy()), NoScorer(), 0)

    def after(minute: int, lag_min: int) -> tuple[str, bool]:
        at_ms = START_MS + minute * MINUTE_MS
        event_ms = at_ms - lag_min * MINUTE_MS
        heard = SourceMark("c1", "badge", "a", "badge-events", 0, event_ms, at_ms - event_ms, 1, at_ms)
        partition.step(Frame("", (), arrivals(at_ms + 1), (heard,)))
        (source,) = status_of([partition]).sources
        return source.state, source.is_catching_up

    assert after(0, 0) == ("live", False)
    assert after(DEAD_MIN, DEAD_MIN - 1) == ("live", True)
    _print(status_of([partition]))
    assert "catching up" in capsys.readouterr().out
    assert after(DEAD_MIN + 1, 0) == ("live", False)


def test_a_site_of_which_one_partition_knows_nothing_is_complete_to_nothing() -> None:
    first, second = dead_and_skewed()
    second.marks.complete.clear()
    assert status_of([first, second]).sites[0].complete_ms is None
    assert isinstance(status_of([]).sites, list)
    assert SiteStatus("access", "a").waiting == 0
