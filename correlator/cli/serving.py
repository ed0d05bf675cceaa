"""The port of a process that works, or waits for Kafka to begin: /metrics, /livez, /readyz."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from platform import python_version

import typer

from correlator.adapters.clock import SteadyClock
from correlator.adapters.http import HttpServer
from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.exit_codes import REFUSED
from correlator.engine.health import Health


@contextmanager
def served(health: Health, meter: PrometheusMeter, http: tuple[str, int]) -> Iterator[str]:
    """The address while it is served. *http*: host and port; 0: any. Ends the program where it is taken."""
    versions = {"version": version("correlator"), "kafka_python": version("kafka-python")}
    meter.set("correlator_build_info", 1, python=python_version(), **versions)
    host, port = http
    try:
        server = HttpServer(meter.exposition, health, SteadyClock(), host=host, port=port)
    except OSError as error:
        typer.echo(f"port {port} of {host}: {error.strerror}", err=True)
        raise typer.Exit(REFUSED) from error
    try:
        yield server.url
    finally:
        server.close()
