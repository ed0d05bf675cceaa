"""What a rule author waits for: loading, `rules check`, `rules test`, `rules backtest`, each in a process.

Rules are the templates of `rules new`, over and over under other names, with their tests; of the back-test
the shipped ones, and templates that seldom match.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from shutil import copy
from subprocess import DEVNULL
from subprocess import run as run_process
from tempfile import TemporaryDirectory
from time import monotonic, process_time
from uuid import UUID

import msgspec

from bench.report import Cell, Report
from bench.workload import Shape, make_workload, write_directory
from correlator.adapters.documents import shipped
from correlator.cli.rule_files import read_rules
from correlator.cli.rules_new import ID, NAME
from correlator.record import Record
from correlator.rules.program import RuleProgram
from correlator.timeline.settings import Settings

RULES, BACKTEST_RULES = 100, 50
SELDOM = ("event", "door", "unusual", "count")
_MAIN = "from correlator.cli.main import main; main()"


def run(shape: Shape) -> list[Report]:
    with TemporaryDirectory() as name:
        rules = Path(name) / "rules"
        write_rules(rules, RULES)
        files = sorted(rules.glob("*.yml"))
        began, wall = process_time(), monotonic()
        loaded, _ = read_rules(files)
        read_s = process_time() - began
        RuleProgram(loaded, Settings())
        rows: list[tuple[Cell, ...]] = [
            (f"load and compile {RULES} files", monotonic() - wall, process_time() - began, read_s),
            (f"rules check, {RULES} files", *_spent(["rules", "check", str(rules)]), 0.0),
            ("rules test, the shipped pack", *_spent(["rules", "test"]), 0.0),
            (f"rules test, {RULES} files", *_spent(["rules", "test", str(rules)]), 0.0),
        ]
    rows.append((f"rules backtest, {shape.events:,} events, {BACKTEST_RULES} rules", *_backtest(shape), 0.0))
    notes = ["Processes with their start and imports. A back-test asks both rule sets in one pass."]
    return [
        Report(
            "authoring", "What a rule author waits for", ("", "wall s", "CPU s", "of it reading"), rows, notes
        )
    ]


def write_rules(directory: Path, count: int, names: Sequence[str] = ()) -> None:
    """*count* rule files, from the templates *names*; without, from all but that for vendors' fields."""
    directory.mkdir(parents=True)
    templates = sorted((shipped("rules") / "templates").glob("*.yml"))
    wanted = names or [path.stem for path in templates if path.stem != "vendor"]
    texts = [path.read_text(encoding="utf-8") for path in templates if path.stem in wanted]
    for number in range(count):
        text = texts[number % len(texts)].replace(NAME, f"rule_{number}")
        text = text.replace(ID, str(UUID(int=number + 1)))
        (directory / f"rule_{number}.yml").write_text(text, encoding="utf-8")


def _spent(arguments: Sequence[str]) -> tuple[float, float]:
    """Wall and processor seconds of `correlator` with *arguments*."""
    before, began = getrusage(RUSAGE_CHILDREN), monotonic()
    command = [sys.executable, "-c", _MAIN, *arguments]
    run_process(command, check=False, stdout=DEVNULL)  # noqa: S603 (our own words)
    wall_s, after = monotonic() - began, getrusage(RUSAGE_CHILDREN)
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _backtest(shape: Shape) -> tuple[float, float]:
    with TemporaryDirectory() as name:
        directory = Path(name)
        write_directory(directory, shape)
        pack = sorted(shipped("rules").glob("*.yml"))
        write_rules(directory / "more", BACKTEST_RULES - len(pack), SELDOM)
        for path in pack:
            copy(path, directory / "more")
        made = make_workload(shape)
        _write_records(directory, [*made.before, *made.events])
        (directory / "identities.jsonl").write_bytes(b"\n".join(row for _, row in made.identities))
        return _spent(["rules", "backtest", "--config", name, "--rules", str(directory / "more"), "--json"])


def _write_records(directory: Path, records: Sequence[Record]) -> None:
    (directory / "records").mkdir()
    lines: dict[str, list[bytes]] = {}
    for record in records:
        said = {"value": msgspec.Raw(record.value or b"null"), "arrival_ms": record.timestamp_ms,
                "partition": record.partition}  # fmt: skip
        lines.setdefault(record.topic, []).append(msgspec.json.encode(said))
    for topic, found in lines.items():
        (directory / "records" / f"{topic}.jsonl").write_bytes(b"\n".join(found))
