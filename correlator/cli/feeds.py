"""`correlator feeds`: check feed files, run their samples, try a feed on a file of records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from correlator.adapters.documents import read_text, shipped, yaml_files
from correlator.adapters.schema_store import read_schemas
from correlator.adapters.yaml_lines import load_yaml
from correlator.cli.as_json import AsJson, as_text
from correlator.cli.exit_codes import FAILED, REFUSED
from correlator.cli.failing import print_problems
from correlator.cli.forward import forward
from correlator.cli.record_file import BadRecordFile, read_record_file
from correlator.cli.screen import Screen, wide_console
from correlator.intake.canonical import CANONICAL
from correlator.intake.convert import CONVERTERS
from correlator.intake.decode import Schemas
from correlator.intake.feeds import Feed, parse_feed
from correlator.intake.mapped import Heartbeat, Mapped
from correlator.intake.samples import SampleResult, shown
from correlator.problem import Problem, has_errors
from correlator.record import Reject

app = typer.Typer(
    help="Check and test feed files, try them on records, and see how feeds are doing.",
    no_args_is_help=True,
    add_completion=False,
)

Paths = Annotated[
    list[Path] | None, typer.Argument(help="Feed files or directories of them. Default: the shipped feeds.")
]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="Configuration directory whose feeds/ and schemas/ to read instead."),
]


@app.command("check")
def check_command(paths: Paths = None, config: Config = None, as_json: AsJson = False) -> None:
    """Say everything that is wrong with feed files, with file, line and column.

    Exit codes: 0 nothing is wrong (there may be warnings), 2 there are errors.
    """
    feeds, problems = read_feeds(paths, config)
    if as_json:
        typer.echo(as_text({"feeds": [_feed(feed) for feed in feeds], "problems": problems}))
    else:
        print_problems(problems)
        if feeds:
            wide_console().print(_feeds_table(feeds))
    if has_errors(problems):
        raise typer.Exit(REFUSED)


@app.command("test")
def run_tests(
    paths: Paths = None,
    config: Config = None,
    as_json: AsJson = False,
    is_verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List passed samples too.")] = False,
) -> None:
    """Run the samples in feed files: each record must become the event, or the reason, that is expected.

    Exit codes: 0 all passed, 1 a sample failed, 2 a file has errors and nothing was run.
    """
    feeds, problems = read_feeds(paths, config)
    if has_errors(problems):
        _stop(problems, as_json=as_json)
    results = [(feed, result) for feed in feeds for result in feed.test()]
    if as_json:
        typer.echo(as_text({"samples": [_result(feed, result) for feed, result in results]}))
    else:
        _print_results(feeds, results, is_verbose=is_verbose)
    if any(result.differences for _, result in results):
        raise typer.Exit(FAILED)


@app.command("try")
def try_feed(
    file: Annotated[
        Path, typer.Argument(help="Records: JSON lines (also .gz), else the bytes of one record's value.")
    ],
    name: Annotated[
        str, typer.Option("--feed", "-f", help="Name of a feed, or a feed file. Default: by the file's name.")
    ] = "",
    config: Config = None,
    as_json: AsJson = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Read no more than so many records.")] = None,
    is_brief: Annotated[bool, typer.Option("--rejects", help="Print refused records only.")] = False,
) -> None:
    """Print what a feed makes of each record in a file: the mapped event, or why it is refused.

    A line is the value of a record, or an object with `value` or `value_b64` as in records/TOPIC.jsonl of a
    configuration directory. Counts per reason come at the end (with --json: as the last line).

    Exit codes: 0 every record was mapped or ignored, 1 some were refused, 2 there is no such feed or file.
    """
    feed = _chosen(name, file, config, as_json=as_json)
    counts: Counter[str] = Counter()
    try:
        for number, record in enumerate(read_record_file(file, feed.topic), 1):
            found = feed.map(record)
            counts[_counted_as(found)] += 1
            if isinstance(found, Reject) or not is_brief:
                kept = feed.kept(record) if isinstance(found, Mapped) else {}
                _print_found(number, found, kept, as_json=as_json)
            if number == limit:
                break
    except BadRecordFile as bad:
        typer.echo(f"{file}: {bad}", err=True)
        raise typer.Exit(REFUSED) from bad
    _print_counts(feed, counts, as_json=as_json)
    if any(reason not in {"mapped", "heartbeat", "ignored"} for reason in counts):
        raise typer.Exit(FAILED)


@app.command("fields")
def fields_command(as_json: AsJson = False) -> None:
    """List what a feed file may use: the canonical fields and the converters."""
    if as_json:
        fields = [{"name": n, "kinds": c.kinds, "words": c.words, "doc": c.doc} for n, c in CANONICAL.items()]
        converters = [{"name": name, "doc": converter.doc} for name, converter in CONVERTERS.items()]
        typer.echo(as_text({"fields": fields, "converters": converters}))
        return
    table = Table("field", "kinds", "values", "meaning")
    for name, canonical in CANONICAL.items():
        table.add_row(name, ", ".join(canonical.kinds), ", ".join(canonical.words), canonical.doc)
    converting = Table("converter", "meaning")
    for name, converter in CONVERTERS.items():
        converting.add_row(name, converter.doc)
    wide_console().print(table, converting)


forward(
    app,
    {"status": ("feeds_status", "status_command", "Say what feeds are complete to, and what waits.")},
    "correlator feeds",
)


# ----------------------------------------------------------------------- files


def read_feeds(paths: Sequence[Path] | None, config: Path | None) -> tuple[list[Feed], list[Problem]]:
    """The feeds in *paths*, and everything that is wrong with them. Exits with 2 when there are none."""
    files = _files(paths, config)
    schemas, problems = _schemas(config)
    feeds: list[Feed] = []
    for file in files:
        feed, wrong = _read_feed(file, schemas)
        problems += wrong
        if feed is not None:
            feeds.append(feed)
    return feeds, sorted(problems)


def _files(paths: Sequence[Path] | None, config: Path | None) -> list[Path]:
    given = list(paths or ()) or [_own(config, "feeds")]
    files: list[Path] = []
    for path in given:
        files += yaml_files(path) if path.is_dir() else [path]
    if not files:
        typer.echo(f"feeds: no feed files in {', '.join(map(str, given))}", err=True)
        raise typer.Exit(REFUSED)
    return files


def _own(config: Path | None, kind: str) -> Path:
    own = None if config is None else config / kind
    return own if own is not None and own.is_dir() else shipped(kind)


def _schemas(config: Path | None) -> tuple[Schemas, list[Problem]]:
    return read_schemas(_own(config, "schemas"))


def _read_feed(file: Path, schemas: Schemas) -> tuple[Feed | None, list[Problem]]:
    text, problems = read_text(file)
    if problems:
        return None, problems
    document, lines, problems = load_yaml(text, str(file))
    if has_errors(problems):
        return None, problems
    return parse_feed(document, lines, str(file), schemas)


def _chosen(name: str, file: Path, config: Path | None, *, as_json: bool) -> Feed:
    """The feed *name*, else the one whose topic or name *file* is called by. Exits with 2 without one."""
    is_path = name.endswith((".yml", ".yaml"))
    feeds, problems = read_feeds([Path(name)] if is_path else None, config)
    if not is_path and config is not None:
        feeds += [
            feed
            for feed in read_feeds([shipped("feeds")], None)[0]
            if feed.name not in {f.name for f in feeds}
        ]
    if has_errors(problems):
        _stop(problems, as_json=as_json)
    called = file.name.split(".", 1)[0]
    for feed in feeds:
        if is_path or name == feed.name or (not name and called in {feed.topic, feed.name}):
            return feed
    names = ", ".join(feed.name for feed in feeds)
    said = (
        f"there is no feed {name!r}" if name else f"the name {file.name} does not tell the feed: say --feed"
    )
    typer.echo(f"{said}; there are: {names}", err=True)
    raise typer.Exit(REFUSED)


# ---------------------------------------------------------------------- output


def _stop(problems: Sequence[Problem], *, as_json: bool) -> None:
    if as_json:
        typer.echo(as_text({"problems": problems}))
    else:
        print_problems(problems)
    raise typer.Exit(REFUSED)


def _feeds_table(feeds: Sequence[Feed]) -> Table:
    table = Table("feed", "topic", "kinds", "samples", title=f"{len(feeds)} feeds")
    for feed in feeds:
        table.add_row(feed.name, feed.topic, ", ".join(feed.kinds), str(len(feed.samples)))
    return table


def _print_results(
    feeds: Sequence[Feed], results: Sequence[tuple[Feed, SampleResult]], *, is_verbose: bool
) -> None:
    table = Table("feed", "sample", "result")
    for feed, result in results:
        where = escape(f"{result.sample.name} (line {result.sample.line})")
        if result.differences:
            table.add_row(feed.name, where, f"[red]{escape(chr(10).join(result.differences))}[/red]")
        elif is_verbose:
            table.add_row(feed.name, where, "[green]passed[/green]")
    console = Screen()
    if table.row_count:
        console.print(table)
    failed = sum(bool(result.differences) for _, result in results)
    untested = [feed.name for feed in feeds if not feed.samples]
    if untested:
        console.print(f"[yellow]without samples: {', '.join(untested)}[/yellow]")
    console.print(f"{len(results) - failed} passed, {failed} failed")


def _counted_as(found: Mapped | Heartbeat | Reject | None) -> str:
    if isinstance(found, Reject):
        return found.reason
    if isinstance(found, Heartbeat):
        return "heartbeat"
    return "ignored" if found is None else "mapped"


def _print_found(
    number: int, found: Mapped | Heartbeat | Reject | None, kept: dict[str, object], *, as_json: bool
) -> None:
    if as_json:
        told: dict[str, object] = {"record": number}
        if isinstance(found, Reject):
            told |= {"reject": found.reason, "stage": found.stage, "message": found.message}
        elif isinstance(found, Heartbeat):
            told["heartbeat"] = found.source
        else:
            told["events"] = [] if found is None else [shown(found)]
            told |= {"kept": kept} if kept else {}
        typer.echo(json.dumps(told, ensure_ascii=False))
    elif isinstance(found, Reject):
        typer.secho(f"{number}: {found.reason}: {found.message}", fg=typer.colors.RED)
    else:
        also = f"; kept: {_listed(kept)}" if kept else ""
        typer.echo(f"{number}: {_said(found)}{also}")


def _said(found: Mapped | Heartbeat | None) -> str:
    if isinstance(found, Heartbeat):
        return f"heartbeat of {found.source}"
    return "ignored" if found is None else _line(found)


def _line(mapped: Mapped) -> str:
    fields = shown(mapped)
    time, kind = fields.pop("time"), fields.pop("kind")
    return f"{time} {kind} {_listed(fields)}"


def _listed(fields: Mapping[str, object]) -> str:
    return " ".join(f"{name}={_value(value)}" for name, value in fields.items())


def _value(value: object) -> str:
    if isinstance(value, list):
        return _value(", ".join(map(_value, value)))
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text


def _print_counts(feed: Feed, counts: Counter[str], *, as_json: bool) -> None:
    if as_json:
        typer.echo(as_text({"feed": feed.name, "counts": dict(sorted(counts.items()))}))
        return
    table = Table("outcome", "records", title=f"feed {feed.name}")
    for reason, count in counts.most_common():
        table.add_row(reason, f"{count:,}")
    wide_console().print(table)


def _feed(feed: Feed) -> dict[str, object]:
    return {"name": feed.name, "topic": feed.topic, "kinds": list(feed.kinds), "samples": len(feed.samples)}


def _result(feed: Feed, result: SampleResult) -> dict[str, object]:
    return {
        "feed": feed.name,
        "sample": result.sample.name,
        "line": result.sample.line,
        "passed": not result.differences,
        "differences": list(result.differences),
    }
