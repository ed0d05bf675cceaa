"""`correlator`: one verb a module, imported when it is asked for.

Signals are taken over before anything slow is imported, so that SIGTERM ends a starting process in order too.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from correlator.cli.exit_codes import FAILED
from correlator.cli.forward import forward
from correlator.cli.stopping import STOPPING

VERBS = {
    "run": (
        "run",
        "run_command",
        "Join events and raise alerts: on Kafka, or embedded with a simulated company.",
    ),
    "replay": (
        "replay",
        "replay_command",
        "Read recorded events as the live system would have, write the alerts.",
    ),
    "simulate": ("simulate", "simulate_command", "Make up a company with its records and hidden scenarios."),
    "evaluate": ("evaluate", "evaluate_command", "Hold alerts against the truth of a simulation."),
    "deploy": ("deploy", "deploy_command", "Put rules and configuration into force, without a restart."),
    "backfill": (
        "backfill",
        "backfill_command",
        "Begin with the past, all rules in shadow, then go live.",
    ),
    "rollback": ("deploy", "rollback_command", "Put the bundle before into force again."),
    "who": ("who", "who_command", "Say who was in a zone at a time, and by which evidence."),
    "timeline": ("timeline", "timeline_command", "Show what is known of one person or door, in order."),
    "rules": ("rules", "app", "Check, test and explain rules, and all else that their authors need."),
    "feeds": ("feeds", "app", "Check and test feeds, try one on records, see what they are complete to."),
    "identities": ("identities", "app", "Publish identities."),
    "topics": ("topics", "app", "Create and check our topics."),
    "alerts": ("alerts", "app", "Follow the alerts."),
    "state": (
        "state",
        "app",
        "Keep what was learnt, begin anew with it, forget checkpoints, set offsets.",
    ),
    "dead-letters": ("dead_letters", "app", "List, show and send back refused records."),
}
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EPIPE)
LOOPS = ("run", "replay", "backfill")  # verbs that end in order when asked to stop

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="""Join badge-reader and login events per identity on Kafka, and raise explained alerts.

    Exit codes of all verbs: 0 done, 1 done with findings (tests failed, attacks missed, topics differ),
    2 wrong arguments, configuration or state, 3 Kafka cannot be reached, 4 a process of a back-test died,
    130 interrupted.
    """,
)


@app.callback(invoke_without_command=True)
def callback(
    is_version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    if is_version:
        typer.echo(f"correlator {version('correlator')}")
        raise typer.Exit


forward(app, VERBS, "correlator")


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] in LOOPS:
        STOPPING.install()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # here it can be said that this failed
    except OSError as error:
        if error.filename is not None or error.errno not in UNWRITABLE:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter tries once more
        if error.errno != errno.EPIPE:  # who read it has seen enough
            sys.stderr.write(f"what was to be printed could not be written: {error.strerror}\n")
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
