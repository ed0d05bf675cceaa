"""Where a configuration directory says the log is: the parts of correlator.yml that no bundle contains."""

from __future__ import annotations

from pathlib import Path

import msgspec

from correlator.adapters.kafka.config import KafkaConfig, parse_kafka
from correlator.adapters.yaml_lines import load_yaml
from correlator.problem import BadConfiguration, Lines, Problem

FILE = "correlator.yml"
PREFIX = "correlator."
PARTITIONS = 4
PARTITIONS_MAX = 1_000


class Connection(msgspec.Struct, frozen=True):
    """*prefix* begins the name of each of our topics; *partitions* are those of `keyed`, fixed for life."""

    kafka: KafkaConfig
    prefix: str = PREFIX
    partitions: int = PARTITIONS


def load_connection(directory: Path) -> Connection:
    """From *directory*/correlator.yml; the defaults where it says nothing. Raises `BadConfiguration`."""
    path = directory / FILE
    if not directory.is_dir():
        raise BadConfiguration([Problem(str(directory), 0, 0, "", "is not a directory")])
    document, lines, problems = None, Lines(FILE), list[Problem]()
    if path.exists():
        document, lines, problems = load_yaml(path.read_text(encoding="utf-8"), FILE)
    if problems:
        raise BadConfiguration(problems)
    return _parse(document if isinstance(document, dict) else {}, lines)


def _parse(document: dict[str, object], lines: Lines) -> Connection:
    kafka, problems = parse_kafka(document.get("kafka"), lines)
    topics = document.get("topics", {})
    prefix = topics.get("prefix", PREFIX) if isinstance(topics, dict) else None
    if not isinstance(prefix, str):
        problems.append(lines.problem(("topics", "prefix"), "must be text"))
    partitions = document.get("partitions", PARTITIONS)
    if not isinstance(partitions, int) or not 1 <= partitions <= PARTITIONS_MAX:
        problems.append(lines.problem(("partitions",), f"must be a number from 1 to {PARTITIONS_MAX}"))
    if kafka is None or not isinstance(prefix, str) or not isinstance(partitions, int) or problems:
        raise BadConfiguration(problems)
    return Connection(kafka, prefix, partitions)
