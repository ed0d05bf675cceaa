"""How a back-test runs: one pass of two rule sets, on any number of processes, tells what the worker does."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from correlator.adapters.documents import shipped
from correlator.adapters.files import load_texts
from correlator.adapters.record_files import identities_of, read_records
from correlator.cli.backtest import Alert, Source, alerts_of, one_by_one, run_both, span, together, with_rules
from correlator.cli.replay import Replay
from correlator.cli.rounds import told_of
from correlator.cli.team import ProcessDied
from correlator.pipeline import Bundle
from correlator.simulate.company import CompanySettings
from tests.cli.companies import company_of

RISK = re.compile(r"^ +risk: .*\n", re.MULTILINE)
CHANGES = (  # what the other side says instead, of rules of every type
    ("d01_onsite_login_without_badge", "for: 12h", "for: 1h"),
    ("d05_badge_login_travel", "level: high", "level: low"),
    ("d17_denied_burst", "{gte: 5}", "{gte: 3}"),
    ("d18_door_probing", "gte: 3", "gte: 2"),
    ("d32_alone_in_a_two_person_zone", "level: high", "level: low"),
    ("d35_never_left", "timespan: 16h", "timespan: 20h"),
)


@pytest.fixture(scope="module")
def company() -> Iterator[Path]:
    with company_of(CompanySettings(days=4, people=60, seed=3)) as directory:
        yield directory


@pytest.fixture(scope="module")
def source(company: Path) -> Source:
    records = list(read_records(company))
    sites = load_texts(company)[0].intake.sites
    return Source(records, identities_of(company, sites), *span(records))


def every_rule(company: Path, directory: Path, *, has_risk: bool = False, without: str = "") -> Bundle:
    """All shipped rules, of *directory*: with risks they could not share a pass."""
    directory.mkdir(exist_ok=True)
    for path in [*shipped("rules").glob("*.yml"), *(shipped("rules") / "more").glob("*.yml")]:
        if path.stem != without and not (directory / path.name).exists():
            text = path.read_text(encoding="utf-8")
            (directory / path.name).write_text(text if has_risk else RISK.sub("", text), encoding="utf-8")
    return with_rules(load_texts(company)[1], directory, "correlator.", company)


def changed(company: Path, directory: Path) -> Bundle:
    """The same with some rules otherwise, one less and one more."""
    every_rule(company, directory, without="d38_login_login_travel")
    for name, before, after in CHANGES:
        path = directory / f"{name}.yml"
        text = path.read_text(encoding="utf-8")
        assert before in text, name
        path.write_text(RISK.sub("", text.replace(before, after)), encoding="utf-8")
    text = (directory / "d17_denied_burst.yml").read_text(encoding="utf-8").replace("{gte: 3}", "{gte: 2}")
    text = text.replace("d17_denied_burst", "pair").replace("badge_denied_to_holder", "pair_base")
    (directory / "pair.yml").write_text(text.replace("000000000017", "999999999999"), encoding="utf-8")
    return with_rules(load_texts(company)[1], directory, "correlator.", company)


def found(bundle: Bundle, source: Source, processes: int = 1) -> list[Alert]:
    told = told_of(one_by_one(bundle), source.records, source.identities, lambda _: None, processes)
    return alerts_of(told, source)


@pytest.fixture(scope="module")
def risky(company: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return every_rule(company, tmp_path_factory.mktemp("risky"), has_risk=True)


@pytest.fixture(scope="module")
def here(risky: Bundle, source: Source) -> list[Alert]:
    """In this process alone."""
    return found(risky, source)


def test_it_tells_what_the_worker_tells(risky: Bundle, source: Source, here: list[Alert]) -> None:
    replay = Replay(one_by_one(risky), source.records, source.identities)
    replay.worker.run(lambda: False)
    replay.collect()
    told = [*((value, False) for value in replay.alerts), *((value, True) for value in replay.shadow)]
    assert here == alerts_of(told, source)
    assert len({alert.rule for alert in here}) > 8


def test_on_any_number_of_processes(risky: Bundle, source: Source, here: list[Alert]) -> None:
    assert found(risky, source, 3) == here


def test_one_pass_tells_what_two_would(company: Path, source: Source, tmp_path: Path) -> None:
    ours, against = every_rule(company, tmp_path / "a"), changed(company, tmp_path / "b")
    assert together(ours, against) is not None
    names: set[str] = set()
    both = run_both(ours, against, source, lambda name, _: names.add(name), 2)
    assert names == {"both"}
    assert both == (found(ours, source, 2), found(against, source, 2))
    assert both[0] != both[1]


def test_two_passes_where_one_is_not_enough(
    company: Path, risky: Bundle, source: Source, tmp_path: Path
) -> None:
    """What adds up to a risk on one side, or another setting, could change any alert of the other."""
    ours = every_rule(company, tmp_path / "a")
    assert together(ours, risky) is None
    assert together(risky, risky) is not None
    assert together(ours, replace(ours, ground="another")) is None
    few = replace(source, records=source.records[:800])
    both = run_both(ours, risky, few, lambda *_: None, 1)
    assert both == (found(ours, few), found(risky, few))


def children() -> set[int]:
    """Process ids."""
    return {
        int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()
    }


def test_a_process_that_dies_is_told_of(company: Path, source: Source, tmp_path: Path) -> None:
    bundle, before = every_rule(company, tmp_path), children()

    def kill_one(_: int) -> None:
        os.kill(min(children() - before), signal.SIGKILL)

    with pytest.raises(ProcessDied, match="was killed by SIGKILL: did the machine run out of memory"):
        told_of(bundle, source.records, source.identities, kill_one, 2)
    assert children() <= before


def test_an_interrupt_is_for_who_started_them(risky: Bundle, source: Source, here: list[Alert]) -> None:
    """Ctrl-C reaches all processes of a terminal."""
    before = children()

    def interrupt(_: int) -> None:
        for pid in children() - before:
            os.kill(pid, signal.SIGINT)

    told = told_of(one_by_one(risky), source.records, source.identities, interrupt, 2)
    assert alerts_of(told, source) == here


def test_who_is_interrupted_leaves_nobody_behind(company: Path, source: Source, tmp_path: Path) -> None:
    bundle, before = every_rule(company, tmp_path), children()

    def interrupt(_: int) -> None:
        assert children() > before
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        told_of(bundle, source.records, source.identities, interrupt, 2)
    assert children() <= before
