"""A configuration directory, read whole: every problem of every file at once.

    correlator.yml  sites.yml  networks.yml  feeds/*.yml  rules/*.yml  schemas/*.avsc, ids.yml

Only sites.yml is needed. Without a folder of feeds, rules or schemas the shipped ones are used. The
parts that can change an alert become one immutable `Bundle`, known by the hash of what the files mean,
not of how they are laid out. Databases that networks.yml names are part of it by their digests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import msgspec

from correlator.adapters.documents import LISTS, read_text, shipped, yaml_files
from correlator.adapters.mmdb import Meant, databases_of
from correlator.adapters.schema_store import read_schemas
from correlator.adapters.yaml_lines import load_yaml, load_yaml_all
from correlator.alerts.text import RuleText, rule_text
from correlator.intake.decode import Schemas
from correlator.intake.document import nearest
from correlator.intake.feeds import Feed, parse_feed
from correlator.intake.general import FEEDS, General, parse_general
from correlator.intake.intake import IntakeConfig
from correlator.intake.networks import Networks, parse_networks
from correlator.intake.places import Sites, parse_sites
from correlator.intake.providers import lookup_in, parse_providers
from correlator.pipeline import Bundle
from correlator.problem import BadConfiguration, Lines, Problem, has_errors
from correlator.rules.lists import read_lists
from correlator.rules.load import load_rules
from correlator.rules.program import RuleProgram
from correlator.rules.rule import Rule
from correlator.timeline.risk import RISK

GENERAL, SITES, NETWORKS = "correlator.yml", "sites.yml", "networks.yml"
PROVIDERS = "providers.yml"
DATABASES = "databases.json"  # no file, but among the texts: the digest of each database
T = TypeVar("T")

_PARTS = ("settings", "partitions", "mode")  # of correlator.yml: what can change an alert
_PATH = re.compile(r"(feeds/|rules/|schemas/)?\w[\w.-]*")


def load_bundle(directory: Path) -> Bundle:
    """The bundle of *directory*. Raises `BadConfiguration` with every error of every file."""
    return load_texts(directory)[0]


def load_texts(directory: Path) -> tuple[Bundle, Mapping[str, str], list[Problem]]:
    """The same with what `read_texts` says beside it; of the problems only warnings are left."""
    bundle, texts, problems = read_texts(directory)
    return _good(bundle, problems), texts, problems


def _good(bundle: Bundle | None, problems: list[Problem]) -> Bundle:
    if bundle is None:
        raise BadConfiguration([problem for problem in problems if problem.severity == "error"])
    return bundle


def read_bundle(directory: Path) -> tuple[Bundle | None, list[Problem]]:
    """The bundle of *directory*, None if there is an error; and all problems, warnings included."""
    bundle, _, problems = read_texts(directory)
    return bundle, problems


def read_texts(directory: Path) -> tuple[Bundle | None, dict[str, str], list[Problem]]:
    """Like `read_bundle`; with the texts that the bundle is made of, shipped ones too, by their paths.

    Of correlator.yml only what can change an alert: nobody is to find a password in a topic.
    """
    return _read_texts(_Reading(directory))


def _read_texts(reading: _Reading) -> tuple[Bundle | None, dict[str, str], list[Problem]]:
    general = reading.part(GENERAL, parse_general, is_needed=False) or General()
    schemas = reading.schemas()
    feeds = reading.feeds(general, schemas)
    names = None if reading.has_errors else [feed.name for feed in feeds]
    sites = reading.part(SITES, lambda found, lines: parse_sites(found, lines, names))
    networks = reading.networks(sites)
    rules = reading.rules(general.settings().horizon_ms, None if names is None else feeds)
    if reading.has_errors or sites is None:
        return None, {}, sorted(reading.problems)
    bundle = _bundle((reading.hash(), reading.ground()), general, feeds, (sites, networks), rules)
    return bundle, reading.texts, sorted(reading.problems)


def bundle_of(
    texts: Mapping[str, str], prefix: str, beside: Path = Path(), *, is_looked_up: bool = False
) -> Bundle:
    """The bundle that `read_texts` gave as texts. *prefix*: of our topics. Raises `BadConfiguration`.

    *beside*: the directory that databases lie in. *is_looked_up*: they are needed, and opened.
    """
    texts = dict(texts)
    digests = json.loads(texts.pop(DATABASES, "{}"))
    with TemporaryDirectory() as name:
        directory = Path(name)
        general = json.loads(texts.get(GENERAL, "{}")) | {"topics": {"prefix": prefix}}
        for path, text in {**texts, GENERAL: json.dumps(general)}.items():
            if not _PATH.fullmatch(path):
                raise BadConfiguration([Problem(path, 0, 0, "", "is no file of a configuration directory")])
            file = directory / path
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        for kind in ("feeds", "rules", "schemas"):  # shipped ones are among the texts, or were not wanted
            (directory / kind).mkdir(exist_ok=True)
        try:
            bundle, _, problems = _read_texts(_Reading(directory, Meant(beside, digests, is_looked_up)))
            return _good(bundle, problems)
        except BadConfiguration as error:
            raise BadConfiguration([_without(name, problem) for problem in error.problems]) from error


def _without(directory: str, problem: Problem) -> Problem:
    return msgspec.structs.replace(problem, file=problem.file.removeprefix(f"{directory}/"))


def load_general(directory: Path) -> General:
    """What correlator.yml says, such as prefix and partitions of our topics. Raises `BadConfiguration`."""
    reading = _Reading(directory)
    general = reading.part(GENERAL, parse_general, is_needed=False) or General()
    reading.stop_if_wrong()
    return general


def load_sites(directory: Path) -> Sites:
    """The sites alone. Raises `BadConfiguration`."""
    reading = _Reading(directory)
    sites = reading.part(SITES, parse_sites)
    reading.stop_if_wrong()
    assert sites is not None, "no sites and no error"
    return sites


def kafka_settings(directory: Path) -> tuple[object, Lines]:
    """The `kafka` section as written, None if there is none, and its lines. Raises `BadConfiguration`."""
    reading = _Reading(directory)
    document, lines = reading.document(GENERAL, is_needed=False)
    reading.stop_if_wrong()
    return (document.get("kafka") if isinstance(document, dict) else None), lines


def _bundle(
    stamps: tuple[str, str],
    general: General,
    feeds: list[Feed],
    where: tuple[Sites, Networks],
    rules: list[Rule],
) -> Bundle:
    (stamp, ground), (sites, networks) = stamps, where
    settings = msgspec.structs.replace(
        general.settings(),
        feeds=tuple(feed.timing for feed in feeds),
        sites=sites.timing(),
        travel_minutes=sites.travel_minutes,
    )
    zones = sites.critical(settings.occupancy_criticality)
    settings = msgspec.structs.replace(settings, zones=zones)
    if general.is_shadow:
        rules = [msgspec.structs.replace(rule, is_shadow=True) for rule in rules]
    program = RuleProgram(rules, settings)
    intake = IntakeConfig(
        {feed.topic: feed for feed in feeds},
        sites,
        networks,
        general.partitions,
        stamp,
        settings.horizon_ms,
        settings.ahead_ms,
        f"{general.prefix}identities",
        program.routes,
    )
    titles = {rule.id: rule.title for rule in rules}
    texts = {rule.id: rule_text(rule, titles) for rule in rules if rule.id in program.rules}
    if RISK in program.rules:
        texts[RISK] = RuleText(RISK, "risk", program.rules[RISK].title, level="high")
    return Bundle(stamp, program, intake, settings, texts, ground)


class _Reading:
    """Reads the files of one directory and keeps what they said and what was wrong with them."""

    def __init__(self, directory: Path, meant: Meant | None = None) -> None:
        self.problems: list[Problem] = []
        self._directory, self._meant = directory, meant
        self._lines: dict[str, Lines] = {}  # of each file that was read
        self.texts: dict[str, str] = {}  # path -> text, of what a bundle is made of
        # kind of file -> documents; from a topic there always is a correlator.yml, if an empty one
        self._said: dict[str, list[object]] = {GENERAL: [{}]}
        if not directory.is_dir():
            self._wrong(directory, "there is no such directory")

    @property
    def has_errors(self) -> bool:
        return has_errors(self.problems)

    def stop_if_wrong(self) -> None:
        if self.has_errors:
            raise BadConfiguration(self.problems)

    def document(self, name: str, *, is_needed: bool, otherwise: Path | None = None) -> tuple[object, Lines]:
        """The file *name*, or *otherwise*; None and no problem where it is not needed and not there."""
        path = self._directory / name
        misnamed = path.with_suffix(".yaml")
        if misnamed.exists():
            self._wrong(misnamed, f"is not read under this name: call it {name}")
        if not path.exists() and not is_needed:
            if otherwise is None:
                return None, Lines(str(path))
            path = otherwise
        text = self._text(path, name)
        if text is None:
            return None, Lines(str(path))
        document, lines, problems = load_yaml(text, str(path))
        self.problems += problems
        return (None if has_errors(problems) else document), lines

    def part(
        self,
        name: str,
        parse: Callable[[object, Lines], tuple[T | None, list[Problem]]],
        *,
        is_needed: bool = True,
        otherwise: Path | None = None,
    ) -> T | None:
        document, lines = self.document(name, is_needed=is_needed, otherwise=otherwise)
        if document is None:
            return None
        self._lines[name] = lines
        found, problems = parse(document, lines)
        self.problems += problems
        if name == GENERAL and isinstance(document, dict):
            document = {key: document[key] for key in _PARTS if key in document}
            self.texts[GENERAL] = _canonical(document)
        self._said[name] = [document]
        return found

    def networks(self, sites: Sites | None) -> Networks:
        """The address ranges, with the databases that their file names."""
        found = self.part(NETWORKS, lambda found, lines: parse_networks(found, lines, sites), is_needed=False)
        if found is None or not found.named:
            return found or Networks()
        usual = shipped("networks") / PROVIDERS
        classes = self.part(PROVIDERS, parse_providers, is_needed=False, otherwise=usual) or {}
        databases, problems = databases_of(found.named, self._meant or Meant(self._directory))
        self.problems += problems
        digests = {kind: database.digest for kind, database in databases.items()}
        self._said[DATABASES], self.texts[DATABASES] = [digests], _canonical(digests)
        found.beyond = lookup_in({k: d.get for k, d in databases.items()}, {**classes, **found.classes})
        return found

    def schemas(self) -> Schemas:
        folder = self._folder("schemas")
        schemas, problems = read_schemas(folder)
        self.problems += problems
        if not problems:
            self.texts |= {
                f"schemas/{name}": (folder / name).read_text("utf-8") for name in schemas.documents
            }
        self._said["schemas"] = [[name, document] for name, document in sorted(schemas.documents.items())]
        return schemas

    def feeds(self, general: General, schemas: Schemas) -> list[Feed]:
        """Feed files of the directory, and shipped ones by name; without either the usual three."""
        own = yaml_files(self._directory / "feeds")
        named = general.feeds or (() if own else FEEDS)
        known = {path.stem for path in own}
        there = [path.stem for path in yaml_files(shipped("feeds"))]
        for at, name in enumerate(named):
            if name not in known and name not in there:
                said = f"no feed {name!r} is shipped{nearest(name, there)}: {', '.join(there)}"
                self.problems.append(self._lines[GENERAL].problem(("feeds", at), said))
        paths = own + [shipped("feeds") / f"{name}.yml" for name in named if name in {*there} - known]
        feeds: dict[str, tuple[Feed, Path]] = {}
        topics: dict[str, Path] = {}
        for path in paths:
            feed = self._feed(path, schemas)
            if feed is None:
                continue
            if feed.name in feeds:
                self._wrong(path, f"the feed {feed.name!r} is also in {feeds[feed.name][1]}")
            elif feed.topic in topics:
                self._wrong(path, f"the topic {feed.topic!r} is also read by {topics[feed.topic]}")
            else:
                feeds[feed.name], topics[feed.topic] = (feed, path), path
        return [feed for feed, _ in feeds.values()]

    def _feed(self, path: Path, schemas: Schemas) -> Feed | None:
        text = self._text(path)
        if text is None:
            return None
        document, lines, problems = load_yaml(text, str(path))
        self.problems += problems
        if has_errors(problems):
            return None
        feed, problems = parse_feed(document, lines, str(path), schemas)
        self.problems += problems
        self._said.setdefault("feeds", []).append(document)
        return feed

    def rules(self, horizon_ms: int, feeds: list[Feed] | None) -> list[Rule]:
        """The rules; without *feeds* it is not known which fields of records they may use."""
        lists = self.part(LISTS, read_lists, is_needed=False)
        documents: list[tuple[object, Lines]] = []
        for path in yaml_files(self._folder("rules")):
            text = self._text(path)
            if text is not None:
                found, problems = load_yaml_all(text, str(path))
                self.problems += problems
                documents += found
        kept = None if feeds is None else {name for feed in feeds for name in feed.raw}
        rules, problems = load_rules(documents, lists=lists, kept=kept, horizon_ms=horizon_ms)
        self.problems += problems
        self._said["rules"] = [document for document, _ in documents]
        return rules

    def hash(self) -> str:
        """Equal for files that say the same, whatever their layout, order and names."""
        return _hash(self._said)

    def ground(self) -> str:
        """Likewise, of all but the rules and the lists that they name."""
        return _hash({kind: said for kind, said in self._said.items() if kind not in {"rules", LISTS}})

    def _folder(self, kind: str) -> Path:
        own = self._directory / kind
        return own if own.is_dir() else shipped(kind)

    def _text(self, path: Path, name: str = "") -> str | None:
        text, problems = read_text(path)
        self.problems += problems
        self.texts[name or f"{path.parent.name}/{path.name}"] = text
        return None if problems else text

    def _wrong(self, path: Path, message: str) -> None:
        self.problems.append(Problem(str(path), 0, 0, "", message))


def _hash(said: Mapping[str, list[object]]) -> str:
    in_order = {kind: sorted(map(_canonical, documents)) for kind, documents in said.items()}
    return sha256(_canonical(in_order).encode()).hexdigest()[:16]


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
