"""`correlator rules`: the tools of somebody who writes rules, one module a verb."""

from __future__ import annotations

import typer

from correlator.cli.forward import forward

VERBS = {
    "check": ("rules_check", "check_command", "Say everything that is wrong with rule files."),
    "test": ("rules_test", "run_tests", "Run the tests in rule files."),
    "explain": ("rules_explain", "explain_command", "Say line by line why a rule matched, or did not."),
    "backtest": (
        "rules_backtest",
        "backtest_command",
        "Say what other rules would have told of records.",
    ),
    "status": ("rules_status", "status_command", "Say what is in force on Kafka, and what its rules told."),
    "new": ("rules_new", "new_command", "Write a rule to start from."),
    "coverage": ("rules_coverage", "coverage_command", "Say what rules cover, what they need and lack."),
    "bench": ("rules_bench", "bench_command", "Measure what each rule costs an event."),
    "fields": ("rules_fields", "fields_command", "List the fields that rules may use."),
    "schema": ("rules_schema", "schema_command", "Print the JSON schema of rule files, for editors."),
}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="""Check, test and explain rules, and all else that their authors need.

    Without files the verbs read the shipped rules; with --config DIR those of a configuration directory, with
    its value lists and, where something is run, its settings.
    """,
)

forward(app, VERBS, "correlator rules")
