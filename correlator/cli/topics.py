"""`correlator topics`: create the topics that correlator needs, and check those that are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from correlator.adapters.files import read_bundle
from correlator.adapters.kafka.admin import Topic, kafka_topics, own_topics, raw_topics
from correlator.adapters.kafka.client_logs import silence_client_logs
from correlator.cli.as_json import AsJson
from correlator.cli.connection import Connection, Directory, load_connection
from correlator.cli.exit_codes import FAILED
from correlator.cli.failing import reaching, refusing
from correlator.cli.screen import number_of

CHANGE = (
    "kafka-configs.sh --bootstrap-server {servers} --alter --entity-type topics --entity-name TOPIC "
    "--add-config SETTING=[VALUE]"
)

app = typer.Typer(
    help="Create and check the topics that correlator needs.", no_args_is_help=True, add_completion=False
)


@app.command()
def create(
    directory: Directory,
    as_json: AsJson = False,
    replication: Annotated[
        int,
        typer.Option(
            help="Replication factor of new topics; -1: the broker's default. Exactly once needs 2 at least."
        ),
    ] = -1,
) -> None:
    """Create the topics that are missing; never change one that exists.

    Exit codes: 0 all topics exist, 2 the configuration is wrong, 3 Kafka cannot be reached or refuses.
    """
    connection = _connection(directory)
    with reaching(connection.kafka.bootstrap_servers), kafka_topics(connection.kafka) as topics:
        created = topics.create(own_topics(connection.prefix, connection.partitions), replication)
    if as_json:
        typer.echo(json.dumps({"created": created}))
        return
    for name in created:
        typer.echo(f"created {name}")
    if not created:
        typer.echo("all topics exist already; `correlator topics check` compares them")


@app.command()
def check(directory: Directory, as_json: AsJson = False) -> None:
    """Say everything in which the topics are not as they must be; those that feeds read must be there.

    Exit codes: 0 nothing differs, 1 something does, 2 the configuration is wrong, 3 Kafka cannot be reached.
    """
    connection = _connection(directory)
    with reaching(connection.kafka.bootstrap_servers), kafka_topics(connection.kafka) as topics:
        wanted = own_topics(connection.prefix, connection.partitions)
        differences = topics.check([*wanted, *_raw_topics(directory)])
    if as_json:
        rows = [{"topic": d.topic, "what": d.what, "wanted": d.wanted, "found": d.found} for d in differences]
        typer.echo(json.dumps({"differences": rows}))
    else:
        for difference in differences:
            typer.echo(str(difference))
        if any("." in difference.what for difference in differences):  # a setting
            servers = ",".join(connection.kafka.bootstrap_servers)
            typer.echo(f"to change a setting: {CHANGE.format(servers=servers)}")
        typer.echo(
            number_of(len(differences), "difference") if differences else "all topics are as they must be"
        )
    if differences:
        raise typer.Exit(FAILED)


def _connection(directory: Path) -> Connection:
    silence_client_logs()
    with refusing():
        return load_connection(directory)


def _raw_topics(directory: Path) -> list[Topic]:
    bundle, _ = read_bundle(directory)
    if bundle is None:
        typer.echo("topics of feeds are not checked: the configuration has errors (`feeds check`)", err=True)
        return []
    return raw_topics(sorted(bundle.intake.feeds))
