"""Rule files as the verbs of `correlator rules` are given them, and what is said when something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from correlator.adapters.documents import read_kept, read_text, read_value_lists, shipped, yaml_files
from correlator.adapters.yaml_lines import load_yaml_all
from correlator.cli.as_json import as_text
from correlator.cli.exit_codes import REFUSED
from correlator.cli.failing import print_problems
from correlator.problem import Problem, has_errors
from correlator.rules.load import Document, load_rules
from correlator.rules.rule import Rule

CONFIGURATION = ("sites.yml", "correlator.yml", "feeds", "lists.yml")  # one of them makes a directory one
TESTS = ".tests.yml"  # ends the name of a file of tests, beside that of the rule

Paths = Annotated[
    list[Path] | None, typer.Argument(help="Rule files or directories of them. Default: the shipped rules.")
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        exists=True,
        file_okay=False,
        help="Configuration directory: its rules/, lists.yml and settings.",
    ),
]


def rule_files(paths: Sequence[Path] | None, config: Path | None) -> list[Path]:
    """The rule files meant, by name. Exits with 2 when there are none."""
    given = list(paths or ()) or [_rules_of(config)]
    found: list[Path] = []
    for path in given:
        found += yaml_files(path) if _is(path.is_dir) else _with_tests(path)
    if not found:
        deeper = any(next(path.glob("*/**/*.yml"), None) for path in given)
        hint = " itself: directories in it are not read, name them" if deeper else ""
        refuse(f"no rule files in {', '.join(map(str, given))}{hint}")
    return list(dict.fromkeys(found))


def _with_tests(path: Path) -> list[Path]:
    """A rule file with the file of tests beside it, whichever of the two is named."""
    stem = path.name.removesuffix(TESTS).removesuffix(path.suffix)
    ends = (".yml", ".yaml") if path.name.endswith(TESTS) else (path.suffix,)
    both = [path.with_name(stem + end) for end in (*ends, TESTS)]
    return [other for other in both if other == path or _is(other.exists)]


def _is(asked: Callable[[], bool]) -> bool:
    """What is *asked* of a path; not where nobody can say, for whatever reads it tells why."""
    try:
        return asked()
    except OSError:  # a name too long, a directory that may not be entered
        return False


def _rules_of(config: Path | None) -> Path:
    if config is None:
        return shipped("rules")
    own = config / "rules"
    if own.is_dir():
        return own
    if not any((config / name).exists() for name in CONFIGURATION):
        refuse(
            f"{config} is no configuration directory: it has neither rules/ nor sites.yml "
            "(rule files are named without --config)"
        )
    return shipped("rules")


def read_rules(
    files: Sequence[Path], config: Path | None = None, today: date | None = None
) -> tuple[list[Rule], list[Problem]]:
    """The rules in *files*, with the value lists of *config*, and everything that is wrong with them.

    With *today* also what a reviewer would say then.
    """
    documents: list[Document] = []
    lists, problems = read_value_lists(config) if config is not None else ({}, [])
    for file in map(_short, files):
        text, wrong = read_text(file)
        read, wrong = ([], wrong) if wrong else load_yaml_all(text, str(file))
        problems += wrong
        documents += read
        if not read and not wrong:
            problems.append(Problem(str(file), 0, 0, "", "the file is empty", "warning"))
    kept = None if config is None else read_kept(config)
    rules, wrong = load_rules(documents, lists=lists, kept=kept, today=today)
    return rules, sorted({*problems, *wrong})


def _short(file: Path) -> Path:
    """*file* as somebody would write it: from here, where it lies below."""
    here = Path.cwd()
    return file.relative_to(here) if file.is_absolute() and file.is_relative_to(here) else file


def good_rules(paths: Sequence[Path] | None, config: Path | None, *, as_json: bool = False) -> list[Rule]:
    """The rules meant. Where a file has errors they are told and the verb ends with 2."""
    rules, problems = read_rules(rule_files(paths, config), config)
    if has_errors(problems):
        if as_json:
            typer.echo(as_text({"problems": problems}))
        else:
            print_problems(problem for problem in problems if problem.severity == "error")
        raise typer.Exit(REFUSED)
    return rules


def refuse(message: str) -> NoReturn:
    """Arguments that cannot be meant."""
    typer.echo(f"rules: {message}", err=True)
    raise typer.Exit(REFUSED)
