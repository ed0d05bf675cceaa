"""`correlator rules new`: a rule to start from, with tests that pass."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.table import Table

from correlator.adapters.documents import read_text, shipped, yaml_files
from correlator.cli.failing import writing
from correlator.cli.rule_files import refuse
from correlator.cli.screen import wide_console
from correlator.spelling import nearest

NAME, ID, REVIEW = "my_rule", "00000000-0000-4000-8000-000000000000", "2099-12-31"  # as templates have them
REVIEW_DAYS = 180
TEMPLATES = "templates"  # the folder of those that are to be changed; all others are whole detections

_TITLES = re.compile(r"^title: (.+)$", re.MULTILINE)  # of a detection the last: those before are counted
_NAME = re.compile(r"[a-z][a-z0-9_]{0,79}")

Template = Annotated[str, typer.Option("--template", "-t", help="What to start from, see --list.")]
Into = Annotated[Path, typer.Option("--to", help="Directory for the file.")]
Shipped = Annotated[
    bool, typer.Option("--shipped", help="Copy the shipped rules that are on, as they are, to begin with.")
]
Lists = Annotated[bool, typer.Option("--list", help="List the templates.")]


def new_command(
    name: Annotated[str, typer.Argument(help="Name of the rule, and of its file.")] = "",
    template: Template = "event",
    to: Into = Path("rules"),
    is_shipped: Shipped = False,
    is_list: Lists = False,
) -> None:
    """Write a rule to start from: TO/NAME.yml, in shadow mode, with tests that pass. Templates are to be
    changed, and get an id of their own; those that begin with d and a number are whole detections.

    A configuration with rules/ of its own does without the shipped ones: --shipped takes them along.

    Exit codes: 0 done, 2 there is no such template, the name is none, or the file is there already.
    """
    if is_shipped:
        _copy_shipped(to)
        return
    paths = (
        path
        for folder in (TEMPLATES, "", "more")
        for path in sorted((shipped("rules") / folder).glob("*.yml"))
    )
    templates = {path.stem: path for path in paths}
    if is_list:
        _print(templates)
        return
    if template not in templates:
        refuse(f"there is no template {template!r}{nearest(template, templates)}; --list shows them")
    path = templates[template]
    name = name or (template if _is_whole(path) else "")
    if not _NAME.fullmatch(name):
        refuse(f"{name!r} is no name: lower-case letters, digits and underscores, such as login_on_leave")
    file = to / f"{name}.yml"
    if file.exists():
        refuse(f"{file} is there already")
    text = read_text(path)[0]
    filled = _tried_out(text, template, name) if _is_whole(path) else _filled(text, name)
    with writing(file):
        is_first = not yaml_files(to)
        to.mkdir(parents=True, exist_ok=True)
        file.write_text(filled, encoding="utf-8")
    typer.echo(f"{file}: change it, then: correlator rules check {file}; correlator rules test {file}")
    if is_first and to.name == "rules":
        typer.echo(
            f"{to} has no other rules: a configuration with rules of its own does without the shipped ones. "
            f"correlator rules new --shipped --to {to} keeps them",
            err=True,
        )


def _is_whole(path: Path) -> bool:
    """Is it a detection, and no template?"""
    return path.parent.name != TEMPLATES


def _copy_shipped(to: Path) -> None:
    """Ids, names and modes stay, so their alerts go on as they were."""
    sources = sorted(shipped("rules").glob("*.yml"))
    there = [to / path.name for path in sources if (to / path.name).exists()]
    if there:
        refuse(f"{', '.join(map(str, there))}: there already, nothing is copied")
    with writing(to):
        to.mkdir(parents=True, exist_ok=True)
        for path in sources:
            (to / path.name).write_text(read_text(path)[0], encoding="utf-8")
    typer.echo(f"{to}: {len(sources)} shipped rules, as they are")


def _filled(text: str, name: str) -> str:
    _, _, text = text.partition("\n")  # the first line says what the template is for
    review_by = datetime.now(UTC).date() + timedelta(days=REVIEW_DAYS)
    return text.replace(NAME, name).replace(ID, str(uuid4())).replace(REVIEW, review_by.isoformat())


def _tried_out(text: str, template: str, name: str) -> str:
    return text.replace(f"name: {template}", f"name: {name}").replace(
        "\ncorrelator:\n", "\ncorrelator:\n    mode: shadow\n"
    )


def _print(templates: dict[str, Path]) -> None:
    table = Table("template", "for")
    for name, path in templates.items():
        text = read_text(path)[0]
        what = _TITLES.findall(text)[-1] if _is_whole(path) else text.partition("\n")[0].removeprefix("# ")
        table.add_row(name, what)
    wide_console().print(table)
