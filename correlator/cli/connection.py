"""Where a configuration directory says the log is: the parts of correlator.yml that no bundle contains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from correlator.adapters.files import kafka_settings, load_general
from correlator.adapters.kafka.config import KafkaConfig, parse_kafka
from correlator.engine.topics import Topics
from correlator.problem import BadConfiguration, Problem

Directory = Annotated[Path, typer.Argument(help="Configuration directory, with correlator.yml.")]


class Connection(msgspec.Struct, frozen=True):
    """*prefix* begins the name of each of our topics; *partitions* are those of `keyed`, fixed for life.
    *directory*: where it stands, and what no topic can hold.
    """

    kafka: KafkaConfig
    prefix: str
    partitions: int
    directory: Path

    @property
    def topics(self) -> Topics:
        return Topics(self.prefix)


def load_connection(directory: Path) -> Connection:
    """From *directory*/correlator.yml; the defaults where it says nothing. Raises `BadConfiguration`."""
    if not directory.is_dir():
        raise BadConfiguration([Problem(str(directory), 0, 0, "", "is not a directory")])
    problems: list[Problem] = []
    kafka = general = None
    try:
        kafka, problems = parse_kafka(*kafka_settings(directory), directory)
        general = load_general(directory)
    except BadConfiguration as error:
        problems = [*problems, *error.problems]
    if kafka is None or general is None or problems:
        raise BadConfiguration(problems)
    return Connection(kafka, general.prefix, general.partitions, directory)
