"""What is about to be deployed: a directory, read, checked, tested; how it differs from what is active."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from correlator.adapters.files import load_texts
from correlator.cli.screen import number_of
from correlator.engine.bundles import Texts
from correlator.intake.feeds import Feed
from correlator.pipeline import Bundle
from correlator.problem import Problem
from correlator.rules.program import RuleProgram
from correlator.rules.rule import Rule
from correlator.rules.testing import run_case
from correlator.rules.unplaced import unplaced


class Candidate(msgspec.Struct, frozen=True):
    """*failed*: a line for each test of a rule and sample of a feed that did not pass."""

    bundle: Bundle
    texts: Texts
    warnings: tuple[Problem, ...]
    tests: int
    failed: tuple[str, ...]


class Difference(msgspec.Struct, frozen=True):
    """Rules by name; the other files by path: *files* are those that say something else."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    files_added: tuple[str, ...] = ()
    files_removed: tuple[str, ...] = ()


def read_candidate(directory: Path) -> Candidate:
    """Raises `BadConfiguration` with every error of every file."""
    bundle, texts, problems = load_texts(directory)
    rules = list(rules_of(bundle).values())
    with Console(stderr=True).status(f"testing {number_of(len(rules), 'rule')}"):
        failed = [*_failed_tests(rules, bundle), *_failed_samples(bundle)]
    tests = sum(len(rule.cases) for rule in rules)
    warnings = (*problems, *unplaced(rules, bundle.intake.sites.names()))
    return Candidate(bundle, texts, warnings, tests, tuple(failed))


def _failed_tests(rules: Sequence[Rule], bundle: Bundle) -> Iterator[str]:
    for rule in rules:
        for case in rule.cases:
            result = run_case(rule, case, bundle.settings)
            if not result.is_passed:
                yield f"{case.file}:{case.line}: {rule.name}: {case.name!r} failed: {result.message}"


def _failed_samples(bundle: Bundle) -> Iterator[str]:
    for feed in [found for found in bundle.intake.feeds.values() if isinstance(found, Feed)]:
        for result in feed.test():
            for line in result.differences:
                yield f"feed {feed.name}: sample {result.sample.name!r}: {line}"


def difference(before: Bundle | None, after: Bundle, texts: tuple[Texts, Texts]) -> Difference:
    """*texts*: of both. Rules are held against each other by what they do and what is said of them."""
    old, new = rules_of(before) if before is not None else {}, rules_of(after)
    was, now = (
        {path: text for path, text in some.items() if not path.startswith("rules/")} if before else {}
        for some in texts
    )
    return Difference(
        tuple(sorted(_said(new[i]) for i in new.keys() - old.keys())),
        tuple(sorted(_said(old[i]) for i in old.keys() - new.keys())),
        tuple(sorted(_changed(old[i], new[i]) for i in new.keys() & old.keys() if differ(old[i], new[i]))),
        tuple(sorted(path for path in was.keys() & now.keys() if was[path] != now[path])),
        tuple(sorted(now.keys() - was.keys())),
        tuple(sorted(was.keys() - now.keys())),
    )


def mode(rule: Rule) -> str:
    return "shadow" if rule.is_shadow else "alert" if rule.is_alerting else "not alerting"


def alerting(bundle: Bundle) -> list[Rule]:
    """Rules that are told of, be it in shadow."""
    return sorted(
        (rule for rule in rules_of(bundle).values() if rule.is_alerting), key=lambda rule: rule.name
    )


def rules_of(bundle: Bundle) -> Mapping[str, Rule]:
    """By id."""
    return bundle.program.loaded if isinstance(bundle.program, RuleProgram) else {}


def _said(rule: Rule) -> str:
    return rule.name if mode(rule) == "alert" else f"{rule.name} ({mode(rule)})"


def differ(old: Rule, new: Rule) -> bool:
    """Beyond their tests, and where and how they were written."""
    return _stripped(old) != _stripped(new)


def _stripped(rule: Rule) -> bytes:
    """Bytes, since to Python 1 equals true."""
    return msgspec.json.encode(
        msgspec.structs.replace(rule, cases=(), lines=(), searches=(), file="", line=0)
    )


def _changed(old: Rule, new: Rule) -> str:
    if mode(old) != mode(new):
        how = f"{mode(old)} -> {mode(new)}"
    elif old.fingerprint != new.fingerprint:
        how = "asks something else"
    else:
        how = "says something else"
    return f"{new.name} ({how})"
