"""`correlator run`: the main job, on Kafka or embedded."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Annotated, Literal

import typer

from correlator.cli.failing import refusing
from correlator.cli.run_embedded import on_company, on_records
from correlator.cli.run_on_kafka import Wanted, run_on_kafka
from correlator.cli.stopping import STOPPING
from correlator.cli.times import duration_ms

Config = Annotated[
    Path | None, typer.Option("--config", help="Configuration directory. Needed, unless --embedded.")
]
Embedded = Annotated[
    bool,
    typer.Option(
        "--embedded", help="Without Kafka: on the records of --config, else on a simulated company."
    ),
]
Stage = Annotated[Literal["intake", "correlate"] | None, typer.Option(help="Only this stage; else both.")]
UntilEnd = Annotated[
    bool, typer.Option("--until-end", help="Read what is there now, settle everything, commit, and end.")
]
Deploy = Annotated[
    bool | None,
    typer.Option(
        "--deploy/--no-deploy",
        help="Activate the bundle of --config, whatever is active. Default: yes, if this process does all by "
        "itself; no with --stage or --instance.",
    ),
]
Watch = Annotated[
    bool, typer.Option("--watch", help="--deploy, and again whenever a file of --config changes.")
]
Duration = Annotated[str, typer.Option(help="End after this time: 60s, 5m, 1h. Default: never.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Of /metrics, /livez, /readyz; 0: any.")]
Host = Annotated[str, typer.Option(help="Address that serves them.")]
Instance = Annotated[
    str, typer.Option(help="Unique per process, the same after a restart. Default: the host's name.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Embedded: alerts as JSON lines. Kafka: a summary at the end.")
]


def run_command(
    config: Config = None,
    is_embedded: Embedded = False,
    stage: Stage = None,
    until_end: UntilEnd = False,
    is_deploying: Deploy = None,
    is_watching: Watch = False,
    duration: Duration = "",
    port: Port = 0,
    host: Host = "127.0.0.1",
    instance: Instance = "",
    as_json: AsJson = False,
) -> None:
    """Join badge and login events per identity and raise alerts, until Ctrl-C or SIGTERM.

    On Kafka a process that does all by itself activates the bundle of its directory, as `deploy` does. One
    of several runs what is active; the first of all activates what it brings.
    Stopping finishes what was begun, commits, writes checkpoints and leaves; a second signal ends at once.

    Exit codes: 0 ended in order, 2 the configuration is wrong or the state was made under another one,
    130 ended at once.
    """
    if config is None and not is_embedded:
        raise typer.BadParameter("give --config DIR, or --embedded for a simulated company")
    if is_embedded:
        _refuse_of_kafka(stage, until_end, is_deploying, is_watching, instance)
    ends_s = monotonic() + duration_ms(duration) / 1_000 if duration else float("inf")

    def is_stopping() -> bool:
        return STOPPING.is_asked or monotonic() >= ends_s

    with refusing():
        if config is not None and not is_embedded:
            alone = stage is None and not instance
            deploying = is_watching or (alone if is_deploying is None else is_deploying)
            run_on_kafka(
                Wanted(config, stage, instance, until_end, deploying, is_watching, (host, port), as_json),
                is_stopping,
            )
        elif config is not None:
            on_records(config, is_stopping, http=(host, port), as_json=as_json)
        else:
            on_company(is_stopping, http=(host, port), as_json=as_json)


def _refuse_of_kafka(
    stage: str | None, until_end: bool, is_deploying: bool | None, is_watching: bool, instance: str
) -> None:
    """Options that mean nothing without Kafka."""
    said = {
        "--stage": stage is not None,
        "--until-end": until_end,
        "--deploy": is_deploying is not None,
        "--watch": is_watching,
        "--instance": bool(instance),
    }
    if any(said.values()):
        given = ", ".join(name for name, is_given in said.items() if is_given)
        raise typer.BadParameter(f"{given}: for Kafka only, not with --embedded")
